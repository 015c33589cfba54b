//! Memory images, flattened files and files that are compressed as a whole: all that is there is read, what is wrong is
//! said and reaches whatever is made of them, and no more is done than there is reason for.

use crate::support::{gdump, gdump_ok, gdump_refuses, limited, open, root, scratch, text, tiny, without_progress};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn case(name: &str) -> PathBuf {
    root().join("fixtures/cases").join(name)
}

fn info(path: &Path) -> serde_json::Value {
    let run = gdump(&["info", "--json", text(path)]);
    serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)))
}

fn stdout(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

fn stderr(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// Pages 1..9, 20..24 and 40..44, none of them zero.
fn ranges() -> Vec<(u64, Vec<u8>)> {
    let bytes = |from: u64, to: u64| (from * 512..to * 512).flat_map(|i: u64| ((i * i) | 1).to_le_bytes()).collect();
    [(1, 9), (20, 24), (40, 44)].map(|(from, to)| (from * 4096, bytes(from, to))).to_vec()
}

const PAGES: u64 = 16;

fn lime() -> Vec<u8> {
    dump_synth::lime(&ranges())
}

/// `dump` is damaged, and says so: in `check`, in `diff` with itself, and in what it is converted to. Returns what is
/// said, and the numbers of pages of RAM and of those that cannot be read.
fn damaged(dump: &Path) -> (String, u64, u64) {
    let dir = scratch();
    let check = gdump(&["check", text(dump)]);
    assert_eq!(check.status.code(), Some(1), "{}", stdout(&check));
    let diff = gdump(&["diff", text(dump), text(dump)]);
    assert_eq!(diff.status.code(), Some(1), "{}", stdout(&diff));
    assert!(!stdout(&diff).contains("no difference"), "{}", stdout(&diff));
    let (mut ram, mut unreadable) = (0, 0);
    for options in [&["-c"][..], &["-E"], &["-F"]] {
        let out = dir.path().join("out");
        let made = match options {
            ["-F"] => {
                let run = gdump(&["-F", text(dump)]);
                fs::write(&out, &run.stdout).unwrap();
                run
            }
            _ => gdump(&[options, &["-f", text(dump), text(&out)]].concat()),
        };
        assert_eq!(made.status.code(), Some(1), "{options:?}: {}", stderr(&made));
        assert!(stderr(&made).contains("flagged incomplete"), "{options:?}: {}", stderr(&made));
        let info = info(&out);
        assert_eq!(info["incomplete"], true, "{options:?}");
        let check = gdump(&["check", text(&out)]);
        assert!(check.status.code() == Some(1) && stdout(&check).contains("flagged incomplete"), "{options:?}");
        ram = info["ram_pages"].as_u64().unwrap();
        let cannot = |line: &str| line.contains("pages cannot be read").then(|| line.split(' ').nth(2)?.parse().ok());
        unreadable = stderr(&made).lines().find_map(cannot).flatten().unwrap_or(0);
    }
    (stdout(&check), ram, unreadable)
}

#[test]
fn all_frames_of_a_packed_file_are_read() {
    let dir = scratch();
    let out = dir.path().join("out");
    let two = case("two-frames.lime.lz4");
    assert_eq!(info(&two)["ram_pages"], 8);
    gdump_ok(&["--message-level", "0", text(&two), text(&out)]);
    assert_eq!(info(&out)["held_pages"], 8);
    assert!(gdump_ok(&["check", text(&two)]).contains("no damage found"));
}

#[test]
fn lime_through_the_modules_zlib() {
    let dir = scratch();
    let (packed, out) = (dir.path().join("packed"), dir.path().join("out"));
    fs::write(&packed, zstd::decode_all(fs::File::open(case("zlib.lime.zst")).unwrap()).unwrap()).unwrap();
    let found = info(&packed);
    assert_eq!((&found["container"], &found["layers"][0]), (&"lime".into(), &"zlib".into()));
    // packed once more for the way, as it lies among the fixtures; and no further
    let found = info(&case("zlib.lime.zst"));
    assert_eq!((&found["container"], &found["layers"]), (&"lime".into(), &serde_json::json!(["zstd", "zlib"])));
    let thrice = dir.path().join("thrice");
    fs::write(&thrice, zstd::encode_all(fs::File::open(case("zlib.lime.zst")).unwrap(), 1).unwrap()).unwrap();
    let run = gdump(&["info", text(&thrice)]);
    assert!(stderr(&run).contains("zlib within zstd within zstd"), "{}", stderr(&run));
    gdump_ok(&["--message-level", "0", text(&packed), text(&out)]);
    assert!(gdump_ok(&["diff", "--strict", text(&packed), text(&out)]).contains("no difference"));
}

#[test]
fn what_stands_behind_the_last_frame_is_said() {
    let dir = scratch();
    let path = dir.path().join("packed");
    let frame = zstd::encode_all(&lime()[..], 3).unwrap();
    fs::write(&path, [&frame[..], &[0; 5000]].concat()).unwrap();
    assert!(gdump_ok(&["check", text(&path)]).contains("no damage found"), "padding, as on a device");
    fs::write(&path, [&frame[..], b"sixteen bytes..."].concat()).unwrap();
    let (said, ram, unreadable) = damaged(&path);
    assert!(said.contains("neither another frame nor padding"), "{said}");
    assert_eq!((ram, unreadable), (PAGES, 0));
    // cut at the last byte of the second
    let frames = [&lime()[..30_000], &lime()[30_000..]].map(|part| zstd::encode_all(part, 3).unwrap()).concat();
    fs::write(&path, &frames[..frames.len() - 1]).unwrap();
    assert!(damaged(&path).0.contains("it ends early"));
}

/// As a cut ELF core: RAM is what the header says, what is behind the cut cannot be read, and no page is half real.
#[test]
fn a_cut_lime_image() {
    let dir = scratch();
    let path = dir.path().join("cut.lime");
    let whole = lime();
    fs::write(&path, &whole[..whole.len() - 4096 - 1000]).unwrap();
    let (said, ram, unreadable) = damaged(&path);
    assert!(said.contains("its memory ends at offset") && said.contains("2 pages: unreadable"), "{said}");
    assert_eq!((ram, unreadable), (PAGES, 2));
    let out = dir.path().join("out");
    gdump(&["--message-level", "0", text(&path), text(&out)]);
    let kdump = open(&out);
    assert!(kdump.is_incomplete());
    // a header and no memory
    fs::write(&path, &whole[..whole.len() - 4 * 4096]).unwrap();
    assert_eq!(damaged(&path).2, 4);
}

#[test]
fn zeros_behind_a_lime_image() {
    let dir = scratch();
    let (path, out) = (dir.path().join("tail.lime"), dir.path().join("out"));
    fs::write(&path, [lime(), vec![0; 512]].concat()).unwrap();
    gdump_ok(&["--message-level", "0", text(&path), text(&out)]);
    assert!(gdump_ok(&["check", text(&path)]).contains("no damage found"));
    assert_eq!(info(&out)["incomplete"], false);
}

#[test]
fn ranges_that_contradict_each_other() {
    let dir = scratch();
    let path = dir.path().join("lime");
    let mut again = ranges();
    again.push((40 * 4096, vec![7; 4096]));
    fs::write(&path, dump_synth::lime(&again)).unwrap();
    let (said, ram, _) = damaged(&path);
    assert!(said.contains("both claim memory at 0x28000, with different content"), "{said}");
    assert_eq!(ram, PAGES);
}

#[test]
fn what_is_packed_by_others_is_named() {
    let dir = scratch();
    let path = dir.path().join("file");
    let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 11) as u8).collect();
    for (start, says) in [
        (&b"PK\x03\x04"[..], "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x89LZO\0\r\n\x1a\n", "an lzop file"),
        (b"\xff\x06\0\0sNaPpY", "a framed snappy stream"),
        (b"QFI\xfb", "a qcow2 image"),
        (b"", "not a dump of a known format\n"),
    ] {
        fs::write(&path, [start, &noise].concat()).unwrap();
        let refusal = gdump_refuses(&["info", text(&path)]);
        assert!(refusal.contains(says) && !refusal.contains("--raw-base"), "{refusal}");
    }
    fs::write(&path, [&[0; 64][..], &noise].concat()).unwrap();
    assert!(gdump_refuses(&["info", text(&path)]).contains("--raw-base"));
}

/// In no time: a record at 32 TiB.
#[test]
fn a_flattened_file_that_is_a_hole() {
    let dir = scratch();
    let out = dir.path().join("out");
    let hole = case("flattened-hole-16T.flat");
    for args in [&["info", text(&hole)][..], &["check", text(&hole)], &[text(&hole), text(&out)]] {
        let begun = Instant::now();
        let refusal = gdump_refuses(args);
        assert!(refusal.contains("35184372088833 bytes long, of which its records hold no more than 121"), "{refusal}");
        assert!(begun.elapsed() < Duration::from_secs(2) && !out.exists());
    }
    let begun = Instant::now();
    let run = gdump(&["-R", text(&hole), text(&out)]);
    assert!(begun.elapsed() < Duration::from_secs(2));
    // some file systems have no files so long; the others have holes
    assert!(run.status.success() || stderr(&run).contains("File too large"), "{}", stderr(&run));
    assert!(fs::metadata(&out).unwrap().blocks() < 64);
}

#[test]
fn a_packed_flattened_file_is_rearranged() {
    let dir = scratch();
    let [packed, plain, out, want] = ["packed", "plain", "out", "want"].map(|name| dir.path().join(name));
    let stream = gdump(&["-F", "-l", "-d", "31", "--message-level", "0", text(&tiny().vmcore)]).stdout;
    fs::write(&plain, &stream).unwrap();
    gdump_ok(&["-R", "--message-level", "0", text(&plain), text(&want)]);
    let frames = [zstd::encode_all(&stream[..100_000], 1).unwrap(), zstd::encode_all(&stream[100_000..], 1).unwrap()];
    fs::write(&packed, frames.concat()).unwrap();
    gdump_ok(&["-R", "--message-level", "0", text(&packed), text(&out)]);
    assert!(fs::read(&out).unwrap() == fs::read(&want).unwrap());
    fs::remove_file(&out).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_gdump"))
        .args(["-R", "--message-level", "0", text(&out)])
        .stdin(fs::File::open(&packed).unwrap())
        .output()
        .unwrap();
    assert!(run.status.success() && fs::read(&out).unwrap() == fs::read(&want).unwrap());
    // cut within a frame: flagged, as any stream that ends early
    fs::write(&packed, &frames.concat()[..frames[0].len() + frames[1].len() / 2]).unwrap();
    let run = gdump(&["-R", "-f", text(&packed), text(&out)]);
    assert!(run.status.code() == Some(1) && stderr(&run).contains("flagged incomplete"), "{}", stderr(&run));
    assert_eq!(info(&out)["incomplete"], true);
    fs::write(&packed, zstd::encode_all(&b"text"[..], 1).unwrap()).unwrap();
    assert!(gdump_refuses(&["-R", "-f", text(&packed), text(&out)]).contains("not a flattened dump"));
}

#[test]
fn unpacking_has_a_limit() {
    let dir = scratch();
    let (packed, out) = (dir.path().join("packed"), dir.path().join("out"));
    let image = dump_synth::lime(&[(0, vec![1; 3 << 20])]);
    fs::write(&packed, zstd::encode_all(&image[..], 1).unwrap()).unwrap();
    let file = text(&packed);
    for args in [
        &["info", "--max-unpacked", "2M", file][..],
        &["check", "--max-unpacked", "2M", file],
        &["diff", "--max-unpacked", "2M", file, file],
        &["--max-unpacked", "2M", file, text(&out)],
    ] {
        let refusal = gdump_refuses(args);
        assert!(refusal.contains("longer than 2097152 bytes (--max-unpacked SIZE allows more)"), "{refusal}");
        assert!(!out.exists());
    }
    gdump_ok(&["check", "--max-unpacked", "4M", file]);
    let run = Command::new(env!("CARGO_BIN_EXE_gdump"))
        .args(["info", "--max-unpacked", "2M", "-"])
        .stdin(fs::File::open(&packed).unwrap())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.code() == Some(1) && stderr(&run).contains("--max-unpacked"), "{}", stderr(&run));
}

/// Missing, no directory, or full: one line that names it, and no output.
#[test]
fn temporary_directories_that_are_of_no_use() {
    let dir = scratch();
    let (packed, out) = (dir.path().join("packed"), dir.path().join("out"));
    fs::write(&packed, zstd::encode_all(&lime()[..], 1).unwrap()).unwrap();
    for tmpdir in [dir.path().join("missing"), packed.clone()] {
        let run = without_progress(
            Command::new(env!("CARGO_BIN_EXE_gdump")).args([&packed, &out]).env("TMPDIR", &tmpdir).output().unwrap(),
        );
        let said = stderr(&run);
        assert!(run.status.code() == Some(1) && said.lines().count() == 1 && !out.exists(), "{said}");
        assert!(said.contains(&format!("temporary file in {}", tmpdir.display())) && said.contains("TMPDIR"), "{said}");
    }
    // one that is wanted wins, if it is there
    let missing = dir.path().join("missing");
    for (wanted, works) in [(dir.path(), true), (missing.as_path(), false)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gdump"));
        command.args(["-f", "--work-dir", text(wanted), text(&packed), text(&out)]);
        let run = command.env("TMPDIR", &missing).output().unwrap();
        assert_eq!(run.status.success(), works, "{}", stderr(&run));
    }
    fs::remove_file(&out).unwrap();
    let (status, _, said) = limited(16, &[text(&packed), text(&out)]);
    assert!(status.code() == Some(1) && said.lines().count() == 1 && !out.exists(), "{said}");
    assert!(said.contains("temporary file in ") && said.contains("TMPDIR"), "{said}");
}

/// Zeros and what cannot be read take no room in a LiME or raw image.
#[test]
fn memory_images_hold_no_more_than_there_is() {
    let dir = scratch();
    let (sparse, out) = (dir.path().join("sparse"), dir.path().join("out"));
    let mut image = dump_synth::lime(&[(0, vec![3; 4096])]);
    image.extend(dump_synth::lime(&[(8 << 20, vec![0; 4096])]));
    let len = 512u64 << 20;
    let header = image.len() - 4096 - 32;
    image[header + 16..header + 24].copy_from_slice(&((8u64 << 20) + len - 1).to_le_bytes());
    fs::write(&sparse, &image).unwrap();
    fs::File::options().write(true).open(&sparse).unwrap().set_len(header as u64 + 32 + len).unwrap();
    for format in ["lime", "raw"] {
        gdump_ok(&["-f", "--message-level", "0", "--format", format, text(&sparse), text(&out)]);
        let meta = fs::metadata(&out).unwrap();
        assert!(meta.len() > len && meta.blocks() * 512 < 4 << 20, "{format}: {} blocks", meta.blocks());
    }
    assert!(fs::metadata(&sparse).unwrap().blocks() * 512 < 4 << 20);
}
