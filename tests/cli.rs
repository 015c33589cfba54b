//! The command line: what is refused, with one clear line and exit status 1, before anything is written.

use crate::support::{gdump, gdump_ok, gdump_refuses, scratch, text, tiny};
use dump_synth::{Era, KernelBuilder};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Refuses `input` at level 31; the line names the file and says `why`; nothing is written.
fn refuses(input: &Path, why: &str) {
    let dir = scratch();
    let out = dir.path().join("out");
    let line = gdump_refuses(&["-c", "-d", "31", text(input), text(&out)]);
    assert!(line.contains(text(input)) && line.contains(why), "{line}");
    assert!(!out.exists(), "{line}");
}

/// Names of files on servers are another program's; what begins otherwise is a path.
#[test]
fn dumps_on_servers_are_gdump_fleets() {
    for args in [&["info", "http://h/x"][..], &["-c", "HTTPS://h/x", "out"], &["diff", "s3://b/k", "x"]] {
        let said = gdump_refuses(args);
        assert!(said.contains("reading over the network is gdump-fleet's"), "{said}");
    }
    assert!(gdump_refuses(&["info", "./http://h/x"]).contains("No such file"));
    assert!(gdump_refuses(&["-R", "http://h/x", "out"]).contains("of what is on servers, dumps are read"));
}

#[test]
fn inputs_that_are_no_dumps() {
    let dir = scratch();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refuses(&file("empty", b""), "an empty file, not a dump");
    refuses(&file("short", b"\x7fELF"), "not an ELF core: only 4 bytes long");
    refuses(&file("text", b"root:x:0:0:root:/root:/bin/bash\n"), "a text file");
    refuses(&file("zeros", &[0; 8192]), "not a dump of a known format");
    refuses(Path::new(env!("CARGO_BIN_EXE_gdump")), "an ELF shared object or executable, not a core");
    refuses(dir.path(), "a directory");
    refuses(&dir.path().join("nowhere"), "No such file");
    refuses(&file("flat", b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01"), "flattened dump");
    refuses(&file("kdump", b"KDUMP   \x06\0\0\0"), "ends at");
    refuses(&file("windows", b"PAGEDU64\x0f\0\0\0"), "the header at offset 0x0 ends at offset 0x2000");
    refuses(&file("gzip", b"\x1f\x8b\x08\0\0\0\0\0"), "gzip");
    refuses(&file("zstd", b"\x28\xb5\x2f\xfd\xff\xff\xff\xff"), "zstd");
    refuses(&file("zstd-text", &zstd::encode_all(&b"no dump"[..], 1).unwrap()), "inside zstd: a text file, not a dump");
}

#[test]
fn an_input_that_may_not_be_read() {
    let dir = scratch();
    let path = dir.path().join("secret");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        // root reads everything: another user tries
        let run = std::process::Command::new("setpriv")
            .args([
                "--reuid=65534",
                "--clear-groups",
                env!("CARGO_BIN_EXE_gdump"),
                "-d1",
                text(&path),
                "/tmp/never-written",
            ])
            .output();
        return match run {
            Ok(run) if run.status.code() == Some(1) => {
                let stderr = String::from_utf8(run.stderr).unwrap();
                // the scratch directory or the build directory may be closed to that user as well
                assert!(stderr.to_lowercase().contains("permission denied"), "{stderr}");
            }
            _ => crate::support::skipped("setpriv", "an_input_that_may_not_be_read", "running as root without setpriv"),
        };
    }
    refuses(&path, "Permission denied");
}

#[test]
fn a_vmcore_without_vmcoreinfo_needs_a_low_level() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x800").build();
    let mut bytes = kernel.vmcore();
    // neither the note nor the kernel's own copy in memory
    for at in (0..bytes.len() - 10).filter(|at| bytes[*at] == b'O').collect::<Vec<_>>() {
        if bytes[at..].starts_with(b"OSRELEASE=") {
            bytes[at] = b'X';
        }
    }
    let name = bytes.windows(10).position(|w| w == b"VMCOREINFO").unwrap();
    bytes[name] = b'X';
    let dir = scratch();
    let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    fs::write(&vmcore, bytes).unwrap();
    for level in ["2", "16", "31", "0,31"] {
        let line = gdump_refuses(&["-d", level, text(&vmcore), text(&out)]);
        assert!(line.contains("no VMCOREINFO note") && line.contains("-d 0 and -d 1 do not need it"), "{line}");
        assert!(!out.exists());
    }
    gdump_ok(&["-d", "1", text(&vmcore), text(&out)]);
}

#[test]
fn outputs_that_cannot_be() {
    let dir = scratch();
    let vmcore = text(&tiny().vmcore);
    let existing = dir.path().join("existing");
    fs::write(&existing, "precious").unwrap();
    let line = gdump_refuses(&["-d", "31", vmcore, text(&existing)]);
    assert!(line.contains("File exists") && line.contains("-f"), "{line}");
    assert_eq!(fs::read(&existing).unwrap(), b"precious");
    assert!(gdump_refuses(&["-d", "31", vmcore, text(dir.path())]).contains("Is a directory"));
    assert!(gdump_refuses(&["-d", "31", vmcore, "/nowhere/out"]).contains("No such file"));
    assert!(gdump_refuses(&["-f", vmcore, vmcore]).contains("are the same file"));
    let (copy, link, hard) = (dir.path().join("copy"), dir.path().join("link"), dir.path().join("hard"));
    fs::copy(vmcore, &copy).unwrap();
    symlink(&copy, &link).unwrap();
    fs::hard_link(&copy, &hard).unwrap();
    for other in [&link, &hard] {
        assert!(gdump_refuses(&["-f", text(&copy), text(other)]).contains("are the same file"));
    }
    assert_eq!(fs::metadata(&copy).unwrap().len(), tiny().vmcore.metadata().unwrap().len());
}

#[test]
fn command_lines_that_mean_nothing() {
    for args in [
        &[][..],
        &["a"],
        &["-F"],
        &["--split", "a", "b"],
        &["-E", "-c", "a", "b"],
        &["info"],
        &["diff", "a"],
        &["-d", "32", "a", "b"],
        &["-d", "x", "a", "b"],
        &["--nonsense", "a", "b"],
        &["--message-level", "32", "a", "b"],
        &["--num-threads", "x", "a", "b"],
        &["--codec", "zip", "a", "b"],
        &["info", "--num-threads", "2", "a"],
    ] {
        assert!(gdump_refuses(args).contains("--help"), "{args:?}");
    }
}

#[test]
fn help_and_version() {
    let help = gdump_ok(&["-h"]);
    for word in ["-c", "-d", "--num-threads", "LZO support:\n  enabled", "zstd support:\n  enabled", "Exit status"] {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(gdump_ok(&["--help"]), help);
    assert!(gdump_ok(&["info", "--help"]).contains("--json"));
    assert!(gdump_ok(&["-v"]).starts_with("gdump: version "));
}

/// A name asks for the same as its letter, and none for what no letter asks for.
#[test]
fn codecs_by_name() {
    let dir = scratch();
    let dump = |name: &str, options: &[&str]| {
        let out = dir.path().join(name);
        gdump_ok(&[options, &["-d", "31", text(&tiny().vmcore), text(&out)]].concat());
        fs::read(out).unwrap()
    };
    for (letter, codec) in [("-c", "zlib"), ("-l", "lzo"), ("-p", "snappy"), ("-z", "zstd")] {
        let by_letter = dump(letter, &[letter]);
        assert!(by_letter == dump(codec, &["--codec", codec]), "{codec}");
        assert!(by_letter != dump(&format!("{letter}none"), &[letter, "--codec", "none"]), "{codec}");
    }
    assert!(dump("plain", &[]) == dump("none", &["-z", "--codec", "none"]));
}

/// A verb is one only as the first word; elsewhere, and with a path, it names a file.
#[test]
fn files_named_like_verbs() {
    let dir = scratch();
    fs::copy(&tiny().vmcore, dir.path().join("info")).unwrap();
    let run = |args: &[&str]| {
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_gdump")).args(args).current_dir(&dir).output();
        assert!(program.unwrap().status.success(), "{args:?}");
    };
    run(&["-c", "info", "check"]);
    run(&["./info", "diff"]);
    run(&["info", "info"]);
    run(&["check", "check"]);
    run(&["diff", "diff", "info"]);
}

/// As a capture script once computed it (openSUSE/kdump#4): the dump is made, with a warning.
#[test]
fn an_absurd_number_of_threads_is_lowered() {
    let dir = scratch();
    let out = dir.path().join("out");
    let run = gdump(&["--num-threads", "5223023572093018873", "-d", "31", text(&tiny().vmcore), text(&out)]);
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && out.exists(), "{stderr}");
    assert!(stderr.contains("warning: --num-threads 5223023572093018873: too many for"), "{stderr}");
}

#[test]
fn messages_go_where_makedumpfiles_go() {
    let dir = scratch();
    let out = dir.path().join("out");
    let vmcore = text(&tiny().vmcore);
    let run = |level: &str, more: &[&str]| {
        let mut args = vec!["-f", "-d", "31", "--message-level", level, vmcore, text(&out)];
        args.extend(more);
        gdump_ok(&args)
    };
    assert_eq!(run("0", &[]), "");
    assert_eq!(run("4", &[]), "");
    assert!(run("2", &[]).contains("The dumpfile is saved to"));
    assert!(run("16", &[]).starts_with("\nOriginal pages  : 0x"));
    assert!(run("0", &["--show-stats"]).contains("Free pages              : 0x"));
    assert!(run("0", &["-D"]).contains("\n  CRASHTIME="));
}

#[test]
fn a_dry_run_writes_nothing_and_counts_the_same() {
    let dir = scratch();
    let out = dir.path().join("out");
    let vmcore = text(&tiny().vmcore);
    let dry = gdump_ok(&["-c", "-d", "31", "--show-stats", "--dry-run", vmcore, text(&out)]);
    assert!(!out.exists());
    let wet = gdump_ok(&["-c", "-d", "31", "--show-stats", vmcore, text(&out)]);
    let lines =
        |text: &str| text.lines().filter(|line| !line.contains("saved to")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&dry), lines(&wet));
}

#[test]
fn the_dump_is_its_owners_alone() {
    let dir = scratch();
    let out = dir.path().join("out");
    gdump_ok(&["-d", "31", text(&tiny().vmcore), text(&out)]);
    assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// Nothing but errors on stderr where it is no terminal, and progress only where it is one.
#[test]
fn quiet_without_a_terminal() {
    let dir = scratch();
    let run = gdump(&["-d", "31", text(&tiny().vmcore), text(&dir.path().join("out"))]);
    assert!(run.status.success() && run.stderr.is_empty());
}

/// As of a script's variable that is not set.
#[test]
fn an_empty_file_name_is_said_to_be_one() {
    for (args, said) in [
        (&["-c", "", "out"][..], "file name 1 of 2 is empty"),
        (&["makedumpfile", "-c", "in", ""], "file name 2 of 2 is empty"),
        (&["info", ""], "file name 1 of 1 is empty"),
        (&["diff", "a", ""], "file name 2 of 2 is empty"),
        (&["repair", "a", "", "b"], "file name 2 of 3 is empty"),
    ] {
        let run = gdump(args);
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.code() == Some(1) && stderr.lines().count() == 1 && stderr.contains(said), "{stderr}");
    }
}
