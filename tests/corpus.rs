//! Real dumps: makedumpfile's choice of pages at each dump level, and every page's bytes.

use crate::support::{Case, corpus, elf, gdump_ok, open, page, scratch, skipped, text, tiny};
use dump_witness::Page;
use std::collections::HashMap;

/// What the lines of `--show-stats` are called in `pages.json`.
pub const CLASSES: [(&str, &str); 7] = [
    ("Pages filled with zero", "zero"),
    ("Non-private cache pages", "cache"),
    ("Private cache pages", "cache_private"),
    ("User process data pages", "user"),
    ("Free pages", "free"),
    ("Hwpoison pages", "hwpoison"),
    ("Offline pages", "offline"),
];

/// `label : 0x...` lines.
pub fn stats(report: &str) -> HashMap<&str, u64> {
    let line = |line: &'_ str| -> Option<(usize, u64)> {
        let (label, value) = line.split_once(':')?;
        Some((label.len(), u64::from_str_radix(value.trim().strip_prefix("0x")?, 16).ok()?))
    };
    report.lines().filter_map(|l| line(l).map(|(len, value)| (l[..len].trim(), value))).collect()
}

fn same_choice_at_every_level(case: &Case) {
    let dir = scratch();
    let out = dir.path().join("out");
    for level in 0..32 {
        let report = gdump_ok(&["-l", "-f", "-d", &level.to_string(), "--show-stats", text(&case.vmcore), text(&out)]);
        let got = open(&out);
        let want = case.bitmap(level);
        let bit = |bytes: &[u8], pfn: u64| bytes[pfn as usize / 8] >> (pfn % 8) & 1 == 1;
        assert_eq!(got.kept.bytes().len(), want.len(), "{} -d {level}", case.name);
        let differs = |pfn: &u64| bit(got.kept.bytes(), *pfn) != bit(&want, *pfn);
        let wrong: Vec<u64> = (0..got.header.max_mapnr).filter(differs).collect();
        assert!(wrong.is_empty(), "{} -d {level}: pages {wrong:x?}", case.name);
        let stats = stats(&report);
        for (label, class) in CLASSES {
            assert_eq!(stats[label], case.count(level, class), "{} -d {level}: {class}", case.name);
        }
        assert!(!got.is_incomplete());
    }
}

fn every_page_equals_the_vmcores(case: &Case) {
    let dir = scratch();
    let out = dir.path().join("out");
    let vmcore = elf(&case.vmcore);
    let codecs = [("", 0), ("-c", 1), ("-l", 2), ("-p", 4), ("-z", 0x20)];
    for (level, (codec, flag)) in [0, 1, 31].iter().flat_map(|level| codecs.iter().map(move |codec| (level, *codec))) {
        let level = level.to_string();
        let mut args = vec!["-f", "-d", &level, text(&case.vmcore), text(&out)];
        args.extend(Some(codec).filter(|codec| !codec.is_empty()));
        gdump_ok(&args);
        let kdump = open(&out);
        assert_eq!(kdump.header.max_mapnr, vmcore.end_pfn(4096));
        assert_eq!(kdump.header.status, flag, "{codec}");
        let mut compressed = 0;
        for pfn in 0..kdump.header.max_mapnr {
            let want = vmcore.page(pfn, 4096);
            assert_eq!(kdump.ram.get(pfn), want.is_some(), "{} {codec} -d {level}: pfn {pfn:#x}", case.name);
            match page(&kdump, pfn) {
                Page::Held(bytes, flags) => {
                    assert!(want.unwrap() == bytes, "{} {codec} -d {level}: pfn {pfn:#x}", case.name);
                    compressed += u64::from(flags == flag);
                }
                Page::Excluded => {}
                Page::Lost => panic!("{} {codec} -d {level}: pfn {pfn:#x} is lost", case.name),
            }
        }
        assert!(compressed > 1000, "{codec}: only {compressed} pages are compressed");
    }
}

fn bytes_do_not_depend_on_threads(case: &Case) {
    let dir = scratch();
    for codec in ["-c", "-l", "-z"] {
        let outputs = ["1", "2", "3", "8"].map(|threads| {
            let out = dir.path().join(threads);
            gdump_ok(&["-f", codec, "-d", "17", "--num-threads", threads, text(&case.vmcore), text(&out)]);
            std::fs::read(out).unwrap()
        });
        assert!(outputs.iter().all(|bytes| *bytes == outputs[0]), "{} {codec}", case.name);
    }
}

#[test]
fn tiny_same_choice_at_every_level() {
    same_choice_at_every_level(tiny());
}

#[test]
fn tiny_every_page_equals_the_vmcores() {
    every_page_equals_the_vmcores(tiny());
}

#[test]
fn tiny_bytes_do_not_depend_on_threads() {
    bytes_do_not_depend_on_threads(tiny());
}

/// A compressed dump gives the same bytes as the dump itself.
#[test]
fn tiny_is_read_packed() {
    let dir = scratch();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    gdump_ok(&["-c", "-d31", text(&tiny().oracle.join("vmcore.zst")), text(&a)]);
    gdump_ok(&["-c", "-d31", text(&tiny().vmcore), text(&b)]);
    assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
}

#[test]
fn corpus_as_makedumpfile() {
    if corpus().is_empty() {
        return skipped("corpus", "corpus_as_makedumpfile", "GDUMP_CORPUS names no corpus");
    }
    for case in corpus().iter().filter(|case| case.name != "tiny") {
        same_choice_at_every_level(case);
        every_page_equals_the_vmcores(case);
        bytes_do_not_depend_on_threads(case);
    }
}
