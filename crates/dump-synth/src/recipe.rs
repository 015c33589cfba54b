//! The recipe: what each page of the fake machine is for, one line per range.
//!
//! ```text
//! # anything after a hash is a comment; numbers are decimal or 0x-hexadecimal page frame numbers
//! ram    0x0..0x1000            # memory that exists; without a line, 0..0x800
//! hole   0x300..0x310 garbage   # taken out of RAM again; its struct pages look anonymous
//! anon   0x100..0x110           # single pages
//! thp    0x200 order=9          # one block of 2^order pages
//! cache  0x120..0x140 order=4   # several blocks of 2^order pages
//! kernel 0x140..0x148 zero      # content: unique pattern unless zero, noise or fill=0x5a
//! free   0x800 order=10 poisoned
//! kernel 0x500 order=4 tails=garbage
//! hugetlb 0x600 order=9 hvo     # its tails' struct pages share memory
//! ```
//!
//! RAM that no line names is kernel memory filled with zeros.

use std::ops::Range;

use crate::era::Era;
use crate::machine::Machine;
use crate::memory::{PAGE_SIZE, PageBytes};

/// What a page is used for. The struct page that says so differs by era; the meaning does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kernel data. With an order: a driver's compound page.
    Kernel,
    /// Memory the page allocator never owned (PG_reserved).
    Reserved,
    /// A page table (a page type of its own since 4.18).
    PageTable,
    /// Slab memory; the word that aliases `mapping` has bit 0 set, so that it looks anonymous.
    Slab,
    /// A non-LRU movable page: bit 1 of `mapping` set, not bit 0.
    Movable,
    /// PG_owner_priv_1 set on a page that is not swap-backed; since 4.10 the same bit as PG_swapcache.
    OwnerPriv,
    /// Anonymous user memory; with an order, a transparent huge page.
    Anon,
    /// Anonymous with PG_waiters: bit 7, which makedumpfile takes for PG_slab on 6.10 and later.
    AnonWithWaiters,
    /// Anonymous and merged (bits 0 and 1 of `mapping`).
    Ksm,
    /// A hugetlbfs page, mapped shared (no bit 0 in `mapping`).
    Hugetlb,
    /// Page cache.
    Cache,
    /// Page cache with PG_private (buffer heads).
    CachePrivate,
    /// In the swap cache, not on an LRU list, unmapped.
    SwapCache,
    /// In the buddy allocator; on the zone's free list of its order too.
    Free,
    /// Marked buddy, but with an impossible order and on no list: nobody can say how far it reaches.
    FreeBadOrder,
    /// Memory the guest has not accepted; must not be touched. Always in blocks of the largest order.
    Unaccepted,
    /// Given back to the hypervisor (PG_offline); must not be touched.
    Offline,
    /// A kernel page hit by a memory error.
    Hwpoison,
}

const NAMES: &[(&str, Kind)] = &[
    ("kernel", Kind::Kernel),
    ("zero", Kind::Kernel),
    ("reserved", Kind::Reserved),
    ("pgtable", Kind::PageTable),
    ("slab", Kind::Slab),
    ("movable", Kind::Movable),
    ("owner-priv", Kind::OwnerPriv),
    ("anon", Kind::Anon),
    ("thp", Kind::Anon),
    ("anon-with-waiters", Kind::AnonWithWaiters),
    ("ksm", Kind::Ksm),
    ("hugetlb", Kind::Hugetlb),
    ("cache", Kind::Cache),
    ("cache-private", Kind::CachePrivate),
    ("swapcache", Kind::SwapCache),
    ("free", Kind::Free),
    ("free-bad-order", Kind::FreeBadOrder),
    ("unaccepted", Kind::Unaccepted),
    ("offline", Kind::Offline),
    ("hwpoison", Kind::Hwpoison),
];

/// What the pages contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeros.
    Zero,
    /// Different for every pfn, never zero, easily compressed: the pfn and a salt in turns.
    Pattern,
    /// Different for every pfn and incompressible.
    Noise,
    /// One byte repeated.
    Fill(u8),
}

impl Content {
    /// The page of 4 KiB with this content at `pfn`.
    #[must_use]
    pub fn page(self, pfn: u64) -> PageBytes {
        let mut bytes = [0; PAGE_SIZE as usize];
        self.fill(pfn, &mut bytes);
        bytes
    }

    /// Fills a page of any size with this content at `pfn`.
    pub fn fill(self, pfn: u64, bytes: &mut [u8]) {
        let mut state = pfn ^ 0x6764_756d_7021_0000;
        for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
            let value = match self {
                Content::Zero => 0,
                Content::Fill(byte) => u64::from_le_bytes([byte; 8]),
                Content::Pattern if index % 2 == 0 => pfn,
                Content::Pattern => 0x5041_4745_0000_0000 | (index as u64 / 32),
                Content::Noise => noise(&mut state),
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// splitmix64.
fn noise(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A range of pages with one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The use.
    pub kind: Kind,
    /// The pages, whole blocks of `1 << order`, aligned to that.
    pub pfns: Range<u64>,
    /// Order of each block; 0 is single pages.
    pub order: u32,
    /// What they contain.
    pub content: Content,
    /// PG_hwpoison on (the head of) each block, on top of its kind.
    pub poisoned: bool,
    /// Tail pages carry flags and fields that look like page cache; only from 4.4 on, where tails are recognisable.
    pub tail_garbage: bool,
    /// Struct pages beyond the first page of them are shared (HugeTLB vmemmap optimisation): with the first page until
    /// 7.0 (e7d324850bfc, 5.18), which shows false heads, with a page of tails from 7.1 on. Needs vmemmap in 4 KiB
    /// pages.
    pub hvo: bool,
}

impl Line {
    /// Single pages with a unique pattern.
    #[must_use]
    pub fn new(kind: Kind, pfns: Range<u64>) -> Self {
        Line { kind, pfns, order: 0, content: Content::Pattern, poisoned: false, tail_garbage: false, hvo: false }
    }

    /// Blocks of `1 << order` pages.
    #[must_use]
    pub fn order(mut self, order: u32) -> Self {
        self.order = order;
        self
    }

    /// Sets the content.
    #[must_use]
    pub fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// The blocks, as their first pfns.
    pub fn blocks(&self) -> impl Iterator<Item = u64> + use<> {
        self.pfns.clone().step_by(1 << self.order)
    }

    fn check(&self) {
        let size = 1u64 << self.order;
        let whole = self.pfns.start % size == 0 && self.pfns.end % size == 0 && !self.pfns.is_empty();
        assert!(whole, "{self:x?}: not whole, aligned blocks of order {}", self.order);
    }
}

/// A whole recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// RAM before the holes are taken out.
    pub ram: Vec<Range<u64>>,
    /// Holes; `true` where the struct pages over them look anonymous instead of reserved.
    pub holes: Vec<(Range<u64>, bool)>,
    /// The lines, in the order written.
    pub lines: Vec<Line>,
}

impl Recipe {
    /// Reads the text form (see the module's documentation).
    ///
    /// # Panics
    /// On anything it does not understand, naming the line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut recipe = Recipe::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
            if !words.is_empty() {
                recipe.take(&words).unwrap_or_else(|why| panic!("recipe line {}: {why}: {line:?}", number + 1));
            }
        }
        recipe
    }

    /// RAM without the holes, ascending.
    ///
    /// # Panics
    /// When a hole lies outside RAM.
    #[must_use]
    pub fn present(&self) -> Vec<Range<u64>> {
        let mut ram = if self.ram.is_empty() { vec![0..0x800; 1] } else { self.ram.clone() };
        for (hole, _) in &self.holes {
            let at = ram.iter().position(|run| run.start <= hole.start && hole.end <= run.end);
            let run = ram.swap_remove(at.unwrap_or_else(|| panic!("hole {hole:x?} is not within one RAM range")));
            ram.extend([run.start..hole.start, hole.end..run.end]);
        }
        ram.retain(|run| !run.is_empty());
        ram.sort_by_key(|run| run.start);
        ram
    }

    fn take(&mut self, words: &[&str]) -> Result<(), String> {
        let name = words[0];
        let span = words.get(1).ok_or("no page frames given")?;
        match name {
            "ram" => self.ram.push(parse_range(span)?),
            "hole" => self.holes.push((parse_range(span)?, words.contains(&"garbage"))),
            _ => self.lines.push(parse_line(name, span, &words[2..])?),
        }
        Ok(())
    }
}

fn parse_line(name: &str, span: &str, options: &[&str]) -> Result<Line, String> {
    let found = NAMES.iter().find(|entry| entry.0 == name);
    let kind = found.ok_or_else(|| format!("no kind of page is called {name:?}"))?.1;
    let order = default_order(name);
    let mut line = Line { order, ..Line::new(kind, 0..0) };
    if name == "zero" {
        line.content = Content::Zero;
    }
    for option in options {
        set_option(&mut line, option)?;
    }
    line.pfns = match span.split_once("..") {
        Some(_) => parse_range(span)?,
        None => parse_number(span).map(|first| first..first + (1 << line.order))?,
    };
    line.check();
    Ok(line)
}

fn default_order(name: &str) -> u32 {
    match name {
        "thp" | "hugetlb" => 9,
        "unaccepted" => crate::facts::Facts::max_order(),
        _ => 0,
    }
}

fn set_option(line: &mut Line, option: &str) -> Result<(), String> {
    match option.split_once('=').unwrap_or((option, "")) {
        ("order", order) => line.order = parse_number(order)? as u32,
        ("fill", byte) => line.content = Content::Fill(parse_number(byte)? as u8),
        ("zero", "") => line.content = Content::Zero,
        ("noise", "") => line.content = Content::Noise,
        ("pattern", "") => line.content = Content::Pattern,
        ("poisoned", "") => line.poisoned = true,
        ("tails", "garbage") => line.tail_garbage = true,
        ("hvo", "") => line.hvo = true,
        _ => return Err(format!("unknown option {option:?}")),
    }
    Ok(())
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (start, end) = text.split_once("..").ok_or_else(|| format!("{text:?} is not a range"))?;
    let range = parse_number(start)?..parse_number(end)?;
    if range.is_empty() { Err(format!("{text:?} is empty")) } else { Ok(range) }
}

fn parse_number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is not a number"))
}

/// A recipe with every kind of page that an era can have, in 32 MiB.
#[must_use]
pub fn every_kind(era: Era) -> String {
    let since = SINCE.iter().filter(|(first, _)| era >= *first).map(|(_, lines)| *lines);
    std::iter::once(EVERY_KIND).chain(since).collect::<Vec<_>>().join("\n")
}

/// The same for a machine, whose hugetlb pages are of the order that it has them in.
#[must_use]
pub fn every_kind_on(era: Era, machine: &Machine) -> String {
    let hugetlb = match machine.hugetlb {
        order @ 0..=9 => format!("hugetlb 0x400 order={order}"),
        order => format!("ram 0x2000..{:#x}\nhugetlb 0x2000 order={order}", 0x2000u64 + (1 << order)),
    };
    every_kind(era).replace("hugetlb 0x400", &hugetlb)
}

const EVERY_KIND: &str = "
    ram 0x0..0x9f
    ram 0x100..0x2000
    hole 0x1f00..0x1f10 garbage
    reserved 0x100..0x108
    anon 0x110..0x120
    anon 0x120..0x124 zero
    anon 0x124..0x126 poisoned
    ksm 0x128..0x12a
    movable 0x12a..0x12c
    pgtable 0x12c..0x130
    cache 0x130..0x140
    cache-private 0x140..0x148
    swapcache 0x148..0x14c
    owner-priv 0x14c..0x150
    slab 0x150..0x158
    slab 0x158 order=3
    kernel 0x160..0x170
    kernel 0x170..0x178 noise
    kernel 0x178..0x180 fill=0x5a
    zero 0x180..0x190
    hwpoison 0x190
    offline 0x191..0x1a0
    free 0x1a0..0x1a7
    free 0x1b0 order=4
    free-bad-order 0x1c0
    kernel 0x1d0 order=4
    thp 0x200
    hugetlb 0x400
    cache 0x600..0x640 order=4
    free 0x800..0x1000 order=10
";

/// Kinds that only newer eras have.
const SINCE: &[(Era, &str)] = &[
    (Era::V4_4, "kernel 0x1e0 order=4 tails=garbage\nslab 0x1f0 order=4 tails=garbage"),
    (Era::V4_14, "anon-with-waiters 0x1a8..0x1ac"),
    (Era::V6_16, "unaccepted 0x1000 zero\nunaccepted 0x1400"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let recipe = Recipe::parse(
            "ram 0..0x400 # all\n hole 0x10..0x20 garbage\n\nthp 0x200\nanon 0x1..3 zero poisoned\n\
             cache 8..16 order=2 fill=0x5a tails=garbage\n",
        );
        assert_eq!(recipe.present(), [0..0x10, 0x20..0x400]);
        assert_eq!(recipe.lines[0], Line::new(Kind::Anon, 0x200..0x400).order(9));
        assert_eq!(recipe.lines[1], Line { poisoned: true, content: Content::Zero, ..Line::new(Kind::Anon, 1..3) });
        assert_eq!(recipe.lines[2].blocks().collect::<Vec<_>>(), [8, 12]);
        assert!(recipe.lines[2].tail_garbage);
        assert_eq!(recipe.lines[2].content, Content::Fill(0x5a));
    }

    #[test]
    #[should_panic(expected = "line 2: no kind of page")]
    fn names_the_bad_line() {
        let _ = Recipe::parse("anon 1..2\nanonn 1..2");
    }

    #[test]
    #[should_panic(expected = "not whole, aligned blocks")]
    fn refuses_unaligned_blocks() {
        let _ = Recipe::parse("thp 0x201");
    }

    #[test]
    fn contents_are_unique_and_not_zero() {
        for content in [Content::Pattern, Content::Noise] {
            assert_ne!(content.page(1), content.page(2));
            assert_ne!(content.page(0), [0; 4096]);
        }
        assert_eq!(Content::Fill(7).page(9), [7; 4096]);
    }

    #[test]
    fn names_are_unique() {
        for (index, entry) in NAMES.iter().enumerate() {
            assert!(NAMES[..index].iter().all(|earlier| earlier.0 != entry.0));
        }
    }
}
