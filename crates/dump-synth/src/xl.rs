//! Cores of Xen guests as `xl dump-core` writes them: sections and no program headers.

use crate::note::Notes;
use crate::{Endian, FakeMemory};

/// Offsets of what tests change.
#[derive(Clone, Debug)]
pub struct XlCore {
    /// The file.
    pub bytes: Vec<u8>,
    /// Where the table of page frames begins.
    pub table: usize,
    /// Where the first page begins.
    pub pages: usize,
    /// Where the section headers begin.
    pub sections: usize,
}

const NAMES: [&str; 7] = ["", ".shstrtab", ".note.Xen", ".xen_prstatus", ".xen_pages", ".xen_pfn", ".xen_p2m"];

/// The pages of `memory`, of a PV guest with `machine` frames or of another.
#[must_use]
pub fn xl_core(memory: &FakeMemory, machine: Option<&dyn Fn(u64) -> u64>) -> XlCore {
    let pfns: Vec<u64> = memory.pfns().collect();
    let magic = if machine.is_some() { 0xf00f_ebed_u64 } else { 0xf00f_ebee };
    let header: Vec<u8> = [magic, 2, pfns.len() as u64, 4096].iter().flat_map(|word| word.to_le_bytes()).collect();
    let notes = Notes::new(Endian::Little)
        .note("Xen", 0x200_0000, &[])
        .note("Xen", 0x200_0001, &header)
        .note("Xen", 0x200_0002, &[0; 1272])
        .note("Xen", 0x200_0003, &1_u64.to_le_bytes())
        .into_bytes();
    let table: Vec<u8> = match machine {
        Some(machine) => pfns.iter().flat_map(|pfn| [*pfn, machine(*pfn)]).flat_map(u64::to_le_bytes).collect(),
        None => pfns.iter().flat_map(|pfn| pfn.to_le_bytes()).collect(),
    };
    let names: Vec<u8> = NAMES.iter().flat_map(|name| name.bytes().chain([0])).collect();
    let name = |i: usize| NAMES[..i].iter().map(|name| name.len() + 1).sum::<usize>() as u32;
    let last = if machine.is_some() { 6 } else { 5 };
    let sections = 64;
    let mut bytes = vec![0; sections + 6 * 64];
    let mut headers = vec![vec![0_u8; 64]];
    let mut put = |bytes: &mut Vec<u8>, i: usize, content: &[u8], align: usize, entry: u64| {
        bytes.resize(bytes.len().next_multiple_of(align), 0);
        let at = bytes.len();
        bytes.extend_from_slice(content);
        let mut header = Vec::new();
        header.extend(name(i).to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        [0, 0, at as u64, content.len() as u64, 0, align as u64, entry]
            .iter()
            .for_each(|w| header.extend(w.to_le_bytes()));
        headers.push(header);
        at
    };
    put(&mut bytes, 2, &notes, 1, 0);
    put(&mut bytes, 3, &[0; 2 * 5168], 8, 5168);
    let content: Vec<u8> = pfns.iter().flat_map(|pfn| memory.page(*pfn).unwrap_or_default()).collect();
    let pages = put(&mut bytes, 4, &content, 4096, 4096);
    let table = put(&mut bytes, last, &table, 1, if machine.is_some() { 16 } else { 8 });
    put(&mut bytes, 1, &names, 1, 0);
    for (i, header) in headers.iter().enumerate() {
        bytes[sections + 64 * i..][..64].copy_from_slice(header);
    }
    bytes[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let words: [(usize, u16); 7] = [(16, 4), (18, 62), (20, 1), (52, 64), (58, 64), (60, 6), (62, 5)];
    words.iter().for_each(|(at, word)| bytes[*at..at + 2].copy_from_slice(&word.to_le_bytes()));
    bytes[40..48].copy_from_slice(&(sections as u64).to_le_bytes());
    XlCore { bytes, table, pages, sections }
}
