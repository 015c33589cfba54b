//! Whether all of a dump can be read.

use crate::bitmaps::bitmaps;
use crate::claims;
use crate::open::Dump;
use dump_core::{Container, Depth, Error, Fault, PageBitmap, Pfn, PfnRange, ReadAt, Result, Vouched, share_out};
use dump_sum::Sums;
use std::collections::BTreeMap;
use std::ops::Range;

/// Pages that a worker takes at a time, and that it looks at at once.
const PAGES_PER_TURN: u64 = 1 << 12;
const PAGES_PER_LOOK: u64 = 64;

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// A line for each kind of damage.
    pub damage: Vec<String>,
    /// How pages are stored, and which of them carry a checksum; none where no page does. Damage within a page without
    /// one is not seen.
    pub vouched: Vec<Vouched>,
}

impl Checked {
    /// Whether no damage was found.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Pages that a checksum vouches for, and stored pages that none does.
    pub fn vouched_pages(&self) -> (u64, u64) {
        let sum = |with: bool| {
            let those = self.vouched.iter().filter(|vouched| vouched.checksum.is_some() == with);
            those.map(|vouched| vouched.pages).sum()
        };
        (sum(true), sum(false))
    }

    /// How far the dump's own bytes vouch for its pages, in a line.
    pub fn vouching(&self) -> String {
        if self.vouched.is_empty() {
            return "its pages carry no checksum: damage within them is not seen".to_owned();
        }
        let (with, without) = self.vouched_pages();
        let ways = |with: bool| {
            let those = self.vouched.iter().filter(|vouched| vouched.checksum.is_some() == with);
            let names = those.map(|vouched| match vouched.checksum {
                Some(checksum) => format!("{}'s {checksum}", vouched.stored),
                None => vouched.stored.to_owned(),
            });
            names.collect::<Vec<_>>().join(", ")
        };
        match (with, without) {
            (_, 0) => format!("all {with} stored pages carry a checksum ({})", ways(true)),
            (0, _) => format!("{without} pages ({}) carry no checksum: damage within them is not seen", ways(false)),
            _ => format!(
                "{with} pages carry a checksum ({}); {without} carry none ({}): damage within them is not seen",
                ways(true),
                ways(false)
            ),
        }
    }
}

impl Dump {
    /// Reads everything, on all workers of the current rayon pool.
    ///
    /// # Errors
    /// A failure that touches more than pages.
    pub fn check(&self) -> Result<Checked> {
        let mut lines: Vec<String> = self.damage().iter().map(|damage| damage.to_string()).collect();
        lines.extend(self.container().check_headers().iter().map(|wrong| wrong.to_string()));
        if self.meta().incomplete {
            lines.push("flagged incomplete: writing it was not completed".to_owned());
        }
        if let Err(e) = claims::check(self.source()) {
            lines.push(e.to_string());
            // a line for each of them would say no more
            return Ok(Checked { damage: lines, vouched: Vec::new() });
        }
        let survey = self.container().survey(Depth::File)?;
        lines.extend(survey.wrong.iter().map(|wrong| wrong.to_string()));
        let (ram, held) = bitmaps(self.source())?;
        let strays: u64 = held.runs(held.span()).map(|run| run.len() - ram.count(run)).sum();
        if strays != 0 {
            lines.push(stray(strays));
        }
        for (kind, (pages, first)) in faults(self.container(), &held)? {
            lines.push(format!("{pages} pages: {kind}; the first {first}"));
        }
        Ok(Checked { damage: lines, vouched: survey.vouched })
    }
}

impl Dump {
    /// Compares the dump's file with checksums that were made when it was written, on all workers of the current rayon
    /// pool; returns a line for each stretch that is not as it was, with the pages that it belongs to.
    ///
    /// # Errors
    /// If the length of the file cannot be had.
    pub fn check_sums(&self, file: &dyn ReadAt, sums: &Sums) -> Result<Vec<String>> {
        let bad = share_out(
            sums.blocks(),
            || file.reader(),
            |reader, (range, hash)| (!Sums::holds(reader.as_mut(), (range.clone(), hash))).then_some(range),
        );
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for range in bad.into_iter().flatten() {
            match stretches.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => stretches.push(range),
            }
        }
        let mut lines: Vec<String> = stretches.iter().map(|range| self.stretch(range)).collect();
        let (len, was) = (file.len()?, sums.file_len());
        if len != was {
            lines.push(format!("has {len} bytes, and had {was} when its checksums were made"));
        }
        Ok(lines)
    }

    fn stretch(&self, range: &Range<u64>) -> String {
        // offsets of a file that is wrapped are not those of the container
        let pages = if self.layers().is_empty() { self.container().pages_in(range.clone()) } else { Ok(Vec::new()) };
        let pages = pages.unwrap_or_default();
        let whose = match (pages.first(), pages.last()) {
            (Some(first), Some(last)) => {
                let count: u64 = pages.iter().map(|pages| pages.len()).sum();
                format!(", of {count} pages within pfns {}..{}", first.start, last.end)
            }
            _ => String::new(),
        };
        format!("bytes {:#x}..{:#x} are not as its checksums have them{whose}", range.start, range.end)
    }
}

/// What is wrong with a container besides its pages, a line each: with its headers, its bitmaps and what leads to its
/// pages.
pub(crate) fn index_troubles(container: &dyn Container) -> Vec<String> {
    let damage = container.damage().into_iter().chain(container.header_faults());
    let mut lines: Vec<String> = damage.map(|damage| damage.to_string()).collect();
    if let Err(e) = claims::check(&container) {
        lines.push(e.to_string());
        return lines;
    }
    match container.survey(Depth::File) {
        Ok(survey) => {
            lines.extend(survey.wrong.iter().map(|wrong| wrong.to_string()));
            if survey.astray != 0 {
                lines.push(format!("{} pages: their descriptors lead to no page", survey.astray));
            }
        }
        Err(e) => lines.push(e.to_string()),
    }
    match strays(container) {
        Ok(0) => {}
        Ok(strays) => lines.push(stray(strays)),
        Err(e) => lines.push(e.to_string()),
    }
    lines
}

/// Page frames whose bits are held at a time to look for strays: 2 MiB of each bitmap.
const PAGES_PER_STRAYS: u64 = 1 << 24;

/// Pages that a container means to hold and that are no RAM.
fn strays(container: &dyn Container) -> Result<u64> {
    let end = container.meta().end_pfn;
    let mut strays = 0;
    for start in (0..end.0).step_by(PAGES_PER_STRAYS as usize) {
        let window = PfnRange::new(Pfn(start), (Pfn(start) + PAGES_PER_STRAYS).min(end));
        let new =
            || PageBitmap::windowed(window).ok_or_else(|| Error::corrupt(format!("memory up to page frame {end}")));
        let (mut ram, mut held) = (new()?, new()?);
        container.mark_ram(&mut ram)?;
        container.mark_held(&mut held)?;
        strays += held.runs(window).map(|run| run.len() - ram.count(run)).sum::<u64>();
    }
    Ok(strays)
}

fn stray(pages: u64) -> String {
    format!("{pages} pages are in the 2nd bitmap but not in the 1st")
}

/// Kinds of damage, each with its number of pages and what was found first.
type Faults = BTreeMap<&'static str, (u64, String)>;

fn faults(container: &dyn Container, held: &PageBitmap) -> Result<Faults> {
    let end = held.span().end.0;
    let turns = (0..end.div_ceil(PAGES_PER_TURN)).map(|i| PfnRange::at(Pfn(i * PAGES_PER_TURN), PAGES_PER_TURN));
    let turns = turns.filter(|turn| held.count(*turn) != 0);
    let found = share_out(
        turns,
        || container.checker(),
        |checker, turn| {
            let mut faults = Faults::new();
            for run in held.runs(turn) {
                for start in (run.start.0..run.end.0).step_by(PAGES_PER_LOOK as usize) {
                    let piece = PfnRange::at(Pfn(start), PAGES_PER_LOOK).intersect(run);
                    checker.check(piece, &mut |fault| note(fault, &mut faults))?;
                }
            }
            Ok(faults)
        },
    );
    let mut all = Faults::new();
    for part in found.into_iter().collect::<Result<Vec<Faults>>>()? {
        for (kind, (pages, first)) in part {
            all.entry(kind).or_insert((0, first)).0 += pages;
        }
    }
    Ok(all)
}

fn note(fault: Fault, faults: &mut Faults) {
    let first = || match &fault.error {
        Some(error) => format!("pfn {}: {error}", fault.pages.start),
        None => format!("pfn {}", fault.pages.start),
    };
    faults.entry(fault.damage.describe()).or_insert_with(|| (0, first())).0 += fault.pages.len();
}
