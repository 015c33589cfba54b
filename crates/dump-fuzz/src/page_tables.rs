//! x86_64 page tables with changes: a second walk, written here, comes to the same place.

use crate::Seed;
use crate::fakes::{self, FAKES};
use crate::input::Input;
use dump_core::{PhysAddr, VirtAddr};
use dump_kernel::{PhysMemory, PhysReader, TableCache};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let fake = input.one_of(&FAKES);
    let asked: Vec<VirtAddr> = (0..input.u8() % 8)
        .map(|_| {
            let (base, more) = (input.u8(), u64::from(input.u32()));
            VirtAddr(match base & 3 {
                0 => fake.kernel.page_offset().wrapping_add(more),
                1 => fake.kernel.image_virt().wrapping_add(more & 0xff_ffff),
                2 => fake.kernel.struct_page(more % 0x2000).map_or(0, |(at, _)| at),
                _ => more << 32 | u64::from(input.u32()),
            })
        })
        .collect();
    let kernel = fake.kernel(fake.info()).unwrap();
    let memory = fake.changed(&mut input);
    let levels = if fake.kernel.vmcoreinfo().contains("NUMBER(pgtable_l5_enabled)=1") { 5 } else { 4 };
    let (mut reader, mut cache) = (memory.reader(), TableCache::default());
    for at in asked {
        let found = kernel.xlat().translate(reader.as_mut(), &mut cache, at).ok();
        let want = walk(reader.as_mut(), fake.kernel.page_table_root(), levels, at.0);
        assert_eq!(found.map(|found| (found.phys.0, found.bytes)), want, "{at}");
        assert!(found.is_none_or(|found| found.virt == at && found.bytes > 0));
        read(&kernel, &memory, at);
    }
}

/// What is read is what the walk leads to, byte by byte at the ends.
fn read(kernel: &dump_kernel::Kernel, phys: &dyn PhysMemory, at: VirtAddr) {
    let mut bytes = [0; 5000];
    let mut memory = kernel.memory(phys);
    if memory.read(at, &mut bytes).is_err() {
        return;
    }
    for i in [0, 1, 4095, 4096, 4999] {
        let mut byte = [0];
        let place = memory.translate(VirtAddr(at.0 + i)).expect("it was read");
        phys.reader().read(place.phys, &mut byte).expect("it was read");
        assert_eq!(byte[0], bytes[i as usize], "{at} + {i}");
    }
}

/// Intel SDM, volume 3, 4.5: entries of 8 bytes, 512 a table; bit 0 present, bit 7 of the second and third level a leaf.
fn walk(memory: &mut dyn PhysReader, root: u64, levels: u32, at: u64) -> Option<(u64, u64)> {
    // 3.3.7.1: the bits above those that are translated are as the highest of these
    let unused = 64 - 12 - 9 * levels;
    if ((at << unused) as i64 >> unused) as u64 != at {
        return None;
    }
    let mut table = root;
    for level in (1..=levels).rev() {
        let below = 12 + 9 * (level - 1);
        // a table that is not all there is not read at all
        let mut all = [0; 4096];
        memory.read(PhysAddr(table), &mut all).ok()?;
        let index = (at >> below) as usize % 512;
        let entry = u64::from_le_bytes(*all[8 * index..].first_chunk()?);
        if entry % 2 == 0 {
            return None;
        }
        let next = entry & 0xf_ffff_ffff_f000;
        if level == 1 || (level < 4 && entry & 0x80 != 0) {
            let mask = (1 << below) - 1;
            // 4.5.4: of a large page bits from 13 on are reserved, 12 is PAT
            if next & mask & !0x1fff != 0 {
                return None;
            }
            return Some(((next & !mask) | (at & mask), mask + 1 - (at & mask)));
        }
        table = next;
    }
    None
}

pub fn seeds() -> Vec<Seed> {
    let ask = [3, 0, 0, 0x10, 0, 0, 1, 0, 0, 2, 0, 2, 0x10, 1, 0, 0];
    let with = |(name, bytes): Seed| (name, [&bytes[..1], &ask, &bytes[1..]].concat());
    fakes::seeds().into_iter().map(with).collect()
}
