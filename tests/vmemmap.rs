//! `-e`: struct pages of pages that are left out are left out themselves.

use crate::support::{gdump, gdump_ok, open, scratch, text, tiny};
use dump_synth::{Era, KernelBuilder, Leaf, MemModel, RootSymbol, StructPages};
use std::collections::BTreeSet;
use std::path::Path;

/// Where the first page of the vmemmap of the fixture's kernel is, which has it in one page of 2 MiB: by crash (`vtop`)
/// and by makedumpfile's debug messages.
const VMEMMAP: u64 = 0x3e00;

/// Page frames that `-e` leaves out of the fixture at `level`, by makedumpfile's choice of all other pages: struct pages
/// have 64 bytes, so that a page of them is for 64 page frames.
///
/// makedumpfile 1.7.9 itself leaves none of them out: of the last 2 MiB of a vmemmap it knows only where it begins
/// (find_vmemmap_x86_64()), and here these are all of it.
fn unused(level: u32) -> BTreeSet<u64> {
    let (ram, kept) = (tiny().bitmap(0), tiny().bitmap(level));
    let all = |bits: &[u8], byte| bits.iter().all(|bits| *bits == byte);
    let pages = ram.chunks_exact(8).zip(kept.chunks_exact(8)).zip(VMEMMAP..);
    pages.filter(|((ram, kept), _)| all(ram, 0xff) && all(kept, 0)).map(|(_, frame)| frame).collect()
}

fn kept(path: &Path) -> BTreeSet<u64> {
    let kdump = open(path);
    let end = tiny().bitmap(0).len() as u64 * 8;
    (0..end).filter(|pfn| kdump.kept.get(*pfn)).collect()
}

fn set_of(bits: &[u8]) -> BTreeSet<u64> {
    (0..bits.len() as u64 * 8).filter(|pfn| bits[(pfn / 8) as usize] >> (pfn % 8) & 1 != 0).collect()
}

/// The number of pages in a row of the report; 0 where it has none.
fn row(report: &str, label: &str) -> usize {
    let row = report.lines().find_map(|line| line.trim().strip_prefix(label));
    row.map_or(0, |row| row.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn left_out_of_the_fixture() {
    let (dir, vmcore) = (scratch(), text(&tiny().vmcore));
    let path = |name: &str| dir.path().join(name);
    for (level, pages) in [(0, 0), (1, 0), (16, 134), (31, 185)] {
        let out = path("out");
        let (unused, level_text) = (unused(level), level.to_string());
        let report = gdump_ok(&["-f", "-e", "-c", "-d", &level_text, vmcore, text(&out)]);
        let want: BTreeSet<u64> = set_of(&tiny().bitmap(level)).difference(&unused).copied().collect();
        assert!(kept(&out) == want, "-d {level}");
        assert_eq!((unused.len(), row(&report, "- vmemmap")), (pages, pages), "-d {level}: {report}");
        // the status field says so, where there is something to say
        let info = gdump_ok(&["info", text(&out)]);
        assert_eq!(info.contains("vmemmap excluded"), pages != 0, "-d {level}: {info}");
        assert!(gdump_ok(&["check", text(&out)]).contains("no damage found"));
    }
    let stats = gdump_ok(&["-f", "-e", "--show-stats", "-d", "31", vmcore, text(&path("out"))]);
    let without = gdump_ok(&["-f", "--show-stats", "-d", "31", vmcore, text(&path("out"))]);
    let lines =
        |text: &str| -> Vec<String> { text.lines().filter(|line| line.contains(": 0x")).map(str::to_owned).collect() };
    assert_eq!(lines(&stats), lines(&without), "makedumpfile's numbers know no vmemmap");
}

/// What is gone stays gone, and what is there is read as before.
#[test]
fn filtered_again() {
    let (dir, vmcore) = (scratch(), text(&tiny().vmcore));
    let path = |name: &str| dir.path().join(name);
    let make = |options: &[&str], from: &str, to: &str| {
        gdump_ok(&[options, &["-f", "-c", from, text(&path(to))]].concat());
        kept(&path(to))
    };
    let whole = make(&["-d", "31"], vmcore, "whole");
    let once = make(&["-e", "-d", "31"], vmcore, "once");
    for (options, from) in [(&["-d", "31"][..], "once"), (&["-e", "-d", "31"], "once"), (&["-e"], "whole")] {
        assert!(make(options, text(&path(from)), "again") == once, "{options:?} of {from}");
        assert!(std::fs::read(path("again")).unwrap() == std::fs::read(path("once")).unwrap(), "{options:?} of {from}");
    }
    // struct pages of free pages are gone, those of all others are not
    make(&["-e", "-d", "16"], vmcore, "free");
    let gone = unused(16);
    assert!(make(&["-d", "31"], text(&path("free")), "all") == whole.difference(&gone).copied().collect());
    let log = |from: &str| {
        gdump_ok(&["-f", "--dump-dmesg", text(&path(from)), text(&path("log"))]);
        std::fs::read(path("log")).unwrap()
    };
    assert!(log("once") == log("whole"));
    // zero pages are in every dump, whether they have bytes in it or not, and so are their struct pages
    for format in ["elf", "lime", "raw"] {
        let out = path("other");
        gdump_ok(&["-f", "-e", "-d", "31", "--format", format, vmcore, text(&out)]);
        if format == "elf" {
            let report = gdump(&["diff", text(&out), text(&path("once"))]);
            assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
        }
    }
}

#[test]
fn a_kernel_without_a_vmemmap() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let models = [
        MemModel::Flat,
        MemModel::Sparse(StructPages::DirectMap),
        MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4)),
    ];
    for model in models {
        let fake = KernelBuilder::new(Era::V6_1).model(model).recipe("ram 0..0x1000\nanon 0x400..0x600").build();
        std::fs::write(path("vmcore"), fake.vmcore()).unwrap();
        let run = gdump(&["-f", "-e", "--strict", "-d", "31", text(&path("vmcore")), text(&path("with"))]);
        let said = String::from_utf8_lossy(&run.stderr);
        gdump_ok(&["-f", "-d", "31", text(&path("vmcore")), text(&path("without"))]);
        let same = std::fs::read(path("with")).unwrap() == std::fs::read(path("without")).unwrap();
        assert!(run.status.success(), "{said}");
        assert_eq!(said.contains("-e has no effect: the kernel has no vmemmap"), same, "{model:?}: {said}");
        assert_eq!(same, !model.is_vmemmap(), "{model:?}");
    }
    let raw = path("raw");
    std::fs::write(&raw, vec![7; 1 << 20]).unwrap();
    let run = gdump(&["-f", "-e", "--raw-base", "0", text(&raw), text(&path("with"))]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("-e has no effect: the kernel is not known"), "{said}");
}
