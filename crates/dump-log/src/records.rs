//! The log of kernels 3.5 to 5.9: records one behind another in `log_buf`, from `log_first_idx` to `log_next_idx`
//! (Linux 5.9, kernel/printk/printk.c; the struct was called `log` until 3.11, `printk_log` since).
//!
//! A record is a header, its text, and a dictionary that nobody prints; a header with length 0 says that the next record
//! is at index 0. A record that makes no sense hides those behind it: they are found again where headers lead to
//! `log_next_idx` one by one.

use crate::lines::Record;
use crate::memory::{Memory, plus};
use crate::text::buffer_size;
use crate::{Found, Keys, not_partial};
use dump_core::{Error, Result, VirtAddr};
use dump_kernel::KernelSymbols;

/// Records begin at multiples of it: `LOG_ALIGN`, where that is least.
const ALIGN: u64 = 4;

pub fn read(
    symbols: &dyn KernelSymbols,
    memory: &mut Memory<'_>,
    held: u64,
    partial: bool,
    found: &mut Found<'_>,
) -> Result<()> {
    let keys = Keys(symbols);
    let buffer = Buffer {
        at: memory.pointer(keys.symbol("log_buf")?, "log_buf")?,
        size: buffer_size(keys, memory, held)?,
        next: index(keys, memory, "log_next_idx")?,
        header: Header::of(symbols)?,
    };
    let first = index(keys, memory, "log_first_idx")?;
    let outside =
        [("log_first_idx", first), ("log_next_idx", buffer.next)].into_iter().find(|(_, at)| *at > buffer.size);
    if let Some((name, at)) = outside {
        return Err(Error::corrupt(format!("{name} is {at}, but log_buf_len is {}", buffer.size)));
    }
    let at = match symbols.symbol("clear_idx") {
        _ if !partial => first,
        Some(_) => {
            let clear = index(keys, memory, "clear_idx")?;
            buffer.cleared(memory, first, clear)
        }
        None => {
            found.whole = Some(not_partial("clear_idx"));
            first
        }
    };
    buffer.give(memory, at, found)
}

fn index(keys: Keys<'_>, memory: &mut Memory<'_>, name: &str) -> Result<u64> {
    memory.u32(keys.symbol(name)?).map(u64::from).map_err(|e| e.within(name))
}

/// Where a header has its fields (bytes).
struct Header {
    size: u64,
    nanoseconds: u64,
    len: u64,
    text_len: u64,
    dict_len: Option<u64>,
    /// Kernels with CONFIG_PRINTK_CALLER have it.
    caller: Option<u64>,
}

impl Header {
    fn of(symbols: &dyn KernelSymbols) -> Result<Header> {
        let keys = Keys(symbols);
        let ty = if symbols.size_of("printk_log").is_some() { "printk_log" } else { "log" };
        let field = |name: &str| format!("{ty}.{name}");
        let size = keys.size(ty)?;
        if size > u64::from(u16::MAX) {
            return Err(Error::corrupt(format!("SIZE({ty}) is {size}, but no record has more than 65535 bytes")));
        }
        Ok(Header {
            size,
            nanoseconds: keys.offset(&field("ts_nsec"))?,
            len: keys.offset(&field("len"))?,
            text_len: keys.offset(&field("text_len"))?,
            dict_len: symbols.offset_of(&field("dict_len")),
            caller: symbols.offset_of(&field("caller_id")),
        })
    }
}

/// The ring.
struct Buffer {
    at: VirtAddr,
    size: u64,
    /// Where the next record will be.
    next: u64,
    header: Header,
}

/// What a header says.
enum Step {
    /// The next record is at index 0.
    Wrap,
    /// A record of `len` bytes, of which `text` are text; whether it says that they fit.
    Record { len: u64, text: u64, fits: bool },
}

/// Why a header makes no sense.
enum Nonsense {
    /// It exceeds the buffer.
    Header,
    /// It ends the buffer before `log_next_idx`.
    End,
    /// No record has this length.
    Len(u64),
    /// The length leads past where records are.
    Past(u64),
    /// It cannot be read.
    Unread(Error),
}

impl Buffer {
    /// Where the records begin that came after the log was cleared at index `clear`, the oldest being at `first`: if no
    /// record is there, those before it are overwritten (before 3.14, `clear_idx` was left behind).
    fn cleared(&self, memory: &mut Memory<'_>, first: u64, clear: u64) -> u64 {
        let mut at = first;
        while at != clear {
            let next = match self.step(memory, at) {
                _ if at == self.next => None,
                Ok(Step::Wrap) => Some(0),
                Ok(Step::Record { len, .. }) => Some(at + len),
                Err(_) => self.resume(memory, at),
            };
            let Some(next) = next else { return first };
            at = next;
        }
        clear
    }

    /// Gives the records from index `at` on.
    fn give(&self, memory: &mut Memory<'_>, mut at: u64, found: &mut Found<'_>) -> Result<()> {
        let mut text = Vec::new();
        while at != self.next {
            match self.step(memory, at) {
                Ok(Step::Wrap) => at = 0,
                Ok(Step::Record { len, text: bytes, fits }) => {
                    if !fits {
                        found.faults.add(fault(at, Error::corrupt(format!("its text exceeds its {len} bytes"))));
                    }
                    match self.record(memory, at, bytes, &mut text) {
                        Ok((nanoseconds, caller)) => {
                            found.lines.record(&Record { nanoseconds, caller, text: &text })?
                        }
                        Err(e) => found.faults.add(fault(at, e)),
                    }
                    at += len;
                }
                Err(why) => {
                    found.faults.add(fault(at, self.describe(why)));
                    let Some(sound) = self.resume(memory, at) else { return Ok(()) };
                    at = sound;
                }
            }
        }
        Ok(())
    }

    /// What the header at index `at` says, which leads no further than to where the next record will be.
    fn step(&self, memory: &mut Memory<'_>, at: u64) -> std::result::Result<Step, Nonsense> {
        if at + self.header.size > self.size {
            return Err(Nonsense::Header);
        }
        let len = self.field(memory, at, self.header.len)?;
        match len {
            0 if at < self.next => return Err(Nonsense::End),
            0 if self.is_zero(memory, at)? => return Ok(Step::Wrap),
            _ if len < self.header.size || len % ALIGN != 0 => return Err(Nonsense::Len(len)),
            _ if at + len > self.end_of(at) => return Err(Nonsense::Past(len)),
            _ => {}
        }
        let text = self.field(memory, at, self.header.text_len)?;
        let dict = self.header.dict_len.map_or(Ok(0), |offset| self.field(memory, at, offset))?;
        let room = len - self.header.size;
        Ok(Step::Record { len, text: text.min(room), fits: text + dict <= room })
    }

    /// Whether a header without a length has nothing else either: the kernel clears all of one that ends the buffer.
    fn is_zero(&self, memory: &mut Memory<'_>, at: u64) -> std::result::Result<bool, Nonsense> {
        let nanoseconds = plus(self.at, at).and_then(|at| memory.u64(plus(at, self.header.nanoseconds)?));
        Ok(nanoseconds.map_err(Nonsense::Unread)? == 0 && self.field(memory, at, self.header.text_len)? == 0)
    }

    fn field(&self, memory: &mut Memory<'_>, at: u64, offset: u64) -> std::result::Result<u64, Nonsense> {
        let value = plus(self.at, at).and_then(|at| memory.u16(plus(at, offset)?));
        value.map(u64::from).map_err(Nonsense::Unread)
    }

    /// Where the records end that begin with the one at index `at`, before the ring begins anew.
    fn end_of(&self, at: u64) -> u64 {
        if at < self.next { self.next } else { self.size }
    }

    fn describe(&self, why: Nonsense) -> Error {
        let (size, next) = (self.size, self.next);
        match why {
            Nonsense::Header => Error::corrupt(format!("its header exceeds log_buf_len {size}")),
            Nonsense::End => Error::corrupt(format!("it ends the buffer before log_next_idx {next}")),
            Nonsense::Len(len) => Error::corrupt(format!("no record has {len} bytes")),
            Nonsense::Past(len) => Error::corrupt(format!("{len} bytes lead past log_next_idx {next} or the buffer")),
            Nonsense::Unread(e) => e,
        }
    }

    /// Reads a record with `len` bytes of text; when it was logged, and by whom.
    fn record(&self, memory: &mut Memory<'_>, at: u64, len: u64, text: &mut Vec<u8>) -> Result<(u64, Option<u32>)> {
        let header = plus(self.at, at)?;
        text.resize(len as usize, 0);
        memory.read(plus(header, self.header.size)?, text)?;
        let nanoseconds = memory.u64(plus(header, self.header.nanoseconds)?)?;
        let caller = self.header.caller.map(|offset| memory.u32(plus(header, offset)?)).transpose()?;
        Ok((nanoseconds, caller))
    }

    /// The first index behind `damage` from which headers lead to `log_next_idx`.
    fn resume(&self, memory: &mut Memory<'_>, damage: u64) -> Option<u64> {
        let mut walked = Marks::new(self.size / ALIGN + 1);
        let mut behind = (damage / ALIGN + 1..self.end_of(damage) / ALIGN).map(|i| i * ALIGN);
        let sound = behind.find(|at| self.leads_to_next(memory, *at, &mut walked));
        let anew = || (damage >= self.next).then_some(0);
        sound.or_else(anew)
    }

    /// Whether headers lead from a record at index `start` to `log_next_idx`, by none that was `walked` before.
    fn leads_to_next(&self, memory: &mut Memory<'_>, start: u64, walked: &mut Marks) -> bool {
        let mut at = start;
        while at != self.next {
            if walked.set(at / ALIGN) {
                return false;
            }
            at = match self.step(memory, at) {
                Ok(Step::Record { len, fits: true, .. }) => at + len,
                // zeros would be the end of the buffer, wherever they are
                Ok(Step::Wrap) if at != start => 0,
                _ => return false,
            };
        }
        true
    }
}

fn fault(at: u64, e: Error) -> Error {
    e.within(format_args!("record at index {at} of log_buf"))
}

/// A mark for each place where a record may begin.
struct Marks(Vec<u64>);

impl Marks {
    fn new(places: u64) -> Marks {
        Marks(vec![0; places.div_ceil(64) as usize])
    }

    /// Marks a place; whether it was marked before.
    fn set(&mut self, place: u64) -> bool {
        let Some(word) = self.0.get_mut((place / 64) as usize) else { return true };
        let bit = 1 << (place % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
}
