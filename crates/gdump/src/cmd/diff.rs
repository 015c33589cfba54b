//! `gdump diff A B`: prints whether two dumps hold the same memory, whatever their containers.

use crate::exit::Exit;
use crate::messages::print;
use crate::plan::DiffPlan;
use dump::{Comparison, Dump, NoWatch, Result};
use std::fmt::Write;

/// Compares the dumps; exit status 0 if there is no difference, 1 if there is.
///
/// # Errors
/// If one cannot be opened.
pub fn run(plan: &DiffPlan) -> Result<Exit> {
    let open = |inputs: &crate::plan::Inputs| Dump::open_all(&inputs.paths, &inputs.opening(), &NoWatch);
    let (left, right) = (open(&plan.left)?, open(&plan.right)?);
    let found = super::on_threads(plan.threads, || dump::compare(left.source(), right.source()))?;
    let damage: Vec<String> = [&left, &right]
        .iter()
        .flat_map(|dump| {
            let wrong = dump.damage().cloned().into_iter().chain(dump.doubts());
            wrong.map(|wrong| format!("{}: {wrong}\n", dump.name()))
        })
        .collect();
    let same = found.is_same(plan.strict) && damage.is_empty();
    let counts = counts(&found, left.name(), right.name());
    let exit = print(&format!("{}{counts}{}\n", damage.concat(), verdict(&found, same, !damage.is_empty())));
    Ok(if same { exit } else { Exit::Failed })
}

fn counts(found: &Comparison, left: &str, right: &str) -> String {
    let mut text = String::new();
    let mut line = |pages: u64, what: String| {
        if pages != 0 {
            let _ = writeln!(text, "{pages} pages {what}");
        }
    };
    let first = found.first.map_or(String::new(), |pfn| format!(", the first page that is not equal is pfn {pfn}"));
    line(found.equal, "are equal".to_owned());
    line(found.zero, "are zero in one and absent from the other".to_owned());
    line(found.only_other[1], format!("are only in {left}"));
    line(found.only_other[0], format!("are only in {right}"));
    line(found.differ, format!("differ{first}"));
    line(found.damaged[0], format!("are lost or unreadable in {left}{first}"));
    line(found.damaged[1], format!("are lost or unreadable in {right}{first}"));
    line(found.neither, format!("can be read in neither{first}"));
    text
}

fn verdict(found: &Comparison, same: bool, damaged: bool) -> &'static str {
    match (same, found.only_one() + found.neither) {
        (true, 0) => "no difference",
        (true, _) => "no difference in the pages that both hold",
        (false, _) if damaged => "damaged dumps: no telling what the missing part would have held",
        (false, _) if found.nothing_in_common() => "the dumps have no page in common",
        (false, _) => "the dumps differ",
    }
}
