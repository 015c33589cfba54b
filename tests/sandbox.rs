//! What a run may still do: all that it has to, and little else. What is refused is tested beside the code that has it
//! refused, in threads of their own.

use crate::outputs::{finish, half_rearranged, stream};
use crate::support::{gdump, gdump_ok, scratch, text, tiny, without_progress};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

const GDUMP: &str = env!("CARGO_BIN_EXE_gdump");

/// A field of the status of each thread of a process.
fn of_threads(pid: u32, field: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).ok());
    let value = |status: String| status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()));
    status.filter_map(value).collect()
}

fn has_seccomp() -> bool {
    let machine = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));
    machine && !of_threads(std::process::id(), "Seccomp:").is_empty()
}

#[test]
fn all_threads_of_a_run_are_restricted() {
    if !has_seccomp() {
        return crate::support::skipped("seccomp", "all_threads_of_a_run_are_restricted", "the kernel lacks it");
    }
    let dir = scratch();
    let out = dir.path().join("out");
    let stream = stream();
    let without = ["sh", "-c", "exec \"$@\" --no-sandbox", "sh"];
    // 2 is a filter
    for (wrapper, seccomp, no_new_privs) in [(&[][..], "2", "1"), (&without[..], "0", "0")] {
        let run = half_rearranged(&stream, &out, wrapper);
        for (field, expected) in [("Seccomp:", seccomp), ("NoNewPrivs:", no_new_privs)] {
            let found = of_threads(run.id(), field);
            assert!(found.len() > 1 && found.iter().all(|value| value == expected), "{wrapper:?} {field} {found:?}");
        }
        let run = finish(run, &stream[stream.len() / 2..]);
        assert!(run.status.success());
        fs::remove_file(&out).unwrap();
    }
}

#[test]
fn what_is_in_force_is_said() {
    let said = gdump_ok(&["-D", "--dry-run", "-d", "31", text(&tiny().vmcore), "out"]);
    let line = said.lines().find(|line| line.starts_with("sandbox")).unwrap();
    assert!(line.contains("landlock") && (!has_seccomp() || line.contains("seccomp in force")), "{line}");
    let said = gdump_ok(&["-D", "--no-sandbox", "--dry-run", "-d", "31", text(&tiny().vmcore), "out"]);
    assert!(!said.contains("sandbox"), "{said}");
}

/// Files for the runs below, which are in the folder `here` of a copy.
fn furnished() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = scratch();
        let at = |name: &str| dir.path().join(name);
        for folder in ["here", "there", "tmp"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let vmcore = at("here/vmcore");
        gdump_ok(&["-l", "-d", "31", text(&tiny().vmcore), text(&vmcore)]);
        let flat = gdump(&["-F", "-l", "--message-level", "0", text(&vmcore)]);
        fs::write(at("here/flat"), flat.stdout).unwrap();
        let packed = File::create(at("here/vmcore.zst")).unwrap();
        zstd::stream::copy_encode(File::open(&vmcore).unwrap(), packed, 1).unwrap();
        gdump_ok(&["--split", text(&vmcore), text(&at("here/part1")), text(&at("here/part2"))]);
        fs::write(at("here/old"), "old").unwrap();
        fs::set_permissions(at("here/old"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(at("there/target"), "target").unwrap();
        symlink("../there/target", at("here/link")).unwrap();
        symlink("../there/new", at("here/dangling")).unwrap();
        symlink("../here/vmcore", at("there/vmcore")).unwrap();
        dir
    })
    .path()
}

/// The files beneath `dir` with their modes and bytes.
fn files(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            found.extend(files(&path));
        } else if meta.is_symlink() {
            found.insert(text(&path).to_owned(), (0, text(&fs::read_link(&path).unwrap()).into()));
        } else {
            found.insert(text(&path).to_owned(), (meta.permissions().mode(), fs::read(&path).unwrap()));
        }
    }
    found.into_iter().map(|(path, file)| (path.replace(text(dir), ""), file)).collect()
}

/// Runs `line` by a shell, where `gdump` is the program with `option`, in a fresh directory; what it says, and what it
/// leaves.
fn run(line: &str, option: &str) -> (Output, BTreeMap<String, (u32, Vec<u8>)>) {
    let dir = scratch();
    let copied = Command::new("cp").args(["-a", text(&furnished().join(".")), text(dir.path())]).status().unwrap();
    assert!(copied.success());
    // a verb is the first word
    let script = format!("gdump() {{ \"$GDUMP\" \"$@\" {option}; }}; {line}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir.path().join("here"))
        .env("GDUMP", GDUMP)
        .env("TMPDIR", dir.path().join("tmp"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // of two programs in a pipe, either may be first to show its progress
    let mut output = without_progress(output);
    for said in [&mut output.stdout, &mut output.stderr] {
        *said = String::from_utf8_lossy(said).replace(text(dir.path()), "").into_bytes();
    }
    let left = files(dir.path());
    (output, left)
}

/// Whatever a run does, it does the same with all its rights.
#[test]
fn nothing_that_a_run_has_to_do_is_refused() {
    let good = [
        "gdump -c -d 31 vmcore out",
        "gdump -E -d 1 vmcore ../there/out",
        "gdump --format raw vmcore ./out",
        "gdump --format lime vmcore out",
        "gdump --atomic -l vmcore out",
        "gdump --split -z vmcore out1 ../there/out2",
        "gdump --reassemble part1 part2 out",
        "gdump -F -d 1 vmcore >out",
        "gdump -F -d 1 vmcore | gdump -R out",
        "gdump -R flat out",
        "gdump -R flat ../there/out",
        "gdump -R --atomic -f flat old",
        "gdump -f -c vmcore old",
        "gdump -f --atomic -c vmcore old",
        "gdump -f --format lime vmcore old",
        "gdump -f -c vmcore link",
        "gdump -f --atomic -c vmcore link",
        "gdump -f -c vmcore dangling",
        "gdump -f --atomic -c vmcore dangling",
        "gdump -c vmcore /dev/null",
        "gdump --format raw vmcore /dev/null",
        "gdump -f -c vmcore /dev/stdout >out",
        "gdump -c ../there/vmcore out",
        "gdump -c vmcore.zst out",
        "gdump -d 31 --max-memory 7M --num-threads 1 vmcore out",
        "gdump -c /proc/self/fd/0 out <vmcore",
        "gdump -c /dev/stdin out <vmcore.zst",
        "gdump -c - out <vmcore",
        "cat vmcore | gdump -c - out",
        "cat vmcore.zst | gdump -c /dev/stdin out",
        "mkfifo pipe; cat vmcore >pipe & gdump -c pipe out; rm pipe",
        "exec 3<vmcore; rm vmcore; gdump -c /proc/self/fd/3 out",
        "for n in 16 14 12 10 8; do ulimit -n $n; gdump -f -c vmcore out; done",
        "gdump info vmcore; gdump info --json part2 part1; gdump info flat; gdump info vmcore.zst; gdump info - <flat",
        "gdump check vmcore; gdump check part1 part2; gdump check vmcore.zst; cat flat | gdump check -",
        "gdump --checksum -c vmcore out; gdump check out; gdump -f -c vmcore out; ls",
        "gdump --split --checksum vmcore out ../there/out; gdump check out ../there/out",
        "gdump repair vmcore.zst out",
        "gdump repair part1 part2 ../there/out",
        "gdump diff vmcore flat; gdump diff vmcore.zst ../there/vmcore",
    ];
    let bad = [
        "gdump --dry-run -c vmcore missing/out",
        "gdump -c . out",
        "gdump -c missing out",
        "gdump -c vmcore missing/out",
        "gdump -c vmcore ../there",
        "gdump -c vmcore old",
        "gdump -c old out",
        "gdump -c /proc/version out",
        "gdump -c /dev/zero out",
        "gdump -R vmcore out",
        "gdump -R . out",
        "head -c 100000 flat | gdump -R out",
        "gdump --split -f vmcore old ../there",
        "gdump info /dev/null",
        "gdump check old ../there/target",
    ];
    for (lines, success) in [(&good[..], true), (&bad[..], false)] {
        for line in lines {
            let ((with, left), (without, want)) = (run(line, ""), run(line, "--no-sandbox"));
            let said = String::from_utf8_lossy(&with.stderr);
            assert_eq!(said, String::from_utf8_lossy(&without.stderr), "{line}");
            assert_eq!(with.status.success(), success, "{line}: {said}");
            assert!(with.status == without.status && with.stdout == without.stdout, "{line}");
            assert!(left == want, "{line}: {:?}, {:?}", left.keys(), want.keys());
        }
    }
}

/// All that is in a dump was in a machine's memory.
#[test]
fn what_is_made_only_its_owner_can_read() {
    let (_, before) = run("true", "");
    for line in [
        "gdump -c vmcore out",
        "gdump -E vmcore out",
        "gdump --format raw vmcore out",
        "gdump --split vmcore out out2",
        "gdump --atomic vmcore out",
        "gdump -R flat out",
        "gdump --dump-dmesg vmcore out",
        "gdump --checksum -c vmcore out",
        "gdump repair vmcore out",
        "gdump -f vmcore dangling",
    ] {
        let (done, after) = run(&format!("umask 0; {line}"), "");
        assert!(done.status.success(), "{line}");
        let made: Vec<_> = after.iter().filter(|(path, _)| !before.contains_key(*path)).collect();
        assert!(!made.is_empty(), "{line}");
        for (path, (mode, _)) in made {
            assert_eq!(mode & 0o777, 0o600, "{line}: {path}");
        }
    }
}

/// An empty TMPDIR is none, to what restricts the run as to what makes the files.
#[test]
fn temporary_files_go_where_they_may() {
    let packed = crate::support::root().join("fixtures/tiny/vmcore.zst");
    let run = Command::new(GDUMP).args(["info", text(&packed)]).env("TMPDIR", "").output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
