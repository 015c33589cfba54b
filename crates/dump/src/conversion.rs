//! From one dump to another: which pages go into it, and how they get there.
//!
//! ```text
//! Image ─ ConvertOptions ─> Conversion (all that can fail before an output is made) ─ outputs ─> Converted
//! ```

use crate::budget::{self, Budget, Taken};
use crate::dumpable::{Criteria, Dumpable, Findings, OnUnknown};
use crate::formats::format;
use crate::image::Image;
use crate::losses::{Losses, Noted};
use crate::mmio::Mmio;
use crate::open::Dump;
use crate::ram::Ram;
use crate::view::KernelView;
use dump_core::{
    Abilities, CodecId, DumpMeta, DumpWriter, Error, ErrorKind, Format, PageSet, Pfn, PfnRange, Result, Watch, WriteAt,
    WriteOptions,
};
use dump_filter::DumpLevel;
use dump_kernel::SourceMemory;
use dump_pipe::{Job, Outcome, Weights, convert, split_evenly};
use dump_xen::XenHost;

/// Pages of RAM (256 GiB of 4 KiB pages) above which a dump must hold some of it to be plausible: struct pages alone,
/// which no filter leaves out, are a 64th. A made-up header would otherwise size the bitmaps that are written.
const PLAUSIBLE_RAM: u64 = 1 << 26;

/// Small enough for parts of about the same size, and far more than a block: 16 MiB. makedumpfile has a GiB.
const SPLIT_BLOCK: u64 = 16 << 20;

/// What a dump is converted to.
#[derive(Clone, Copy)]
pub struct ConvertOptions<'a> {
    /// Its format, one that can be written.
    pub format: &'static Format,
    /// How pages are compressed, if the format has compressed pages.
    pub codec: Option<CodecId>,
    /// What is left out.
    pub level: DumpLevel,
    /// Whether page frames of the vmemmap that hold struct pages of left-out pages alone are left out, too.
    pub without_vmemmap: bool,
    /// The hypervisor of a Xen host, where memory of its guests and what it has free are left out.
    pub host: Option<&'a XenHost>,
    /// Whether page frames beyond the machine's memory stay, as a graphics card's.
    pub keep_mmio: bool,
    /// Files that share the pages of one dump; 1 for a whole one.
    pub files: usize,
    /// Bytes of memory of which boundaries between such files are multiples.
    pub split_block: u64,
    /// The page frames of the one part that is written of a split dump.
    pub part: Option<PfnRange>,
    /// Memory that the work may take.
    pub budget: Budget,
    /// Bytes of page bitmap that are held at most.
    pub bitmap_bytes: u64,
}

impl ConvertOptions<'static> {
    /// A whole dump of `format` with all pages, uncompressed, made in as much memory as the machine can spare.
    pub fn new(format: &'static Format) -> ConvertOptions<'static> {
        ConvertOptions {
            format,
            codec: None,
            level: DumpLevel::default(),
            without_vmemmap: false,
            host: None,
            keep_mmio: false,
            files: 1,
            split_block: SPLIT_BLOCK,
            part: None,
            budget: Budget::new(None),
            bitmap_bytes: u64::MAX,
        }
    }

    /// All pages of `dump` in its own format, compressed as they are; kdump where its format is only read.
    ///
    /// # Errors
    /// If there is no such format in this build.
    pub fn like(dump: &Dump) -> Result<ConvertOptions<'static>> {
        let what = dump.describe();
        let own = format(what.format).filter(|format| format.output.is_some());
        let chosen = own.or_else(|| format("kdump")).ok_or_else(|| Error::unsupported("no format to write"))?;
        let codec = what.codec.filter(|_| chosen.abilities().contains(Abilities::COMPRESSES));
        Ok(ConvertOptions { codec, ..ConvertOptions::new(chosen) })
    }
}

/// A conversion that is ready to be written.
pub struct Conversion<'a> {
    image: &'a Image,
    meta: DumpMeta,
    ram: Ram<'a>,
    dumpable: Dumpable<'a>,
    pages: PfnRange,
    parts: Vec<PfnRange>,
    files: usize,
    writer: Box<dyn DumpWriter>,
    watch: &'a dyn Watch,
    mmio: Option<Mmio>,
    ram_pages: u64,
    held_pages: u64,
}

/// How a conversion went.
pub struct Converted {
    /// How the writing ended.
    pub outcome: Outcome,
    /// What the output states about the machine.
    pub meta: DumpMeta,
    /// Page frames beyond memory that were left out.
    pub mmio: Option<Mmio>,
    /// Page frames that are RAM.
    pub ram_pages: u64,
    /// Page frames that the source means to hold.
    pub held_pages: u64,
    /// Pages that were to be written and are lost or cannot be read.
    pub losses: Losses,
    /// What was left out, and why.
    pub findings: Findings,
    /// Pages that were to be written, including those left out as zero.
    pub dumpable: u64,
    /// Pages of a window where the dumpable pages were computed window by window.
    pub window: Option<u64>,
}

impl<'a> Conversion<'a> {
    /// Computes what goes into the dump, as far as the memory budget allows, and lays out split dumps. `view` is the
    /// kernel, needed for levels above 1; without it hwpoison and offline pages are not left out. `unknown` is called
    /// for page classes that cannot be identified.
    ///
    /// # Errors
    /// `Corrupt` if headers claim more than is possible; `NoMemory` if a part is wholly beyond memory; `Interrupted` if the watcher asked to stop; what `unknown`
    /// returns; if the format cannot be written with these options.
    pub fn new(
        image: &'a Image,
        memory: &'a SourceMemory<'a>,
        view: Option<&'a KernelView>,
        options: &ConvertOptions<'a>,
        unknown: OnUnknown<'a>,
        watch: &'a dyn Watch,
    ) -> Result<Conversion<'a>> {
        let format = options.format;
        let output = format.output.as_ref();
        let output = output.ok_or_else(|| Error::unsupported(format!("{} dumps cannot be written", format.name)))?;
        let mut meta = DumpMeta { dump_level: image.meta().dump_level | options.level.bits(), ..image.meta().clone() };
        let looked_for = view.filter(|_| !options.keep_mmio);
        let mmio = looked_for.map_or(Ok(None), |view| Mmio::of(image, view))?;
        mmio.iter().for_each(|mmio| mmio.leave_out_of(&mut meta));
        let ram = plausible_ram(image, meta.end_pfn)?;
        let threads = rayon::current_num_threads();
        let (taken, most, end) = (Taken::now(), options.bitmap_bytes, meta.end_pfn);
        let taken = if options.without_vmemmap { taken.and(budget::vmemmap(end.0)) } else { taken };
        let window = options.budget.window(taken, threads, output.bitmaps, most, end.0);
        // containers that cannot mark zero pages but leave them out
        let says_zero = output.abilities.contains(Abilities::SAYS_ZERO);
        let without_zeros = !says_zero && meta.dump_level & DumpLevel::ZERO.bits() != 0;
        let without_vmemmap = options.without_vmemmap;
        let host = options.host;
        let criteria = Criteria { image, memory, view, level: options.level, without_vmemmap, host, without_zeros };
        let dumpable = Dumpable::new(criteria, end, window, unknown, watch)?;
        meta.excluded_vmemmap |= dumpable.lacks_vmemmap();
        let parts = parts(image, &meta, &dumpable, options, watch)?;
        let writer = (output.create)(&WriteOptions { codec: options.codec, parts: parts.clone() })?;
        // all that a report needs of the source: once there are outputs, nothing may fail without a message about them
        let (ram_pages, held_pages) = (ram.count(ram.span())?, ram.count_held()?);
        let all = dumpable.span();
        let pages = options.part.map_or(all, |range| range.intersect(all));
        let files = options.files.max(1);
        Ok(Conversion { image, meta, ram, dumpable, pages, parts, files, writer, watch, mmio, ram_pages, held_pages })
    }

    /// Why the vmemmap stays whole although page frames of it were to be left out; `None` where it does not.
    pub fn vmemmap_kept(&self) -> Option<&Error> {
        self.dumpable.vmemmap_kept()
    }

    /// The page frames beyond memory that are left out.
    pub fn mmio(&self) -> Option<Mmio> {
        self.mmio
    }

    /// The page frames in each file of a split dump, or in the one part that is written; none of a dump that is not split.
    pub fn parts(&self) -> &[PfnRange] {
        &self.parts
    }

    /// What the output will state about the machine.
    pub fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    /// Writes it to `outputs`, one for each file, on all workers of the current rayon pool.
    ///
    /// # Errors
    /// If not even the headers could be written. All that happens after that is in the [`Outcome`].
    pub fn run(self, outputs: &[&dyn WriteAt]) -> Result<Converted> {
        if outputs.len() != self.files {
            let text = format!("{} outputs for a dump of {} files", outputs.len(), self.files);
            return Err(Error::unsupported(text));
        }
        let Conversion { image, meta, ram, dumpable, pages, writer, watch, mmio, ram_pages, held_pages, .. } = self;
        let source = Noted::new(image.source());
        let job = Job { source: &source, meta: &meta, ram: &ram, dumpable: &dumpable, pages, outputs, watch };
        let mut outcome = convert(&job, writer)?;
        let findings = dumpable.findings();
        outcome.counts.zero += findings.zero;
        let window = dumpable.window_pages();
        Ok(Converted {
            dumpable: dumpable.count_known(pages) + findings.zero,
            window: (window < dumpable.span().len()).then_some(window),
            losses: source.losses(),
            outcome,
            meta,
            mmio,
            ram_pages,
            held_pages,
            findings,
        })
    }
}

/// RAM, if the headers are plausible.
pub(crate) fn plausible_ram(image: &Image, end: Pfn) -> Result<Ram<'_>> {
    let ram = Ram::new(image.source(), end)?;
    let claimed = ram.count(ram.span())?;
    if claimed > PLAUSIBLE_RAM {
        let there = ram.count_held()?;
        if there < claimed >> 16 {
            let text = format!("headers claim {claimed} pages of RAM, of which the dump has only {there}");
            return Err(Error::corrupt(text));
        }
    }
    Ok(ram)
}

/// The page frames in each file of a split dump; none for a dump that is not split.
fn parts(
    image: &Image,
    meta: &DumpMeta,
    dumpable: &Dumpable<'_>,
    options: &ConvertOptions<'_>,
    watch: &dyn Watch,
) -> Result<Vec<PfnRange>> {
    if let Some(range) = options.part {
        if range.start >= meta.end_pfn {
            let (start, end) = (range.start, meta.end_pfn);
            let text = format!("a part from page frame {start} on: memory ends at {end}, expected a start below it");
            return Err(Error::new(ErrorKind::NoMemory, text));
        }
        return Ok(vec![range]);
    }
    if options.files < 2 {
        return Ok(Vec::new());
    }
    // pages that cost bytes are what is shared out
    let weights = Weights::new(image.source(), dumpable, watch)?;
    let block = options.split_block.div_ceil(meta.page_size.bytes() as u64);
    Ok(split_evenly(&|run| weights.of(run), meta.end_pfn, options.files, block))
}
