//! `gdump -R`: refusals in no time, no half-made dump that looks complete; and `gdump check`, which distinguishes them.

use crate::support::{gdump, gdump_ok, gdump_refuses, open, scratch, text, tiny, without_progress};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `gdump -R out < input`, which must not take long.
fn rearrange(input: &Path, out: &Path) -> Output {
    let begun = Instant::now();
    let run = Command::new(env!("CARGO_BIN_EXE_gdump"))
        .args(["-R", "-f", text(out)])
        .stdin(fs::File::open(input).unwrap())
        .output()
        .unwrap();
    // generous for a busy machine; makedumpfile takes ten minutes for some of these
    assert!(begun.elapsed() < Duration::from_secs(20), "{}", input.display());
    without_progress(run)
}

fn flattened() -> Vec<u8> {
    gdump(&["-F", "-l", "-d", "31", "--message-level", "0", text(&tiny().vmcore)]).stdout
}

#[test]
fn what_is_no_stream_is_refused_and_leaves_nothing() {
    let dir = scratch();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    let stream = flattened();
    for (bytes, says) in [
        (&b""[..], "not a flattened dump"),
        (b"makedumpfile", ""),
        (&[0; 5000], "not a flattened dump"),
        (b"root:x:0:0:root:/root:/bin/bash\n", ""),
        (&stream[..4000], "ends"),
        (&stream[..4100], "ends"),
    ] {
        fs::write(&input, bytes).unwrap();
        let run = rearrange(&input, &out);
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{stderr}");
        assert!(stderr.lines().count() == 1 && stderr.contains(says), "{stderr}");
        assert!(!out.exists(), "{stderr}");
    }
    let run = rearrange(Path::new("/dev/zero"), &out);
    assert!(run.status.code() == Some(1) && !out.exists());
    let run = rearrange(Path::new("/dev/null"), &out);
    assert!(run.status.code() == Some(1) && !out.exists());
}

/// A dump on a device is followed by what the device held before.
#[test]
fn bytes_after_the_end_marker_are_ignored() {
    let dir = scratch();
    let (input, out, want) = (dir.path().join("input"), dir.path().join("out"), dir.path().join("want"));
    let mut stream = flattened();
    stream.extend(b"what the device held before".repeat(1000));
    fs::write(&input, stream).unwrap();
    let run = rearrange(&input, &out);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    gdump_ok(&["-l", "-d", "31", text(&tiny().vmcore), text(&want)]);
    assert!(fs::read(&out).unwrap() == fs::read(&want).unwrap());
    gdump_ok(&["check", text(&input)]);
}

/// A stream that ends early gives what came of it, flagged incomplete; or nothing, if that is too little.
#[test]
fn cut_streams_are_flagged() {
    let dir = scratch();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    for (stream, is_elf) in
        [(flattened(), false), (gdump(&["-F", "-E", "--message-level", "0", text(&tiny().vmcore)]).stdout, true)]
    {
        let mut kept = 0;
        for sixteenth in 1..16 {
            fs::write(&input, &stream[..stream.len() * sixteenth / 16]).unwrap();
            let _ = fs::remove_file(&out);
            let run = rearrange(&input, &out);
            let stderr = String::from_utf8(run.stderr).unwrap();
            assert_eq!(run.status.code(), Some(1), "{stderr}");
            if !out.exists() {
                continue;
            }
            kept += 1;
            let info = gdump(&["info", "--json", text(&out)]);
            let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
            assert_eq!(info["incomplete"], true, "{sixteenth}: {stderr}");
            assert!(is_elf || open(&out).is_incomplete());
            let check = gdump(&["check", text(&out)]);
            assert_eq!(check.status.code(), Some(1), "{}", String::from_utf8_lossy(&check.stdout));
            let check = gdump(&["check", text(&input)]);
            assert_eq!(check.status.code(), Some(1), "{}", String::from_utf8_lossy(&check.stdout));
        }
        assert!(kept > 10, "{kept}");
    }
}

#[test]
fn check_names_each_kind_of_damage() {
    let dir = scratch();
    let file = dir.path().join("dump");
    gdump_ok(&["-c", "-d", "31", text(&tiny().vmcore), text(&file)]);
    assert!(gdump_ok(&["check", text(&file)]).contains("no damage found"));
    let whole = fs::read(&file).unwrap();
    let check = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let run = gdump(&["check", text(&file)]);
        assert_eq!(run.status.code(), Some(1));
        String::from_utf8(run.stdout).unwrap()
    };
    let u32_at = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    let descriptors = 4096 * (1 + u32_at(432) + u32_at(436));
    // the first pages may be zero: their descriptors share the first page of data
    let compressed = (0..).map(|i| descriptors + 24 * i).find(|at| u32_at(at + 12) == 1).unwrap();
    let damaged = |at: usize, bytes: &[u8]| {
        let mut dump = whole.clone();
        dump[at..at + bytes.len()].copy_from_slice(bytes);
        dump
    };
    let data = u32_at(compressed);
    for (dump, says) in [
        (damaged(compressed, &[0; 24]), "not written"),
        (damaged(compressed + 12, &[0x40]), "unknown flags"),
        (damaged(compressed + 8, &[0xff; 4]), "impossible size"),
        (damaged(compressed + 4, &[0x7f]), "past the end"),
        (damaged(data, &[0xff; 2]), "do not decompress"),
        (damaged(424, &[9]), "flagged incomplete"),
        (whole[..whole.len() - 1000].to_vec(), "past the end"),
    ] {
        let text = check(&dump);
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn rearranging_changes_nothing_else() {
    let dir = scratch();
    let out = dir.path().join("out");
    fs::write(&out, "precious").unwrap();
    let e = gdump_refuses(&["-R", text(&tiny().vmcore), text(&out)]);
    assert!(e.contains("File exists"), "{e}");
    let e = gdump_refuses(&["-R", "-f", text(&tiny().vmcore), text(&out)]);
    assert!(e.contains("not a flattened dump"), "{e}");
    assert_eq!(fs::read(&out).unwrap(), b"precious");
}

/// A reader that goes away ends the writer, with status 1 and one line.
#[test]
fn a_closed_pipe_is_no_success() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gdump"));
    command.args(["-F", "-d", "0", "--message-level", "4", text(&tiny().vmcore)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains("Broken pipe"), "{stderr}");
}

/// A dump that was cut off before it was sent arrives, and is not called whole.
#[test]
fn a_flagged_dump_is_no_success() {
    let dir = scratch();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    let cut = gdump(&["-F", "-c", "-L", "1M", "--message-level", "0", text(&tiny().vmcore)]);
    assert_eq!(cut.status.code(), Some(1));
    let elf = gdump(&["-F", "-E", "-L", "1M", "--message-level", "0", text(&tiny().vmcore)]);
    for stream in [cut.stdout, elf.stdout] {
        fs::write(&input, stream).unwrap();
        let run = rearrange(&input, &out);
        let (stdout, stderr) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
        assert!(run.status.code() == Some(1) && !stdout.contains("saved to"), "{stdout}{stderr}");
        assert!(stderr.lines().count() == 1 && stderr.contains("flagged incomplete, as stdin is"), "{stderr}");
        let check = gdump(&["check", text(&out)]);
        assert!(String::from_utf8_lossy(&check.stdout).contains("flagged incomplete"));
    }
}

/// A record that is not there leaves a hole where whoever writes a dump leaves none.
#[test]
fn missing_records_are_said() {
    let dir = scratch();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    let stream = gdump(&["-F", "-d", "31", "--message-level", "0", text(&tiny().vmcore)]).stdout;
    let be = |at: usize| u64::from_be_bytes(stream[at..at + 8].try_into().unwrap()) as usize;
    // headers come first; of what follows, pages are in the longest records
    let mut records = vec![4096];
    while be(records[records.len() - 1]) >> 63 == 0 {
        let at = records[records.len() - 1];
        records.push(at + 16 + be(at + 8));
    }
    let long: Vec<usize> = records.iter().copied().filter(|at| be(at + 8) == 48 << 10).collect();
    for at in [long[0], long[long.len() / 2], long[long.len() - 2]] {
        let (offset, len) = (be(at), be(at + 8));
        fs::write(&input, [&stream[..at], &stream[at + 16 + len..]].concat()).unwrap();
        let run = rearrange(&input, &out);
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&format!("records are missing: {len} bytes at {offset:#x} of the dump")), "{stderr}");
        assert!(stderr.contains("flagged incomplete"), "{stderr}");
        assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1));
    }
    // zeros may be in no record, where a format takes them from there
    for format in ["elf", "raw", "lime", "kdump"] {
        let stream = gdump(&["-F", "-d", "0", "--format", format, "--message-level", "0", text(&tiny().vmcore)]);
        fs::write(&input, stream.stdout).unwrap();
        let run = rearrange(&input, &out);
        assert!(run.status.success(), "{format}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

/// Where the records of a stream begin, and its end marker.
fn record_starts(stream: &[u8]) -> Vec<usize> {
    let be = |at: usize| u64::from_be_bytes(stream[at..at + 8].try_into().unwrap());
    let mut starts = vec![4096];
    while be(starts[starts.len() - 1]) >> 63 == 0 {
        let at = starts[starts.len() - 1];
        starts.push(at + 16 + be(at + 8) as usize);
    }
    starts
}

/// Records are lost that are shorter than a page, the first headers', bitmaps' and a few descriptors' among them: what
/// check calls damaged is no success.
#[test]
fn whatever_record_is_missing_is_said() {
    let dir = scratch();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    let stream = gdump(&["-F", "-l", "-d", "31", "--message-level", "0", text(&tiny().vmcore)]).stdout;
    let starts = record_starts(&stream);
    // as makedumpfile has them: of headers, notes, bitmaps and descriptors, each its own
    let mut pieces: Vec<(u64, &[u8])> = Vec::new();
    for ends in starts.windows(2) {
        let offset = u64::from_be_bytes(stream[ends[0]..ends[0] + 8].try_into().unwrap());
        let data = &stream[ends[0] + 16..ends[1]];
        // the sub header ends, and notes begin
        let cuts = (1..data.len() as u64).filter(|at| offset + at == 0x1068);
        let cuts: Vec<u64> = [0].into_iter().chain(cuts).chain([data.len() as u64]).collect();
        pieces.extend(cuts.windows(2).map(|cut| (offset + cut[0], &data[cut[0] as usize..cut[1] as usize])));
    }
    let write = |without: Option<usize>| {
        let mut bytes = stream[..4096].to_vec();
        for (_, (offset, data)) in pieces.iter().enumerate().filter(|(i, _)| Some(*i) != without) {
            bytes.extend(offset.to_be_bytes());
            bytes.extend((data.len() as u64).to_be_bytes());
            bytes.extend(*data);
        }
        bytes.extend([0xff; 16]);
        fs::write(&input, bytes).unwrap();
        let run = rearrange(&input, &out);
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };
    let (status, stderr) = write(None);
    assert_eq!(status, Some(0), "{stderr}");
    let whole = fs::read(&out).unwrap();
    let mut damaged = 0;
    // where the first page lies, by its descriptor
    let le = |at: usize, len: usize| (0..len).fold(0, |n, i| n | u64::from(whole[at + i]) << (8 * i));
    let pages = le(4096 * (1 + le(432, 4) + le(436, 4)) as usize, 8);
    let index = (0..pieces.len()).filter(|i| pieces[*i].0 < pages);
    for missing in index.enumerate().filter(|(n, _)| *n < 12 || n % 16 == 0).map(|(_, i)| i) {
        let _ = fs::remove_file(&out);
        let (status, stderr) = write(Some(missing));
        let (at, len) = (pieces[missing].0, pieces[missing].1.len());
        let left = if out.exists() { out.clone() } else { out.with_extension("incomplete") };
        let same = fs::read(&left).unwrap() == whole;
        let check = gdump(&["check", text(&left)]).status.code();
        assert_eq!((status == Some(0), check == Some(0)), (same, same), "{len} bytes at {at:#x}: {stderr}");
        damaged += u32::from(!same);
        let _ = fs::remove_file(&left);
    }
    assert!(damaged > 10, "{damaged}");
}

/// A record of some bytes of pages is lost: no writer leaves out any of them.
#[test]
fn a_missing_record_of_less_than_a_page_is_said() {
    let dir = scratch();
    let (input, out) = (dir.path().join("input"), dir.path().join("out"));
    let stream = gdump(&["-F", "-l", "-d", "31", "--message-level", "0", text(&tiny().vmcore)]).stdout;
    let starts = record_starts(&stream);
    let be = |at: usize| u64::from_be_bytes(stream[at..at + 8].try_into().unwrap());
    // the longest have pages
    let at = *starts[..starts.len() - 1].iter().max_by_key(|at| be(**at + 8)).unwrap();
    let (offset, len) = (be(at), be(at + 8) as usize);
    for (from, lost) in [(0, 1), (700, 100), (1000, 3000)] {
        assert!(len > from + lost);
        let data = &stream[at + 16..at + 16 + len];
        let rest = [(offset, &data[..from]), (offset + (from + lost) as u64, &data[from + lost..])];
        let mut bytes = stream[..at].to_vec();
        for (offset, data) in rest.into_iter().filter(|(_, data)| !data.is_empty()) {
            bytes.extend(offset.to_be_bytes());
            bytes.extend((data.len() as u64).to_be_bytes());
            bytes.extend(data);
        }
        bytes.extend(&stream[at + 16 + len..]);
        fs::write(&input, bytes).unwrap();
        let run = rearrange(&input, &out);
        let stderr = String::from_utf8(run.stderr).unwrap();
        let says = format!("records are missing: {lost} bytes at {:#x} of the dump", offset + from as u64);
        assert!(run.status.code() == Some(1) && stderr.contains(&says), "{stderr}");
        assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1));
    }
}
