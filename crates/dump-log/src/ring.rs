//! The log of kernels since 5.10: `prb`, a ring of descriptors beside a ring of text (Linux,
//! kernel/printk/printk_ringbuffer.h).
//!
//! A record has an id, which counts up and whose lower bits are its place in the ring of descriptors: there are its
//! state, where its text is, and, in an array beside, its length, time and caller. Text lies in a block that begins with
//! the id. A block that does not fit before the end of the ring begins at its start.
//!
//! | state | what a crash leaves so |
//! |---|---|
//! | reserved | a record that a CPU was about to write: not logged |
//! | committed, finalized | a record |
//! | reusable | a record whose text was overwritten, or none |
//!
//! A descriptor that still has the id of the round before, or none, was about to be reserved: a few of the newest, and
//! never the oldest.

use crate::lines::Record;
use crate::memory::{Memory, plus};
use crate::{Found, Keys, not_partial};
use dump_core::{Error, Result, VirtAddr};
use dump_kernel::KernelSymbols;

/// Of a state variable, the bits above the id.
const STATE_BITS: u32 = 2;

/// The bit of a position in the ring of text that says that there is no text.
const DATALESS: u64 = 1;

pub fn read(
    symbols: &dyn KernelSymbols,
    memory: &mut Memory<'_>,
    held: u64,
    partial: bool,
    found: &mut Found<'_>,
) -> Result<()> {
    let ring = Ring::of(symbols, memory, held)?;
    let since = if partial { cleared(symbols, memory, found)? } else { 0 };
    ring.give(memory, since, found)
}

/// The number of the first record that was logged after the log was cleared.
fn cleared(symbols: &dyn KernelSymbols, memory: &mut Memory<'_>, found: &mut Found<'_>) -> Result<u64> {
    let Some(at) = symbols.symbol("clear_seq") else {
        found.whole = Some(not_partial("clear_seq"));
        return Ok(0);
    };
    let read = match symbols.offset_of("latched_seq.val") {
        // of two values, the one that is not being written; the count of writes comes first
        Some(values) => memory.u32(at).and_then(|writes| {
            let which = u64::from(writes & 1) * 8;
            memory.u64(plus(plus(at, values)?, which)?)
        }),
        None => memory.u64(at),
    };
    read.map_err(|e| e.within("clear_seq"))
}

/// The bits of a number that an id has in common with it on every machine.
const NUMBER: u64 = (1 << 30) - 1;

/// Where things are in a descriptor and beside it (bytes).
struct Layout {
    desc: u64,
    state: u64,
    begin: u64,
    next: u64,
    info: u64,
    nanoseconds: u64,
    text_len: u64,
    seq: Option<u64>,
    caller: Option<u64>,
}

impl Layout {
    fn of(symbols: &dyn KernelSymbols) -> Result<Layout> {
        let keys = Keys(symbols);
        let block = keys.offset("prb_desc.text_blk_lpos")?;
        let within = |outer: u64, inner: u64| {
            outer.checked_add(inner).ok_or_else(|| Error::corrupt("an offset in prb_desc exceeds 2^64"))
        };
        Ok(Layout {
            desc: keys.size("prb_desc")?,
            state: within(keys.offset("prb_desc.state_var")?, keys.offset("atomic_long_t.counter")?)?,
            begin: within(block, keys.offset("prb_data_blk_lpos.begin")?)?,
            next: within(block, keys.offset("prb_data_blk_lpos.next")?)?,
            info: keys.size("printk_info")?,
            nanoseconds: keys.offset("printk_info.ts_nsec")?,
            text_len: keys.offset("printk_info.text_len")?,
            seq: symbols.offset_of("printk_info.seq"),
            caller: symbols.offset_of("printk_info.caller_id"),
        })
    }
}

/// Descriptors that are about to be reserved, at most: CPUs take a few instructions for it. There are more in a page that
/// was cleared.
const UNRESERVED: u64 = 64;

/// States of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not yet that of the record.
    Unreserved,
    Reserved,
    Logged,
    Reusable,
}

/// Where the text of a record is.
enum Text {
    /// Nowhere: the line was empty, or there was no room.
    None,
    /// At an index of the ring of text, with so much room (bytes).
    At(u64, u64),
}

/// Both rings.
struct Ring {
    layout: Layout,
    /// Bits of a word.
    bits: u32,
    descs: VirtAddr,
    infos: VirtAddr,
    count_bits: u32,
    /// Ids of the newest and the oldest record.
    head: u64,
    tail: u64,
    text: VirtAddr,
    size_bits: u32,
}

impl Ring {
    fn of(symbols: &dyn KernelSymbols, memory: &mut Memory<'_>, held: u64) -> Result<Ring> {
        let (keys, layout) = (Keys(symbols), Layout::of(symbols)?);
        let prb = memory.pointer(keys.symbol("prb")?, "prb")?;
        let (descs, text) =
            (keys.offset("printk_ringbuffer.desc_ring")?, keys.offset("printk_ringbuffer.text_data_ring")?);
        let (descs, text) = (plus(prb, descs)?, plus(prb, text)?);
        let at = |outer: VirtAddr, key: &str| plus(outer, keys.offset(key)?);
        let counter = |outer: VirtAddr, key: &str| plus(at(outer, key)?, keys.offset("atomic_long_t.counter")?);
        let within = |e: Error| e.within("prb");
        let count_bits = memory.u32(at(descs, "prb_desc_ring.count_bits")?).map_err(within)?;
        let size_bits = memory.u32(at(text, "prb_data_ring.size_bits")?).map_err(within)?;
        let mut ring = Ring {
            bits: memory.words().bytes() as u32 * 8,
            descs: memory.pointer(at(descs, "prb_desc_ring.descs")?, "the descriptors of prb")?,
            infos: memory.pointer(at(descs, "prb_desc_ring.infos")?, "the infos of prb")?,
            count_bits,
            head: memory.word(counter(descs, "prb_desc_ring.head_id")?).map_err(within)?,
            tail: memory.word(counter(descs, "prb_desc_ring.tail_id")?).map_err(within)?,
            text: memory.pointer(at(text, "prb_data_ring.data")?, "the text of prb")?,
            size_bits,
            layout,
        };
        (ring.head, ring.tail) = (ring.id(ring.head), ring.id(ring.tail));
        ring.check(held)?;
        Ok(ring)
    }

    /// Whether the dump holds as much as the rings would be.
    fn check(&self, held: u64) -> Result<()> {
        let fits = |bits: u32, each: u64| {
            let bytes = 1u64.checked_shl(bits).and_then(|count| count.checked_mul(each));
            bits < self.bits && bytes.is_some_and(|bytes| bytes <= held)
        };
        let (count, size) = (self.count_bits, self.size_bits);
        if !fits(count, self.layout.desc) || !fits(count, self.layout.info) {
            return Err(Error::corrupt(format!("prb has 2^{count} descriptors, but the dump holds {held} bytes")));
        }
        if !fits(size, 1) || size < 4 {
            return Err(Error::corrupt(format!("prb has 2^{size} bytes of text, but the dump holds {held} bytes")));
        }
        Ok(())
    }

    /// A value as a word holds it.
    fn wrap(&self, value: u64) -> u64 {
        value & (u64::MAX >> (64 - self.bits))
    }

    /// A value as an id.
    fn id(&self, value: u64) -> u64 {
        value & (u64::MAX >> (64 - self.bits + STATE_BITS))
    }

    fn count(&self) -> u64 {
        1 << self.count_bits
    }

    fn word_bytes(&self) -> u64 {
        u64::from(self.bits / 8)
    }

    /// The number of a record, as far as its id says it. The first id lies as many below an overflow as there are
    /// descriptors (`DESC0_ID`): that of an id, or, where the kernel's arithmetic has 32 bits, that of 32.
    fn number(&self, id: u64) -> u64 {
        id.wrapping_add(self.count()) & NUMBER
    }

    /// Gives the records from number `since` on.
    fn give(&self, memory: &mut Memory<'_>, since: u64, found: &mut Found<'_>) -> Result<()> {
        let (oldest, records) = self.span(memory, found);
        let (mut room, mut unreserved) = (1u64 << self.size_bits, 0);
        let mut text = Vec::new();
        for id in (0..records).map(|n| self.id(oldest.wrapping_add(n))) {
            let given = match self.state(memory, id) {
                Ok(State::Logged) => self.record(memory, id, since, &mut room, &mut text, found),
                Ok(State::Reserved | State::Reusable) => Ok(None),
                Ok(State::Unreserved) => {
                    unreserved += 1;
                    match id == self.tail || unreserved > UNRESERVED {
                        true => Err(Error::corrupt("its descriptor was never written")),
                        false => Ok(None),
                    }
                }
                Err(e) => Err(e),
            };
            match given {
                Ok(Some((nanoseconds, caller))) => {
                    found.lines.record(&Record { nanoseconds, caller, text: &text })?;
                }
                Ok(None) => {}
                Err(e) => found.faults.add(self.fault(id, e)),
            }
        }
        Ok(())
    }

    fn fault(&self, id: u64, e: Error) -> Error {
        e.within(format_args!("record {} of the log", self.number(id)))
    }

    /// The id of the oldest record, and how many there are.
    fn span(&self, memory: &mut Memory<'_>, found: &mut Found<'_>) -> (u64, u64) {
        let between = self.id(self.head.wrapping_sub(self.tail));
        if between < self.count() {
            return (self.tail, between + 1);
        }
        let (tail, head, count) = (self.tail, self.head, self.count());
        let text = format!("prb has ids {tail:#x} to {head:#x}, but {count} descriptors; those are looked through");
        found.faults.add(Error::corrupt(text));
        let newest = self.newest(memory).unwrap_or(head);
        (self.id(newest.wrapping_sub(count - 1)), count)
    }

    /// The highest id that a descriptor has, ids being circular.
    fn newest(&self, memory: &mut Memory<'_>) -> Option<u64> {
        let mut newest = None;
        for index in 0..self.count() {
            let Ok(state) = self.state_var(memory, index) else { continue };
            let id = self.id(state);
            let is_newer = |than: u64| self.id(id.wrapping_sub(than)) < self.id(u64::MAX) / 2;
            if state != 0 && self.index(id) == index && newest.is_none_or(is_newer) {
                newest = Some(id);
            }
        }
        newest
    }

    fn index(&self, id: u64) -> u64 {
        id & (self.count() - 1)
    }

    fn desc(&self, index: u64) -> Result<VirtAddr> {
        plus(self.descs, index * self.layout.desc)
    }

    fn state_var(&self, memory: &mut Memory<'_>, index: u64) -> Result<u64> {
        memory.word(plus(self.desc(index)?, self.layout.state)?)
    }

    /// The state of the record with that id.
    fn state(&self, memory: &mut Memory<'_>, id: u64) -> Result<State> {
        let value = self.state_var(memory, self.index(id))?;
        let state = match value >> (self.bits - STATE_BITS) {
            0 => State::Reserved,
            3 => State::Reusable,
            _ => State::Logged,
        };
        let before = self.id(id.wrapping_sub(self.count()));
        match self.id(value) {
            has if has == id => Ok(state),
            has if value == 0 || (has == before && state == State::Reusable) => Ok(State::Unreserved),
            has => Err(Error::corrupt(format!("its descriptor has the id {has:#x}, not {id:#x}"))),
        }
    }

    /// Reads a record that was logged, its text into `text`; when it was logged, and by whom. `None` for one that has no
    /// text, or came before number `since`. All records share the `room` of the ring.
    fn record(
        &self,
        memory: &mut Memory<'_>,
        id: u64,
        since: u64,
        room: &mut u64,
        text: &mut Vec<u8>,
        found: &mut Found<'_>,
    ) -> Result<Option<(u64, Option<u32>)>> {
        let info = plus(self.infos, self.index(id) * self.layout.info)?;
        if self.seq(memory, info, id)? < since {
            return Ok(None);
        }
        let Text::At(at, len) = self.text(memory, id)? else { return Ok(None) };
        let said = u64::from(memory.u16(plus(info, self.layout.text_len)?)?);
        let has = len - self.word_bytes();
        if said > has {
            let e = Error::corrupt(format!("{said} bytes of text in a block of {has}, which are given"));
            found.faults.add(self.fault(id, e));
        }
        let len = said.min(has);
        *room = room.checked_sub(len).ok_or_else(|| Error::corrupt("its text is that of other records too"))?;
        text.resize(len as usize, 0);
        memory.read(plus(self.text, at + self.word_bytes())?, text)?;
        let nanoseconds = memory.u64(plus(info, self.layout.nanoseconds)?)?;
        let caller = self.layout.caller.map(|offset| memory.u32(plus(info, offset)?)).transpose()?;
        Ok(Some((nanoseconds, caller)))
    }

    /// The number of the record with that id, by its info where that has it.
    fn seq(&self, memory: &mut Memory<'_>, info: VirtAddr, id: u64) -> Result<u64> {
        let by_id = self.number(id);
        let Some(offset) = self.layout.seq else { return Ok(by_id) };
        let seq = memory.u64(plus(info, offset)?)?;
        match seq & NUMBER == by_id {
            true => Ok(seq),
            false => Err(Error::corrupt(format!("its info is that of record {seq}"))),
        }
    }

    /// Where the text of the record with that id is.
    fn text(&self, memory: &mut Memory<'_>, id: u64) -> Result<Text> {
        let desc = self.desc(self.index(id))?;
        let begin = memory.word(plus(desc, self.layout.begin)?)?;
        let next = memory.word(plus(desc, self.layout.next)?)?;
        if begin & next & DATALESS != 0 {
            return Ok(Text::None);
        }
        let size = 1u64 << self.size_bits;
        let round = |position: u64| position >> self.size_bits;
        // a block may end where the ring does; only one that begins a round later was moved to the start
        let last = self.wrap(next.wrapping_sub(1));
        let (at, len) = match self.wrap(round(last).wrapping_sub(round(begin))) {
            0 => (begin & (size - 1), self.wrap(next.wrapping_sub(begin))),
            _ if round(self.wrap(begin.wrapping_add(size))) == round(last) => (0, next & (size - 1)),
            _ => (0, 0),
        };
        let word = self.word_bytes();
        if len <= word || len % word != 0 || at % word != 0 || len > size - at {
            let text = format!("no block of text is from {begin:#x} to {next:#x} in a ring of {size} bytes");
            return Err(Error::corrupt(text));
        }
        let owner = memory.word(plus(self.text, at)?)?;
        match owner == id {
            true => Ok(Text::At(at, len)),
            false => Err(Error::corrupt(format!("its text belongs to the id {owner:#x}, not {id:#x}"))),
        }
    }
}
