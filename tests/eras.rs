//! Synthetic kernels of every struct page era and memory model: what is left out is what the recipe says, though it
//! shares no line of code with what reads struct pages.

use crate::support::{gdump, gdump_ok, open, page, scratch, text};
use dump_synth::{
    Class, Counts, Era, FakeKernel, FreeLists, KernelBuilder, Leaf, MemModel, RootSymbol, StructPages, every_kind,
};
use dump_witness::Page;

fn builder(era: Era) -> KernelBuilder {
    KernelBuilder::new(era).recipe(&every_kind(era))
}

fn models() -> Vec<MemModel> {
    use RootSymbol::{Array, PointerAddress, PointerValue};
    let (large, small) = (StructPages::Vmemmap(Leaf::M2), StructPages::Vmemmap(Leaf::K4));
    vec![
        MemModel::Flat,
        MemModel::Sparse(StructPages::DirectMap),
        MemModel::Sparse(large),
        MemModel::SparseExtreme(Array, large),
        MemModel::SparseExtreme(PointerValue, small),
        MemModel::SparseExtreme(PointerAddress, large),
        MemModel::SparseExtreme(Array, StructPages::DirectMap),
    ]
}

/// Filters a kernel's vmcore and compares pages, counts and bytes with the recipe's; returns what was said on stderr.
pub fn filter(kernel: &FakeKernel, level: u32, what: &str) -> String {
    filter_dump(&kernel.vmcore(), kernel, level, what)
}

/// The same for another dump of its memory.
pub fn filter_dump(dump: &[u8], kernel: &FakeKernel, level: u32, what: &str) -> String {
    let dir = scratch();
    let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    std::fs::write(&vmcore, dump).unwrap();
    let run = gdump(&["-l", "-d", &level.to_string(), "--show-stats", text(&vmcore), text(&out)]);
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{what}: {stderr}");
    let expected = kernel.expected(level);
    let kdump = open(&out);
    assert!(
        kernel.vmcoreinfo().contains(&format!("OSRELEASE={}\n", kdump.header.release)),
        "{what}: {}",
        kdump.header.release
    );
    for pfn in 0..kernel.max_pfn() {
        let kept = expected.kept.contains(&pfn);
        assert_eq!(kdump.kept.get(pfn), kept, "{what} -d {level}: pfn {pfn:#x}, {:?}", kernel.class(pfn));
        if let Page::Held(bytes, _) = page(&kdump, pfn) {
            assert!(kernel.page(pfn).unwrap()[..] == bytes[..], "{what} -d {level}: bytes of pfn {pfn:#x}");
        }
    }
    assert_eq!(counts(&String::from_utf8(run.stdout).unwrap()), expected.counts, "{what} -d {level}");
    stderr
}

fn counts(report: &str) -> Counts {
    let count = |label: &str| {
        let line = report.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        u64::from_str_radix(line.split("0x").nth(1).unwrap().trim(), 16).unwrap()
    };
    Counts {
        zero: count("Pages filled with zero"),
        cache: count("Non-private cache pages"),
        cache_private: count("Private cache pages"),
        user: count("User process data pages"),
        free: count("Free pages"),
        hwpoison: count("Hwpoison pages"),
        offline: count("Offline pages"),
        unaccepted: count("Unaccepted pages"),
    }
}

#[test]
fn every_era_at_every_class() {
    for era in Era::ALL {
        let kernel = builder(*era).build();
        for level in [0, 1, 2, 4, 6, 8, 16, 25, 31] {
            filter(&kernel, level, &format!("{era}"));
        }
    }
}

#[test]
fn every_era_in_every_memory_model() {
    for era in Era::ALL {
        for model in models() {
            filter(&builder(*era).model(model).build(), 31, &format!("{era} {model:?}"));
        }
    }
}

#[test]
fn address_layouts() {
    for era in [Era::V3_10, Era::V4_14, Era::V5_10, Era::V6_12, Era::V7_2] {
        type Layout = fn(KernelBuilder) -> KernelBuilder;
        let layouts: [(&str, Layout); 6] = [
            ("kaslr", |b| b.kaslr(0x31c0_0000)),
            ("5 levels", KernelBuilder::five_level),
            ("sme", |b| b.sme_mask(1 << 47)),
            ("numa", KernelBuilder::numa),
            ("small sections", |b| b.sections(24, 36)),
            ("direct map of 4 KiB pages", |b| b.direct_leaf(Leaf::K4)),
        ];
        for (name, layout) in layouts {
            filter(&layout(builder(era)).build(), 31, &format!("{era} {name}"));
        }
    }
}

/// A list that is broken, or runs in a circle: what hangs on it is kept, and that is said. makedumpfile ends there and
/// leaves no dump.
#[test]
fn broken_free_lists_keep_their_pages() {
    for state in [FreeLists::BrokenPrev, FreeLists::Loop] {
        let stderr = filter(&builder(Era::V3_8).free_lists(state).build(), 31, "broken list");
        let said = stderr.lines().filter(|line| line.contains("cannot identify free pages, keeping them: ")).count();
        assert_eq!(said, 1, "{stderr}");
    }
}

/// On 6.10 and later bit 7 is no longer PG_slab, which vmcoreinfo no longer names; makedumpfile 1.7.9 falls back to 7
/// and takes an anonymous page with PG_waiters for a slab page: at level 8 it is kept, at level 4 dropped as page
/// cache.
#[test]
fn makedumpfile_takes_waiters_for_slab() {
    let kernel = builder(Era::V6_12).build();
    let waiters = 0x1a8..0x1ac;
    assert!(waiters.clone().all(|pfn| kernel.class(pfn) == Class::User));
    assert!(
        waiters.clone().all(|pfn| kernel.expected(4).kept.contains(&pfn) && !kernel.expected(8).kept.contains(&pfn))
    );
    for level in [2, 4, 8] {
        filter(&kernel, level, "waiters");
    }
}

/// A broken tail page whose compound page stays: makedumpfile 1.7.9 looks at no tail and copies it.
#[test]
fn makedumpfile_copies_broken_tails() {
    let kernel = builder(Era::V6_1).build();
    let (_, at) = kernel.struct_page(0x1d3).unwrap(); // in the kernel's compound page at 0x1d0
    let mut vmcore = kernel.vmcore();
    set_hwpoison(&mut vmcore, &kernel, at);
    let dir = scratch();
    let (path, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    std::fs::write(&path, vmcore).unwrap();
    let report = gdump_ok(&["-d", "0", "--show-stats", text(&path), text(&out)]);
    let kdump = open(&out);
    let kept: Vec<bool> = (0x1d0..0x1e0).map(|pfn| kdump.kept.get(pfn)).collect();
    let want: Vec<bool> = (0x1d0..0x1e0).map(|pfn| pfn != 0x1d3).collect();
    assert_eq!(kept, want);
    assert_eq!(counts(&report).hwpoison, kernel.expected(0).counts.hwpoison + 1);
}

/// Sets PG_hwpoison, by the number that VMCOREINFO exports, in the struct page at physical address `at` of a vmcore
/// file.
fn set_hwpoison(vmcore: &mut [u8], kernel: &FakeKernel, at: u64) {
    let line = kernel.vmcoreinfo().lines().find_map(|line| line.strip_prefix("NUMBER(PG_hwpoison)=")).unwrap();
    let bit: usize = line.parse().unwrap();
    let word = |vmcore: &[u8], at: usize| u64::from_le_bytes(vmcore[at..at + 8].try_into().unwrap());
    let headers: Vec<usize> =
        (0..word(vmcore, 56) as usize & 0xffff).map(|i| word(vmcore, 32) as usize + 56 * i).collect();
    let mut written = 0;
    for header in headers {
        if vmcore[header] != 1 {
            continue;
        }
        let (offset, paddr, size) = (word(vmcore, header + 8), word(vmcore, header + 24), word(vmcore, header + 32));
        if (paddr..paddr + size).contains(&at) {
            vmcore[(offset + at - paddr) as usize + bit / 8] |= 1 << (bit % 8);
            written += 1;
        }
    }
    assert!(written > 0);
}

/// Pages of a class that cannot be identified are kept, the key is named, and `--strict` makes it an error.
#[test]
fn pages_that_cannot_be_identified_are_kept_with_a_warning() {
    let kernel = builder(Era::V6_12).omit("NUMBER(PG_lru)").build();
    let dir = scratch();
    let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    std::fs::write(&vmcore, kernel.vmcore()).unwrap();
    let run = gdump(&["-d", "31", text(&vmcore), text(&out)]);
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(
        run.status.success()
            && stderr.contains("cannot identify page cache pages, keeping them: vmcoreinfo lacks NUMBER(PG_lru)"),
        "{stderr}"
    );
    assert!(open(&out).kept.get(0x130), "page cache is kept");
    let e = crate::support::gdump_refuses(&["-d", "31", "-f", "--strict", text(&vmcore), text(&out)]);
    assert!(e.contains("NUMBER(PG_lru)"), "{e}");
    gdump_ok(&["-d", "8", "-f", "--strict", text(&vmcore), text(&out)]); // level 8 does not ask for page cache
    // no level asks for pages that all leave out, and a kernel without the key may have none
    let kernel = builder(Era::V6_12).omit("NUMBER(PG_hwpoison)").build();
    std::fs::write(&vmcore, kernel.vmcore()).unwrap();
    let run = gdump(&["-d", "1", "-f", "--strict", text(&vmcore), text(&out)]);
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && stderr.contains("cannot identify hwpoison pages, keeping them"), "{stderr}");
}
