//! `gdump diff A B`: prints whether two dumps hold the same memory, whatever their containers.

use crate::exit::Exit;
use crate::messages::print;
use crate::plan::DiffPlan;
use dump::{Comparison, Dump, NoWatch, Result};
use serde::Serialize;
use std::fmt::Write;

/// Version of the JSON below; fields may be added to it without a new one (docs/schema/diff.json).
const SCHEMA_VERSION: u32 = 1;

/// What `gdump diff --json` prints; numbers are pages, pairs are of the first dump and the second.
#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    files: [Vec<String>; 2],
    same: bool,
    verdict: &'static str,
    damage: &'a [String],
    equal: u64,
    zero_in_one: u64,
    differ: u64,
    only_in: [u64; 2],
    damaged_in: [u64; 2],
    in_neither: u64,
    first_different_pfn: Option<u64>,
}

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
            wrong.map(|wrong| format!("{}: {wrong}", dump.name()))
        })
        .collect();
    let same = found.is_same(plan.strict) && damage.is_empty();
    let exit = print(&if plan.json {
        json(plan, &found, same, &damage)
    } else {
        text(&found, same, &damage, [left.name(), right.name()])
    });
    Ok(if same { exit } else { Exit::Failed })
}

fn text(found: &Comparison, same: bool, damage: &[String], names: [&str; 2]) -> String {
    let damaged: String = damage.iter().map(|line| format!("{line}\n")).collect();
    format!("{damaged}{}{}\n", counts(found, names[0], names[1]), verdict(found, same, !damage.is_empty()))
}

fn json(plan: &DiffPlan, found: &Comparison, same: bool, damage: &[String]) -> String {
    let files =
        [&plan.left, &plan.right].map(|side| side.paths.iter().map(|path| path.display().to_string()).collect());
    // compare counts by which dump lacks them
    let only_in = [found.only_other[1], found.only_other[0]];
    let report = Report {
        schema_version: SCHEMA_VERSION,
        files,
        same,
        verdict: verdict(found, same, !damage.is_empty()),
        damage,
        equal: found.equal,
        zero_in_one: found.zero,
        differ: found.differ,
        only_in,
        damaged_in: found.damaged,
        in_neither: found.neither,
        first_different_pfn: found.first.map(|pfn| pfn.0),
    };
    format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())
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
