//! Small dumps of every format.

use crate::Seed;
use dump_synth::{
    DmpFile, DmpKind, ElfCore, Endian, FakeMemory, FlatStream, KdumpFile, Load, Notes, Packing, QnxGcore, QnxVcpu,
    Slot, Width, xl_core,
};

/// Any text that looks like one.
pub const VMCOREINFO: &str = "OSRELEASE=6.1.0\nPAGESIZE=4096\nSIZE(page)=64\n";

pub fn seed(name: &str, bytes: impl Into<Vec<u8>>) -> Seed {
    (name.to_owned(), bytes.into())
}

pub fn notes() -> Vec<u8> {
    let notes = Notes::new(Endian::Little).prstatus_x86_64(7, &[5; 27]);
    notes.note("QEMU", 0, &[1; 432]).vmcoreinfo(VMCOREINFO).into_bytes()
}

pub fn page(byte: u8) -> Vec<u8> {
    (0..4096u32).map(|i| byte.wrapping_mul((i / 64) as u8)).collect()
}

/// A kdump file of a few pages, in each way of storing them.
pub fn kdump_file() -> KdumpFile {
    let mut file = KdumpFile::new(40).notes(notes(), VMCOREINFO);
    file.ram = (2..40).collect();
    file.dump_level = 1;
    file.eraseinfo = b"erase key\n".to_vec();
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&page(9), 6);
    let zstd = zstd::bulk::compress(&page(10), 1).unwrap();
    let snappy = snap::raw::Encoder::new().compress_vec(&page(11)).unwrap();
    let stored = [(5, 0x1, zlib), (6, 0x20, zstd), (7, 0x4, snappy), (3, 0, page(1)), (9, 0, page(3))];
    let file = stored.into_iter().fold(file, |file, (pfn, flags, bytes)| file.page(pfn, Slot::Stored(flags, bytes)));
    file.page(4, Slot::Zero).page(12, Slot::SameAs(9)).page(13, Slot::Missing)
}

pub fn kdump() -> Vec<Seed> {
    let file = kdump_file();
    let mut seeds = vec![seed("v6", file.to_bytes())];
    for version in 1..6 {
        seeds.push(seed(&format!("v{version}"), KdumpFile { version, ..kdump_file() }.to_bytes()));
    }
    let big = file.clone().abi(Width::W32, Endian::Big, Packing::Packed);
    seeds.push(seed("be32", big.to_bytes()));
    seeds.extend(file.split_at(&[8]).iter().enumerate().map(|(i, part)| seed(&format!("part{i}"), part.to_bytes())));
    seeds
}

fn core() -> ElfCore {
    let load = |start: u64, pages: u8| Load::new(start, 0xffff_8880_0000_0000 + start, page(pages));
    ElfCore::x86_64().note(notes()).load(load(0x1000, 7)).load(load(0x8000, 9))
}

/// The dump of a QNX guest: its record, its log, and segments over others.
fn gcore() -> Vec<u8> {
    let cpus = [0, 1].map(|number| QnxVcpu::new(number, &[0x1234; 20]));
    QnxGcore {
        aliases: Some([(0x1000, 0x400), (0x1400, 0x200), (0x1800, 0x100)]),
        log: Some((0x1c00, b"log\n\0\0\0\0".to_vec(), 4)),
        ..QnxGcore::new(62, cpus.into(), vec![(0x1000, page(7)), (0x8000, page(9))])
    }
    .to_bytes()
}

pub fn elf() -> Vec<Seed> {
    let other =
        ElfCore::new(Width::W32, Endian::Big, 20).note(Notes::new(Endian::Big).vmcoreinfo(VMCOREINFO).into_bytes());
    vec![
        seed("core", core().to_bytes()),
        seed("qemu", core().like_qemu().to_bytes()),
        seed("gcore", gcore()),
        seed("xl", xl_core(&FakeMemory::new(&[0..2, 0x10..0x11]), None).bytes),
        seed("xl-pv", xl_core(&FakeMemory::new(&[0..2, 0x10..0x11]), Some(&|pfn| pfn + 9)).bytes),
        seed("xnum", core().xnum().to_bytes()),
        seed("be32", other.load(Load::new(0x2000, 0xc000_2000, page(3))).to_bytes()),
    ]
}

pub fn flat() -> Vec<Seed> {
    let record = |name: &str, bytes: &[u8]| seed(name, FlatStream::of(bytes, 1000, |order| order.reverse()).to_bytes());
    let over = FlatStream::new().record(5, b"abcdef").record(0, b"0123456789").record(7, b"xyz");
    vec![
        record("elf", &core().to_bytes()),
        record("kdump", &kdump_file().to_bytes()),
        seed("over", over.to_bytes()),
        seed("cut", over.unterminated().to_bytes()),
    ]
}

pub fn lime_image() -> Vec<u8> {
    dump_synth::lime(&[(0x1000, page(5)), (0x10_0000, page(6))])
}

pub fn lime() -> Vec<Seed> {
    vec![seed("two", lime_image()), seed("odd", dump_synth::lime(&[(0x1234, page(5)[..1000].to_vec())]))]
}

/// Each kind of Windows crash dump.
pub fn dmp() -> Vec<Seed> {
    let file = |kind| DmpFile::new(kind, &[1..4, 0x20..0x22]);
    let made = |file: DmpFile| file.to_bytes(|pfn| page(pfn as u8));
    let mut seeds = vec![seed("full", made(file(DmpKind::Full))), seed("narrow", made(file(DmpKind::Full).narrow()))];
    seeds.extend([5, 6].map(|kind| seed(&format!("bitmap{kind}"), made(file(DmpKind::Bitmap(kind)).without([2])))));
    seeds.extend([8, 10].map(|kind| seed(&format!("ranges{kind}"), made(file(DmpKind::Ranges(kind)).without([2])))));
    seeds
}

/// AVML's header has another magic and version 2; its memory is a framed snappy stream, and the stream's length follows.
pub fn avml() -> Vec<Seed> {
    let range = |start: u64, bytes: &[u8]| {
        let mut stream = snap::write::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut stream, bytes).unwrap();
        let stream = stream.into_inner().unwrap();
        let mut image = [0x4c4d_5641u32.to_le_bytes(), 2u32.to_le_bytes()].concat();
        for number in [start, start + bytes.len() as u64 - 1, 0] {
            image.extend(number.to_le_bytes());
        }
        image.extend(&stream);
        image.extend((stream.len() as u64).to_le_bytes());
        image
    };
    let long: Vec<u8> = (0..40u8).flat_map(page).collect();
    let two = [range(0x1000, &page(5)), range(0x10_0000, &long)].concat();
    vec![seed("two", two), seed("one", range(0x1234, &page(6)[..1000]))]
}

pub fn pages() -> Vec<Seed> {
    vec![seed("page", page(3)), seed("words", b"abcabcabd 0123 0123".repeat(9)), seed("short", [1, 2, 3, 4])]
}

/// A guest of 24 pages: a stream with a device between its sections and a page sent twice, a mapped-ram file cut off behind
/// its first pages, and a save file.
#[allow(clippy::single_range_in_vec_init)]
pub fn migration() -> Vec<Seed> {
    let mut memory = dump_synth::FakeMemory::new(&[0..24]);
    [1, 2, 3, 9, 20].into_iter().for_each(|pfn| memory.write(pfn * 4096, &page(pfn as u8)));
    let mut stream = dump_synth::MigrationStream::of(&memory, "s390-ccw-virtio-7.2", "s390.ram", &[0..24 * 4096]);
    let again = dump_synth::migration::Record::Page(page(77));
    stream.sections.push(vec![(0, 4096, again)]);
    stream.device = Some(("timer".to_owned(), vec![0x7e, 0, 0, 0, 7, 9, 1, 2, 3]));
    let mut mapped = stream.to_mapped(0);
    mapped.truncate((1 << 20) + 4 * 4096);
    let libvirt = [dump_synth::libvirt_head("s390-ccw-virtio-7.2", 0, true, 300), stream.to_bytes()].concat();
    vec![seed("stream", stream.to_bytes()), seed("mapped", mapped), seed("libvirt", libvirt)]
}

/// A partition, a media backup, the first of two disks.
pub fn sadump() -> Vec<Seed> {
    let mut memory = dump_synth::FakeMemory::new(&[0..9, 16..20]);
    [1, 2, 3, 17].into_iter().for_each(|pfn| memory.write(pfn * 4096, &page(pfn as u8)));
    let file = dump_synth::sadump::SadumpFile::of(&memory);
    let disk = file.disks(&[4096 * 5]).remove(0);
    vec![seed("partition", file.partition_bytes()), seed("backup", file.backup_bytes()), seed("disk", disk)]
}

/// A suspended guest with its memory.
pub fn vmware() -> Vec<Seed> {
    let memory: Vec<u8> = (0..5u8).flat_map(page).collect();
    vec![seed("regions", dump_synth::vmware::vmss(&[(0, 2, 3), (16, 0, 2)], Some(&memory)))]
}
