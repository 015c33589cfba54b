//! Signals that come while a run waits for others: for an input that is silent, for a reader that is stuck.

use crate::outputs::{half_rearranged, signal, stream};
use crate::support::{gdump, scratch, text, tiny};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SIGNALS: [&str; 3] = ["TERM", "INT", "HUP"];

/// What runs the tests may ignore SIGINT, as shells do in the background.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_gdump")]).args(args);
    command
}

/// Sends a signal to a run that has begun to wait, and waits for its end, which must be near and a failure.
fn ends(mut run: Child, name: &str, what: &str) {
    sleep(Duration::from_millis(500));
    assert!(run.try_wait().unwrap().is_none(), "{what}: it waits");
    signal(&run, name);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = run.try_wait().unwrap() {
            assert!(!status.success(), "{what} {name}");
            return;
        }
        sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    panic!("{what}: SIG{name} does not end it");
}

#[test]
fn a_silent_input_does_not_keep_a_run() {
    let dir = scratch();
    let out = dir.path().join("out");
    for args in [&["-R", text(&out)][..], &["-R", "-", text(&out)], &["-c", "-", text(&out)], &["info", "-"]] {
        for name in SIGNALS {
            let run = command(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            ends(run, name, &format!("{args:?}"));
            assert!(!out.exists(), "{args:?}");
        }
    }
}

/// A socket, whose reader takes nothing, for the dump and for what is said as well.
#[test]
fn a_stuck_reader_does_not_keep_a_run() {
    for name in SIGNALS {
        for both in [false, true] {
            let (writer, _reader) = UnixStream::pair().unwrap();
            let mut fill = writer.try_clone().unwrap();
            let filled = Instant::now();
            fill.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
            while fill.write(&[0; 4096]).is_ok() {
                assert!(filled.elapsed() < Duration::from_secs(60), "a socket that takes everything");
            }
            fill.set_write_timeout(None).unwrap();
            let stdout = OwnedFd::from(writer);
            let stderr = if both { Stdio::from(stdout.try_clone().unwrap()) } else { Stdio::null() };
            let run = command(&["-F", "-c", text(&tiny().vmcore)])
                .stdin(Stdio::null())
                .stdout(File::from(stdout))
                .stderr(stderr)
                .spawn()
                .unwrap();
            ends(run, name, "-F");
        }
    }
}

/// A caller that ignores SIGINT, as a shell's background jobs do, has it ignored.
#[test]
fn an_ignored_interrupt_stays_ignored() {
    let dir = scratch();
    let out = dir.path().join("out");
    let stream = stream();
    let run = half_rearranged(&stream, &out, &["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]);
    signal(&run, "INT");
    sleep(Duration::from_millis(1500));
    let run = crate::outputs::finish(run, &stream[stream.len() / 2..]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// The kernel sends SIGXFSZ to a process whose file grows too large, which ends most programs.
#[test]
fn a_file_that_may_not_grow_is_flagged() {
    let dir = scratch();
    let [out, flat] = ["out", "flat"].map(|name| dir.path().join(name));
    std::fs::write(&flat, stream()).unwrap();
    for args in [
        ["-R", "-f", text(&flat), text(&out)],
        ["-f", "-c", text(&tiny().vmcore), text(&out)],
        ["repair", "-f", text(&tiny().vmcore), text(&out)],
    ] {
        let script = "ulimit -f 4000; exec env --default-signal \"$@\""; // in units of 512 bytes
        let gdump_args = [&["-c", script, "sh", env!("CARGO_BIN_EXE_gdump")], &args[..]].concat();
        let run = Command::new("sh").args(gdump_args).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.code() == Some(1) && said.contains("File too large"), "{args:?}: {said}");
        assert!(said.contains("flagged incomplete") && !said.contains("os error"), "{args:?}: {said}");
        assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1), "{args:?}");
    }
}
