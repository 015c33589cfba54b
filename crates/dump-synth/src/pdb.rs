//! A PDB file (MSF 7.00) with public symbols and one section.
//!
//! | stream | holds |
//! |---|---|
//! | 1 | version, signature, age, GUID |
//! | 2 | types: a header, and none |
//! | 3 | DBI: a header that names the streams below, and the list of debug streams |
//! | 4 | symbol records: S_PUB32 each |
//! | 5 | section headers |
//!
//! Source: LLVM's description of the format (docs/PDB), and Microsoft's microsoft-pdb.

const BLOCK: usize = 4096;

/// Where the one section begins in the image.
const SECTION: u32 = 0x8000;

/// A PDB with this GUID and age and these public symbols, each with its place in the image.
pub(crate) fn pdb(guid: [u8; 16], age: u32, symbols: &[(&str, u32)]) -> Vec<u8> {
    let info = [&20_000_404u32.to_le_bytes()[..], &0x5f00_0000u32.to_le_bytes(), &1u32.to_le_bytes(), &guid, &[0; 20]]
        .concat();
    let mut types = vec![0; 56];
    types[..4].copy_from_slice(&20_040_203u32.to_le_bytes());
    types[4] = 56;
    types[9] = 0x10;
    types[13] = 0x10;
    let streams = [Vec::new(), info, types, dbi(age), records(symbols), section()];
    msf(&streams)
}

fn dbi(age: u32) -> Vec<u8> {
    let none = u16::MAX.to_le_bytes();
    let mut out = [&u32::MAX.to_le_bytes()[..], &19_990_903u32.to_le_bytes(), &age.to_le_bytes()].concat();
    // globals, build, publics, version, records, version
    out.extend([none, [0, 0x8e], none, [0, 0], 4u16.to_le_bytes(), [0, 0]].concat());
    [0u32, 0, 0, 0, 0, 0, 22, 0].iter().for_each(|size| out.extend(size.to_le_bytes()));
    out.extend([0, 0, 0x64, 0x86, 0, 0, 0, 0]);
    let debug = [none, none, none, none, none, 5u16.to_le_bytes(), none, none, none, none, none];
    out.extend(debug.concat());
    out
}

fn records(symbols: &[(&str, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, at) in symbols {
        let mut record =
            [&0x110eu16.to_le_bytes()[..], &0u32.to_le_bytes(), &(at - SECTION).to_le_bytes(), &[1, 0]].concat();
        record.extend(name.bytes());
        record.push(0);
        record.resize((record.len() + 2).next_multiple_of(4) - 2, 0);
        out.extend((record.len() as u16).to_le_bytes());
        out.extend(record);
    }
    out
}

fn section() -> Vec<u8> {
    let mut out = b".data\0\0\0".to_vec();
    [0x4000u32, SECTION, 0x4000, 0x4000, 0, 0, 0, 0xc000_0040].iter().for_each(|word| out.extend(word.to_le_bytes()));
    out
}

/// Blocks: the head, two maps of free blocks, the streams, the directory, the map of the directory.
fn msf(streams: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; 3 * BLOCK];
    let mut directory = (streams.len() as u32).to_le_bytes().to_vec();
    streams.iter().for_each(|stream| directory.extend((stream.len() as u32).to_le_bytes()));
    let mut add = |bytes: &[u8]| {
        let first = out.len() / BLOCK;
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        (first..out.len() / BLOCK).flat_map(|block| (block as u32).to_le_bytes()).collect::<Vec<u8>>()
    };
    for stream in streams {
        directory.extend(add(stream));
    }
    let blocks = add(&directory);
    let map = add(&blocks);
    let total = (out.len() / BLOCK) as u32;
    out[..32].copy_from_slice(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0");
    for (i, word) in [BLOCK as u32, 1, total, directory.len() as u32, 0].iter().enumerate() {
        out[32 + 4 * i..36 + 4 * i].copy_from_slice(&word.to_le_bytes());
    }
    out[52..56].copy_from_slice(&map);
    out
}
