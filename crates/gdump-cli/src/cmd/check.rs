//! `gdump check FILE`: reads everything and prints what is wrong with it, a line for each kind of damage, and how far its
//! own checksums vouch for the rest.

use crate::checksum;
use crate::escape::escaped_line;
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
    /// Files that were compared with checksums beside them.
    checksums: Vec<String>,
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
    let (found, compared) = super::on_threads(plan.threads, || {
        let mut found = dump.check()?;
        let mut compared = Vec::new();
        for path in &plan.inputs.paths {
            match checksum::read(path) {
                Ok(Some((file, sums))) => {
                    found.damage.extend(dump.check_sums(&file, &sums)?);
                    compared.push(checksum::path_of(path).display().to_string());
                }
                Ok(None) => {}
                // the rest is looked at all the same
                Err(e) => found.damage.push(e.to_string()),
            }
        }
        Ok((found, compared))
    })?;
    let exit = print(&if plan.json { json(plan, &found, compared) } else { text(dump.name(), &found, &compared) });
    Ok(if found.is_sound() { exit } else { Exit::Failed })
}

fn text(name: &str, found: &Checked, compared: &[String]) -> String {
    let vouching = match compared {
        [] => found.vouching(),
        files => format!("compared with the checksums in {}", files.join(", ")),
    };
    let sound = found.is_sound().then_some("no damage found");
    let lines = found.damage.iter().map(String::as_str).chain(sound).chain([vouching.as_str()]);
    lines.map(|line| format!("{name}: {}\n", escaped_line(line))).collect()
}

fn json(plan: &CheckPlan, found: &Checked, checksums: Vec<String>) -> String {
    let pages = found.vouched.iter().map(|v| Pages { stored: v.stored, pages: v.pages, checksum: v.checksum });
    let report = Report {
        schema_version: SCHEMA_VERSION,
        files: plan.inputs.paths.iter().map(|path| path.display().to_string()).collect(),
        sound: found.is_sound(),
        checksums,
        damage: &found.damage,
        pages: pages.collect(),
    };
    format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())
}
