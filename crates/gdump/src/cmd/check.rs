//! `gdump check FILE`: reads everything and prints what is wrong with it, a line for each kind of damage, and how far its
//! own checksums vouch for the rest.

use crate::exit::Exit;
use crate::messages::print;
use crate::plan::CheckPlan;
use dump::{Checked, Result};
use serde::Serialize;

/// Version of the JSON below; fields may be added to it without a new one.
const SCHEMA_VERSION: u32 = 1;

/// What `gdump check --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    files: Vec<String>,
    sound: bool,
    damage: &'a [String],
    pages: Vec<Pages>,
}

/// Pages that are stored in one way.
#[derive(Serialize)]
struct Pages {
    stored: &'static str,
    pages: u64,
    checksum: Option<&'static str>,
}

/// Checks the dump; a set of parts is one dump.
///
/// # Errors
/// If it cannot even be opened.
pub fn run(plan: &CheckPlan) -> Result<Exit> {
    let dump = super::open(&plan.inputs)?;
    let found = super::on_threads(plan.threads, || dump.check())?;
    let exit = print(&if plan.json { json(plan, &found) } else { text(dump.name(), &found) });
    Ok(if found.is_sound() { exit } else { Exit::Failed })
}

fn text(name: &str, found: &Checked) -> String {
    let vouching = found.vouching();
    let sound = found.is_sound().then_some("no damage found");
    let lines = found.damage.iter().map(String::as_str).chain(sound).chain([vouching.as_str()]);
    lines.map(|line| format!("{name}: {line}\n")).collect()
}

fn json(plan: &CheckPlan, found: &Checked) -> String {
    let pages = found.vouched.iter().map(|v| Pages { stored: v.stored, pages: v.pages, checksum: v.checksum });
    let report = Report {
        schema_version: SCHEMA_VERSION,
        files: plan.inputs.paths.iter().map(|path| path.display().to_string()).collect(),
        sound: found.is_sound(),
        damage: &found.damage,
        pages: pages.collect(),
    };
    format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())
}
