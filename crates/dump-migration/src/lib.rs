//! Guests that QEMU saved rather than dumped: what `migrate` to a file, `savevm`, `virsh save` and `virsh dump` without
//! `--memory-only` leave.
//!
//! | format | layout |
//! |---|---|
//! | [`MIGRATION`] | sections of devices; that of RAM has pages one after the other, each behind its address, the last one counts |
//! | the same with `mapped-ram` (QEMU 9.0) | the section of RAM has, of each RAM block, a bitmap and a place for each page |
//! | [`LIBVIRT`] | libvirt's header, the domain's XML, then one of these, compressed as a whole or not |
//!
//! The stream has the guest's RAM blocks, not where the guest has them: that follows from the machine type, which the
//! stream states, by QEMU's own rules ([`machine`]), or the user says it. Registers are in a form that differs from
//! version to version of QEMU, so there are none here.
//!
//! Facts: QEMU's migration/ram.c, migration/savevm.c and docs/devel/migration/mapped-ram.rst; libvirt's
//! src/qemu/qemu_saveimage.h and qemu_saveimage_format.h.

#![forbid(unsafe_code)]

mod blocks;
mod cursor;
mod formats;
mod libvirt;
mod machine;
mod mapped;
mod pages;
mod records;
mod saved;
mod stream;

pub use formats::{LIBVIRT, MIGRATION};
pub use libvirt::{Packed, packed};
pub use saved::open_saved;
