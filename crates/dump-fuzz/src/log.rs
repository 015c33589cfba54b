//! Kernel logs with changes: what is given is bounded by what the kernel has room for, the same each time, and no part
//! of a log is more than all of it.

use crate::Seed;
use crate::fakes::{Changed, Fake};
use crate::input::Input;
use dump_log::{Log, LogOptions, write_log};
use dump_synth::{Era, FakeLog, KernelBuilder, LogEntry, MemModel};
use std::sync::LazyLock;

/// What the buffers of records here hold (bytes).
const TEXT: u64 = 2048;

/// What a dump of one of them is said to hold (bytes).
const HELD: u64 = 1 << 16;

/// Kernels with a log in each form.
static FAKES: LazyLock<Vec<Fake>> = LazyLock::new(|| {
    let forms = [
        (Era::V3_8, FakeLog::text(512)),
        (Era::V3_8, FakeLog::records(TEXT, 0, false)),
        (Era::V5_1, FakeLog::records(TEXT, 1500, true)),
        (Era::V5_10, FakeLog::ring(4, 11)),
        (Era::V6_12, FakeLog::ring(5, 9)),
        (Era::V7_2, FakeLog::ring(3, 10)),
    ];
    let built = forms.into_iter().map(|(era, log)| {
        let log = logged(logged(log, 0..9).clear(), 9..20);
        Fake::new(KernelBuilder::new(era).model(MemModel::Flat).recipe("ram 0..0x2000").log(log).build())
    });
    built.collect()
});

fn logged(log: FakeLog, lines: std::ops::Range<u64>) -> FakeLog {
    lines.fold(log, |log, n| {
        log.entry(LogEntry::new(n * 1_000_000_007, format!("line {n}\n{}\x1b", "x".repeat(n as usize)).as_bytes()))
    })
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let fake = input.one_of(&FAKES);
    let changed = changed(fake, &mut input);
    let read = |partial, callers| read(fake, &changed, LogOptions { partial, callers });
    let Some((text, log)) = read(false, false) else { return };
    assert!(read(false, false).is_some_and(|(again, _)| again == text), "the same each time");
    // a changed length may be as much as the dump holds, and no record is less than a word
    assert!(log.records() <= HELD / 8, "{} records", log.records());
    // a byte is at most a line break and what it is indented by
    let most = 64 * (HELD / 8 + HELD) as usize;
    assert!(text.len() <= most, "{} bytes of text", text.len());

    let with = read(false, true).map(|(_, log)| log.records());
    assert_eq!(with, Some(log.records()), "callers are a column more");
    if let Some((_, part)) = read(true, false) {
        assert!(part.records() <= log.records() || !log.is_sound(), "a part is no more than all");
    }
}

fn read(fake: &Fake, memory: &Changed<'_>, options: LogOptions) -> Option<(Vec<u8>, Log)> {
    let kernel = fake.kernel(fake.info()).ok()?;
    let mut text = Vec::new();
    let log = write_log(&kernel, kernel.info(), memory, HELD, options, &mut text).ok()?;
    Some((text, log))
}

/// Its memory with the changes that follow in `input`, to what the log consists of.
fn changed<'a>(fake: &'a Fake, input: &mut Input<'_>) -> Changed<'a> {
    let mut changed = fake.unchanged();
    let log = fake.kernel.log();
    let symbol = |name: &str| {
        fake.kernel.symbol(name).map_or(0, |at| at.wrapping_sub(fake.kernel.image_virt()) + fake.kernel.image().start)
    };
    let variables = ["log_buf", "log_buf_len", "log_end", "log_first_idx", "log_next_idx", "clear_idx", "clear_seq"];
    let mut places = vec![(log.prb, 88), (log.descs, 768), (log.infos, 2816), (log.text, TEXT)];
    places.extend(variables.map(|name| (symbol(name), 16)));
    places.retain(|(at, _)| *at != 0);
    let mut count = 0;
    while !input.is_empty() && count < 64 {
        count += 1;
        let how = input.u8();
        let (at, len) = *input.one_of(&places);
        let into = u64::from(input.u16()) % len;
        changed.write(at + into, input.take([1, 2, 4, 8][usize::from(how & 3)]));
    }
    changed
}

/// Each log as it is, and with a change in each part of it.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for i in 0..FAKES.len() as u8 {
        seeds.push((format!("log{i}"), vec![i]));
        for part in 0..8 {
            seeds.push((
                format!("log{i}-part{part}"),
                vec![i, 0, part, 9, 0, 0x5a, 2, part, 16, 0, 0xff, 0xff, 0xff, 0x7f],
            ));
        }
    }
    seeds
}
