//! Whether there is reason to do work for every page that headers claim.
//!
//! A dump that was cut off is worth what it holds, and its other pages are counted as unreadable one by one. Headers of
//! a few KiB may claim a TiB in the same way, and there is nothing to be had from looking through that.

use dump_core::{Claim, Error, PageSource, Result};

/// Missing pages that are looked through whatever there is: 4 GiB of 4 KiB pages, a second's work.
const ANY: u64 = 1 << 20;

/// Missing pages that are looked through for each page that is there.
const FOR_EACH: u64 = 1024;

/// Checks that a source has something of what it claims.
///
/// # Errors
/// `Corrupt` if it has next to nothing.
pub(crate) fn check(source: &dyn PageSource) -> Result<()> {
    let Claim { held, missing } = source.claim();
    let there = held.saturating_sub(missing);
    if missing <= ANY.max(there.saturating_mul(FOR_EACH)) {
        return Ok(());
    }
    let text = format!("its headers claim {held} pages, of which the file has room for {there}");
    Err(Error::corrupt(text).hint("it was cut off at its start, or its headers are damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{DumpMeta, Machine, PageBitmap, PageReader, PageSize};

    struct Claims(DumpMeta, Claim);

    impl PageSource for Claims {
        fn meta(&self) -> &DumpMeta {
            &self.0
        }

        fn mark_ram(&self, _: &mut PageBitmap) -> Result<()> {
            Ok(())
        }

        fn mark_held(&self, _: &mut PageBitmap) -> Result<()> {
            Ok(())
        }

        fn claim(&self) -> Claim {
            self.1
        }

        fn reader(&self) -> Box<dyn PageReader + '_> {
            unreachable!("nobody reads")
        }
    }

    #[test]
    fn a_dump_cut_off_is_no_made_up_header() {
        let held = |held, missing| {
            check(&Claims(DumpMeta::new(Machine::UNKNOWN, PageSize::K4), Claim { held, missing })).is_ok()
        };
        assert!(held(0, 0) && held(1 << 40, 0), "whole");
        assert!(held(1 << 18, 1 << 18), "a small one of which nothing is left");
        assert!(held(1 << 28, (1 << 28) - (1 << 19)), "a TiB of which 2 GiB arrived");
        assert!(!held(1 << 26, (1 << 26) - 1), "256 GiB in a file of one page");
        assert!(!held(u64::MAX, u64::MAX), "nothing at all");
    }
}
