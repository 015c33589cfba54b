//! The kernel log in fake memory, in each form that printk has had: bytes, records one behind another, descriptors
//! beside text. What a writer overwrites is overwritten here too, by the writer's rules, one record after the other.

use crate::bytes::{cut, round_up};
use crate::era::Era;
use crate::site::Site;

/// A log.
#[derive(Clone, Debug)]
pub struct FakeLog {
    pub(crate) form: Form,
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) cleared: usize,
}

/// The form of a log, and the size of its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text { size: u64 },
    Records { size: u64, start: u64, callers: bool },
    Ring { count_bits: u32, size_bits: u32 },
}

/// What was logged.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Nanoseconds since boot.
    pub nanoseconds: u64,
    /// A thread, or a CPU and bit 31.
    pub caller: u32,
    /// The text; `None` where there was no room for it.
    pub text: Option<Vec<u8>>,
    /// Whether its writer has not come to its end.
    pub reserved: bool,
}

impl LogEntry {
    /// A line that thread 1 logged.
    #[must_use]
    pub fn new(nanoseconds: u64, text: &[u8]) -> LogEntry {
        LogEntry { nanoseconds, caller: 1, text: Some(text.to_vec()), reserved: false }
    }
}

/// Physical addresses of what a log consists of; those that its form does not have are 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogPlaces {
    /// `struct printk_ringbuffer`.
    pub prb: u64,
    /// Its descriptors.
    pub descs: u64,
    /// Their infos.
    pub infos: u64,
    /// The ring of text, or `log_buf`.
    pub text: u64,
}

impl FakeLog {
    /// `log_buf` of `size` bytes, as before 3.5; entries are what the console had, times are not added.
    #[must_use]
    pub fn text(size: u64) -> FakeLog {
        FakeLog::of(Form::Text { size })
    }

    /// `log_buf` of `size` bytes with records, as from 3.5 to 5.9, the first at index `start`; `callers` as with
    /// CONFIG_PRINTK_CALLER.
    #[must_use]
    pub fn records(size: u64, start: u64, callers: bool) -> FakeLog {
        FakeLog::of(Form::Records { size, start, callers })
    }

    /// `prb` with 2^`count_bits` descriptors and 2^`size_bits` bytes of text, as since 5.10.
    #[must_use]
    pub fn ring(count_bits: u32, size_bits: u32) -> FakeLog {
        FakeLog::of(Form::Ring { count_bits, size_bits })
    }

    fn of(form: Form) -> FakeLog {
        FakeLog { form, entries: Vec::new(), cleared: 0 }
    }

    /// Logs something.
    #[must_use]
    pub fn entry(mut self, entry: LogEntry) -> FakeLog {
        self.entries.push(entry);
        self
    }

    /// Logs a line.
    #[must_use]
    pub fn line(self, nanoseconds: u64, text: &str) -> FakeLog {
        self.entry(LogEntry::new(nanoseconds, text.as_bytes()))
    }

    /// Clears the log: what came before is no part of a partial log.
    #[must_use]
    pub fn clear(mut self) -> FakeLog {
        self.cleared = self.entries.len();
        self
    }

    pub(crate) fn put(&self, site: &mut Site) -> LogPlaces {
        match self.form {
            Form::Text { size } => self.put_text(site, size),
            Form::Records { size, start, callers } => self.put_records(site, size, start, callers),
            Form::Ring { count_bits, size_bits } => Writer::new(site, count_bits, size_bits).write(site, self),
        }
    }

    fn put_text(&self, site: &mut Site, size: u64) -> LogPlaces {
        let text = put_buffer(site, size);
        let bytes: Vec<u8> = self.entries.iter().flat_map(|entry| entry.text.clone().unwrap_or_default()).collect();
        for (at, byte) in (0u64..).zip(&bytes) {
            site.memory.write(text + at % size, &[*byte]);
        }
        let since: usize = self.entries[self.cleared..].iter().map(|e| e.text.as_ref().map_or(0, Vec::len)).sum();
        put_u32(site, "log_end", bytes.len() as u64);
        put_u32(site, "logged_chars", since as u64);
        LogPlaces { text, ..LogPlaces::default() }
    }

    /// Nothing is overwritten: the records must fit.
    fn put_records(&self, site: &mut Site, size: u64, start: u64, callers: bool) -> LogPlaces {
        let (text, header) = (put_buffer(site, size), header_size(callers));
        let (mut at, mut clear) = (start, start);
        for (index, entry) in self.entries.iter().enumerate() {
            let bytes = entry.text.clone().unwrap_or_default();
            let len = round_up(header + bytes.len() as u64, 4);
            if at + len + header > size {
                site.memory.write(text + at, &vec![0; header as usize]);
                at = 0;
            }
            if index == self.cleared {
                clear = at;
            }
            let endian = site.config.machine.endian;
            let fields = [(entry.nanoseconds, 0, 8), (len, 8, 2), (bytes.len() as u64, 10, 2), (0, 12, 2)];
            for (value, offset, width) in fields {
                site.memory.write_number(text + at + offset, value, width, endian);
            }
            if callers {
                site.memory.write_number(text + at + 16, entry.caller.into(), 4, endian);
            }
            site.memory.write(text + at + header, &bytes);
            at += len;
        }
        put_u32(site, "log_first_idx", start);
        put_u32(site, "log_next_idx", at);
        put_u32(site, "clear_idx", if self.cleared == self.entries.len() { at } else { clear });
        LogPlaces { text, ..LogPlaces::default() }
    }
}

/// Bytes of a header of `struct printk_log`.
pub(crate) fn header_size(callers: bool) -> u64 {
    if callers { 20 } else { 16 }
}

fn put_buffer(site: &mut Site, size: u64) -> u64 {
    let text = site.arena.take(size, site.config.page_size());
    let pointer = site.variable("log_buf", site.config.word(), 8);
    site.put_word(pointer, site.direct(text));
    put_u32(site, "log_buf_len", size);
    text
}

fn put_u32(site: &mut Site, name: &'static str, value: u64) {
    let at = site.variable(name, 8, 8);
    site.put_u32(at, value as u32);
}

/// `struct printk_ringbuffer` while records are written to it (Linux, kernel/printk/printk_ringbuffer.c).
struct Writer {
    word: u64,
    count: u64,
    size: u64,
    /// Bytes of `struct printk_info`.
    info: u64,
    places: LogPlaces,
    head: u64,
    tail: u64,
    head_lpos: u64,
    tail_lpos: u64,
    /// Whether a block may end where the ring does.
    to_the_end: bool,
}

/// States, as the top two bits of a state variable.
const RESERVED: u64 = 0;
const FINALIZED: u64 = 2;
const REUSABLE: u64 = 3;

/// Positions of blocks without text: no room, an empty line.
const FAILED_LPOS: u64 = 1;
const NO_LPOS: u64 = 3;

impl Writer {
    fn new(site: &mut Site, count_bits: u32, size_bits: u32) -> Writer {
        let (word, era) = (site.config.word(), site.config.era);
        let (count, size) = (1u64 << count_bits, 1u64 << size_bits);
        let page = site.config.page_size();
        let info = info_size(era);
        let places = LogPlaces {
            prb: site.variable("printk_rb_static", 11 * word, 8),
            descs: site.arena.take(count * 3 * word, page),
            infos: site.arena.take(count * info, page),
            text: site.arena.take(size, page),
        };
        // -(count + 1) in the kernel's arithmetic: of unsigned int, and of unsigned long since 7.2
        let wide = word == 8 && era >= Era::V7_2;
        let first = 0u64.wrapping_sub(count + 1) & if wide { u64::MAX >> 2 } else { u64::from(u32::MAX) };
        let first = if word == 4 { first & (u64::from(u32::MAX) >> 2) } else { first };
        let lpos = 0u64.wrapping_sub(size);
        let to_the_end = era >= Era::V7_1;
        let mut writer = Writer {
            word,
            count,
            size,
            info,
            places,
            head: first,
            tail: first,
            head_lpos: lpos,
            tail_lpos: lpos,
            to_the_end,
        };
        let last = writer.desc(first);
        writer.put_state(site, first, REUSABLE);
        site.put_word(last + word, FAILED_LPOS);
        site.put_word(last + 2 * word, FAILED_LPOS);
        let header = [(0, u64::from(count_bits)), (6, u64::from(size_bits))];
        for (words, bits) in header {
            site.put_u32(places.prb + words * word, bits as u32);
        }
        for (words, phys) in [(1, places.descs), (2, places.infos), (7, places.text)] {
            site.put_word(places.prb + words * word, site.direct(phys));
        }
        let pointer = site.variable("prb", word, 8);
        site.put_word(pointer, site.address_of("printk_rb_static"));
        writer.head_lpos = writer.wrap(lpos);
        writer.tail_lpos = writer.wrap(lpos);
        writer
    }

    fn wrap(&self, value: u64) -> u64 {
        if self.word == 4 { value & u64::from(u32::MAX) } else { value }
    }

    fn id(&self, value: u64) -> u64 {
        value & (u64::MAX >> (66 - 8 * self.word))
    }

    fn desc(&self, id: u64) -> u64 {
        self.places.descs + id % self.count * 3 * self.word
    }

    fn put_state(&self, site: &mut Site, id: u64, state: u64) {
        site.put_word(self.desc(id), state << (8 * self.word - 2) | id);
    }

    fn state_of(&self, site: &Site, id: u64) -> u64 {
        site.word(self.desc(id)) >> (8 * self.word - 2)
    }

    fn write(mut self, site: &mut Site, log: &FakeLog) -> LogPlaces {
        for (seq, entry) in (0u64..).zip(&log.entries) {
            self.reserve(site);
            let (begin, next) = self.block(site, entry);
            let desc = self.desc(self.head);
            site.put_word(desc + self.word, begin);
            site.put_word(desc + 2 * self.word, next);
            let info = self.places.infos + seq % self.count * self.info;
            let len = entry.text.as_ref().map_or(0, Vec::len) as u64;
            let endian = site.config.machine.endian;
            let fields = [(seq, 0, 8), (entry.nanoseconds, 8, 8), (len, 16, 2), (entry.caller.into(), 20, 4)];
            for (value, offset, width) in fields {
                site.memory.write_number(info + offset, value, width, endian);
            }
            self.put_state(site, self.head, if entry.reserved { RESERVED } else { FINALIZED });
        }
        let ends = [(3, self.head), (4, self.tail), (8, self.head_lpos), (9, self.tail_lpos)];
        for (words, value) in ends {
            site.put_word(self.places.prb + words * self.word, value);
        }
        put_clear_seq(site, log.cleared as u64);
        self.places
    }

    /// Takes the next id, from the oldest record if need be.
    fn reserve(&mut self, site: &mut Site) {
        let next = self.id(self.head + 1);
        if self.id(next.wrapping_sub(self.tail)) == self.count {
            while self.state_of(site, self.tail) != REUSABLE {
                self.free_block(site);
            }
            self.tail = self.id(self.tail + 1);
        }
        self.head = next;
        self.put_state(site, next, RESERVED);
    }

    /// Frees the oldest block, or the oldest record where that has none.
    fn free_block(&mut self, site: &mut Site) {
        let tail = self.tail;
        let begin = site.word(self.desc(tail) + self.word);
        if begin & 1 == 1 {
            return self.put_state(site, tail, REUSABLE);
        }
        self.free_oldest(site);
    }

    /// Writes the block of the newest record; its positions.
    fn block(&mut self, site: &mut Site, entry: &LogEntry) -> (u64, u64) {
        let text = match &entry.text {
            None => return (FAILED_LPOS, FAILED_LPOS),
            Some(text) if text.is_empty() => return (NO_LPOS, NO_LPOS),
            Some(text) => text,
        };
        let len = round_up(self.word + text.len() as u64, self.word);
        let (begin, round) = (self.head_lpos, !(self.size - 1));
        let end = self.wrap(begin.wrapping_add(len));
        let last = if self.to_the_end { self.wrap(end.wrapping_sub(1)) } else { end };
        let wraps = last & round != begin & round;
        let next = if wraps { self.wrap((last & round).wrapping_add(len)) } else { end };
        while self.wrap(next.wrapping_sub(self.tail_lpos)) > self.size {
            self.free_oldest(site);
        }
        self.head_lpos = next;
        site.put_word(self.places.text + begin % self.size, self.head);
        let at = self.places.text + if wraps { 0 } else { begin % self.size };
        site.put_word(at, self.head);
        site.memory.write(at + self.word, text);
        (begin, next)
    }

    /// Frees the oldest block.
    fn free_oldest(&mut self, site: &mut Site) {
        let owner = site.word(self.places.text + self.tail_lpos % self.size);
        self.put_state(site, owner, REUSABLE);
        self.tail_lpos = site.word(self.desc(owner) + 2 * self.word);
    }
}

/// `clear_seq`: of two values the one that is not written, the other being nonsense.
fn put_clear_seq(site: &mut Site, cleared: u64) {
    let (word, endian) = (site.config.word(), site.config.machine.endian);
    let at = site.variable("clear_seq", word + 16, 8);
    site.put_u32(at, 7);
    site.memory.write(at + word, &cut(0x00dead, 8, endian));
    site.memory.write(at + word + 8, &cut(cleared, 8, endian));
}

/// Bytes of `struct printk_info`.
pub(crate) fn info_size(era: Era) -> u64 {
    if era >= Era::V7_2 { 112 } else { 88 }
}
