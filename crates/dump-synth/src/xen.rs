//! Dumps of Xen hosts: a fake kernel as domain 0, a guest, Xen with its frame table, and memory that is free.
//!
//! | `page_info` | count_info | type_info | _domain | size |
//! |---|---|---|---|---|
//! | usual | 8 | 16 | 24 (u32) | 32 |
//! | more than 16 TiB | 16 | 24 | 32 (u64) | 48 |

use crate::elf::{ElfCore, Load};
use crate::kernel::FakeKernel;
use crate::memory::FakeMemory;
use crate::note::Notes;
use crate::{Endian, Width};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Where `count_info` has its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenFlags {
    /// State in bits 55 and 56, broken 57.
    Before,
    /// State in bits 58 and 59, broken 60; frames to be scrubbed have bit 63.
    Since,
    /// The same, and frames to be scrubbed have bit 57.
    Since4_22,
}

impl XenFlags {
    /// Every layout.
    pub const ALL: [XenFlags; 3] = [XenFlags::Before, XenFlags::Since, XenFlags::Since4_22];

    fn state(self, state: u64) -> u64 {
        if self == XenFlags::Before { state << 55 } else { state << 58 }
    }

    fn broken(self) -> u64 {
        if self == XenFlags::Before { 1 << 57 } else { 1 << 60 }
    }

    fn scrub(self) -> u64 {
        if self == XenFlags::Since4_22 { 1 << 57 } else { 1 << 63 }
    }

    fn version(self) -> [u64; 2] {
        match self {
            XenFlags::Before => [4, 12],
            XenFlags::Since => [4, 17],
            XenFlags::Since4_22 => [4, 22],
        }
    }
}

/// How page frames are numbered in the frame table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenPdx {
    /// As they are.
    Same,
    /// Without bits 22 to 27.
    Mask,
    /// Each range moved down.
    Offset,
}

/// Frames of Xen, its free memory and its guest.
const LOW: u64 = 0x1000;
const IMAGE: u64 = 0x100;
const TABLES: Range<u64> = 0x110..0x180;
const DOMAINS: u64 = 0x180;
const FRAME_TABLE: Range<u64> = 0x200..0x800;
const LISTS: Range<u64> = 0x800..0x840;
const GUEST: Range<u64> = 0x900..0xa00;
const FREE: Range<u64> = 0xa00..0xd00;
const DIRTY: Range<u64> = 0xd00..0xd40;
const BROKEN: u64 = 0xd41;
const OFFLINED: u64 = 0xd43;
const STRANGER: u64 = 0xd45;
const ANONYMOUS: u64 = 0xd47;
const SHARED: u64 = 0xd49;

/// Where domain 0's frames are, a multiple of 2 MiB, and far above the rest where numbers are compressed.
const NEAR: u64 = 0x1000;
const FAR: u64 = 1 << 28;

const XEN_VIRT: u64 = 0xffff_82d0_4000_0000;
/// The top page table is part of the image.
const ROOT_VIRT: u64 = XEN_VIRT + (TABLES.start - IMAGE) * 4096;
const TABLE_VIRT: u64 = 0xffff_82e0_0000_0000;
const DIRECT_MAP: u64 = 0xffff_8300_0000_0000;
const DIRECT_MAP_BIG: u64 = 0xffff_8480_0000_0000;

const VARIABLES: [&str; 13] = [
    "domain_list",
    "frame_table",
    "max_page",
    "dom_xen",
    "dom_io",
    "pfn_pdx_bottom_mask",
    "pfn_top_mask",
    "pfn_pdx_hole_shift",
    "pfn_index_shift",
    "pdx_region_size",
    "extra_version",
    "pfn_pdx_lookup",
    "pfn_bases",
];

/// The dump of a Xen host.
#[derive(Clone, Debug)]
pub struct FakeXen {
    /// The machine's memory.
    pub memory: FakeMemory,
    /// Frames that are kept, and all others.
    pub kept: BTreeSet<u64>,
    /// Frames left out: of guests, free, to be scrubbed, broken or off line.
    pub excluded: [u64; 4],
    /// Domain 0's frames, and the machine's.
    pub p2m: BTreeMap<u64, u64>,
    /// The frame that lists the lists of those.
    pub frame_list_list: u64,
    /// Xen's vmcoreinfo.
    pub vmcoreinfo: String,
    /// Its symbols.
    pub symbols: Vec<(&'static str, u64)>,
    flags: XenFlags,
    pdx: XenPdx,
    big: bool,
    next_table: u64,
    base: u64,
}

impl FakeXen {
    /// A host with `kernel` as its domain 0.
    ///
    /// # Panics
    /// If the kernel is none of x86_64 with four levels of page tables, or too large.
    #[must_use]
    pub fn new(kernel: &FakeKernel, flags: XenFlags, pdx: XenPdx, big: bool) -> FakeXen {
        let base = if pdx == XenPdx::Same { NEAR } else { FAR };
        let blocks = kernel.max_pfn().div_ceil(512);
        let memory = FakeMemory::new(&[0..LOW, base..base + 512 * blocks]);
        let mut xen = FakeXen {
            memory,
            kept: BTreeSet::new(),
            excluded: [0; 4],
            p2m: BTreeMap::new(),
            frame_list_list: LISTS.start,
            vmcoreinfo: String::new(),
            symbols: Vec::new(),
            flags,
            pdx,
            big,
            next_table: TABLES.start + 1,
            base,
        };
        let mut tables = BTreeMap::new();
        let mut large = BTreeSet::new();
        walk(kernel, kernel.page_table_root(), 4, &mut tables, &mut large);
        for pfn in kernel.memory().pfns() {
            let (block, at) = (pfn / 512, pfn % 512);
            let at = if large.contains(&block) { at } else { 511 - at };
            xen.p2m.insert(pfn, base + (blocks - 1 - block) * 512 + at);
        }
        xen.domain0(kernel, &tables);
        xen.lists();
        xen.hypervisor();
        xen.frame_table(&tables);
        xen
    }

    /// The file.
    #[must_use]
    pub fn vmcore(&self) -> Vec<u8> {
        self.elf().to_bytes()
    }

    /// The file, for tests that want it changed first.
    #[must_use]
    pub fn elf(&self) -> ElfCore {
        let loads = self.memory.ram().iter().map(|run| {
            let data = self.memory.bytes(run.start * 4096, (run.end - run.start) * 4096);
            Load::new(run.start * 4096, 0xffff_8880_0000_0000 + run.start * 4096, data)
        });
        loads.fold(ElfCore::x86_64().note(self.notes(10, true)), ElfCore::load)
    }

    /// The notes, with `words` of the crash note (8, 9 or 10), and Xen's vmcoreinfo or not.
    #[must_use]
    pub fn notes(&self, words: usize, vmcoreinfo: bool) -> Vec<u8> {
        let [major, minor] = self.flags.version();
        let extra = IMAGE * 4096 + 8 * 16;
        let all = [major, minor, extra, extra, extra, extra, extra, 0, IMAGE * 4096, self.frame_list_list];
        let crash: Vec<u8> = all[..words].iter().flat_map(|word| word.to_le_bytes()).collect();
        let notes = Notes::new(Endian::Little).prstatus(Width::W64, 336, 0, &[0; 27]);
        let notes = notes.note("Xen", 0x100_0002, &[0; 32]).note("Xen", 0x100_0001, &crash);
        if !vmcoreinfo {
            return notes.into_bytes();
        }
        let mut text = self.vmcoreinfo.clone().into_bytes();
        text.resize(4068, 0);
        notes.note("VMCOREINFO_XEN", 0, &text).into_bytes()
    }

    /// An ELF file with Xen's symbols and nothing else.
    #[must_use]
    pub fn syms(&self) -> Vec<u8> {
        let mut names = vec![0_u8];
        let mut table = vec![0_u8; 24];
        for (name, at) in &self.symbols {
            table.extend((names.len() as u32).to_le_bytes());
            table.extend([0x11, 0, 1, 0]); // a global object of section 1
            table.extend(at.to_le_bytes());
            table.extend(8_u64.to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        let section_names = b"\0.symtab\0.strtab\0.shstrtab\0";
        let mut file = vec![0_u8; 64];
        let parts: [&[u8]; 3] = [&table, &names, section_names];
        let at = parts.map(|part| {
            let at = file.len() as u64;
            file.extend_from_slice(part);
            file.resize(file.len().next_multiple_of(8), 0);
            (at, part.len() as u64)
        });
        let shoff = file.len() as u64;
        file.extend([0; 64]);
        for (name, kind, link, (at, len), size) in
            [(1_u32, 2_u32, 2_u32, at[0], 24_u64), (9, 3, 0, at[1], 0), (17, 3, 0, at[2], 0)]
        {
            file.extend(name.to_le_bytes().into_iter().chain(kind.to_le_bytes()));
            [0, 0, at, len].iter().for_each(|word| file.extend(word.to_le_bytes()));
            file.extend(link.to_le_bytes().into_iter().chain(1_u32.to_le_bytes()));
            [8, size].iter().for_each(|word| file.extend(word.to_le_bytes()));
        }
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        let words = [(16, 2), (18, 62), (20, 1), (52, 64), (54, 56), (58, 64), (60, 4), (62, 3)];
        words.iter().for_each(|(at, word): &(usize, u16)| file[*at..at + 2].copy_from_slice(&word.to_le_bytes()));
        file[40..48].copy_from_slice(&shoff.to_le_bytes());
        file
    }

    /// The index of a frame in the frame table.
    #[must_use]
    pub fn index(&self, mfn: u64) -> u64 {
        match self.pdx {
            XenPdx::Same => mfn,
            _ if mfn >= FAR => mfn - FAR + (1 << 22),
            _ => mfn,
        }
    }

    /// Where a frame's `page_info` is in the machine's memory.
    #[must_use]
    pub fn page_info(&self, mfn: u64) -> u64 {
        let at = self.index(mfn) * self.info_size();
        let page = at / 4096;
        let first_far = self.index(self.base) * self.info_size() / 4096;
        let low_pages = LOW * self.info_size() / 4096;
        let slot = if page < low_pages { page } else { low_pages + page - first_far };
        (FRAME_TABLE.start + slot) * 4096 + at % 4096
    }

    fn info_size(&self) -> u64 {
        if self.big { 48 } else { 32 }
    }

    fn domain0(&mut self, kernel: &FakeKernel, tables: &BTreeMap<u64, u32>) {
        for (pfn, mfn) in self.p2m.clone() {
            let mut page = kernel.page(pfn).unwrap_or_else(|| vec![0; 4096]);
            if tables.contains_key(&pfn) {
                for bytes in page.chunks_mut(8) {
                    let entry = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
                    if entry & 1 != 0 {
                        let frame = (entry & 0x000f_ffff_ffff_f000) >> 12;
                        let machine = self.p2m.get(&frame).copied().unwrap_or(frame);
                        let entry = entry & !0x000f_ffff_ffff_f000 | machine << 12;
                        bytes.copy_from_slice(&entry.to_le_bytes());
                    }
                }
            }
            if page.iter().any(|byte| *byte != 0) {
                self.memory.write(mfn * 4096, &page);
            }
        }
    }

    /// The lists of domain 0's frames.
    fn lists(&mut self) {
        let last = self.p2m.keys().next_back().copied().unwrap_or(0);
        let leaves = last / 512 + 1;
        assert!(2 + leaves < LISTS.end - LISTS.start, "too large a kernel");
        let none = LISTS.start + 2 + leaves; // a leaf without frames
        self.fill(none, |_| u64::MAX);
        let second = LISTS.start + 1;
        self.fill(LISTS.start, |i| if i == 0 { second } else { none });
        self.fill(second, |i| if i < leaves { second + 1 + i } else { none });
        for leaf in 0..leaves {
            let p2m = self.p2m.clone();
            self.fill(second + 1 + leaf, |i| p2m.get(&(leaf * 512 + i)).copied().unwrap_or(u64::MAX));
        }
    }

    fn fill(&mut self, frame: u64, entry: impl Fn(u64) -> u64) {
        (0..512).for_each(|i| self.memory.write(frame * 4096 + 8 * i, &entry(i).to_le_bytes()));
    }

    fn direct(&self, mfn: u64) -> u64 {
        (if self.big { DIRECT_MAP_BIG } else { DIRECT_MAP }) + mfn * 4096
    }

    fn hypervisor(&mut self) {
        let root = TABLES.start;
        (0..0x10).for_each(|i| self.map(root, XEN_VIRT + i * 4096, IMAGE + i));
        self.map(root, ROOT_VIRT, root);
        // domain 0, a guest, dom_xen and dom_io: the number at 0, the next in the list at 136
        for (i, id) in [0_u16, 1, 0x7ff2, 0x7ff1].into_iter().enumerate() {
            let frame = DOMAINS + i as u64;
            self.map(root, self.direct(frame), frame);
            self.memory.write(frame * 4096, &id.to_le_bytes());
        }
        self.memory.write(DOMAINS * 4096 + 136, &self.direct(DOMAINS + 1).to_le_bytes());
        let end = self.memory.max_pfn();
        let values = [
            self.direct(DOMAINS),
            TABLE_VIRT,
            end,
            self.direct(DOMAINS + 2),
            self.direct(DOMAINS + 3),
            if self.pdx == XenPdx::Mask { (1 << 22) - 1 } else { u64::MAX },
            if self.pdx == XenPdx::Mask { !((1 << 28) - 1) } else { 0 },
            if self.pdx == XenPdx::Mask { 6 } else { 0 },
            28,
            1 << 22,
        ];
        for (i, value) in values.into_iter().enumerate() {
            self.memory.write(IMAGE * 4096 + 8 * i as u64, &value.to_le_bytes());
        }
        self.memory.write(IMAGE * 4096 + 8 * 16, b".2-fake\0");
        // what is taken off, and where ranges begin
        for (i, (lookup, base)) in [(0, 0), (FAR - (1 << 22), FAR)].into_iter().enumerate() {
            let at = IMAGE * 4096 + 0x200 + 8 * i as u64;
            self.memory.write(at, &u64::to_le_bytes(lookup));
            self.memory.write(at + 16, &u64::to_le_bytes(base));
        }
        let is_there = |name: &str| match self.pdx {
            XenPdx::Same => !name.contains("pdx") && !name.starts_with("pfn"),
            XenPdx::Mask => !["pfn_index_shift", "pdx_region_size", "pfn_pdx_lookup", "pfn_bases"].contains(&name),
            XenPdx::Offset => !["pfn_pdx_bottom_mask", "pfn_top_mask", "pfn_pdx_hole_shift"].contains(&name),
        };
        let place = |i: usize, name: &str| match name {
            "pfn_pdx_lookup" => 0x200,
            "pfn_bases" => 0x210,
            _ => 8 * i as u64,
        };
        self.symbols = VARIABLES
            .iter()
            .enumerate()
            .filter(|(_, name)| is_there(name))
            .map(|(i, name)| (*name, XEN_VIRT + place(i, name)))
            .chain([("idle_pg_table", ROOT_VIRT)])
            .collect();
        let (size, count, domain) = if self.big { (48, 16, 32) } else { (32, 8, 24) };
        let symbol = |name: &str| self.symbols.iter().find(|(known, _)| *known == name).map_or(0, |(_, at)| *at);
        self.vmcoreinfo = format!(
            "PAGESIZE=4096\nSYMBOL(domain_list)={:x}\nSYMBOL(frame_table)={:x}\nSYMBOL(max_page)={:x}\n\
             SIZE(page_info)={size}\nSIZE(domain)=2432\nOFFSET(page_info.count_info)={count}\n\
             OFFSET(page_info._domain)={domain}\nOFFSET(domain.domain_id)=0\nOFFSET(domain.next_in_list)=136\n\
             SYMBOL(dom_xen)={:x}\nSYMBOL(dom_io)={:x}\nSYMBOL(pgd_l4)={:x}\n",
            symbol("domain_list"),
            symbol("frame_table"),
            symbol("max_page"),
            symbol("dom_xen"),
            symbol("dom_io"),
            symbol("idle_pg_table"),
        );
    }

    fn map(&mut self, root: u64, virt: u64, mfn: u64) {
        let mut table = root;
        for level in (1..4).rev() {
            let at = table * 4096 + 8 * (virt >> (12 + 9 * level) & 511);
            let entry = self.memory.number(at, 8);
            table = if entry & 1 != 0 {
                entry >> 12 & 0xff_ffff_ffff
            } else {
                let new = self.next_table;
                assert!(TABLES.contains(&new), "too few tables");
                self.next_table += 1;
                self.memory.write(at, &(new << 12 | 0x63).to_le_bytes());
                new
            };
        }
        self.memory.write(table * 4096 + 8 * (virt >> 12 & 511), &(mfn << 12 | 0x63).to_le_bytes());
    }

    fn frame_table(&mut self, tables: &BTreeMap<u64, u32>) {
        let frames: Vec<u64> = self.memory.pfns().collect();
        let pages: BTreeSet<u64> = frames.iter().map(|mfn| self.index(*mfn) * self.info_size() / 4096).collect();
        let root = TABLES.start;
        for mfn in &frames {
            let page = self.page_info(*mfn) / 4096;
            let virt = TABLE_VIRT + self.index(*mfn) * self.info_size() / 4096 * 4096;
            if pages.contains(&(self.index(*mfn) * self.info_size() / 4096)) {
                assert!(FRAME_TABLE.contains(&page), "too few pages for the frame table");
                self.map(root, virt, page);
            }
        }
        let owners: BTreeMap<u64, u64> = self.p2m.iter().map(|(pfn, mfn)| (*mfn, *pfn)).collect();
        let (allocated, heap) = (1 << 63, 1 << 62);
        let free = self.flags.state(3);
        for mfn in frames {
            let order = |range: Range<u64>, most: u32| {
                let at = mfn - range.start;
                if at % (1 << most) == 0 { most } else { 0 }
            };
            let mut kind = 0;
            let (count, owner) = match mfn {
                mfn if owners.contains_key(&mfn) => {
                    let level = tables.get(&owners[&mfn]).copied();
                    kind = level.map_or(0, |level| u64::from(level) << 61 | 1 << 58 | 1);
                    (allocated | 1, DOMAINS)
                }
                mfn if GUEST.contains(&mfn) => (allocated | 2, DOMAINS + 1),
                mfn if FREE.contains(&mfn) => (free, u64::from(order(FREE, 8))),
                mfn if DIRTY.contains(&mfn) => (free | self.flags.scrub(), u64::from(order(DIRTY, 6))),
                BROKEN => (self.flags.broken() | self.flags.state(2), 0),
                OFFLINED => (self.flags.state(2), 0),
                STRANGER => (allocated | 1, 0x77_7777),
                ANONYMOUS => (allocated | 1, 0),
                SHARED => (allocated | 3, DOMAINS + 3),
                mfn if (IMAGE..LISTS.end).contains(&mfn) => (heap | allocated | 1, DOMAINS + 2),
                _ => (1, 0),
            };
            match mfn {
                mfn if GUEST.contains(&mfn) => self.excluded[0] += 1,
                mfn if FREE.contains(&mfn) => self.excluded[1] += 1,
                mfn if DIRTY.contains(&mfn) => self.excluded[2] += 1,
                BROKEN | OFFLINED => self.excluded[3] += 1,
                _ => {
                    self.kept.insert(mfn);
                }
            }
            // the three free blocks of one order are on a list; the one to be scrubbed is alone on its own
            let links = match mfn {
                mfn if FREE.contains(&mfn) && (mfn - FREE.start) % 256 == 0 => {
                    let next = Some(mfn + 256).filter(|next| FREE.contains(next));
                    let previous = Some(mfn - 256).filter(|previous| FREE.contains(previous));
                    (next.unwrap_or(u64::MAX), previous.unwrap_or(u64::MAX))
                }
                mfn if mfn == DIRTY.start => (u64::MAX, u64::MAX),
                _ => (0, 0),
            };
            let at = self.page_info(mfn);
            if self.big {
                let words = [links.0, links.1, count, kind, owner];
                (0..).zip(words).for_each(|(i, word)| self.memory.write(at + 8 * i, &word.to_le_bytes()));
            } else {
                self.memory.write(at, &(links.0 as u32).to_le_bytes());
                self.memory.write(at + 4, &(links.1 as u32).to_le_bytes());
                (1..).zip([count, kind]).for_each(|(i, word)| self.memory.write(at + 8 * i, &word.to_le_bytes()));
                self.memory.write(at + 24, &(owner as u32).to_le_bytes());
            }
        }
        for mfn in GUEST.chain(FREE).chain(DIRTY) {
            self.memory.write(mfn * 4096, &[mfn as u8 | 1; 4096]); // what nobody should copy
        }
    }
}

/// The page tables of a kernel with their levels, and 2 MiB blocks that large pages cover.
fn walk(kernel: &FakeKernel, table: u64, level: u32, tables: &mut BTreeMap<u64, u32>, large: &mut BTreeSet<u64>) {
    if tables.insert(table / 4096, level).is_some() {
        return;
    }
    for i in 0..512 {
        let entry = kernel.memory().number(table + 8 * i, 8);
        let at = entry & 0x000f_ffff_ffff_f000;
        if entry & 1 == 0 || !kernel.memory().is_ram(at / 4096) {
            continue;
        }
        match level {
            1 => {}
            2 if entry & 0x80 != 0 => {
                large.insert(at >> 21);
            }
            _ => {
                assert_eq!(entry & 0x80, 0, "no pages of 1 GiB: they would need as much in order");
                walk(kernel, at, level - 1, tables, large);
            }
        }
    }
}
