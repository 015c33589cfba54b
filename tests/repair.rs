//! `gdump repair` brings back the pages that are certain, and never a wrong one.

use crate::support::{Case, corpus, elf, gdump, gdump_ok, open, page, scratch, skipped, text, tiny};
use dump_witness::{Elf, Page};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes that look like nothing: the same in each run.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// A kdump file of 4 KiB pages, and where it has what.
struct Whole {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the bitmaps begin, and the descriptors, and the data.
    bitmaps: usize,
    table: usize,
    data: usize,
    /// Where each page's data are; the page of zeros where that is shared.
    pages: BTreeMap<u64, std::ops::Range<usize>>,
}

impl Whole {
    fn of(path: PathBuf) -> Whole {
        let bytes = std::fs::read(&path).unwrap();
        let (sub, blocks) = (u32_at(&bytes, 432), u32_at(&bytes, 436));
        let (bitmaps, table) = ((1 + sub) * 4096, (1 + sub + blocks) * 4096);
        let kdump = open(&path);
        let held = (0..kdump.header.max_mapnr).filter(|pfn| kdump.kept.get(*pfn));
        let pages: BTreeMap<u64, _> = held
            .enumerate()
            .map(|(rank, pfn)| {
                let desc = &bytes[table + rank * 24..];
                let at = u64::from_le_bytes(desc[..8].try_into().unwrap()) as usize;
                (pfn, at..at + u32_at(desc, 8))
            })
            .collect();
        let data = table + pages.len() * 24;
        Whole { path, bytes, bitmaps, table, data, pages }
    }

    /// The pages of which no byte lies in `lost`.
    fn there(&self, lost: &std::ops::Range<usize>) -> usize {
        self.pages.values().filter(|at| at.end <= lost.start || at.start >= lost.end).count()
    }
}

/// Repairs `damaged`, and returns how many pages came back, each of which must be the vmcore's; the list of what is lost
/// must be right too. `None` if nothing came back.
fn repaired(damaged: &Path, vmcore: &Elf, whole: &Whole) -> Option<usize> {
    repaired_but(damaged, vmcore, whole, &(0..0))
}

/// The same with noise at `noisy` of the file: in pages that are stored as they are, nothing shows it unless it reaches
/// into another page.
fn repaired_but(damaged: &Path, vmcore: &Elf, whole: &Whole, noisy: &std::ops::Range<usize>) -> Option<usize> {
    let out = damaged.with_extension("out");
    let run = gdump(&["repair", "-f", text(damaged), text(&out)]);
    let stdout = String::from_utf8(run.stdout).unwrap();
    if !stdout.contains("saved: ") {
        assert_eq!(run.status.code(), Some(1));
        return None;
    }
    let kdump = open(&out);
    let (mut came, mut lost) = (0, 0);
    for pfn in 0..kdump.header.max_mapnr {
        match page(&kdump, pfn) {
            Page::Held(bytes, _) => {
                let at = whole.pages.get(&pfn).unwrap_or_else(|| panic!("pfn {pfn:#x}"));
                let unseen = at.len() == 4096 && at.start < noisy.end && noisy.start < at.end;
                assert!(unseen || vmcore.page(pfn, 4096).unwrap() == bytes, "pfn {pfn:#x}");
                came += 1;
            }
            Page::Lost => lost += 1,
            Page::Excluded => assert!(!whole.pages.contains_key(&pfn), "pfn {pfn:#x}"),
        }
    }
    assert_eq!(came + lost, whole.pages.len());
    assert_eq!(run.status.success(), !kdump.is_incomplete());
    assert!(lost == 0 || kdump.is_incomplete());
    let listed = stdout.lines().filter_map(|line| line.strip_prefix("lost: pfn"));
    let counts = listed.map(|line| line.rsplit_once(", ").map_or(1, |(_, n)| n[..n.len() - 6].parse().unwrap()));
    assert_eq!(counts.sum::<usize>(), lost, "{stdout}");
    Some(came)
}

/// Cuts a dump of `case` at each of `places` places, and puts 4 KiB of noise there.
fn cuts_and_noise(case: &Case, options: &[&str], places: usize) {
    let dir = scratch();
    let path = dir.path().join("whole");
    gdump_ok(&[options, &[text(&case.vmcore), text(&path)]].concat());
    let (whole, vmcore) = (Whole::of(path), elf(&case.vmcore));
    let (damaged, len) = (dir.path().join("damaged"), whole.bytes.len());
    for place in 0..places {
        let at = len * place / places;
        std::fs::write(&damaged, &whole.bytes[..at]).unwrap();
        let came = repaired(&damaged, &vmcore, &whole);
        assert_eq!(came.unwrap_or(0), whole.there(&(at..len)), "cut at {at:#x}");
        let end = (at + 4096).min(len);
        let noisy = [&whole.bytes[..at], &noise(place, end - at), &whole.bytes[end..]].concat();
        std::fs::write(&damaged, noisy).unwrap();
        let came = repaired_but(&damaged, &vmcore, &whole, &(at..end));
        let there = whole.there(&(at..end));
        if end <= whole.bitmaps || at >= whole.data {
            // pages without a checksum are lost beside damage, and their own damage may go unseen
            let near = whole
                .pages
                .values()
                .filter(|page| page.len() == 4096 && page.start < end + 65536 && page.end + 65536 > at);
            let near = near.count();
            assert!(came.is_some_and(|came| came + near >= there && came <= there + near), "noise at {at:#x}");
            assert!(near != 0 || came == Some(there), "noise at {at:#x}: {came:?} of {there}");
        } else if at >= whole.table {
            // which page is which is not known where zero pages, which have no data, are among them
            assert!(came.is_some_and(|came| came + 4096 / 24 + 2 >= there), "noise at {at:#x}: {came:?} of {there}");
        }
    }
    assert!(whole.path.exists());
}

#[test]
fn a_cut_or_noisy_dump_gives_all_pages_that_are_certain() {
    cuts_and_noise(tiny(), &["-c", "-d", "31"], 10);
}

#[test]
fn corpus_dumps_cut_and_noisy_at_200_places() {
    if crate::support::corpus_dir().is_none() {
        return skipped("corpus", "corpus_dumps_cut_and_noisy_at_200_places", "GDUMP_CORPUS names no corpus");
    }
    let len = |case: &&Case| std::fs::metadata(&case.vmcore).unwrap().len();
    let smallest = corpus().iter().min_by_key(len).unwrap();
    cuts_and_noise(smallest, &["-c", "-d", "31"], 200);
}

/// Each area of the front, where a place by chance seldom falls.
#[test]
fn damaged_headers_are_made_up_from_each_other() {
    let dir = scratch();
    let path = dir.path().join("whole");
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&path)]);
    let (whole, vmcore) = (Whole::of(path), elf(&tiny().vmcore));
    let damaged = dir.path().join("damaged");
    for (name, at, len) in
        [("main header", 0, 4096), ("signature", 0, 8), ("block_size", 428, 4), ("sub header", 4096, 4096)]
    {
        let mut bytes = whole.bytes.clone();
        bytes[at..at + len].copy_from_slice(&noise(at, len));
        std::fs::write(&damaged, &bytes).unwrap();
        assert_eq!(repaired(&damaged, &vmcore, &whole), Some(whole.pages.len()), "{name}");
        // the kernel is known again, from the notes or from memory
        let info = gdump_ok(&["info", text(&damaged.with_extension("out"))]);
        assert!(info.contains("x86_64") && info.contains("6.1."), "{name}: {info}");
    }
}

/// A table that is gone as a whole, in a dump without zero pages: the streams are the pages.
#[test]
fn pages_are_found_without_their_descriptors() {
    let dir = scratch();
    let (full, path) = (dir.path().join("full"), dir.path().join("whole"));
    let kernel =
        dump_synth::KernelBuilder::new(dump_synth::Era::V6_12).recipe("ram 0..0x400\nanon 0x100..0x400").build();
    let mut core = kernel.elf();
    for load in &mut core.loads {
        let zero = load.data.chunks_mut(4096).filter(|page| page.iter().all(|byte| *byte == 0));
        zero.for_each(|page| page[2051] = 7); // in no entry of a page table the bit that makes it one
    }
    std::fs::write(&full, core.to_bytes()).unwrap();
    for codec in ["zlib", "zstd", "none"] {
        gdump_ok(&["-f", "--codec", codec, "-d", "0", text(&full), text(&path)]);
        let (whole, vmcore) = (Whole::of(path.clone()), elf(&full));
        for keep in [0, 3, whole.pages.len() / 2] {
            let mut bytes = whole.bytes.clone();
            let gone = whole.table + keep * 24..whole.data;
            bytes[gone.clone()].copy_from_slice(&noise(keep, gone.len()));
            let damaged = dir.path().join("damaged");
            std::fs::write(&damaged, &bytes).unwrap();
            assert_eq!(repaired(&damaged, &vmcore, &whole), Some(whole.pages.len()), "{codec}, {keep} kept");
        }
    }
}

/// The 2nd bitmap of a dump that leaves nothing out is the 1st.
#[test]
fn a_damaged_bitmap_is_read_from_its_twin_or_refused() {
    let dir = scratch();
    let (path, damaged) = (dir.path().join("whole"), dir.path().join("damaged"));
    let vmcore = elf(&tiny().vmcore);
    for (level, came) in [("0", true), ("31", false)] {
        gdump_ok(&["-f", "-c", "-d", level, text(&tiny().vmcore), text(&path)]);
        let whole = Whole::of(path.clone());
        let second = (whole.bitmaps + whole.table) / 2;
        let mut bytes = whole.bytes.clone();
        bytes[second + 100] ^= 0x10;
        std::fs::write(&damaged, &bytes).unwrap();
        let saved = repaired(&damaged, &vmcore, &whole);
        // the broken page is left out at level 0 too, so that even there the bitmaps may differ
        assert!(saved.is_none_or(|saved| came && saved == whole.pages.len()), "{level}: {saved:?}");
    }
}

#[test]
fn a_missing_part_costs_its_own_pages_alone() {
    let dir = scratch();
    let path = dir.path().join("whole");
    let parts = ["p1", "p2", "p3"].map(|name| dir.path().join(name));
    let names = parts.each_ref().map(|part| text(part));
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&path)]);
    gdump_ok(&[&["-c", "-d", "31", "--split", text(&tiny().vmcore)], &names[..]].concat());
    let vmcore = elf(&tiny().vmcore);
    let total = Whole::of(path).pages.len();
    for (missing, given) in [(0, [names[1], names[2]]), (1, [names[2], names[0]]), (2, [names[0], names[1]])] {
        let out = dir.path().join("out");
        let run = gdump(&["repair", "-f", given[0], given[1], text(&out)]);
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        let kdump = open(&out);
        let (mut came, mut lost) = (0, 0);
        for pfn in 0..kdump.header.max_mapnr {
            match page(&kdump, pfn) {
                Page::Held(bytes, _) => {
                    assert!(vmcore.page(pfn, 4096).unwrap() == bytes, "pfn {pfn:#x}");
                    came += 1;
                }
                Page::Lost => lost += 1,
                Page::Excluded => {}
            }
        }
        assert!(came + lost == total && came > 0 && lost > 0 && kdump.is_incomplete(), "{missing}: {came} {lost}");
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn a_stream_without_its_start_or_end_gives_what_it_holds() {
    let dir = scratch();
    let (path, damaged, out) = (dir.path().join("whole"), dir.path().join("damaged"), dir.path().join("out"));
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&path)]);
    let whole = Whole::of(path);
    let stream = gdump(&["-F", "-c", "-d", "31", text(&tiny().vmcore)]).stdout;
    let vmcore = elf(&tiny().vmcore);
    let noisy = [&noise(1, 4096), &stream[4096..]].concat();
    for (name, bytes) in
        [("without", &stream[4096..]), ("noisy", &noisy), ("without an end", &stream[..stream.len() - 16])]
    {
        std::fs::write(&damaged, bytes).unwrap();
        assert_eq!(repaired(&damaged, &vmcore, &whole), Some(whole.pages.len()), "{name}");
    }
    std::fs::write(&damaged, &stream[4096..stream.len() / 2]).unwrap();
    let came = repaired(&damaged, &vmcore, &whole).unwrap();
    assert!(came > whole.pages.len() / 4 && came < whole.pages.len(), "{came}");
    assert!(!out.exists());
}

/// Program headers that make no sense cost the memory that they describe, and no other page.
#[test]
fn an_elf_core_with_damaged_program_headers_gives_the_rest() {
    let dir = scratch();
    let (damaged, out) = (dir.path().join("damaged"), dir.path().join("out"));
    let bytes = std::fs::read(&tiny().vmcore).unwrap();
    let vmcore = elf(&tiny().vmcore);
    let count = usize::from(u16::from_le_bytes(bytes[56..58].try_into().unwrap()));
    let all = (0..vmcore.end_pfn(4096)).filter(|pfn| vmcore.page(*pfn, 4096).is_some()).count();
    for at in
        [0, 16, 32, 54].into_iter().chain((0..count).flat_map(|n| [64 + 56 * n, 64 + 56 * n + 10, 64 + 56 * n + 28]))
    {
        let mut noisy = bytes.clone();
        noisy[at..at + 8].copy_from_slice(&noise(at, 8));
        std::fs::write(&damaged, &noisy).unwrap();
        let run = gdump(&["repair", "-f", text(&damaged), text(&out)]);
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        let saved = elf(&out);
        let mut came = 0;
        for pfn in 0..vmcore.end_pfn(4096) {
            if let Some(page) = saved.page(pfn, 4096) {
                assert!(vmcore.page(pfn, 4096).unwrap() == page, "{at}: pfn {pfn:#x}");
                came += 1;
            }
        }
        assert!(came == all || (at >= 64 && run.status.code() == Some(1)), "{at}: {came} of {all}: {stderr}");
        std::fs::remove_file(&out).unwrap();
    }
}
