//! What the command line asks for, checked as a whole.

mod batch;
mod capture;
mod conversion;
mod files;
mod generation;
mod inputs;
mod located;
mod log;
mod map;
mod output;
mod rearrangement;
mod shard;
mod split_one;
mod threads;
mod verbs;

pub use batch::{BatchPlan, JobSource};
pub use capture::{CapturePlan, CaptureTask, GuestSource, Stop};
pub use conversion::Conversion;
pub use files::is_stdin;
pub use generation::GeneratePlan;
pub use inputs::Inputs;
pub use log::{DmesgPlan, LogTarget};
pub use map::{MapFormat, MapOutput, MapPlan};
pub use output::{Naming, Output};
pub use rearrangement::Rearrangement;
pub use split_one::SplitOnePlan;
pub use verbs::{CheckPlan, DiffPlan, EstimatePlan, InfoPlan, RepairPlan, Room};

use crate::args::{ConvertArgs, Verb};
use crate::messages::{Messages, Voice};
use conversion::conversion;
use files::STDIO;
use generation::generation;
use log::dmesg;
use output::refuse_command;
use rearrangement::rearrangement;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Debug)]
pub enum Plan {
    /// Write a dump.
    Convert(Box<Conversion>),
    /// Turn a flattened dump into a regular one.
    Rearrange(Rearrangement),
    /// Write the log of the dumped kernel.
    Dmesg(DmesgPlan),
    /// Write a text of vmcoreinfo.
    Generate(GeneratePlan),
    /// Show what a dump is.
    Info(InfoPlan),
    /// Look for damage.
    Check(CheckPlan),
    /// Say how large dumps would be.
    Estimate(EstimatePlan),
    /// Draw what memory is used for.
    Map(Box<MapPlan>),
    /// Compare two dumps.
    Diff(Box<DiffPlan>),
    /// Save what is certain of a damaged dump.
    Repair(RepairPlan),
    /// Write a dump of a running guest.
    Capture(CapturePlan),
    /// Convert many dumps.
    Batch(Box<BatchPlan>),
    /// List jobs that write a part of a dump each.
    SplitOne(Box<SplitOnePlan>),
}

impl Plan {
    /// What options without a verb ask for.
    ///
    /// # Errors
    /// One line, if they contradict each other or file names are missing.
    pub fn new(args: &ConvertArgs, voice: Voice) -> Result<Plan, String> {
        check_modes(args)?;
        if let Some(reason) = args.refused() {
            return Err(reason.to_owned());
        }
        if voice == Voice::Gdump {
            check_no_dump(args)?;
        }
        match args {
            ConvertArgs { generate: Some(output), .. } => generation(args, output, voice).map(Plan::Generate),
            _ if args.rearrange => rearrangement(args, voice).map(Plan::Rearrange),
            _ if args.dump_dmesg => dmesg(args, voice).map(Plan::Dmesg),
            _ if args.partial_dmesg => Err("--partial-dmesg goes with --dump-dmesg".to_owned()),
            _ => conversion(args, voice),
        }
    }

    /// The conversion, where a dump is written.
    pub fn conversion(&self) -> Option<&Conversion> {
        match self {
            Plan::Convert(plan) => Some(plan),
            Plan::Capture(plan) => plan.conversion(),
            _ => None,
        }
    }

    /// The dumps to read, which may be on servers.
    pub fn dumps(&self) -> Vec<PathBuf> {
        match self {
            Plan::Convert(plan) => plan.inputs.paths.clone(),
            Plan::Dmesg(plan) => plan.inputs.paths.clone(),
            Plan::Info(plan) => plan.inputs.paths.clone(),
            Plan::Check(plan) => plan.inputs.paths.clone(),
            Plan::Estimate(plan) => plan.inputs.paths.clone(),
            Plan::Map(plan) => plan.inputs.paths.clone(),
            Plan::Diff(plan) => [&plan.left.paths[..], &plan.right.paths].concat(),
            Plan::Repair(plan) => plan.inputs.paths.clone(),
            Plan::SplitOne(plan) => plan.conversion.inputs.paths.clone(),
            // a batch's are its jobs'
            Plan::Rearrange(_) | Plan::Generate(_) | Plan::Capture(_) | Plan::Batch(_) => Vec::new(),
        }
    }

    /// The files to read.
    pub fn inputs(&self) -> Vec<PathBuf> {
        match self {
            Plan::Convert(plan) => plan.inputs.files(),
            Plan::Rearrange(plan) => vec![plan.input.clone().unwrap_or(PathBuf::from(STDIO))],
            Plan::Dmesg(plan) => plan.inputs.files(),
            Plan::Generate(plan) => plan.files(),
            Plan::Info(plan) => plan.inputs.paths.clone(),
            Plan::Check(plan) => plan.inputs.paths.clone(),
            Plan::Estimate(plan) => plan.inputs.files(),
            Plan::Map(plan) => plan.inputs.files(),
            Plan::Diff(plan) => [&plan.left.paths[..], &plan.right.paths].concat(),
            Plan::Repair(plan) => plan.inputs.paths.clone(),
            Plan::Capture(plan) => plan.conversion().map_or(Vec::new(), |plan| plan.inputs.kernel.files()),
            Plan::Batch(plan) => plan.inputs(),
            Plan::SplitOne(plan) => plan.conversion.inputs.files(),
        }
    }

    /// The kernel's ELF file to read.
    pub fn vmlinux(&self) -> Option<&Path> {
        match self {
            Plan::Dmesg(plan) => plan.inputs.kernel.vmlinux.as_deref(),
            Plan::Generate(plan) => Some(&plan.vmlinux),
            Plan::Estimate(plan) => plan.inputs.kernel.vmlinux.as_deref(),
            Plan::SplitOne(plan) => plan.conversion.inputs.kernel.vmlinux.as_deref(),
            Plan::Map(plan) => plan.inputs.kernel.vmlinux.as_deref(),
            _ => self.conversion()?.inputs.kernel.vmlinux.as_deref(),
        }
    }

    /// Files that may be read as the env file of a virtual machine.
    pub fn qvm_env_files(&self) -> Vec<PathBuf> {
        match self {
            Plan::Convert(plan) => plan.inputs.qvm_env_files(),
            Plan::Info(plan) => plan.inputs.qvm_env_files(),
            _ => Vec::new(),
        }
    }

    /// Where temporary files go.
    pub fn unpack_directory(&self) -> PathBuf {
        let wanted = match self {
            Plan::Dmesg(plan) => plan.inputs.work_dir.as_deref(),
            Plan::SplitOne(plan) => plan.conversion.inputs.work_dir.as_deref(),
            _ => self.conversion().and_then(|plan| plan.inputs.work_dir.as_deref()),
        };
        dump::unpack_directory(wanted)
    }

    /// The files to write.
    pub fn outputs(&self) -> Vec<PathBuf> {
        match self {
            Plan::Convert(plan) => plan.written(),
            Plan::Capture(CapturePlan { task: CaptureTask::Dump { conversion, .. }, .. }) => conversion.written(),
            Plan::Capture(CapturePlan { task: CaptureTask::Own { output, .. }, .. }) => vec![output.clone()],
            Plan::Rearrange(plan) => vec![plan.output.clone()],
            Plan::Repair(plan) => vec![plan.output.clone()],
            Plan::Dmesg(DmesgPlan { target: LogTarget::File(path), dry_run: false, .. }) => vec![path.clone()],
            Plan::Generate(plan) => vec![plan.output.clone()],
            Plan::Batch(plan) => plan.outputs(),
            Plan::Map(plan) => plan.output.iter().map(|output| output.path.clone()).collect(),
            Plan::Capture(_)
            | Plan::Dmesg(_)
            | Plan::Info(_)
            | Plan::Check(_)
            | Plan::Estimate(_)
            | Plan::Diff(_)
            | Plan::SplitOne(_) => Vec::new(),
        }
    }

    /// The directory of a file that is named when it is made.
    pub fn output_directory(&self) -> Option<&Path> {
        match &self.conversion().filter(|plan| !plan.dry_run)?.output {
            Output::Directory(naming) => Some(&naming.directory),
            _ => None,
        }
    }

    /// Whether a dump, or a whole log, goes to stdout.
    pub fn streams(&self) -> bool {
        match self {
            Plan::Dmesg(plan) => matches!(plan.target, LogTarget::Stream) && !plan.dry_run,
            _ => self.conversion().is_some_and(|plan| plan.to_stdout() && !plan.dry_run),
        }
    }

    /// Whether what is printed on stdout is all, or a part, of what was asked for, and not only said of it. The verbs
    /// see to theirs.
    pub fn prints(&self) -> bool {
        self.conversion().is_some_and(|plan| plan.dry_run || plan.vtop.is_some())
    }

    /// Whether a run is for nothing if stdout is closed. Where the exit status is an answer too, it is not.
    pub fn needs_stdout(&self) -> bool {
        match self {
            Plan::Dmesg(plan) => !matches!(plan.target, LogTarget::File(_)) && !plan.dry_run,
            _ => self.conversion().is_some_and(|plan| {
                self.streams() || (plan.messages.prints_common() && (plan.mem_usage || plan.vtop.is_some()))
            }),
        }
    }

    /// Which messages are printed, and where.
    pub fn messages(&self) -> Messages {
        match self {
            Plan::Convert(plan) => plan.messages,
            Plan::Rearrange(plan) => plan.messages,
            Plan::Dmesg(plan) => plan.messages,
            Plan::Generate(plan) => plan.messages,
            Plan::Capture(plan) => plan.messages,
            Plan::SplitOne(plan) => plan.conversion.messages,
            Plan::Info(_)
            | Plan::Check(_)
            | Plan::Estimate(_)
            | Plan::Map(_)
            | Plan::Diff(_)
            | Plan::Repair(_)
            | Plan::Batch(_) => Messages::default(),
        }
    }
}

impl TryFrom<Verb> for Plan {
    type Error = String;

    /// # Errors
    /// One line, if options contradict each other.
    fn try_from(verb: Verb) -> Result<Plan, String> {
        Ok(match verb {
            Verb::Info(args) => Plan::Info(InfoPlan::from(args)),
            Verb::Check(args) => Plan::Check(CheckPlan::from(args)),
            Verb::Estimate(args) => Plan::Estimate(EstimatePlan::from(*args)),
            Verb::Map(args) => {
                Plan::Map(Box::new(MapPlan::try_from(*args).map_err(|e| format!("{e} (see gdump map --help)"))?))
            }
            Verb::Diff(args) => Plan::Diff(Box::new(DiffPlan::from(args))),
            Verb::Dmesg(args) => Plan::Dmesg(DmesgPlan::from(args)),
            Verb::Repair(args) => Plan::Repair(RepairPlan::from(args)),
            Verb::Batch(args) => batch::plan(*args).map_err(|e| format!("{e} (see gdump batch --help)"))?,
            Verb::Capture(args) => {
                Plan::Capture(CapturePlan::new(*args).map_err(|e| format!("{e} (see gdump capture --help)"))?)
            }
        })
    }
}

/// Of the modes, only `-F` can be combined, with `--reassemble` or `--dump-dmesg`.
fn check_modes(args: &ConvertArgs) -> Result<(), String> {
    let modes = [
        (args.rearrange, "-R"),
        (args.reassemble, "--reassemble"),
        (args.split, "--split"),
        (args.dump_dmesg, "--dump-dmesg"),
        (args.flattened, "-F"),
        (args.mem_usage, "--mem-usage"),
    ];
    let given: Vec<&str> = modes.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
    match given.as_slice() {
        [] | [_] | ["--reassemble" | "--dump-dmesg", "-F"] => Ok(()),
        _ => Err(format!("{} cannot be combined", given.join(" and "))),
    }
}

/// What is written to and fro, or is no dump, goes to a file that somebody names.
fn check_no_dump(args: &ConvertArgs) -> Result<(), String> {
    let (output, what) = match args {
        ConvertArgs { generate: Some(output), .. } => (Some(output), "-g"),
        _ if args.rearrange => (args.files.last(), "-R"),
        _ if args.dump_dmesg => (args.files.last(), "--dump-dmesg"),
        _ => return Ok(()),
    };
    if args.output_dir.is_some() || args.prefix.is_some() {
        return Err(format!("{what} and --output-dir or --prefix cannot be combined"));
    }
    output.map_or(Ok(()), |path| refuse_command(path, what))
}

#[cfg(test)]
mod tests {
    use super::conversion::Compression;
    use super::*;
    use crate::args::{Parsed, parse};
    use dump::CodecId;

    fn codec(name: &str) -> CodecId {
        dump::codec(name).unwrap()
    }
    fn plan(line: &str) -> Result<Plan, String> {
        match parse(format!("gdump {line}").split(' ').map(std::ffi::OsString::from))? {
            Parsed::Convert { args, .. } => Plan::new(&args, Voice::Gdump),
            Parsed::Verb { verb, .. } => Plan::try_from(verb),
            _ => Err("help".to_owned()),
        }
    }

    fn conversion(line: &str) -> Conversion {
        match plan(line) {
            Ok(Plan::Convert(conversion)) => *conversion,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn files_by_mode() {
        for (line, inputs, outputs) in [
            ("a b", 1, 1),
            ("p1 p2 p3 out", 3, 1),
            ("--split a b c", 1, 2),
            ("--reassemble p1 p2 out", 2, 1),
            ("-F a", 1, 0),
            ("--reassemble -F p1 p2", 2, 0),
        ] {
            let plan = conversion(line);
            assert_eq!((plan.inputs.paths.len(), plan.outputs().len()), (inputs, outputs), "{line}");
        }
        assert!(matches!(plan("-R out"), Ok(Plan::Rearrange(Rearrangement { input: None, .. }))));
        assert!(matches!(plan("-R - out"), Ok(Plan::Rearrange(Rearrangement { input: None, .. }))));
        assert!(matches!(plan("-R -d 0 in out"), Ok(Plan::Rearrange(Rearrangement { input: Some(_), .. }))));
        assert!(matches!(plan("diff a b"), Ok(Plan::Diff(_))));
        let target = |line| match plan(line) {
            Ok(Plan::Dmesg(plan)) => plan.target,
            other => panic!("{line}: {other:?}"),
        };
        assert!(matches!(target("--dump-dmesg -c -d 31 a b"), LogTarget::File(path) if path.as_os_str() == "b"));
        assert!(!matches!(target("-F --partial-dmesg --dump-dmesg a"), LogTarget::File(_)));
        assert!(matches!(target("dmesg a"), LogTarget::Reader));
    }

    #[test]
    fn compression_by_options() {
        for (line, compression) in [
            ("a b", Compression::None),
            ("-c a b", Compression::Codec(codec("zlib"))),
            ("--codec zstd a b", Compression::Codec(codec("zstd"))),
            ("--codec none a b", Compression::None),
            ("-E --codec none a b", Compression::None),
            ("--reassemble a b", Compression::AsInput),
            ("--reassemble -l a b", Compression::Codec(codec("lzo"))),
            ("--reassemble --codec none a b", Compression::None),
        ] {
            assert_eq!(conversion(line).compression, compression, "{line}");
        }
        assert_eq!(Compression::AsInput.codec(Some(codec("lzo"))), Some(codec("lzo")));
        assert_eq!(Compression::None.codec(Some(codec("lzo"))), None);
        assert_eq!(Compression::Codec(codec("zlib")).codec(Some(codec("lzo"))), Some(codec("zlib")));
    }

    #[test]
    fn formats_by_options() {
        for (line, expected) in [
            ("a b", "kdump"),
            ("-E a b", "elf"),
            ("-E --format elf a b", "elf"),
            ("--format raw --format lime a b", "lime"),
        ] {
            assert_eq!(conversion(line).format.name, expected, "{line}");
        }
    }

    #[test]
    fn what_is_refused() {
        for line in [
            "a",
            "-F",
            "--split a b",
            "-R a b c",
            "-R -c a",
            "-R --codec none a",
            "-R -d 1 a",
            "-F --split a b c",
            "-R -F a",
            "-R --dry-run a",
            "-R -f --checksum a",
            "-R --pfn-range 0..64 a",
            "-R --raw-base 0 a",
            "-R --max-unpacked 1G a",
            "-R --strict a",
            "-F --atomic a",
            "-E -c a b",
            "-E --codec lzo a b",
            "--format raw -l a b",
            "-E --format raw a b",
            "--format zip a b",
            "-E --split a b c",
            "--pfn-range 0..64 --split a b c",
            "--pfn-range 0..64 -E a b",
            "--pfn-range 1..64 a b",
            "--pfn-range 64..64 a b",
            "--splitblock-size -1 a b",
            "--cyclic-buffer 1x a b",
            "--max-memory 64 a b",
            "--raw-base x a b",
            "diff a",
            "info",
            "batch",
            "batch -",
            "batch -0 a",
            "batch --output-dir d a",
            "batch --jobs 0 a",
            "batch --shard 3/2 a",
            "batch --journal a a",
            "batch --results x --junit x a",
            "batch a b",
            "batch --parts 2 a",
            "batch --split-one a",
            "batch --split-one a --parts 1",
            "batch --split-one a --parts 2 b",
            "batch --split-one a --parts 2 -- b",
            "batch --split-one a --parts 2 -- -F",
            "batch --split-one a --parts 2 -- -d 1,31",
            "batch --split-one a --parts 2 -- --dry-run",
            "batch --split-one a --parts 2 -- --pfn-range 0..64",
            "batch --split-one a --parts 2 -- -E",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
        assert!(plan("--pfn-range 64.. a b").is_ok());
        assert!(plan("batch --shard 1/1 a -- -E").is_ok());
        let Ok(Plan::SplitOne(split)) = plan("batch --split-one d/a --parts 2 --output-dir o -- -l -d 31") else {
            panic!("no parts");
        };
        assert_eq!(split.conversion.outputs(), ["o/a.1-of-2", "o/a.2-of-2"].map(Path::new));
        assert_eq!((split.input.as_str(), split.options.len()), ("d/a", 3));
    }
}
