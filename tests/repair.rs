//! `gdump repair` brings back the pages that are certain, and never a wrong one.

use crate::support::{Case, corpus, elf, gdump, gdump_ok, open, page, scratch, skipped, text, tiny};
use dump_synth::elf::{ElfCore, Load};
use dump_synth::{Endian, Era, KernelBuilder, Notes};
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
    let (came, lost) = repaired_but(damaged, vmcore, whole, &(0..0))?;
    assert_eq!(came + lost, whole.pages.len());
    Some(came)
}

/// The same, with how many are lost, and with noise at `noisy` of the file: in pages that are stored as they are, nothing
/// shows it unless it reaches into another page.
fn repaired_but(damaged: &Path, vmcore: &Elf, whole: &Whole, noisy: &std::ops::Range<usize>) -> Option<(usize, usize)> {
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
    assert_eq!(run.status.success(), !kdump.is_incomplete());
    assert!(lost == 0 || kdump.is_incomplete());
    let listed = stdout.lines().filter_map(|line| line.strip_prefix("lost: pfn"));
    let counts = listed.map(|line| line.rsplit_once(", ").map_or(1, |(_, n)| n[..n.len() - 6].parse().unwrap()));
    assert_eq!(counts.sum::<usize>(), lost, "{stdout}");
    Some((came, lost))
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
        let came = repaired_but(&damaged, &vmcore, &whole, &(at..end)).map(|(came, lost)| {
            // where a bitmap is damaged, more may be listed than there were
            assert!(came + lost == whole.pages.len() || (at < whole.table && came + lost > whole.pages.len()));
            came
        });
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
fn a_damaged_bitmap_is_read_from_its_twin() {
    let dir = scratch();
    let (path, damaged) = (dir.path().join("whole"), dir.path().join("damaged"));
    let vmcore = elf(&tiny().vmcore);
    gdump_ok(&["-f", "-c", "-d", "0", text(&tiny().vmcore), text(&path)]);
    let whole = Whole::of(path);
    let second = (whole.bitmaps + whole.table) / 2;
    // the broken page is left out at level 0 too: as if it were no RAM
    let mut bytes = whole.bytes.clone();
    bytes.copy_within(second..whole.table, whole.bitmaps);
    bytes[second + 100] ^= 0x10;
    std::fs::write(&damaged, &bytes).unwrap();
    assert_eq!(repaired(&damaged, &vmcore, &whole), Some(whole.pages.len()));
    bytes[second..whole.table].fill(0);
    std::fs::write(&damaged, &bytes).unwrap();
    assert_eq!(repaired(&damaged, &vmcore, &whole), Some(whole.pages.len()));
    // pages where there is no RAM, as the 1st has it
    let mut bytes = whole.bytes.clone();
    assert!(whole.pages.keys().next().is_some_and(|pfn| *pfn > 8 * 21));
    bytes[second + 20] = 0x22;
    std::fs::write(&damaged, &bytes).unwrap();
    assert_eq!(repaired(&damaged, &vmcore, &whole), Some(whole.pages.len()));
}

/// Of a dump whose bitmaps differ, pages that hold their own addresses tell where the damage is.
#[test]
fn a_damaged_bitmap_of_a_filtered_dump_costs_the_pages_around_the_damage() {
    let dir = scratch();
    let (path, damaged) = (dir.path().join("whole"), dir.path().join("damaged"));
    let vmcore = elf(&tiny().vmcore);
    for (codec, level) in [("-c", "1"), ("-l", "31"), ("-z", "17")] {
        gdump_ok(&["-f", codec, "-d", level, text(&tiny().vmcore), text(&path)]);
        let whole = Whole::of(path.clone());
        let (second, all) = ((whole.bitmaps + whole.table) / 2, whole.pages.len());
        let end = *whole.pages.keys().last().unwrap() as usize / 8;
        for (i, at) in [34, 300, end / 2, end / 2 + 701, end - 300, end - 1].into_iter().enumerate() {
            let mut bytes = whole.bytes.clone();
            match (i + level.len()) % 3 {
                0 => bytes[second + at] ^= 0x10,
                1 => bytes[second + at..][..64].copy_from_slice(&noise(at, 64)),
                _ => bytes[second + at..][..64].fill(0),
            }
            std::fs::write(&damaged, &bytes).unwrap();
            let saved = repaired_but(&damaged, &vmcore, &whole, &(0..0));
            // which of the pages there were is not known: all of RAM that can be is listed; the user's memory in this
            // dump is the most of it, and has no lists
            let right = |(came, lost)| came * 5 > all && came + lost >= all;
            assert!(saved.is_some_and(right), "{codec} -d {level}, byte {at} of {end}: {saved:?} of {all}");
        }
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

/// A sound core comes back as it is: each page, no other, and not a word of loss.
fn comes_back(core: &Path) {
    let out = core.with_extension("out");
    let run = gdump(&["repair", "-f", text(core), text(&out)]);
    let (stdout, stderr) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert!(run.status.success() && stderr.is_empty() && !stdout.contains("lost"), "{}: {stdout}{stderr}", text(core));
    let (before, after) = (elf(core), elf(&out));
    for pfn in 0..before.end_pfn(4096).max(after.end_pfn(4096)) {
        assert!(before.page(pfn, 4096) == after.page(pfn, 4096), "{}: pfn {pfn:#x}", text(core));
    }
    gdump_ok(&["diff", "--strict", text(core), text(&out)]);
}

#[test]
fn our_own_elf_output_is_sound() {
    let dir = scratch();
    let core = dir.path().join("core");
    comes_back(&tiny().vmcore);
    for level in ["0", "1", "31"] {
        gdump_ok(&["-f", "-E", "-d", level, text(&tiny().vmcore), text(&core)]);
        comes_back(&core);
    }
}

/// The kernel's image has a segment of its own at another distance from its physical addresses, over RAM.
#[test]
fn a_core_with_the_image_over_ram_is_sound() {
    let dir = scratch();
    let (vmcore, core) = (dir.path().join("vmcore"), dir.path().join("core"));
    let eras = [Era::V5_10, Era::V6_1, Era::V6_6, Era::V6_12, Era::V7_2];
    for era in eras {
        let kernel = KernelBuilder::new(era).recipe("ram 0..0x400\nanon 0x100..0x180\ncache 0x200..0x210").build();
        std::fs::write(&vmcore, kernel.vmcore()).unwrap();
        comes_back(&vmcore);
        std::fs::write(&vmcore, ElfCore { ..kernel.elf().like_qemu() }.to_bytes()).unwrap();
        comes_back(&vmcore);
        gdump_ok(&["-f", "-E", "-d", "31", text(&vmcore), text(&core)]);
        comes_back(&core);
    }
}

fn pages_of(from: u8, count: u8) -> Vec<u8> {
    (from..from + count).flat_map(|n| [n; 4096]).collect()
}

/// Segments that have bytes of the file in common: as QEMU writes a guest with paging, each mapping of the same memory
/// has one; in part; and with a part that was left out of memory only.
#[test]
fn a_core_whose_segments_share_bytes_is_sound() {
    let dir = scratch();
    let path = dir.path().join("core");
    let direct = 0xffff_8880_0000_0000;
    let ram = || Load::new(0x10_0000, direct + 0x10_0000, pages_of(1, 16));
    let whole = ElfCore::x86_64().load(ram());
    // where the first of three segments comes to lie
    let at = ElfCore { loads: vec![ram(); 3], ..whole.clone() }.layout().loads[0];
    let part = |paddr: u64, vaddr: u64, pages: u8| {
        Load::new(paddr, vaddr, vec![0; usize::from(pages) * 4096]).at(at + paddr - 0x10_0000)
    };
    for (one, other) in [
        (part(0x10_2000, 0xffff_ffff_8100_0000, 4), part(0x10_2000, 0xffff_c900_0000_0000, 3)),
        (part(0x10_0000, 0, 16), part(0x10_f000, 0x7fff_0000_0000, 1)),
        (part(0x10_4000, 0xffff_ffff_8100_0000, 2).memsz(0x5000), part(0x10_6000, 0xffff_ffff_8100_2000, 0)),
    ] {
        std::fs::write(&path, whole.clone().load(one).load(other).to_bytes()).unwrap();
        comes_back(&path);
    }
    // segments in each other, all with the same bytes, which are the ELF header's
    let nested = (0..80u64).map(|n| Load::new(0x80_0000 - (n << 12), 0, vec![0; 4096]).memsz((2 * n + 1) << 12).at(0));
    std::fs::write(&path, ElfCore { loads: nested.collect(), ..ElfCore::x86_64() }.to_bytes()).unwrap();
    comes_back(&path);
    // one page in two places, as a writer has it that stores what is alike once
    let twice = whole.load(Load::new(0x20_0000, direct + 0x20_0000, vec![0; 16 * 4096]).at(at));
    let twice = twice.load(Load::new(0x30_0000, direct + 0x30_0000, pages_of(40, 2)));
    std::fs::write(&path, twice.to_bytes()).unwrap();
    comes_back(&path);
}

/// The RAM of a running kernel, with the notes of /proc/kcore.
#[test]
fn a_core_that_dumpit_made_is_sound() {
    let dir = scratch();
    let (path, core) = (dir.path().join("dumpit"), dir.path().join("core"));
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x400\nanon 0x100..0x180").build();
    let mut process = vec![0; 136];
    process[40..47].copy_from_slice(b"vmlinux");
    let notes = Notes::new(Endian::Little).note("CORE", 3, &process).vmcoreinfo(kernel.vmcoreinfo());
    let dumpit = ElfCore { notes: vec![notes.into_bytes()], ..kernel.elf() };
    std::fs::write(&path, dumpit.to_bytes()).unwrap();
    comes_back(&path);
    for level in ["0", "1", "31"] {
        gdump_ok(&["-f", "-E", "-d", level, text(&path), text(&core)]);
        comes_back(&core);
    }
}

/// A core of two pieces of RAM and the image, with one 8-byte field of a program header changed: the other pieces come
/// back, and a wrong page never does.
#[test]
fn one_wrong_field_costs_its_own_segment() {
    let dir = scratch();
    let (path, out) = (dir.path().join("core"), dir.path().join("out"));
    let direct = 0xffff_8880_0000_0000;
    let core = ElfCore::x86_64()
        .note(Notes::new(Endian::Little).vmcoreinfo("OSRELEASE=6.1\n").into_bytes())
        .load(Load::new(0x10_2000, 0xffff_ffff_8100_0000, pages_of(3, 4)))
        .load(Load::new(0x10_0000, direct + 0x10_0000, pages_of(1, 16)))
        .load(Load::new(0x20_0000, direct + 0x20_0000, pages_of(20, 8)))
        .load(Load::new(0x1_0000_0000, direct + 0x1_0000_0000, pages_of(40, 32)));
    let bytes = core.to_bytes();
    std::fs::write(&path, &bytes).unwrap();
    comes_back(&path);
    let (before, at) = (elf(&path), core.layout().loads);
    // the header, the field, what it becomes, the pages that are lost
    for (header, field, value, lost) in [
        (2, 8, at[3], 12),        // bytes of another; the image has four pages
        (2, 8, at[1] + 4096, 12), // and its own
        (3, 8, 1 << 40, 8),       // past the end
        (3, 8, 64, 8),            // in the headers
        (3, 24, 0x10_0000, 8),    // memory of another
        (3, 24, 0x40_0000, 8),    // memory of none
        (4, 24, 1 << 60, 32),     // no memory
        (4, 32, 1 << 30, 32),     // more in the file than in memory
        (1, 24, 1 << 60, 0),      // the image is in RAM
        (1, 8, 1 << 40, 0),
        (3, 0, 0x7_1234_5678, 8), // no type
    ] {
        let mut wrong = bytes.clone();
        wrong[64 + 56 * header + field..][..8].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&path, &wrong).unwrap();
        let run = gdump(&["repair", "-f", text(&path), text(&out)]);
        let said = format!("{header}, {field}, {value:#x}: {}", String::from_utf8_lossy(&run.stderr));
        let after = elf(&out);
        let mut gone = 0;
        for pfn in 0..before.end_pfn(4096).max(after.end_pfn(4096)) {
            match (before.page(pfn, 4096), after.page(pfn, 4096)) {
                (Some(before), Some(after)) => assert!(before == after, "{said}: pfn {pfn:#x}"),
                (Some(_), None) => gone += 1,
                (None, Some(_)) => panic!("{said}: pfn {pfn:#x} is none"),
                (None, None) => {}
            }
        }
        // where the image lay is not known where its address is no memory
        let fails = lost != 0 || value == 1 << 60;
        assert_eq!((gone, run.status.code()), (lost, Some(i32::from(fails))), "{said}");
        std::fs::remove_file(&out).unwrap();
    }
}

/// What is behind the end of a file that was cut is lost, and listed; its headers are in order.
#[test]
fn a_core_cut_short_lists_the_pages_that_it_lacks() {
    let dir = scratch();
    let (path, out) = (dir.path().join("core"), dir.path().join("out"));
    let bytes = std::fs::read(&tiny().vmcore).unwrap();
    // within the second piece of RAM, and before it begins
    for len in [0x4d2_3800, 0x200_0000] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let run = gdump(&["repair", "-f", text(&path), text(&out)]);
        let stdout = String::from_utf8(run.stdout).unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1));
        assert!(stdout.contains("lost: pfns") && !stderr.contains("make no sense"), "{stdout}{stderr}");
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let dir = scratch();
    let path = dir.path().join("empty");
    std::fs::write(&path, "").unwrap();
    let said = crate::support::gdump_refuses(&["repair", text(&path), text(&dir.path().join("out"))]);
    assert!(said.contains("an empty file, not a dump") && said.lines().count() == 1, "{said}");
}
