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
}
