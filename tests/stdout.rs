//! What stdout may be, and what is said where it cannot be written to.

use crate::outputs::stream;
use crate::support::{elf, gdump_ok, root, scratch, text, tiny, without_progress};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `script` with gdump as `$G`, in the folder `dir`; `$A` is an address of kernel text in the dump that ships with
/// the repository.
fn shell(dir: &Path, script: &str) -> Output {
    let text = elf(&tiny().vmcore).loads.iter().map(|load| load.vaddr).max().unwrap();
    let envs = [("G", env!("CARGO_BIN_EXE_gdump").to_owned()), ("A", format!("{text:#x}"))];
    without_progress(Command::new("sh").args(["-c", script]).envs(envs).current_dir(dir).output().unwrap())
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

/// Not even why.
#[test]
fn an_input_that_is_stderr_is_not_written_over() {
    let dir = scratch();
    let vmcore = dir.path().join("vmcore");
    fs::copy(&tiny().vmcore, &vmcore).unwrap();
    let core = fs::read(&vmcore).unwrap();
    for (script, says) in [
        ("$G -c vmcore out 2>>vmcore", true),
        ("$G -f -R out <vmcore 2>>vmcore", true),
        ("$G check vmcore 2>>vmcore", true),
        ("$G info vmcore >>vmcore 2>&1", false),
        ("$G -F -c vmcore 2>>vmcore", false),
    ] {
        let run = shell(dir.path(), script);
        let said = String::from_utf8(run.stdout).unwrap();
        assert_eq!(run.status.code(), Some(1), "{script}: {said}");
        assert!(
            said == if says { "gdump: stderr: input and output are the same file\n" } else { "" },
            "{script}: {said}"
        );
        assert!(fs::read(&vmcore).unwrap() == core && !dir.path().join("out").exists(), "{script}");
    }
}

/// A file that may not grow is a failed write, also of what is no dump; and what cannot be allocated is said.
#[test]
fn limits_are_said() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("vmcore")).unwrap();
    fs::write(dir.path().join("flat"), stream()).unwrap();
    for script in ["ulimit -f 8; $G --dump-dmesg vmcore log", "ulimit -f 8; $G dmesg vmcore >log2"] {
        refused(&shell(dir.path(), script), "File too large", script);
    }
    // from where the program can be loaded on to where it works
    for kib in (6000..20000).step_by(100) {
        let run = shell(dir.path(), &format!("ulimit -v {kib}; exec $G -f -R out <flat"));
        let said = stderr(&run);
        match run.status.code() {
            Some(0) => break,
            Some(1) => assert!(said.lines().count() == 1 && said.starts_with("gdump: "), "{kib}: {said}"),
            // neither the loader nor what comes before main() has room: nothing is begun
            _ => assert!(!dir.path().join("out").exists(), "{kib}: {said}"),
        }
    }
}

/// Nor is what is read beside the dump, under whatever name.
#[test]
fn files_of_the_kernel_are_not_written_over() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("vmcore")).unwrap();
    let own = fs::read(root().join("crates/dump/tests/tiny.vmcoreinfo")).unwrap();
    fs::write(dir.path().join("vi"), &own).unwrap();
    fs::hard_link(dir.path().join("vi"), dir.path().join("hard")).unwrap();
    symlink("vi", dir.path().join("link")).unwrap();
    for script in [
        "$G -f -d 31 -i vi vmcore vi",
        "$G -f -d 31 -i link vmcore hard",
        "$G -f -d 31 -i vi vmcore link",
        "$G -f -d 31 -i /proc/self/fd/3 vmcore vi 3<vi",
        "$G -f -d 31 -i vi vmcore /proc/self/fd/3 3<>vi",
        "$G -f -d 31 -x vi vmcore vi",
        "$G -f -E -d 31 -i vi vmcore vi",
        "$G -f --format raw -d 31 -i vi vmcore vi",
        "$G -f --atomic -d 31 -i vi vmcore vi",
        "$G -f --split -d 31 -i vi vmcore out vi",
        "$G -f --dump-dmesg -i vi vmcore vi",
        "cp vi out2.sum; $G -f --checksum -d 31 -i out2.sum vmcore out2",
        "$G -g hard -x vi",
        "$G -F -d 31 -i vi vmcore >>vi",
        "$G --mem-usage -i vi vmcore >>vi",
    ] {
        let run = shell(dir.path(), script);
        refused(&run, "input and output are the same file", script);
        assert!(fs::read(dir.path().join("vi")).unwrap() == own, "{script}");
        assert!(!dir.path().join("out").exists(), "{script}");
    }
    // debug information that a file refers to by name (.gnu_debuglink), in a file beside it
    let debug = dir.path().join("vmlinux.debug");
    fs::write(&debug, "debug").unwrap();
    fs::write(dir.path().join("vmlinux"), with_debug_link("vmlinux.debug")).unwrap();
    for script in ["$G -f -d 31 -x vmlinux vmcore vmlinux.debug", "$G -g vmlinux.debug -x vmlinux"] {
        refused(&shell(dir.path(), script), "input and output are the same file", script);
        assert!(fs::read(&debug).unwrap() == b"debug", "{script}");
    }
    // a name that the file had
    let script = "$G -f -d 31 -i vi vmcore other && $G check other";
    assert!(shell(dir.path(), script).status.success());
}

/// An ELF file of three sections: none, their names, and a `.gnu_debuglink` to `name`.
fn with_debug_link(name: &str) -> Vec<u8> {
    let names = b"\0.shstrtab\0.gnu_debuglink\0";
    let link = [name.as_bytes(), &vec![0; 4 - name.len() % 4], &[0; 4]].concat();
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let mut section = |name: u32, kind: u32, bytes: &[u8]| {
        let at = file.len() as u64;
        file.extend_from_slice(bytes);
        file.resize(file.len().next_multiple_of(8), 0);
        let words = [0, 0, at, bytes.len() as u64, 0, 1, 0].map(u64::to_le_bytes).concat();
        [&name.to_le_bytes()[..], &kind.to_le_bytes(), &words].concat()
    };
    let headers = [vec![0; 64], section(1, 3, names), section(11, 1, &link)].concat();
    let at = file.len() as u64;
    file.extend(headers);
    file[16..20].copy_from_slice(&[2, 0, 62, 0]);
    file[40..48].copy_from_slice(&at.to_le_bytes());
    for (at, value) in [(20, 1), (52, 64), (54, 56), (58, 64), (60, 3), (62, 1)] {
        file[at] = value;
    }
    file
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
    for script in [
        "$G --mem-usage vmcore >&-",
        "$G dmesg vmcore >&-",
        "$G -F --dump-dmesg vmcore >&-",
        "$G --vtop $A -f -c vmcore out >&-",
        "ln -s $G vmcore-dmesg; ./vmcore-dmesg vmcore >&-",
    ] {
        refused(&shell(dir.path(), script), "closed", script);
    }
    // their exit status is an answer too, and there are callers that open /dev/null for reading and writing
    for script in ["$G check vmcore >&-", "$G check vmcore 1<>/dev/null", "$G --dry-run -c vmcore out2 >&-"] {
        assert!(shell(dir.path(), script).status.success(), "{script}");
    }
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
        "$G dmesg vmcore >/dev/full",
        "$G --mem-usage vmcore >/dev/full",
        "$G --dry-run -f -d 31 vmcore out >/dev/full",
        "$G --dry-run -f --message-level 28 -d 31 vmcore out >/dev/full",
        "$G --vtop $A -f -c vmcore out >/dev/full",
        "$G makedumpfile --dry-run -f -D --message-level 12 -d 31 vmcore out >/dev/full",
        "$G -v >/dev/full",
        "$G --help >/dev/full",
    ] {
        let run = shell(dir.path(), script);
        refused(&run, "No space left on device", script);
        assert!(!stderr(&run).contains("removed") && !stderr(&run).contains("os error"), "{}", stderr(&run));
    }
}

/// A dump is saved, whether or not what is said of it arrives.
#[test]
fn messages_may_be_lost() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("vmcore")).unwrap();
    for script in ["$G -f -D -c vmcore out >/dev/full", "$G makedumpfile -f --show-stats -c vmcore out >/dev/full"] {
        let run = shell(dir.path(), script);
        assert!(run.status.success() && stderr(&run).is_empty(), "{script}: {}", stderr(&run));
        gdump_ok(&["check", text(&dir.path().join("out"))]);
    }
}
