//! The pages that gdump keeps of a guest, at each level, and those that the guest's own words let it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use dump_witness::{Kdump, Memory, contents};

use super::Taken;
use super::flags::{self, Use};
use crate::report::Report;
use crate::{drgn, program, workspace};

/// Pages may change their use between the guest's own words and the dump: so many are noted, and no difference.
const LIVELY: usize = 24;

/// Pages of a difference that are listed.
const LISTED: usize = 6;

/// Runs gdump at each level.
pub fn check(taken: &Taken, gdump: &Path, report: &mut Report) -> Result<()> {
    let scratch = tempfile::Builder::new().prefix("guests").tempdir_in(workspace::target()?)?;
    let out = scratch.path().join("out");
    let make = |level: u32| -> Result<(Kdump, String)> {
        let mut command = Command::new(gdump);
        command.args(["-l", "-f", "-d", &level.to_string(), "--show-stats"]).arg(&taken.dump).arg(&out);
        let output = program::output(&mut command)?;
        program::checked(&command, &output)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((Kdump::open(&out)?, said))
    };
    let words = std::fs::read(&taken.flags).with_context(|| taken.flags.display().to_string())?;
    let failed =
        |level: u32, error: anyhow::Error, report: &mut Report| report.differs(format!("level {level}: {error:#}"));
    let all = match make(0) {
        Ok((dump, _)) => dump,
        Err(error) => {
            failed(0, error, report);
            return Ok(());
        }
    };
    let uses = flags::uses(&words, all.is_big_endian())?;
    for level in 0..32 {
        let (dump, said) = match make(level) {
            Ok(made) => made,
            Err(error) => {
                failed(level, error, report);
                return Ok(());
            }
        };
        said.lines().filter(|line| line.contains("warning")).for_each(|line| {
            report.differs_once(&format!("level {level}"), line.trim().to_owned());
        });
        compare(level, &uses, &all, &dump, report);
        if level == 31 {
            report.note(format!("  {}", counts(&said, &taken.console)?));
            bytes(&dump, &out, taken, report)?;
        }
    }
    Ok(())
}

/// The pages of one dump against the guest's words.
fn compare(level: u32, uses: &[Use], all: &Kdump, dump: &Kdump, report: &mut Report) {
    let end = (uses.len() as u64).min(all.header.max_mapnr);
    let wanted = |pfn: u64| {
        let of = uses.get(pfn as usize).copied().unwrap_or(Use::Absent);
        all.ram.get(pfn) && !of.is_left_out(level)
    };
    let wrong: Vec<u64> = (0..end).filter(|pfn| dump.kept.get(*pfn) != wanted(*pfn)).collect();
    let kept = dump.kept.count();
    let listed = wrong.iter().take(LISTED).map(|pfn| {
        let who = if dump.kept.get(*pfn) { "kept" } else { "left out" };
        format!("{pfn:#x} {who}, {:?}", uses.get(*pfn as usize))
    });
    let listed = listed.collect::<Vec<_>>().join("; ");
    match wrong.len() {
        0 => report.note(format!("  level {level}: the same {kept} pages of {}", all.ram.count())),
        some if some <= LIVELY => report.note(format!("  level {level}: {kept} pages; {some} differ: {listed}")),
        many => report.differs(format!("level {level}: {many} pages: {listed}")),
    }
}

/// Every page that is kept holds the memory's bytes, for us and for drgn.
fn bytes(dump: &Kdump, path: &Path, taken: &Taken, report: &mut Report) -> Result<()> {
    let memory = Memory::open(&taken.dump)?;
    let tally = contents::check(dump, &memory, 2)?;
    if tally.wrong.is_empty() {
        report.note(format!("  {} pages are the memory's", tally.pages));
    } else {
        report.differs(format!("{} of {} pages: {}", tally.wrong.len(), tally.pages, tally.wrong[0]));
    }
    if !drgn::installed() {
        report.left_out("what drgn reads: pip install drgn");
        return Ok(());
    }
    match drgn::check(path, dump, &memory) {
        Ok(pages) => report.note(format!("  drgn reads the memory's bytes in {pages} pages")),
        Err(error) => report.differs(format!("{error:#}")),
    }
    Ok(())
}

/// gdump's counts beside the guest's own.
fn counts(said: &str, console: &Path) -> Result<String> {
    let console = String::from_utf8_lossy(&std::fs::read(console)?).into_owned();
    // the last ones, from after its words on its pages
    let guest = |name: &str| console.lines().rev().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let ours = |name: &str| said.lines().find(|line| line.starts_with(name)).map(str::trim).unwrap_or("");
    Ok(format!(
        "{}; {}; the guest: MemFree {} kB, AnonPages {} kB, Buffers {} kB, Cached {} kB",
        ours("Free pages"),
        ours("User process data pages"),
        guest("MemFree:").unwrap_or("?"),
        guest("AnonPages:").unwrap_or("?"),
        guest("Buffers:").unwrap_or("?"),
        guest("Cached:").unwrap_or("?"),
    ))
}
