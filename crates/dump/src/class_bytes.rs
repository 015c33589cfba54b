//! Where the bytes of a kdump file go: what the pages of each class would take in it, by a sample.
//!
//! Of each class in each block one page is read and compressed, which stands for all of that class in the block: one of each
//! of up to 3072 stretches of memory. It is the one whose number has the least hash, so that the same pages are picked
//! whoever came upon them first. Nothing is read that the dump would not hold.

use crate::class_map::MapOptions;
use crate::estimate::{Worker, head_bytes};
use crate::image::Image;
use crate::page_class::{ClassCounts, PageClass};
use crate::ram::Ram;
use dump_core::{CodecId, DumpMeta, PageSet, Pfn, PfnRange, Result, share_out};
use dump_filter::DumpLevel;
use dump_kdump::desc::PageDesc;

/// Picked pages that a worker takes at a time.
const PICKS_PER_TURN: usize = 32;

/// Pages of one class in one block that go into the dump, and one of them.
#[derive(Clone, Copy)]
struct Pick {
    pages: u64,
    hash: u64,
    pfn: Pfn,
}

const NONE: Pick = Pick { pages: 0, hash: u64::MAX, pfn: Pfn(u64::MAX) };

/// What goes into a dump of each class in a block.
pub(crate) struct Picks([Pick; PageClass::ALL.len()]);

impl Default for Picks {
    fn default() -> Picks {
        Picks([NONE; PageClass::ALL.len()])
    }
}

impl Picks {
    /// Adds pages of `class`.
    pub(crate) fn add(&mut self, class: PageClass, run: PfnRange) {
        let least = (run.start.0..run.end.0).map(|pfn| (hash(pfn), Pfn(pfn))).min();
        self.0[class as usize].merge(least.map_or(NONE, |(hash, pfn)| Pick { pages: run.len(), hash, pfn }));
    }

    /// Adds others of the same block.
    pub(crate) fn merge(&mut self, other: &Picks) {
        self.0.iter_mut().zip(other.0).for_each(|(here, more)| here.merge(more));
    }

    /// Those that are there.
    fn each(&self) -> impl Iterator<Item = (PageClass, Pick)> + use<'_> {
        PageClass::ALL.into_iter().zip(self.0).filter(|(_, pick)| pick.pages != 0)
    }
}

impl Pick {
    fn merge(&mut self, other: Pick) {
        self.pages += other.pages;
        if (other.hash, other.pfn) < (self.hash, self.pfn) {
            (self.hash, self.pfn) = (other.hash, other.pfn);
        }
    }
}

/// A fixed number that looks like any (splitmix64): what is aligned is not favoured.
fn hash(pfn: u64) -> u64 {
    let mut x = pfn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 27)
}

/// What a dump would be made of.
#[derive(Clone, Debug)]
pub struct ClassBytes {
    /// What it leaves out.
    pub level: DumpLevel,
    /// How its pages are compressed.
    pub codec: Option<CodecId>,
    /// Pages of each class in it, zero pages among them.
    pub pages: ClassCounts,
    /// Bytes of each class, descriptors among them, in the order of [`PageClass::ALL`].
    bytes: [u64; PageClass::ALL.len()],
    /// Bytes of headers, notes and bitmaps.
    pub head: u64,
    /// Pages that were compressed, or would have been if they were not zero.
    pub sampled: u64,
}

impl ClassBytes {
    /// Of a dump of which `picks` are what goes into it of each block.
    pub(crate) fn new<'p>(
        image: &Image,
        meta: &DumpMeta,
        ram: &Ram<'_>,
        options: &MapOptions,
        picks: impl Iterator<Item = &'p Picks>,
    ) -> Result<ClassBytes> {
        // bitmaps are as long as memory, whichever pages are in them
        let head = head_bytes(meta, ram, ram, ram.count(ram.span())?)?;
        let MapOptions { level, codec, .. } = *options;
        let mut picks: Vec<_> = picks.flat_map(Picks::each).collect();
        picks.sort_unstable_by_key(|(_, pick)| pick.pfn);
        let mut made = ClassBytes {
            level,
            codec,
            pages: ClassCounts::default(),
            bytes: [0; PageClass::ALL.len()],
            head,
            sampled: picks.len() as u64,
        };
        for (class, pages, bytes) in measured(image, codec, &picks)? {
            made.pages.add(class, pages);
            made.bytes[class as usize] += pages * (bytes + PageDesc::SIZE as u64);
        }
        Ok(made)
    }

    /// What the pages of `class` take, with their descriptors.
    pub fn bytes(&self, class: PageClass) -> u64 {
        self.bytes[class as usize]
    }

    /// The length of the file.
    pub fn total(&self) -> u64 {
        self.head + self.bytes.iter().sum::<u64>()
    }
}

/// What each picked page becomes (bytes), with how many it stands for.
fn measured(image: &Image, codec: Option<CodecId>, picks: &[(PageClass, Pick)]) -> Result<Vec<(PageClass, u64, u64)>> {
    let worker = || Worker::new(image, codec.into_iter());
    let parts = share_out(picks.chunks(PICKS_PER_TURN), worker, |worker, picks| {
        let bytes = |(class, pick): &(PageClass, Pick)| {
            let (_, costs) = worker.cost(&[pick.pfn])?;
            Ok((*class, pick.pages, costs.last().map_or(0, |cost| cost.bytes)))
        };
        picks.iter().map(bytes).collect::<Result<Vec<_>>>()
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same pages are picked, in whatever pieces and order they come.
    #[test]
    fn picks_do_not_depend_on_the_order() {
        let added = |runs: &[(u64, u64)]| {
            let mut picks = Picks::default();
            runs.iter().for_each(|(from, to)| picks.add(PageClass::Slab, PfnRange::new(Pfn(*from), Pfn(*to))));
            picks.each().map(|(_, pick)| (pick.pages, pick.pfn)).next().unwrap()
        };
        let want = added(&[(100, 1000)]);
        assert_eq!(want.0, 900);
        assert_eq!(added(&[(500, 1000), (100, 101), (101, 500)]), want);
        let mut halves = Picks::default();
        for (from, to) in [(700, 1000), (100, 700)] {
            let mut part = Picks::default();
            part.add(PageClass::Slab, PfnRange::new(Pfn(from), Pfn(to)));
            halves.merge(&part);
        }
        assert_eq!(halves.each().map(|(_, pick)| (pick.pages, pick.pfn)).collect::<Vec<_>>(), [want]);
    }
}
