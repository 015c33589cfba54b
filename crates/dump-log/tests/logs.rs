//! Logs of each form in fake kernels of every word size and byte order, sound and damaged.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "../../dump-kernel/tests/common/mod.rs"]
#[allow(dead_code, reason = "of another crate's tests")]
mod common;

use common::{Memory, kernel, machines};
use dump_core::{ErrorKind, Result};
use dump_log::{Log, LogForm, LogOptions, write_log};
use dump_synth::{Endian, Era, FakeKernel, FakeLog, KernelBuilder, LogEntry, Machine, MemModel};
use std::fmt::Write;

/// What the dumps here hold, at least (bytes).
const HELD: u64 = 1 << 20;

/// A kernel with next to no memory: building the rest takes longer than reading the log.
fn small(era: Era, machine: &'static Machine) -> KernelBuilder {
    KernelBuilder::new(era).machine(*machine).model(MemModel::Flat).recipe("ram 0..0x10")
}

fn fake(era: Era, machine: &'static Machine, log: FakeLog) -> FakeKernel {
    small(era, machine).log(log).build()
}

fn read(fake: &FakeKernel, machine: &Machine, options: LogOptions) -> Result<(String, Log)> {
    let kernel = kernel(fake, machine);
    let mut out = Vec::new();
    let log = write_log(&kernel, kernel.info(), &Memory(fake.memory()), HELD, options, &mut out)?;
    Ok((String::from_utf8(out).unwrap(), log))
}

const ALL: LogOptions = LogOptions { partial: false, callers: false };
const PARTIAL: LogOptions = LogOptions { partial: true, callers: false };
const CALLERS: LogOptions = LogOptions { partial: false, callers: true };

/// The log of a sound fake.
fn sound(fake: &FakeKernel, machine: &Machine, options: LogOptions) -> String {
    let (text, log) = read(fake, machine, options).unwrap();
    assert!(log.is_sound() && log.more_faults() == 0 && log.not_partial().is_none(), "{}: {log:?}", machine.name);
    text
}

/// The log of a damaged fake, and its faults.
fn damaged(fake: &FakeKernel, machine: &Machine) -> (String, Vec<String>) {
    let (text, log) = read(fake, machine, ALL).unwrap();
    assert!(!log.is_sound(), "{text}");
    (text, log.faults().iter().map(ToString::to_string).collect())
}

/// `seconds`, a line each.
fn lines(seconds: impl IntoIterator<Item = u64>) -> String {
    seconds.into_iter().fold(String::new(), |mut text, s| {
        writeln!(text, "[{s:5}.000000] line {s} {}", "x".repeat(s as usize % 40)).unwrap();
        text
    })
}

fn number(value: u64, size: usize, machine: &Machine) -> Vec<u8> {
    match machine.endian {
        Endian::Little => value.to_le_bytes()[..size].to_vec(),
        Endian::Big => value.to_be_bytes()[8 - size..].to_vec(),
    }
}

/// Logs what [`lines`] prints.
fn log_lines(log: FakeLog, seconds: std::ops::Range<u64>) -> FakeLog {
    seconds.fold(log, |log, s| log.line(s * 1_000_000_000, &format!("line {s} {}", "x".repeat(s as usize % 40))))
}

/// Eras of each arithmetic of ids, and of blocks at the end of the ring.
const RING_ERAS: [Era; 3] = [Era::V5_10, Era::V7_1, Era::V7_2];

#[test]
fn a_ring_that_is_not_full() {
    for machine in machines() {
        let log = FakeLog::ring(5, 12)
            .line(0, "Linux version")
            .entry(LogEntry { caller: 1 << 31 | 3, ..LogEntry::new(1_002_003_999, b"a\nb\xe2\x80\x99\x1b") })
            .entry(LogEntry { text: None, ..LogEntry::new(2, b"") })
            .line(3, "")
            .entry(LogEntry { reserved: true, ..LogEntry::new(4_000_000_000, b"half a li") })
            .line(5_000_000_000, "panic");
        let fake = fake(Era::V5_10, machine, log);
        let want = "[    0.000000] Linux version\n[    1.002003] a\n               b\\xe2\\x80\\x99\\x1b\n[    5.000000] panic\n";
        assert_eq!(sound(&fake, machine, ALL), want, "{}", machine.name);
        let want = "[    0.000000] [      T1] Linux version\n[    1.002003] [      C3] a\n                          \
            b\\xe2\\x80\\x99\\x1b\n[    5.000000] [      T1] panic\n";
        assert_eq!(sound(&fake, machine, CALLERS), want, "{}", machine.name);
        assert_eq!(read(&fake, machine, ALL).unwrap().1.form(), LogForm::Ring);
    }
}

/// However often the rings went round, what they hold is a row of records that ends with the last.
#[test]
fn rings_that_wrap() {
    for (machine, era) in machines().flat_map(|machine| RING_ERAS.map(|era| (machine, era))) {
        for (count, bits, size) in [(100, 4, 12), (100, 6, 9), (97, 5, 10), (16, 4, 12), (333, 3, 8)] {
            let fake = fake(era, machine, log_lines(FakeLog::ring(bits, size), 0..count));
            let text = sound(&fake, machine, ALL);
            let left = text.lines().count() as u64;
            assert!(left > 2 && left <= 1 << bits, "{left}");
            assert_eq!(text, lines(count - left..count), "{era} {} {count} {bits} {size}", machine.name);
        }
    }
}

/// Blocks of a quarter of the ring end where it does: only newer kernels leave them there.
#[test]
fn a_block_that_ends_with_the_ring() {
    for era in RING_ERAS {
        let log = (0..9).fold(FakeLog::ring(4, 8), |log, s| log.line(s, &format!("{s}{}", "-".repeat(54))));
        let text = sound(&fake(era, &Machine::X86_64, log), &Machine::X86_64, ALL);
        let said: Vec<&str> = text.lines().map(|line| &line[15..16]).collect();
        assert!("012345678".ends_with(&said.concat()) && said.len() >= 3, "{era} {said:?}");
        assert_eq!(said.len() == 4, era >= Era::V7_1, "{era}");
    }
}

#[test]
fn a_ring_after_it_was_cleared() {
    for (machine, era) in machines().flat_map(|machine| RING_ERAS.map(|era| (machine, era))) {
        for (before, after) in [(5, 3), (40, 7), (40, 0), (3, 60)] {
            let log = log_lines(log_lines(FakeLog::ring(4, 10), 0..before).clear(), before..before + after);
            let fake = fake(era, machine, log);
            let all = sound(&fake, machine, ALL).lines().count() as u64;
            let want = lines(before + after - after.min(all)..before + after);
            assert_eq!(sound(&fake, machine, PARTIAL), want, "{era} {}", machine.name);
        }
    }
}

#[test]
fn a_ring_without_keys_that_it_can_do_without() {
    let log = || log_lines(log_lines(FakeLog::ring(4, 10), 0..4).clear(), 4..6);
    let build = |key: &str| small(Era::V6_12, &Machine::X86_64).log(log()).omit(key).build();
    let without_seq = build("OFFSET(printk_info.seq)");
    assert_eq!(sound(&without_seq, &Machine::X86_64, PARTIAL), lines(4..6));
    let without_caller = build("OFFSET(printk_info.caller_id)");
    assert_eq!(sound(&without_caller, &Machine::X86_64, CALLERS), lines(0..6));
    let (text, log) = read(&build("SYMBOL(clear_seq)"), &Machine::X86_64, PARTIAL).unwrap();
    assert_eq!(text, lines(0..6));
    assert!(log.is_sound() && log.not_partial().unwrap().to_string().contains("SYMBOL(clear_seq)"));
    for key in ["SYMBOL(prb)", "OFFSET(prb_desc_ring.head_id)", "SIZE(prb_desc)", "OFFSET(prb_data_ring.data)"] {
        let e = read(&build(key), &Machine::X86_64, ALL).unwrap_err();
        assert!(e.kind() == ErrorKind::MissingInfo && e.to_string().contains(key), "{e}");
    }
}

/// A fake ring of ten lines, its machine, and how to damage it.
struct Ring {
    fake: FakeKernel,
    machine: &'static Machine,
    word: u64,
}

fn ring(machine: &'static Machine) -> Ring {
    let word = machine.width.bytes() as u64;
    Ring { fake: fake(Era::V6_12, machine, log_lines(FakeLog::ring(4, 11), 0..10)), machine, word }
}

impl Ring {
    fn overwrite(&mut self, at: u64, value: u64, size: usize) {
        self.fake.overwrite(at, &number(value, size, self.machine));
    }

    fn desc(&self, n: u64, words: u64) -> u64 {
        self.fake.log().descs + (n * 3 + words) * self.word
    }

    fn word(&self, at: u64) -> u64 {
        let bytes = self.fake.memory().bytes(at, self.word);
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.machine.endian {
            Endian::Little => bytes.iter().rev().fold(0, add),
            Endian::Big => bytes.iter().fold(0, add),
        }
    }

    /// All lines but `n`, and a fault with `what`.
    fn lacks(&self, n: u64, what: &str) {
        let (text, faults) = damaged(&self.fake, self.machine);
        assert_eq!(text, lines((0..10).filter(|line| *line != n)), "{faults:?}");
        assert!(faults.len() == 1 && faults[0].starts_with(&format!("record {n} of the log: ")), "{faults:?}");
        assert!(faults[0].contains(what), "{faults:?}");
    }
}

#[test]
fn a_damaged_record_takes_no_other_with_it() {
    for machine in machines() {
        let word = machine.width.bytes();
        let mut id = ring(machine);
        id.overwrite(id.desc(3, 0), id.word(id.desc(3, 0)) ^ 0x40, word);
        id.lacks(3, "its descriptor has the id");
        for (words, value) in [(1, 0x1234_5678), (2, 0x1234_5678), (1, 4), (2, 0x7fff_ffff)] {
            let mut block = ring(machine);
            block.overwrite(block.desc(4, words), value, word);
            block.lacks(4, "no block of text is from");
        }
        let mut owner = ring(machine);
        let at = owner.fake.log().text + owner.word(owner.desc(5, 1)) % 2048;
        owner.overwrite(at, 77, word);
        owner.lacks(5, "its text belongs to the id 0x4d");
        let mut info = ring(machine);
        info.overwrite(info.fake.log().infos + 6 * 88, 7, 8);
        info.lacks(6, "its info is that of record 7");
    }
}

#[test]
fn a_text_longer_than_its_block_is_given_as_far_as_that_goes() {
    let mut ring = ring(&Machine::X86_64);
    ring.overwrite(ring.fake.log().infos + 2 * 88 + 16, 5000, 2);
    let (text, faults) = damaged(&ring.fake, ring.machine);
    assert!(text.starts_with(&lines(0..2)) && text.contains("[    2.000000] line 2 xx"), "{text}");
    assert!(text.ends_with(&lines(3..10)) && faults[0].contains("5000 bytes of text in a block of 16"), "{faults:?}");
}

/// What says where the records begin and end is wrong: the descriptors say it too.
#[test]
fn ends_that_contradict_the_ring() {
    for machine in machines() {
        let mut ring = ring(machine);
        let at = ring.fake.log().prb + 4 * ring.word;
        ring.overwrite(at, ring.word(at) ^ 0x0100_0000, machine.width.bytes());
        let (text, faults) = damaged(&ring.fake, machine);
        assert_eq!(text, lines(0..10), "{faults:?}");
        assert!(faults[0].starts_with("prb has ids "), "{faults:?}");
    }
}

/// No ring is larger than the dump, whatever it says.
#[test]
fn sizes_that_no_dump_holds() {
    for machine in machines() {
        for (words, bits, what) in
            [(0, 30, "descriptors"), (0, 64, "descriptors"), (6, 40, "bytes of text"), (6, 0, "bytes of text")]
        {
            let mut ring = ring(machine);
            ring.overwrite(ring.fake.log().prb + words * ring.word, bits, 4);
            let e = read(&ring.fake, machine, ALL).unwrap_err();
            assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains(what), "{e}");
        }
    }
}

/// Every bit of what describes the ring and its records: no input is too odd, and what is lost is said.
#[test]
fn no_flipped_bit_goes_unnoticed() {
    let Ring { mut fake, machine, .. } = ring(&Machine::X86_64);
    let (want, places) = (lines(0..10), fake.log());
    let parts = [(places.prb, 40), (places.prb + 48, 16), (places.descs, 4 * 24)];
    let bytes = parts.iter().flat_map(|(at, len)| (0..*len).map(move |i| at + i));
    for (at, bit) in bytes.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let byte = fake.memory().bytes(at, 1)[0];
        fake.overwrite(at, &[byte ^ 1 << bit]);
        let read = read(&fake, machine, ALL);
        fake.overwrite(at, &[byte]);
        let Ok((text, log)) = read else { continue };
        let lost = want.lines().filter(|line| !text.contains(line)).count();
        // a state can be another by one bit: reserved and reusable are no records
        let is_state = at >= places.descs && (at - places.descs) % 24 == 7 && bit >= 6;
        let is_noticed = !log.is_sound() || is_state || is_shorter(at, places.prb);
        assert!(lost == 0 || is_noticed, "{at:#x} bit {bit}: {text}");
        // the time of record 0 is 0, as its number
        let is_moved = (places.prb + 16..places.prb + 24).contains(&at);
        assert!(is_moved || text.lines().all(|line| want.contains(line)), "{at:#x} bit {bit}: {text}");
    }
}

/// Head, tail and the number of descriptors say how many records there are.
fn is_shorter(at: u64, prb: u64) -> bool {
    (prb..prb + 4).contains(&at) || (prb + 24..prb + 40).contains(&at)
}

#[test]
fn records_one_behind_another() {
    for (machine, callers) in machines().flat_map(|machine| [false, true].map(|callers| (machine, callers))) {
        for start in [0, 600, 1900] {
            let log = log_lines(log_lines(FakeLog::records(2048, start, callers), 0..9).clear(), 9..20);
            let fake = fake(Era::V5_1, machine, log);
            assert_eq!(sound(&fake, machine, ALL), lines(0..20), "{} {start}", machine.name);
            assert_eq!(sound(&fake, machine, PARTIAL), lines(9..20), "{} {start}", machine.name);
            let text = sound(&fake, machine, CALLERS);
            assert_eq!(text.contains("[   19.000000] [      T1] line 19 "), callers, "{text}");
            assert_eq!(read(&fake, machine, ALL).unwrap().1.form(), LogForm::Records);
        }
    }
}

/// Before 3.14 the place where the log was cleared stayed behind when what came after was overwritten.
#[test]
fn records_that_were_cleared_long_ago() {
    let mut fake = fake(Era::V3_10, &Machine::X86_64, log_lines(FakeLog::records(2048, 400, false), 0..20));
    let clear = fake.symbol("clear_idx").unwrap() - fake.image_virt() + fake.image().start;
    for stale in [0, 4, 200, 412, 1900, 5000] {
        fake.overwrite(clear, &number(stale, 4, &Machine::X86_64));
        assert_eq!(sound(&fake, &Machine::X86_64, PARTIAL), lines(0..20), "{stale}");
    }
}

#[test]
fn structs_that_were_called_log() {
    let fake = fake(Era::V3_8, &Machine::X86_64, log_lines(FakeLog::records(1024, 0, false), 0..5));
    assert!(fake.vmcoreinfo().contains("SIZE(log)=16"));
    assert_eq!(sound(&fake, &Machine::X86_64, ALL), lines(0..5));
}

/// A header that makes no sense loses its record; those behind it are found again.
#[test]
fn records_behind_damage() {
    for (machine, start) in machines().flat_map(|machine| [0, 1500].map(|start| (machine, start))) {
        let mut fake = fake(Era::V5_1, machine, log_lines(FakeLog::records(2048, start, false), 0..20));
        let mut at = fake.log().text + start;
        let (mut headers, mut n) = (Vec::new(), 0);
        while n < 20 {
            let len = fake.memory().bytes(at + 8, 2);
            let len = if machine.endian == Endian::Big { [len[1], len[0]] } else { [len[0], len[1]] };
            match u16::from_le_bytes(len) {
                0 => at = fake.log().text,
                len => {
                    headers.push(at);
                    (at, n) = (at + u64::from(len), n + 1);
                }
            }
        }
        for (n, len) in (0..20).flat_map(|n| [1, 12, 17, 60_000, 0].map(|len| (n, len))) {
            let before = fake.memory().bytes(headers[n] + 8, 2);
            fake.overwrite(headers[n] + 8, &number(len, 2, machine));
            let (text, log) = read(&fake, machine, ALL).unwrap();
            fake.overwrite(headers[n] + 8, &before);
            let all = lines((0..20).filter(|line| *line != n as u64));
            assert_eq!(text, all, "{} {start} {n} {len}", machine.name);
            assert!(!log.is_sound(), "{} {start} {n} {len}", machine.name);
        }
    }
}

#[test]
fn a_buffer_that_contradicts_itself() {
    let build = || fake(Era::V5_1, &Machine::X86_64, log_lines(FakeLog::records(2048, 0, false), 0..20));
    let at = |fake: &FakeKernel, name: &str| fake.symbol(name).unwrap() - fake.image_virt() + fake.image().start;
    for (name, value, what) in [
        ("log_buf_len", 3000, "log_buf_len is 3000, not a power of 2"),
        ("log_buf_len", 1 << 31, "log_buf_len is 2147483648, but the dump holds"),
        ("log_next_idx", 3000, "log_next_idx is 3000, but log_buf_len is 2048"),
        ("log_buf", 0, "the pointer to log_buf is null"),
    ] {
        let mut fake = build();
        fake.overwrite(at(&fake, name), &number(value, 8, &Machine::X86_64));
        let e = read(&fake, &Machine::X86_64, ALL).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains(what), "{e}");
    }
    let mut loops = build();
    loops.overwrite(at(&loops, "log_next_idx"), &number(6, 4, &Machine::X86_64));
    let (text, faults) = damaged(&loops, &Machine::X86_64);
    assert!(text.lines().count() <= 21 && !faults.is_empty(), "{text} {faults:?}");
}

#[test]
fn text_before_3_5() {
    let text = |n: u64| format!("<6>[    {n}.000000] line {n}\x1b\n");
    let log = |lines: std::ops::Range<u64>| {
        lines.fold(FakeLog::text(512), |log, n| {
            let log = log.entry(LogEntry::new(0, text(n).as_bytes()));
            if n == 5 { log.clear() } else { log }
        })
    };
    for machine in machines() {
        let few = fake(Era::V3_8, machine, log(0..9));
        assert_eq!(sound(&few, machine, ALL), (0..9).map(text).collect::<String>(), "{}", machine.name);
        assert_eq!(sound(&few, machine, PARTIAL), (6..9).map(text).collect::<String>(), "{}", machine.name);
        let many = fake(Era::V3_8, machine, log(0..90));
        let (all, read) = ((0..90).map(text).collect::<String>(), sound(&many, machine, ALL));
        assert!(read.len() == 512 && all.ends_with(&read), "{}", machine.name);
        assert_eq!(sound(&many, machine, PARTIAL), read, "{}", machine.name);
    }
}
