//! A guest that is stopped runs again, whatever happens in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test ends by it

mod fake;

use dump_core::ErrorKind;
use dump_guest::{Address, Patience, Qmp, RunState, Standstill};
use fake::{Call, Client, Fake};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(400);

/// What a server does with a command, rather than answer as it should.
type Odd = fn(&Client, &Call) -> bool;

/// A guest, which does as it is told unless `odd` did something else.
fn guest(running: bool, mut odd: impl FnMut(&Client, &Call) -> bool + Send + 'static) -> Fake {
    let mut runs = running;
    Fake::start(move |client: &Client, call: Call| {
        if odd(client, &call) {
            return;
        }
        match call.name.as_str() {
            "stop" => runs = false,
            "cont" => runs = true,
            _ => {}
        }
        let status = if runs { "running" } else { "paused" };
        client.answer(&call, json!({ "running": runs, "status": status }));
    })
}

fn held(fake: &Fake) -> (Arc<Qmp>, Standstill) {
    let qmp = Qmp::connect(&Address::Unix(fake.path().to_owned()), Patience::of(PATIENCE)).unwrap();
    let qmp = Arc::new(qmp);
    let held = Standstill::none(Arc::clone(&qmp)).unwrap();
    (qmp, held)
}

/// The commands that change how a guest is.
fn changes(fake: &Fake) -> Vec<String> {
    fake.calls().into_iter().filter(|call| call == "stop" || call == "cont").collect()
}

#[test]
fn a_guest_that_ran_runs_again() {
    let fake = guest(true, |_, _| false);
    let (qmp, stand) = held(&fake);
    assert!(stand.before().running);
    stand.stop().unwrap();
    assert!(!RunState::of(&qmp).unwrap().running);
    assert!(stand.end().unwrap().is_some() && stand.end().unwrap().is_none());
    assert!(RunState::of(&qmp).unwrap().running);
    drop(stand);
    assert_eq!(changes(&fake), ["stop", "cont"]);

    let fake = guest(true, |_, _| false);
    held(&fake).1.stop().unwrap();
    assert_eq!(changes(&fake), ["stop", "cont"], "when it is dropped");
}

/// Who lets the guest go because a signal came may do so before the guest was stopped.
#[test]
fn a_guest_that_was_let_go_is_not_stopped_any_more() {
    let fake = guest(true, |_, _| false);
    let (qmp, stand) = held(&fake);
    assert!(stand.end().unwrap().is_none(), "nothing to end");
    assert_eq!(stand.stop().unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(stand.lend().unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(RunState::of(&qmp).unwrap().running && changes(&fake).is_empty());
}

/// For a dump of its own QEMU stops the guest, and lets it run: that is waited for, and nothing is done.
#[test]
fn a_guest_that_qemu_stops_is_waited_for() {
    let mut asked = 0;
    let fake = guest(true, move |client, call| {
        if call.name == "query-dump" {
            asked += 1;
            let status = if asked < 4 { "active" } else { "failed" };
            client.answer(call, json!({ "status": status, "completed": 0, "total": 1 }));
        }
        call.name == "query-dump"
    });
    let (_, stand) = held(&fake);
    stand.lend().unwrap();
    assert!(stand.end().unwrap().is_some() && stand.end().unwrap().is_none());
    assert!(changes(&fake).is_empty());
    assert_eq!(fake.calls().iter().filter(|call| *call == "query-dump").count(), 4);
}

#[test]
fn only_a_guest_that_was_told_to_stop_is_resumed() {
    for status in ["prelaunch", "inmigrate", "guest-panicked", "shutdown"] {
        let fake = guest(false, move |client, call| {
            if call.name == "query-status" {
                client.answer(call, json!({ "running": false, "status": status }));
            }
            call.name == "query-status"
        });
        let e = held(&fake).1.resume().unwrap_err().to_string();
        assert!(e.contains(&format!("the guest is {status}, not paused")) && changes(&fake).is_empty(), "{e}");
    }
}

#[test]
fn a_guest_that_stood_before_is_left_so() {
    let fake = guest(false, |_, _| false);
    let (qmp, stand) = held(&fake);
    stand.stop().unwrap();
    assert!(stand.end().unwrap().is_none() && stand.before().status == "paused");
    drop(stand);
    assert!(!RunState::of(&qmp).unwrap().running && changes(&fake).is_empty());
    let (_, stand) = (drop(qmp), held(&fake).1);
    stand.resume().unwrap();
    assert_eq!(changes(&fake), ["cont"], "but for who says so");
}

#[test]
fn a_guest_that_is_to_stay_stays() {
    let fake = guest(true, |_, _| false);
    let (_, stand) = held(&fake);
    stand.stop().unwrap();
    stand.keep();
    assert!(stand.end().unwrap().is_none());
    drop(stand);
    assert_eq!(changes(&fake), ["stop"]);
}

/// Whatever becomes of `stop` itself or of a later command, `cont` comes: over the same connection or another.
#[test]
fn errors_in_between() {
    let odd: [(&str, Odd); 8] = [
        ("refused", |client, call| {
            client.refuse(call, "GenericError", "no");
            true
        }),
        ("not answered", |_, _| true),
        ("closed", |client, _| {
            client.close();
            true
        }),
        ("not JSON, and the connection held", |client, _| client.raw(b"?\n")),
        ("too long", |client, _| {
            client.raw(&vec![b'x'; 17 << 20]);
            true
        }),
        ("half an answer", |client, _| {
            client.raw(b"{\"return\": {");
            client.close();
            true
        }),
        ("no sense", |client, _| client.raw(b"[]\n")),
        ("an event", |client, _| {
            client.event("STOP", json!({}));
            true
        }),
    ];
    for at in ["stop", "query-name"] {
        for (what, odd) in odd {
            let fake = guest(true, move |client, call| call.name == at && odd(client, call));
            let (qmp, stand) = held(&fake);
            let begun = Instant::now();
            let stopped = stand.stop();
            assert_eq!(stopped.is_err(), at == "stop", "{what}");
            assert_eq!(
                qmp.run("query-name", json!({})).is_err(),
                at == "query-name" || fake_is_gone(what),
                "{at} {what}"
            );
            assert!(stand.end().unwrap().is_some(), "{at} {what}");
            // again over another connection where the first is found to be lost only then
            let changes = changes(&fake);
            let conts = changes.iter().skip(1);
            assert!(
                changes[0] == "stop" && changes.len() > 1 && conts.into_iter().all(|call| call == "cont"),
                "{at} {what}"
            );
            assert!(begun.elapsed() < Duration::from_secs(10), "{at} {what}");
        }
    }
}

fn fake_is_gone(what: &str) -> bool {
    matches!(what, "closed" | "not JSON, and the connection held" | "too long" | "half an answer")
}

/// `cont` comes again over a new connection where the old one is lost by it, and a further call tries again.
#[test]
fn errors_at_the_end() {
    let mut calls = 0;
    let fake = guest(true, move |client, call| {
        calls += usize::from(call.name == "cont");
        let lost = call.name == "cont" && calls == 1;
        if lost {
            client.close();
        }
        lost
    });
    let (_, stand) = held(&fake);
    stand.stop().unwrap();
    assert!(stand.end().unwrap().is_some());
    assert_eq!(changes(&fake), ["stop", "cont", "cont"]);

    let fake = guest(true, |client, call| {
        let refused = call.name == "cont";
        if refused {
            client.refuse(call, "GenericError", "Resetting the Virtual Machine is required");
        }
        refused
    });
    let (_, stand) = held(&fake);
    stand.stop().unwrap();
    for _ in 0..2 {
        let text = stand.end().unwrap_err().to_string();
        assert!(text.contains("may still stand still") && text.contains("Resetting"), "{text}");
    }

    let fake = guest(true, |client, call| {
        let dies = call.name == "cont";
        if dies {
            client.die();
        }
        dies
    });
    let (_, stand) = held(&fake);
    stand.stop().unwrap();
    let begun = Instant::now();
    assert!(stand.end().is_err() && begun.elapsed() < Duration::from_secs(5));
}

/// QEMU refuses `cont` while it writes a dump (monitor/qmp-cmds.c, `qmp_cont`).
#[test]
fn a_dump_that_is_not_over() {
    for over in [true, false] {
        let begun = Instant::now();
        let fake = guest(true, move |client, call| {
            let writes = !over || begun.elapsed() < PATIENCE / 2;
            match call.name.as_str() {
                "cont" if writes => client.refuse(call, "GenericError", "There is a dump in process, please wait."),
                "query-dump" => client.answer(call, json!({ "status": if writes { "active" } else { "failed" } })),
                _ => return false,
            }
            true
        });
        let (_, stand) = held(&fake);
        stand.stop().unwrap();
        assert_eq!(stand.end().is_ok(), over);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(fake.saw("cont"));
    }
}
