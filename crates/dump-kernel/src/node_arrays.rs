//! Struct pages in arrays, one for each node of memory (FLATMEM, DISCONTIGMEM).
//!
//! ```text
//! contig_page_data or node_data[] ─> pglist_data.node_mem_map ─> | page | page | ... |   node_spanned_pages of them
//!                                                                 node_start_pfn
//! ```

use crate::arch::Arch;
use crate::mem_map::{MemMapRun, MemoryModel};
use crate::nodes::{at, nodes};
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use dump_core::{Error, Pfn, PfnRange, Result, VirtAddr};

/// Arrays of struct pages, one for each node.
pub(crate) struct NodeArrays<'a> {
    pub(crate) arch: &'a dyn Arch,
    /// Bytes of a struct page.
    pub(crate) page_struct: u64,
    /// The page frame after the last that the dump can have.
    pub(crate) end: Pfn,
}

/// Members of `struct pglist_data` (offsets in bytes).
struct NodeLayout {
    node_mem_map: u64,
    node_start_pfn: u64,
    node_spanned_pages: u64,
}

/// An array may begin so many struct pages before those of its node, at most: MAX_ORDER_NR_PAGES, less one.
const MAX_LEAD: u64 = 1 << 16;

impl NodeArrays<'_> {
    /// The model, and all struct pages, ascending.
    ///
    /// # Errors
    /// `MissingInfo` if vmcoreinfo lacks a key; if a node cannot be read, or says what cannot be.
    pub(crate) fn read(
        &self,
        symbols: &dyn KernelSymbols,
        memory: &mut KernelMemory<'_>,
    ) -> Result<(MemoryModel, Vec<MemMapRun>)> {
        let layout = self.layout(symbols, memory)?;
        let nodes = nodes(symbols, memory)?;
        let mut runs = Vec::new();
        for node in &nodes {
            runs.extend(self.node(memory, &layout, *node).map_err(|e| e.within(format_args!("the node at {node}")))?);
        }
        if let ([first], Some(mem_map)) = (&mut runs[..], symbols.symbol("mem_map")) {
            self.lead(memory.read_pointer(mem_map).map_err(|e| e.within("mem_map"))?, first);
        }
        runs.sort_unstable_by_key(|run| run.pages);
        if let Some(pair) = runs.windows(2).find(|pair| pair[0].pages.end > pair[1].pages.start) {
            let text = format!("two nodes have the page frame {}", pair[1].pages.start);
            return Err(Error::corrupt(text));
        }
        let end = runs.iter().map(|run| run.pages.end).max().unwrap_or(Pfn(0));
        let model = if nodes.len() > 1 { MemoryModel::Discontiguous } else { MemoryModel::Flat };
        runs.retain_mut(|run| {
            run.pages.end = run.pages.end.min(self.end);
            run.pages.start < run.pages.end
        });
        if runs.is_empty() {
            return Err(Error::missing("no node has memory that the dump has"));
        }
        self.check_end(end)?;
        Ok((model, runs))
    }

    /// That nodes end where the dump's memory does, or before: page frames of another size would lie elsewhere, and a wrong
    /// PAGESIZE has nothing else against it where no page tables are walked (mips64). What firmware or a device has behind
    /// RAM makes a dump longer than nodes; shorter, by a third, is none that filtering can be trusted with.
    fn check_end(&self, end: Pfn) -> Result<()> {
        if end.0 <= self.end.0.saturating_add(self.end.0 / 2) {
            return Ok(());
        }
        let text = format!("nodes have page frames up to {end}, and the dump's memory ends at {}", self.end);
        let text = format!("{text}: it is cut short, or PAGESIZE is wrong");
        Err(Error::corrupt(text))
    }

    fn layout(&self, symbols: &dyn KernelSymbols, memory: &mut KernelMemory<'_>) -> Result<NodeLayout> {
        let offset = |member: &str| symbols.offset_of(&format!("pglist_data.{member}")).filter(|at| *at < 1 << 32);
        let members = ["node_mem_map", "node_start_pfn", "node_spanned_pages"].map(|member| (member, offset(member)));
        if let [(_, Some(node_mem_map)), (_, Some(node_start_pfn)), (_, Some(node_spanned_pages))] = members {
            return Ok(NodeLayout { node_mem_map, node_start_pfn, node_spanned_pages });
        }
        let lacking = "vmcoreinfo lacks SYMBOL(mem_section) with SIZE(mem_section), and SYMBOL(mem_map)";
        let symbol = symbols.symbol("mem_map").ok_or_else(|| Error::missing(lacking))?;
        let first = memory.read_pointer(symbol).map_err(|e| e.within("mem_map"))?;
        // kernels with sections have the variable too, and nobody sets it
        if !self.arch.is_kernel(first) {
            let text = "SYMBOL(mem_section) or SIZE(mem_section)";
            return Err(Error::missing(format!("mem_map is {first}, no kernel address, and vmcoreinfo lacks {text}")));
        }
        let member = members.iter().find(|(_, at)| at.is_none()).map_or("", |(member, _)| member);
        Err(Error::missing(format!("vmcoreinfo lacks OFFSET(pglist_data.{member}), by which mem_map has its length")))
    }

    /// The struct pages of a node; `None` where it has no memory. `node_mem_map` is the struct page of `node_start_pfn`
    /// (alloc_node_mem_map(), Linux mm/mm_init.c, before 6.4 mm/page_alloc.c).
    fn node(&self, memory: &mut KernelMemory<'_>, layout: &NodeLayout, node: VirtAddr) -> Result<Option<MemMapRun>> {
        let spanned = memory.read_word(at(node, layout.node_spanned_pages)?)?;
        if spanned == 0 {
            return Ok(None);
        }
        let start = memory.read_word(at(node, layout.node_start_pfn)?)?;
        let first = memory.read_pointer(at(node, layout.node_mem_map)?)?;
        let end = start.checked_add(spanned).filter(|end| *end < 1 << 52);
        match end.filter(|_| self.arch.is_kernel(first)) {
            Some(end) => Ok(Some(MemMapRun { pages: PfnRange::new(Pfn(start), Pfn(end)), first })),
            None => Err(Error::corrupt(format!(
                "struct pages of {spanned} page frames from {start:#x} on at {first} cannot be"
            ))),
        }
    }

    /// Takes in the struct pages between `mem_map` and the node's first. The array begins at a multiple of
    /// MAX_ORDER_NR_PAGES, which is where `mem_map` points: i386's node begins with pfn 1, and pfn 0 has a struct page.
    fn lead(&self, mem_map: VirtAddr, run: &mut MemMapRun) {
        let bytes = run.first.0.checked_sub(mem_map.0).filter(|bytes| bytes % self.page_struct == 0);
        let lead = bytes.map(|bytes| bytes / self.page_struct).filter(|lead| *lead < MAX_LEAD);
        if let Some(start) = lead.and_then(|lead| run.pages.start.0.checked_sub(lead)) {
            *run = MemMapRun { pages: PfnRange::new(Pfn(start), run.pages.end), first: mem_map };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::I386;
    use crate::memory::{PhysMemory, PhysReader};
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::words::{Le32, WordLayout};
    use crate::xlat::{Mapping, TableCache, Translate};
    use dump_core::PhysAddr;

    /// Words at physical addresses, mapped at 0xc0000000.
    #[derive(Clone)]
    struct Held(Vec<(u64, u32)>);

    impl PhysMemory for Held {
        fn reader(&self) -> Box<dyn PhysReader + '_> {
            Box::new(self.clone())
        }
    }

    impl PhysReader for Held {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            let held = self.0.iter().find(|(place, _)| *place == at.0).map_or(0, |(_, word)| *word);
            buf.copy_from_slice(&held.to_le_bytes());
            Ok(())
        }
    }

    struct Linear;

    impl Translate for Linear {
        fn translate(&self, _: &mut dyn PhysReader, _: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
            Ok(Mapping { virt: at, phys: PhysAddr(at.0 - 0xc000_0000), bytes: (1 << 32) - at.0 })
        }
    }

    const OFFSETS: &str = "OFFSET(pglist_data.node_mem_map)=4\nOFFSET(pglist_data.node_start_pfn)=8\n\
                           OFFSET(pglist_data.node_spanned_pages)=16\n";

    /// A node at a physical address.
    fn node(at: u64, map: u32, start: u32, spanned: u32) -> [(u64, u32); 3] {
        [(at + 4, map), (at + 8, start), (at + 16, spanned)]
    }

    /// As `first..end at struct page`, in struct pages of 40 bytes, of a dump that ends at 0x100000.
    fn read(keys: &str, words: &[(u64, u32)]) -> std::result::Result<(MemoryModel, Vec<String>), String> {
        let (info, held) = (Vmcoreinfo::parse(keys.as_bytes()), Held(words.to_vec()));
        let arrays = NodeArrays { arch: &I386, page_struct: 40, end: Pfn(0x10_0000) };
        let mut memory = KernelMemory::new(&held, &Linear, Le32::WORDS);
        let (model, runs) = arrays.read(&info, &mut memory).map_err(|e| e.to_string())?;
        let text = |run: &MemMapRun| format!("{:#x}..{:#x} {:#x}", run.pages.start.0, run.pages.end.0, run.first.0);
        Ok((model, runs.iter().map(text).collect()))
    }

    /// i386's node begins with pfn 1, the array with pfn 0; arm's with the first of RAM, wherever that is.
    #[test]
    fn one_array_begins_and_ends_where_its_node_says() {
        let keys = format!("SYMBOL(contig_page_data)=c0001000\nSYMBOL(mem_map)=c0002000\n{OFFSETS}");
        for (map, start, spanned, mem_map, want) in [
            (0xd000_0028, 1, 0xffd8, 0xd000_0000, "0x0..0xffd9 0xd0000000"),
            (0xd000_0000, 0x4_0000, 0x8000, 0xd000_0000, "0x40000..0x48000 0xd0000000"),
            // mem_map of older kernels is that of pfn 0, which has none
            (0xd000_0000, 0x4_0000, 0x8000, 0xcf60_0000, "0x40000..0x48000 0xd0000000"),
            (0xd000_0000, 0xf_0000, 0x2_0000, 0xd000_0000, "0xf0000..0x100000 0xd0000000"),
        ] {
            let words = [&node(0x1000, map, start, spanned)[..], &[(0x2000, mem_map)]].concat();
            assert_eq!(read(&keys, &words), Ok((MemoryModel::Flat, vec![want.to_owned()])), "{start:#x}");
        }
    }

    #[test]
    fn an_array_for_each_node() {
        let keys = format!("SYMBOL(node_data)=c0005000\nLENGTH(node_data)=8\n{OFFSETS}");
        let table = [(0x5000, 0xc000_1000), (0x5008, 0xc000_2000), (0x500c, 0xc000_3000)];
        let of = |second: u32| {
            let nodes = [node(0x1000, 0xd800_0000, 0x4_0000, 0x1000), node(0x2000, 0xd000_0000, 0, second)];
            [&table[..], &nodes.concat(), &node(0x3000, 0, 0, 0)].concat()
        };
        let want = ["0x0..0x30000 0xd0000000", "0x40000..0x41000 0xd8000000"].map(str::to_owned).to_vec();
        assert_eq!(read(&keys, &of(0x3_0000)), Ok((MemoryModel::Discontiguous, want)));
        let e = read(&keys, &of(0x5_0000)).unwrap_err();
        assert!(e.contains("two nodes have the page frame"), "{e}");
    }

    #[test]
    fn what_is_lacking_or_cannot_be_is_named() {
        let contig = "SYMBOL(contig_page_data)=c0001000\nSYMBOL(mem_map)=c0002000\n";
        let node = |map, start, spanned| node(0x1000, map, start, spanned).to_vec();
        for (keys, words, what) in [
            (OFFSETS.to_owned(), vec![], "SYMBOL(contig_page_data)"),
            (contig.to_owned(), vec![(0x2000, 0xd000_0000)], "OFFSET(pglist_data.node_mem_map)"),
            (contig.to_owned(), vec![], "lacks SYMBOL(mem_section)"),
            (String::new(), vec![], "SYMBOL(mem_map)"),
            (format!("{contig}{OFFSETS}"), node(0x1234, 0, 1), "cannot be"),
            (format!("{contig}{OFFSETS}"), node(0xd000_0000, 0x20_0000, 1), "no node has memory"),
            (format!("{contig}{OFFSETS}"), node(0xd000_0000, 0, 0), "no node has memory"),
            (
                format!("{contig}{OFFSETS}"),
                node(0xd000_0000, 0, 0x18_0001),
                "up to 0x180001, and the dump's memory ends at 0x100000",
            ),
        ] {
            let e = read(&keys, &words).unwrap_err();
            assert!(e.contains(what), "{what}: {e}");
        }
    }
}
