//! The client of QMP against servers that do what QEMU does, and what nobody would expect: no case takes longer than the
//! client's patience, and each error says where it happened.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test ends by it

mod fake;

use dump_guest::{Access, Address, Event, Patience, Qmp, RamMap, RunState, Standstill, WholeDump, ask, part};
use fake::{Call, Client, Fake, Server, greeting};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long clients wait for an answer here.
const PATIENCE: Duration = Duration::from_millis(400);

/// What a case may take that waits for one answer: the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

fn connect(fake: &Fake) -> dump_core::Result<Qmp> {
    Qmp::connect(&Address::Unix(fake.path().to_owned()), Patience::of(PATIENCE))
}

fn connected(fake: &Fake) -> Arc<Qmp> {
    Arc::new(connect(fake).unwrap())
}

/// The one line of an error.
fn line<T>(result: dump_core::Result<T>) -> String {
    let text = result.err().expect("an error").to_string();
    assert!(!text.contains('\n') && text.len() < 400, "{text}");
    text
}

/// What a healthy server says to everything but what a test is about.
fn healthy(client: &Client, call: &Call) {
    with_guest(client, call, true);
}

/// The same, of a guest that `runs` or is stopped.
fn with_guest(client: &Client, call: &Call, runs: bool) {
    let value = match call.name.as_str() {
        "query-status" => json!({ "running": runs, "status": if runs { "running" } else { "paused" } }),
        "human-monitor-command" if call.text("command-line").starts_with("gpa2hva") => {
            json!("Host virtual address for 0x0 (pc.ram) is 0x7f0000000000\r\n")
        }
        "human-monitor-command" => json!("FlatView #1\n AS \"memory\", root: system\n  0-ffff (prio 0, ram): pc.ram\n"),
        "query-memdev" | "query-memory-devices" => json!([]),
        _ => json!({}),
    };
    client.answer(call, value);
}

/// Healthy but for the command `name`, where `other` says what happens.
fn but(name: &'static str, mut other: impl FnMut(&Client, &Call) + Send + 'static) -> Fake {
    let mut runs = true;
    Fake::start(move |client: &Client, call: Call| {
        runs &= call.name != "stop";
        match call.name == name {
            true => other(client, &call),
            false => with_guest(client, &call, runs),
        }
    })
}

/// One that does not answer well when a client comes.
struct Greets<F>(F);

impl<F: FnMut(&Client) + Send + 'static> Server for Greets<F> {
    fn greet(&mut self, client: &Client) {
        (self.0)(client);
    }

    fn answer(&mut self, client: &Client, call: Call) {
        healthy(client, &call);
    }
}

#[test]
fn greetings_of_other_versions() {
    let with = |version: Value| json!({ "QMP": { "version": version, "capabilities": [] } });
    let greetings = [
        with(json!({ "qemu": { "micro": 0, "minor": 5, "major": 2 }, "package": "" })),
        with(json!({ "qemu": { "micro": 0, "minor": 2, "major": 7 }, "package": "Debian 1:7.2+dfsg-7" })),
        with(json!({ "qemu": { "micro": 50, "minor": 0, "major": 10 } })),
        json!({ "QMP": {} }),
    ];
    for greeting in greetings {
        for text in [format!("{greeting}\r\n"), format!("{greeting:#}\n"), format!("\n \n{greeting}\n")] {
            let fake = Fake::start(Greets(move |client: &Client| {
                client.raw(text.as_bytes());
            }));
            assert!(RunState::of(&connect(&fake).unwrap()).unwrap().running, "{greeting}");
        }
    }
}

#[test]
fn who_is_no_server_is_told_at_once() {
    for (said, want) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "not JSON"),
        ("{\"QMP\": \"\n\"}\n", "not JSON"),
        ("{\"return\": {}}\n", "not a QMP server"),
        ("[]\n", "not a QMP server"),
        ("null\n", "not a QMP server"),
    ] {
        let fake = Fake::start(Greets(move |client: &Client| {
            client.raw(said.as_bytes());
        }));
        let begun = Instant::now();
        let text = line(connect(&fake));
        assert!(text.contains(want) && text.contains("/qmp: ") && begun.elapsed() < SOON, "{said}: {text}");
    }
}

/// It listens, but somebody else is served: nobody greets, and at last nobody is let in.
#[test]
fn a_server_that_is_busy() {
    let fake = Fake::start(healthy_server());
    let _first = connect(&fake).unwrap();
    let begun = Instant::now();
    let text = line(connect(&fake));
    assert!(text.contains("no greeting in 0.4 s") && text.contains("one client a socket"), "{text}");
    assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < SOON);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("full");
    // it lets one wait
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let tries: Vec<String> =
        (0..3).map(|_| line(Qmp::connect(&Address::Unix(path.clone()), Patience::of(PATIENCE)))).collect();
    let full = tries.last().unwrap();
    assert!(full.contains("not let in") && full.contains("one client a socket"), "{full}");
}

fn healthy_server() -> impl Server {
    |client: &Client, call: Call| healthy(client, &call)
}

#[test]
fn events_come_between_answers_and_are_kept() {
    let fake = but("query-status", |client, call| {
        for i in 0..3 {
            client.event("RTC_CHANGE", json!({ "offset": i }));
        }
        client.event("STOP", json!({}));
        client.send(&json!({ "event": "RESUME" }));
        client.send(&json!({ "event": 5 }));
        client.raw(
            format!("{:#}\r\n", json!({ "return": { "running": false, "status": "paused" }, "id": call.id }))
                .as_bytes(),
        );
    });
    let qmp = connected(&fake);
    assert_eq!(RunState::of(&qmp).unwrap().status, "paused");
    assert_eq!(qmp.wait(&["STOP"], Some(PATIENCE)).unwrap().name, "STOP");
    let first = qmp.wait(&["RTC_CHANGE", "RESUME"], Some(PATIENCE)).unwrap();
    assert_eq!(first, Event { name: "RTC_CHANGE".into(), data: json!({ "offset": 0 }) });
    qmp.forget_events();
    let begun = Instant::now();
    let text = line(qmp.wait(&["RESUME"], Some(PATIENCE)));
    assert!(text.contains("no event RESUME in 0.4 s") && begun.elapsed() < SOON, "{text}");
}

/// What each thing that is asked begins with.
type Question = (&'static str, fn(&Arc<Qmp>) -> dump_core::Result<()>);

const QUESTIONS: [Question; 12] = [
    ("query-status", |qmp| RunState::of(qmp).map(drop)),
    ("set-action", |qmp| RunState::pause_on_panic(qmp)),
    ("human-monitor-command", |qmp| RamMap::of(qmp).map(drop)),
    ("human-monitor-command", |qmp| {
        let range = "0-10000".parse().map(|given: dump_guest::GivenRange| given.guest)?;
        let ranges = vec![dump_guest::RamRange { guest: range, host: None, name: String::new(), offset: 0 }];
        RamMap { ranges }.locate(qmp)
    }),
    ("query-memdev", |qmp| Access::to(qmp, Some(i32::MAX)).map(drop)),
    ("getfd", |qmp| part(qmp, &(0..4096)).map(drop)),
    ("dump-guest-memory", |qmp| part(qmp, &(0..4096)).map(drop)),
    ("dump-guest-memory", |qmp| WholeDump::to_pipe(Arc::clone(qmp)).map(drop)),
    ("dump-guest-memory", |qmp| {
        WholeDump::to_path(Arc::clone(qmp), std::path::Path::new("/dev/null"), "kdump-zlib").map(drop)
    }),
    ("stop", |qmp| Standstill::none(Arc::clone(qmp))?.stop()),
    ("cont", |qmp| {
        let guest = Standstill::none(Arc::clone(qmp))?;
        guest.stop()?;
        guest.end().map(drop)
    }),
    ("query-dump", |qmp| WholeDump::to_pipe(Arc::clone(qmp))?.0.finish(&mut |_, _| {})),
];

/// Every command may be refused, and every time it is said what was asked, of whom, and what QEMU said.
#[test]
fn errors_to_each_command() {
    for (class, kind) in
        [("GenericError", dump_core::ErrorKind::Io), ("CommandNotFound", dump_core::ErrorKind::Unsupported)]
    {
        for (name, question) in QUESTIONS {
            if (name, class) == ("query-dump", "CommandNotFound") {
                continue; // QEMU 2.5 has none, and its dumps are waited for all the same
            }
            let fake = but(name, move |client, call| client.refuse(call, class, "it is not to be"));
            let qmp = connected(&fake);
            let begun = Instant::now();
            let error = question(&qmp).expect_err(name);
            let text = error.to_string();
            assert!(text.contains(&format!("{name}: it is not to be")) && text.contains("/qmp: "), "{name}: {text}");
            assert!(error.kind() == kind && begun.elapsed() < SOON, "{name} {class}: {text}");
            // the connection is as good as before
            assert_eq!(name == "query-status", RunState::of(&qmp).is_err());
        }
    }
}

/// Answers that are none, and answers of wrong types.
#[test]
fn answers_without_sense() {
    let values = [
        json!(null),
        json!(5),
        json!("text"),
        json!([[]]),
        json!({ "running": "yes", "status": 1 }),
        json!([{ "id": 1 }]),
    ];
    for value in values {
        for (name, question) in QUESTIONS.iter().filter(|(name, _)| *name != "query-dump") {
            let answer = value.clone();
            let fake = but(name, move |client, call| client.answer(call, answer.clone()));
            let qmp = connected(&fake);
            let begun = Instant::now();
            let done = question(&qmp);
            assert!(begun.elapsed() < SOON, "{name} {value}");
            if matches!(*name, "query-status" | "human-monitor-command" | "query-memdev") {
                assert!(line(done).len() > 10, "{name} {value}");
            }
        }
    }
    for said in [
        "{}",
        "[]",
        "5",
        "{\"error\": null}",
        "{\"error\": {\"desc\": 7}}",
        "{\"id\": 1}",
        "{\"return\"}",
        "what?",
        "{\"id\":{}}",
    ] {
        let fake = but("query-status", move |client, _| {
            client.raw(format!("{said}\n").as_bytes());
        });
        let (begun, text) = (Instant::now(), line(RunState::of(&connected(&fake))));
        assert!(text.contains("query-status: ") && begun.elapsed() < SOON, "{said}: {text}");
    }
}

#[test]
fn a_slow_answer_is_given_up_and_not_taken_for_the_next() {
    for (name, question) in QUESTIONS {
        let fake = but(name, |_, _| {});
        let qmp = connected(&fake);
        let begun = Instant::now();
        let text = line(question(&qmp));
        assert!(text.contains(&format!("{name}: no answer in 0.4 s")), "{name}: {text}");
        // `cont` and `closefd` are sent whatever happened
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < SOON, "{name}: {:?}", begun.elapsed());
    }
    let mut calls = 0;
    let mut late: Option<Value> = None;
    let fake = but("query-status", move |client, call| {
        calls += 1;
        if calls == 1 {
            late = Some(call.id.clone());
            return;
        }
        client.send(&json!({ "return": { "running": true, "status": "the first" }, "id": late.take() }));
        client.send(&json!({ "error": { "class": "GenericError", "desc": "of nobody" }, "id": "other" }));
        client.answer(call, json!({ "running": true, "status": "the second" }));
    });
    let qmp = connected(&fake);
    assert!(RunState::of(&qmp).is_err());
    assert_eq!(RunState::of(&qmp).unwrap().status, "the second");
}

/// A server that hangs up, at each stage.
#[test]
fn a_closed_connection() {
    let fake = Fake::start(Greets(|client: &Client| client.close()));
    assert!(line(connect(&fake)).contains("the connection is closed"));
    let fake = Fake::start(Greets(|client: &Client| {
        client.raw(b"{\"QMP\": {");
        client.close();
    }));
    assert!(line(connect(&fake)).contains("the connection is closed"));
    let fake = but("qmp_capabilities", |client, _| client.close());
    assert!(line(connect(&fake)).contains("qmp_capabilities: the connection is closed"));
    for (name, question) in QUESTIONS {
        for half in [false, true] {
            let fake = but(name, move |client, _| {
                if half {
                    client.raw(b"{\"return\":");
                }
                client.die();
            });
            let qmp = connected(&fake);
            let (begun, text) = (Instant::now(), line(question(&qmp)));
            let said = text.contains("connection is ") || text.contains("Connection refused");
            assert!(said && begun.elapsed() < SOON, "{name}: {text}");
            let begun = Instant::now();
            assert!(line(RunState::of(&qmp)).contains("the connection is closed") && begun.elapsed() < PATIENCE);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let nobody = Address::Unix(dir.path().join("nobody"));
    assert!(line(Qmp::connect(&nobody, Patience::of(PATIENCE))).contains("No such file"));
}

/// Sends `piece` for ever, with a pause.
fn flood(client: &Client, piece: Vec<u8>, pause: Duration) {
    let client = client.another();
    std::thread::spawn(move || {
        let begun = Instant::now();
        while begun.elapsed() < SOON * 4 && client.raw(&piece) {
            std::thread::sleep(pause);
        }
    });
}

#[test]
fn floods_end() {
    let event = format!("{}\r\n", json!({ "event": "RTC_CHANGE", "data": {} })).repeat(100);
    let quick = Duration::ZERO;
    let slow = Duration::from_millis(20);
    for (what, first, piece, pause, want) in [
        ("a line without end", "{\"return\": \"", "x".repeat(1 << 16), quick, "more than 16 MiB"),
        ("an object without end", "{\"return\": [\n", "1,\n".repeat(1 << 12), quick, ""),
        ("deep", "", "[".repeat(1 << 16), quick, "more than 16 MiB"),
        ("a byte now and then", "{\"return\": \"", "x".into(), slow, "no answer in 0.4 s"),
        ("a line now and then", "{\"return\": [\n", "1,\n".into(), slow, "no answer in 0.4 s"),
        ("blank lines", "", "\n".repeat(1000), quick, "no answer in 0.4 s"),
        ("events", "", event, quick, "no answer in 0.4 s"),
    ] {
        let fake = but("query-status", move |client, _| {
            client.raw(first.as_bytes());
            flood(client, piece.clone().into_bytes(), pause);
        });
        let qmp = connected(&fake);
        let (begun, text) = (Instant::now(), line(RunState::of(&qmp)));
        let given_up = text.contains("no answer in 0.4 s"); // a slow machine
        assert!(text.contains(want) || given_up, "{what}: {text}");
        assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
    }
    let fake = Fake::start(Greets(|client: &Client| flood(client, b"{\n".to_vec(), Duration::from_millis(20))));
    let begun = Instant::now();
    assert!(line(connect(&fake)).contains("no greeting") && begun.elapsed() < SOON);
}

/// Who asks to stop waits no longer.
#[test]
fn a_wait_ends_when_it_is_to() {
    let fake = but("query-status", |_, _| {});
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let stopped = Arc::new(move || counted.fetch_add(1, Ordering::SeqCst) > 8);
    let patience = Patience { answer: SOON * 4, last: SOON * 4, stopped };
    let qmp = Qmp::connect(&Address::Unix(fake.path().to_owned()), patience).unwrap();
    let begun = Instant::now();
    assert_eq!(RunState::of(&qmp).unwrap_err().kind(), dump_core::ErrorKind::Interrupted);
    assert_eq!(qmp.wait(&["STOP"], None).unwrap_err().kind(), dump_core::ErrorKind::Interrupted);
    assert!(begun.elapsed() < SOON);
    // but it is run all the same
    assert!(qmp.run_whatever_happens("cont").is_ok());
}

/// A server that writes into what it is passed.
fn writer(bytes: &'static [u8], over: Value) -> Fake {
    let mut passed = None;
    Fake::start(move |client: &Client, mut call: Call| match call.name.as_str() {
        "getfd" => {
            passed = call.file.take();
            assert!(passed.is_some(), "a file comes with its command");
            client.answer(&call, json!({}));
        }
        "dump-guest-memory" => {
            assert_eq!(call.text("protocol"), "fd:gdump");
            passed.take().unwrap().write_all(bytes).unwrap();
            client.answer(&call, json!({}));
            client.event("DUMP_COMPLETED", over.clone());
        }
        _ => healthy(client, &call),
    })
}

#[test]
fn files_go_with_their_command_and_are_taken_back() {
    let whole = || json!({ "result": { "status": "completed", "completed": 4, "total": 4 } });
    assert_eq!(part(&connected(&writer(b"core", whole())), &(0..4096)).unwrap(), b"core");
    for (over, want) in [
        (json!({ "result": { "status": "failed" }, "error": "no space" }), "dump-guest-memory: no space"),
        (json!({ "result": { "status": "failed" } }), "dump-guest-memory: failed"),
        (json!(7), "QEMU does not say why"),
    ] {
        assert!(line(part(&connected(&writer(b"core", over)), &(0..4096))).contains(want));
    }

    let (dump, mut pipe) = WholeDump::to_pipe(connected(&writer(b"all of it", whole()))).unwrap();
    let mut read = String::new();
    pipe.read_to_string(&mut read).unwrap();
    dump.finish(&mut |_, _| {}).unwrap();
    assert_eq!(read, "all of it");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = std::fs::File::create(&path).unwrap();
    WholeDump::to_file(connected(&writer(b"zlib", whole())), file.as_fd(), "kdump-zlib")
        .unwrap()
        .finish(&mut |_, _| {})
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"zlib");

    let fake = but("dump-guest-memory", |client, call| client.refuse(call, "GenericError", "no"));
    assert!(part(&connected(&fake), &(0..4096)).is_err());
    assert_eq!(fake.calls(), ["getfd", "dump-guest-memory", "closefd"]);
}

/// A dump that QEMU begins and never ends, whatever it says of it.
#[test]
fn a_dump_without_an_end() {
    let held = || {
        let mut passed = None;
        move |client: &Client, mut call: Call| {
            passed = call.file.take().or(passed.take());
            healthy(client, &call);
        }
    };
    let begun = Instant::now();
    let text = line(part(&connected(&Fake::start(held())), &(0..4096)));
    assert!(text.contains("dump-guest-memory: nothing came in 0.4 s") && begun.elapsed() < SOON, "{text}");
    let begun = Instant::now();
    let (dump, _pipe) = WholeDump::to_pipe(connected(&Fake::start(held()))).unwrap();
    let text = line(dump.finish(&mut |_, _| {}));
    assert!(text.contains("no event DUMP_COMPLETED") && begun.elapsed() < SOON, "{text}");
}

#[test]
fn what_it_says_of_itself() {
    let fake = Fake::start(|client: &Client, call: Call| match call.name.as_str() {
        "query-version" => {
            client.answer(&call, json!({ "qemu": greeting(10)["QMP"]["version"]["qemu"], "package": "v10.2-rc1" }))
        }
        "query-name" => client.answer(&call, json!({ "name": "lab" })),
        "query-dump-guest-memory-capability" => client.answer(&call, json!({ "formats": ["elf", 5, "kdump-zlib"] })),
        "query-dump" => client.answer(&call, json!({ "status": "active", "completed": 5, "total": 9 })),
        _ => healthy(client, &call),
    });
    let asked = ask(&connected(&fake)).unwrap();
    assert_eq!((asked.version.as_str(), asked.name.as_deref()), ("10.2.0 (v10.2-rc1)", Some("lab")));
    assert_eq!(asked.formats, ["elf", "kdump-zlib"]);
    assert_eq!(asked.dump.map(|dump| (dump.status, dump.completed, dump.total)), Some(("active".into(), 5, 9)));
    assert_eq!(asked.pid, Some(std::process::id() as i32));
    // an old one
    let fake = Fake::start(|client: &Client, call: Call| match call.name.as_str() {
        "query-status" | "qmp_capabilities" => healthy(client, &call),
        name => client.refuse(&call, "CommandNotFound", &format!("The command {name} has not been found")),
    });
    let asked = ask(&connected(&fake)).unwrap();
    assert!(asked.dump.is_none() && asked.formats.is_empty() && asked.state.running);
}
