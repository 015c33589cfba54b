//! The kernel log: as makedumpfile and crash print it, in a file that is its owner's alone, and what is sound of a
//! damaged one.

use crate::support::{Case, corpus, gdump, gdump_ok, gdump_refuses, has, root, scratch, skipped, text, tiny};
use dump_synth::{Era, FakeKernel, FakeLog, KernelBuilder};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What makedumpfile 1.7.9 prints of the tiny machine: its buffer is small, and begins after the console does.
fn tinys() -> String {
    fs::read_to_string(root().join("fixtures/tiny/dmesg.txt")).unwrap()
}

/// Without the column of callers, which has 11 characters: what makedumpfile before 1.7.5 and crash print.
fn without_callers(log: &str) -> String {
    let line = |line: &str| {
        let (time, rest) = line.split_at(line.find("] ").map_or(15, |at| at + 2));
        format!("{time}{}\n", &rest[11..])
    };
    log.lines().map(line).collect()
}

fn log_of(args: &[&str]) -> String {
    let run = gdump(args);
    assert!(run.status.success() && run.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn as_makedumpfile_prints_it() {
    let dir = scratch();
    let out = dir.path().join("log");
    let said = gdump_ok(&["--dump-dmesg", text(&tiny().vmcore), text(&out)]);
    assert!(said.ends_with(&format!("The dmesg log is saved to {}.\n", text(&out))), "{said}");
    assert!(fs::read_to_string(&out).unwrap() == tinys());
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    let vmcore = text(&tiny().vmcore);
    assert!(log_of(&["-F", "--dump-dmesg", vmcore]) == tinys());
    assert!(log_of(&["dmesg", "--callers", vmcore]) == tinys());
    assert!(log_of(&["dmesg", vmcore]) == without_callers(&tinys()));
    // nothing was ever cleared
    assert!(log_of(&["-F", "--dump-dmesg", "--partial-dmesg", vmcore]) == tinys());
    assert!(log_of(&["-F", "-c", "-d", "31", "--dump-dmesg", vmcore]) == tinys());
}

/// What is left out of a dump is not the log.
#[test]
fn whatever_the_dump_is_written_as() {
    let dir = scratch();
    let out = dir.path().join("out");
    for args in [&["-c", "-d", "31"][..], &["-E", "-d", "31"], &["--format", "lime"], &["-z", "-d", "31"]] {
        gdump_ok(&[args, &["-f", text(&tiny().vmcore), text(&out)]].concat());
        assert!(log_of(&["-F", "--dump-dmesg", text(&out)]) == tinys(), "{args:?}");
    }
    let flat = gdump(&["-F", "-l", "-d", "31", text(&tiny().vmcore)]);
    fs::write(&out, flat.stdout).unwrap();
    assert!(log_of(&["-F", "--dump-dmesg", text(&out)]) == tinys());
}

#[test]
fn a_file_like_any_other_output() {
    let dir = scratch();
    let (vmcore, out) = (text(&tiny().vmcore), dir.path().join("out"));
    fs::write(&out, "precious").unwrap();
    assert!(gdump_refuses(&["--dump-dmesg", vmcore, text(&out)]).contains("File exists (-f overwrites it)"));
    assert_eq!(fs::read(&out).unwrap(), b"precious");
    gdump_ok(&["-f", "--dump-dmesg", vmcore, text(&out)]);
    assert!(fs::read_to_string(&out).unwrap() == tinys());
    assert!(gdump_refuses(&["-f", "--dump-dmesg", vmcore, vmcore]).contains("are the same file"));
    assert!(gdump_refuses(&["--dump-dmesg", vmcore, "/nowhere/out"]).contains("No such file"));
    fs::remove_file(&out).unwrap();
    gdump_ok(&["--dry-run", "--dump-dmesg", vmcore, text(&out)]);
    assert!(!out.exists());
    for (args, refusal) in [
        (&["--partial-dmesg", vmcore, text(&out)][..], "--partial-dmesg goes with --dump-dmesg"),
        (&["--dump-dmesg", "--split", vmcore, text(&out), "b"], "--split and --dump-dmesg cannot be combined"),
        (&["--dump-dmesg", vmcore], "expected file names VMCORE and DUMPFILE, found 1"),
        (&["--dump-dmesg", vmcore, "-"], "-F writes the log to stdout"),
    ] {
        assert!(gdump_refuses(args).contains(refusal), "{args:?}");
    }
    let mut full = Command::new("sh");
    full.args(["-c", "exec \"$@\" >/dev/full", "sh", env!("CARGO_BIN_EXE_gdump"), "-F", "--dump-dmesg", vmcore]);
    let full = full.output().unwrap();
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).starts_with("gdump: stdout: No space left"));
}

/// A log that does not fit keeps the name of one that is cut off.
#[test]
fn a_disk_that_is_full() {
    let dir = scratch();
    let out = dir.path().join("out");
    let (status, _, stderr) = crate::support::limited(4, &["--dump-dmesg", text(&tiny().vmcore), text(&out)]);
    assert_eq!(status.code(), Some(1));
    let cut = dir.path().join("out.incomplete");
    assert!(stderr.starts_with(&format!("gdump: {}: ", text(&cut))) && stderr.lines().count() == 1, "{stderr}");
    assert!(!out.exists() && tinys().starts_with(&fs::read_to_string(&cut).unwrap()));
}

#[test]
fn no_longer_than_it_may_be() {
    let dir = scratch();
    let out = dir.path().join("out");
    let line = gdump_refuses(&["-L", "1K", "--dump-dmesg", text(&tiny().vmcore), text(&out)]);
    assert!(line.contains("out.incomplete: Size limit(1024) reached."), "{line}");
    assert_eq!(fs::read_to_string(dir.path().join("out.incomplete")).unwrap(), tinys()[..1024]);
}

fn fake() -> FakeKernel {
    let log = (0..20).fold(FakeLog::ring(5, 12), |log, n| {
        let log = log.line(n * 1_000_000_000, &format!("line {n}"));
        if n == 14 { log.clear() } else { log }
    });
    KernelBuilder::new(Era::V6_12).recipe("ram 0..0x800").log(log).build()
}

fn lines(seconds: impl IntoIterator<Item = u64>) -> String {
    seconds.into_iter().map(|n| format!("[{n:5}.000000] line {n}\n")).collect()
}

#[test]
fn since_it_was_cleared() {
    let dir = scratch();
    let vmcore = dir.path().join("vmcore");
    fs::write(&vmcore, fake().vmcore()).unwrap();
    assert_eq!(log_of(&["dmesg", text(&vmcore)]), lines(0..20));
    assert_eq!(log_of(&["dmesg", "--partial", text(&vmcore)]), lines(15..20));
    let partial = log_of(&["-F", "--dump-dmesg", "--partial-dmesg", text(&vmcore)]);
    assert_eq!(without_callers(&partial), lines(15..20));
}

#[test]
fn a_damaged_log_gives_what_is_sound() {
    let dir = scratch();
    let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    let mut fake = fake();
    fake.overwrite(fake.log().descs + 7 * 24, &[0xff]);
    fs::write(&vmcore, fake.vmcore()).unwrap();
    let run = gdump(&["--dump-dmesg", text(&vmcore), text(&out)]);
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(without_callers(&fs::read_to_string(&out).unwrap()), lines((0..20).filter(|n| *n != 7)));
    let stderr = String::from_utf8(run.stderr).unwrap();
    let what = "kernel log: record 7 of the log: its descriptor has the id";
    assert!(stderr.lines().next().unwrap().starts_with(&format!("gdump: {}: {what}", text(&vmcore))), "{stderr}");
    assert!(stderr.ends_with("the kernel log is damaged; what is sound of it is given\n"), "{stderr}");
    assert!(String::from_utf8_lossy(&run.stdout).contains("The dmesg log is saved to"));
    assert_eq!(gdump(&["dmesg", text(&vmcore)]).status.code(), Some(1));
}

/// What leads to the log is not there, or leads nowhere: nothing is left behind.
#[test]
fn no_log_no_file() {
    let dir = scratch();
    let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    let mut nowhere = fake();
    nowhere.overwrite(nowhere.log().prb, &[40]);
    let without = KernelBuilder::new(Era::V6_12).recipe("ram 0..0x800").omit("SYMBOL(prb)").build();
    for (fake, why) in [(nowhere, "prb has 2^40 descriptors"), (without, "vmcoreinfo lacks SYMBOL(prb)")] {
        fs::write(&vmcore, fake.vmcore()).unwrap();
        let line = gdump_refuses(&["--dump-dmesg", text(&vmcore), text(&out)]);
        assert!(line.contains(why), "{line}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{line}");
    }
}

/// What makedumpfile as it is installed prints, with callers or, before 1.7.5, without.
fn makedumpfiles(case: &Case, out: &Path) -> String {
    let run = Command::new("makedumpfile").arg("--dump-dmesg").arg(&case.vmcore).arg(out).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    fs::read_to_string(out).unwrap()
}

#[test]
fn corpus_as_makedumpfile_prints_it() {
    let test = "corpus_as_makedumpfile_prints_it";
    if corpus().is_empty() {
        return skipped("corpus", test, "GDUMP_CORPUS names no corpus");
    }
    if !has("makedumpfile", "-v") {
        return skipped("makedumpfile", test, "makedumpfile is not installed");
    }
    for case in corpus() {
        let dir = scratch();
        let want = makedumpfiles(case, &dir.path().join("log"));
        let callers = log_of(&["-F", "--dump-dmesg", text(&case.vmcore)]);
        let plain = log_of(&["dmesg", text(&case.vmcore)]);
        assert!(want == callers || want == plain, "{}", case.name);
        assert!(plain == without_callers(&callers) && plain.contains("sysrq triggered crash"), "{}", case.name);
    }
}

#[test]
fn corpus_as_the_console_and_crash_print_it() {
    let test = "corpus_as_the_console_and_crash_print_it";
    let Some(case) = corpus().iter().find(|case| case.name == "tiny") else {
        return skipped("corpus", test, "GDUMP_CORPUS names no corpus, which has the vmlinux");
    };
    let log = log_of(&["dmesg", text(&case.vmcore)]);
    let console = fs::read_to_string(case.oracle.join("console.txt")).unwrap();
    // what the kernel that crashed printed; the buffer begins after the console does
    let end = console.find("Kernel panic").unwrap();
    let logged: Vec<&str> = log.lines().collect();
    let is_logged = |line: &&str| line.starts_with('[') && line[..14] >= logged[0][..14];
    let printed: Vec<&str> = console[..end].lines().filter(is_logged).collect();
    // one letter came twice on the serial line
    let garbled = "HugeTLB: 28 KiB vmemmap can be ffreed for";
    let is_missing = |line: &&&str| !logged.contains(line) && !line.contains(garbled);
    let missing: Vec<&&str> = printed[..printed.len() - 1].iter().filter(is_missing).collect();
    assert!(printed.len() > 200 && missing.is_empty(), "{} lines, {missing:?}", printed.len());
    if !has("crash", "--version") {
        return skipped("crash", test, "crash is not installed");
    }
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let mut vmlinux = zstd::Decoder::new(fs::File::open(case.oracle.join("vmlinux.zst")).unwrap()).unwrap();
    std::io::copy(&mut vmlinux, &mut fs::File::create(path("vmlinux")).unwrap()).unwrap();
    fs::write(path("commands"), format!("log > {}\nquit\n", text(&path("log")))).unwrap();
    let mut crash = Command::new("crash");
    crash.args(["-s", "--kaslr=auto", "-i"]).arg(path("commands")).arg(path("vmlinux")).arg(&case.vmcore);
    assert!(crash.stdin(Stdio::null()).env("HOME", "/nonexistent").output().unwrap().status.success());
    assert!(fs::read_to_string(path("log")).unwrap() == log);
}
