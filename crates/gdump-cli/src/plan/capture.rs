//! From a running guest to a dump.

use super::{Conversion, Plan};
use crate::args::{CaptureArgs, ConvertArgs, FormatName, Via};
use crate::messages::{Messages, Voice};
use dump::{Address, GivenRange, GuestFormat};
use std::path::PathBuf;
use std::time::Duration;

/// From a running guest to a dump.
#[derive(Debug)]
pub struct CapturePlan {
    /// The guest.
    pub guest: GuestSource,
    /// What is to be done with it.
    pub task: CaptureTask,
    /// How long each answer is waited for.
    pub timeout: Duration,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

/// A running guest.
#[derive(Debug, PartialEq, Eq)]
pub enum GuestSource {
    /// Of QEMU.
    Qmp {
        /// Where it listens.
        address: Address,
        /// The process that runs it, where the user knows.
        pid: Option<i32>,
    },
    /// Of any other monitor.
    Process {
        /// The process that runs it.
        pid: i32,
        /// Where the guest has RAM.
        ram: Vec<GivenRange>,
    },
}

/// What is done with a guest.
#[derive(Debug)]
pub enum CaptureTask {
    /// To show what QEMU says.
    Ask {
        /// As JSON.
        json: bool,
    },
    /// To let it run again.
    Resume,
    /// To write a dump of it.
    Dump {
        /// How, once there is memory to read.
        conversion: Box<Conversion>,
        /// How its memory is read; `None` for the best way that there is.
        via: Option<Via>,
        /// Whether and when it stands still.
        stop: Stop,
    },
    /// To have QEMU write a dump.
    Own {
        /// In which format of QEMU's.
        format: GuestFormat,
        /// Where to, and whether an existing file is overwritten.
        output: PathBuf,
        /// See there.
        force: bool,
        /// When.
        stop: Stop,
    },
}

/// Whether and when a guest stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Whether it is stopped at all.
    pub stops: bool,
    /// Whether it stays stopped.
    pub stays: bool,
    /// Whether its kernel's panic is waited for first.
    pub on_panic: bool,
}

/// How long each answer is waited for (seconds), where no option says.
const TIMEOUT: u64 = 30;

impl CapturePlan {
    /// What `gdump capture` asks for.
    ///
    /// # Errors
    /// One line, if options contradict each other or something is missing.
    pub fn new(args: CaptureArgs) -> Result<CapturePlan, String> {
        let guest = guest(&args)?;
        if let Some(option) = without_sense(&args.convert) {
            return Err(format!("{option} does not go with a guest's memory"));
        }
        let process = matches!(guest, GuestSource::Process { .. });
        if process && (args.ask || args.resume_guest || args.on_panic || args.via == Some(Via::Dump)) {
            return Err("--ask, --resume-guest, --on-panic and --via dump need QMP".to_owned());
        }
        let messages = Messages::new(args.convert.messages(), false);
        let timeout = args.timeout.unwrap_or(Duration::from_secs(TIMEOUT));
        let stop = Stop { stops: !args.live, stays: args.keep_stopped || args.on_panic, on_panic: args.on_panic };
        let (task, messages) = match args.convert.format {
            _ if args.ask || args.resume_guest => {
                no_output(&args.convert)?;
                let task = if args.ask { CaptureTask::Ask { json: args.json } } else { CaptureTask::Resume };
                (task, messages)
            }
            Some(FormatName::Guest(format)) => (own(&args, format, stop)?, messages),
            _ if lacks_output(&args.convert) => {
                return Err("expected a guest and the name of a DUMPFILE, found the guest alone".to_owned());
            }
            _ => match super::conversion::conversion(&args.convert, Voice::Gdump)? {
                Plan::Convert(conversion) => {
                    let messages = conversion.messages;
                    (CaptureTask::Dump { conversion, via: args.via, stop }, messages)
                }
                _ => return Err("only a dump can be made of a guest's memory".to_owned()),
            },
        };
        Ok(CapturePlan { guest, task, timeout, messages })
    }

    /// The conversion, where gdump writes the dump.
    pub fn conversion(&self) -> Option<&Conversion> {
        match &self.task {
            CaptureTask::Dump { conversion, .. } => Some(conversion),
            _ => None,
        }
    }
}

/// The guest that the first file name names.
fn guest(args: &CaptureArgs) -> Result<GuestSource, String> {
    let expected = "expected qmp:SOCKET, qmp:tcp:HOST:PORT or pid:N";
    let first = args.convert.files.first().ok_or_else(|| format!("{expected}, found nothing"))?;
    let text = first.to_str().ok_or_else(|| format!("{}: {expected}", first.display()))?;
    match (text.strip_prefix("qmp:"), text.strip_prefix("pid:")) {
        (Some(address), _) if args.ram.is_empty() => {
            let address = address.parse().map_err(|e: dump::Error| format!("{text}: {e}"))?;
            Ok(GuestSource::Qmp { address, pid: args.qemu_pid })
        }
        (Some(_), _) => Err("--ram goes with pid:N; QEMU says itself where RAM is".to_owned()),
        (None, Some(_)) if args.qemu_pid.is_some() => Err("--qemu-pid goes with qmp:SOCKET".to_owned()),
        (None, Some(_)) if args.ram.is_empty() => Err(format!("{text}: --ram says where the guest has RAM")),
        (None, Some(pid)) => match pid.parse::<i32>() {
            Ok(pid) if pid > 0 => Ok(GuestSource::Process { pid, ram: args.ram.clone() }),
            _ => Err(format!("{text}: expected the number of a process")),
        },
        (None, None) => Err(format!("{text}: {expected}")),
    }
}

/// An option that means nothing here.
fn without_sense(args: &ConvertArgs) -> Option<&'static str> {
    let options = [
        (args.rearrange, "-R"),
        (args.reassemble, "--reassemble"),
        (args.dump_dmesg, "--dump-dmesg"),
        (args.partial_dmesg, "--partial-dmesg"),
        (args.generate.is_some(), "-g"),
        (args.raw.base.is_some(), "--raw-base"),
        (!args.raw.map.is_empty(), "--raw-map"),
        (args.non_mmap, "--non-mmap"),
        (args.qvm_env.is_some(), "--qvm-env"),
        (args.version, "-v"),
        (!args.diskset.is_empty(), "--diskset"),
    ];
    options.into_iter().find_map(|(given, name)| given.then_some(name))
}

/// Whether nothing says where the dump goes.
fn lacks_output(args: &ConvertArgs) -> bool {
    args.files.len() == 1 && !args.flattened && !args.mem_usage && args.output_dir.is_none()
}

fn no_output(args: &ConvertArgs) -> Result<(), String> {
    match args.files.get(1) {
        Some(output) => Err(format!("{}: nothing is written to a file", output.display())),
        None => Ok(()),
    }
}

/// A dump that QEMU writes itself.
fn own(args: &CaptureArgs, format: GuestFormat, stop: Stop) -> Result<CaptureTask, String> {
    let name = format.name;
    if args.via != Some(Via::Dump) {
        return Err(format!("--format {name} is one of QEMU's own, which goes with --via dump"));
    }
    let convert = &args.convert;
    if convert.output_dir.is_some() || convert.prefix.is_some() {
        return Err(format!("--format {name} and --output-dir or --prefix cannot be combined"));
    }
    let filters = convert.codec().is_some() || convert.levels.0.iter().any(|level| level.bits() != 0);
    if filters || convert.split || convert.flattened || convert.elf || convert.pfn_range.is_some() || args.live {
        return Err(format!(
            "--format {name}: QEMU writes this dump, which can be neither filtered, split nor streamed"
        ));
    }
    match convert.files.as_slice() {
        [_, output] => Ok(CaptureTask::Own { format, output: output.clone(), force: convert.force, stop }),
        files => Err(format!("expected the name of a DUMPFILE, found {}", files.len().saturating_sub(1))),
    }
}
