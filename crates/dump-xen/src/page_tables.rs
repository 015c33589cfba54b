//! Page tables of a PV guest, which hold machine frames: which of its pages are page tables, and what they hold in frames
//! of its own.
//!
//! Xen knows every page table that a PV guest uses by the type of its `page_info` (PGT_*), for it validates each: they are
//! found without a walk, those of processes too. The type has 3 bits, and had 4 before 4.6 [xen/include/asm-x86/mm.h].

use crate::frame_table::Frame;
use dump_core::Pfn;

/// Levels of page tables.
const LEVELS: u64 = 4;

/// How `type_info` names what a guest uses a frame as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableKinds {
    /// Bits of the type.
    bits: u32,
}

/// Seen and believed by Xen as its type (bit PG_shift(6)).
const VALIDATED: u64 = 1 << 58;
const COUNT: u64 = (1 << 55) - 1;

const PRESENT: u64 = 1;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl TableKinds {
    /// Every way.
    pub const ALL: [TableKinds; 2] = [TableKinds { bits: 3 }, TableKinds { bits: 4 }];

    /// The level of the page table that a frame is used as, 1 for those whose entries are pages; `None` where it is none.
    pub fn level(self, frame: Frame) -> Option<u64> {
        let kind = frame.type_info >> (64 - self.bits);
        let used = frame.type_info & COUNT != 0 && frame.type_info & VALIDATED != 0;
        (used && (1..=LEVELS).contains(&kind)).then_some(kind)
    }
}

/// The frames in the entries of a table that are present.
pub fn frames(table: &[u8]) -> impl Iterator<Item = Pfn> + '_ {
    let entries = table.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()));
    entries.filter(|entry| entry & PRESENT != 0).map(|entry| Pfn((entry & ADDRESS) >> 12))
}

/// Puts the domain's frames in place of the machine's in all entries of a page table that are present. An entry that leads
/// to a frame which is not the domain's becomes one that is not present, if the domain has a page of that number;
/// otherwise it stays.
pub fn rewrite(table: &mut [u8], domain: &dyn Fn(Pfn) -> Option<Pfn>, has: &dyn Fn(Pfn) -> bool) {
    for bytes in table.chunks_exact_mut(8) {
        let mut entry = [0; 8];
        entry.copy_from_slice(bytes);
        let entry = u64::from_le_bytes(entry);
        if entry & PRESENT == 0 {
            continue;
        }
        let machine = Pfn((entry & ADDRESS) >> 12);
        let now = match domain(machine) {
            Some(pfn) => (entry & !ADDRESS) | (pfn.0 << 12 & ADDRESS),
            None if has(machine) => 0,
            None => entry,
        };
        bytes.copy_from_slice(&now.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_in_the_domains_frames() {
        let entries = [0x8000_0000_1234_5067_u64, 0, 0x5678_9000, 0x0000_0000_0007_7003, 0x0fff_f063];
        let mut table: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        assert_eq!(frames(&table).count(), 3);
        rewrite(&mut table, &|mfn| (mfn.0 == 0x1_2345).then_some(Pfn(7)), &|pfn| pfn.0 == 0x77);
        let now: Vec<u64> = table.chunks(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert_eq!(now, [0x8000_0000_0000_7067, 0, 0x5678_9000, 0, 0x0fff_f063], "not present entries stay");
    }

    #[test]
    fn types_of_three_and_of_four_bits() {
        let frame = |kind: u64, bits: u32| Frame { type_info: kind << (64 - bits) | VALIDATED | 1, ..Frame::default() };
        let [three, four] = TableKinds::ALL;
        assert_eq!([1, 4, 5, 7].map(|kind| three.level(frame(kind, 3))), [Some(1), Some(4), None, None]);
        assert_eq!([1, 4, 5].map(|kind| four.level(frame(kind, 4))), [Some(1), Some(4), None]);
        let unused = Frame { type_info: 1 << 61 | VALIDATED, ..Frame::default() };
        assert_eq!(three.level(unused), None, "a type is left behind when its last use ends");
    }
}
