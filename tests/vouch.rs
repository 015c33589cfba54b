//! What `check` vouches for, and what is passed on without being compressed anew: only pages that are pages.

use crate::support::{gdump, gdump_ok, open, page, scratch, text, tiny};
use dump_witness::Page;
use std::path::{Path, PathBuf};

/// A zlib dump of the fixture, and its parts.
fn zlib_dump(dir: &Path) -> (PathBuf, Vec<PathBuf>) {
    let (out, parts) = (dir.join("zlib"), ["p1", "p2"].map(|name| dir.join(name)).to_vec());
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&out)]);
    gdump_ok(&["-c", "-d", "31", "--split", text(&tiny().vmcore), text(&parts[0]), text(&parts[1])]);
    (out, parts)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Where the areas of a kdump file of 4 KiB blocks are: 2nd bitmap, descriptors.
fn areas(bytes: &[u8]) -> (usize, usize) {
    let (sub, bitmaps) = (u32_at(bytes, 432), u32_at(bytes, 436));
    ((1 + sub + bitmaps / 2) * 4096, (1 + sub + bitmaps) * 4096)
}

/// Flips a bit in the middle of the data of the compressed page that is `nth` of the table.
fn spoil(path: &Path, nth: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let table = areas(&bytes).1;
    let compressed = (table..).step_by(24).filter(|at| u32_at(&bytes, at + 12) == 1).nth(nth).unwrap();
    let middle = u64_at(&bytes, compressed) as usize + u32_at(&bytes, compressed + 8) / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn pages_passed_on_compressed_are_pages() {
    let dir = scratch();
    let (whole, parts) = zlib_dump(dir.path());
    spoil(&whole, 77);
    spoil(&parts[1], 5);
    let (whole, first, second) = (text(&whole), text(&parts[0]), text(&parts[1]));
    for (options, inputs) in [
        (&["-c", "-d", "31"][..], &[whole][..]),
        (&["-c", "-d", "0", "--num-threads", "1"], &[whole]),
        (&["--reassemble"], &[first, second]),
        (&["--reassemble", "-c"], &[second, first]),
    ] {
        let out = dir.path().join("out");
        let run = gdump(&[options, inputs, &["-f", text(&out)]].concat());
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{options:?}: {stderr}");
        let kdump = open(&out);
        let lost: Vec<u64> = (0..kdump.header.max_mapnr).filter(|pfn| page(&kdump, *pfn) == Page::Lost).collect();
        assert!(kdump.is_incomplete() && lost.len() == 1, "{options:?}: {lost:x?}");
        assert!(stderr.contains(&format!("pfn {:#x}\n", lost[0])), "{options:?}: {stderr}");
    }
}

/// One bit of the 2nd bitmap shifts the descriptors of all pages behind it: they are others' pages, each of them sound.
#[test]
fn a_bit_of_the_bitmap_is_damage() {
    let dir = scratch();
    let (path, parts) = zlib_dump(dir.path());
    let flipped = dir.path().join("flipped");
    for file in [&path, &parts[1]] {
        let whole = std::fs::read(file).unwrap();
        let (bitmap, table) = areas(&whole);
        for at in (0..3324).step_by(317) {
            for bit in [1, 0x80] {
                let mut bytes = whole.clone();
                bytes[bitmap + at] ^= bit;
                std::fs::write(&flipped, bytes).unwrap();
                let run = gdump(&["check", text(&flipped)]);
                let stdout = String::from_utf8(run.stdout).unwrap();
                assert_eq!(run.status.code(), Some(1), "{at}: {stdout}");
                assert!(stdout.contains("pages more than"), "{at}: {stdout}");
                if at % 2 == 0 {
                    let out = dir.path().join("out");
                    let _ = std::fs::remove_file(&out);
                    let run = gdump(&["-l", text(&flipped), text(&out)]);
                    assert_eq!(run.status.code(), Some(1), "{at}");
                    // a part's table has room for all parts' descriptors: there the next may be a gap
                    assert!(!out.exists() || *file != path, "{at}: nothing is written of pages that are others'");
                }
            }
        }
        assert!(table > bitmap);
    }
}

/// Every bit of some descriptors, and of the page that zero pages share.
#[test]
fn a_bit_of_the_table_or_of_the_zero_page_is_damage() {
    let dir = scratch();
    let path = zlib_dump(dir.path()).0;
    let whole = std::fs::read(&path).unwrap();
    let table = areas(&whole).1;
    let zero = (table..).step_by(24).map(|at| (u64_at(&whole, at) as usize, u32_at(&whole, at + 12)));
    let zero = zero.take(2000).filter(|(_, flags)| *flags == 0).map(|(at, _)| at).min().unwrap();
    let descriptors = [0, 1, 300].into_iter().flat_map(|n| table * 8 + n * 192..table * 8 + (n + 1) * 192);
    for bit in descriptors.step_by(5).chain([zero * 8 + 3, zero * 8 + 32767]) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flipped = dir.path().join("flipped");
        std::fs::write(&flipped, bytes).unwrap();
        let run = gdump(&["check", text(&flipped)]);
        assert_eq!(run.status.code(), Some(1), "bit {} of byte {}: {run:?}", bit % 8, bit / 8 - table);
    }
}

#[test]
fn what_is_behind_the_last_page_is_said() {
    let dir = scratch();
    let path = zlib_dump(dir.path()).0;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0; 5000]);
    std::fs::write(&path, &bytes).unwrap();
    gdump_ok(&["check", text(&path)]); // padding, as a block device gives
    bytes.extend(b"more");
    std::fs::write(&path, &bytes).unwrap();
    let run = gdump(&["check", text(&path)]);
    assert!(String::from_utf8(run.stdout).unwrap().contains("belong to no page") && run.status.code() == Some(1));
}

#[test]
fn check_says_how_far_a_codec_vouches() {
    let dir = scratch();
    let out = dir.path().join("out");
    for (codec, says) in [
        ("zlib", "carry a checksum (zlib's adler32)"),
        ("lzo", "pages (lzo, uncompressed) carry no checksum"),
        ("zstd", "pages (zstd, uncompressed) carry no checksum"),
        ("none", "pages (uncompressed) carry no checksum"),
    ] {
        gdump_ok(&["-f", "--codec", codec, "-d", "31", text(&tiny().vmcore), text(&out)]);
        let stdout = gdump_ok(&["check", text(&out)]);
        assert!(stdout.contains("no damage found") && stdout.contains(says), "{codec}: {stdout}");
        let json: serde_json::Value = serde_json::from_str(&gdump_ok(&["check", "--json", text(&out)])).unwrap();
        assert_eq!(json["sound"], true);
        let zlib = json["pages"][0]["checksum"] == "adler32";
        assert_eq!(zlib, codec == "zlib", "{json}");
    }
    let stdout = gdump_ok(&["check", text(&tiny().vmcore)]);
    assert!(stdout.contains("its pages carry no checksum"), "{stdout}");
}

/// Checksums made while a dump is written name damage that nothing else shows.
#[test]
fn checksums_name_damaged_pages() {
    let dir = scratch();
    let out = dir.path().join("out");
    let (vmcore, sums) = (text(&tiny().vmcore), dir.path().join("out.sum"));
    for options in
        [&["-d", "31"][..], &["-c", "-d", "31", "--num-threads", "3"], &["-E", "-d", "1"], &["--format", "lime"]]
    {
        gdump_ok(&[options, &["-f", "--checksum", vmcore, text(&out)]].concat());
        let said = gdump_ok(&["check", text(&out)]);
        assert!(said.contains("no damage found") && said.contains("out.sum"), "{options:?}: {said}");
        let whole = std::fs::read(&out).unwrap();
        let again = std::fs::read_to_string(&sums).unwrap();
        gdump_ok(&[options, &["-f", "--checksum", "--num-threads", "1", vmcore, text(&out)]].concat());
        assert_eq!(std::fs::read_to_string(&sums).unwrap(), again, "{options:?}");
        let mut spoilt = whole.clone();
        let at = spoilt.len() - 5000;
        spoilt[at] ^= 1;
        std::fs::write(&out, &spoilt).unwrap();
        let run = gdump(&["check", text(&out)]);
        let said = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.code() == Some(1) && said.contains("are not as its checksums have them"), "{said}");
        assert_eq!(said.contains("within pfns"), !options.contains(&"-E") && !options.contains(&"lime"), "{said}");
        std::fs::write(&out, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1));
    }
    // checksums of what was overwritten do not stay
    gdump_ok(&["-f", "-l", "-d", "31", vmcore, text(&out)]);
    assert!(!sums.exists());
    gdump_ok(&["check", text(&out)]);
    assert!(crate::support::gdump_refuses(&["-F", "--checksum", vmcore]).contains("--checksum"));
}

/// Whatever overwrites a dump, the checksums that it had are not those of the new one.
#[test]
fn checksums_do_not_outlive_their_dump() {
    let dir = scratch();
    let [out, flat, sums] = ["out", "flat", "out.sum"].map(|name| dir.path().join(name));
    let (vmcore, out) = (text(&tiny().vmcore), text(&out));
    std::fs::write(&flat, gdump(&["-F", "-l", "-d", "1", "--message-level", "0", vmcore]).stdout).unwrap();
    for args in [
        &["-f", "-R", text(&flat), out][..],
        &["-f", "--atomic", "-R", text(&flat), out],
        &["-f", "--atomic", "-d", "31", vmcore, out],
        &["-f", "--format", "lime", vmcore, out],
        &["repair", "-f", vmcore, out],
    ] {
        gdump_ok(&["-f", "--checksum", "-c", "-d", "31", vmcore, out]);
        assert!(sums.exists());
        gdump_ok(args);
        assert!(!sums.exists(), "{args:?}");
        gdump_ok(&["check", out]);
    }
}

/// What stands where checksums would be.
#[test]
fn what_is_no_file_of_checksums_costs_nothing() {
    let dir = scratch();
    let [out, sums] = ["out", "out.sum"].map(|name| dir.path().join(name));
    let (vmcore, out) = (text(&tiny().vmcore), text(&out));
    gdump_ok(&["--checksum", "-c", "-d", "31", vmcore, out]);
    let text = std::fs::read(&sums).unwrap();
    // what is left of checksums vouches for nothing, and that is said
    for len in [0, 10, 100, text.len() - 1] {
        std::fs::write(&sums, &text[..len]).unwrap();
        let run = gdump(&["check", out]);
        let said = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.code() == Some(1) && said.contains("out.sum: checksums: "), "{len}: {said}");
        assert!(said.contains("carry a checksum"), "the rest is looked at: {said}");
    }
    // somebody else's: 64 GiB of nothing
    std::fs::write(&sums, b"d41d8cd98f00b204e9800998ecf8427e  out\n").unwrap();
    std::fs::File::options().write(true).open(&sums).unwrap().set_len(64 << 30).unwrap();
    gdump_ok(&["check", out]);
    gdump_ok(&["-f", "-c", "-d", "31", vmcore, out]);
    assert!(sums.exists());
    // nobody writes to it
    std::fs::remove_file(&sums).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&sums).status().unwrap().success());
    for args in [&["check", out][..], &["-f", "-c", "-d", "31", vmcore, out]] {
        let run = std::process::Command::new("timeout").args(["60", env!("CARGO_BIN_EXE_gdump")]).args(args).output();
        assert!(run.unwrap().status.success(), "{args:?}");
    }
    let said = crate::support::gdump_refuses(&["-f", "--checksum", vmcore, "/dev/null"]);
    assert!(said.contains("/dev/null.sum") && !Path::new("/dev/null.sum").exists(), "{said}");
}

/// What `check` finds wrong in what says where pages are is no whole dump's, and what comes of it is none either.
#[test]
fn contradictions_reach_what_comes_of_a_dump() {
    let dir = scratch();
    let (path, _) = zlib_dump(dir.path());
    let whole = std::fs::read(&path).unwrap();
    let (_, table) = areas(&whole);
    let u64_at = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
    // the first descriptor whose data are its own
    let stored = (0..).map(|i| table + 24 * i).find(|at| whole[at + 12] == 1).unwrap();
    let (bad, out) = (dir.path().join("bad"), dir.path().join("out"));
    for (at, byte, says) in [
        (432, whole[432] - 2, "the 2nd bitmap has no page"), // sub_hdr_size
        (stored, (u64_at(stored) + 1) as u8, "pages share data"), // an offset
    ] {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        std::fs::write(&bad, bytes).unwrap();
        assert_eq!(gdump(&["check", text(&bad)]).status.code(), Some(1), "{says}");
        for args in [["-f", "-d0"], ["-f", "-E"], ["-f", "-c"]] {
            let run = gdump(&[&args[..], &[text(&bad), text(&out)]].concat());
            let stderr = String::from_utf8(run.stderr).unwrap();
            assert!(run.status.code() == Some(1) && stderr.contains(says), "{says}: {stderr}");
            assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1), "{says}");
        }
        assert_eq!(gdump(&["diff", text(&bad), text(&bad)]).status.code(), Some(1), "{says}");
    }
}
