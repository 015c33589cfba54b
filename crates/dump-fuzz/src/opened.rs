//! Any bytes as a file of each format.

use crate::look::look;
use dump_core::{Format, MemoryMap, OpenOptions, PhysAddr};

pub fn elf(data: &[u8]) {
    open(&dump_elf::FORMAT, data, &OpenOptions::default());
}

pub fn kdump(data: &[u8]) {
    open(&dump_kdump::FORMAT, data, &OpenOptions::default());
}

/// LiME, and bare memory with it: the same pages without headers.
pub fn lime(data: &[u8]) {
    let base = data.first_chunk().map_or(0, |base| u64::from_le_bytes(*base));
    open(&dump_raw::LIME, data, &OpenOptions::default());
    open(&dump_raw::RAW, data, &OpenOptions { raw_maps: vec![MemoryMap::from_base(PhysAddr(base))], live: false });
}

pub fn avml(data: &[u8]) {
    open(&dump_raw::AVML, data, &OpenOptions::default());
}

/// Windows crash dumps, and what becomes of their headers where memory says more.
pub fn dmp(data: &[u8]) {
    open(&dump_win::FORMAT, data, &OpenOptions::default());
    if let Ok(dump) = dump_win::open(data.to_vec()) {
        let cpus = [dump_win::guest::Cpu::default()];
        let done = dump_win::guest::complete(dump.header().clone(), &dump, &cpus);
        assert!(done.patches.iter().all(|(at, bytes)| at % 4096 + bytes.len() as u64 <= 4096));
        let _ = (done.header.doubts(), done.header.comment());
    }
}

/// Streams, and save files with them.
pub fn migration(data: &[u8]) {
    let _ = dump_migration::packed(&data.to_vec());
    open(&dump_migration::MIGRATION, data, &OpenOptions::default());
    open(&dump_migration::LIBVIRT, data, &OpenOptions::default());
}

pub fn sadump(data: &[u8]) {
    let _ = dump_sadump::is_media_backup(&data.to_vec());
    open(&dump_sadump::SADUMP, data, &OpenOptions::default());
}

pub fn vmware(data: &[u8]) {
    open(&dump_raw::VMWARE, data, &OpenOptions::default());
}

fn open(format: &Format, data: &[u8], options: &OpenOptions) {
    let probed = (format.probe)(&data[..data.len().min(dump_core::PROBE_BYTES)], options);
    if let Ok(container) = (format.open)(Box::new(data.to_vec()), options) {
        let either = matches!(format.name, "raw" | "migration" | "libvirt" | "sadump"); // the others have one opener for two forms
        assert!(probed || either, "{}: opened what is not recognised", format.name);
        look(container.as_ref());
    }
    if let Some(flag) = format.incomplete_flag {
        let _ = flag(&data.to_vec());
    }
}
