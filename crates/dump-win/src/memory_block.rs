//! PhysicalMemoryBlock: the runs of RAM that a header has room for.
//!
//! | 64 bit | 32 bit | field |
//! |---|---|---|
//! | 0 | 0 | NumberOfRuns (u32) |
//! | 8 | 4 | NumberOfPages (a word), of all runs |
//! | 16 | 8 | runs: BasePage and PageCount (a word each) |

use crate::header::Header;
use crate::layout::Layout;
use dump_core::{Error, PageBitmap, PageSet, Pfn, PfnRange, Result};

/// Where RAM is, as a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBlock {
    /// Runs of page frames of 4 KiB, in the order in which they stand.
    pub runs: Vec<PfnRange>,
    /// How many pages there are in all: as many as in the runs, unless some of those were joined over gaps.
    pub pages: u64,
}

impl MemoryBlock {
    pub(crate) fn decode(header: &Header) -> Result<Option<MemoryBlock>> {
        let layout = header.layout();
        let (at, word) = (layout.memory, layout.word.bytes());
        if !header.is_set(at, 2 * word) || header.u32(at) == u32::from_le_bytes(*b"PAGE") {
            return Ok(None);
        }
        let number = header.u32(at) as usize;
        let most = layout.most_runs();
        if number > most {
            let text = format!("PhysicalMemoryBlock at offset {at:#x}: {number} runs, expected at most {most}");
            return Err(Error::corrupt(text));
        }
        let run = |i: usize| {
            let at = at + 2 * word * (i + 1);
            run(header.word_at(at), header.word_at(at + word))
                .map_err(|e| e.within(format_args!("run {i} at offset {at:#x}")))
        };
        let runs = (0..number).map(run).collect::<Result<_>>()?;
        Ok(Some(MemoryBlock { runs, pages: header.word_at(at + word) }))
    }

    /// How many pages the runs have.
    pub fn pages_of_runs(&self) -> u64 {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Whether its runs are RAM page for page: none were joined over a gap.
    pub fn is_exact(&self) -> bool {
        self.pages == self.pages_of_runs()
    }

    /// The runs of `ram`, whose pages are each `scale` pages of 4 KiB, with the narrowest gaps left out where they are
    /// more than `most`.
    ///
    /// # Errors
    /// What `ram` returns.
    pub(crate) fn of(ram: &dyn PageSet, scale: u64, most: usize) -> Result<MemoryBlock> {
        let mut runs: Vec<PfnRange> = Vec::new();
        let mut pages = 0;
        ram.each_run(ram.span(), &mut |run| {
            pages += run.len() * scale;
            let run = PfnRange::new(Pfn(run.start.0 * scale), Pfn(run.end.0 * scale));
            match runs.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => runs.push(run),
            }
            // memory may lie in millions of pieces
            if runs.len() > 2 * MOST_HELD {
                join(&mut runs, MOST_HELD);
            }
            Ok(())
        })?;
        join(&mut runs, most);
        Ok(MemoryBlock { runs, pages })
    }

    pub(crate) fn encode(&self, layout: &Layout, filler: [u8; 4]) -> Vec<u8> {
        let word = layout.word.bytes();
        let mut out = (self.runs.len() as u32).to_le_bytes().to_vec();
        out.resize(word, 0);
        let mut put = |value: u64| out.extend_from_slice(&value.to_le_bytes()[..word]);
        put(self.pages);
        for run in self.runs.iter().take(layout.most_runs()) {
            put(run.start.0);
            put(run.len());
        }
        let mut filler = filler.into_iter().cycle();
        out.resize_with(layout.memory_len, || filler.next().unwrap_or_default());
        out
    }
}

/// Runs that are held before they are joined.
const MOST_HELD: usize = 1 << 12;

/// Leaves out the narrowest gaps until there are `most` runs.
fn join(runs: &mut Vec<PfnRange>, most: usize) {
    let Some(excess) = runs.len().checked_sub(most.max(1)).filter(|excess| *excess != 0) else { return };
    let mut gaps: Vec<(u64, usize)> = (1..runs.len()).map(|i| (runs[i].start - runs[i - 1].end, i)).collect();
    gaps.sort_unstable();
    let mut bridged = vec![false; runs.len()];
    gaps.iter().take(excess).for_each(|(_, i)| bridged[*i] = true);
    let mut out: Vec<PfnRange> = Vec::new();
    for (run, bridged) in runs.iter().zip(bridged) {
        match out.last_mut() {
            Some(last) if bridged => last.end = run.end,
            _ => out.push(*run),
        }
    }
    *runs = out;
}

/// A run as a header has it.
///
/// # Errors
/// `Corrupt` if no machine has such memory.
pub(crate) fn run(start: u64, pages: u64) -> Result<PfnRange> {
    match start.checked_add(pages) {
        Some(end) if end <= PageBitmap::MAX_PAGES => Ok(PfnRange::new(Pfn(start), Pfn(end))),
        _ => {
            let most = PageBitmap::MAX_PAGES;
            Err(Error::corrupt(format!("{pages:#x} pages from page frame {start:#x} on, expected none past {most:#x}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_kit::set_of;

    #[test]
    fn runs_by_their_place() {
        let mut header = Header::unset();
        let block =
            MemoryBlock { runs: vec![PfnRange::at(Pfn(1), 0x9e), PfnRange::at(Pfn(0x100), 0x700)], pages: 0x79e };
        header.set_memory(&block);
        let field = |at: usize| header.word_at(0x88 + at);
        assert_eq!([field(0), field(8), field(16), field(24), field(32), field(40)], [2, 0x79e, 1, 0x9e, 0x100, 0x700]);
        assert_eq!(field(48), u64::from_le_bytes(*b"PAGEPAGE"));
        assert_eq!(header.memory().unwrap(), Some(block));
        header.put(0x88, &43u32.to_le_bytes());
        assert_eq!(
            header.memory().unwrap_err().to_string(),
            "PhysicalMemoryBlock at offset 0x88: 43 runs, expected at most 42"
        );
    }

    #[test]
    fn the_narrowest_gaps_go_first() {
        let ram = set_of(&[(1, 2), (3, 5), (10, 12), (13, 14), (100, 101)], 200);
        let block = MemoryBlock::of(&ram, 2, 3).unwrap();
        let runs: Vec<_> = block.runs.iter().map(|run| (run.start.0, run.end.0)).collect();
        assert_eq!((runs, block.pages), (vec![(2, 10), (20, 28), (200, 202)], 14));
        assert!(!block.is_exact() && MemoryBlock::of(&ram, 1, 5).unwrap().is_exact());
    }

    #[test]
    fn runs_that_no_machine_has() {
        for (start, pages) in [(u64::MAX, 1), (1, u64::MAX), (0, (1 << 36) + 1)] {
            assert!(run(start, pages).is_err(), "{start:#x} {pages:#x}");
        }
        assert_eq!(run((1 << 36) - 1, 1).unwrap().len(), 1);
    }
}
