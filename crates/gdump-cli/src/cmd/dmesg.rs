//! `gdump --dump-dmesg VMCORE FILE` and `gdump dmesg FILE`: the log of the dumped kernel.

use super::convert::{print_debug, say_what_is_odd};
use crate::escape::escaped;
use crate::exit::Exit;
use crate::limited;
use crate::messages::Messages;
use crate::output_path::OutputOptions;
use crate::plan::{DmesgPlan, LogTarget};
use crate::target;
use dump::{Error, Image, Log, OutputFile, Result, WriteAt};
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// Writes the log; exit status 0 if all of it is there, 1 if the log is damaged.
///
/// # Errors
/// If there is no log to be had, or it cannot be written.
pub fn run(plan: &DmesgPlan) -> Result<Exit> {
    if let LogTarget::File(path) = &plan.target {
        target::check_path(path, &target::identities(&plan.inputs.files()), plan.force)?;
    }
    let dump = super::open(&plan.inputs)?;
    let name = dump.name().to_owned();
    let opened = super::xen::open(dump, &plan.inputs, plan.messages, &dump::NoWatch);
    let image = opened.map_err(|e| e.within(name))?.image;
    say_what_is_odd(plan.messages, &image);
    print_debug(plan.messages, None, &image);
    match &plan.target {
        _ if plan.dry_run => write(plan, &image, &mut io::sink()).map(|log| conclude(plan, &image, &log)),
        LogTarget::File(path) => to_file(plan, &image, path),
        LogTarget::Stream => to_stream(plan, &image),
        LogTarget::Reader => show(plan, &image),
    }
}

fn write(plan: &DmesgPlan, image: &Image, out: &mut dyn Write) -> Result<Log> {
    image.write_log(plan.log, out).map_err(|e| e.within("kernel log").within(image.name()))
}

/// To a file, which has its name when all is there: text says of itself nowhere that it is cut off.
fn to_file(plan: &DmesgPlan, image: &Image, path: &Path) -> Result<Exit> {
    let options = OutputOptions { force: plan.force, own_name: true, unsynced: plan.unsynced };
    let mut file = target::open_one(path, &target::identities(&plan.inputs.files()), options)?;
    file.begin()?;
    let limit = plan.limit.unwrap_or(u64::MAX);
    let mut out = Counting { out: file.output().file(), bytes: 0, limit, failed: None };
    let written = write(plan, image, &mut out);
    let (nothing, failed) = (out.bytes == 0, out.failed);
    let log = written.map_err(|e| {
        if nothing {
            file.discard();
        }
        failed.map_or(e, |e| Error::from(e).within(file.path(nothing).display()))
    })?;
    file.output().sync().map_err(|e| e.within(file.path(false).display()))?;
    file.finish()?;
    let exit = conclude(plan, image, &log);
    plan.messages.outcome(&format!("The dmesg log is saved to {}.", path.display()));
    Ok(exit)
}

/// To stdout, as a file has it.
fn to_stream(plan: &DmesgPlan, image: &Image) -> Result<Exit> {
    // the descriptor itself: Stdout would look for the ends of lines
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut out = Counting { out: &stdout, bytes: 0, limit: plan.limit.unwrap_or(u64::MAX), failed: None };
    let written = write(plan, image, &mut out);
    let failed = out.failed.take();
    let log = written.map_err(|e| failed.map_or(e, |e| Error::from(e).within("stdout")))?;
    if !plan.unsynced {
        OutputFile::new(stdout).sync().map_err(|e| e.within("stdout"))?;
    }
    Ok(conclude(plan, image, &log))
}

/// To people and their pipes: a terminal obeys nothing of it, and a reader that went away has read enough.
fn show(plan: &DmesgPlan, image: &Image) -> Result<Exit> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let mut out = Counting { out: Shown { out: stdout.lock(), terminal }, bytes: 0, limit: u64::MAX, failed: None };
    let written = write(plan, image, &mut out);
    match (written, out.failed) {
        (Ok(log), _) => Ok(conclude(plan, image, &log)),
        (Err(_), Some(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(Exit::Completed),
        (Err(_), Some(e)) => Err(Error::from(e).within("stdout")),
        (Err(e), None) => Err(e),
    }
}

/// Says what is not in the log, and why.
fn conclude(plan: &DmesgPlan, image: &Image, log: &Log) -> Exit {
    let (messages, name) = (plan.messages, image.name());
    if let Some(why) = log.not_partial() {
        messages.warning(&format!("{name}: {why}"));
    }
    if log.is_sound() {
        return Exit::Completed;
    }
    say_faults(messages, name, log);
    Exit::Failed
}

fn say_faults(messages: Messages, name: &str, log: &Log) {
    for fault in log.faults() {
        messages.error(&format!("{name}: kernel log: {fault}"));
    }
    if log.more_faults() != 0 {
        messages.error(&format!("{name}: kernel log: {} more faults", log.more_faults()));
    }
    messages.error(&format!("{name}: the kernel log is damaged; what is sound of it is given"));
}

/// Counts what is written, which `limit` bounds (bytes), and keeps why it was not.
struct Counting<W> {
    out: W,
    bytes: u64,
    limit: u64,
    failed: Option<io::Error>,
}

impl<W: Write> Counting<W> {
    fn kept<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|e| {
            let same = io::Error::from(e.kind());
            if e.kind() != ErrorKind::Interrupted {
                self.failed = Some(e);
            }
            same
        })
    }
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.limit - self.bytes).unwrap_or(usize::MAX).min(bytes.len());
        let written = match room {
            0 if !bytes.is_empty() => Err(io::Error::new(ErrorKind::StorageFull, limited::reached(self.limit))),
            _ => self.out.write(&bytes[..room]),
        };
        let written = self.kept(written)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.kept(flushed)
    }
}

/// Stdout, where a terminal obeys nothing.
struct Shown<W> {
    out: W,
    terminal: bool,
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.terminal {
            true => self.out.write_all(escaped(&String::from_utf8_lossy(bytes)).as_bytes())?,
            false => self.out.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
