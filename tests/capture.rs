//! `gdump capture` against a fake QEMU: a server of QMP, whose guest's memory is this process's.

use crate::fake::{Call, Client, Fake, Server};
use crate::schema;
use crate::support::{gdump, gdump_ok, scratch, text, without_progress};
use dump_synth::{ElfCore, Era, KernelBuilder, Load};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The number of no process.
const NOBODY: &str = "2147483647";

/// What a run may take that ends by itself.
const SOON: Duration = Duration::from_secs(60);

/// The memory of a guest, and what QEMU knows of it.
struct Guest {
    notes: Vec<u8>,
    /// From physical address 0 on.
    memory: Vec<u8>,
    /// Which of it there is (addresses).
    ram: Vec<Range<u64>>,
}

fn guest() -> &'static Guest {
    static GUEST: OnceLock<Guest> = OnceLock::new();
    GUEST.get_or_init(|| {
        let recipe =
            "ram 0..0x2000\nram 0x2800..0x2a00\nanon 0x100..0x180\ncache 0x180..0x190\nfree 0x400..0x600 order=9";
        let kernel = KernelBuilder::new(Era::V6_12).recipe(recipe).build();
        // QEMU has memory that goes on as one
        let mut ram: Vec<Range<u64>> = Vec::new();
        for run in kernel.ram().iter().map(|run| run.start << 12..run.end << 12) {
            match ram.last_mut().filter(|last| last.end == run.start) {
                Some(last) => last.end = run.end,
                None => ram.push(run),
            }
        }
        let mut memory = vec![0; ram.last().unwrap().end as usize];
        for run in &ram {
            let bytes = kernel.memory().bytes(run.start, run.end - run.start);
            memory[run.start as usize..run.end as usize].copy_from_slice(&bytes);
        }
        Guest { notes: kernel.notes(), memory, ram }
    })
}

impl Guest {
    /// QEMU's dump of it, or of a part.
    fn elf(&self, part: Option<Range<u64>>) -> Vec<u8> {
        let part = part.unwrap_or(0..u64::MAX);
        let core = ElfCore::x86_64().like_qemu().note(self.notes.clone());
        let within = self.ram.iter().map(|run| run.start.max(part.start)..run.end.min(part.end));
        let loads = within
            .filter(|run| !run.is_empty())
            .map(|run| Load::new(run.start, run.start, self.memory[run.start as usize..run.end as usize].to_vec()));
        loads.fold(core, ElfCore::load).to_bytes()
    }

    /// `info mtree -f`, where the first range and the others have `names`.
    fn tree(&self, names: [&str; 2]) -> String {
        let mut text = "FlatView #0\r\n AS \"memory\", root: system\r\n Root memory region: system\r\n".to_owned();
        for (i, run) in self.ram.iter().enumerate() {
            let name = names[i.min(1)];
            let (start, last) = (run.start, run.end - 1);
            text += &format!("  {start:016x}-{last:016x} (prio 0, ram): {name} @{start:016x} KVM\r\n");
        }
        text + "  00000000fee00000-00000000feefffff (prio 4096, i/o): kvm-apic-msi\r\n\r\n"
    }

    /// The dump in a file.
    fn file() -> &'static Path {
        static FILE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
        let (_, path) = FILE.get_or_init(|| {
            let dir = scratch();
            let path = dir.path().join("vmcore");
            fs::write(&path, guest().elf(None)).unwrap();
            (dir, path)
        });
        path
    }
}

/// A fake QEMU, and whether its guest runs.
pub struct Qemu {
    fake: Fake,
    runs: Arc<AtomicBool>,
}

impl Qemu {
    /// Its guest `runs`; `odd` does something else than it should with a command, and says so.
    fn start(runs: bool, odd: impl FnMut(&Client, &mut Call) -> bool + Send + 'static) -> Qemu {
        let (machine, runs) = Machine::new(runs, odd);
        Qemu { fake: Fake::start(machine), runs }
    }

    /// A healthy one that listens on a port.
    fn over_tcp() -> Qemu {
        let (machine, runs) = Machine::new(true, |_: &Client, _: &mut Call| false);
        Qemu { fake: Fake::start_tcp(machine), runs }
    }

    /// One that does as it should.
    pub fn healthy() -> Qemu {
        Qemu::start(true, |_, _| false)
    }

    /// Its socket.
    pub fn path(&self) -> &Path {
        self.fake.path()
    }

    fn runs(&self) -> bool {
        self.runs.load(Ordering::SeqCst)
    }

    /// The guest as an argument.
    fn name(&self) -> String {
        format!("qmp:{}", self.fake.address())
    }

    fn capture(&self, args: &[&str]) -> Output {
        gdump(&[&["capture", &self.name()], args].concat())
    }

    /// The same, which must succeed: what it says.
    fn captures(&self, args: &[&str]) -> String {
        let run = self.capture(args);
        assert!(run.status.success(), "{args:?}: {}", said(&run));
        said(&run)
    }

    /// The commands that change how the guest is.
    fn changes(&self) -> Vec<String> {
        self.fake.calls().into_iter().filter(|call| call == "stop" || call == "cont").collect()
    }
}

struct Machine<F> {
    odd: F,
    runs: Arc<AtomicBool>,
    dumps: Arc<AtomicBool>,
    passed: Option<File>,
    names: [&'static str; 2],
}

impl<F: FnMut(&Client, &mut Call) -> bool + Send + 'static> Server for Machine<F> {
    fn answer(&mut self, client: &Client, mut call: Call) {
        if (self.odd)(client, &mut call) {
            return;
        }
        let value = match call.name.as_str() {
            "stop" | "cont" => {
                self.runs.store(call.name == "cont", Ordering::SeqCst);
                json!({})
            }
            "query-status" => {
                let runs = self.runs.load(Ordering::SeqCst);
                json!({ "running": runs, "status": if runs { "running" } else { "paused" } })
            }
            "human-monitor-command" => match call.text("command-line").strip_prefix("gpa2hva 0x") {
                Some(addr) => {
                    let addr = u64::from_str_radix(addr, 16).unwrap();
                    let host = guest().memory.as_ptr() as u64 + addr;
                    json!(format!("Host virtual address for {addr:#x} (pc.ram) is {host:#x}\r\n"))
                }
                None => json!(guest().tree(self.names)),
            },
            "getfd" => {
                self.passed = call.file.take();
                json!({})
            }
            "dump-guest-memory" => return self.dump(client, &call),
            "query-dump" => {
                let status = if self.dumps.load(Ordering::SeqCst) { "active" } else { "completed" };
                json!({ "status": status, "completed": 8192, "total": 8192 })
            }
            "query-memdev" | "query-memory-devices" => json!([]),
            "qmp_capabilities" | "closefd" | "set-action" => json!({}),
            "query-version" => json!({ "qemu": { "major": 7, "minor": 2, "micro": 9 }, "package": "" }),
            "query-dump-guest-memory-capability" => {
                json!({ "formats": ["elf", "kdump-zlib", "kdump-snappy", "win-dmp"] })
            }
            name => return client.refuse(&call, "CommandNotFound", &format!("The command {name} has not been found")),
        };
        client.answer(&call, value);
    }
}

impl<F> Machine<F> {
    /// One whose guest `runs`, and whether it does.
    fn new(runs: bool, odd: F) -> (Machine<F>, Arc<AtomicBool>) {
        let runs = Arc::new(AtomicBool::new(runs));
        let seen = Arc::clone(&runs);
        (Machine { odd, runs, dumps: Arc::default(), passed: None, names: ["pc.ram"; 2] }, seen)
    }

    /// Writes a dump, as a thread of QEMU's does: the guest stands still meanwhile, and runs again if it did.
    fn dump(&mut self, client: &Client, call: &Call) {
        let passed = self.passed.take();
        let ran = self.runs.swap(false, Ordering::SeqCst);
        self.dumps.store(true, Ordering::SeqCst);
        let (runs, dumps) = (Arc::clone(&self.runs), Arc::clone(&self.dumps));
        write_dump(client, call, passed, move || {
            runs.fetch_or(ran, Ordering::SeqCst);
            dumps.store(false, Ordering::SeqCst);
        });
    }
}

fn write_dump(client: &Client, call: &Call, passed: Option<File>, over: impl FnOnce() + Send + 'static) {
    let begin = call.arguments.get("begin").and_then(Value::as_u64);
    let part = begin.map(|begin| begin..begin + call.arguments["length"].as_u64().unwrap());
    let bytes = match call.text("format") {
        "" | "elf" => guest().elf(part),
        "nothing" => Vec::new(),
        format => format!("KDUMP by {format}").into_bytes(),
    };
    let mut file = match call.text("protocol").split_once(':') {
        Some(("fd", _)) => passed.unwrap(),
        Some(("file", path)) => File::create(path).unwrap(),
        other => panic!("{other:?}"),
    };
    client.answer(call, json!({}));
    let client = client.another();
    std::thread::spawn(move || {
        let done = file.write_all(&bytes).is_ok();
        drop(file);
        over();
        let status = if done { "completed" } else { "failed" };
        client.event("DUMP_COMPLETED", json!({ "result": { "status": status, "completed": 1, "total": 1 } }));
    });
}

/// All that a run said.
fn said(run: &Output) -> String {
    String::from_utf8_lossy(&[run.stdout.clone(), run.stderr.clone()].concat()).into_owned()
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

/// Whatever is wanted of a guest, and however it is read, it is the same as of QEMU's dump.
#[test]
fn a_capture_is_the_conversion_of_a_dump() {
    let dir = scratch();
    let [got, want] = ["got", "want"].map(|name| dir.path().join(name));
    let file = text(Guest::file());
    for options in [
        &["-l", "-d", "31"][..],
        &["-c", "-d", "0"],
        &["-E", "-d", "31"],
        &["-E", "-d", "0"],
        &["-l", "-d", "31", "--pfn-range", "0x80..0x2900"],
        &["--format", "lime", "-d", "0"],
    ] {
        gdump(&[options, &["-f", file, text(&want)]].concat());
        for way in [&[][..], &["--via", "dump"], &["--via", "direct"], &["--qemu-pid", NOBODY]] {
            let qemu = Qemu::healthy();
            let said = qemu.captures(&[way, options, &["-f", text(&got)]].concat());
            assert!(bytes(&got) == bytes(&want), "{options:?} {way:?}: {said}");
            assert!(said.contains("The guest stood still for "), "{said}");
            // QEMU stops its guest for a dump of its own, and would let it run again if we were killed
            let changes: &[&str] = if way.contains(&"dump") || way.contains(&NOBODY) { &[] } else { &["stop", "cont"] };
            assert!(qemu.runs() && qemu.changes() == changes, "{way:?}");
            let by_dump = qemu
                .fake
                .arguments()
                .iter()
                .any(|(name, with)| name == "dump-guest-memory" && with.get("begin").is_none());
            assert_eq!(by_dump, way.contains(&"dump") || way.contains(&NOBODY), "{way:?}");
            if way.contains(&NOBODY) {
                assert!(
                    said.contains("QEMU writes the guest's memory") && said.contains("/proc/2147483647/mem"),
                    "{said}"
                );
            }
            fs::remove_file(&got).unwrap();
        }
    }
    let qemu = Qemu::healthy();
    let run = qemu.capture(&["-l", "-d", "31", "--via", "direct", "--qemu-pid", NOBODY, text(&got)]);
    assert!(run.status.code() == Some(1) && said(&run).lines().count() == 1, "{}", said(&run));
    assert!(qemu.changes().is_empty() && !got.exists());
}

#[test]
fn a_capture_goes_where_a_conversion_goes() {
    let file = text(Guest::file());
    let qemu = Qemu::healthy();
    let [got, want] = [qemu.capture(&["-F", "-l", "-d", "31"]), gdump(&["-F", "-l", "-d", "31", file])];
    assert!(got.status.success() && got.stdout == want.stdout && qemu.runs(), "{}", said(&got));

    let dir = scratch();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| dir.path().join(name));
    qemu.captures(&["-l", "-d", "31", "--split", text(&a), text(&b)]);
    gdump_ok(&["-l", "-d", "31", "--message-level", "0", "--split", file, text(&c), text(&d)]);
    assert!(bytes(&a) == bytes(&c) && bytes(&b) == bytes(&d));

    for table in [&["--dry-run", "-d", "31", "--message-level", "16", text(&a)][..], &["--mem-usage"]] {
        let numbers = |run: Output| -> Vec<String> {
            let said = said(&run);
            let lines = said.lines().filter(|line| line.contains("  : ") || line.contains("\t"));
            lines.map(str::to_owned).collect()
        };
        let (options, output) = table.split_at(table.len() - usize::from(table.len() > 1));
        let want = gdump(&[options, &["-f", file], output].concat());
        let got = qemu.capture(&[options, &["-f"], output].concat());
        assert!(got.status.success(), "{table:?}: {}", said(&got));
        let want = numbers(want);
        assert!(numbers(got) == want && want.len() > 5, "{table:?}: {want:?}");
    }
    assert!(qemu.runs());
}

/// A process that may not be read, and memory in files that may.
#[test]
fn shared_files_are_read_where_the_process_may_not_be() {
    let dir = scratch();
    let [ram, got, want] = ["ram", "got", "want"].map(|name| dir.path().join(name));
    fs::write(&ram, &guest().memory).unwrap();
    gdump(&["-l", "-d", "31", text(Guest::file()), text(&want)]);
    // of the second range no file is known: QEMU writes it
    for second in ["mem", "vga.vram", "in a directory"] {
        // where mem-path is a directory, QEMU's file has no name
        let path = if second == "in a directory" { dir.path().to_owned() } else { ram.clone() };
        let odd = move |client: &Client, call: &mut Call| {
            let value = match (call.name.as_str(), call.text("property")) {
                ("query-memdev", _) => {
                    json!([{ "id": "mem", "share": true, "size": 1 }, { "id": "other", "share": false }])
                }
                ("qom-get", "mem-path") => json!(text(&path)),
                _ => return false,
            };
            client.answer(call, value);
            true
        };
        let (machine, runs) = Machine::new(true, odd);
        let qemu = Qemu { fake: Fake::start(Machine { names: ["mem", second], ..machine }), runs };
        let said = qemu.captures(&["-f", "-l", "-d", "31", "--qemu-pid", NOBODY, text(&got)]);
        assert_eq!(said.contains("QEMU writes"), second == "in a directory", "{second}: {said}");
        assert!(bytes(&got) == bytes(&want), "{second}: {said}");
        if second == "in a directory" {
            continue;
        }
        let dumps = qemu.fake.calls().iter().filter(|call| *call == "dump-guest-memory").count();
        assert_eq!(dumps, if second == "mem" { 1 } else { guest().ram.len() });
        assert!(qemu.runs());
    }
}

/// A port passes no files and tells of no process: QEMU writes a file of ours, or somebody says which process it is.
#[test]
fn over_a_port() {
    let dir = scratch();
    let [got, want] = ["got", "want"].map(|name| dir.path().join(name));
    gdump(&["-l", "-d", "31", text(Guest::file()), text(&want)]);
    let own = std::process::id().to_string();
    for (more, by_qemu) in [(&[][..], true), (&["--via", "dump"], true), (&["--qemu-pid", &own], false)] {
        let qemu = Qemu::over_tcp();
        let said = qemu.captures(&[more, &["-f", "-l", "-d", "31", text(&got)]].concat());
        assert!(bytes(&got) == bytes(&want), "{more:?}: {said}");
        let wrote_all = qemu
            .fake
            .arguments()
            .iter()
            .any(|(name, arguments)| name == "dump-guest-memory" && arguments.get("begin").is_none());
        assert!(wrote_all == by_qemu && qemu.runs() && !qemu.fake.saw("getfd"), "{more:?}: {said}");
    }
}

/// What is captured must not have moved.
#[test]
fn somebody_else_lets_the_guest_run() {
    let dir = scratch();
    let out = dir.path().join("out");
    for more in [&[][..], &["--keep-stopped"]] {
        let qemu = Qemu::start(true, |client, call| {
            if call.name == "dump-guest-memory" {
                client.event("RESUME", json!({}));
            }
            false
        });
        let run = qemu.capture(&[more, &["-f", "-l", "-d", "31", text(&out)]].concat());
        let said = said(&run);
        assert!(run.status.code() == Some(1) && said.contains("somebody else let the guest run"), "{said}");
    }
}

/// A capture that was killed left QEMU with a dump that nobody reads: what is said of that is said to the next one.
#[test]
fn the_end_of_another_dump_is_none_of_ours() {
    let dir = scratch();
    let out = dir.path().join("out");
    let qemu = Qemu::start(true, |client, call| {
        if call.name == "dump-guest-memory" {
            let result = json!({ "status": "failed", "completed": 0, "total": 8192 });
            let error = "dump: failed to write elf header: Broken pipe";
            client.event("DUMP_COMPLETED", json!({ "result": result, "error": error }));
        }
        false
    });
    let said = qemu.captures(&["-f", "-l", "-d", "31", text(&out)]);
    assert!(qemu.runs() && said.contains("stood still"), "{said}");
}

/// A reset loads firmware and kernel anew, and what is captured has changed; without us the guest would have started again.
#[test]
fn somebody_else_resets_the_guest() {
    let dir = scratch();
    let out = dir.path().join("out");
    for (ran, kept) in [(true, false), (true, true), (false, false)] {
        let mut reset = false;
        let qemu = Qemu::start(ran, move |client, call| {
            if call.name == "dump-guest-memory" {
                client.event("RESET", json!({ "guest": false, "reason": "host-qmp-system-reset" }));
                reset = true;
            }
            let asked = reset && call.name == "query-status";
            if asked {
                client.answer(call, json!({ "running": false, "status": "prelaunch" }));
            }
            asked
        });
        let stays: &[&str] = if kept { &["--keep-stopped"] } else { &[] };
        let run = qemu.capture(&[stays, &["-f", "-l", "-d", "31", text(&out)]].concat());
        let said = said(&run);
        assert!(run.status.code() == Some(1) && said.contains("the guest was reset"), "{said}");
        assert!(!said.contains("as it was before"), "{said}");
        assert_eq!(qemu.runs(), ran && !kept, "{said}");
    }
}

/// Nothing of a guest is touched by what can be refused, or waited for, without it.
#[test]
fn a_guest_is_not_stopped_for_nothing() {
    let dir = scratch();
    let [out, missing] = ["out", "missing"].map(|name| dir.path().join(name));
    std::fs::write(&out, "precious").unwrap();
    let qemu = Qemu::healthy();
    let run = qemu.capture(&["--check-params", "-l", "-d", "31", "-f", text(&out)]);
    assert!(run.status.success() && run.stdout.is_empty() && run.stderr.is_empty(), "{}", said(&run));
    let run = qemu.capture(&["--check-params", "-l", "--dump-dmesg", text(&out)]);
    assert!(run.status.code() == Some(1), "{}", said(&run));
    for option in ["-x", "-i"] {
        let run = qemu.capture(&["-f", "-l", "-d", "31", option, text(&missing), text(&out)]);
        assert!(run.status.code() == Some(1) && said(&run).contains("missing"), "{}", said(&run));
    }
    let run = qemu.capture(&["-l", "-d", "31"]);
    assert!(run.status.code() == Some(1) && said(&run).contains("found the guest alone"), "{}", said(&run));
    assert!(qemu.runs() && qemu.changes().is_empty());
    assert_eq!(std::fs::read(&out).unwrap(), b"precious");
}

/// A guest that migrated while it stood still runs elsewhere: nobody may let it run here.
#[test]
fn a_guest_that_is_gone_is_left_so() {
    let dir = scratch();
    let out = dir.path().join("out");
    let mut stopped = false;
    let qemu = Qemu::start(true, move |client, call| {
        stopped |= call.name == "stop";
        let gone = stopped && call.name == "query-status";
        if gone {
            client.answer(call, json!({ "running": false, "status": "postmigrate" }));
        }
        gone
    });
    let said = qemu.captures(&["-l", "-d", "31", text(&out)]);
    assert!(said.contains("postmigrate") && qemu.changes() == ["stop"], "{said}");
}

/// The files that a guest is made of are no outputs.
#[test]
fn the_files_of_the_guest() {
    let dir = scratch();
    let [ram, disk] = ["ram", "disk"].map(|name| dir.path().join(name));
    fs::write(&ram, b"memory").unwrap();
    fs::write(&disk, b"disk").unwrap();
    let files = [ram.clone(), disk.clone()];
    let qemu = Qemu::start(true, move |client, call| {
        let value = match (call.name.as_str(), call.text("property")) {
            ("query-memdev", _) => json!([{ "id": "mem", "share": false, "size": 6 }]),
            ("qom-get", "mem-path") => json!(text(&files[0])),
            ("query-block", _) => {
                json!([{ "device": "cd" }, { "device": "hd", "inserted": { "file": text(&files[1]) } }])
            }
            _ => return false,
        };
        client.answer(call, value);
        true
    });
    for (path, want) in [(&ram, &b"memory"[..]), (&disk, b"disk")] {
        for way in [&["-d", "0"][..], &["--via", "dump"], &["--via", "dump", "--format", "kdump-zlib"]] {
            let run = qemu.capture(&[way, &["-f", text(path)]].concat());
            let said = said(&run);
            assert!(run.status.code() == Some(1) && said.contains("same file"), "{way:?}: {said}");
            assert_eq!(bytes(path), want);
        }
    }
    assert!(qemu.runs() && qemu.changes().is_empty());
}

#[test]
fn a_guest_is_left_as_it_is_to_be() {
    let dir = scratch();
    let out = dir.path().join("out");
    let args = ["-f", "-l", "-d", "31", text(&out)];
    let qemu = Qemu::healthy();
    let said = qemu.captures(&[&["--keep-stopped"], &args[..]].concat());
    assert!(!qemu.runs() && qemu.changes() == ["stop"] && said.contains("The guest stays stopped"), "{said}");
    let said = qemu.captures(&args);
    assert!(!qemu.runs() && qemu.changes() == ["stop"] && said.contains("as it was before: paused"), "{said}");
    let said = qemu.captures(&["--resume-guest"]);
    assert!(qemu.runs() && said.contains("The guest runs; before, it was paused"), "{said}");

    let said = qemu.captures(&[&["--live"], &args[..]].concat());
    assert!(qemu.runs() && qemu.changes() == ["stop", "cont"] && !said.contains("stood still"), "{said}");
    assert!(gdump_ok(&["info", text(&out)]).contains("its machine ran while its memory was read"));
    let again = dir.path().join("again");
    let run = gdump(&["-c", "-d", "31", text(&out), text(&again)]);
    assert!(
        run.status.success() && self::said(&run).contains("warning: ") && self::said(&run).contains("its machine ran")
    );
    assert!(gdump_ok(&["info", text(&again)]).contains("its machine ran"));
    let elf = dir.path().join("elf");
    qemu.captures(&["-f", "--live", "-E", "-d", "31", text(&elf)]);
    assert!(gdump_ok(&["info", text(&elf)]).contains("its machine ran"));
    // one that stands still has nothing that does not fit
    let still = Qemu::start(false, |_, _| false);
    let said = still.captures(&[&["--live"], &args[..]].concat());
    assert!(still.changes().is_empty() && !gdump_ok(&["info", text(&out)]).contains("its machine ran"), "{said}");
    // QEMU itself would stop it
    let run = qemu.capture(&[&["--live", "--qemu-pid", NOBODY], &args[..]].concat());
    assert!(run.status.code() == Some(1), "{}", self::said(&run));
}

#[test]
fn a_panic_is_waited_for() {
    let dir = scratch();
    let out = dir.path().join("out");
    for knows in [true, false] {
        let runs = Arc::new(AtomicBool::new(true));
        let stopped = Arc::clone(&runs);
        let odd = move |client: &Client, call: &mut Call| {
            if call.name == "set-action" {
                let (other, stopped) = (client.another(), Arc::clone(&stopped));
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    other.event("RTC_CHANGE", json!({ "offset": 0 }));
                    stopped.store(false, Ordering::SeqCst);
                    other.event("GUEST_PANICKED", json!({ "action": "pause" }));
                });
                if !knows {
                    client.refuse(call, "CommandNotFound", "The command set-action has not been found");
                }
            }
            call.name == "set-action" && !knows
        };
        let machine =
            Machine { odd, runs: Arc::clone(&runs), dumps: Arc::default(), passed: None, names: ["pc.ram"; 2] };
        let qemu = Qemu { fake: Fake::start(machine), runs };
        let said = qemu.captures(&["-f", "-l", "-d", "31", "--on-panic", text(&out)]);
        assert!(said.contains("Waiting for the guest's kernel to panic") && !qemu.runs(), "{said}");
        assert_eq!(said.contains("warning: "), !knows, "{said}");
        assert!(qemu.fake.arguments().contains(&("set-action".to_owned(), json!({ "panic": "pause" }))));
        assert!(!qemu.fake.saw("cont"));
    }
    let qemu = Qemu::start(true, |client, call| {
        if call.name == "set-action" {
            client.event("SHUTDOWN", json!({ "guest": true }));
        }
        false
    });
    let run = qemu.capture(&["-f", "-l", "--on-panic", text(&out)]);
    assert!(run.status.code() == Some(1) && said(&run).contains("shut down without a panic"), "{}", said(&run));
    let qemu = Qemu::start(false, |client, call| {
        let asked = call.name == "query-status";
        if asked {
            client.answer(call, json!({ "running": false, "status": "shutdown" }));
        }
        asked
    });
    let run = qemu.capture(&["-f", "-l", "--on-panic", text(&out)]);
    assert!(run.status.code() == Some(1) && said(&run).contains("shut down without a panic"), "{}", said(&run));
}

#[test]
fn qemu_is_asked() {
    let qemu = Qemu::healthy();
    let said = qemu.captures(&["--ask"]);
    for line in [
        "QEMU         7.2.9",
        "status       running",
        "QEMU writes  elf, kdump-zlib, kdump-snappy, win-dmp",
        "last dump    completed, 0 of 0 MiB",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let json = qemu.captures(&["--ask", "--json"]);
    schema::holds("ask", &json);
    let answer: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&answer["qemu"], &answer["running"], &answer["name"]), (&json!("7.2.9"), &json!(true), &Value::Null));
    assert_eq!(
        (&answer["formats"], &answer["pid"]),
        (&json!(["elf", "kdump-zlib", "kdump-snappy", "win-dmp"]), &json!(std::process::id()))
    );
    assert_eq!(answer["dump"], json!({ "status": "completed", "completed": 8192, "total": 8192 }));
    let early = Qemu::start(false, |client, call| {
        let early = call.name.starts_with("query-dump");
        if early {
            client.refuse(call, "GenericError", "permitted only after machine initialization has completed");
        }
        early
    });
    let said = early.captures(&["--ask"]);
    assert!(said.contains("status       paused") && said.contains("it does not say"), "{said}");
    assert!(qemu.changes().is_empty());
}

#[test]
fn qemu_writes_a_format_of_its_own() {
    let dir = scratch();
    let out = dir.path().join("out");
    let qemu = Qemu::healthy();
    for format in ["win-dmp", "kdump-zlib"] {
        qemu.captures(&["--format", format, "--via", "dump", "-f", text(&out)]);
        assert_eq!(bytes(&out), format!("KDUMP by {format}").into_bytes());
        assert!(qemu.runs() && qemu.changes().is_empty());
    }
    let run = qemu.capture(&["--format", "kdump-zlib", "--via", "dump", text(&out)]);
    assert!(run.status.code() == Some(1) && said(&run).contains("exists"), "{}", said(&run));
    let qemu = Qemu::start(true, |client, call| {
        let refused = call.name == "dump-guest-memory";
        if refused {
            client.refuse(call, "GenericError", "kdump-snappy is not available now");
        }
        refused
    });
    let other = dir.path().join("other");
    let run = qemu.capture(&["--format", "kdump-snappy", "--via", "dump", text(&other)]);
    assert!(run.status.code() == Some(1) && said(&run).contains("is not available now"), "{}", said(&run));
    assert!(!other.exists() && qemu.fake.saw("closefd") && qemu.runs());
}

/// QEMU is asked before a file is emptied for it, and writes where gdump was started.
#[test]
fn qemu_writes_where_it_is_told_to() {
    let dir = scratch();
    let out = dir.path().join("out");
    fs::write(&out, "an older dump").unwrap();
    let run = Qemu::healthy().capture(&["--via", "dump", "-f", "--format", "kdump-lzo", text(&out)]);
    assert!(run.status.code() == Some(1) && said(&run).contains("not kdump-lzo"), "{}", said(&run));
    assert_eq!(bytes(&out), b"an older dump");
    let qemu = Qemu::over_tcp();
    let args = ["capture", "--via", "dump", "--format", "kdump-zlib", &qemu.name(), "here"];
    let run = crate::support::program().current_dir(dir.path()).args(args).output().unwrap();
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(bytes(&dir.path().join("here")), b"KDUMP by kdump-zlib");
    // a QEMU that sees other files
    let qemu = Qemu::start(true, |_, call| {
        if call.name == "dump-guest-memory" {
            call.arguments["format"] = json!("nothing");
        }
        false
    });
    let run = qemu.capture(&["--via", "dump", "-f", "--format", "kdump-zlib", text(&out)]);
    assert!(run.status.code() == Some(1) && said(&run).contains("nothing is in it"), "{}", said(&run));
}

/// Not a test but the process whose memory another test reads: it says where that is, and waits to be told to end.
#[test]
#[ignore = "is run by another test"]
fn a_process_with_a_guest() {
    println!("\nAT {:x}", guest().memory.as_ptr() as u64);
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_process_without_qmp() {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["capture::a_process_with_a_guest", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let at = lines.find_map(|line| line.strip_prefix("AT ").map(str::to_owned)).unwrap();
    let at = u64::from_str_radix(&at, 16).unwrap();
    let ram: Vec<String> =
        guest().ram.iter().map(|run| format!("{:x}-{:x}@{:x}", run.start, run.end, at + run.start)).collect();
    let dir = scratch();
    let [got, want] = ["got", "want"].map(|name| dir.path().join(name));
    gdump(&["--format", "lime", "-d", "0", text(Guest::file()), text(&want)]);
    let guest = format!("pid:{}", process.id());
    let capture =
        |args: &[&str]| gdump(&[&["capture", &guest, "--format", "lime", "-d", "0", "-f", text(&got)], args].concat());
    let state = || fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap().contains(") T ");
    let ram = ["--ram", &ram.join(",")];
    for (args, stays) in [(&[][..], false), (&["--live"], false), (&["--keep-stopped"], true), (&[], true)] {
        let run = capture(&[&ram, args].concat());
        assert!(run.status.success() && bytes(&got) == bytes(&want), "{args:?}: {}", said(&run));
        assert_eq!(said(&run).contains("stood still"), args.is_empty() && !stays, "{}", said(&run));
        assert_eq!(state(), stays, "{args:?}");
    }
    let number = Pid::from_raw(process.id() as i32).unwrap();
    kill_process(number, Signal::CONT).unwrap();
    let run = capture(&["--ram", "0-1000@10"]);
    assert!(run.status.code() == Some(1) && said(&run).contains("has no memory at 0x10"), "{}", said(&run));
    assert!(!state());
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_full_disk_lets_the_guest_run() {
    let dir = scratch();
    let out = dir.path().join("out");
    for way in ["direct", "dump"] {
        let qemu = Qemu::healthy();
        let script = "ulimit -f 8; exec \"$@\"";
        let args = [
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_gdump"),
            "capture",
            &qemu.name(),
            "-f",
            "--via",
            way,
            "-c",
            "-d",
            "0",
            text(&out),
        ];
        let run = without_progress(Command::new("sh").args(args).output().unwrap());
        assert!(run.status.code() == Some(1) && said(&run).contains("File too large"), "{way}: {}", said(&run));
        let changes: &[&str] = if way == "dump" { &[] } else { &["stop", "cont"] };
        assert!(qemu.runs() && qemu.changes() == changes, "{way}: {:?}", qemu.fake.calls());
    }
}

/// A signal at each step of a capture: the guest runs again before the program has ended.
#[test]
fn signals_let_the_guest_run() {
    let signals = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1];
    let steps = ["stop", "human-monitor-command", "getfd", "dump-guest-memory", "held", "cont", "stuck"];
    let dir = scratch();
    let out = dir.path().join("out");
    for (i, step) in steps.iter().enumerate() {
        for (signal, way) in [(signals[i % 5], "direct"), (signals[(i + 2) % 5], "dump")] {
            if way == "dump" && matches!(*step, "stop" | "human-monitor-command" | "cont") {
                continue; // QEMU does that itself, and knows where its RAM is
            }
            let pid = Arc::new(AtomicI32::new(0));
            let sent_to = Arc::clone(&pid);
            let mut sent = false;
            let mut held = None;
            let at = match *step {
                "held" | "stuck" => "dump-guest-memory",
                step => step,
            };
            let step = *step;
            let qemu = Qemu::start(true, move |client, call| {
                if step == "held" {
                    // it is passed a file, and neither writes nor lets the guest run before it is told to end
                    held = call.file.take().or(held.take());
                }
                if call.name != at || sent {
                    return false;
                }
                sent = true;
                let pid = loop {
                    match sent_to.load(Ordering::SeqCst) {
                        0 => std::thread::sleep(Duration::from_millis(1)),
                        pid => break Pid::from_raw(pid).unwrap(),
                    }
                };
                kill_process(pid, signal).unwrap();
                match step {
                    "held" => client.answer(call, json!({})),
                    "stuck" => {}
                    _ => {
                        std::thread::sleep(Duration::from_millis(60));
                        return false;
                    }
                }
                true
            });
            let args = [
                "--default-signal",
                env!("CARGO_BIN_EXE_gdump"),
                "capture",
                &qemu.name(),
                "-f",
                "--via",
                way,
                "-c",
                "-d",
                "0",
                text(&out),
            ];
            let begun = Instant::now();
            let run = Command::new("env").args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            pid.store(run.id() as i32, Ordering::SeqCst);
            let run = run.wait_with_output().unwrap();
            let said = said(&run);
            assert!(qemu.runs(), "{step} {signal:?} {way}: {said}");
            let changes = qemu.changes();
            match way {
                "dump" => assert_eq!(changes, [""; 0]),
                _ => assert!(changes.first().unwrap() == "stop" && changes.last().unwrap() == "cont", "{changes:?}"),
            }
            assert!(
                run.status.code() == Some(1) || (step == "cont" && run.status.success()),
                "{step} {way}: {} {said}",
                run.status
            );
            assert!(begun.elapsed() < SOON, "{step} {way}: {:?}", begun.elapsed());
        }
    }
}

/// A signal while pages are copied.
#[test]
fn signals_at_any_moment_let_the_guest_run() {
    let dir = scratch();
    let out = dir.path().join("out");
    for i in 0..10 {
        let qemu = Qemu::healthy();
        let args = [
            "--default-signal",
            env!("CARGO_BIN_EXE_gdump"),
            "capture",
            &qemu.name(),
            "-f",
            "-c",
            "-d",
            "0",
            text(&out),
        ];
        let run = Command::new("env").args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while !qemu.fake.saw("stop") && begun.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(i * 17));
        let signal = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT][i as usize % 4];
        let _ = kill_process(Pid::from_raw(run.id() as i32).unwrap(), signal);
        let run = run.wait_with_output().unwrap();
        assert!(qemu.runs() && qemu.changes() == ["stop", "cont"], "{i}: {}", said(&run));
    }
}

#[test]
fn a_server_that_is_lost() {
    let dir = scratch();
    let out = dir.path().join("out");
    for at in [
        "qmp_capabilities",
        "query-status",
        "stop",
        "human-monitor-command",
        "getfd",
        "dump-guest-memory",
        "query-dump",
    ] {
        for dies in [true, false] {
            let mut lost = false;
            let qemu = Qemu::start(true, move |client, call| {
                let now = call.name == at && !lost;
                lost |= now;
                match (now, dies) {
                    (true, true) => client.die(),
                    (true, false) => client.close(),
                    _ => {}
                }
                now
            });
            let begun = Instant::now();
            let way = if matches!(at, "stop" | "human-monitor-command") { "direct" } else { "dump" };
            let run = qemu.capture(&["-f", "-l", "-d", "31", "--via", way, "--timeout", "5", text(&out)]);
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status.code() == Some(1) && begun.elapsed() < SOON, "{at}: {said}");
            // that the guest may stand still is a line of its own
            let lines = said.lines().filter(|line| !line.contains("may still stand still")).count();
            assert!(lines == 1 && said.contains("connection"), "{at}: {said}");
            let stopped = qemu.fake.saw("stop");
            assert_eq!(
                said.contains("may still stand still") && said.contains("--resume-guest"),
                dies && stopped,
                "{at}: {said}"
            );
            assert!(dies || qemu.runs(), "{at}: {said}");
        }
    }
}

#[test]
fn a_client_is_there_already() {
    let qemu = Qemu::healthy();
    let mut first = std::os::unix::net::UnixStream::connect(qemu.fake.path()).unwrap();
    first.read_exact(&mut [0; 10]).unwrap();
    let run = qemu.capture(&["-l", "-d", "31", "--timeout", "1", "/nonexistent/out"]);
    let said = said(&run);
    assert!(run.status.code() == Some(1) && said.lines().count() == 1, "{said}");
    assert!(said.contains("no greeting in 1 s") && said.contains("one client a socket"), "{said}");
}
