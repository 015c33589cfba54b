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

/// Runs gdump at each level; page frame 0 of its dumps is the guest's `first`.
pub fn check(taken: &Taken, first: u64, gdump: &Path, report: &mut Report) -> Result<()> {
    let scratch = tempfile::Builder::new().prefix("guests").tempdir_in(workspace::target()?)?;
    let out = scratch.path().join("out");
    let make = |level: u32| -> Result<(Kdump, String)> {
        let mut command = Command::new(gdump);
        command.args(["-l", "-f", "-d", &level.to_string(), "--show-stats"]).arg(&taken.dump).arg(&out);
        let output = program::output(&mut command)?;
        program::checked(&command, &output)?;
        let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
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
    let guest = Guest {
        uses: flags::uses(&words, all.is_big_endian())?.into_iter().skip(usize::try_from(first)?).collect(),
        console: String::from_utf8_lossy(&std::fs::read(&taken.console)?).into_owned(),
    };
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
        guest.compare(level, &all, &dump, &said, report);
        if level == 31 {
            report.note(format!("  {}", guest.counts(&said)));
            bytes(&dump, &out, taken, first, report)?;
        }
    }
    Ok(())
}

/// What a guest said.
struct Guest {
    /// Of its pages.
    uses: Vec<Use>,
    console: String,
}

impl Guest {
    /// The pages of one dump against the guest's words.
    fn compare(&self, level: u32, all: &Kdump, dump: &Kdump, said: &str, report: &mut Report) {
        let end = (self.uses.len() as u64).min(all.header.max_mapnr);
        let of = |pfn: u64| self.uses.get(pfn as usize).copied().unwrap_or(Use::Absent);
        let differs = |pfn: &u64| dump.kept.get(*pfn) != (all.ram.get(*pfn) && !of(*pfn).is_left_out(level));
        let (freed, wrong): (Vec<u64>, Vec<u64>) =
            (0..end).filter(differs).partition(|pfn| matches!(of(*pfn), Use::Free | Use::Kernel) && level & 16 != 0);
        let listed = freed.iter().chain(&wrong).take(LISTED).map(|pfn| {
            let who = if dump.kept.get(*pfn) { "kept" } else { "left out" };
            format!("{pfn:#x} {who}, {:?}", of(*pfn))
        });
        let listed = listed.collect::<Vec<_>>().join("; ");
        let kept = dump.kept.count();
        // it frees pages, and takes some, after it has spoken of each; of how many are free it speaks last
        let as_many = self.free_pages(all).abs_diff(free_pages(said)) <= LIVELY as u64;
        match (freed.len(), wrong.len()) {
            (0, 0) => report.note(format!("  level {level}: the same {kept} pages of {}", all.ram.count())),
            (freed, wrong) if wrong <= LIVELY && (freed <= LIVELY || as_many) => {
                report.note(format!("  level {level}: {kept} pages; {} differ: {listed}", freed + wrong));
            }
            (freed, wrong) => report.differs(format!("level {level}: {} pages: {listed}", freed + wrong)),
        }
    }

    /// The last number (kB) that it gave under a name.
    fn number(&self, name: &str) -> u64 {
        let mut values = self.console.lines().rev().filter_map(|line| line.trim().strip_prefix(name));
        values.find_map(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    fn free_pages(&self, dump: &Kdump) -> u64 {
        self.number("MemFree:") * 1024 / dump.header.page_size
    }

    /// gdump's counts beside the guest's own.
    fn counts(&self, said: &str) -> String {
        let numbers =
            ["MemFree:", "AnonPages:", "Buffers:", "Cached:"].map(|name| format!("{name} {} kB", self.number(name)));
        format!("{} pages are free; the guest: {}", free_pages(said), numbers.join(", "))
    }
}

/// The free pages that gdump counted.
fn free_pages(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Free pages")?.split_once("0x"));
    line.and_then(|(_, number)| u64::from_str_radix(number.trim(), 16).ok()).unwrap_or(0)
}

/// Every page that is kept holds the memory's bytes, for us and for drgn.
fn bytes(dump: &Kdump, path: &Path, taken: &Taken, first: u64, report: &mut Report) -> Result<()> {
    let memory = match Memory::open(&taken.dump) {
        Ok(memory) => memory.counted_from(first * dump.header.page_size),
        Err(error) => {
            report.left_out(format!("what the pages hold: {error:#}"));
            return Ok(());
        }
    };
    let tally = contents::check(dump, &memory, 2)?;
    if tally.wrong.is_empty() {
        report.note(format!("  {} pages are the memory's", tally.pages));
    } else {
        report.differs(format!("{} of {} pages: {}", tally.wrong.len(), tally.pages, tally.wrong[0]));
    }
    if first != 0 {
        report.left_out("what drgn reads: it does not know where page frame 0 is");
        return Ok(());
    }
    if !drgn::installed() {
        report.left_out("what drgn reads: pip install drgn");
        return Ok(());
    }
    match drgn::check(path, dump, &memory) {
        Ok(pages) => report.note(format!("  drgn reads the memory's bytes in {pages} pages")),
        Err(error) if drgn::has_no_such_machine(&error) => {
            report.left_out("what drgn reads: libkdumpfile has no such machine");
        }
        Err(error) => report.differs(format!("{error:#}")),
    }
    Ok(())
}
