//! kallsyms: the kernel's own table of its symbols, in its read-only data (Linux, kernel/kallsyms.c, scripts/kallsyms.c).
//!
//! ```text
//! kallsyms_names         a name after another: its length, then as many bytes, each of which stands for a token
//!                        length: one byte; two where the first has bit 7 set, 7 bits each, the lower first (6.1, 73bbb94466fd)
//! kallsyms_token_index   256 x 2 bytes: where in the table each token begins
//! kallsyms_token_table   tokens, each with a NUL; the first letter of a name is the symbol's type, as in nm
//! kallsyms_offsets       4 bytes a symbol, in the order of the names; or kallsyms_addresses, a word a symbol
//! ```
//!
//! Where the tables are is exported by vmcoreinfo since 6.0 (5fd8fea935a1). What an offset counts from has changed from
//! kernel to kernel, and no key says it, so it is taken from the symbols whose addresses vmcoreinfo has: they must agree.

use crate::symbols::KernelSymbols;
use crate::types::BUILT_WITH;
use crate::virt::KernelMemory;
use crate::vmcoreinfo::Vmcoreinfo;
use crate::words::Words;
use dump_core::{Error, Result, VirtAddr};
use std::collections::HashMap;

/// The largest kernels have some 300 thousand symbols; the names of those are 5 MiB.
const MAX_SYMBOLS: u32 = 1 << 22;
const MAX_NAMES: usize = 32 << 20;

/// Longest name (KSYM_NAME_LEN is 512 since 6.1), its type with it.
const MAX_NAME: usize = 1024;

/// Tokens are as long as names at most.
const MAX_TOKEN: usize = 512;

/// Names are read as much at a time: to the end of a page, behind which nothing need be mapped.
const STEP: usize = 4096;

/// Nearly all tokens are shorter, and are copied as if they were as long: faster than by their length.
const SHORT: usize = 16;

/// Symbols of vmcoreinfo that addresses are held against.
const MAX_KNOWN: usize = 64;

/// What vmcoreinfo gives of these is what they point to.
const POINTERS: [&str; 2] = ["mem_section", "vmemmap"];

/// The symbols of a kernel, by name. The names stay in the dump and are read for each question.
#[derive(Clone, Debug)]
pub struct Kallsyms {
    names: VirtAddr,
    tokens: Tokens,
    count: usize,
    places: Places,
    /// Functions of [`BUILT_WITH`] that it does not have.
    lacking: Vec<&'static str>,
    words: Words,
}

/// What the bytes of names stand for.
#[derive(Clone, Debug)]
struct Tokens {
    /// The table, and as much behind it as a short token is copied with.
    table: Vec<u8>,
    /// Where each token's text is in the table.
    places: Vec<(usize, usize)>,
}

/// The names, one after the other, as they are read.
struct Names<'m, 'p> {
    memory: &'m mut KernelMemory<'p>,
    tokens: &'m Tokens,
    /// Where what was not read yet begins.
    next: VirtAddr,
    read: usize,
    /// What was read of them, and how much of that was passed.
    coded: Vec<u8>,
    passed: usize,
    /// The last name, as far as `len`, its type before it; what comes behind is left over.
    text: [u8; MAX_NAME + SHORT],
    len: usize,
}

/// Where addresses stand, and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    table: VirtAddr,
    counting: Counting,
}

/// What the entry of a symbol says of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// Everything: CONFIG_KALLSYMS_BASE_RELATIVE is not set, up to 6.10.
    Address,
    /// An unsigned distance from a base.
    From(u64),
    /// The distance before a base, less one; what is not negative is an address, of a variable of each CPU. 4.6 to 6.14,
    /// where CONFIG_KALLSYMS_ABSOLUTE_PERCPU is set.
    Before(u64),
    /// The distance from the entry itself. Since 7.1.
    FromEntry,
}

impl Counting {
    fn entry_bytes(self, words: Words) -> u64 {
        if self == Counting::Address { words.bytes() as u64 } else { 4 }
    }

    /// The address that an entry at `at` has.
    fn address(self, at: VirtAddr, entry: u64, words: Words) -> u64 {
        let signed = entry as u32 as i32;
        words.wrap(match self {
            Counting::Address => entry,
            Counting::From(base) => base.wrapping_add(u64::from(entry as u32)),
            Counting::Before(_) if signed >= 0 => signed as u64,
            Counting::Before(base) => base.wrapping_sub(1).wrapping_sub(signed as u64),
            Counting::FromEntry => at.0.wrapping_add(signed as u64),
        })
    }

    /// All ways of counting in which an entry of 4 bytes at `at` has `address`.
    fn ways(at: VirtAddr, entry: u64, address: u64, words: Words) -> impl Iterator<Item = Counting> {
        let signed = entry as u32 as i32;
        let from = Counting::From(words.wrap(address.wrapping_sub(u64::from(entry as u32))));
        let before = Counting::Before(words.wrap(address.wrapping_add(1).wrapping_add(signed as u64)));
        let ways = [from, before, Counting::FromEntry];
        ways.into_iter().filter(move |way| way.address(at, entry, words) == address)
    }
}

impl Kallsyms {
    /// Reads the tables that `info` has the places of.
    ///
    /// # Errors
    /// `MissingInfo` if it lacks the place of one, or two symbols to tell how addresses are written; `Corrupt` if a
    /// table is none; what reading memory says.
    pub fn read(info: &Vmcoreinfo, memory: &mut KernelMemory<'_>) -> Result<Kallsyms> {
        let place = |name: &str| {
            let lacking = || Error::missing(format!("vmcoreinfo lacks SYMBOL({name})"));
            info.symbol(name).ok_or_else(lacking)
        };
        let count = memory.read_u32(place("kallsyms_num_syms")?).map_err(|e| e.within("kallsyms_num_syms"))?;
        if !(1..=MAX_SYMBOLS).contains(&count) {
            let text = format!("kallsyms: {count} symbols, expected 1 to {MAX_SYMBOLS}");
            return Err(Error::corrupt(text));
        }
        let tokens = read_tokens(memory, place("kallsyms_token_index")?, place("kallsyms_token_table")?)?;
        let names = place("kallsyms_names")?;
        let (offsets, addresses) = (info.symbol("kallsyms_offsets"), info.symbol("kallsyms_addresses"));
        let table = offsets.or(addresses).ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(kallsyms_offsets)"))?;
        let words = memory.words();
        let places = Places { table, counting: Counting::Address };
        let mut all = Kallsyms { names, tokens, count: count as usize, places, lacking: Vec::new(), words };
        all.compare(info, memory, offsets.is_some())?;
        Ok(all)
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The address of a symbol; `None` if there is none of that name, or several at different addresses: functions and
    /// variables of single files may share a name.
    pub fn symbol(&self, memory: &mut KernelMemory<'_>, name: &str) -> Option<VirtAddr> {
        let mut found = None;
        for i in self.find(memory, &[name]).ok()?.remove(0) {
            let (at, entry) = self.entry(memory, i, self.places.counting).ok()?;
            let address = self.places.counting.address(at, entry, self.words);
            if found.is_some_and(|found| found != address) {
                return None;
            }
            found = Some(address);
        }
        found.filter(|address| *address != 0).map(VirtAddr)
    }

    /// Whether the kernel lacks one of [`BUILT_WITH`]'s functions.
    pub(crate) fn lacks(&self, function: &str) -> bool {
        self.lacking.contains(&function)
    }

    /// Where among the symbols each of `wanted` stands.
    fn find(&self, memory: &mut KernelMemory<'_>, wanted: &[&str]) -> Result<Vec<Vec<usize>>> {
        let by_name: HashMap<&[u8], usize> = wanted.iter().enumerate().map(|(i, name)| (name.as_bytes(), i)).collect();
        let mut is_wanted = [false; MAX_NAME];
        wanted.iter().for_each(|name| is_wanted[name.len().min(MAX_NAME - 1)] = true);
        let mut found = vec![Vec::new(); wanted.len()];
        let mut names = Names::new(memory, &self.tokens, self.names);
        for i in 0..self.count {
            let Some(name) = names.next()?.get(1..).filter(|name| is_wanted[name.len()]) else { continue };
            if let Some(places) = by_name.get(name).and_then(|wanted| found.get_mut(*wanted)) {
                places.push(i);
            }
        }
        Ok(found)
    }

    /// The entry of symbol `i` and where it is.
    fn entry(&self, memory: &mut KernelMemory<'_>, i: usize, counting: Counting) -> Result<(VirtAddr, u64)> {
        let bytes = counting.entry_bytes(self.words);
        let at = self.places.table.checked_add(i as u64 * bytes);
        let at = at.ok_or_else(|| Error::corrupt("kallsyms: the table of addresses exceeds 2^64"))?;
        let entry = if bytes == 4 { u64::from(memory.read_u32(at)?) } else { memory.read_word(at)? };
        Ok((at, entry))
    }

    /// Looks for the symbols that vmcoreinfo has, which say how addresses are written, and for what the kernel may lack.
    fn compare(&mut self, info: &Vmcoreinfo, memory: &mut KernelMemory<'_>, relative: bool) -> Result<()> {
        let known: Vec<(&str, u64)> = known(info).collect();
        let functions: [&'static str; BUILT_WITH.len()] = BUILT_WITH.map(|(_, function)| function);
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).chain(functions).collect();
        let mut found = self.find(memory, &names)?;
        let parts = found.split_off(known.len());
        let functions = functions.into_iter().zip(parts);
        self.lacking = functions.filter(|(_, places)| places.is_empty()).map(|(name, _)| name).collect();
        let addresses = known.iter().map(|(_, address)| *address);
        let stated = if relative { stated(info, memory) } else { None };
        self.places.counting = self.counting(memory, found.into_iter().zip(addresses), relative, stated)?;
        Ok(())
    }

    /// How addresses are written, by symbols whose places among the names and addresses are known: the way in which two
    /// or more of them, and most, come out right. What vmcoreinfo states counts as one: kernels without
    /// CONFIG_KALLSYMS_ALL, as Debian's of s390x, have no more than `_stext` of its symbols.
    fn counting(
        &self,
        memory: &mut KernelMemory<'_>,
        known: impl Iterator<Item = (Vec<usize>, u64)>,
        relative: bool,
        stated: Option<Counting>,
    ) -> Result<Counting> {
        let mut votes: Vec<(Counting, usize)> = stated.map(|stated| (stated, 1)).into_iter().collect();
        let mut asked = votes.len();
        for (places, address) in known {
            let [i] = places[..] else { continue };
            let tried = if relative { Counting::FromEntry } else { Counting::Address };
            let (at, entry) = self.entry(memory, i, tried)?;
            asked += 1;
            let absolute = (!relative && entry == address).then_some(Counting::Address);
            let ways = Counting::ways(at, entry, address, self.words).filter(|_| relative).chain(absolute);
            for way in ways {
                match votes.iter_mut().find(|(known, _)| *known == way) {
                    Some((_, votes)) => *votes += 1,
                    None => votes.push((way, 1)),
                }
            }
        }
        let best = votes.into_iter().max_by_key(|(_, votes)| *votes).filter(|(_, votes)| *votes >= 2);
        match best {
            Some((way, votes)) if 2 * votes > asked => Ok(way),
            _ => Err(Error::missing("kallsyms: no two symbols of vmcoreinfo say how its addresses are written")),
        }
    }
}

/// The way of counting that vmcoreinfo speaks of: from a base until 7.0, and since then, where it names none, from each
/// entry (Linux, kernel/vmcore_info.c and kernel/kallsyms.c).
fn stated(info: &Vmcoreinfo, memory: &mut KernelMemory<'_>) -> Option<Counting> {
    match info.symbol("kallsyms_relative_base") {
        Some(at) => memory.read_word(at).ok().map(Counting::From),
        None => info.version().is_some_and(|version| version >= (7, 1)).then_some(Counting::FromEntry),
    }
}

/// Symbols of vmcoreinfo that kallsyms should have at the same addresses.
fn known(info: &Vmcoreinfo) -> impl Iterator<Item = (&str, u64)> {
    let symbols = info.lines().filter_map(|(key, _)| key.strip_prefix("SYMBOL(")?.strip_suffix(")"));
    let symbols = symbols.filter(|name| !name.starts_with("kallsyms_") && !POINTERS.contains(name));
    symbols.filter_map(|name| Some((name, info.symbol(name)?.0))).take(MAX_KNOWN)
}

impl<'m, 'p> Names<'m, 'p> {
    fn new(memory: &'m mut KernelMemory<'p>, tokens: &'m Tokens, at: VirtAddr) -> Names<'m, 'p> {
        let text = [0; MAX_NAME + SHORT];
        Names { memory, tokens, next: at, read: 0, coded: Vec::new(), passed: 0, text, len: 0 }
    }

    /// The next name, its type before it; an empty one if it is too long to be one.
    fn next(&mut self) -> Result<&[u8]> {
        let (from, to) = loop {
            let rest = self.coded.get(self.passed..).unwrap_or_default();
            if let Some((coded, rest)) = split_name(rest) {
                let end = self.coded.len() - rest.len();
                break (end - coded.len(), end);
            }
            self.read_on()?;
        };
        self.passed = to;
        self.decode(from, to);
        Ok(self.text.get(..self.len).unwrap_or_default())
    }

    fn read_on(&mut self) -> Result<()> {
        if self.read >= MAX_NAMES {
            return Err(Error::corrupt(format!("kallsyms: its names pass {} MiB", MAX_NAMES >> 20)));
        }
        self.coded.drain(..self.passed);
        self.passed = 0;
        let step = STEP - self.next.0 as usize % STEP;
        let from = self.coded.len();
        self.coded.resize(from + step, 0);
        self.memory.read(self.next, &mut self.coded[from..]).map_err(|e| e.within("kallsyms_names"))?;
        let next = self.next.checked_add(step as u64);
        self.next = next.ok_or_else(|| Error::corrupt("kallsyms: kallsyms_names exceeds 2^64"))?;
        self.read += step;
        Ok(())
    }

    /// The text of what is coded from `from` to `to`.
    fn decode(&mut self, from: usize, to: usize) {
        self.len = 0;
        for token in &self.coded[from..to] {
            let (start, end) = self.tokens.places[usize::from(*token)];
            let (len, into) = (end - start, self.len);
            if into + len > MAX_NAME {
                self.len = 0;
                return;
            }
            if len <= SHORT {
                self.text[into..into + SHORT].copy_from_slice(&self.tokens.table[start..start + SHORT]);
            } else {
                self.text[into..into + len].copy_from_slice(&self.tokens.table[start..end]);
            }
            self.len += len;
        }
    }
}

fn read_tokens(memory: &mut KernelMemory<'_>, index: VirtAddr, at: VirtAddr) -> Result<Tokens> {
    let mut starts = [0; 512];
    memory.read(index, &mut starts).map_err(|e| e.within("kallsyms_token_index"))?;
    let words = memory.words();
    let starts: Vec<usize> = starts.chunks_exact(2).map(|start| words.integer(start) as usize).collect();
    if !starts.is_sorted() {
        return Err(Error::corrupt("kallsyms: kallsyms_token_index does not ascend"));
    }
    let last = starts.last().copied().unwrap_or_default();
    let mut table = vec![0; last];
    memory.read(at, &mut table).map_err(|e| e.within("kallsyms_token_table"))?;
    // the table ends with the last token's NUL, and nothing need be mapped behind it
    while table.len() < last + MAX_TOKEN {
        let mut byte = [0];
        let here = at.checked_add(table.len() as u64);
        let here = here.ok_or_else(|| Error::corrupt("kallsyms: kallsyms_token_table exceeds 2^64"))?;
        memory.read(here, &mut byte).map_err(|e| e.within("kallsyms_token_table"))?;
        table.push(byte[0]);
        if byte[0] == 0 {
            break;
        }
    }
    let end = |from: usize| table.get(from..)?.iter().position(|byte| *byte == 0).map(|len| (from, from + len));
    let places: Option<Vec<_>> = starts.iter().map(|from| end(*from)).collect();
    let places = places.ok_or_else(|| Error::corrupt("kallsyms: a token of kallsyms_token_table does not end"))?;
    table.resize(table.len() + SHORT, 0);
    Ok(Tokens { table, places })
}

/// The first name, coded, and what comes after it; `None` where it goes on past the end.
fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let low = usize::from(first & 0x7f);
    let (len, rest) = match first & 0x80 {
        0 => (low, rest),
        _ => {
            let (high, rest) = rest.split_first()?;
            (low | usize::from(*high) << 7, rest)
        }
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{PhysMemory, PhysReader};
    use crate::words::{Be32, Le64, WordLayout};
    use crate::xlat::{Mapping, TableCache, Translate};
    use dump_core::PhysAddr;

    const BASE: u64 = 0xffff_ffff_8100_0000;

    /// Tables in one piece of memory, which begins at [`BASE`] (its low half, of a machine of 32 bits).
    struct Made {
        bytes: Vec<u8>,
        words: Words,
    }

    impl PhysMemory for Made {
        fn reader(&self) -> Box<dyn PhysReader + '_> {
            Box::new(MadeReader(&self.bytes))
        }
    }

    struct MadeReader<'a>(&'a [u8]);

    impl PhysReader for MadeReader<'_> {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            let bytes = self.0.get(at.0 as usize..at.0 as usize + buf.len());
            buf.copy_from_slice(bytes.ok_or_else(|| Error::missing("not there"))?);
            Ok(())
        }
    }

    struct Flat(u64);

    impl Translate for Flat {
        fn translate(&self, _: &mut dyn PhysReader, _: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
            let phys = at.0.checked_sub(self.0).ok_or_else(|| Error::missing("not mapped"))?;
            Ok(Mapping { virt: at, phys: PhysAddr(phys), bytes: 4096 - phys % 4096 })
        }
    }

    /// Tables of `symbols`, whose entries `entry` makes of an address and the entry's own.
    fn made(symbols: &[(&str, u64)], words: Words, entry: impl Fn(u64, u64) -> u64, width: usize) -> (Made, String) {
        let base = words.wrap(BASE);
        let put = |value: u64, width: usize| match words.order {
            dump_core::ByteOrder::Little => value.to_le_bytes()[..width].to_vec(),
            dump_core::ByteOrder::Big => value.to_be_bytes()[8 - width..].to_vec(),
        };
        // token 0 is "init_", 1 a long one, 2 to 255 are themselves
        let long = "a token too long to be copied as a short one";
        let mut table = [b"init_\0", long.as_bytes(), b"\0"].concat();
        let mut index = [put(0, 2), put(6, 2)].concat();
        for byte in 2..=255u8 {
            index.extend(put(table.len() as u64, 2));
            table.extend([byte, 0]);
        }
        let mut names = Vec::new();
        for (name, _) in symbols {
            let coded = match name.strip_prefix("init_") {
                Some(rest) => [b"D\0", rest.as_bytes()].concat(),
                None if *name == long => b"D\x01".to_vec(),
                None => [b"T", name.as_bytes()].concat(),
            };
            match coded.len() {
                len @ 0..=127 => names.push(len as u8),
                len => names.extend([len as u8 | 0x80, (len >> 7) as u8]),
            }
            names.extend(coded);
        }
        let mut bytes = vec![0; 0x100];
        let mut text = String::new();
        for (name, part) in [
            ("num_syms", put(symbols.len() as u64, 4)),
            ("token_index", index),
            ("token_table", table),
            ("names", names),
        ] {
            text += &format!("SYMBOL(kallsyms_{name})={:x}\n", base + bytes.len() as u64);
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let at = base + bytes.len() as u64;
        let name = if width == 4 { "offsets" } else { "addresses" };
        text += &format!("SYMBOL(kallsyms_{name})={at:x}\n");
        for (i, (_, address)) in symbols.iter().enumerate() {
            bytes.extend(put(entry(*address, at + (i * width) as u64), width));
        }
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        (Made { bytes, words }, text)
    }

    fn symbols() -> Vec<(&'static str, u64)> {
        let long: &'static str = Box::leak("long".repeat(60).into_boxed_str());
        vec![
            ("_stext", 0xffff_ffff_8110_0000),
            ("twice", 0xffff_ffff_8110_0100),
            ("twice", 0xffff_ffff_8110_0200),
            (long, 0xffff_ffff_8110_0300),
            ("init_uts_ns", 0xffff_ffff_8120_0040),
            ("__start_BTF", 0xffff_ffff_8130_0000),
            ("alias", 0xffff_ffff_8130_0000),
            ("a token too long to be copied as a short one", 0xffff_ffff_8130_0100),
        ]
    }

    fn read(made: &Made, text: &str) -> Result<(Kallsyms, Vec<Option<u64>>)> {
        let xlat = Flat(made.words.wrap(BASE));
        let mut memory = KernelMemory::new(made, &xlat, made.words);
        let all = Kallsyms::read(&Vmcoreinfo::parse(text.as_bytes()), &mut memory)?;
        let names = ["_stext", "twice", symbols()[3].0, "init_uts_ns", "__start_BTF", "none", "stext", symbols()[7].0];
        let found = names.iter().map(|name| all.symbol(&mut memory, name).map(|at| at.0)).collect();
        Ok((all, found))
    }

    const KNOWN: &str = "SYMBOL(_stext)=ffffffff81100000\nSYMBOL(init_uts_ns)=ffffffff81200040\nSYMBOL(gone)=1\n";

    #[test]
    fn each_way_of_writing_addresses() {
        let base = 0xffff_ffff_8100_0000;
        type Entry = Box<dyn Fn(u64, u64) -> u64>;
        let ways: [(usize, Entry); 4] = [
            (8, Box::new(|address, _| address)),
            (4, Box::new(move |address, _| address - base)),
            (4, Box::new(move |address, _| (base - 1).wrapping_sub(address))),
            (4, Box::new(|address, at| address.wrapping_sub(at))),
        ];
        for (width, entry) in ways {
            let (made, text) = made(&symbols(), Le64::WORDS, entry, width);
            let (all, found) = read(&made, &format!("{text}{KNOWN}")).unwrap();
            assert_eq!(all.len(), 8);
            let want = [Some(0), None, Some(3), Some(4), Some(5), None, None, Some(7)]
                .map(|i| i.map(|i: usize| symbols()[i].1));
            assert_eq!(found, want, "{:?}", all.places);
        }
    }

    /// As s390x's and loongarch64's of Debian, which lack CONFIG_KALLSYMS_ALL: variables have no names.
    #[test]
    fn one_symbol_and_what_vmcoreinfo_states() {
        let functions = [("_stext", BASE + 0x10_0000), ("twice", BASE + 0x10_0100), ("twice", BASE + 0x10_0200)];
        let read = |stated: &str, entry: fn(u64, u64) -> u64| {
            let (made, text) = made(&functions, Le64::WORDS, entry, 4);
            let xlat = Flat(BASE);
            let info = Vmcoreinfo::parse(format!("{stated}{text}{KNOWN}").as_bytes());
            Kallsyms::read(&info, &mut KernelMemory::new(&made, &xlat, made.words)).map(|all| all.places.counting)
        };
        let from_entry = read("OSRELEASE=7.2.0\n", |address, at| address.wrapping_sub(at)).unwrap();
        assert_eq!(from_entry, Counting::FromEntry);
        assert!(read("OSRELEASE=7.0.0\n", |address, at| address.wrapping_sub(at)).is_err());
        assert!(read("OSRELEASE=7.2.0\n", |address, _| address - BASE).is_err());
    }

    #[test]
    fn functions_that_a_kernel_lacks() {
        let of = |symbols: &[(&str, u64)]| {
            let (made, text) = made(symbols, Le64::WORDS, |address, _| address, 8);
            read(&made, &format!("{text}{KNOWN}")).unwrap().0
        };
        assert!(of(&symbols()).lacks("memory_failure"));
        let with = [symbols(), vec![("memory_failure", 0xffff_ffff_8120_0000)]].concat();
        assert!(!of(&with).lacks("memory_failure"));
        let alike = [symbols(), vec![("memory_failure_queue", 0xffff_ffff_8120_0000)]].concat();
        assert!(of(&alike).lacks("memory_failure"));
    }

    #[test]
    fn of_the_other_order_and_size() {
        let symbols: Vec<_> = symbols().into_iter().map(|(name, at)| (name, at & 0xffff_ffff)).collect();
        let (made, text) = made(&symbols, Be32::WORDS, |address, _| address - 0x8100_0000, 4);
        let known = "SYMBOL(_stext)=81100000\nSYMBOL(init_uts_ns)=81200040\n";
        let (_, found) = read(&made, &format!("{text}{known}")).unwrap();
        assert_eq!(found[4], Some(0x8130_0000));
    }

    #[test]
    fn nothing_is_guessed() {
        let entry = |address: u64, _| address - 0xffff_ffff_8100_0000;
        let (mut made, text) = made(&symbols(), Le64::WORDS, entry, 4);
        let fails = |made: &Made, text: &str| read(made, text).err().unwrap().to_string();
        let e = fails(&made, &format!("{text}SYMBOL(_stext)=ffffffff81100000\n"));
        assert!(e.contains("no two symbols"), "{e}");
        let other = "SYMBOL(_stext)=ffffffff81100000\nSYMBOL(init_uts_ns)=ffffffff81200041\n";
        assert!(fails(&made, &format!("{text}{other}")).contains("no two symbols"));
        for key in ["num_syms", "token_index", "token_table", "names", "offsets"] {
            let text: String =
                text.lines().filter(|line| !line.contains(key)).map(|line| format!("{line}\n")).collect();
            assert!(fails(&made, &format!("{text}{KNOWN}")).contains(&format!("SYMBOL(kallsyms_{key})")));
        }
        let text = format!("{text}{KNOWN}");
        for (count, what) in [(0, "0 symbols"), (u32::MAX, "symbols, expected"), (1 << 20, "kallsyms_names")] {
            made.bytes[0x100..0x104].copy_from_slice(&count.to_le_bytes());
            let e = fails(&made, &text);
            assert!(e.contains(what), "{e}");
        }
    }
}
