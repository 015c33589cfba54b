//! Real dumps of other architectures: the right choice of pages at each dump level, and every page's bytes.
//!
//! The choice is makedumpfile's, built for the architecture, and where a test says so a walk of struct pages that
//! shares nothing with it.

use crate::corpus::{CLASSES, stats};
use crate::support::{Case, elf, gdump_ok, of_arch, open, page, scratch, text};
use dump_witness::Page;

/// At each level the pages that `case` keeps, and the counts of those it leaves out. Its bitmaps may end before the
/// dump's memory does: `beyond` says whether a page there is to be kept.
fn same_choice_at_every_level(case: &Case, beyond: impl Fn(u64) -> bool) {
    let dir = scratch();
    let out = dir.path().join("out");
    for level in 0..32 {
        let report = gdump_ok(&["-l", "-f", "-d", &level.to_string(), "--show-stats", text(&case.vmcore), text(&out)]);
        let (got, want) = (open(&out), case.bitmap(level));
        let bit = |bytes: &[u8], pfn: u64| bytes.get(pfn as usize / 8).is_some_and(|byte| byte >> (pfn % 8) & 1 == 1);
        let its_end = case.max_mapnr();
        let wanted = |pfn: u64| if pfn < its_end { bit(&want, pfn) } else { beyond(pfn) };
        let end = got.header.max_mapnr.max(its_end);
        let wrong: Vec<u64> = (0..end).filter(|pfn| bit(got.kept.bytes(), *pfn) != wanted(*pfn)).collect();
        let first = &wrong[..wrong.len().min(16)];
        assert!(wrong.is_empty(), "{} -d {level}: {} pages, {first:x?}", case.name, wrong.len());
        let stats = stats(&report);
        // pages of zeros beyond are counted too
        for (label, class) in CLASSES.into_iter().filter(|(_, class)| *class != "zero" || end == its_end) {
            assert_eq!(stats[label], case.count(level, class), "{} -d {level}: {class}", case.name);
        }
        assert!(!got.is_incomplete());
    }
}

/// Every page that is there equals the dump's.
fn every_page_equals_the_dumps(case: &Case) {
    let dir = scratch();
    let out = dir.path().join("out");
    let dump = elf(&case.vmcore);
    for level in ["0", "31"] {
        gdump_ok(&["-l", "-f", "-d", level, text(&case.vmcore), text(&out)]);
        let kdump = open(&out);
        let page_size = kdump.header.page_size;
        for pfn in 0..kdump.header.max_mapnr {
            match page(&kdump, pfn) {
                Page::Held(bytes, _) => assert!(dump.page(pfn, page_size).unwrap() == bytes, "{}: {pfn:#x}", case.name),
                Page::Excluded => {}
                Page::Lost => panic!("{} -d {level}: pfn {pfn:#x} is lost", case.name),
            }
        }
    }
}

#[test]
fn arm64() {
    let Some(case) = of_arch("arm64-6.12", "arm64") else { return };
    same_choice_at_every_level(&case, |_| false);
    every_page_equals_the_dumps(&case);
}

#[test]
fn s390x() {
    let Some(case) = of_arch("s390x-6.12", "s390x") else { return };
    same_choice_at_every_level(&case, |_| false);
    every_page_equals_the_dumps(&case);
}

/// The frame buffer at 0x200080000000, which QEMU's dump has, is left out.
#[test]
fn ppc64el_with_pages_of_64_kib() {
    let Some(case) = of_arch("ppc64el-6.1-64k", "ppc64el_with_pages_of_64_kib") else { return };
    same_choice_at_every_level(&case, |_| false);
    every_page_equals_the_dumps(&case);
}

/// The flat mem_map ends at max_pfn: what lies beyond, the memory of the graphics card and the BIOS, stays.
#[test]
fn i386_with_pae() {
    let Some(case) = of_arch("i386-6.1", "i386_with_pae") else { return };
    let dump = elf(&case.vmcore);
    same_choice_at_every_level(&case, |pfn| dump.page(pfn, 4096).is_some());
    every_page_equals_the_dumps(&case);
}
