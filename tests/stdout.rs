//! What stdout may be, and what is said where it cannot be written to.

use crate::outputs::stream;
use crate::support::{gdump_ok, scratch, text, tiny, without_progress};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `script` with gdump as `$G`, in the folder `dir`.
fn shell(dir: &Path, script: &str) -> Output {
    let gdump = env!("CARGO_BIN_EXE_gdump");
    without_progress(Command::new("sh").args(["-c", script]).env("G", gdump).current_dir(dir).output().unwrap())
}

fn stderr(run: &Output) -> &str {
    std::str::from_utf8(&run.stderr).unwrap()
}

fn refused(run: &Output, says: &str, script: &str) {
    let said = stderr(run);
    assert!(run.status.code() == Some(1) && said.lines().count() == 1 && said.contains(says), "{script}: {said}");
}

/// Neither a dump nor a word is written over what is read.
#[test]
fn an_input_is_not_written_over() {
    let dir = scratch();
    let [vmcore, flat] = ["vmcore", "flat"].map(|name| dir.path().join(name));
    fs::copy(&tiny().vmcore, &vmcore).unwrap();
    fs::write(&flat, stream()).unwrap();
    let (core, flattened) = (fs::read(&vmcore).unwrap(), fs::read(&flat).unwrap());
    for script in [
        "$G -F -c vmcore 1<>vmcore",
        "$G -F -c vmcore >>vmcore",
        "$G -F - <vmcore 1<>vmcore",
        "$G -f -c - vmcore <vmcore",
        "$G -c vmcore out >>vmcore",
        "$G -R flat out 1<>flat",
        "$G -R out <flat >>flat",
        "$G info vmcore 1<>vmcore",
        "$G check vmcore >>vmcore",
        "$G diff flat vmcore 1<>vmcore",
        "$G repair vmcore out >>vmcore",
    ] {
        let run = shell(dir.path(), script);
        refused(&run, "input and output are the same file", script);
        assert!(fs::read(&vmcore).unwrap() == core && fs::read(&flat).unwrap() == flattened, "{script}");
        assert!(!dir.path().join("out").exists(), "{script}");
    }
}

/// Messages at the end of a run would stand where the dump's headers are.
#[test]
fn messages_are_not_written_over_a_dump() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("vmcore")).unwrap();
    fs::write(dir.path().join("flat"), stream()).unwrap();
    for script in ["$G -f -c vmcore out >out", "$G -f -c vmcore /dev/stdout >out", "$G -R -f flat out >out"] {
        let run = shell(dir.path(), script);
        assert!(run.status.success() && stderr(&run).contains("saved to"), "{script}: {}", stderr(&run));
        gdump_ok(&["check", text(&dir.path().join("out"))]);
    }
    let script = "$G repair -f vmcore out >out";
    refused(&shell(dir.path(), script), "is the output file", script);
}

/// A dump that goes nowhere is none; what goes to /dev/null is meant to.
#[test]
fn a_stream_needs_an_open_stdout() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("vmcore")).unwrap();
    for script in ["$G -F -c vmcore >&-", "$G -F -c vmcore <&- >&-"] {
        refused(&shell(dir.path(), script), "closed", script);
    }
    for script in ["$G -F -c vmcore >/dev/null", "$G --dry-run -F -c vmcore >&-", "$G -c vmcore out >&-"] {
        let run = shell(dir.path(), script);
        assert!(run.status.success(), "{script}: {}", stderr(&run));
    }
    gdump_ok(&["check", text(&dir.path().join("out"))]);
    // their exit status is an answer too
    assert!(shell(dir.path(), "$G check vmcore >&-").status.success());
}

/// A device has no file that could be removed, and a line says what cannot be printed.
#[test]
fn a_full_device_is_said() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("vmcore")).unwrap();
    for script in [
        "$G -F -c vmcore >/dev/full",
        "$G -f -c vmcore /dev/full",
        "$G -f -E vmcore /dev/full",
        "$G info vmcore >/dev/full",
        "$G info --json vmcore >/dev/full",
        "$G check vmcore >/dev/full",
        "$G diff vmcore vmcore >/dev/full",
        "$G repair -f vmcore out >/dev/full",
        "$G -v >/dev/full",
        "$G --help >/dev/full",
    ] {
        let run = shell(dir.path(), script);
        refused(&run, "No space left on device", script);
        assert!(!stderr(&run).contains("removed") && !stderr(&run).contains("os error"), "{}", stderr(&run));
    }
}
