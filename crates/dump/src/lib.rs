//! Opens kernel crash dumps of any format, identifies the kernel, reads its memory, and writes filtered dumps.
//!
//! A *crash dump* is the physical memory of a machine, saved after its kernel crashed or while a guest was paused. It
//! lies in a *container*: a file format with headers that state which pages of memory there are and where in the file
//! they begin. This crate opens all containers that [`FORMATS`] lists in the same way, so that a program need not know
//! which one it was given.
//!
//! ```text
//! path ── Dump::open ──> Dump ── into_image ──> Image ── convert_to_file ──> another dump
//!                        headers, notes         memory by physical and virtual address, the kernel
//! ```
//!
//! # Opening a dump
//!
//! [`Dump::open`] takes the path of a dump: an ELF core such as `/proc/vmcore` or one from QEMU, a kdump-compressed
//! file, LiME or AVML. It may be compressed as a whole (gzip, xz, zstd, lz4, bzip2) or flattened. Only headers and
//! notes are read:
//!
//! ```no_run
//! let dump = dump::Dump::open("vmcore")?;
//! let (format, producer) = (dump.describe().format, dump.describe().producer);
//! let (release, cpus) = (dump.meta().release(), dump.meta().cpus());
//! # Ok::<(), dump::Error>(())
//! ```
//!
//! [`Dump::open_all`] opens a dump that is split into several files, and [`Opening`] has options, such as the address
//! at which a file without headers begins in memory.
//!
//! # Reading memory
//!
//! [`Dump::into_image`] adds what the dumped kernel exported about itself, its *vmcoreinfo*: from a note or, if there
//! is none, by searching memory for it. The [`Image`] is read by physical address or, through the kernel's page tables,
//! by virtual address:
//!
//! ```no_run
//! use dump::{Dump, KernelSymbols, NoWatch, PhysAddr};
//!
//! let image = Dump::open("vmcore")?.into_image(&NoWatch)?;
//! let mut page = [0; 4096];
//! image.read_phys(PhysAddr(0x10_0000), &mut page)?;
//! if let Some(at) = image.vmcoreinfo().and_then(|info| info.symbol("init_uts_ns")) {
//!     image.read_virt(at, &mut page[..64])?;
//! }
//! # Ok::<(), dump::Error>(())
//! ```
//!
//! [`NoWatch`] reports no progress; implement [`Watch`] to show it, or to stop the work early. To read many virtual
//! addresses, make a [`Kernel`] once ([`Image::kernel`]); to visit all pages, see [`PageSource`] and [`read_pages`].
//!
//! # The kernel's log
//!
//! [`Image::write_log`] writes what the kernel logged, as lines of text; of a damaged log, what is sound:
//!
//! ```no_run
//! use dump::{Dump, LogOptions, NoWatch};
//!
//! let image = Dump::open("vmcore")?.into_image(&NoWatch)?;
//! let log = image.write_log(LogOptions::default(), &mut std::io::stdout())?;
//! let (lines, sound) = (log.records(), log.is_sound());
//! # Ok::<(), dump::Error>(())
//! ```
//!
//! # Filtering and writing
//!
//! [`convert_to_file`] writes a dump of any format in [`output_formats`]. Its *dump level* is the sum of the page
//! classes to leave out: 1 zero pages, 2 page cache, 4 page cache with private data as well, 8 user data, 16 free
//! pages.
//!
//! ```no_run
//! use dump::{ConvertOptions, Dump, DumpLevel, NoWatch};
//!
//! let image = Dump::open("vmcore")?.into_image(&NoWatch)?;
//! let kdump = dump::format("kdump").expect("it is in the table");
//! let options = ConvertOptions { codec: dump::codec("zstd"), level: DumpLevel::all(), ..ConvertOptions::new(kdump) };
//! dump::convert_to_file(&image, &options, "vmcore.kdump")?;
//! # Ok::<(), dump::Error>(())
//! ```
//!
//! A [`Conversion`] does the same step by step: it writes to outputs of the caller's own, to several files, or to a
//! pipe ([`FlatStream`]). The work is done by the workers of the current [rayon] pool; the bytes written do not depend
//! on how many there are.
//!
//! # Terms
//!
//! | term | meaning |
//! |---|---|
//! | page frame, [`Pfn`] | a page of physical memory, and its number: physical address / page size |
//! | container, [`Format`] | the file format of a dump |
//! | vmcoreinfo | `KEY=VALUE` lines that a kernel exports for tools like this: addresses, sizes, offsets |
//! | RAM | page frames that are memory; the others are holes |
//! | held | page frames whose content is in the dump |
//! | dumpable | page frames whose content goes into the output of a conversion |
//! | excluded | left out by a filter |
//! | lost | missing because the dump is incomplete |
//! | unreadable | in the dump, but reading it failed |
//!
//! # Errors and features
//!
//! An [`Error`] is one line: what, where, found, expected. Nothing here prints, and nothing panics on bad input.
//!
//! The features `zlib`, `snappy` and `zstd`, on by default, enable these codecs for pages. The feature `lzo` enables
//! LZO: it links a library under the GPL, version 2.

#![forbid(unsafe_code)]

mod bitmaps;
mod budget;
mod census;
mod check;
mod claims;
mod class_bytes;
mod class_map;
mod compare;
mod compression;
mod conversion;
mod decoder;
mod domain0;
mod dumpable;
mod estimate;
mod even_sample;
mod formats;
mod guest;
mod identity;
mod image;
mod incomplete;
mod kernel_files;
mod layers;
mod log;
mod losses;
mod memory_search;
mod mmio;
mod oddities;
mod open;
mod output_file;
mod page_blocks;
mod page_class;
mod ram;
mod salvage;
mod spool;
mod unpack;
mod view;
mod vmcoreinfo_text;
mod vmlinux_symbols;
mod windows;
mod xen_files;
mod xen_host;

pub use bitmaps::bitmaps;
pub use budget::{Budget, Taken, peak};
pub use check::Checked;
pub use class_bytes::ClassBytes;
pub use class_map::{ClassMap, MapOptions};
pub use compare::{Comparison, compare};
pub use conversion::{Conversion, ConvertOptions, Converted};
pub use domain0::Domain0;
pub use dumpable::{Findings, OnUnknown, Unidentified};
pub use estimate::{Estimate, FileEstimate, Fitting, LevelEstimate};
pub use formats::{FORMATS, codec, codecs, companions, format, output_formats};
pub use guest::{GuestFile, guest_dump, guest_meta, is_live, mark_live, process_dump};
pub use image::{Image, Shortcoming};
pub use incomplete::{EarlyFlag, flag_incomplete, lacks_header};
pub use kernel_files::KernelFiles;
pub use losses::Losses;
pub use mmio::Mmio;
pub use open::{Dump, Opening};
pub use output_file::convert_to_file;
pub use page_blocks::{Holes, PageBlocks};
pub use page_class::{ClassCounts, PageClass};
pub use spool::directory as unpack_directory;
pub use unpack::{UnpackedStream, unpacked};
pub use view::KernelView;
pub use vmcoreinfo_text::generate_vmcoreinfo;
pub use xen_files::{XenFiles, generate_xen_vmcoreinfo};

pub use dump_core::{
    Abilities, Absence, BlockEncoder, ByteOrder, ByteReader, Bytes, Claim, CodecId, CodecSet, Container, Content,
    Damage, Description, Detail, DumpMeta, DumpWriter, EncodedBlock, EncodedSpan, Ending, Error, ErrorKind, Fault,
    Format, ForwardStream, InputFile, Machine, MemoryMap, NoWatch, NoteInfo, Notes, OpenOptions, Output, OutputFile,
    OwnNote, PageBitmap, PageChecker, PageReader, PageSet, PageSize, PageSource, PageWriter, Part, Patch, Pfn,
    PfnRange, Phase, PhysAddr, Placer, Push, ReadAt, Result, Span, SpanData, Stretch, Survey, UtsName, VirtAddr,
    Vouched, Watch, WordSize, WriteAt, WriteOptions, read_pages, system_text,
};
pub use dump_debuginfo::debug_paths;
pub use dump_elf::{QnxCpu, QnxGuest, QnxNote};
pub use dump_filter::{Doubt, DumpLevel, HostTally, Reason, Tally};
pub use dump_flat::{FlatStream, rearrange};
pub use dump_guest::{
    Access, Address, Asked, DumpState, Event, GivenRange, GuestFormat, Others, Patience, Process, Qmp, RamMap,
    RamRange, RunState, Standstill, Suspension, WholeDump, ask, guest_files,
};
pub use dump_kernel::{
    Answer, Kernel, KernelMemory, KernelSymbols, MemMap, NodeSpan, PageRules, PhysMemory, PhysReader, Source,
    SourceMemory, Vmcoreinfo, ZoneSpan,
};
pub use dump_log::{Log, LogForm, LogOptions};
pub use dump_pipe::{Counts, NullOutput, Outcome};
pub use dump_sum::{Summed, Sums};
pub use dump_win::{DumpType as WindowsDumpType, Header as WindowsHeader, note::header as windows_header};
pub use dump_xen::{Domain, DomainKind, XenHost};
