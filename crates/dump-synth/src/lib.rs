#![forbid(unsafe_code)]
// Test support: a nonsensical recipe is a mistake in the test that wrote it, and the sooner it panics the better. Sizes
// are those of fakes, which fit any host.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::cast_possible_truncation)]
// Memory of a single range is common in tests.
#![allow(clippy::single_range_in_vec_init)]

//! Fake kernels and crash dumps, built as bytes from small recipes.
//!
//! Everything here is written from the descriptions of the formats and of Linux, by offset, and shares neither code nor
//! constants with the crates it tests: a wrong edit in a parser shows as a difference, instead of moving both sides.
//!
//! | module | makes |
//! |---|---|
//! | [`elf`], [`note`] | ELF cores of any class, byte order and header arrangement |
//! | [`qnx`] | dumps of the QNX hypervisor's guests |
//! | [`kernel`] | a kernel in fake memory, of any [`Machine`], with struct pages of an [`Era`] |
//! | [`recipe`], [`expect`] | what its pages are for, and what a filter must therefore keep |
//! | [`printk`] | its log, in each form |
//! | [`windows`] | a Windows guest, and the PDB of its kernel |
//! | [`kdump`], [`flat`], [`mod@lime`], [`dmp`] | kdump-compressed files, flattened streams, LiME images, Windows crash dumps |
//! | [`sadump`], [`vmware`] | dumps of sadump, suspended guests of VMware |
//! | [`migration`] | migration streams of QEMU, mapped-ram and libvirt's save files |
//!
//! # Example
//! ```
//! use dump_synth::{Class, Era, KernelBuilder};
//!
//! let kernel = KernelBuilder::new(Era::V6_12)
//!     .recipe(
//!         "ram     0..0x800
//!          anon    0x100..0x110
//!          cache   0x110..0x120
//!          free    0x200 order=9
//!          hugetlb 0x400 order=9",
//!     )
//!     .build();
//!
//! let vmcore: Vec<u8> = kernel.vmcore(); // feed this to the program under test
//! let want = kernel.expected(31);
//! assert_eq!((want.counts.user, want.counts.cache, want.counts.free), (16 + 512, 16, 512));
//! assert!(!want.kept.contains(&0x100) && want.kept.contains(&0x120));
//! assert_eq!(kernel.class(0x200), Class::Free);
//! # assert_eq!(&vmcore[..4], b"\x7fELF");
//! ```

mod arena;
pub mod builder;
pub mod bytes;
mod config;
pub mod dmp;
pub mod elf;
pub mod entries;
pub mod era;
pub mod expect;
mod facts;
pub mod flat;
pub mod kdump;
pub mod kernel;
pub mod lime;
mod machine;
pub mod memmodel;
pub mod memory;
pub mod migration;
pub mod note;
mod page;
mod pdb;
pub mod pgtable;
pub mod printk;
pub mod qnx;
pub mod recipe;
pub mod sadump;
mod site;
mod sparse;
mod vmcore;
mod vmcoreinfo;
pub mod vmware;
pub mod windows;
pub mod xen;
pub mod xl;
mod zones;

pub use builder::KernelBuilder;
pub use bytes::{Endian, Width};
pub use config::FreeLists;
pub use dmp::{DmpFile, DmpKind};
pub use elf::{ElfCore, Load};
pub use entries::Entries;
pub use era::Era;
pub use expect::{Class, Counts, Expected};
pub use flat::FlatStream;
pub use kdump::{KdumpFile, Packing, Slot};
pub use kernel::FakeKernel;
pub use lime::{lime, lime_of};
pub use machine::Machine;
pub use memmodel::{MemModel, RootSymbol, StructPages};
pub use memory::FakeMemory;
pub use migration::{MigrationStream, libvirt_head};
pub use note::Notes;
pub use pgtable::Leaf;
pub use printk::{FakeLog, LogEntry, LogPlaces};
pub use qnx::{QnxGcore, QnxVcpu};
pub use recipe::{Content, Kind, Line, Recipe, every_kind, every_kind_on};
pub use vmcoreinfo::CRASHTIME;
pub use windows::WindowsGuest;
pub use xen::{FakeXen, XenFlags, XenPdx};
pub use xl::{XlCore, xl_core};
