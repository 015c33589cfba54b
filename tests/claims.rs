//! Headers that claim what the file has not, or the same memory twice, and the conventions of machines: through the
//! whole program, by every verb.

use crate::support::{gdump, gdump_ok, gdump_refuses, open, scratch, text, tiny};
use dump_synth::elf::{ElfCore, Load};
use dump_synth::{Endian, KdumpFile, Notes, Packing, Slot, Width};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

const DIRECT: u64 = 0xffff_8880_0000_0000;

fn said(run: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}

/// gdump with `args`, which must not take long: a second or so where nothing else runs, minutes if it worked through what is
/// claimed.
fn soon(args: &[&str]) -> Output {
    let begun = Instant::now();
    let run = gdump(args);
    assert!(begun.elapsed() < Duration::from_secs(30), "gdump {args:?} took {:?}", begun.elapsed());
    run
}

/// 256 GiB in a file of 12 KiB, and a TiB of ones in a bitmap without a descriptor: told, not worked through.
#[test]
fn next_to_nothing_of_what_is_claimed_is_refused() {
    let dir = scratch();
    let [elf, kdump, out] = ["elf", "kdump", "out"].map(|name| dir.path().join(name));
    let far = Load { data: vec![1; 4096], ..Load::new(0x8000, DIRECT + 0x8000, Vec::new()) };
    let core = ElfCore::x86_64().load(Load::new(0x1000, DIRECT + 0x1000, vec![1; 4096])).load(far);
    let mut bytes = core.to_bytes();
    let sizes = 64 + 56 + 32; // p_filesz and p_memsz of the second
    for at in [sizes, sizes + 8] {
        bytes[at..at + 8].copy_from_slice(&(1u64 << 38).to_le_bytes());
    }
    std::fs::write(&elf, bytes).unwrap();
    let max_pfn = 1u64 << 24;
    let mut bytes = KdumpFile::new(max_pfn).to_bytes();
    let bitmaps = 2 * 4096;
    bytes.resize(bitmaps + 2 * (max_pfn / 8) as usize, 0);
    bytes[bitmaps..].fill(0xff);
    std::fs::write(&kdump, bytes).unwrap();
    for file in [&elf, &kdump] {
        let (file, out) = (text(file), text(&out));
        assert!(soon(&["info", file]).status.success());
        for args in [
            &["check", file][..],
            &["diff", file, file],
            &["-c", "-d", "1", file, out],
            &["-E", "-d", "1", file, out],
            &["-d", "31", file, out],
        ] {
            let run = soon(args);
            assert_eq!(run.status.code(), Some(1), "{args:?}");
            assert!(said(&run).contains("its headers claim") && !Path::new(out).exists(), "{args:?}: {}", said(&run));
        }
    }
}

/// What neither side can read is counted, and is no equality to who asks strictly.
#[test]
fn pages_past_the_end_are_not_equal_to_themselves() {
    let dir = scratch();
    let (file, out) = (dir.path().join("core"), dir.path().join("out"));
    let core = ElfCore::x86_64().load(Load::new(0x1000, DIRECT, vec![1; 0x4000]));
    let bytes = core.to_bytes();
    std::fs::write(&file, &bytes[..bytes.len() - 0x3000]).unwrap();
    let (file, out) = (text(&file), text(&out));
    let run = gdump(&["diff", file, file]);
    // cut off: whatever else is equal, there is no telling what was behind it
    assert!(!run.status.success() && said(&run).contains("3 pages can be read in neither"), "{}", said(&run));
    let strict = gdump(&["diff", "--strict", file, file]);
    assert_eq!(strict.status.code(), Some(1), "{}", said(&strict));
    // zero here, absent there: what filters make; strictly no equality either
    let zero = dir.path().join("zero");
    std::fs::write(
        &zero,
        ElfCore::x86_64().load(Load::new(0x1000, DIRECT, [vec![1; 0x1000], vec![0; 0x1000]].concat())).to_bytes(),
    )
    .unwrap();
    gdump_ok(&["-f", "-E", "-d", "1", "--message-level", "0", text(&zero), out]);
    let run = gdump(&["diff", text(&zero), out]);
    assert!(run.status.success() && said(&run).contains("1 pages are zero in one and absent"), "{}", said(&run));
    assert_eq!(gdump(&["diff", "--strict", text(&zero), out]).status.code(), Some(1));
}

/// Memory that two PT_LOADs claim with different content is warned of, and `check` says it.
#[test]
fn memory_claimed_twice_is_said() {
    let dir = scratch();
    let (file, out) = (dir.path().join("core"), dir.path().join("out"));
    let core = ElfCore::x86_64().load(Load::new(0x10_0000, DIRECT + 0x10_0000, vec![7; 0x8000])).load(Load::new(
        0x10_4000,
        DIRECT + 0x10_4000,
        vec![9; 0x8000],
    ));
    std::fs::write(&file, core.to_bytes()).unwrap();
    let says = "both claim memory 0x104000..0x108000 and differ";
    for args in [&["info", text(&file)][..], &["check", text(&file)], &["-d", "0", text(&file), text(&out)]] {
        let run = gdump(args);
        assert!(said(&run).contains(says), "{args:?}: {}", said(&run));
        assert_eq!(run.status.code(), Some(i32::from(args[0] != "info")));
    }
    assert!(gdump_ok(&["info", text(&out)]).contains("incomplete"));
    let virtual_only =
        (0..4).fold(ElfCore::x86_64(), |core, i| core.load(Load::new(0, i << 16, vec![i as u8 + 1; 4096])));
    std::fs::write(&file, virtual_only.to_bytes()).unwrap();
    let e = gdump_refuses(&["-f", "-d", "0", text(&file), text(&out)]);
    assert!(e.contains("4 PT_LOADs, all at p_paddr 0 and with different content"), "{e}");
}

/// A part that would hold nothing, and say so nowhere.
#[test]
fn a_part_beyond_memory_is_refused() {
    let dir = scratch();
    let out = dir.path().join("out");
    let (vmcore, out_text) = (text(&tiny().vmcore), text(&out));
    let info: serde_json::Value = serde_json::from_str(&gdump_ok(&["info", "--json", vmcore])).unwrap();
    let end = info["end_pfn"].as_u64().unwrap();
    for start in [end.next_multiple_of(64), 1 << 40] {
        for range in [format!("{start}.."), format!("{start}..{}", start + 64)] {
            let e = gdump_refuses(&["-c", "--pfn-range", &range, vmcore, out_text]);
            assert!(e.contains(&format!("{start:#x}")) && e.contains(&format!("{end:#x}")), "{range}: {e}");
            assert!(!out.exists(), "{range}");
        }
    }
    gdump_ok(&["-c", "--pfn-range", &format!("{}..", (end - 1) / 64 * 64), vmcore, out_text]);
}

/// A dump level that is none says nothing of what was left out, and no dump says it again.
#[test]
fn a_dump_level_that_is_none_is_not_passed_on() {
    let dir = scratch();
    let [dump, out] = ["dump", "out"].map(|name| dir.path().join(name));
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&dump)]);
    let at = 4096 + 8; // of the sub header
    for level in [32, 99, i32::MAX, -1] {
        let mut bytes = std::fs::read(&dump).unwrap();
        bytes[at..at + 4].copy_from_slice(&level.to_le_bytes());
        std::fs::write(&dump, bytes).unwrap();
        let check = gdump(&["check", text(&dump)]);
        assert!(said(&check).contains(&format!("dump_level {level} is not from 0 to 31")), "{}", said(&check));
        for (options, expected) in [(&["-d", "0"][..], 0), (&["-c", "-d", "1"], 1), (&["-l", "-d", "0"], 0)] {
            gdump(&[options, &["-f", text(&dump), text(&out)]].concat());
            let written = std::fs::read(&out).unwrap()[at..at + 4].to_vec();
            assert_eq!(i32::from_le_bytes(written.try_into().unwrap()), expected, "{level} {options:?}");
        }
    }
}

/// One part of a split dump lacks the others' pages, and so does what comes of it; a flag is not lost on the way.
#[test]
fn a_part_makes_an_incomplete_dump() {
    let dir = scratch();
    let [a, b, out] = ["a", "b", "out"].map(|name| dir.path().join(name));
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-c", "-d", "31", "--split", "--message-level", "0", vmcore, text(&a), text(&b)]);
    for to in ["-c", "-E"] {
        let run = gdump(&["-f", to, "-d", "31", text(&a), text(&out)]);
        assert_eq!(run.status.code(), Some(1), "{}", said(&run));
        assert!(said(&run).contains("one part of a split dump") && said(&run).contains("flagged incomplete"));
        assert!(gdump_ok(&["info", text(&out)]).contains("incomplete"));
    }
    gdump_ok(&["-f", "-c", "-d", "31", "--reassemble", "--message-level", "0", text(&a), text(&b), text(&out)]);
    assert!(!open(&out).is_incomplete());
    // flagged, though all pages are there
    let mut bytes = std::fs::read(&out).unwrap();
    bytes[424] |= 8;
    std::fs::write(&a, bytes).unwrap();
    for to in ["-c", "-E"] {
        let run = gdump(&["-f", to, "-d", "31", text(&a), text(&out)]);
        assert!(run.status.success() && said(&run).contains("flagged incomplete, as"), "{}", said(&run));
        assert!(gdump_ok(&["info", text(&out)]).contains("incomplete"));
    }
}

/// 32-bit ARM counts frames from the start of RAM in kdump files, and from 0 everywhere else.
#[test]
fn arms_frames_come_back() {
    let dir = scratch();
    let [core, kdump, back] = ["core", "kdump", "back"].map(|name| dir.path().join(name));
    let notes = Notes::new(Endian::Little)
        .prstatus(Width::W32, 148, 1, &[0; 18])
        .vmcoreinfo("OSRELEASE=5.15.2\nPAGESIZE=4096\n");
    let arm = ElfCore::new(Width::W32, Endian::Little, 40)
        .note(notes.into_bytes())
        .load(Load::new(0x8000_0000, 0xc000_0000, vec![5; 0x10000]))
        .load(Load::new(0x8010_0000, 0xc010_0000, vec![6; 0x1000]));
    std::fs::write(&core, arm.to_bytes()).unwrap();
    let (core, kdump, back) = (text(&core), text(&kdump), text(&back));
    assert!(gdump(&["-c", "-d", "0", core, kdump]).status.success());
    let header = std::fs::read(kdump).unwrap();
    assert_eq!(header[4096..4100], 0x8000_0000u32.to_le_bytes(), "phys_base");
    assert_eq!(header[428..432], 0x101u32.to_le_bytes(), "max_mapnr");
    assert!(gdump_ok(&["info", kdump]).contains("17 of RAM, 17 held"));
    assert!(gdump(&["-E", "-d", "0", kdump, back]).status.success());
    let elf = std::fs::read(back).unwrap();
    assert_eq!(elf[52 + 32 + 12..52 + 32 + 16], 0x8000_0000u32.to_le_bytes(), "p_paddr");
    for other in [kdump, back] {
        assert!(gdump_ok(&["diff", "--strict", core, other]).contains("no difference"));
    }
}

/// A 64-bit core of an i386 kernel becomes a 32-bit kdump file, and memory past 4 GiB comes back in a 64-bit core.
#[test]
fn headers_have_the_kernels_words() {
    let dir = scratch();
    let [core, kdump, back] = ["core", "kdump", "back"].map(|name| dir.path().join(name));
    let notes = Notes::new(Endian::Little).vmcoreinfo("OSRELEASE=4.19.0-686-pae\nPAGESIZE=4096\n");
    let i386 = ElfCore::new(Width::W64, Endian::Little, 3)
        .note(notes.into_bytes())
        .load(Load::new(0x1000, 0xc000_1000, vec![5; 0x2000]))
        .load(Load::new(1 << 32, u64::MAX, vec![6; 0x1000]));
    std::fs::write(&core, i386.to_bytes()).unwrap();
    let (core, kdump, back) = (text(&core), text(&kdump), text(&back));
    assert!(gdump(&["-c", "-d", "0", core, kdump]).status.success());
    assert_eq!(std::fs::read(kdump).unwrap()[416..420], 4096u32.to_le_bytes(), "block_size of a 32-bit header");
    assert!(gdump(&["-E", "-d", "0", kdump, back]).status.success());
    assert_eq!(std::fs::read(back).unwrap()[4], 2, "ELFCLASS64");
    for other in [kdump, back] {
        assert!(gdump_ok(&["diff", "--strict", core, other]).contains("no difference"));
    }
}

/// A kdump file of a 32-bit program with a 64-bit time_t.
#[test]
fn a_wide_timestamp_is_read() {
    let dir = scratch();
    let file = dir.path().join("kdump");
    let mut kdump = KdumpFile::new(0x90)
        .abi(Width::W32, Endian::Little, Packing::Padded)
        .page(0x20, Slot::Stored(0, vec![5; 4096]));
    (kdump.wide_time, kdump.utsname[4]) = (true, "armv7l".to_owned());
    std::fs::write(&file, kdump.to_bytes()).unwrap();
    let info = gdump_ok(&["info", text(&file)]);
    assert!(info.contains("armv7l, 32 bit") && info.contains("1 of RAM, 1 held"), "{info}");
    assert!(gdump_ok(&["check", text(&file)]).contains("no damage found"));
}

/// 65,533 PT_LOADs in each other.
#[test]
fn loads_in_each_other_are_no_work() {
    let dir = scratch();
    let (file, out) = (dir.path().join("core"), dir.path().join("out"));
    let load = |i: u64| Load::new((65_600 - i) << 12, DIRECT, vec![1; 16]).memsz((2 * i + 1) << 12).placed(1, 0);
    std::fs::write(&file, (0..65_533).fold(ElfCore::x86_64(), |core, i| core.load(load(i))).to_bytes()).unwrap();
    let (file, out) = (text(&file), text(&out));
    for args in [
        &["info", file][..],
        &["check", file],
        &["diff", "--strict", file, file],
        &["-f", "-c", "-d", "1", file, out],
        &["-f", "-E", "-d", "1", file, out],
    ] {
        assert!(soon(args).status.success(), "{args:?}");
    }
}

/// Notes take the memory of what is looked into, however much there is; all of them reach what a core is converted to.
#[test]
fn large_notes_are_copied_and_not_kept() {
    let dir = scratch();
    let [file, packed, kdump, out] = ["core", "core.zst", "kdump", "out"].map(|name| dir.path().join(name));
    let device = |byte: u8, len: usize| {
        let mut desc = vec![byte; len];
        desc[..4].copy_from_slice(b"nic\0");
        Notes::new(Endian::Little).note("LINUX", 0x700, &desc).into_bytes()
    };
    let small = Notes::new(Endian::Little).prstatus_x86_64(7, &[3; 27]).vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    let small = small.into_bytes();
    for (count, len) in [(1, 96 << 20), (192, 1 << 19), (1 << 15, 1 << 11)] {
        let devices: Vec<u8> = (0..count).flat_map(|n| device(n as u8, len)).collect();
        let notes = [&devices[..], &small].concat();
        let core = ElfCore::x86_64().note(notes.clone()).load(Load::new(0x1000, DIRECT, vec![1; 0x4000]));
        std::fs::write(&file, core.to_bytes()).unwrap();
        std::fs::write(&packed, zstd::encode_all(std::fs::File::open(&file).unwrap(), 1).unwrap()).unwrap();
        let info = gdump_ok(&["info", text(&packed)]);
        assert!(info.contains("6.1.0") && info.contains("NT_VMCOREDD"), "{count}: {}", &info[..info.len().min(1000)]);
        // where the stream of notes is: a PT_NOTE's p_offset, and the sub header's offset_note
        let (in_kdump, in_elf) = (("-c", 4096 + 48), ("-E", 64 + 8));
        assert!(gdump(&["-c", "-f", "-d", "0", text(&packed), text(&kdump)]).status.success());
        for (input, (option, field)) in [(&packed, in_kdump), (&packed, in_elf), (&kdump, in_kdump), (&kdump, in_elf)] {
            let args = [option, "-f", "-d", "0", "-D", text(input), text(&out)];
            let run = gdump(&args);
            let said = said(&run);
            let peak = said.lines().find_map(|line| line.trim().strip_prefix("peak memory")).unwrap();
            let peak: u64 = peak.trim_start_matches([' ', ':']).split(' ').next().unwrap().parse().unwrap();
            assert!(peak < 72 << 10, "{count} {option}: {peak} KiB");
            let bytes = std::fs::read(&out).unwrap();
            let at = u64::from_le_bytes(bytes[field..field + 8].try_into().unwrap()) as usize;
            let (copied, last) = bytes[at..at + notes.len()].split_at(devices.len());
            let sorted = |notes: &[u8]| {
                let mut notes: Vec<_> = notes.chunks(devices.len() / count).map(<[u8]>::to_vec).collect();
                notes.sort();
                notes
            };
            assert!(last == small && sorted(copied) == sorted(&devices), "{count} {option}");
            gdump_ok(&["diff", "--strict", text(&file), text(&out)]);
        }
    }
}
