//! What a QMP server says: messages are the same in whatever pieces they come, a map of RAM ascends and is read again as
//! what it was, ranges that users give are whole pages.

use crate::Seed;
use crate::input::Input;
use dump_guest::{GivenRange, RamMap, Received};
use std::fmt::Write;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, piece) = (input.u8(), usize::from(input.u8()).max(1));
    let said = input.rest();
    match how % 3 {
        0 => map(&String::from_utf8_lossy(said)),
        1 => assert_eq!(messages(said, piece), messages(said, said.len().max(1)), "in pieces of {piece}"),
        _ => given(&String::from_utf8_lossy(said)),
    }
}

fn map(text: &str) {
    let Ok(map) = RamMap::parse(text) else { return };
    let guests = || map.ranges.iter().map(|range| &range.guest);
    assert!(guests().all(|guest| guest.start < guest.end), "an empty range");
    assert!(guests().zip(guests().skip(1)).all(|(a, b)| a.end <= b.start), "ranges ascend");
    assert!(map.bytes() >= map.ranges.len() as u64);
    let mut again = "FlatView #0\n AS \"memory\", root: system\n".to_owned();
    for range in &map.ranges {
        let (start, last) = (range.guest.start, range.guest.end - 1);
        // the last address of all is not told from the one before
        let last = if range.guest.end == u64::MAX { u64::MAX } else { last };
        let _ = writeln!(again, "  {start:016x}-{last:016x} (prio 0, ram): {} @{:016x}", range.name, range.offset);
    }
    assert_eq!(RamMap::parse(&again).ok(), Some(map), "{again}");
}

/// What is taken out, until the first that is no message.
fn messages(said: &[u8], piece: usize) -> Vec<Option<String>> {
    let mut received = Received::default();
    let mut messages = Vec::new();
    for bytes in said.chunks(piece) {
        received.add(bytes);
        assert!(received.pending() <= said.len());
        loop {
            match received.take() {
                Ok(Some(message)) => messages.push(Some(message.to_string())),
                Ok(None) => break,
                Err(_) => {
                    messages.push(None);
                    return messages;
                }
            }
        }
    }
    messages
}

fn given(text: &str) {
    let Ok(range) = text.parse::<GivenRange>() else { return };
    assert!(!range.guest.is_empty() && range.guest.start % 4096 == 0 && range.guest.end % 4096 == 0);
    let host = range.host.map_or_else(String::new, |host| format!("@{host:#x}"));
    let again = format!("{:#x}-{:#x}{host}", range.guest.start, range.guest.end);
    assert_eq!(again.parse::<GivenRange>().ok(), Some(range), "{again}");
}

/// A machine with a hole and one without sense, messages of one line and of several, ranges.
pub fn seeds() -> Vec<Seed> {
    let tree = "FlatView #1\n AS \"memory\", root: system\n Root memory region: system\n  \
                0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM\n  \
                00000000000a0000-00000000000affff (prio 2, ram): vga.vram\n  \
                00000000000c0000-00000000000dffff (prio 0, rom): pc.ram @00000000000c0000 KVM\n  \
                00000000fee00000-00000000feefffff (prio 4096, i/o): kvm-apic-msi\n  \
                0000000100000000-ffffffffffffffff (prio 0, ram): pc.ram @0000000080000000\n";
    let high = "FlatView #1\n AS \"memory\", root: system\n  \
                0000-0fff (prio 0, ram): a @ffffffffffffffff\n  1000-1fff (prio 0, ram): a @0000000000000fff\n";
    let messages = "{\"QMP\": {\"version\": {}}}\r\n{\n  \"return\": [\n    1\n  ]\n}\n{\"event\": \"}\\\"\"}\n\n{\"re";
    let cases: [(&str, [u8; 2], &str); 6] = [
        ("tree", [0, 0], tree),
        ("high", [0, 0], high),
        ("messages", [1, 3], messages),
        ("no-json", [1, 1], "{\"a\": \"\n\"}\nhello\n"),
        ("range", [2, 0], "0x100000000-0x180000000@0x7f0000000000"),
        ("low", [2, 0], "0-80000000"),
    ];
    cases.into_iter().map(|(name, head, text)| (name.to_owned(), [&head[..], text.as_bytes()].concat())).collect()
}
