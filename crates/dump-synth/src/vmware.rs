//! VMware's `.vmss` files.
//!
//! | off | what |
//! |---|---|
//! | 0 | u32 0xbed2bed2, u32 8, u32 groups, all little endian |
//! | 12 | of each group 80 bytes: name[64], u64 offset, u64 bytes |
//! | then | tags: u8 (indices << 6 \| bytes of the value), u8 bytes of the name, name, u32 of each index, value; two zeros end |
//! | | value of a block (63): u64 bytes, u64 bytes in memory, u16 padding, padding, bytes |
//!
//! Source: formats.md §8.5, Volatility's vmware layer.

/// A `.vmss` whose groups are "cpu" and "memory". Regions are (first page frame, first page of the file, pages); `memory`
/// is what is within, if it is.
#[must_use]
pub fn vmss(regions: &[(u64, u64, u64)], memory: Option<&[u8]>) -> Vec<u8> {
    let mut cpu = Vec::new();
    tag(&mut cpu, "cpu:numVCPUs", &[], &2u32.to_le_bytes());
    tag(&mut cpu, "CR64", &[0, 3], &0x1000u64.to_le_bytes());
    block(&mut cpu, "blob", b"\0\0\0", 1);
    cpu.extend([0, 0]);
    let mut mem = Vec::new();
    tag(&mut mem, "align_mask", &[], &[0xff, 0xff]);
    tag(&mut mem, "regionsCount", &[], &(regions.len() as u32).to_le_bytes());
    for (i, (ppn, at, pages)) in regions.iter().enumerate() {
        for (name, value) in [("regionPPN", ppn), ("regionPageNum", at), ("regionSize", pages)] {
            // of as many bytes as it takes, 4 at least
            let bytes = value.to_le_bytes();
            tag(&mut mem, name, &[i as u32], &bytes[..if *value >> 32 == 0 { 4 } else { 8 }]);
        }
    }
    memory.iter().for_each(|memory| block(&mut mem, "Memory", memory, 37));
    mem.extend([0, 0]);
    let mut out = [0xbed2_bed2u32, 8, 2].map(u32::to_le_bytes).concat();
    let first = 12 + 160u64;
    for (name, at, len) in [("cpu", first, cpu.len()), ("memory", first + cpu.len() as u64, mem.len())] {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(64, 0);
        out.extend([bytes, at.to_le_bytes().to_vec(), (len as u64).to_le_bytes().to_vec()].concat());
    }
    [out, cpu, mem].concat()
}

fn tag(out: &mut Vec<u8>, name: &str, indices: &[u32], value: &[u8]) {
    out.extend([(indices.len() as u8) << 6 | value.len() as u8, name.len() as u8]);
    out.extend(name.as_bytes());
    indices.iter().for_each(|index| out.extend(index.to_le_bytes()));
    out.extend(value);
}

fn block(out: &mut Vec<u8>, name: &str, bytes: &[u8], padding: u16) {
    out.extend([63, name.len() as u8]);
    out.extend(name.as_bytes());
    [bytes.len() as u64; 2].iter().for_each(|len| out.extend(len.to_le_bytes()));
    out.extend(padding.to_le_bytes());
    out.extend(vec![0xeeu8; padding.into()]);
    out.extend(bytes);
}
