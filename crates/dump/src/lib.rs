//! Kernel crash dumps: open any, see what it is and which kernel it holds, read its memory, filter it, write another.
//!
//! # Opening a dump
//!
//! [`Dump::open`] takes the path of a dump in any container that [`FORMATS`] lists (an ELF core such as `/proc/vmcore`,
//! a kdump-compressed file, LiME, AVML), compressed as a whole or not, flattened or not, and says what it is:
//!
//! ```no_run
//! let dump = dump::Dump::open("vmcore")?;
//! println!("{} with {} CPUs, {:?}", dump.describe().format, dump.meta().cpus(), dump.meta().release());
//! # Ok::<(), dump::Error>(())
//! ```
//!
//! # Reading memory
//!
//! [`Dump::into_image`] learns what there is to learn of the dumped kernel, from the VMCOREINFO note or, where there is
//! none, from memory. An [`Image`] is read by physical address or, through the kernel's page tables, by virtual
//! address:
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
//! # Filtering and writing
//!
//! A [`Conversion`] writes a dump of any format that can be written; [`convert_to_file`] is the short way. A *dump
//! level* is a sum of the page classes that are left out: 1 zero pages, 2 page cache, 4 page cache with private data
//! too, 8 user data, 16 free pages. Work is shared out to the workers of the current [rayon] pool; the bytes written do
//! not depend on their number.
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
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | page frame, [`Pfn`] | one page of physical memory; its number, physical address / page size |
//! | container, [`Format`] | what a dump lies in, with its headers |
//! | RAM, held, dumpable | page frames that are memory; that a container means to hold; that go into an output |
//! | vmcoreinfo | `KEY=VALUE` lines that a kernel leaves for tools like this: addresses, sizes, offsets |
//! | dump level | which page classes are left out, a sum of 1, 2, 4, 8 and 16 |
//! | hole, excluded, lost, unreadable | no RAM; filtered out; cut off when the dump was made; cannot be read now |
//!
//! Failures are one line each: what, where, found, expected ([`Error`]). Nothing here prints, and nothing panics on
//! input.
//!
//! The feature `lzo` turns on LZO pages; it links a library under the GPL, version 2.

#![forbid(unsafe_code)]

mod bitmaps;
mod budget;
mod check;
mod compare;
mod compression;
mod conversion;
mod dumpable;
mod formats;
mod image;
mod incomplete;
mod layers;
mod memory_search;
mod oddities;
mod open;
mod output_file;
mod ram;
mod spool;
mod view;

pub use bitmaps::bitmaps;
pub use budget::{Budget, peak};
pub use compare::{Comparison, compare};
pub use conversion::{Conversion, ConvertOptions, Converted};
pub use dumpable::{Findings, OnUnknown};
pub use formats::{FORMATS, codec, codecs, format, output_formats};
pub use image::Image;
pub use incomplete::flag_incomplete;
pub use open::{Dump, Opening};
pub use output_file::convert_to_file;
pub use view::KernelView;

pub use dump_core::{
    Abilities, Absence, ByteOrder, CodecId, CodecSet, Container, Content, Damage, Description, DumpMeta, Error,
    ErrorKind, Fault, Format, InputFile, Machine, NoWatch, NoteInfo, Notes, OpenOptions, OutputFile, PageBitmap,
    PageReader, PageSet, PageSize, PageSource, Pfn, PfnRange, Phase, PhysAddr, Push, ReadAt, Result, Span, UtsName,
    VirtAddr, Watch, WordSize, WriteAt, read_pages,
};
pub use dump_filter::{DumpLevel, Reason, Tally};
pub use dump_flat::{FlatStream, rearrange};
pub use dump_kernel::{Kernel, KernelMemory, KernelSymbols, PhysMemory, PhysReader, SourceMemory, Vmcoreinfo};
pub use dump_pipe::{Counts, NullOutput, Outcome};
