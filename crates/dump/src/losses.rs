//! Pages that a source should give and does not.

use dump_core::{
    Absence, CodecSet, Content, DumpMeta, PageBitmap, PageReader, PageSource, Pfn, PfnRange, Push, Result, Span,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ranges that are kept at most: what lies further on is counted, not listed.
const MAX_RANGES: usize = 1 << 16;

/// Page frames whose content is lost or cannot be read, as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Ends by starts; disjoint, none touches the next.
    ranges: BTreeMap<u64, u64>,
    pages: u64,
    /// Pages that are in no range, for there were too many of these.
    unlisted: u64,
}

impl Losses {
    /// How many page frames they are.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Them, ascending; a list that would be too long ends early.
    pub fn ranges(&self) -> impl Iterator<Item = PfnRange> + '_ {
        self.ranges.iter().map(|(start, end)| PfnRange::new(Pfn(*start), Pfn(*end)))
    }

    /// Pages that are in no range of the list.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// The first few, as text: "pfn 0x10..0x12, 0x15 and 7 more".
    pub fn first_few(&self) -> String {
        const FEW: usize = 4;
        let few: Vec<PfnRange> = self.ranges().take(FEW).collect();
        let named: u64 = few.iter().map(|range| range.len()).sum();
        let names: Vec<String> = few.iter().map(|range| name(*range)).collect();
        let more = if self.pages > named { format!(" and {} more", self.pages - named) } else { String::new() };
        format!("pfn {}{more}", names.join(", "))
    }

    fn add(&mut self, range: PfnRange) {
        self.pages += range.len();
        let (mut start, mut end) = (range.start.0, range.end.0);
        if let Some((before, to)) = self.ranges.range(..=start).next_back().filter(|(_, to)| **to >= start) {
            (start, end) = (*before, end.max(*to));
        }
        while let Some((after, to)) = self.ranges.range(start..).next().filter(|(after, _)| **after <= end) {
            let (after, to) = (*after, *to);
            end = end.max(to);
            self.ranges.remove(&after);
        }
        if self.ranges.len() < MAX_RANGES {
            self.ranges.insert(start, end);
        } else {
            self.unlisted += range.len();
        }
    }
}

/// A range of page frames, as text.
fn name(range: PfnRange) -> String {
    match range.len() {
        1 => range.start.to_string(),
        _ => range.to_string(),
    }
}

/// A source that notes which of the pages that are read from it are not there.
pub(crate) struct Noted<'a> {
    source: &'a dyn PageSource,
    losses: Mutex<Losses>,
}

impl<'a> Noted<'a> {
    /// The same as `source`.
    pub fn new(source: &'a dyn PageSource) -> Noted<'a> {
        Noted { source, losses: Mutex::default() }
    }

    /// What was not there.
    pub fn losses(&self) -> Losses {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageSource for Noted<'_> {
    fn meta(&self) -> &DumpMeta {
        self.source.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.source.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.source.mark_held(held)
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(NotedReader { noted: self, reader: self.source.reader() })
    }
}

struct NotedReader<'a> {
    noted: &'a Noted<'a>,
    reader: Box<dyn PageReader + 'a>,
}

impl PageReader for NotedReader<'_> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        let noted = self.noted;
        self.reader.visit(run, accept, &mut |span: Span<'_>| {
            if let Content::Absent(Absence::Lost | Absence::Unreadable) = span.content {
                noted.lock().add(span.pages);
            }
            push(span)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[(u64, u64)]) -> Losses {
        let mut losses = Losses::default();
        ranges.iter().for_each(|(start, end)| losses.add(PfnRange::new(Pfn(*start), Pfn(*end))));
        losses
    }

    #[test]
    fn ranges_join_in_any_order() {
        let losses = of(&[(8, 9), (1, 2), (2, 4), (7, 8), (20, 30)]);
        let ranges: Vec<(u64, u64)> = losses.ranges().map(|range| (range.start.0, range.end.0)).collect();
        assert_eq!((ranges, losses.pages()), (vec![(1, 4), (7, 9), (20, 30)], 15));
    }

    #[test]
    fn a_few_are_named() {
        assert_eq!(of(&[(5, 6)]).first_few(), "pfn 0x5");
        assert_eq!(
            of(&[(1, 2), (4, 6), (8, 9), (10, 11), (20, 30)]).first_few(),
            "pfn 0x1, 0x4..0x6, 0x8, 0xa and 10 more"
        );
    }
}
