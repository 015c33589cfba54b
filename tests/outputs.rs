//! What becomes of output files: whatever happens to a run, nothing that is there passes for a whole dump, and nothing
//! that was there is lost for nothing.

use crate::support::{gdump, gdump_ok, gdump_refuses, has, scratch, skipped, text, tiny, without_progress};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const GDUMP: &str = env!("CARGO_BIN_EXE_gdump");

/// Runs gdump with files of at most `kib` KiB, a disk that is full sooner or later.
fn with_room(kib: u64, args: &[&str]) -> Output {
    // in units of 512 bytes
    let script = format!("ulimit -f {}; exec \"$@\"", 2 * kib);
    without_progress(Command::new("sh").args(["-c", &script, "sh", GDUMP]).args(args).output().unwrap())
}

fn stderr(run: &Output) -> String {
    String::from_utf8(run.stderr.clone()).unwrap()
}

/// A run of `-R` that has written the first half of `stream` and waits for the rest.
pub fn half_rearranged(stream: &[u8], out: &Path, wrapper: &[&str]) -> Child {
    let mut line = wrapper.to_vec();
    line.extend([GDUMP, "-R", text(out)]);
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(&stream[..stream.len() / 2]).unwrap();
    let begun = || fs::metadata(out).is_ok_and(|meta| meta.len() > stream.len() as u64 / 4);
    wait_until("the output to grow", begun);
    child
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited for {what}");
        sleep(Duration::from_millis(2));
    }
}

/// The dump of the tiny machine, flattened.
pub fn stream() -> Vec<u8> {
    gdump(&["-F", "-l", "-d", "1", "--message-level", "0", text(&tiny().vmcore)]).stdout
}

/// Gives a run the rest of its input, and waits for its end.
pub fn finish(mut child: Child, rest: &[u8]) -> Output {
    let _ = child.stdin.take().unwrap().write_all(rest);
    child.wait_with_output().unwrap()
}

/// Sends a run a signal.
pub fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Killed at any moment, a run leaves nothing, the whole, or what `check` does not call whole.
#[test]
fn a_killed_run_leaves_nothing_that_passes_for_a_whole_dump() {
    let dir = scratch();
    let [out, other, want, flat] = ["out", "other", "want", "flat"].map(|name| dir.path().join(name));
    fs::write(&flat, stream()).unwrap();
    let vmcore = text(&tiny().vmcore);
    let (out, other) = (text(&out), text(&other));
    for args in [
        vec!["-c", "-d", "31", vmcore, out],
        vec!["-E", "-d", "1", vmcore, out],
        vec!["--format", "lime", vmcore, out],
        vec!["--format", "raw", vmcore, out],
        vec!["--split", "-l", vmcore, other, out],
        vec!["-R", text(&flat), out],
    ] {
        let clear = || {
            for path in [out, other] {
                let _ = fs::remove_file(path);
                let _ = fs::remove_file(format!("{path}.incomplete"));
            }
        };
        clear();
        let start = Instant::now();
        gdump_ok(&args);
        let whole = start.elapsed();
        fs::rename(out, &want).unwrap();
        for i in 0..12 {
            clear();
            let mut child = Command::new(GDUMP).args(&args).stdout(Stdio::null()).spawn().unwrap();
            sleep(whole * i / 12);
            child.kill().unwrap();
            child.wait().unwrap();
            let is_whole = fs::read(out).is_ok_and(|bytes| bytes == fs::read(&want).unwrap());
            if Path::new(out).exists() && !is_whole {
                let mut check = vec!["check", out];
                check.extend(Path::new(other).exists().then_some(other));
                let check = gdump(&check);
                assert_eq!(check.status.code(), Some(1), "{args:?} {i}: {}", String::from_utf8_lossy(&check.stdout));
            }
        }
    }
}

/// A dump that does not fit is written again at the next level: the link stays, and so does the file that it leads to.
#[test]
fn levels_are_tried_in_the_file_that_is_there() {
    let dir = scratch();
    let [file, link, want, large] = ["file", "link", "want", "large"].map(|name| dir.path().join(name));
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-d", "31", vmcore, text(&want)]);
    gdump_ok(&["-d", "1", vmcore, text(&large)]);
    let size = |path: &Path| fs::metadata(path).unwrap().len() / 1024;
    let room = (size(&want) + size(&large)) / 2;
    fs::write(&file, b"old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    let before = fs::metadata(&file).unwrap();
    let run = with_room(room, &["-f", "-d", "1,31", vmcore, text(&link)]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(stderr(&run).contains("large"), "{}", stderr(&run));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
    assert!(fs::read(&file).unwrap() == fs::read(&want).unwrap());
}

/// Whatever the disk has room for: a dump, or one that says that it is incomplete, or nothing; and a line that says
/// which.
#[test]
fn a_full_disk_leaves_what_it_says() {
    let dir = scratch();
    let [out, whole] = ["out", "whole"].map(|name| dir.path().join(name));
    let own = dir.path().join("out.incomplete");
    let vmcore = text(&tiny().vmcore);
    for format in [["-l", "-d1"], ["-E", "-d1"], ["--format", "lime"], ["--format", "raw"]] {
        let args = |path| [format[0], format[1], vmcore, path];
        let _ = fs::remove_file(&whole);
        gdump_ok(&args(text(&whole)));
        let len = fs::metadata(&whole).unwrap().len() / 1024;
        for sixteenth in 0..16 {
            for path in [&out, &own] {
                let _ = fs::remove_file(path);
            }
            let run = with_room(len * sixteenth / 16, &args(text(&out)));
            let said = stderr(&run);
            assert_eq!(run.status.code(), Some(1), "{format:?} {sixteenth}");
            assert!(said.starts_with("gdump: ") && said.contains("large"), "{said}");
            if own.exists() {
                assert!(!out.exists() && said.contains("which its name says instead"), "{said}");
            } else if out.exists() {
                assert!(said.contains("flagged incomplete"), "{said}");
                assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1), "{format:?} {sixteenth}");
            } else {
                assert!(said.contains("not even the headers fit"), "{said}");
            }
        }
    }
}

#[test]
fn outputs_under_one_name_or_another_must_differ() {
    let dir = scratch();
    let [a, b, soft] = ["a", "b", "soft"].map(|name| dir.path().join(name));
    let dotted = dir.path().join(".").join("a");
    fs::write(&a, b"old").unwrap();
    fs::hard_link(&a, &b).unwrap();
    symlink(&a, &soft).unwrap();
    for other in [&b, &soft, &dotted] {
        let said = gdump_refuses(&["--split", "-f", text(&tiny().vmcore), text(&a), text(other)]);
        assert!(said.contains("given as output twice"), "{said}");
        assert_eq!(fs::read(&a).unwrap(), b"old");
    }
    fs::remove_file(&a).unwrap();
    fs::remove_file(&b).unwrap();
    fs::remove_file(&soft).unwrap();
    gdump_refuses(&["--split", "-f", text(&tiny().vmcore), text(&a), &format!("{}/./a", text(dir.path()))]);
    assert!(!a.exists(), "an output of nothing is left behind");
}

#[test]
fn what_is_there_is_kept_until_all_outputs_can_be_made() {
    let dir = scratch();
    let old = dir.path().join("old");
    fs::write(&old, b"old").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for other in ["folder", "missing/out"] {
        let other = dir.path().join(other);
        gdump_refuses(&["--split", "-f", text(&tiny().vmcore), text(&old), text(&other)]);
        assert_eq!(fs::read(&old).unwrap(), b"old");
    }
}

/// The input of `-R` on stdin is no name, but a file all the same.
#[test]
fn rearranging_a_file_onto_itself_is_refused() {
    let dir = scratch();
    let file = dir.path().join("x");
    fs::write(&file, stream()).unwrap();
    let input = fs::File::open(&file).unwrap();
    let run = Command::new(GDUMP).args(["-R", "-f", text(&file)]).stdin(input).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("same file"), "{}", stderr(&run));
    assert!(fs::read(&file).unwrap() == stream());
}

#[test]
fn two_runs_do_not_write_one_file() {
    let dir = scratch();
    let [out, want] = ["out", "want"].map(|name| dir.path().join(name));
    let stream = stream();
    let first = half_rearranged(&stream, &out, &[]);
    for args in [vec!["-f", text(&tiny().vmcore)], vec!["-f", "-E", text(&tiny().vmcore)]] {
        let said = gdump_refuses(&[args, vec![text(&out)]].concat());
        assert!(said.contains("another process is writing it"), "{said}");
    }
    let first = finish(first, &stream[stream.len() / 2..]);
    assert!(first.status.success(), "{}", stderr(&first));
    gdump_ok(&["-l", "-d", "1", text(&tiny().vmcore), text(&want)]);
    assert!(fs::read(&out).unwrap() == fs::read(&want).unwrap());
}

#[test]
fn an_output_that_is_gone_is_not_saved() {
    let dir = scratch();
    let out = dir.path().join("out");
    let stream = stream();
    for (replaced, says) in [(false, "was removed while"), (true, "was replaced by another file while")] {
        let run = half_rearranged(&stream, &out, &[]);
        fs::remove_file(&out).unwrap();
        if replaced {
            fs::write(&out, b"another").unwrap();
        }
        let run = finish(run, &stream[stream.len() / 2..]);
        assert_eq!(run.status.code(), Some(1));
        assert!(stderr(&run).contains(says), "{}", stderr(&run));
        assert!(!replaced || fs::read(&out).unwrap() == b"another");
        let _ = fs::remove_file(&out);
    }
}

/// The input is idle, so that the work cannot look whether it is to stop.
#[test]
fn any_signal_ends_a_run_that_waits() {
    let dir = scratch();
    let out = dir.path().join("out");
    let stream = stream();
    for name in ["INT", "TERM", "HUP", "XCPU", "QUIT", "USR1", "ALRM", "KILL"] {
        // what runs the tests may ignore SIGINT, as shells do in the background
        let mut run = half_rearranged(&stream, &out, &["env", "--default-signal"]);
        signal(&run, name);
        let start = Instant::now();
        let status = run.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(30), "{name}");
        assert!(!status.success(), "{name}");
        assert_eq!(gdump(&["check", text(&out)]).status.code(), Some(1), "{name}");
        let info = gdump_ok(&["info", text(&out)]);
        assert!(info.contains("incomplete"), "{name}: {info}");
        fs::remove_file(&out).unwrap();
    }
}

/// `nohup gdump ...` goes on when its terminal is closed.
#[test]
fn an_ignored_signal_stays_ignored() {
    let dir = scratch();
    let out = dir.path().join("out");
    let stream = stream();
    let run = half_rearranged(&stream, &out, &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);
    signal(&run, "HUP");
    sleep(Duration::from_millis(1500));
    let run = finish(run, &stream[stream.len() / 2..]);
    assert!(run.status.success(), "{}", stderr(&run));
}

/// With `--atomic`, what is overwritten is there until the new file is whole.
#[test]
fn an_atomic_output_appears_when_it_is_whole() {
    let dir = scratch();
    let [out, want] = ["out", "want"].map(|name| dir.path().join(name));
    let own = dir.path().join("out.incomplete");
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-c", "-d", "31", vmcore, text(&want)]);
    fs::write(&out, b"old").unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(gdump_refuses(&["--atomic", "-c", "-d", "31", vmcore, text(&out)]).contains("File exists"));
    let run = with_room(64, &["--atomic", "-f", "-c", "-d", "31", vmcore, text(&out)]);
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(fs::read(&out).unwrap(), b"old");
    assert_eq!(gdump(&["check", text(&own)]).status.code(), Some(1));
    gdump_ok(&["--atomic", "-f", "-c", "-d", "31", vmcore, text(&out)]);
    assert!(!own.exists() && fs::read(&out).unwrap() == fs::read(&want).unwrap());
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o604);
    assert_eq!(fs::metadata(&want).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_pipe_takes_a_stream() {
    let vmcore = text(&tiny().vmcore);
    for output in ["/dev/stdout", "-"] {
        let said = gdump_refuses(&["-c", vmcore, output]);
        assert!(said.contains("-F"), "{said}");
    }
    let run = gdump(&["-F", "-l", "-d", "1", "--message-level", "0", vmcore, "-"]);
    assert!(run.stdout == stream());
}

/// The files that a run makes beside its outputs have names too.
#[test]
fn names_that_are_made_up_are_nobody_elses() {
    let dir = scratch();
    let [m, sum, own] = ["m", "m.sum", "m.incomplete"].map(|name| dir.path().join(name));
    let vmcore = text(&tiny().vmcore);
    for args in [
        &["--checksum", "--split", vmcore, text(&sum), text(&m)][..],
        &["-f", "--checksum", "--split", vmcore, text(&m), text(&sum)],
        &["--atomic", "--split", vmcore, text(&own), text(&m)],
        &["--atomic", "--split", vmcore, text(&m), &format!("{}/./m.incomplete", text(dir.path()))],
    ] {
        let said = gdump_refuses(args);
        assert!(said.contains("given as output twice"), "{args:?}: {said}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?}");
    }
    // an input of such a name
    for (input, options) in [(&own, &["--format", "lime"][..]), (&own, &["--format", "raw"]), (&sum, &["--checksum"])] {
        fs::copy(vmcore, input).unwrap();
        let said = gdump_refuses(&[options, &["-f", text(input), text(&m)]].concat());
        assert!(said.contains("input and output are the same file"), "{options:?}: {said}");
        assert!(fs::read(input).unwrap() == fs::read(vmcore).unwrap() && !m.exists());
        fs::remove_file(input).unwrap();
    }
}

/// What another user may have left, to read what is written there.
#[test]
fn a_left_over_file_is_not_written_to() {
    let dir = scratch();
    let [out, own, link] = ["out", "out.incomplete", "link"].map(|name| dir.path().join(name));
    let vmcore = text(&tiny().vmcore);
    let flat = dir.path().join("flat");
    fs::write(&flat, stream()).unwrap();
    for args in [
        ["--atomic", "-f", "-c", vmcore, text(&out)],
        ["--format", "lime", "-f", vmcore, text(&out)],
        ["--atomic", "-f", "-R", text(&flat), text(&out)],
    ] {
        fs::write(&own, b"old").unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o666)).unwrap();
        fs::hard_link(&own, &link).unwrap();
        // flock keeps it locked as long as gdump runs
        if has("flock", "--version") {
            let locked = Command::new("flock").arg(&own).arg(GDUMP).args(args).output().unwrap();
            assert!(stderr(&locked).contains("another process is writing it"), "{}", stderr(&locked));
            assert!(!out.exists() && fs::read(&own).unwrap() == b"old");
        }
        gdump_ok(&args);
        assert_eq!(fs::read(&link).unwrap(), b"old", "{args:?}");
        assert!(!own.exists() && fs::metadata(&out).unwrap().mode() & 0o777 == 0o600, "{args:?}");
        fs::remove_file(&link).unwrap();
        fs::remove_file(&out).unwrap();
    }
    assert!(Command::new("mkfifo").arg(&own).status().unwrap().success());
    let said = gdump_refuses(&["--atomic", "-f", "-c", vmcore, text(&out)]);
    assert!(said.contains("out.incomplete"), "{said}");
}

/// No room even for the first byte.
#[test]
fn no_room_at_all_is_said() {
    let dir = scratch();
    let out = dir.path().join("out");
    let run = with_room(0, &["-c", text(&tiny().vmcore), text(&out)]);
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("headers fit, so the file was removed") && !out.exists(), "{}", stderr(&run));
    fs::write(&out, b"old").unwrap();
    let run = with_room(0, &["-f", "-c", text(&tiny().vmcore), text(&out)]);
    assert!(stderr(&run).contains("headers fit, so the file was emptied"), "{}", stderr(&run));
    assert_eq!(fs::metadata(&out).unwrap().len(), 0);
}

/// Runs gdump with the system calls `names` failing with EIO when strace's `when` says; `None` without strace.
fn with_failing(names: &str, when: &str, args: &[&str]) -> Option<Output> {
    if !has("strace", "-V") {
        skipped("strace", "system calls that fail", "strace is not installed");
        return None;
    }
    let (trace, inject) = (format!("trace={names}"), format!("inject={names}:error=EIO:when={when}"));
    let words = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, GDUMP];
    Some(without_progress(Command::new("strace").args(words).args(args).output().unwrap()))
}

/// The directory cannot be synced: the dump is whole all the same, and not called anything else.
#[test]
fn a_whole_dump_that_may_not_last_is_not_called_incomplete() {
    let dir = scratch();
    let [out, want] = ["out", "want"].map(|name| dir.path().join(name));
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-c", "-d", "31", vmcore, text(&want)]);
    // the pages, the flag, the directory
    let Some(run) = with_failing("fdatasync", "3", &["-c", "-d", "31", vmcore, text(&out)]) else { return };
    assert_eq!(run.status.code(), Some(1));
    let said = stderr(&run);
    assert!(said.lines().count() == 1 && said.contains("directory") && said.contains("whole"), "{said}");
    assert!(fs::read(&out).unwrap() == fs::read(&want).unwrap());
}

/// With a name of its own, the file stays under it, and the line says so.
#[test]
fn a_whole_dump_that_cannot_have_its_name_keeps_the_other() {
    let dir = scratch();
    let [out, own, want] = ["out", "out.incomplete", "want"].map(|name| dir.path().join(name));
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-c", "-d", "31", vmcore, text(&want)]);
    let args = ["--atomic", "-c", "-d", "31", vmcore, text(&out)];
    let renames = "rename,renameat,renameat2";
    let Some(run) = with_failing(renames, "1+", &args) else { return };
    let said = stderr(&run);
    assert!(said.contains("out.incomplete") && said.contains("it is whole") && !said.contains("flagged"), "{said}");
    assert!(!out.exists() && fs::read(&own).unwrap() == fs::read(&want).unwrap());
}

/// What cannot even be emptied leaves nothing that this run made.
#[test]
fn an_output_that_cannot_be_begun_is_not_left_behind() {
    let dir = scratch();
    let [out, flat] = ["out", "flat"].map(|name| dir.path().join(name));
    fs::write(&flat, stream()).unwrap();
    for args in [vec!["-c", text(&tiny().vmcore), text(&out)], vec!["-R", text(&flat), text(&out)]] {
        let Some(run) = with_failing("ftruncate", "1", &args) else { return };
        let said = stderr(&run);
        assert_eq!((run.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(!out.exists(), "{args:?}");
    }
}

/// A part of the checksums would make a whole dump look damaged.
#[test]
fn checksums_that_cannot_be_stored_are_not_left_behind() {
    let dir = scratch();
    let out = dir.path().join("out");
    let args = ["--checksum", "-c", "-d", "31", text(&tiny().vmcore), text(&out)];
    // the pages, the flag, the directory, the checksums
    let Some(run) = with_failing("fdatasync", "4", &args) else { return };
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("out.sum"), "{}", stderr(&run));
    assert!(!dir.path().join("out.sum").exists());
    gdump_ok(&["check", text(&out)]);
}

/// Threads make it faster, and nothing else.
#[test]
fn a_run_without_threads_writes_the_same() {
    let dir = scratch();
    let [out, want, flat] = ["out", "want", "flat"].map(|name| dir.path().join(name));
    fs::write(&flat, stream()).unwrap();
    for args in [["-R", text(&flat)].to_vec(), ["-c", "-d", "31", text(&tiny().vmcore)].to_vec()] {
        gdump_ok(&[args.clone(), vec!["-f", text(&want)]].concat());
        let args = [args, vec!["-f", text(&out)]].concat();
        let Some(run) = with_failing("clone,clone3", "1+", &args) else { return };
        assert!(run.status.success(), "{}", stderr(&run));
        assert!(fs::read(&out).unwrap() == fs::read(&want).unwrap());
    }
}

/// Nor is an output that cannot be looked at.
#[test]
fn an_output_that_cannot_be_looked_at_is_not_left_behind() {
    let dir = scratch();
    let out = dir.path().join("out");
    for nth in 1..20 {
        let calls = "statx,newfstatat,fstat";
        let args = ["-c", "-d", "31", text(&tiny().vmcore), text(&out)];
        let Some(run) = with_failing(calls, &nth.to_string(), &args) else { return };
        let empty = fs::metadata(&out).is_ok_and(|meta| meta.len() == 0);
        assert!(!empty, "call {nth}: {}", stderr(&run));
        let _ = fs::remove_file(&out);
    }
}

/// One read fails, whichever: then the dump is what it would have been, or something is said.
#[test]
fn no_read_fails_without_a_word() {
    let dir = scratch();
    let [out, want] = ["out", "want"].map(|name| dir.path().join(name));
    let args = |path| ["-f", "-c", "-d", "1", "--num-threads", "1", text(&tiny().vmcore), path];
    gdump_ok(&args(text(&want)));
    for nth in 1..40 {
        let Some(run) = with_failing("pread64", &nth.to_string(), &args(text(&out))) else { return };
        let same = run.status.success() && fs::read(&out).unwrap() == fs::read(&want).unwrap();
        // 127: the first reads are those of the loader
        let is_loader = run.status.code() == Some(127);
        assert!(
            same || is_loader || stderr(&run).starts_with("gdump: "),
            "read {nth}: {}, {}",
            run.status,
            stderr(&run)
        );
    }
}
