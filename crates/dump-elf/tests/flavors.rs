//! Who made a core: fakes of every make, as `dump-synth` writes them.

use dump_core::{Absence, Container, Description, ErrorKind, OpenOptions, OwnNote, PageSource, Pfn};
use dump_elf::{ElfCore, Flavor};
use dump_synth::elf::{ElfCore as Core, Load};
use dump_synth::{Endian, Notes, Width};

fn notes() -> Notes {
    Notes::new(Endian::Little)
}

fn load() -> Load {
    Load::new(0x10_0000, 0xffff_8880_0010_0000, vec![1; 4096])
}

/// As QEMU has them: no flags.
fn bare() -> Load {
    let mut load = load();
    load.p_flags = 0;
    load
}

fn with(notes: Notes, load: Load) -> Core {
    Core::x86_64().note(notes.into_bytes()).load(load)
}

fn flavor(core: &Core) -> Result<Flavor, (ErrorKind, String)> {
    ElfCore::open(core.to_bytes()).map(|core| core.flavor()).map_err(|e| (e.kind(), e.to_string()))
}

#[test]
fn makers_are_identified() {
    let linux = || notes().prstatus_x86_64(1, &[0; 27]).vmcoreinfo("OSRELEASE=6.1\n");
    let virtual_box = || notes().raw(b"\x06\0\0\0\x04\0\0\0\0\x0b\0\0VBCORE\0\0\xde\xac\x01\xc0");
    for (core, want, name) in [
        (with(linux(), load()), Flavor::Vmcore, "Linux vmcore"),
        (with(linux(), load().memsz(0x2000)), Flavor::Filtered, "filtered Linux vmcore"),
        (with(linux().note("ERASEINFO", 0, b"erase x size 1\n"), load()), Flavor::Filtered, "filtered Linux vmcore"),
        (Core { e_flags: 1, ..with(linux(), load()) }, Flavor::Filtered, "filtered Linux vmcore"),
        (with(linux().note("QEMU", 0, &[0; 440]), load()), Flavor::Qemu, "QEMU guest dump"),
        (with(linux(), bare()), Flavor::Qemu, "QEMU guest dump"),
        (with(linux(), bare()).like_qemu(), Flavor::QemuSections, "QEMU guest dump (7.2 or later)"),
        (with(linux(), load()).like_qemu(), Flavor::QemuSections, "QEMU guest dump (7.2 or later)"),
        (with(virtual_box(), load().memsz(0x3000)), Flavor::VirtualBox, "VirtualBox guest core"),
        (with(linux().note("Xen", 0x100_0001, &[0; 80]), load()), Flavor::XenHost, "Xen host vmcore"),
        (with(linux().note("VMCOREINFO_XEN", 0, b"a=1\n"), load()), Flavor::XenHost, "Xen host vmcore"),
        (with(notes().note("SNAP", 4, &[0; 64]), load()), Flavor::Snap, "snapshot of a running kernel"),
        (with(notes().note("QNX", 7, &[0; 16]), load()), Flavor::QnxGuest, "QNX hypervisor guest dump"),
        (with(notes().prstatus_x86_64(1, &[0; 27]), load()), Flavor::Unknown, "ELF core"),
        (Core::x86_64().load(load()), Flavor::Unknown, "ELF core"),
    ] {
        let found = flavor(&core);
        assert_eq!(found, Ok(want), "{name}");
        let described = ElfCore::open(core.to_bytes()).unwrap().describe();
        assert_eq!(described, Description { producer: Some(name), ..Description::of("elf") });
    }
}

/// As `VBoxManage debugvm dumpvmcore` lays it out (DBGFCoreWrite.cpp): e_version may be 0; names of notes are as long as
/// their letters; memory of devices has no bytes; nothing is aligned.
#[test]
fn a_core_of_virtual_box() {
    let descriptor = [0xc01a_c0deu32, 0x0001_0005, 24, 0x0007_0010, 164_728, 2];
    let mut stream = [6u32, 24, 0xb00].map(u32::to_le_bytes).concat();
    stream.extend(b"VBCORE\0\0");
    stream.extend(descriptor.map(u32::to_le_bytes).concat());
    for cpu in 0..2u8 {
        stream.extend([5u32, 64, 0xb01].map(u32::to_le_bytes).concat());
        stream.extend(b"VBCPU\0\0\0");
        stream.extend([cpu; 64]);
    }
    let mut low = Load::new(0, 0, vec![1; 0x1000]);
    let mut high = Load::new(0x1_0000_0000, 0, vec![2; 0x2000]);
    (low.file_align, high.file_align) = (1, 1);
    let devices = Load { data: Vec::new(), ..Load::new(0xe000_0000, 0, Vec::new()) }.memsz(0x10_0000);
    let core = Core::x86_64().note(notes().raw(&stream).into_bytes()).load(low).load(devices).load(high);
    let mut bytes = core.to_bytes();
    bytes[20..24].fill(0); // e_version
    let core = ElfCore::open(bytes).unwrap();
    assert_eq!((core.flavor(), core.is_filtered()), (Flavor::VirtualBox, false));
    let names: Vec<_> = core.meta().notes.describe().into_iter().map(|note| note.owner).collect();
    assert_eq!(names, ["VBCORE", "VBCPU", "VBCPU"]);
    for (pfn, byte) in [(0, Ok(1)), (0x10_0000, Ok(2)), (0x10_0001, Ok(2)), (1, Err(Absence::Hole))] {
        assert_eq!(dump_kit::page_at(&core, Pfn(pfn)).map(|page| page[0]), byte, "{pfn:#x}");
    }
}

#[test]
fn filtered_whoever_made_it() {
    let filtered = |core: &Core| ElfCore::open(core.to_bytes()).unwrap().is_filtered();
    let qemu = || notes().note("QEMU", 0, &[0; 440]);
    assert!(!filtered(&with(qemu(), bare())));
    assert!(filtered(&with(qemu(), bare().memsz(0x2000))));
    // what QEMU's own filter leaves out, or is no RAM
    let absent = Load { data: Vec::new(), ..bare() }.memsz(0x4000).at(u64::MAX);
    assert!(!filtered(&with(qemu(), bare()).load(absent)));
    assert!(Flavor::Qemu.is_qemu() && Flavor::QemuSections.is_qemu() && !Flavor::Vmcore.is_qemu());
}

/// The notes of `/proc/kcore`, or of a process of another name.
fn kernel(name: &str) -> Notes {
    let mut desc = vec![0; 136];
    desc[40..40 + name.len()].copy_from_slice(name.as_bytes());
    notes().prstatus_x86_64(1, &[0; 27]).note("CORE", 3, &desc)
}

/// DumpIt for Linux writes all RAM, and the kernel's image as kexec does, with the notes of `/proc/kcore`.
#[test]
fn the_notes_of_kcore_over_nothing_but_ram() {
    let dumpit = with(kernel("vmlinux"), load()).load(Load::new(0x10_0000, 0xffff_8880_0010_0000, vec![2; 4096]));
    let dumpit = dumpit.load(Load::new(0x10_0000, 0xffff_ffff_8100_0000, vec![2; 4096]));
    assert_eq!(flavor(&dumpit), Ok(Flavor::DumpIt));
    let source = ElfCore::open(dumpit.to_bytes()).unwrap();
    assert_eq!(source.describe().producer, Some("memory of a running Linux (DumpIt)"));
    // as it comes back from a kdump file: all RAM from 0 on, mapped nowhere
    let bare = with(kernel("vmlinux"), Load::new(0, 0, vec![1; 4096]));
    assert_eq!(flavor(&bare), Ok(Flavor::DumpIt));
}

#[test]
fn what_is_no_dump_is_refused_by_name() {
    let mapped = || Load::new(0, 0x40_0000, vec![1; 4096]);
    let nowhere = || Load::new(u64::MAX, 0xffff_ffff_8000_0000, vec![1; 4096]);
    let unsupported = ErrorKind::Unsupported;
    for (core, kind, says) in [
        (with(kernel("vmlinux"), load()).load(nowhere()), unsupported, "/proc/kcore"),
        (with(kernel("vmlinux"), mapped()).load(mapped()), unsupported, "/proc/kcore"),
        (with(kernel("vmlinux"), nowhere()), unsupported, "/proc/kcore"),
        (with(kernel("sleep"), mapped()), unsupported, "the core of a process"),
        (with(notes().note("CORE", 6, &[0; 320]), mapped()), unsupported, "the core of a process"),
        (with(notes().note("QNX", 7, &[0; 16]), mapped()), unsupported, "the core of a process"),
        (with(notes().vmcoreinfo("A=1\n"), nowhere()), ErrorKind::Corrupt, "no PT_LOAD"),
    ] {
        let (found, text) = flavor(&core).unwrap_err();
        assert!(found == kind && text.contains(says), "{found:?} {text}");
    }
    // a 32-bit core's all ones
    let narrow = Core::new(Width::W32, Endian::Little, 3).load(Load::new(0xffff_ffff, 0xc000_0000, vec![1; 4096]));
    assert_eq!(flavor(&narrow).unwrap_err().0, ErrorKind::Corrupt);
}

/// Its RAM is what has a physical address; where nothing has one, nothing can be told.
#[test]
fn kcore_is_opened_where_it_is_asked_for() {
    let nowhere = || Load::new(u64::MAX, 0xffff_ffff_8000_0000, vec![1; 4096]);
    let old = |byte| Load::new(0, 0xffff_8880_0010_0000, vec![byte; 4096]);
    let live = OpenOptions { live: true, ..OpenOptions::default() };
    let kcore = with(kernel("vmlinux"), nowhere()).load(load()).load(Load { vaddr: 1 << 63, ..load() });
    let core = ElfCore::open_as(kcore.to_bytes(), &live).unwrap();
    assert_eq!((core.flavor(), core.meta().end_pfn.0), (Flavor::Kcore, 0x101));
    assert!(core.check_headers().is_empty() && !core.doubts_pages());
    let old = with(kernel("vmlinux"), old(1)).load(old(2));
    let e = ElfCore::open_as(old.to_bytes(), &live).err().unwrap();
    assert!(e.to_string().contains("virtual addresses alone"), "{e}");
}

/// Two sections, no segments: what xl dump-core writes, in outline.
#[test]
fn a_xen_domain_core() {
    let mut file = Core::x86_64().to_bytes();
    file.truncate(64);
    let names = b"\0.shstrtab\0.note.Xen\0";
    let section = |name: u32, kind: u32, offset: u64, size: u64| {
        let mut out = [name.to_le_bytes(), kind.to_le_bytes()].concat();
        for word in [0, 0, offset, size, 0, 0, 0] {
            out.extend(word.to_le_bytes());
        }
        assert_eq!(out.len(), 64);
        out
    };
    file.extend(section(0, 0, 0, 0));
    file.extend(section(1, 3, 64 + 3 * 64, names.len() as u64));
    file.extend(section(11, 7, 0, 0));
    file.extend(names);
    for (at, value) in [(40, 64u16), (54, 0), (56, 0), (58, 64), (60, 3), (62, 1)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let e = ElfCore::open(file.clone()).err().unwrap();
    assert!(e.kind() == ErrorKind::Unsupported && e.to_string().contains("a Xen domain core"), "{e}");
    file[256 + 11] = b'x';
    assert!(ElfCore::open(file).err().unwrap().to_string().contains("no PT_LOAD"));
}

/// A `.gcore`: memory first, and in the last segment a structure where notes should be. It becomes a note; what cannot be
/// such a structure is carried along unchanged.
#[test]
fn a_qnx_guest() {
    let structure = |cpus: u16, regset: u32| {
        let mut out = vec![0, 0, 0, 0];
        out.extend(cpus.to_le_bytes());
        out.extend([0, 0]);
        for word in [regset, 0, 0, 0, 0] {
            out.extend(word.to_le_bytes());
        }
        out.resize(40 + usize::from(cpus) * (128 + regset as usize), 0x5a);
        out
    };
    // of x86-64, which has 160 bytes of registers
    for (bytes, cpus, notes) in [(structure(3, 272), 3, 1), (structure(2, 160), 2, 3), (vec![0xc3; 100], 0, 0)] {
        let core = ElfCore::open(last_is_note(&bytes)).unwrap();
        assert_eq!((core.flavor(), core.qnx_note().map_or(0, |note| note.cpus)), (Flavor::QnxGuest, cpus));
        let meta = core.meta();
        assert_eq!((meta.notes.describe().len(), meta.cpus()), (notes, u32::from(cpus)));
        let kept = meta.notes.own(OwnNote::QnxRecord);
        assert_eq!(kept.unwrap_or(meta.notes.as_bytes()), &bytes[..]);
        assert_eq!(meta.stated_cpus, (cpus > 0).then_some(u32::from(cpus)));
        // written again, it has a note of it, or the bytes themselves
        let again = Core::x86_64().note(meta.notes.as_bytes().to_vec()).load(load()).to_bytes();
        let again = ElfCore::open(again).unwrap();
        assert_eq!(again.qnx_note(), core.qnx_note());
        assert_eq!(again.flavor() == Flavor::QnxGuest, cpus != 0);
    }
    // some have the structure in the first segment
    let first = Core::x86_64().note(structure(3, 272)).load(load()).to_bytes();
    assert_eq!(ElfCore::open(first).unwrap().flavor(), Flavor::QnxGuest);
    // ordinary notes in the last segment are ordinary notes
    let ordinary = last_is_note(&notes().vmcoreinfo("OSRELEASE=1\n").into_bytes());
    let core = ElfCore::open(ordinary).unwrap();
    assert_eq!((core.flavor(), core.meta().notes.describe().len()), (Flavor::Vmcore, 1));
}

/// An ELF64 core of one PT_LOAD, then a PT_NOTE of `bytes`.
fn last_is_note(bytes: &[u8]) -> Vec<u8> {
    let mut file = Core::x86_64().note(bytes.to_vec()).load(load()).to_bytes();
    let (first, second) = (64, 64 + 56);
    let note = file[first..second].to_vec();
    file.copy_within(second..second + 56, first);
    file[second..second + 56].copy_from_slice(&note);
    file
}
