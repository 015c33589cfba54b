//! Memory budgets: the same bytes in any, and no more than was asked for.

use crate::support::{gdump_ok, limited, scratch, text};
use dump_synth::{Era, FakeKernel, KernelBuilder};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A kernel whose memory takes several windows of the smallest kind, with a huge page that goes on from one into the
/// next, and free blocks and a hole besides.
fn wide() -> FakeKernel {
    KernelBuilder::new(Era::V6_1)
        .recipe(
            "ram     0..0x1f000
             anon    0x100..0x200
             cache   0x7f00..0x8100
             free    0x9000 order=10
             free    0x9400 order=10
             thp     0x10000 order=14
             thp     0x14000 order=14
             anon    0x1c000..0x1d000",
        )
        .build()
}

fn write(kernel: &FakeKernel, dir: &Path) -> PathBuf {
    let path = dir.join("vmcore");
    kernel.write_sparse(&File::create(&path).unwrap()).unwrap();
    path
}

/// The number before `KiB` in a line of the debug messages.
fn kib(stdout: &str, line: &str) -> u64 {
    let line =
        stdout.lines().find_map(|text| text.trim().strip_prefix(line)).unwrap_or_else(|| panic!("{line}: {stdout}"));
    line.split_once(" KiB").unwrap().0.trim_start_matches([' ', ':']).parse().unwrap()
}

#[test]
fn bytes_do_not_depend_on_the_budget() {
    let dir = scratch();
    let (kernel, out) = (wide(), dir.path().join("out"));
    let vmcore = write(&kernel, dir.path());
    for options in [
        "-c -d 31",
        "-e -c -d 31",
        "-e -E -d 31",
        "-d 0",
        "-l -d 17",
        "-E -d 31",
        "-E -d 1",
        "--format lime -d 31",
        "--format raw -d 2",
    ] {
        let run = |budget: &str, threads: &str| {
            let mut args: Vec<&str> = options.split(' ').collect();
            args.extend(["-f", "--cyclic-buffer", budget, "--num-threads", threads, text(&vmcore), text(&out)]);
            let said = gdump_ok(&args);
            (fs::read(&out).unwrap(), said)
        };
        let want = run("4096", "2");
        for (budget, threads) in [("4", "1"), ("4", "3"), ("9", "2")] {
            assert!(run(budget, threads) == want, "{options}: {budget} KiB of bitmap");
        }
    }
    let expected = kernel.expected(31);
    let said = gdump_ok(&["-f", "-d", "31", "--cyclic-buffer", "4", "-D", text(&vmcore), text(&out)]);
    let row = |label: &str| said.lines().find(|line| line.contains(label)).map(|line| line.split_whitespace().nth(2));
    assert_eq!(row("- user"), Some(Some(expected.counts.user.to_string().as_str())), "{said}");
    assert!(said.contains("windows of 32768 pages"), "{said}");
}

#[test]
fn streams_and_parts_do_not_depend_on_the_budget() {
    let dir = scratch();
    let vmcore = write(&wide(), dir.path());
    let path = |name: &str| dir.path().join(name);
    let stream = |budget: &str| {
        let out = crate::support::gdump(&["-F", "-l", "-d", "31", "--cyclic-buffer", budget, text(&vmcore)]);
        assert!(out.status.success());
        out.stdout
    };
    assert!(stream("4") == stream("4096"));
    let parts = |budget: &str| {
        let (a, b) = (path("a"), path("b"));
        let args = ["-f", "-c", "-d", "1", "--cyclic-buffer", budget, "--split", text(&vmcore), text(&a), text(&b)];
        gdump_ok(&args);
        [fs::read(a).unwrap(), fs::read(b).unwrap()]
    };
    assert!(parts("4") == parts("4096"));
}

/// An output that is full before all windows were looked at: said, flagged where the container can, readable as far as
/// it goes.
#[test]
fn no_space_left_between_windows() {
    let dir = scratch();
    let (vmcore, out) = (write(&wide(), dir.path()), dir.path().join("out"));
    for (options, flagged) in [("-d 0", true), ("-E -d 0", true), ("--format lime -d 2", false)] {
        let mut args: Vec<&str> = options.split(' ').collect();
        args.extend(["-f", "--cyclic-buffer", "4", text(&vmcore), text(&out)]);
        let (status, stdout, stderr) = limited(5 << 10, &args);
        assert_eq!(status.code(), Some(1), "{options}: {stderr}");
        assert!(stderr.contains("File too large") && stdout.contains("not reached"), "{options}: {stderr}{stdout}");
        let check = crate::support::gdump(&["check", text(&out)]);
        let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
        assert!(!flagged || said.contains("flagged incomplete"), "{options}: {said}");
    }
}

/// A sparse dump gives what the same dump gives with its holes filled in, in each container that can be sparse.
#[test]
fn holes_are_the_zeros_that_they_read_as() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let small = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x1000\nanon 0x100..0x140\ncache 0x300..0x310").build();
    let vmcore = write(&small, dir.path());
    gdump_ok(&["--format", "raw", text(&vmcore), text(&path("raw"))]);
    gdump_ok(&["--format", "lime", "-d", "2", text(&vmcore), text(&path("lime"))]);
    for name in ["vmcore", "raw", "lime"] {
        let bytes = fs::read(path(name)).unwrap();
        fs::write(path("dense"), &bytes).unwrap();
        for options in [["-c", "-d", "0"], ["-l", "-d", "1"]] {
            let run = |input: &str| {
                let raw = if name == "raw" { &["--raw-base", "0"][..] } else { &[] };
                let (input, out) = (path(input), path("out"));
                gdump_ok(&[&options, &["-f", text(&input), text(&out)], raw].concat());
                fs::read(out).unwrap()
            };
            assert!(run(name) == run("dense"), "{name} {options:?}");
        }
    }
}

/// A machine of 1 TiB: 32 MiB of bitmap, 2^28 struct pages.
#[test]
fn a_terabyte_fits_the_budget() {
    const END: u64 = 1 << 28;
    let free: String = (0x400..0x8000).step_by(0x400).map(|pfn| format!("free {pfn:#x} order=10\n")).collect();
    let recipe = format!("ram 0..0x8000\nanon 0x10..0x20\ncache 0x30..0x31\nanon 0x100..0x180\n{free}");
    let kernel = KernelBuilder::new(Era::V6_1).recipe(&recipe).repeated_to(END).build();
    let dir = scratch();
    let (vmcore, out) = (write(&kernel, dir.path()), dir.path().join("out"));
    let mut outputs = Vec::new();
    for (budget, windows) in [("96M", false), ("64M", false), ("24M", true)] {
        let args = ["-f", "-l", "-d", "31", "-D", "--max-memory", budget, text(&vmcore), text(&out)];
        let said = gdump_ok(&args);
        let peak = kib(&said, "peak memory");
        let asked = budget.trim_end_matches('M').parse::<u64>().unwrap() << 10;
        // the binary of a test is twice as large as a release, and the budget counts the latter
        assert!(peak < asked, "{peak} KiB within {budget}");
        assert_eq!(said.contains("windows of"), windows, "{said}");
        outputs.push(digest(&out));
    }
    assert!(outputs.iter().all(|one| *one == outputs[0]));
}

/// The bytes of a sparse file that are not zero, mixed; and its length.
fn digest(path: &Path) -> (u64, u64) {
    use std::io::Read;
    let mut file = File::open(path).unwrap();
    let (mut mixed, mut len) = (0u64, 0u64);
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut piece).unwrap();
        if n == 0 {
            return (mixed, len);
        }
        for (i, word) in piece[..n].chunks(8).enumerate().filter(|(_, word)| word.iter().any(|byte| *byte != 0)) {
            let value = word.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            mixed = (mixed ^ value ^ (len + i as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        len += n as u64;
    }
}
