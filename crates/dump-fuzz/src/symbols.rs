//! What kernels and files say of symbols and types, as any bytes: BTF, kallsyms, an ELF file with DWARF.

use crate::Seed;
use crate::input::Input;
use crate::samples::seed;
use dump_core::{ByteOrder, Error, PhysAddr, Result, VirtAddr, WordSize};
use dump_debuginfo::Vmlinux;
use dump_kernel::{
    Btf, Kallsyms, KernelMemory, KernelTypes, Mapping, PhysMemory, PhysReader, TableCache, Translate, Vmcoreinfo,
    Words, number_by_types,
};

/// Where the bytes of an input begin in virtual memory.
const BASE: u64 = 0xffff_ffff_8100_0000;

fn words(kind: u8) -> Words {
    let order = if kind & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
    Words { order, size: if kind & 2 == 0 { WordSize::Bits64 } else { WordSize::Bits32 } }
}

/// A kind of words, then BTF.
pub fn btf(data: &[u8]) {
    let mut input = Input::new(data);
    let words = words(input.u8());
    let bytes = input.rest();
    let Ok(btf) = Btf::parse(bytes.to_vec(), words) else { return };
    assert!(btf.len() <= bytes.len() / 12, "a type is three words");
    for name in ["page", "list_head", "T", "pageflags"] {
        let _ = (btf.size_of(name), btf.has_enum(name), btf.length_of(&format!("{name}.a")));
        let (first, again) = (btf.offset_of(&format!("{name}.a")), btf.offset_of(&format!("{name}.a")));
        assert_eq!(first, again);
    }
    let _ = (number_by_types(&btf, Some((6, 12)), "PG_lru"), number_by_types(&btf, None, "PAGE_BUDDY_MAPCOUNT_VALUE"));
}

/// Words of a small BTF: a pointer, a structure with an unnamed union, a typedef, an enumeration.
const BTF: [u32; 35] = [
    // header: its magic and version, and lengths
    0x0001_eb9f,
    24,
    0,
    104,
    104,
    12, //
    // strings begin with a NUL; "page" is at 1, "a" at 6, "T" at 8
    1,
    4 << 24 | 2,
    64,
    6,
    2,
    0,
    0,
    3,
    64, // 1: struct page { *a; union }
    0,
    2 << 24,
    1, // 2: a pointer
    0,
    5 << 24 | 1,
    8,
    6,
    2,
    0, // 3: the union
    8,
    8 << 24,
    1, // 4: typedef struct page T
    0,
    6 << 24 | 1,
    4,
    6,
    5, // 5: an enumeration
    // strings
    0x6761_7000,
    0x0061_0065,
    0x0000_0054,
];

pub fn btf_seeds() -> Vec<Seed> {
    let little: Vec<u8> = BTF.iter().flat_map(|word| word.to_le_bytes()).collect();
    vec![seed("small", [&[0][..], &little].concat()), seed("narrow", [&[2][..], &little].concat())]
}

/// Bytes from [`BASE`] on that are mapped.
const MAPPED: u64 = 4 << 20;

/// The bytes of an input as a kernel's memory.
struct Bytes<'a>(&'a [u8]);

impl PhysMemory for Bytes<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(Bytes(self.0))
    }
}

impl PhysReader for Bytes<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        let from = usize::try_from(at.0).ok().and_then(|at| self.0.get(at..));
        let bytes = from.and_then(|from| from.get(..buf.len())).ok_or_else(|| Error::missing("not there"))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl Translate for Bytes<'_> {
    fn translate(&self, _: &mut dyn PhysReader, _: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let into = at.0.wrapping_sub(BASE);
        // what an input has repeats, for memory may be mapped more than once: so often that tables reach far, and not
        // so often that reading all of it takes the time for other inputs
        if into >= MAPPED {
            return Err(Error::missing("not mapped"));
        }
        let len = self.0.len().next_multiple_of(4096).max(4096) as u64;
        let phys = into % len;
        Ok(Mapping { virt: at, phys: PhysAddr(phys), bytes: 4096 - phys % 4096 })
    }
}

/// A kind of words, the places of five tables, the addresses of two symbols; then memory.
pub fn kallsyms(data: &[u8]) {
    let mut input = Input::new(data);
    let words = words(input.u8() & 1);
    let mut text = String::new();
    for name in ["num_syms", "token_index", "token_table", "names", "offsets"] {
        text += &format!("SYMBOL(kallsyms_{name})={:x}\n", BASE + u64::from(input.u16()));
    }
    for name in ["a", "b"] {
        text += &format!("SYMBOL({name})={:x}\n", BASE + u64::from(input.u32() >> 2));
    }
    let rest = input.rest();
    let mut bytes = rest.to_vec();
    bytes.resize(rest.len().next_multiple_of(4096).max(4096), 0);
    let memory = Bytes(&bytes);
    let mut virt = KernelMemory::new(&memory, &memory, words);
    let info = Vmcoreinfo::parse(text.as_bytes());
    let Ok(all) = Kallsyms::read(&info, &mut virt) else { return };
    assert!(all.len() <= 1 << 22);
    let found = all.symbol(&mut virt, "c");
    assert_eq!(found, all.symbol(&mut virt, "c"));
    let _ = (all.len(), all.symbol(&mut virt, "a"));
}

pub fn kallsyms_seeds() -> Vec<Seed> {
    // three symbols a, b, c; token n is the letter n
    let (mut index, mut table) = (Vec::new(), Vec::new());
    for letter in 0..=255u8 {
        index.extend((table.len() as u16).to_le_bytes());
        table.extend([letter, 0]);
    }
    let names = *b"\x02Ta\x02Tb\x02Tc";
    let offsets: Vec<u8> = [0x100u32, 0x200, 0x300].iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let memory = [&3u32.to_le_bytes()[..], &index, &table, &offsets, &names].concat();
    let places: Vec<u8> = [0u16, 4, 516, 1040, 1028].iter().flat_map(|at| at.to_le_bytes()).collect();
    let known: Vec<u8> = [0x1100u32, 0x1200].iter().flat_map(|at| (at << 2).to_le_bytes()).collect();
    vec![seed("three", [&[0][..], &places, &known, &memory].concat())]
}

/// An ELF file.
pub fn vmlinux(data: &[u8]) {
    let Ok(file) = Vmlinux::new(Box::new(data.to_vec()), "/nonexistent/vmlinux") else { return };
    let _ = (file.build_id(), file.symbol("_stext"), file.bytes_at(0x1000, 64), file.btf());
    if file.has_debug_info().unwrap_or(false) {
        let (first, again) = (file.offset_of("page.lru"), file.offset_of("page.lru"));
        assert_eq!(first, again);
        let _ = (file.size_of("page"), file.length_of("zone.free_area"), file.length_of("node_data"));
        let _ = (file.enumerator("pageflags", "PG_lru"), file.has_enum("pagetype"), file.declared_in("pud_t"));
    }
}

pub fn vmlinux_seeds() -> Vec<Seed> {
    vec![seed("small", include_bytes!("../../../fuzz/seeds/vmlinux").to_vec())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed that is refused at once is none.
    #[test]
    fn seeds_are_read() {
        let (_, bytes) = btf_seeds().remove(0);
        let btf = Btf::parse(bytes[1..].to_vec(), words(0)).unwrap();
        assert_eq!((btf.len(), btf.size_of("T"), btf.offset_of("page.a")), (5, Some(64), Some(0)));
        kallsyms(&kallsyms_seeds().remove(0).1);
        let (_, bytes) = vmlinux_seeds().remove(0);
        let file = Vmlinux::new(Box::new(bytes), "/nonexistent/vmlinux").unwrap();
        assert_eq!((file.symbol("_stext"), file.offset_of("page.private")), (Some(1), Some(40)));
    }
}
