//! Headers of a new file, out of what its dump states.

use dump_core::{DumpMeta, Error, Pfn, Result, WordSize};

use crate::codec::Codec;
use crate::header::{Abi, FileRange, Header, MainHeader, STATUS_EXCLUDED_VMEMMAP, SubHeader, Timestamp, VERSION};
use crate::layout::Layout;
use crate::utsname;

impl Header {
    /// Headers of a new dump that is not split, and its layout; its frames end at `end`, as the file counts them.
    ///
    /// # Errors
    /// `Unsupported` if they cannot hold what `meta` says.
    pub(crate) fn for_new(
        codec: Option<&Codec>,
        meta: &DumpMeta,
        phys_base: Option<u64>,
        end: Pfn,
    ) -> Result<(Header, Layout)> {
        let (word, order) = (meta.machine.word, meta.machine.order);
        let abi = Abi { order, word, timestamp: Timestamp::Words, padded: meta.machine.aligns_to_8() };
        let notes = meta.notes.large().stream_len() + meta.notes.as_bytes().len() as u64;
        let head = (abi.sub_len() + meta.erase_info.len()) as u64 + notes;
        let layout = Layout::for_new(meta.page_size, head, end);
        let main = main_header(codec, meta, &layout, end)?;
        let phys_base = phys_base.unwrap_or(0);
        if word == WordSize::Bits32 && u32::try_from(phys_base).is_err() && i32::try_from(phys_base as i64).is_err() {
            return Err(Error::unsupported(format!("phys_base {phys_base:#x} does not fit a 32-bit kdump header")));
        }
        let sub = SubHeader { phys_base, max_mapnr: end.0, ..sub_header(meta, abi) };
        Ok((Header { abi, main, sub, blank: false, page_size: meta.page_size }, layout))
    }
}

fn main_header(codec: Option<&Codec>, meta: &DumpMeta, layout: &Layout, end: Pfn) -> Result<MainHeader> {
    let too_large = |what: &str| Error::unsupported(format!("{what} does not fit a kdump header"));
    let vmemmap = if meta.excluded_vmemmap { STATUS_EXCLUDED_VMEMMAP } else { 0 };
    Ok(MainHeader {
        version: VERSION,
        utsname: utsname::completed(meta),
        tv_sec: meta.crash_time.unwrap_or(0),
        tv_usec: 0,
        status: codec.map_or(0, |codec| codec.status_bit) | vmemmap,
        block_size: meta.page_size.bytes() as i32, // 256 KiB at most
        sub_hdr_size: i32::try_from(layout.sub_blocks()).map_err(|_| too_large("the notes' length"))?,
        bitmap_blocks: u32::try_from(layout.bitmap_blocks()).map_err(|_| too_large("the bitmaps' length"))?,
        max_mapnr: u32::try_from(end.0).unwrap_or(u32::MAX),
        total_ram_blocks: 0,
        device_blocks: 0,
        written_blocks: 0,
        current_cpu: 0,
        nr_cpus: i32::try_from(meta.cpus()).unwrap_or(i32::MAX),
    })
}

/// The sub header of a dump that is not split, but for phys_base and max_mapnr. crash finds VMCOREINFO by its offset, libkdumpfile in the notes.
fn sub_header(meta: &DumpMeta, abi: Abi) -> SubHeader {
    let notes_at = (meta.page_size.bytes() + abi.sub_len()) as u64;
    let range = |offset: u64, size: u64| match size {
        0 => FileRange::default(),
        size => FileRange { offset, size },
    };
    let text = meta.notes.vmcoreinfo_range().unwrap_or(0..0);
    let large = meta.notes.large().stream_len();
    let notes = large + meta.notes.as_bytes().len() as u64;
    SubHeader {
        dump_level: meta.dump_level as i32,
        vmcoreinfo: range(notes_at + large + text.start as u64, text.len() as u64),
        notes: range(notes_at, notes),
        erase_info: range(notes_at + notes, meta.erase_info.len() as u64),
        ..SubHeader::default()
    }
}
