//! Which `page_info` is that of which machine frame: Xen leaves out holes of its frame table by compressed page frame
//! numbers (xen/common/pdx.c).
//!
//! Which way it does is a choice of the build, and where the holes are is in variables that its vmcoreinfo does not name:
//! only its symbols do.

use crate::space::XenReader;
use dump_core::{Error, Result, VirtAddr};

/// From page frame numbers to compressed ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pdx {
    /// They are the same.
    Same,
    /// Bits in their middle, which are the same in all, are left out.
    Mask {
        /// The bits below.
        bottom: u64,
        /// The bits above.
        top: u64,
        /// How many are left out.
        shift: u32,
    },
    /// Each range of memory is moved down by an offset of its own.
    Offset {
        /// The bits below those that index the tables.
        shift: u32,
        /// What is taken off.
        lookup: Vec<u64>,
        /// Where each range begins.
        bases: Vec<u64>,
        /// How long each is at most (page frames).
        region: u64,
    },
}

/// Entries of Xen's tables that are read at most: CONFIG_PDX_OFFSET_TBL_ORDER is 9 at most.
const MAX_ENTRIES: u64 = 1 << 9;

impl Pdx {
    /// By the variables that `symbol` names; `None` where it names none of them.
    ///
    /// # Errors
    /// If they cannot be read; `Corrupt` if they make no sense.
    pub fn read(symbol: &dyn Fn(&str) -> Option<VirtAddr>, reader: &mut XenReader<'_>) -> Result<Option<Pdx>> {
        let mask = (symbol("pfn_pdx_bottom_mask"), symbol("pfn_top_mask"), symbol("pfn_pdx_hole_shift"));
        if let (Some(bottom), Some(top), Some(shift)) = mask {
            let (bottom, top, shift) = (reader.u64(bottom)?, reader.u64(top)?, reader.u32(shift)?);
            return Pdx::masked(bottom, top, shift).map(Some);
        }
        let tables =
            (symbol("pfn_pdx_lookup"), symbol("pfn_bases"), symbol("pfn_index_shift"), symbol("pdx_region_size"));
        let (Some(lookup), Some(bases), Some(shift), Some(region)) = tables else { return Ok(None) };
        let (shift, region) = (reader.u32(shift)?, reader.u64(region)?);
        // the build says how long the tables are, and the one after it in memory bounds each
        let entries = [symbol("pdx_pfn_lookup"), Some(lookup), Some(bases)];
        let after = entries.into_iter().flatten().filter_map(|at| at.0.checked_sub(lookup.0)).filter(|n| *n != 0).min();
        let entries = after.map_or(1, |bytes| bytes / 8).min(MAX_ENTRIES);
        if !entries.is_power_of_two() || shift >= 64 {
            let text = format!("tables of {entries} entries and page frame numbers shifted by {shift}");
            return Err(Error::corrupt(text).within("Xen's compressed page frame numbers"));
        }
        let mut table = |at: VirtAddr| (0..entries).map(|i| reader.u64(VirtAddr(at.0.wrapping_add(8 * i)))).collect();
        let (lookup, bases): (Result<Vec<u64>>, Result<Vec<u64>>) = (table(lookup), table(bases));
        let (lookup, bases) = (lookup?, bases?);
        let identity = lookup.iter().all(|offset| *offset == 0) && region == u64::MAX;
        Ok(Some(if identity { Pdx::Same } else { Pdx::Offset { shift, lookup, bases, region } }))
    }

    fn masked(bottom: u64, top: u64, shift: u32) -> Result<Pdx> {
        if shift == 0 {
            return Ok(Pdx::Same);
        }
        let hole = !(bottom | top);
        let sane = bottom & (bottom.wrapping_add(1)) == 0
            && bottom & top == 0
            && hole.count_ones() == shift
            && hole == ((1_u64 << shift) - 1) << bottom.count_ones();
        if !sane {
            let text = format!("masks {bottom:#x} and {top:#x} leave no hole of {shift} bits");
            return Err(Error::corrupt(text).within("Xen's compressed page frame numbers"));
        }
        Ok(Pdx::Mask { bottom, top, shift })
    }

    /// Whether numbers are compressed.
    pub fn is_compressed(&self) -> bool {
        *self != Pdx::Same
    }

    /// The index of a frame's `page_info`; `None` where there is none.
    pub fn index(&self, mfn: u64) -> Option<u64> {
        match self {
            Pdx::Same => Some(mfn),
            Pdx::Mask { bottom, top, shift } if mfn & !(bottom | top) == 0 => {
                Some((mfn & bottom) | (mfn & top) >> shift)
            }
            Pdx::Mask { .. } => None,
            Pdx::Offset { shift, lookup, bases, region } => {
                let i = (mfn >> shift) as usize & (lookup.len().max(1) - 1);
                let within = mfn.checked_sub(*bases.get(i)?).is_some_and(|offset| offset < *region);
                mfn.checked_sub(*lookup.get(i)?).filter(|_| within)
            }
        }
    }

    /// How many frames from `mfn` on have indices that follow each other, at least.
    pub fn run(&self, mfn: u64) -> u64 {
        let until = |bits: u32| (1_u64 << bits) - (mfn & ((1 << bits) - 1));
        match self {
            Pdx::Same => u64::MAX - mfn,
            Pdx::Mask { bottom, .. } => until(bottom.count_ones().min(63)),
            Pdx::Offset { shift, .. } => until((*shift).min(63)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_the_middle() {
        // 16 GiB at 0 and at 1 TiB: bits 22 to 27 of a page frame number are never set
        let pdx = Pdx::masked(0x3f_ffff, !0xfff_ffff, 6).unwrap();
        assert_eq!(pdx.index(0x12_3456), Some(0x12_3456));
        assert_eq!(pdx.index(0x1000_0005), Some(0x40_0005));
        assert_eq!(pdx.index(0x0400_0000), None, "no memory there");
        assert_eq!(pdx.run(0x3f_fff0), 16);
        assert_eq!(Pdx::masked(u64::MAX, 0, 0).unwrap(), Pdx::Same);
        for (bottom, top, shift) in [(5, 0, 3), (0xff, 0xff00, 4), (u64::MAX, 0, 64), (0xff, !0xff, 99)] {
            assert!(Pdx::masked(bottom, top, shift).is_err(), "{bottom:#x} {top:#x} {shift}");
        }
    }

    #[test]
    fn ranges_moved_down() {
        let pdx =
            Pdx::Offset { shift: 28, lookup: vec![0, 0x0fc0_0000], bases: vec![0, 0x1000_0000], region: 0x40_0000 };
        assert_eq!(pdx.index(0x3f_ffff), Some(0x3f_ffff));
        assert_eq!(pdx.index(0x40_0000), None);
        assert_eq!(pdx.index(0x1000_0007), Some(0x40_0007));
        assert_eq!(pdx.run(0x0fff_ffff), 1);
    }
}
