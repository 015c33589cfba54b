//! What whoever opens a dump begins with is in it at every level: the kernel's page tables, its sections and their
//! struct pages' tables, its names, its first task, its interrupt table. makedumpfile has lost the latter on 6.6, for a
//! misread bit of a struct page.

use crate::support::{Case, corpus, elf, gdump_ok, open, page, scratch, skipped, text, tiny};
use dump_witness::{Elf, Page};
use std::collections::{BTreeSet, HashMap};

const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// A kernel in a vmcore file, by its vmcoreinfo and its own list of symbols.
struct Kernel {
    vmcore: Elf,
    info: HashMap<String, String>,
    symbols: HashMap<String, u64>,
}

impl Kernel {
    fn new(vmcore: Elf) -> Kernel {
        let lines = vmcore.vmcoreinfo.lines().filter_map(|line| line.split_once('='));
        let info = lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut kernel = Kernel { vmcore, info, symbols: HashMap::new() };
        kernel.symbols = kernel.kallsyms();
        kernel
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        self.info.get(&format!("SYMBOL({name})")).map(|value| u64::from_str_radix(value, 16).unwrap())
    }

    fn number(&self, name: &str) -> i64 {
        self.info[&format!("NUMBER({name})")].parse().unwrap()
    }

    fn numbers<const N: usize, T>(&self, at: u64, count: u64, number: impl Fn([u8; N]) -> T) -> Vec<T> {
        let bytes = self.vmcore.linear(at, count * N as u64).unwrap();
        bytes.chunks_exact(N).map(|chunk| number(chunk.try_into().unwrap())).collect()
    }

    /// The kernel's list of symbols (Linux kernel/kallsyms.c, scripts/kallsyms.c): names in tokens of a table,
    /// addresses as offsets to a base or, since 7.1, to themselves.
    fn kallsyms(&self) -> HashMap<String, u64> {
        let at = |name: &str| self.symbol(&format!("kallsyms_{name}"));
        let count = u64::from(self.numbers(at("num_syms").unwrap(), 1, u32::from_le_bytes)[0]);
        let offsets = self.numbers(at("offsets").unwrap(), count, i32::from_le_bytes);
        let base = at("relative_base").map(|at| self.numbers(at, 1, u64::from_le_bytes)[0]);
        let tokens = self.vmcore.linear(at("token_table").unwrap(), 0x1000).unwrap();
        let token = |start: u16| tokens[usize::from(start)..].split(|byte| *byte == 0).next().unwrap();
        let tokens: Vec<&[u8]> =
            self.numbers(at("token_index").unwrap(), 256, u16::from_le_bytes).into_iter().map(token).collect();
        let names = self.vmcore.linear(at("names").unwrap(), 32 * count).unwrap();
        let mut names = names.iter();
        let mut next = || usize::from(*names.next().unwrap());
        let mut symbols = HashMap::new();
        for (index, offset) in (0..).zip(offsets) {
            let mut length = next();
            if length & 0x80 != 0 {
                length = length & 0x7f | next() << 7;
            }
            let name: Vec<u8> = (0..length).flat_map(|_| tokens[next()]).copied().collect();
            let address = match base {
                Some(base) if offset < 0 => base.wrapping_sub(1).wrapping_add_signed(-i64::from(offset)),
                Some(_) => offset as u64, // of each CPU
                None => (at("offsets").unwrap() + 4 * index).wrapping_add_signed(offset.into()),
            };
            symbols.entry(String::from_utf8_lossy(&name[1..]).into_owned()).or_insert(address);
        }
        symbols
    }

    /// The page frame of a page of the kernel image.
    fn image_pfn(&self, at: u64) -> u64 {
        (at - START_KERNEL_MAP).wrapping_add_signed(self.number("phys_base")) >> 12
    }

    /// The page tables that map the kernel's half of memory.
    fn page_tables(&self) -> BTreeSet<u64> {
        let mut tables = BTreeSet::new();
        let root = self.image_pfn(self.symbol("init_top_pgt").unwrap());
        let level = if self.number("pgtable_l5_enabled") == 0 { 4 } else { 5 };
        self.add_tables(root, level, 256, &mut tables);
        tables
    }

    fn add_tables(&self, pfn: u64, level: u32, from: usize, tables: &mut BTreeSet<u64>) {
        let Some(table) = self.vmcore.page(pfn, 4096).filter(|_| tables.insert(pfn)) else { return };
        let entries = table.chunks_exact(8).map(|entry| u64::from_le_bytes(entry.try_into().unwrap()));
        for entry in entries.skip(from).filter(|entry| entry & 1 != 0 && level > 1 && entry & 1 << 7 == 0) {
            self.add_tables((entry & 0x000f_ffff_ffff_f000) >> 12, level - 1, 0, tables);
        }
    }

    /// The page frame that `at` is mapped to.
    fn pfn_of(&self, at: u64) -> u64 {
        let mut table = self.image_pfn(self.symbol("init_top_pgt").unwrap());
        for shift in if self.number("pgtable_l5_enabled") == 0 { &[39, 30, 21, 12][..] } else { &[48, 39, 30, 21, 12] }
        {
            let page = self.vmcore.page(table, 4096).unwrap();
            let index = (at >> shift & 511) as usize * 8;
            let entry = u64::from_le_bytes(page[index..index + 8].try_into().unwrap());
            table = (entry & 0x000f_ffff_ffff_f000) >> 12;
            if *shift < 39 && entry & 1 << 7 != 0 {
                return table + (at >> 12 & ((1 << (shift - 12)) - 1));
            }
        }
        table
    }
}

fn essentials_stay(case: &Case) {
    let kernel = Kernel::new(elf(&case.vmcore));
    for name in ["init_uts_ns", "_stext", "prb"] {
        assert_eq!(kernel.symbols.get(name).copied(), kernel.symbol(name), "{}: {name}", case.name);
    }
    let image = |name: &str| kernel.image_pfn(kernel.symbols[name]);
    let task = image("init_task");
    let mut wanted = kernel.page_tables();
    assert!(wanted.len() > 20, "{}: {} page tables", case.name, wanted.len());
    wanted.extend([image("idt_table"), image("init_uts_ns"), image("init_top_pgt"), task, task + 1]);
    let sections = kernel.symbol("mem_section").unwrap();
    wanted.insert(kernel.pfn_of(sections));
    let root = kernel.numbers(sections, 1, u64::from_le_bytes)[0];
    wanted.insert(kernel.pfn_of(root));
    let dir = scratch();
    let out = dir.path().join("out");
    gdump_ok(&["-l", "-d", "31", text(&case.vmcore), text(&out)]);
    let kdump = open(&out);
    for pfn in wanted {
        assert!(kdump.kept.get(pfn), "{}: pfn {pfn:#x} is lost", case.name);
        let Page::Held(bytes, _) = page(&kdump, pfn) else { panic!("{}: pfn {pfn:#x}", case.name) };
        assert!(kernel.vmcore.page(pfn, 4096).unwrap() == bytes, "{}: pfn {pfn:#x}", case.name);
    }
}

#[test]
fn tiny_keeps_what_readers_begin_with() {
    essentials_stay(tiny());
}

#[test]
fn corpus_keeps_what_readers_begin_with() {
    if corpus().is_empty() {
        return skipped("corpus", "corpus_keeps_what_readers_begin_with", "GDUMP_CORPUS names no corpus");
    }
    corpus().iter().for_each(essentials_stay);
}
