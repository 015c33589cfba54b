//! `gdump check FILE`: reads everything and says what is wrong with it, a line for each kind of damage.

use crate::exit::Exit;
use crate::messages::print;
use crate::open::{Container, Dump};
use crate::plan::CheckPlan;
use dump_core::{Absence, CodecSet, Content, PageBitmap, Pfn, PfnRange, Result, Scratch, share_out};
use dump_kdump::{Damage, Fault};
use std::collections::BTreeMap;

/// Pages that a worker takes at a time, and that are asked for at once.
const WINDOW: u64 = 1 << 12;
const AT_ONCE: u64 = 64;

/// Checks the dump; a set of parts is one dump.
///
/// # Errors
/// Where it cannot even be opened.
pub fn run(plan: &CheckPlan) -> Result<Exit> {
    let dump = super::open(&plan.inputs)?;
    let names: Vec<String> = plan.inputs.paths.iter().map(|path| path.display().to_string()).collect();
    let lines = on_dump(plan.threads, &dump)?;
    let name = names.join(", ");
    let text: String = lines.iter().map(|line| format!("{name}: {line}\n")).collect();
    let exit = if lines.is_empty() { print(&format!("{name}: no damage found\n")) } else { print(&text) };
    Ok(if lines.is_empty() { exit } else { Exit::Failed })
}

fn on_dump(threads: usize, dump: &Dump) -> Result<Vec<String>> {
    let mut lines: Vec<String> = dump.damage.iter().map(|damage| damage.to_string()).collect();
    let headers = match &dump.container {
        Container::Kdump(file) => file.check_headers(),
        Container::Split(set) => set.check_headers(),
        _ => Vec::new(),
    };
    lines.extend(headers.iter().map(|wrong| wrong.to_string()));
    let meta = dump.source().meta();
    if meta.incomplete {
        lines.push("flagged incomplete: it was cut off when it was made".to_owned());
    }
    let (ram, held) = super::bitmaps(dump.source())?;
    let strays: u64 = held.runs(held.span()).map(|run| run.len() - ram.count(run)).sum();
    if strays != 0 {
        lines.push(format!("{strays} pages are in the 2nd bitmap but not in the 1st"));
    }
    let faults = super::on_threads(threads, || faults(dump, &held))?;
    for (kind, (count, first)) in &faults {
        lines.push(format!("{count} pages: {kind}; the first {first}"));
    }
    Ok(lines)
}

/// Kinds of damage, each with its number of pages and what was found first.
type Faults = BTreeMap<&'static str, (u64, String)>;

fn faults(dump: &Dump, held: &PageBitmap) -> Result<Faults> {
    let windows = (0..held.span().end.0.div_ceil(WINDOW)).map(|i| PfnRange::at(Pfn(i * WINDOW), WINDOW));
    let windows = windows.filter(|window| held.count(*window) != 0);
    let parts: Vec<Result<Faults>> = share_out(windows, Scratch::default, |scratch, window| {
        let mut faults = Faults::new();
        for run in held.runs(window) {
            for start in (run.start.0..run.end.0).step_by(AT_ONCE as usize) {
                let piece = PfnRange::at(Pfn(start), AT_ONCE).intersect(run);
                check_run(dump, piece, scratch, &mut faults)?;
            }
        }
        Ok(faults)
    });
    let mut all = Faults::new();
    for part in parts {
        for (kind, (count, first)) in part? {
            all.entry(kind).or_insert((0, first)).0 += count;
        }
    }
    Ok(all)
}

fn check_run(dump: &Dump, run: PfnRange, scratch: &mut Scratch, faults: &mut Faults) -> Result<()> {
    let mut fault = |fault: Fault| {
        let first = || format!("pfn {}: {}", fault.pfn, fault.error);
        faults.entry(Damage::describe(fault.damage)).or_insert_with(|| (0, first())).0 += 1;
    };
    match &dump.container {
        Container::Kdump(file) => file.check(run, scratch, &mut fault),
        Container::Split(set) => set.check(run, scratch, &mut fault),
        _ => dump.source().visit(run, CodecSet::NONE, scratch, &mut |span| {
            let kind = match span.content {
                Content::Absent(Absence::Unreadable) => "unreadable, or past the end of the file",
                Content::Absent(_) => "not there, though the headers say so",
                _ => return Ok(()),
            };
            let first = format!("pfn {}", span.pages.start);
            faults.entry(kind).or_insert((0, first)).0 += span.pages.len();
            Ok(())
        }),
    }
}
