//! Files that are compressed as a whole: any bytes behind each magic, and what is compressed here, in one or several
//! members, unpacks to all that was put in.

use crate::Seed;
use crate::deflate::grown;
use crate::input::Input;
use crate::samples::{self, seed};
use dump::{Dump, MemoryMap, OpenOptions, Opening, Pfn, PfnRange, Phase, PhysAddr, Watch, read_pages};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

type Pack = fn(&[u8]) -> Vec<u8>;

/// How files are compressed: the magic, and what makes a member.
const PACKERS: [(&[u8], Pack); 5] = [
    (b"\x28\xb5\x2f\xfd", |bytes| zstd::bulk::compress(bytes, 1).unwrap()),
    (b"\x1f\x8b\x08", |bytes| {
        finish(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()), bytes, |e| e.finish())
    }),
    (b"\xfd7zXZ\0", |bytes| finish(liblzma::write::XzEncoder::new(Vec::new(), 0), bytes, |e| e.finish())),
    (b"BZh9", |bytes| {
        finish(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()), bytes, |e| e.finish())
    }),
    (b"\x04\x22\x4d\x18", |bytes| {
        finish(lz4_flex::frame::FrameEncoder::new(Vec::new()), bytes, |e| Ok(e.finish().unwrap()))
    }),
];

fn finish<E: Write>(mut encoder: E, bytes: &[u8], end: impl FnOnce(E) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
    encoder.write_all(bytes).unwrap();
    end(encoder).unwrap()
}

/// Stops at what unpacks to more than a fuzzer has time for.
#[derive(Default)]
struct Patience(AtomicU32);

impl Watch for Patience {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn stopped(&self) -> bool {
        // asked every 256 KiB
        self.0.fetch_add(1, Ordering::Relaxed) > 64
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.u8();
    let (magic, pack) = PACKERS[usize::from(how & 7) % PACKERS.len()];
    if how & 8 == 0 {
        // any bytes behind the magic
        let _ = open(&[magic, input.rest()].concat());
        return;
    }
    let (members, times) = (usize::from(how >> 4 & 3) + 1, usize::from(input.u8()));
    let content = grown(input.rest(), times, 1 << 18);
    if content.is_empty() || PACKERS.iter().any(|(magic, _)| content.starts_with(magic)) || is_dump(&content) {
        return;
    }
    let packed: Vec<u8> = content.chunks(content.len().div_ceil(members)).flat_map(pack).collect();
    let dump = open(&packed).expect("bare memory, compressed");
    assert!(dump.damage().is_none(), "{:?}", dump.damage());
    let pages = PfnRange::new(Pfn(0), dump.meta().end_pfn);
    let mut bytes = vec![0; 4096 * pages.len() as usize];
    read_pages(dump.source().reader().as_mut(), dump.meta().page_size, pages, &mut bytes).unwrap();
    assert!(bytes.get(..content.len()) == Some(&content[..]), "a part of {members} members is missing");

    // cut short, it is damaged
    let cut = usize::from(input.u8()) % packed.len();
    if let Ok(dump) = open(&packed[..cut]) {
        let len = dump.meta().end_pfn.0 * 4096;
        assert!(dump.damage().is_some() || len as usize <= content.len() + 4095);
    }
}

/// Bare memory is what nothing else is.
fn is_dump(content: &[u8]) -> bool {
    let prefix = &content[..content.len().min(64)];
    dump_flat::is_flattened(prefix)
        || dump::FORMATS.iter().any(|format| (format.probe)(prefix, &OpenOptions::default()))
}

fn open(bytes: &[u8]) -> dump::Result<Dump> {
    let fd = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = File::from(fd);
    file.write_all(bytes).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let opening = Opening {
        options: OpenOptions { raw_maps: vec![MemoryMap::from_base(PhysAddr(0))], live: false },
        mapped: false,
        ..Opening::default()
    };
    Dump::open_all(&[path.into()], &opening, &Patience::default())
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (i, (magic, pack)) in (0u8..).zip(PACKERS) {
        let packed = pack(&samples::lime_image());
        seeds.push(seed(&format!("lime{i}"), [&[i], &packed[magic.len()..]].concat()));
        for members in [0, 2] {
            seeds
                .push(seed(&format!("content{i}{members}"), [&[i | 8 | members << 4, 3][..], b"some memory"].concat()));
        }
    }
    seeds
}
