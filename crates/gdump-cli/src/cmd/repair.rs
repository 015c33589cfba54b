//! `gdump repair IN OUT`: writes what is certain of a damaged dump, and lists what is lost.

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages, print};
use crate::output_path::OutputOptions;
use crate::plan::RepairPlan;
use crate::progress::Progress;
use crate::target;
use dump::{Abilities, Conversion, ConvertOptions, Converted, Dump, ErrorKind, Opening, PageSize, PfnRange, Result};
use std::fmt::Write;

/// Saves the dump; exit status 0 if no page is lost, 1 if any is.
///
/// # Errors
/// If nothing of it can be saved, or the output cannot be written.
pub fn run(plan: &RepairPlan) -> Result<Exit> {
    target::check_path(&plan.output, &target::identities(&plan.inputs.files()), plan.force)?;
    let interrupt = Interrupt::listen(Messages::default());
    super::on_threads(plan.threads, || save(plan, interrupt))
}

fn save(plan: &RepairPlan, interrupt: Interrupt) -> Result<Exit> {
    let messages = Messages::new(MessageLevel::default(), false);
    let progress = Progress::new(messages, PageSize::K4, interrupt);
    let opening = Opening { salvage: true, ..plan.inputs.opening() };
    let dump = Dump::open_all(&plan.inputs.paths, &opening, &progress)?;
    let options = ConvertOptions::like(&dump)?;
    let image = dump.into_image(&progress)?;
    image.unread().for_each(|e| messages.error(&format!("{}: {e}", image.name())));
    if let Some(damage) = image.damage().filter(|e| e.kind() != ErrorKind::Io) {
        messages.warning(&format!("{}: {damage}", image.name()));
    }
    let memory = image.memory();
    let conversion = Conversion::new(&image, &memory, None, &options, &|_| Ok(()), &progress);
    let conversion = conversion.map_err(|e| e.within(image.name()))?;
    let flags = options.format.abilities().contains(Abilities::FLAGS_INCOMPLETE);
    let settings = OutputOptions { force: plan.force, own_name: !flags, unsynced: false };
    let mut file = target::open_one(&plan.output, &target::identities(&plan.inputs.files()), settings)?;
    file.begin()?;
    let mut converted = conversion.run(&[file.output()]).map_err(|e| {
        file.discard();
        e.within(file.path(false).display())
    })?;
    let whole = converted.outcome.is_complete() && !image.meta().incomplete;
    if whole {
        converted.outcome.stopped = file.finish().err();
    }
    let name = file.path(whole).display();
    if let Some(e) = &converted.outcome.stopped {
        messages.error(&format!("{name}: {e}"));
    }
    match &converted.outcome.unflagged {
        _ if whole => {}
        _ if !flags => messages.error(&format!("{name}: incomplete, which its name says")),
        Some(e) => messages.error(&format!("{name}: incomplete, and could not be flagged so: {e}")),
        None => messages.error(&format!("{name}: flagged incomplete; what it holds can be read")),
    }
    let exit = print(&report(&converted));
    Ok(if whole && converted.outcome.stopped.is_none() { exit } else { Exit::Failed })
}

/// What was saved, and what was lost: a line for each range of page frames.
fn report(converted: &Converted) -> String {
    let (counts, losses) = (&converted.outcome.counts, &converted.losses);
    let mut text = format!("saved: {} pages\n", counts.compressed + counts.raw + counts.zero);
    for range in losses.ranges() {
        let _ = writeln!(text, "lost: {}", pages(range));
    }
    if losses.unlisted() != 0 {
        let _ = writeln!(text, "lost: {} more pages", losses.unlisted());
    }
    text
}

fn pages(range: PfnRange) -> String {
    match range.len() {
        1 => format!("pfn {}", range.start),
        n => format!("pfns {range}, {n} pages"),
    }
}
