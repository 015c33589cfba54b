//! The raw struct page of a pfn, to look at when two programs judge it differently. x86_64 with vmemmap only.
//!
//! mem_section → the vmemmap base → the struct page's virtual address → page tables → its physical address.

use anyhow::{Context, Result, bail, ensure};

use crate::elf::Elf;
use crate::memory::value;

/// Physical address bits of a page table entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// A page table entry is valid.
const PRESENT: u64 = 1;
/// A page table entry maps a large page itself.
const LARGE: u64 = 1 << 7;
/// Low bits of section_mem_map that are flags: 5 since Linux 6.2, fewer before, and the address is page aligned.
const SECTION_FLAGS: u64 = 0xfff;
/// A section has a mem_map (SECTION_HAS_MEM_MAP).
const HAS_MEM_MAP: u64 = 1 << 1;

/// The struct page of `pfn` as words in hex.
///
/// # Errors
/// If vmcoreinfo or the page tables do not lead there.
pub fn words(elf: &Elf, pfn: u64) -> Result<String> {
    let size = number(elf, "SIZE(page)", 10)?;
    let at = vmemmap(elf)?.checked_add(pfn.checked_mul(size).context("pfn")?).context("pfn")?;
    let bytes = elf.physical(translate(elf, at)?, size)?;
    let words = bytes.chunks_exact(8).map(|word| word.try_into().map(u64::from_le_bytes));
    Ok(words.map(|word| word.map(|word| format!("{word:016x}"))).collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// A number of vmcoreinfo.
fn number(elf: &Elf, key: &str, radix: u32) -> Result<u64> {
    let text = value(&elf.vmcoreinfo, key).with_context(|| format!("vmcoreinfo has no {key}"))?;
    u64::from_str_radix(text, radix).with_context(|| format!("{key}={text}"))
}

fn word(bytes: &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(bytes.try_into()?))
}

/// The virtual address of the struct page of pfn 0: with vmemmap, every section's mem_map is biased to start there.
fn vmemmap(elf: &Elf) -> Result<u64> {
    let roots = number(elf, "SYMBOL(mem_section)", 16)?;
    let (size, member) =
        (number(elf, "SIZE(mem_section)", 10)?, number(elf, "OFFSET(mem_section.section_mem_map)", 10)?);
    for root in 0..number(elf, "LENGTH(mem_section)", 10)?.min(1 << 20) {
        let sections = word(&elf.linear(roots + root * 8, 8)?)?;
        if sections == 0 {
            continue;
        }
        for section in 0..4096 / size.max(1) {
            let map = word(&elf.linear(sections + section * size + member, 8)?)?;
            if map & HAS_MEM_MAP != 0 {
                return Ok(map & !SECTION_FLAGS);
            }
        }
    }
    bail!("no memory section has a mem_map")
}

/// The physical address behind the kernel's virtual address `vaddr`.
fn translate(elf: &Elf, vaddr: u64) -> Result<u64> {
    let five = value(&elf.vmcoreinfo, "NUMBER(pgtable_l5_enabled)") == Some("1");
    let top = number(elf, "SYMBOL(swapper_pg_dir)", 16)?;
    let mut shift = if five { 48 } else { 39 };
    let mut entry = word(&elf.linear(top + (vaddr >> shift & 511) * 8, 8)?)?;
    loop {
        ensure!(entry & PRESENT != 0, "{vaddr:#x} is not mapped");
        if shift == 12 || (shift <= 30 && entry & LARGE != 0) {
            let offset = (1 << shift) - 1;
            return Ok((entry & ADDRESS & !offset) | (vaddr & offset));
        }
        shift -= 9;
        entry = word(&elf.physical((entry & ADDRESS) + (vaddr >> shift & 511) * 8, 8)?)?;
    }
}
