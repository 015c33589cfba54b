//! A dump that QEMU writes, in a format of its own.

use super::session::Session;
use super::stages::Stages;
use crate::exit::Exit;
use crate::messages::Messages;
use crate::output_path::OutputOptions;
use crate::plan::Stop;
use crate::progress::Progress;
use crate::target;
use dump::{Error, ErrorKind, GuestFormat, PageSize, Phase, Qmp, Result, Watch, WholeDump, ask};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// Has QEMU write `output`, and waits until it is whole.
///
/// # Errors
/// If QEMU does not, or the file cannot be made; what was written stays where it is.
pub fn run(
    messages: Messages,
    format: GuestFormat,
    output: &Path,
    force: bool,
    stop: Stop,
    session: Session,
) -> Result<Exit> {
    target::check_path(output, &target::identities(&session.files()), force)?;
    let qmp = Arc::clone(session.qmp()?);
    is_to_be_had(&qmp, format)?;
    let (interrupt, runs) = super::heed(&session, messages)?;
    let stages = Stages::default();
    super::stand_still(messages, stop, &session, &stages)?;
    let mut file = target::open_one(output, &[], OutputOptions { force, ..OutputOptions::default() })?;
    file.begin()?;
    let started = if qmp.passes_files() {
        WholeDump::to_file(qmp, file.output().file().as_fd(), format.name)
    } else {
        // QEMU need not have been started here
        let path = std::path::absolute(output).map_err(|e| Error::from(e).within(output.display()))?;
        WholeDump::to_path(qmp, &path, format.name)
    };
    let whole = started.inspect_err(|_| {
        file.discard();
    })?;
    let progress = Progress::new(messages, PageSize::K4, interrupt);
    progress.begin(Phase::Copy, whole.progress().map_or(0, |(_, total)| total / PageSize::K4.bytes() as u64));
    let mut last = 0;
    let done = whole.finish(&mut |done, _| {
        let done = done / PageSize::K4.bytes() as u64;
        progress.advance(done.saturating_sub(last));
        last = last.max(done);
    });
    progress.end();
    drop(runs);
    done.map_err(|e| e.within(output.display()))?;
    if file.output().file().metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0) {
        let text = "QEMU says that it wrote the dump, and nothing is in it: QEMU sees other files under this name";
        return Err(Error::new(ErrorKind::Io, text).within(output.display()));
    }
    file.finish()?;
    messages.outcome(&format!("The dumpfile is saved to {}.", output.display()));
    Ok(Exit::Completed)
}

/// Refuses what QEMU will not write, before a file is opened for it.
fn is_to_be_had(qmp: &Qmp, format: GuestFormat) -> Result<()> {
    if !qmp.address().is_local() {
        let text = "QEMU runs on another machine, and would write the dump there";
        return Err(Error::unsupported(text).hint("run gdump there").within(format_args!("qmp:{}", qmp.address())));
    }
    let formats = ask(qmp)?.formats;
    // QEMU before 2.0 does not say
    if formats.is_empty() || formats.iter().any(|known| known == format.name) {
        return Ok(());
    }
    let text = format!("this QEMU writes {}, not {}", formats.join(", "), format.name);
    Err(Error::unsupported(text).within(format_args!("qmp:{}", qmp.address())))
}
