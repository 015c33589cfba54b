//! A kernel's own BTF, put into a fake kernel's memory: it answers what vmcoreinfo lacks, and only then is read.

#![allow(clippy::unwrap_used, missing_docs, dead_code, reason = "tests")]

mod common;

use common::Memory;
use dump_core::{ByteOrder, Machine, PageSize, Pfn, PhysAddr, Result, Segment, VirtAddr, WordSize};
use dump_kernel::{Kernel, Mark, PhysMemory, PhysReader, Source, Sources, Vmcoreinfo};
use dump_synth::{Era, FakeKernel, KernelBuilder};
use std::sync::Arc;

/// Types of structure page alone: its size and flags are those of the fake kernel.
fn btf(size: u32) -> Vec<u8> {
    let strings = b"\0page\0flags\0long\0";
    let types = [12, 1 << 24, 8, 64, 1, 4 << 24 | 1, size, 6, 1, 0];
    let header = [0x0001_eb9f, 24, 0, 4 * types.len() as u32, 4 * types.len() as u32, strings.len() as u32];
    let words = header.iter().chain(&types).flat_map(|word| word.to_le_bytes());
    words.chain(strings.iter().copied()).collect()
}

/// The same with `_refcount` at 52, and offline pages of the type 0xf1.
fn btf_with_types() -> Vec<u8> {
    let strings = b"\0page\0flags\0long\0_refcount\0pagetype\0PGTY_offline\0";
    let page = [1, 4 << 24 | 2, 64, 6, 1, 0, 17, 1, 52 * 8];
    let types = [&[12, 1 << 24, 8, 64][..], &page, &[27, 6 << 24 | 1, 4, 36, 0xf1]].concat();
    let header = [0x0001_eb9f, 24, 0, 4 * types.len() as u32, 4 * types.len() as u32, strings.len() as u32];
    let words = header.iter().chain(&types).flat_map(|word| word.to_le_bytes());
    words.chain(strings.iter().copied()).collect()
}

/// A fake kernel's memory with other bytes somewhere.
struct Patched<'a> {
    fake: Memory<'a>,
    at: u64,
    bytes: Vec<u8>,
}

struct Reader<'a>(Box<dyn PhysReader + 'a>, &'a Patched<'a>);

impl PhysMemory for Patched<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(Reader(self.fake.reader(), self))
    }
}

impl PhysReader for Reader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        self.0.read(at, buf)?;
        for (place, byte) in (self.1.at..).zip(&self.1.bytes) {
            let into = place.checked_sub(at.0).and_then(|into| buf.get_mut(into as usize));
            into.into_iter().for_each(|own| *own = *byte);
        }
        Ok(())
    }
}

fn kernel(fake: &FakeKernel, text: &str) -> (Kernel, Arc<Sources>) {
    let sources = Arc::new(Sources::default());
    let machine = Machine { elf_machine: Some(62), order: ByteOrder::Little, word: WordSize::Bits64 };
    let (image, virt) = (fake.image(), VirtAddr(fake.image_virt()));
    let segment = Segment { paddr: PhysAddr(image.start), vaddr: virt, bytes: image.end - image.start };
    let info = Vmcoreinfo::parse(format!("{text}SYMBOL(_stext)={:x}\n", virt.0).as_bytes());
    let made = Kernel::with_sources(info, Arc::clone(&sources), machine, PageSize::K4, &[segment]);
    (made.unwrap(), sources)
}

#[test]
fn btf_in_memory_answers_what_vmcoreinfo_lacks() {
    let fake = KernelBuilder::new(Era::V6_12).recipe("cache 0x10").build();
    let image = fake.image();
    // nothing of the fake kernel lies at the end of its image
    let at = image.end - 0x1000 + 8;
    let memory = |size| Patched { fake: Memory(fake.memory()), at, bytes: btf(size) };
    let lacking: String = fake
        .vmcoreinfo()
        .lines()
        .filter(|line| !line.starts_with("OFFSET(page.flags)"))
        .map(|line| format!("{line}\n"))
        .collect();
    let (whole, sources) = kernel(&fake, fake.vmcoreinfo());
    whole.page_rules(&memory(64)).unwrap();
    assert!(sources.own_failures().is_empty() && sources.answers().iter().all(|a| a.source == Source::Vmcoreinfo));
    let (without, sources) = kernel(&fake, &lacking);
    without.page_rules(&memory(64)).unwrap();
    let answer = sources.answers().into_iter().find(|answer| answer.key == "OFFSET(page.flags)").unwrap();
    assert_eq!((answer.value.as_str(), answer.source), ("0", Source::Btf));
    // where there is none, the key is named as before
    let (without, sources) = kernel(&fake, &lacking);
    let none = Patched { fake: Memory(fake.memory()), at, bytes: Vec::new() };
    let e = without.page_rules(&none).unwrap_err();
    assert!(e.to_string().contains("OFFSET(page.flags)"), "{e}");
    assert!(sources.own_failures().iter().any(|e| e.to_string().contains("has no BTF")));
}

/// The kernel's number of a type proves the one of vmcoreinfo also where another key contradicts the kernel's types.
#[test]
fn the_kernels_own_number_is_proof_whatever_else_vmcoreinfo_says() {
    let fake = KernelBuilder::new(Era::V6_12).recipe("cache 0x10").build();
    let memory = Patched { fake: Memory(fake.memory()), at: fake.image().end - 0x1000 + 8, bytes: btf_with_types() };
    let stands = |lies: &[(&str, &str)]| {
        let mut text = fake.vmcoreinfo().to_owned();
        for (key, lie) in lies {
            let right = text.lines().find(|line| line.starts_with(&format!("{key}="))).unwrap().to_owned();
            text = text.replace(&right, &format!("{key}={lie}"));
        }
        let (kernel, _) = kernel(&fake, &text);
        let (map, rules) = (kernel.mem_map(&memory, Pfn(fake.max_pfn())).unwrap(), kernel.page_rules(&memory).unwrap());
        kernel.stands_by(&memory, &map, &rules, Mark::Offline)
    };
    let (refcount, offline) = ("OFFSET(page._refcount)", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)");
    assert!(stands(&[]) && stands(&[(refcount, "56")]));
    // that of page tables, and that of older kernels, which no page of this one has
    for lie in ["-234881024", "-257"] {
        assert!(!stands(&[(offline, lie)]) && !stands(&[(refcount, "56"), (offline, lie)]), "{lie}");
    }
    // read elsewhere, the right number is no proof either
    assert!(!stands(&[("SIZE(page)", "72")]));
}
