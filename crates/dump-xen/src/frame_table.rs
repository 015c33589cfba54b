//! Xen's frame table: a `page_info` for each machine frame (xen/arch/x86/include/asm/mm.h).
//!
//! | offset | | CONFIG_BIGMEM |
//! |---|---|---|
//! | 0 | list: the next and the previous frame on it, by compressed numbers (u32 each) | u64 each |
//! | 8 | count_info: references and flags | 16 |
//! | 16 | type_info: what a guest uses it as, and how often | 24 |
//! | 24 | _domain: its owner (u32); of a free block the order | 32 (u64) |
//!
//! Xen's vmcoreinfo has its size and where count_info and _domain are; type_info follows count_info, and the list comes
//! before it, in every version.

use crate::pdx::Pdx;
use crate::space::{XenReader, XenSpace};
use dump_core::{Error, Pfn, PfnRange, Result, VirtAddr};
use dump_kernel::{PhysMemory, Vmcoreinfo};

/// Bytes of page_infos that are read at once.
const PIECE: usize = 64 << 10;

/// What can be told apart of memory that is not mapped (bytes).
const SMALLEST: u64 = 4096;

/// The largest `page_info` that is believed (bytes): no Xen has more than 64.
const MAX_SIZE: u64 = 512;

/// Where the page_infos are.
#[derive(Clone, Debug)]
pub struct FrameTable {
    space: XenSpace,
    base: u64,
    size: u64,
    count_info: u64,
    domain: u64,
    pdx: Pdx,
    end: u64,
}

/// What the frame table says of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// References and flags.
    pub count_info: u64,
    /// What a guest uses it as.
    pub type_info: u64,
    /// Its owner.
    pub owner: u64,
    /// The order of the free block that it begins, if it does.
    pub order: u32,
    /// The next frame on a list, by its index.
    pub next: u64,
    /// The one before.
    pub previous: u64,
}

impl FrameTable {
    /// By Xen's vmcoreinfo.
    ///
    /// # Errors
    /// `MissingInfo` if it lacks a key; `Corrupt` if what it says makes no sense, or the table is not mapped.
    pub(crate) fn new(info: &Vmcoreinfo, space: XenSpace, pdx: Pdx, reader: &mut XenReader<'_>) -> Result<FrameTable> {
        use dump_kernel::KernelSymbols;
        let key =
            |found: Option<u64>, key: &str| found.ok_or_else(|| Error::missing(format!("VMCOREINFO_XEN lacks {key}")));
        let size = key(info.size_of("page_info"), "SIZE(page_info)")?;
        let count_info = key(info.offset_of("page_info.count_info"), "OFFSET(page_info.count_info)")?;
        let domain = key(info.offset_of("page_info._domain"), "OFFSET(page_info._domain)")?;
        let table = key(info.symbol("frame_table").map(|at| at.0), "SYMBOL(frame_table)")?;
        let sane = (16..=MAX_SIZE).contains(&size)
            && size % 4 == 0
            && matches!(count_info, 8 | 16)
            && count_info + 16 <= size
            && domain >= count_info + 16
            && domain + if count_info == 16 { 8 } else { 4 } <= size;
        if !sane {
            let text = format!("page_info of {size} bytes with count_info at {count_info} and _domain at {domain}");
            return Err(Error::corrupt(text).within("VMCOREINFO_XEN"));
        }
        let base = reader.u64(VirtAddr(table)).map_err(|e| e.within("frame_table"))?;
        let max_page = info.symbol("max_page").map(|at| reader.u64(at)).transpose();
        let end = max_page.map_err(|e| e.within("max_page"))?.unwrap_or(u64::MAX);
        Ok(FrameTable { space, base, size, count_info, domain, pdx, end })
    }

    /// Whether owners have 64 bits.
    pub fn is_big(&self) -> bool {
        self.count_info == 16
    }

    /// The frame after the last that Xen knows of.
    pub fn end(&self) -> Pfn {
        Pfn(self.end)
    }

    /// How frames are numbered in it.
    pub fn pdx(&self) -> &Pdx {
        &self.pdx
    }

    /// Xen's virtual memory, in which it lies.
    pub fn space(&self) -> XenSpace {
        self.space
    }

    /// A worker's half.
    pub fn reader<'a>(&'a self, memory: &'a dyn PhysMemory) -> FrameReader<'a> {
        FrameReader { table: self, reader: self.space.reader(memory.reader()), bytes: Vec::new(), bad: Vec::new() }
    }

    /// Where the `page_info` of index `index` lies.
    fn at(&self, index: u64) -> Option<VirtAddr> {
        self.base.checked_add(index.checked_mul(self.size)?).map(VirtAddr)
    }
}

/// Reads page_infos, as one worker does.
pub struct FrameReader<'a> {
    table: &'a FrameTable,
    reader: XenReader<'a>,
    bytes: Vec<u8>,
    /// Ranges of `bytes` that could not be read.
    bad: Vec<(usize, usize)>,
}

impl FrameReader<'_> {
    /// Shows what the table says of each frame of `run`, in order; `None` where it has nothing on it, or that cannot be
    /// read.
    pub fn visit(&mut self, run: PfnRange, see: &mut dyn FnMut(Pfn, Option<Frame>)) {
        let mut at = run.start;
        while at < run.end {
            let piece = (PIECE as u64 / self.table.size).min(run.end - at).min(self.table.pdx.run(at.0).max(1));
            let known = self.table.pdx.index(at.0).filter(|_| at.0 < self.table.end);
            let first = known.and_then(|index| self.table.at(index));
            self.fill(first, piece);
            for i in 0..piece {
                see(at + i, self.frame(i).filter(|_| at.0 + i < self.table.end));
            }
            at = at + piece;
        }
    }

    /// The frame of index `index`.
    pub fn by_index(&mut self, index: u64) -> Option<Frame> {
        let first = self.table.at(index)?;
        self.fill(Some(first), 1);
        self.frame(0)
    }

    /// Reads `count` page_infos from `first` on.
    fn fill(&mut self, first: Option<VirtAddr>, count: u64) {
        let len = (count * self.table.size) as usize;
        self.bytes.resize(len, 0);
        self.bad.clear();
        let Some(first) = first.filter(|at| at.checked_add(len as u64).is_some()) else {
            self.bad.push((0, len));
            return;
        };
        if self.reader.read(first, &mut self.bytes).is_ok() {
            return;
        }
        // something of it is not there: by the smallest piece that can be there or not
        let mut from = 0;
        while from < len {
            let at = first.0 + from as u64;
            let to = len.min(from + (SMALLEST - at % SMALLEST) as usize);
            if self.reader.read(VirtAddr(at), &mut self.bytes[from..to]).is_err() {
                self.bad.push((from, to));
            }
            from = to;
        }
    }

    fn frame(&self, i: u64) -> Option<Frame> {
        let table = self.table;
        let from = usize::try_from(i * table.size).ok()?;
        let bytes = self.bytes.get(from..from + table.size as usize)?;
        if self.bad.iter().any(|(start, end)| *start < from + bytes.len() && from < *end) {
            return None;
        }
        let u32_at = |at: u64| Some(u32::from_le_bytes(bytes.get(at as usize..at as usize + 4)?.try_into().ok()?));
        let u64_at = |at: u64| Some(u64::from_le_bytes(bytes.get(at as usize..at as usize + 8)?.try_into().ok()?));
        let number = |at: u64| match table.is_big() {
            true => u64_at(at),
            false => u32_at(at).map(|n| if n == u32::MAX { u64::MAX } else { u64::from(n) }),
        };
        let link = if table.is_big() { 8 } else { 4 };
        Some(Frame {
            count_info: u64_at(table.count_info)?,
            type_info: u64_at(table.count_info + 8)?,
            owner: number(table.domain)?,
            order: u32_at(table.domain)?,
            next: number(0)?,
            previous: number(link)?,
        })
    }
}
