//! Dumps that are not whole: nothing is lost that can be read, and nothing that is lost goes unsaid.

use crate::support::{elf, gdump, gdump_refuses, limited, open, page, scratch, text, tiny};
use dump_synth::{Era, KernelBuilder, Load};
use dump_witness::{Elf, Page};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Every page of `out` that is there equals the vmcore's, and the file is flagged if one is not; returns how many are
/// there, and how many are lost.
fn check(out: &Path, vmcore: &Elf) -> (u64, u64) {
    let kdump = open(out);
    let (mut held, mut lost) = (0, 0);
    for pfn in 0..kdump.header.max_mapnr {
        match page(&kdump, pfn) {
            Page::Held(bytes, _) => {
                assert!(vmcore.page(pfn, 4096).unwrap() == bytes, "pfn {pfn:#x}");
                held += 1;
            }
            Page::Lost => lost += 1,
            Page::Excluded => {}
        }
    }
    // a source that was cut is never said to be whole, whatever of it is left out
    assert!(kdump.is_incomplete() || lost == 0, "flagged incomplete");
    (held, lost)
}

/// A vmcore cut at every 1/16 of its length: what is there is dumped, what is not counts as unreadable, the status is
/// 1.
#[test]
fn cut_vmcores_give_what_they_hold() {
    let whole = std::fs::read(&tiny().vmcore).unwrap();
    let vmcore = elf(&tiny().vmcore);
    let dir = scratch();
    let (cut, out) = (dir.path().join("cut"), dir.path().join("out"));
    for sixteenth in 1..16 {
        std::fs::write(&cut, &whole[..whole.len() * sixteenth / 16]).unwrap();
        // at level 31 the struct pages are needed, and they lie at the end of this dump's memory
        let e = gdump_refuses(&["-d", "31", text(&cut), text(&out)]);
        assert!(e.contains("its memory ends at offset") && !out.exists(), "{sixteenth}: {e}");
        let run = gdump(&["-l", "-d", "1", text(&cut), text(&out)]);
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{sixteenth}: {stderr}");
        assert!(
            stderr.contains("pages cannot be read") && stderr.contains("flagged incomplete"),
            "{sixteenth}: {stderr}"
        );
        let (held, lost) = check(&out, &vmcore);
        let here = elf(&cut);
        let readable = (0..vmcore.end_pfn(4096)).filter(|pfn| here.page(*pfn, 4096).is_some()).count() as u64;
        // -d 1 leaves no page out but the broken one, if that can still be identified
        assert!(held == readable || held + 1 == readable, "{sixteenth}: {held} of {readable}");
        assert!(lost > 0);
        std::fs::remove_file(&out).unwrap();
    }
}

/// A dump whose file begins with the kernel's own memory, struct pages and all: however much of the rest is missing, it
/// is filtered as a whole one.
#[test]
fn cut_vmcores_are_filtered_where_struct_pages_can_be_read() {
    let recipe = "ram 0..0x2000\nanon 0x100..0x400\nfree 0x800..0x1000 order=10";
    let kernel = KernelBuilder::new(Era::V6_12).recipe(recipe).build();
    let own = kernel.own_pages();
    let mut core = kernel.elf();
    let bytes = kernel.memory().bytes(own.start * 4096, (own.end - own.start) * 4096);
    core.loads.insert(0, Load::new(own.start * 4096, kernel.page_offset() + own.start * 4096, bytes));
    let whole = core.to_bytes();
    let dir = scratch();
    let (cut, full, out) = (dir.path().join("cut"), dir.path().join("full"), dir.path().join("out"));
    std::fs::write(&full, &whole).unwrap();
    let vmcore = elf(&full);
    let expected = kernel.expected(31);
    let mut filtered = 0;
    for sixteenth in 1..16 {
        std::fs::write(&cut, &whole[..whole.len() * sixteenth / 16]).unwrap();
        let here = elf(&cut);
        let run = gdump(&["-l", "-d", "31", text(&cut), text(&out)]);
        assert_eq!(run.status.code(), Some(1));
        if here.page(own.end - 1, 4096).is_none() {
            continue;
        }
        check(&out, &vmcore);
        let kdump = open(&out);
        assert!(kdump.is_incomplete(), "{sixteenth}");
        for pfn in 0..kernel.max_pfn() {
            assert_eq!(kdump.kept.get(pfn), expected.kept.contains(&pfn), "{sixteenth}: {pfn:#x}");
            let readable = here.page(pfn, 4096).is_some();
            assert_eq!(
                matches!(page(&kdump, pfn), Page::Held(..)),
                readable && kdump.kept.get(pfn),
                "{sixteenth}: {pfn:#x}"
            );
        }
        filtered += 1;
        std::fs::remove_file(&out).unwrap();
    }
    assert!(filtered > 8, "{filtered} of 15 could be filtered");
}

#[test]
fn a_full_disk_leaves_a_readable_dump() {
    let dir = scratch();
    let out = dir.path().join("out");
    let vmcore = elf(&tiny().vmcore);
    for threads in ["1", "3"] {
        let (status, _, stderr) =
            limited(2048, &["-c", "-f", "-d", "31", "--num-threads", threads, text(&tiny().vmcore), text(&out)]);
        assert_eq!(status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("File too large") && stderr.contains("flagged incomplete"), "{stderr}");
        let (held, lost) = check(&out, &vmcore);
        assert!(held > 1000 && lost > 1000, "{held} held, {lost} lost");
    }
}

#[test]
fn a_full_disk_makes_the_next_level_be_tried() {
    let dir = scratch();
    let (out, want) = (dir.path().join("out"), dir.path().join("want"));
    let (status, stdout, stderr) = limited(6144, &["-l", "-d", "0,1,31", text(&tiny().vmcore), text(&out)]);
    assert!(status.success(), "{stderr}");
    assert!(stdout.contains("by dump_level(1)") && stdout.contains("by dump_level(31)"), "{stdout}");
    crate::support::gdump_ok(&["-l", "-d", "31", text(&tiny().vmcore), text(&want)]);
    assert!(std::fs::read(&out).unwrap() == std::fs::read(&want).unwrap());
}

/// Where not even the headers fit, nothing that could be taken for a dump is left.
#[test]
fn no_room_for_headers_leaves_nothing() {
    let dir = scratch();
    let out = dir.path().join("out");
    let (status, _, stderr) = limited(4, &["-l", "-d", "31", text(&tiny().vmcore), text(&out)]);
    assert_eq!(status.code(), Some(1));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!out.exists());
}

/// SIGTERM and SIGINT end the dump where it is.
#[test]
fn a_signal_leaves_a_readable_dump() {
    let dir = scratch();
    let out = dir.path().join("out");
    let vmcore = elf(&tiny().vmcore);
    for signal in ["-TERM", "-INT"] {
        // a signal that comes after the last page finds a complete dump; then it is sent earlier in the next try
        let incomplete = (0..20).any(|_| {
            let args = ["-c", "-f", "-d", "0", "--num-threads", "1", text(&tiny().vmcore), text(&out)];
            let _ = std::fs::remove_file(&out);
            // what runs the tests may ignore SIGINT, as shells do in the background
            let mut command = Command::new("env");
            let mut child = command
                .args(["--default-signal", env!("CARGO_BIN_EXE_gdump")])
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let begun = Instant::now();
            while out.metadata().map_or(0, |meta| meta.len()) < 1 << 20 && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
            child.wait().unwrap().code() == Some(1)
        });
        assert!(incomplete, "{signal}");
        let (held, lost) = check(&out, &vmcore);
        assert!(held > 0 && lost > 0, "{signal}: {held} held, {lost} lost");
    }
}
