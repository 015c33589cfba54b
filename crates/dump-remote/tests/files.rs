//! Files on a server on loopback, which behaves or does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test ends by it

mod served;

use dump_core::{Error, ErrorKind, Opener, ReadAt};
use dump_remote::{Patience, Remote};
use served::{Content, Manner, Served};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the file that is served: many blocks, and a part of one.
const LEN: usize = (3 << 20) + 1234;

fn file() -> Vec<u8> {
    (0..LEN as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Gives up soon.
fn remote() -> Remote {
    let (first_wait, longest_wait) = (Duration::from_millis(1), Duration::from_millis(4));
    Remote::with(Patience { first_wait, longest_wait, at_first: 3, later: 4, ..Patience::default() })
}

fn served(manner: Manner) -> Served {
    Served::new(Content::bytes(&file()), manner)
}

fn opened(manner: Manner) -> (Served, Remote, Arc<dyn ReadAt>) {
    let (served, remote) = (served(manner), remote());
    let file = remote.open(&served.url()).unwrap_or_else(|e| panic!("{manner:?}: {e}"));
    (served, remote, file)
}

fn open_error(manner: Manner) -> Error {
    let (served, remote) = (served(manner), remote());
    remote.open(&served.url()).err().unwrap_or_else(|| panic!("{manner:?}: opened"))
}

/// Reads all of it, so many bytes at a time.
fn read_all(file: &dyn ReadAt, step: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; file.len()? as usize];
    let mut at = 0;
    for piece in bytes.chunks_mut(step) {
        file.read_exact_at(at, piece)?;
        at += piece.len() as u64;
    }
    Ok(bytes)
}

#[test]
fn bytes_are_those_of_the_file() {
    let want = file();
    for manner in [
        Manner::Well,
        Manner::Slow(Duration::from_millis(5)),
        Manner::Busy(2),
        Manner::CutAfter(70_000),
        Manner::Parts(40_000),
        Manner::SendsOn { forgets: 4 },
        Manner::NoRanges,
    ] {
        let (served, remote, file) = opened(manner);
        assert_eq!(file.len().unwrap(), LEN as u64, "{manner:?}");
        for step in [4096, 100_000, LEN] {
            assert!(read_all(&file, step).unwrap() == want, "{manner:?} {step}");
        }
        assert!(remote.failure().is_none());
        // whatever is read again is still there
        assert!(
            matches!(manner, Manner::NoRanges) || served.sent() < LEN as u64 + 200_000,
            "{manner:?}: {}",
            served.sent()
        );
    }
}

#[test]
fn of_small_files_and_empty_ones() {
    for len in [0, 1, 32 << 10, (32 << 10) + 1] {
        let bytes = &file()[..len];
        let (served, remote) = (Served::new(Content::bytes(bytes), Manner::Well), remote());
        let file = remote.open(&served.url()).unwrap();
        assert!(read_all(&file, 1000).unwrap() == bytes, "{len}");
        let e = file.read_exact_at(len as u64, &mut [0]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Truncated);
        assert!(file.read_exact_at(u64::MAX, &mut [0; 2]).is_err());
    }
}

#[test]
fn only_what_is_read_is_fetched() {
    let (served, _remote, file) = opened(Manner::Well);
    let mut bytes = [0; 8];
    for at in [2_000_000, 500_000, 2_000_100, 0] {
        file.read_exact_at(at, &mut bytes).unwrap();
    }
    assert_eq!((served.answers(), served.sent(), served.connections()), (3, 3 * (32 << 10), 1));
}

#[test]
fn reads_that_go_on_take_few_requests() {
    let (served, _remote, file) = opened(Manner::Well);
    read_all(&file, 10_000).unwrap();
    assert!(served.answers() <= 9, "{}", served.answers());
    assert_eq!(served.sent(), LEN as u64);
}

#[test]
fn workers_fetch_nothing_twice() {
    let want = file();
    let (served, _remote, file) = opened(Manner::Slow(Duration::from_millis(2)));
    std::thread::scope(|scope| {
        for step in [5000, 9000, 20_000, 70_000] {
            let (file, want) = (&file, &want);
            scope.spawn(move || assert!(read_all(file, step).unwrap() == *want));
        }
    });
    assert_eq!(served.sent(), LEN as u64);
}

#[test]
fn what_cannot_be_opened() {
    for (manner, kind, words) in [
        (Manner::Says(404), ErrorKind::Io, "the server says 404 Not Found"),
        (Manner::Says(403), ErrorKind::Io, "the server says 403 Forbidden (a URL may have a user"),
        (Manner::Says(500), ErrorKind::Io, "3 attempts: the server says 500"),
        (Manner::Busy(9), ErrorKind::Io, "3 attempts: the server says 503"),
        (Manner::Guarded, ErrorKind::Io, "the server says 401"),
        (Manner::WrongRange, ErrorKind::Corrupt, "asked for bytes 0-32767, the server sends \"bytes 1-"),
        (Manner::Encodes, ErrorKind::Unsupported, "the server encodes the file (gzip)"),
        (Manner::CutAt(100), ErrorKind::Io, "3 attempts: "),
        (Manner::Underfull, ErrorKind::Io, "3 attempts: "),
        (Manner::Overfull, ErrorKind::Corrupt, "the server sends more than it announces"),
        (Manner::Gone { after: 0 }, ErrorKind::Io, "3 attempts: "),
    ] {
        let e = open_error(manner);
        assert!(e.kind() == kind && e.to_string().contains(words), "{manner:?}: {:?} {e}", e.kind());
    }
    let address = served(Manner::Well).address();
    let (gone, began) = (format!("http://{address}/x"), std::time::Instant::now());
    // the server is gone by now, or goes: it is not asked again
    let e = loop {
        match remote().open(&gone) {
            Err(e) if e.to_string().contains("refused") => break e,
            _ => assert!(began.elapsed().as_secs() < 30),
        }
    };
    assert!(!e.to_string().contains("attempts"), "{e}");
}

#[test]
fn a_user_and_a_password() {
    let (served, remote) = (served(Manner::Guarded), remote());
    let file = remote.open(&served.url().replace("http://", "http://u:p@")).unwrap();
    assert!(read_all(&file, 100_000).unwrap() == self::file());
}

#[test]
fn what_ends_a_file() {
    let half = LEN as u64 / 2;
    for (manner, words) in [
        (Manner::CutAt(half), format!("offset {half:#x}: 4 attempts: ")),
        (Manner::Shrinks, format!("its length was {LEN} and is {}", LEN - 1)),
        (Manner::Longer(1 << 20), "it ends before offset 0x".to_owned()),
        (
            Manner::Replaced { after: 3, blindly: false },
            "another file is there since it was opened: its ETag".to_owned(),
        ),
        (Manner::Replaced { after: 3, blindly: true }, "its ETag was \"one\" and is \"two\"".to_owned()),
        (Manner::Gone { after: 3 }, "4 attempts: ".to_owned()),
    ] {
        let (served, remote, file) = opened(manner);
        let e = read_all(&file, 5000).unwrap_err();
        assert!(e.kind() == ErrorKind::Unreachable && e.to_string().contains(&words), "{manner:?}: {e}");
        let name = format!("{}: offset 0x", served.url());
        assert!(remote.failure().unwrap().to_string().starts_with(&name), "{:?}", remote.failure());
        let answers = served.answers();
        assert!(read_all(&file, 5000).is_err() && served.answers() == answers, "{manner:?}: not asked again");
    }
}

#[test]
fn what_opening_takes_is_said_before() {
    let reach = remote().prepare(&["http://localhost:8080/x", "http://localhost/y"]).unwrap();
    assert!([53, 80, 443, 8080].iter().all(|port| reach.ports.contains(port)), "{reach:?}");
    assert!(reach.files.iter().any(|file| file.ends_with("resolv.conf")));
    let e = remote().prepare(&["http://"]).unwrap_err().to_string();
    assert!(e.starts_with("http://: no URL"), "{e}");
}
