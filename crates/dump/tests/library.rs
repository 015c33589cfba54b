//! The library as its users see it, on the dump that ships with the repository.

#![allow(clippy::unwrap_used)] // a test ends by it

use dump::{
    ConvertOptions, Dump, DumpLevel, ErrorKind, Image, KernelSymbols, NoWatch, PhysAddr, PhysMemory, Reason, VirtAddr,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn fixture() -> Dump {
    Dump::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny/vmcore.zst")).unwrap()
}

fn image() -> Image {
    fixture().into_image(&NoWatch).unwrap()
}

#[test]
fn a_dump_says_what_it_is() {
    let dump = fixture();
    assert_eq!((dump.describe().format, dump.layers()), ("elf", &["zstd"][..]));
    assert_eq!(dump.meta().machine.name(), Some("x86_64"));
    assert_eq!(dump.vmcoreinfo().unwrap().release(), Some("6.1.192-gdump"));
    assert!(dump.damage().is_none() && dump.oddities().is_empty());
    let (ram, held) = dump::bitmaps(dump.source()).unwrap();
    assert_eq!((ram.count(ram.span()), ram), (18137, held));
}

#[test]
fn memory_is_read_by_physical_and_by_virtual_address() {
    let image = image();
    let names = image.vmcoreinfo().unwrap().symbol("init_uts_ns").unwrap();
    let mut by_virt = [0; 256];
    image.read_virt(names, &mut by_virt).unwrap();
    assert!(by_virt.windows(13).any(|text| text == b"6.1.192-gdump"), "the release stands in init_uts_ns");
    // the same bytes by their physical address
    let kernel = image.kernel().unwrap();
    let phys = kernel.memory(&image.memory()).translate(names).unwrap().phys;
    let mut by_phys = [0; 256];
    image.read_phys(phys, &mut by_phys).unwrap();
    assert_eq!(by_virt, by_phys);
    assert!(image.memory().reader().read(PhysAddr(1 << 40), &mut by_phys).is_err());
    assert!(image.read_virt(VirtAddr(0), &mut by_virt).is_err());
}

/// Every format that can be written, by its name in the table, opens again and holds the same memory.
#[test]
fn what_is_written_can_be_opened() {
    let (image, dir) = (image(), tempfile::tempdir().unwrap());
    // of Windows there are dumps of its own
    let of_all = |name: &&str| !dump::format(name).unwrap().abilities().contains(dump::Abilities::WINDOWS);
    for name in dump::output_formats().filter(of_all) {
        let path = dir.path().join(name);
        let done = dump::convert_to_file(&image, &ConvertOptions::new(dump::format(name).unwrap()), &path).unwrap();
        assert!(done.outcome.is_complete(), "{name}");
        let opening = dump::Opening {
            options: dump::OpenOptions {
                raw_maps: if name == "raw" { vec![dump::MemoryMap::from_base(PhysAddr(0))] } else { Vec::new() },
                live: false,
            },
            ..dump::Opening::default()
        };
        let again = Dump::open_all(&[path], &opening, &NoWatch).unwrap();
        // the hypervisor's cores are read as any
        assert_eq!(again.describe().format, if name == "gcore" { "elf" } else { name });
        let found = dump::compare(image.source(), again.source()).unwrap();
        // the poisoned page is in no dump; a raw image has zeros there
        let poisoned = u64::from(name == "raw");
        assert!(found.differ == poisoned && found.damaged == [0, 0] && found.equal > 10_000, "{name}: {found:?}");
        assert!(again.check().unwrap().is_sound(), "{name}");
    }
}

#[test]
fn a_level_and_a_codec_by_name() {
    let (image, dir) = (image(), tempfile::tempdir().unwrap());
    let kdump = dump::format("kdump").unwrap();
    let options = ConvertOptions { codec: dump::codec("zstd"), level: DumpLevel::all(), ..ConvertOptions::new(kdump) };
    let path = dir.path().join("out");
    let done = dump::convert_to_file(&image, &options, &path).unwrap();
    assert_eq!(done.findings.tally.count(Reason::Free), 9388, "makedumpfile's count, fixtures/tiny/pages.json");
    let again = Dump::open(&path).unwrap();
    assert_eq!(again.describe().codec.map(|codec| codec.name()), Some("zstd"));
    assert_eq!(again.meta().dump_level, 31);
    // nothing is overwritten
    let e = dump::convert_to_file(&image, &options, &path).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Io);
}

#[test]
fn what_is_no_dump_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, "hello\n").unwrap();
    let e = Dump::open(&path).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::BadMagic);
    assert!(e.to_string().contains("text: a text file, not a dump"), "{e}");
}

/// A format of the caller's own comes in as a container; here one of the table's, over bytes in memory.
#[test]
fn a_container_of_the_callers_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lime");
    let lime = dump::format("lime").unwrap();
    dump::convert_to_file(&image(), &ConvertOptions::new(lime), &path).unwrap();
    let bytes: dump::Bytes = Box::new(std::fs::read(&path).unwrap());
    let container = (lime.open)(bytes, &dump::OpenOptions::default()).unwrap();
    let dump = Dump::from_container(container, "memory");
    assert_eq!((dump.name(), dump.describe().format), ("memory", "lime"));
    let image = dump.into_image(&NoWatch).unwrap();
    assert_eq!(image.vmcoreinfo().unwrap().release(), Some("6.1.192-gdump"), "found in memory");
    assert!(image.vmcoreinfo_found_at().is_some());
}

#[test]
fn as_many_outputs_as_files() {
    let image = image();
    let memory = image.memory();
    let options = ConvertOptions { files: 2, ..ConvertOptions::new(dump::format("kdump").unwrap()) };
    let conversion = dump::Conversion::new(&image, &memory, None, &options, &|_| Ok(()), &NoWatch).unwrap();
    let e = conversion.run(&[&dump::NullOutput]).err().unwrap();
    assert_eq!(e.to_string(), "1 outputs for a dump of 2 files");
}

/// A file of which the read that begins at a place fails the first time.
struct FailsOnce {
    bytes: Vec<u8>,
    at: u64,
    failed: AtomicBool,
}

impl dump::ReadAt for FailsOnce {
    fn len(&self) -> dump::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> dump::Result<()> {
        if offset == self.at && !self.failed.swap(true, Ordering::Relaxed) {
            return Err(dump::Error::new(ErrorKind::Io, "Input/output error"));
        }
        self.bytes.read_exact_at(offset, buf)
    }
}

/// What could not be read when a dump was opened says nothing of the dump: it is not called incomplete or damaged, and
/// what is made of it is not called whole, for nothing looked there.
#[test]
fn a_read_that_fails_is_the_systems() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("kdump"), dir.path().join("out"));
    let kdump = dump::format("kdump").unwrap();
    dump::convert_to_file(&image(), &ConvertOptions::new(kdump), &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let number = |at: usize| u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
    // block_size, sub_hdr_size and bitmap_blocks of disk_dump_header
    let descriptors = number(428) * (1 + number(432) + number(436));
    let of = |at: u64| {
        let input = FailsOnce { bytes: bytes.clone(), at, failed: AtomicBool::new(false) };
        let container = (kdump.open)(Box::new(input), &dump::OpenOptions::default()).unwrap();
        Dump::from_container(container, "memory").into_image(&NoWatch).unwrap()
    };
    assert_eq!((of(u64::MAX).shortcoming(), of(u64::MAX).unread().count()), (None, 0));
    let image = of(descriptors);
    assert_eq!((image.shortcoming(), image.is_sound()), (Some(dump::Shortcoming::Unread), false));
    let unread: Vec<String> = image.unread().map(ToString::to_string).collect();
    assert_eq!(unread, ["page descriptors: Input/output error"]);
    let done = dump::convert_to_file(&image, &ConvertOptions::new(kdump), &out).unwrap();
    assert!(done.outcome.is_complete());
    let again = Dump::open(&out).unwrap().into_image(&NoWatch).unwrap();
    assert_eq!(again.shortcoming(), Some(dump::Shortcoming::Flagged));
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let cut = Dump::open(&path).unwrap().into_image(&NoWatch).unwrap();
    assert_eq!((cut.shortcoming(), cut.unread().count()), (None, 0), "its pages tell");
}
