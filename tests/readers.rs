//! crash and drgn, where they are installed, open what gdump writes.

use crate::support::{Case, corpus, elf, gdump_ok, has, has_drgn, open, scratch, skipped, text, tiny};
use dump_witness::Elf;
use std::path::Path;
use std::process::{Command, Stdio};

/// Prints a line a page: pfn and a digest, or nothing where drgn has no such page.
const DRGN: &str = r"
import sys, hashlib, drgn
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
for word in sys.argv[2].split(','):
    start, end = (int(x) for x in word.split('-'))
    for pfn in range(start, end):
        try:
            page = prog.read(pfn * 4096, 4096, physical=True)
        except Exception:
            continue
        print(pfn, hashlib.md5(page).hexdigest())
";

fn drgn(dump: &Path, vmcore: &Elf) -> String {
    let ranges: Vec<String> = vmcore
        .loads
        .iter()
        .skip(1)
        .map(|load| format!("{}-{}", load.paddr / 4096, (load.paddr + load.filesz) / 4096))
        .collect();
    let out = Command::new("python3").args(["-c", DRGN, text(dump), &ranges.join(",")]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn drgn_reads_the_same(case: &Case) {
    let dir = scratch();
    let vmcore = elf(&case.vmcore);
    let want = drgn(&case.vmcore, &vmcore);
    for codec in ["-c", "-l", "-p", "-z"] {
        let out = dir.path().join("out");
        gdump_ok(&["-f", codec, "-d", "1", text(&case.vmcore), text(&out)]);
        let got = drgn(&out, &vmcore);
        // drgn finds exactly the pages that were kept, which at level 1 are all but broken and offline ones
        let kdump = open(&out);
        let kept = |line: &&str| kdump.kept.get(line.split(' ').next().unwrap().parse().unwrap());
        let want: Vec<&str> = want.lines().filter(kept).collect();
        assert!(
            got.lines().eq(want.iter().copied()),
            "{} {codec}: {} of {} pages",
            case.name,
            got.lines().count(),
            want.len()
        );
    }
}

#[test]
fn drgn_reads_the_same_memory() {
    if !has_drgn("drgn_reads_the_same_memory") {
        return;
    }
    drgn_reads_the_same(tiny());
    corpus().iter().filter(|case| case.name != "tiny").for_each(drgn_reads_the_same);
}

fn crash(vmlinux: &Path, dump: &Path, commands: &Path) -> String {
    let mut command = Command::new("crash");
    command.args(["-s", "--kaslr=auto", text(vmlinux), text(dump), "-i", text(commands)]).stdin(Stdio::null());
    let out = command.env("HOME", "/nonexistent").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().filter(|line| !line.contains("DUMPFILE:")).collect::<Vec<_>>().join("\n")
}

#[test]
fn crash_prints_what_it_prints_of_makedumpfiles() {
    let test = "crash_prints_what_it_prints_of_makedumpfiles";
    let Some(case) = corpus().iter().find(|case| case.name == "tiny") else {
        return skipped("corpus", test, "GDUMP_CORPUS names no corpus, which has the vmlinux");
    };
    for (program, arg) in [("crash", "--version"), ("makedumpfile", "-v")] {
        if !has(program, arg) {
            return skipped(program, test, &format!("{program} is not installed"));
        }
    }
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let compressed = std::fs::File::open(case.oracle.join("vmlinux.zst")).unwrap();
    let mut decompressed = zstd::Decoder::new(compressed).unwrap();
    std::io::copy(&mut decompressed, &mut std::fs::File::create(path("vmlinux")).unwrap()).unwrap();
    std::fs::write(path("commands"), "sys\nbt\nlog\nkmem -i\nps\nquit\n").unwrap();
    let mut peer = Command::new("makedumpfile");
    peer.args(["-l", "-d", "31", "--message-level", "0"]).arg(&case.vmcore).arg(path("theirs"));
    let peer = peer.status().unwrap();
    assert!(peer.success());
    let want = crash(&path("vmlinux"), &path("theirs"), &path("commands"));
    assert!(want.contains("sysrq triggered crash") && want.contains("write_sysrq_trigger"), "{want}");
    for codec in ["-c", "-l"] {
        gdump_ok(&["-f", codec, "-d", "31", text(&case.vmcore), text(&path("ours"))]);
        let got = crash(&path("vmlinux"), &path("ours"), &path("commands"));
        assert_eq!(got, want, "{codec}");
    }
    // without struct pages of left-out pages crash warns, and sums up those that are there
    gdump_ok(&["-f", "-e", "-c", "-d", "31", text(&case.vmcore), text(&path("ours"))]);
    let got = crash(&path("vmlinux"), &path("ours"), &path("commands"));
    let said = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.contains("SHARED"));
        lines.skip_while(|line| !line.contains("KERNEL:")).map(str::to_owned).collect()
    };
    assert!(got.contains("WARNING") && got.contains("page structures associated"), "{got}");
    assert_eq!(said(&got), said(&want), "-e");
}

/// Tasks, and the page frames, of those that begin a page of the vmemmap, whose struct pages are there.
const DRGN_STRUCT_PAGES: &str = r"
import sys, drgn
from drgn.helpers.linux import for_each_task, pfn_to_page
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
prog.load_debug_info([sys.argv[2]])
there = []
for pfn in range(0, 26585, 64):
    try:
        pfn_to_page(prog, pfn).flags.value_()
        there.append(pfn)
    except drgn.FaultError:
        pass
print(sorted(task.pid.value_() for task in for_each_task(prog)))
print(*there)
";

#[test]
fn drgn_opens_a_dump_without_struct_pages_of_left_out_pages() {
    let test = "drgn_opens_a_dump_without_struct_pages_of_left_out_pages";
    let Some(case) = corpus().iter().find(|case| case.name == "tiny") else {
        return skipped("corpus", test, "GDUMP_CORPUS names no corpus, which has the vmlinux");
    };
    if !has_drgn(test) {
        return;
    }
    let dir = scratch();
    let (vmlinux, out) = (dir.path().join("vmlinux"), dir.path().join("out"));
    let compressed = std::fs::File::open(case.oracle.join("vmlinux.zst")).unwrap();
    std::io::copy(&mut zstd::Decoder::new(compressed).unwrap(), &mut std::fs::File::create(&vmlinux).unwrap()).unwrap();
    let seen = |options: &[&str]| {
        gdump_ok(&[options, &["-f", "-d", "31", text(&case.vmcore), text(&out)]].concat());
        let run = Command::new("python3").args(["-c", DRGN_STRUCT_PAGES, text(&out), text(&vmlinux)]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<String>>()
    };
    let (whole, without) = (seen(&["-c"]), seen(&["-c", "-e"]));
    assert_eq!(whole[0], without[0]);
    let count = |line: &str| line.split_whitespace().count();
    assert_eq!((count(&whole[1]), count(&without[1])), (416, 416 - 185));
}
