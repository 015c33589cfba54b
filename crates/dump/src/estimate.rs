//! How large a kdump file would be at each dump level with each codec, and how long making it would take, without making
//! one.
//!
//! ```text
//! struct pages ─ Census ─> pages by the levels that leave them out, a sample of each kind ─ compress ─> bytes and time a page
//! headers, bitmaps ─ KdumpWriter ─> counted; descriptors, 24 bytes a page
//! ```
//!
//! How many pages a level keeps is counted, not estimated. What they become compressed is estimated from a sample of each
//! kind of pages, one page in a hundred, half of them of pages that no level leaves out: the kernel's own differ most, and
//! are in every dump. Which pages are picked depends on nothing but which pages there are.

use crate::budget::Budget;
use crate::census::{Census, Stratum};
use crate::conversion::plausible_ram;
use crate::dumpable::OnUnknown;
use crate::formats::codecs;
use crate::image::Image;
use crate::mmio::Mmio;
use crate::view::KernelView;
use dump_core::{
    CodecId, CodecSet, Content, DumpMeta, DumpWriter, PageReader, PageSet, Pfn, PfnRange, Placer, Result, Watch,
    WriteOptions, is_zero, share_out,
};
use dump_filter::DumpLevel;
use dump_kdump::KdumpWriter;
use dump_kdump::codec::{Codec, PageCodec};
use dump_kdump::desc::PageDesc;
use dump_kernel::PhysMemory;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Pages that are compressed for each one that is: one in so many.
const PAGES_PER_PICK: u64 = 100;

/// Pages that are compressed at least, where there are as many: a hundredth of a small dump tells little of it.
const LEAST: u64 = 1024;

/// Pages that are compressed at most: more tell nothing new (of 4 KiB pages, 128 MiB).
const MOST: u64 = 1 << 15;

/// Picked pages that a worker takes at a time.
const PICKS_PER_TURN: usize = 32;

/// Sizes of kdump files of one dump, and what making them takes.
pub struct Estimate {
    /// Bytes of a page.
    pub page_size: usize,
    /// Pages that level 0 keeps.
    pub pages: u64,
    /// How many of them were compressed.
    pub sampled: u64,
    /// The dump levels that can be had: all, or 0 and 1 where the kernel is not known.
    pub levels: Vec<LevelEstimate>,
}

/// What a dump of one level is.
pub struct LevelEstimate {
    /// The level.
    pub level: DumpLevel,
    /// Pages in the dump, zero pages among them: they have a descriptor each.
    pub pages: u64,
    /// Without a codec, and with each of this build's.
    pub files: Vec<FileEstimate>,
}

/// The dump that leaves out the fewest pages and fits.
#[derive(Clone, Copy, Debug)]
pub struct Fitting {
    /// How its pages are compressed.
    pub codec: Option<CodecId>,
    /// Its level, of those that keep as many pages the lowest, and the file; `None` where none fits.
    pub file: Option<(DumpLevel, FileEstimate)>,
}

/// A kdump file.
#[derive(Clone, Copy, Debug)]
pub struct FileEstimate {
    /// How its pages are compressed; `None` where they are not.
    pub codec: Option<CodecId>,
    /// Its length (bytes).
    pub bytes: u64,
    /// What the workers of the pool take to read, filter and compress it, the time apart that its output takes.
    pub time: Duration,
}

impl Estimate {
    /// The estimate for `image`, by all workers of the current rayon pool. Without a `view`, of levels 0 and 1 alone.
    ///
    /// # Errors
    /// As [`Conversion::new`](crate::Conversion::new).
    pub fn new(
        image: &Image,
        memory: &dyn PhysMemory,
        view: Option<&KernelView>,
        budget: Budget,
        unknown: OnUnknown<'_>,
        watch: &dyn Watch,
    ) -> Result<Estimate> {
        let mut meta = image.meta().clone();
        let mmio = view.map_or(Ok(None), |view| Mmio::of(image, view))?;
        mmio.iter().for_each(|mmio| mmio.leave_out_of(&mut meta));
        let ram = plausible_ram(image, meta.end_pfn)?;
        let begun = Instant::now();
        let census = Census::new((image, memory, view), meta.end_pfn, budget, MOST as usize, unknown, watch)?;
        let scan = begun.elapsed() / census.scans;
        let pages = census.kept.count(census.kept.span())?;
        let head = head_bytes(&meta, &ram, &census.kept, pages)?;
        let sampled = sample(image, &census.strata, pages)?;
        let done = DumpLevel::new(meta.dump_level).unwrap_or_default();
        let levels = (0..32).filter_map(DumpLevel::new).filter(|level| view.is_some() || !level.needs_kernel());
        let levels = levels.map(|level| of_level(level | done, level, head, scan, &sampled)).collect();
        let compressed = sampled.iter().map(|stratum| stratum.picked).sum();
        Ok(Estimate { page_size: meta.page_size.bytes(), pages, sampled: compressed, levels })
    }

    /// What leaves out the least and fits into `bytes`, for each codec.
    pub fn fitting(&self, bytes: u64) -> Vec<Fitting> {
        let codecs = self.levels.first().map_or(&[][..], |level| &level.files);
        let of = |i: usize| {
            let files = self.levels.iter().filter_map(|level| Some((level, *level.files.get(i)?)));
            let fitting = files.filter(|(_, file)| file.bytes <= bytes);
            fitting
                .max_by_key(|(level, _)| (level.pages, std::cmp::Reverse(level.level)))
                .map(|(level, file)| (level.level, file))
        };
        codecs.iter().enumerate().map(|(i, file)| Fitting { codec: file.codec, file: of(i) }).collect()
    }
}

/// What the sample of a stratum came to.
struct Sampled {
    left_out_by: DumpLevel,
    /// Pages of the stratum.
    pages: u64,
    /// Pages that were picked.
    picked: u64,
    /// Time to read them and look for zeros.
    read: Duration,
    /// What they became without a codec, and with each.
    files: Vec<(Option<CodecId>, Cost)>,
}

/// What pages cost.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) bytes: u64,
    time: Duration,
}

impl Sampled {
    /// What was measured of the picked pages, for all.
    fn of_all(&self, bytes: u64) -> u64 {
        match self.picked {
            0 => 0,
            picked => (u128::from(bytes) * u128::from(self.pages) / u128::from(picked)) as u64,
        }
    }
}

/// The files of a `level`, of a dump from which `without` is left out then.
fn of_level(without: DumpLevel, level: DumpLevel, head: u64, scan: Duration, sampled: &[Sampled]) -> LevelEstimate {
    let kept: Vec<&Sampled> = sampled.iter().filter(|stratum| !without.intersects(stratum.left_out_by)).collect();
    let pages = kept.iter().map(|stratum| stratum.pages).sum();
    let workers = rayon::current_num_threads() as u32;
    let codecs = sampled.first().map_or(&[][..], |stratum| &stratum.files);
    let files = codecs.iter().enumerate().map(|(i, (codec, _))| {
        let (mut bytes, mut nanos) = (head + pages * PageDesc::SIZE as u64, 0);
        for stratum in &kept {
            let cost = stratum.files.get(i).map_or(Cost::default(), |(_, cost)| *cost);
            bytes += stratum.of_all(cost.bytes);
            nanos += stratum.of_all((stratum.read + cost.time).as_nanos() as u64);
        }
        let scan = if level.needs_kernel() { scan } else { Duration::ZERO };
        FileEstimate { codec: *codec, bytes, time: scan + Duration::from_nanos(nanos) / workers }
    });
    LevelEstimate { level, pages, files: files.collect() }
}

/// Compresses a sample of each stratum.
fn sample(image: &Image, strata: &[Stratum], pages: u64) -> Result<Vec<Sampled>> {
    let wanted = (pages / PAGES_PER_PICK).clamp(LEAST, MOST);
    let rest = pages - strata.first().map_or(0, |own| own.pages.seen());
    let share = |stratum: &Stratum| match rest {
        0 => wanted,
        _ if stratum.left_out_by.is_empty() => wanted / 2,
        rest => (wanted / 2 * stratum.pages.seen()).div_ceil(rest),
    };
    strata.iter().map(|stratum| Sampled::new(image, stratum, share(stratum))).collect()
}

impl Sampled {
    fn new(image: &Image, stratum: &Stratum, wanted: u64) -> Result<Sampled> {
        let picks = stratum.pages.picks(wanted as usize);
        let measured = share_out(
            picks.chunks(PICKS_PER_TURN),
            || Worker::new(image, codecs()),
            |worker, picks| worker.cost(picks),
        );
        let (left_out_by, pages) = (stratum.left_out_by, stratum.pages.seen());
        let files = Worker::codecs().map(|codec| (codec, Cost::default())).collect();
        let mut all = Sampled { left_out_by, pages, picked: picks.len() as u64, read: Duration::ZERO, files };
        for part in measured {
            let (read, files) = part?;
            all.read += read;
            for ((_, sum), cost) in all.files.iter_mut().zip(files) {
                sum.bytes += cost.bytes;
                sum.time += cost.time;
            }
        }
        Ok(all)
    }
}

/// What a worker compresses with.
pub(crate) struct Worker<'a> {
    reader: Box<dyn PageReader + 'a>,
    page: Vec<u8>,
    compressed: Vec<u8>,
    codecs: Vec<Box<dyn PageCodec>>,
}

impl<'a> Worker<'a> {
    /// None, and those of this build.
    fn codecs() -> impl Iterator<Item = Option<CodecId>> {
        [None].into_iter().chain(codecs().map(Some))
    }

    /// One that compresses with each of `codecs`.
    pub(crate) fn new(image: &'a Image, codecs: impl Iterator<Item = CodecId>) -> Worker<'a> {
        let create = |id: CodecId| Codec::of(id).and_then(|codec| codec.create).map(|create| create());
        let page = image.meta().page_size.bytes();
        let codecs: Vec<_> = codecs.filter_map(create).collect();
        let room = codecs.iter().map(|codec| codec.room(page)).max().unwrap_or(0);
        Worker { reader: image.source().reader(), page: vec![0; page], compressed: vec![0; room], codecs }
    }

    /// The time to read these pages, and what they cost without a codec and with each.
    pub(crate) fn cost(&mut self, picks: &[Pfn]) -> Result<(Duration, Vec<Cost>)> {
        let (mut read, mut costs) = (Duration::ZERO, vec![Cost::default(); 1 + self.codecs.len()]);
        for pfn in picks {
            let begun = Instant::now();
            let has_bytes = self.read(*pfn)?;
            read += begun.elapsed();
            if has_bytes {
                self.compress(&mut costs)?;
            }
        }
        Ok((read, costs))
    }

    /// Reads a page; whether it has bytes of its own in a file.
    fn read(&mut self, pfn: Pfn) -> Result<bool> {
        let (page, mut there) = (&mut self.page, false);
        self.reader.visit(PfnRange::at(pfn, 1), CodecSet::NONE, &mut |span| {
            if let Content::Bytes(bytes) = span.content {
                there = !is_zero(bytes) && bytes.len() == page.len();
                if there {
                    page.copy_from_slice(bytes);
                }
            }
            Ok(())
        })?;
        Ok(there)
    }

    fn compress(&mut self, costs: &mut [Cost]) -> Result<()> {
        let Some((plain, costs)) = costs.split_first_mut() else { return Ok(()) };
        plain.bytes += self.page.len() as u64;
        for (codec, cost) in self.codecs.iter_mut().zip(costs) {
            let begun = Instant::now();
            let len = codec.compress(&self.page, &mut self.compressed)?;
            cost.time += begun.elapsed();
            cost.bytes += len.unwrap_or(self.page.len()) as u64;
        }
        Ok(())
    }
}

/// What a kdump file has besides descriptors and pages, one of zeros apart (bytes).
pub(crate) fn head_bytes(meta: &DumpMeta, ram: &dyn PageSet, kept: &dyn PageSet, pages: u64) -> Result<u64> {
    let mut extent = Extent { end: 0 };
    let writer: Box<dyn DumpWriter> = Box::new(KdumpWriter::new(&WriteOptions { codec: None, parts: Vec::new() })?);
    writer.prepare(meta, ram, kept, &mut extent)?;
    Ok(extent.end.saturating_sub(pages * PageDesc::SIZE as u64))
}

/// Takes down how far an output reaches, and drops it.
struct Extent {
    end: u64,
}

impl Placer for Extent {
    fn data(&mut self, _: usize, offset: u64, range: Range<usize>) -> Result<()> {
        self.end = self.end.max(offset + range.len() as u64);
        Ok(())
    }

    fn index(&mut self, _: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.end = self.end.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn zeros(&mut self, _: usize, offset: u64, len: u64) -> Result<()> {
        self.end = self.end.max(offset + len);
        Ok(())
    }

    fn can_rewrite(&self) -> bool {
        true
    }
}
