//! A dump that QEMU writes, in a format of its own.

use super::session::Session;
use super::stages::Stages;
use crate::exit::Exit;
use crate::messages::Messages;
use crate::output_path::OutputOptions;
use crate::plan::Stop;
use crate::progress::Progress;
use crate::target;
use dump::{GuestFormat, PageSize, Phase, Result, Watch, WholeDump};
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
    target::check_path(output, &[], force)?;
    let (interrupt, runs) = super::heed(&session, messages)?;
    let stages = Stages::default();
    super::stand_still(messages, stop, &session, &stages)?;
    let qmp = session.qmp()?;
    let mut file = target::open_one(output, &[], OutputOptions { force, ..OutputOptions::default() })?;
    file.begin()?;
    let started = if qmp.passes_files() {
        WholeDump::to_file(Arc::clone(qmp), file.output().file().as_fd(), format.name)
    } else {
        WholeDump::to_path(Arc::clone(qmp), output, format.name)
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
    file.finish()?;
    messages.outcome(&format!("The dumpfile is saved to {}.", output.display()));
    Ok(Exit::Completed)
}
