//! Guests of the QNX hypervisor: their dumps, what qvm says of them, and outputs as qvm has them: names with the time in
//! them, and shell commands.

use crate::schema;
use crate::support::{gdump, gdump_ok, gdump_refuses, program, scratch, text, tiny, without_progress};
use dump_synth::{QnxGcore, QnxVcpu};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// 2017-08-21, 12:06:19 UTC.
const CLOCK: &str = "1503317179";

fn at(clock: &str, args: &[&str]) -> Output {
    without_progress(program().env("SOURCE_DATE_EPOCH", clock).args(args).output().unwrap())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn stderr(run: &Output) -> String {
    String::from_utf8(run.stderr.clone()).unwrap()
}

/// Runs gdump with the tiny dump as input and `command` as output; its status and what it said.
fn piped(options: &[&str], command: &str) -> (Option<i32>, String) {
    let vmcore = &tiny().vmcore;
    let run = gdump(&[options, &["--message-level", "4", text(vmcore), command]].concat());
    assert!(run.stdout.is_empty());
    (run.status.code(), stderr(&run))
}

#[test]
fn files_are_named_by_the_clock_and_none_is_overwritten() {
    let dir = scratch();
    let vmcore = text(&tiny().vmcore);
    let args = ["--output-dir", text(dir.path()), "-f", "-d", "1", "--format", "gcore", vmcore];
    let mut want = vec!["qvm-guest-20170821-120619.gcore".to_owned()];
    want.extend((1..=9).map(|n| format!("qvm-guest-20170821-120619-{n}.gcore")));
    // one of them is somebody else's
    fs::write(dir.path().join(&want[3]), "mine").unwrap();
    for name in want.iter().filter(|name| **name != want[3]) {
        let run = at(CLOCK, &args);
        assert!(run.status.success(), "{}", stderr(&run));
        let path = dir.path().join(name);
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.contains(&format!("The dumpfile is saved to {}.", path.display())), "{said}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let run = at(CLOCK, &args);
    assert_eq!((run.status.code(), stderr(&run).lines().count()), (Some(1), 1));
    assert!(stderr(&run).ends_with("qvm-guest-20170821-120619.gcore: exists, and so do those with -1 to -9\n"));
    want.sort();
    assert_eq!(names(dir.path()), want);
    assert_eq!(fs::read(dir.path().join("qvm-guest-20170821-120619-3.gcore")).unwrap(), b"mine");
    // a second later there are names again
    assert!(at("1503317180", &args).status.success());
}

#[test]
fn names_have_the_ending_of_the_format_and_a_prefix() {
    let dir = scratch();
    let vmcore = text(&tiny().vmcore);
    for (options, ending) in [
        (&["-c", "-d1"][..], "kdump"),
        (&["-E"], "elf"),
        (&["--format", "raw"], "raw"),
        (&["--format", "lime", "--checksum"], "lime"),
    ] {
        // formats without a flag have a name of their own until they are whole
        fs::write(dir.path().join(format!("linux1-20170821-120619.{ending}.incomplete")), "").unwrap();
        let run = at(CLOCK, &[options, &["--output-dir", text(dir.path()), "--prefix", "linux1", vmcore]].concat());
        assert!(run.status.success(), "{}", stderr(&run));
        let other = if ["raw", "lime"].contains(&ending) { "-1" } else { "" };
        let path = dir.path().join(format!("linux1-20170821-120619{other}.{ending}"));
        assert!(fs::metadata(&path).unwrap().len() > 1 << 20, "{}", path.display());
    }
    assert!(dir.path().join("linux1-20170821-120619-1.lime.sum").exists());
}

#[test]
fn the_time_is_that_of_the_machine() {
    let vmcore = text(&tiny().vmcore);
    for zone in ["JST-9", "UTC0", "EST5"] {
        let dir = scratch();
        let date = || {
            let date = Command::new("date").env("TZ", zone).arg("+%Y%m%d-%H%M%S").output().unwrap();
            format!("qvm-guest-{}.elf", String::from_utf8(date.stdout).unwrap().trim())
        };
        let before = date();
        let mut command = program();
        let run = command.env("TZ", zone).env_remove("SOURCE_DATE_EPOCH");
        assert!(run.args(["-E", "--output-dir", text(dir.path()), vmcore]).output().unwrap().status.success());
        let found = names(dir.path());
        assert!(found.len() == 1 && before <= found[0] && found[0] <= date(), "{zone}: {before} {found:?}");
    }
}

#[test]
fn a_name_is_given_up_where_nothing_is_written() {
    let dir = scratch();
    let out = text(dir.path());
    for args in [
        &["--output-dir", out, "/nothing/there"][..],
        &["--output-dir", out, "-x", "/nothing/there", text(&tiny().vmcore)],
        &["--output-dir", out, "--dry-run", text(&tiny().vmcore)],
    ] {
        let _ = at(CLOCK, args);
        assert!(names(dir.path()).is_empty(), "{args:?}");
    }
    let run = at("now", &["--output-dir", out, text(&tiny().vmcore)]);
    assert_eq!(stderr(&run), "gdump: SOURCE_DATE_EPOCH: now: expected seconds since 1970\n");
    let e = gdump_refuses(&["--output-dir", "/nothing/there", text(&tiny().vmcore)]);
    assert!(e.contains("/nothing/there/qvm-guest-") && e.ends_with("No such file or directory\n"), "{e}");
    for (args, why) in [
        (&["--output-dir", out, "-F", "a"][..], "--output-dir names one file"),
        (&["--output-dir", out, "--split", "a", "b", "c"], "--output-dir names one file"),
        (&["--output-dir", out], "--output-dir: expected file name VMCORE"),
        (&["--output-dir", out, "--dump-dmesg", "a", "b"], "--dump-dmesg and --output-dir"),
        (&["--prefix", "x", "a", "b"], "--prefix goes with --output-dir"),
        (&["--output-dir", out, "--prefix", "a/b", "c"], "--prefix a/b: expected a part of a file's name"),
    ] {
        let e = gdump_refuses(args);
        assert!(e.contains(why), "{args:?}: {e}");
    }
}

#[test]
fn a_command_gets_what_a_file_would_have() {
    let dir = scratch();
    let (gz, file) = (dir.path().join("o.gz"), dir.path().join("file"));
    let unpacked = || Command::new("gzip").arg("-dc").arg(&gz).output().unwrap().stdout;
    let gzip = format!("|gzip -1 > {}", text(&gz));
    for options in
        [&["--format", "gcore", "-d1"][..], &["-E", "-d17"], &["--format", "raw"], &["--format", "lime", "-d1"]]
    {
        gdump_ok(&[options, &["-f", "--message-level", "4", text(&tiny().vmcore), text(&file)]].concat());
        assert_eq!(piped(options, &gzip), (Some(0), String::new()), "{options:?}");
        assert!(unpacked() == fs::read(&file).unwrap(), "{options:?}");
    }
    // what needs to seek, or is asked for so, comes flattened
    let again = dir.path().join("again");
    for options in [&["-l", "-d31"][..], &["-F", "-E", "-d1"]] {
        let plain: Vec<&str> = options.iter().copied().filter(|option| *option != "-F").collect();
        gdump_ok(&[&plain[..], &["-f", "--message-level", "4", text(&tiny().vmcore), text(&file)]].concat());
        let command = format!("|cat > {}", text(&gz));
        assert_eq!(piped(options, &command), (Some(0), String::new()), "{options:?}");
        gdump_ok(&["-R", "-f", "--message-level", "4", text(&gz), text(&again)]);
        assert!(fs::read(&again).unwrap() == fs::read(&file).unwrap(), "{options:?}");
    }
    // what gdump reports does not get into what the command prints
    let run = gdump(&["-E", text(&tiny().vmcore), "|wc -c"]);
    let len: u64 = String::from_utf8(run.stdout).unwrap().trim().parse().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(len > 1 << 20 && said.contains("The dumpfile is saved to |wc -c."), "{len} {said}");
}

#[test]
fn a_command_that_fails_is_told_by_the_exit_status() {
    let dir = scratch();
    let out = dir.path().join("out");
    let path = text(&out);
    // it took all, and failed then: what it made is left, whatever it is worth
    let (status, said) = piped(&["-E", "-d1"], &format!("|cat > {path}; exit 5"));
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains(&format!("|cat > {path}; exit 5: the command failed: exit status 5\n")), "{said}");
    gdump_ok(&["check", path]);
    let (status, said) = piped(&["-E", "-d1"], &format!("|cat > {path}; kill -TERM $$"));
    assert!(status == Some(3) && said.contains("the command failed: signal 15 ended it\n"), "{said}");
    // it would not take it
    for command in ["|exit 7", "|exec 0<&-; sleep 0.2; exit 7"] {
        for options in [&["-E"][..], &["-l"]] {
            let (status, said) = piped(options, command);
            assert_eq!(status, Some(3), "{said}");
            assert!(said.contains("the command stopped reading\n") && said.contains("exit status 7\n"), "{said}");
        }
    }
    let (status, said) = piped(&["-E"], "|/nothing/there");
    assert!(status == Some(3) && said.contains("exit status 127, there may be no such program\n"), "{said}");
}

/// A command that ends early and well is no failure of its own, but the dump is not saved. It has the beginning.
#[test]
fn a_command_that_ends_early_has_a_part() {
    let dir = scratch();
    let (out, whole) = (dir.path().join("out"), dir.path().join("whole"));
    gdump_ok(&["-E", "--message-level", "4", text(&tiny().vmcore), text(&whole)]);
    let command = format!("|head -c 100000 > {}", text(&out));
    let (status, said) = piped(&["-E"], &command);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the command stopped reading\n"), "{said}");
    assert!(said.contains(": incomplete: what the command got is a part of it\n"), "{said}");
    assert!(!said.contains("flagged"), "{said}");
    assert!(fs::read(&out).unwrap() == fs::read(&whole).unwrap()[..100_000]);
    // no second level is tried: nothing can be taken back
    let (status, said) = piped(&["-l", "-d1,31"], &command);
    assert!(status == Some(1) && !said.contains("Retry"), "{said}");
}

#[test]
fn a_command_is_not_run_for_nothing() {
    let dir = scratch();
    let made = dir.path().join("made");
    let command = format!("|cat > {}", text(&made));
    let e = gdump_refuses(&["-E", "/nothing/there", &command]);
    assert_eq!(e, "gdump: /nothing/there: No such file or directory\n");
    gdump_ok(&["-E", "--dry-run", "--message-level", "4", text(&tiny().vmcore), &command]);
    gdump_ok(&["-E", "--check-params", text(&tiny().vmcore), &command]);
    for (args, why) in [
        (&["-R", "a", &command][..], "-R writes a file, not to a command"),
        (&["--dump-dmesg", "a", &command], "--dump-dmesg writes a file"),
        (&["-g", &command, "-x", "a"], "-g writes a file"),
        (&["repair", "a", &command], "a file is written, not to a command"),
        (&["--split", "a", "b", &command], "the parts of a split dump go to files"),
        (&["--checksum", "a", &command], "--checksum writes a file beside the output"),
        (&["--atomic", "a", &command], "--atomic names a file when it is whole"),
        (&["a", "|"], "expected a shell command"),
    ] {
        let e = gdump_refuses(args);
        assert!(e.contains(why), "{args:?}: {e}");
    }
    assert!(!made.exists());
    // a file may be called so, and for makedumpfile's callers every name is one
    let run = |args: &[&str]| program().current_dir(dir.path()).args(args).output().unwrap();
    assert!(run(&["-E", text(&tiny().vmcore), "./|exit 5"]).status.success());
    assert!(run(&["makedumpfile", "-E", text(&tiny().vmcore), "|exit 6"]).status.success());
    assert_eq!(names(dir.path()), ["|exit 5", "|exit 6"]);
}

/// An input that is cut off: the command gets what there is, and gdump fails, not the command.
#[test]
fn an_incomplete_dump_is_no_success() {
    let dir = scratch();
    let [cut, out] = ["cut", "out"].map(|name| dir.path().join(name));
    let bytes = fs::read(&tiny().vmcore).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    for (command, want) in [("cat", 1), ("cat; exit 5", 1)] {
        let run = gdump(&["-E", "-d1", text(&cut), &format!("|({command}) > {}", text(&out))]);
        assert_eq!(run.status.code(), Some(want), "{}", stderr(&run));
        assert!(fs::metadata(&out).unwrap().len() > 1 << 20);
        let found = gdump(&["info", text(&out)]);
        assert!(String::from_utf8_lossy(&found.stdout).contains("incomplete"), "{}", stderr(&run));
    }
}

fn words(count: u64, from: u64) -> Vec<u64> {
    (0..count).map(|i| from + i).collect()
}

/// QNX on two CPUs of x86-64.
fn guest() -> QnxGcore {
    let memory: Vec<u8> = (0..0x8000u32).map(|i| (i / 7) as u8).collect();
    let cpus = [(0, "procnto"), (1, "io-pkt")].map(|(number, process)| QnxVcpu {
        process,
        ..QnxVcpu::new(number, &words(20, 0x100 * u64::from(number + 1)))
    });
    QnxGcore {
        cause: [11, 1, 14],
        failed: 1,
        aliases: Some([(0x10_1000, 0x1000), (0x10_2000, 0x1000), (0x10_3000, 0x200)]),
        log: Some((0x10_4008, b"Kernel: hello\nsecond\x1b line\n\0\0\0\0".to_vec(), 27)),
        ..QnxGcore::new(62, cpus.into(), vec![(0x10_0000, memory)])
    }
}

#[test]
fn info_shows_what_the_hypervisor_says() {
    let dir = scratch();
    let [gcore, env, kept] = ["g-1.gcore", "g-1.env", "kept"].map(|name| dir.path().join(name));
    fs::write(&gcore, guest().to_bytes()).unwrap();
    let found = gdump_ok(&["info", text(&gcore)]);
    for line in [
        "container    elf, QNX hypervisor guest dump",
        "cpus         2",
        "qnx          signal 11, code 1, fault 14, cpu 1",
        "vcpu         0, page table 0x1000, process procnto, rip 0x10f, rsp 0x112",
        "vcpu         1, page table 0x2000, process io-pkt, rip 0x20f, rsp 0x212",
        "qnx log      Kernel: hello",
        "qnx log      second\\u001b line",
    ] {
        assert!(found.lines().any(|found| found == line), "{line}: {found}");
    }
    assert!(!found.contains("qvm env"));
    // the env file of the virtual machine, beside the dump
    fs::write(&env, r#"{"system": "linux1", "vdevs": [{"name": "virtio-blk"}]}"#).unwrap();
    let want = ["qvm env      system = linux1", "qvm env      vdevs[0].name = virtio-blk"];
    let has = |args: &[&str]| {
        let found = gdump_ok(&[&["info"], args].concat());
        want.iter().all(|line| found.lines().any(|found| found == *line))
    };
    assert!(has(&[text(&gcore)]));
    // it is kept, in every format with notes, and so is all else that is known of the guest
    let json = |path: &Path| {
        let json = gdump_ok(&["info", "--json", text(path)]);
        schema::holds("info", &json);
        serde_json::from_str::<serde_json::Value>(&json).unwrap()
    };
    let source = json(&gcore);
    assert_eq!(source["qvm_env"]["vdevs"][0]["name"], "virtio-blk");
    assert_eq!(source["qnx"]["cpus"][1]["registers"]["rip"], "0x20f");
    assert_eq!(source["qnx"]["log"], "Kernel: hello\nsecond\x1b line\n");
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    let kept = dir.path().join("elsewhere").join(kept.file_name().unwrap());
    for format in ["kdump", "elf", "gcore"] {
        gdump_ok(&["-f", "--message-level", "4", "--format", format, text(&gcore), text(&kept)]);
        let found = json(&kept);
        assert_eq!((&found["qnx"], &found["qvm_env"]), (&source["qnx"], &source["qvm_env"]), "{format}");
        assert!(has(&[text(&kept)]));
        // and comes of it again
        let back = dir.path().join("elsewhere/back.gcore");
        gdump_ok(&["-f", "--message-level", "4", "--format", "gcore", text(&kept), text(&back)]);
        assert_eq!(json(&back)["qnx"], source["qnx"], "{format}");
        gdump_ok(&["diff", text(&gcore), text(&back)]);
        let (record, file) = (guest().record(), fs::read(&back).unwrap());
        let tail = &record[28..];
        assert!(file.windows(tail.len()).any(|bytes| bytes == tail), "{format}");
    }
    // one that is given is what counts
    let other = dir.path().join("other.json");
    fs::write(&other, "[7]").unwrap();
    let found = gdump_ok(&["info", "--qvm-env", text(&other), text(&kept)]);
    assert!(found.contains("qvm env      [0] = 7\n") && !found.contains("linux1"), "{found}");
}

#[test]
fn an_env_file_that_is_none() {
    let dir = scratch();
    let [gcore, env, out] = ["g.gcore", "env", "out"].map(|name| dir.path().join(name));
    fs::write(&gcore, guest().to_bytes()).unwrap();
    fs::write(&env, "system linux1").unwrap();
    let found = gdump_ok(&["info", text(&gcore)]);
    assert!(found.contains("odd          qvm env") && found.contains("not JSON"), "{found}");
    let run = gdump(&["--message-level", "4", text(&gcore), text(&out)]);
    assert!(run.status.success() && stderr(&run).contains("not JSON: "), "{}", stderr(&run));
    // one that was asked for is an error
    for args in [
        &["info", "--qvm-env", text(&env), text(&gcore)][..],
        &["-f", "--qvm-env", text(&env), text(&gcore), text(&out)],
    ] {
        let e = gdump_refuses(args);
        assert!(e.contains(&format!("qvm env {}: not JSON", text(&env))), "{e}");
    }
    // of a dump that is no guest's, nothing is looked for
    let found = gdump_ok(&["info", text(&tiny().vmcore)]);
    assert!(!found.contains("qvm") && !found.contains("qnx"));
}
