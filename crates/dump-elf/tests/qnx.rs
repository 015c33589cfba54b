//! Dumps of the QNX hypervisor's guests: what is taken of them, and what is written for their reader.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::{Container, DumpMeta, Machine, OwnNote, PageSize, PageSource, Pfn};
use dump_elf::{ElfCore, Flavor, GcoreWriter, QnxGuest};
use dump_kit::{Dump, made_page, set_of};
use dump_synth::{Notes as FakeNotes, QnxGcore, QnxVcpu};

const PAGE: u64 = 4096;
const BASE: u64 = 0x4000_0000;

/// Pages whose contents follow from their number.
fn ram(pages: u64) -> Vec<(u64, Vec<u8>)> {
    let page = |i| made_page(PageSize::K4, Pfn(BASE / PAGE + i));
    vec![(BASE, (0..pages).flat_map(page).collect())]
}

fn words(count: u64, from: u64) -> Vec<u64> {
    (0..count).map(|i| from + i).collect()
}

/// QNX itself on AArch64, its log wrapped round.
fn qnx() -> QnxGcore {
    let cpus = [(1, "devb-ufs"), (0, "procnto-smp-instr")].map(|(number, process)| QnxVcpu {
        process,
        ..QnxVcpu::new(number, &words(34, 0x100 * (u64::from(number) + 1)))
    });
    QnxGcore {
        cause: [11, 1, 14],
        failed: 1,
        aliases: Some([(BASE + 0x1000, 0x800), (BASE + 0x1800, 0x400), (BASE + 0x2000, 0x340)]),
        log: Some((BASE + 0x3010, b"again\nKernel: old, ".to_vec(), 6)),
        ..QnxGcore::new(183, cpus.into(), ram(8))
    }
}

#[test]
fn all_that_the_file_carries_is_in_notes() {
    let core = ElfCore::open(qnx().to_bytes()).unwrap();
    assert_eq!(core.flavor(), Flavor::QnxGuest);
    // the log is a ring in memory and a text in its segment, which is no contradiction
    assert!(core.header_faults().is_empty() && core.check_headers().is_empty());
    let guest = QnxGuest::of(&core.meta().notes).unwrap();
    assert_eq!((guest.head.cause, guest.head.faulting_cpu), ([11, 1, 14], 1));
    assert_eq!(guest.log.as_deref(), Some("Kernel: old, again\n"));
    let seen: Vec<_> = guest.cpus.iter().map(|cpu| (cpu.number, cpu.page_table, cpu.process.as_str())).collect();
    assert_eq!(seen, [(1, 0x2000, "devb-ufs"), (0, 0x1000, "procnto-smp-instr")]);
    let named = guest.cpus[0].named_registers(core.meta().machine);
    let value = |name: &str| named.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!((value("x0"), value("sp"), value("pc"), value("pstate")), (0x200, 0x21f, 0x220, 0x221));
    // registers for Linux's tools, in the order of the CPUs: struct user_pt_regs is what QNX stores
    let notes = &core.meta().notes;
    let prstatus: Vec<&[u8]> = notes.iter().filter(|n| n.name == b"CORE").map(|n| notes.desc(&n).unwrap()).collect();
    assert_eq!(prstatus.len(), 2);
    for (desc, number) in prstatus.iter().zip(1u64..) {
        assert_eq!((desc.len(), desc[32]), (392, number as u8));
        let registers: Vec<u8> = words(34, 0x100 * number).iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(desc[112..112 + 272], registers);
    }
}

/// What the hypervisor's public reader finds in a file, by its own rules.
struct Reader {
    file: Vec<u8>,
    /// Address, length, offset; PT_NOTEs not counted.
    segments: Vec<(u64, u64, u64)>,
    record: Vec<u8>,
}

impl Reader {
    fn open(file: Vec<u8>) -> Reader {
        let number = |at: usize, len: usize| file[at..at + len].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        assert_eq!((&file[..6], number(16, 2)), (&b"\x7fELF\x02\x01"[..], 4));
        let (table, count) = (number(32, 8) as usize, number(56, 2) as usize);
        let (mut segments, mut record) = (Vec::new(), 0..0);
        for at in (0..count).map(|i| table + 56 * i) {
            let (kind, offset, vaddr) = (number(at, 4), number(at + 8, 8), number(at + 16, 8));
            let (paddr, filesz, memsz) = (number(at + 24, 8), number(at + 32, 8), number(at + 40, 8));
            assert!(filesz <= memsz && vaddr == 0);
            match kind {
                4 => record = offset as usize..(offset + filesz) as usize,
                _ => segments.push((paddr, filesz, offset)),
            }
        }
        let record = file[record].to_vec();
        assert_eq!(record[0], 0, "the version");
        Reader { file, segments, record }
    }

    /// The segment whose number is at `at` of the record.
    fn numbered(&self, at: usize) -> (u64, Vec<u8>) {
        let (paddr, len, offset) = self.segments[self.record[at] as usize];
        (paddr, self.file[offset as usize..(offset + len) as usize].to_vec())
    }

    fn read(&self, paddr: u64, len: usize) -> Option<&[u8]> {
        let (start, _, offset) =
            self.segments.iter().find(|(start, size, _)| (*start..start + size).contains(&paddr))?;
        let at = (offset + paddr - start) as usize;
        self.file.get(at..at + len)
    }
}

/// A core of all pages of `source` but `without`, with other notes.
fn written(source: &ElfCore<Vec<u8>>, without: &[u64], change: impl FnOnce(&mut DumpMeta)) -> Vec<u8> {
    let mut meta = source.meta().clone();
    change(&mut meta);
    let first = BASE / PAGE;
    let all: Vec<(u64, u64)> = (first..first + 8).map(|pfn| (pfn, pfn + 1)).collect();
    let held: Vec<(u64, u64)> = all.iter().copied().filter(|(pfn, _)| !without.contains(pfn)).collect();
    let (ram, dumpable) = (set_of(&all, first + 8), set_of(&held, first + 8));
    let dump = Dump { meta: &meta, ram: &ram, dumpable: &dumpable };
    dump.write(Box::new(GcoreWriter), 3, &mut *source.reader()).bytes(0)
}

#[test]
fn what_is_written_again_is_what_was_read() {
    let fake = qnx();
    let source = ElfCore::open(fake.to_bytes()).unwrap();
    let file = written(&source, &[], |_| {});
    let reader = Reader::open(file.clone());
    // procnto, the system page and the log by their numbers, which are others or the same
    assert_eq!(reader.numbered(16), (BASE + 0x1000, fake.ram[0].1[0x1000..0x1800].to_vec()));
    assert_eq!(reader.numbered(20), (BASE + 0x2000, fake.ram[0].1[0x2000..0x2340].to_vec()));
    assert_eq!(reader.numbered(24), (BASE + 0x3010, fake.log_segment().unwrap()));
    let (was, mut is) = (fake.record(), reader.record.clone());
    is[16..28].copy_from_slice(&was[16..28]);
    assert_eq!(is, was);
    for page in 0..8 {
        let at = page * PAGE as usize;
        assert_eq!(reader.read(BASE + at as u64, 4096), Some(&fake.ram[0].1[at..at + 4096]), "page {page}");
    }
    // no notes but the record
    assert_eq!(file[64..64 + 56 * usize::from(file[56])].chunks(56).filter(|h| h[0] == 4).count(), 1);
    let again = ElfCore::open(file).unwrap();
    assert_eq!(again.meta().notes.describe(), source.meta().notes.describe());
    let guest = |core: &ElfCore<Vec<u8>>| QnxGuest::of(&core.meta().notes).unwrap();
    let (was, is) = (guest(&source), guest(&again));
    assert_eq!((was.cpus, was.log), (is.cpus, is.log));
}

#[test]
fn pages_that_are_left_out_and_notes_that_are_kept() {
    let source = ElfCore::open(qnx().to_bytes()).unwrap();
    let file = written(&source, &[BASE / PAGE + 5], |meta| {
        meta.notes = meta.notes.with_own(OwnNote::QvmEnv, b"{\"name\": 1}").unwrap();
    });
    let reader = Reader::open(file.clone());
    assert_eq!(reader.read(BASE + 5 * PAGE, 16), None);
    assert_eq!(reader.read(BASE + 6 * PAGE, 4096), Some(&qnx().ram[0].1[6 * 4096..7 * 4096]));
    assert_eq!(reader.numbered(24).1, qnx().log_segment().unwrap());
    let again = ElfCore::open(file).unwrap();
    assert_eq!(again.meta().notes.own(OwnNote::QvmEnv), Some(&b"{\"name\": 1}"[..]));
    assert_eq!(again.meta().cpus(), 2);
}

/// A Linux guest of another hypervisor: the record is made of its notes, and its notes stay.
#[test]
fn registers_of_other_dumps_become_a_record() {
    let mut registers = [0u64; 27];
    (registers[16], registers[19], registers[21], registers[14]) = (0xffff_ffff_8100_0000, 0xffff_c900_0000_1000, 7, 5);
    let notes = FakeNotes::new(dump_synth::Endian::Little).prstatus_x86_64(4711, &registers).into_bytes();
    let (paddr, data) = ram(8).remove(0);
    let core =
        dump_synth::ElfCore::x86_64().note(notes).load(dump_synth::Load::new(paddr, 0xffff_8880_0000_0000, data));
    let source = ElfCore::open(core.to_bytes()).unwrap();
    let file = written(&source, &[], |_| {});
    let reader = Reader::open(file.clone());
    let word = |at: usize| u64::from_le_bytes(reader.record[at..at + 8].try_into().unwrap());
    assert_eq!(reader.record.len(), 40 + 128 + 160);
    assert_eq!((reader.record[4], reader.record[8]), (1, 160));
    // rdi, rip, rsp
    assert_eq!((word(168), word(168 + 120), word(168 + 144)), (5, registers[16], registers[19]));
    let again = ElfCore::open(file).unwrap();
    assert_eq!(again.meta().cpus(), 1);
    let kept: Vec<_> = again.meta().notes.iter().filter(|n| n.name == b"CORE").map(|n| n.desc).collect();
    assert_eq!(kept.len(), 1);
    // fs_base is in the note alone
    let desc = &again.meta().notes.as_bytes()[kept[0].clone()];
    assert_eq!((desc[32..34].to_vec(), desc[112 + 21 * 8]), (4711u16.to_le_bytes().to_vec(), 7));
}

#[test]
fn machines_without_a_form_of_registers_are_refused() {
    let source = ElfCore::open(qnx().to_bytes()).unwrap();
    let mut meta = DumpMeta::new(Machine::by_name("s390x").unwrap(), PageSize::K4);
    meta.segments = source.meta().segments.clone();
    let set = set_of(&[(0, 1)], 1);
    let dump = Dump { meta: &meta, ram: &set, dumpable: &set };
    let e = dump.prepare(Box::new(GcoreWriter), dump_kit::Outputs::default()).err().unwrap();
    assert!(e.to_string().contains("gcore output: the QNX hypervisor has no guests of s390x"), "{e}");
}

#[test]
fn hostile_numbers_cost_nothing() {
    // a record whose segments are no program headers, and a log that is none
    let mut fake = qnx();
    fake.ram.truncate(1);
    let bytes = fake.to_bytes();
    let at = bytes.len() - fake.record().len();
    for (field, value) in [(16, 0xffff_ffffu32), (20, 77), (24, 0), (24, 0x8000_0000), (8, 0xffff)] {
        let mut bytes = bytes.clone();
        bytes[at + field..at + field + 4].copy_from_slice(&value.to_le_bytes());
        let core = ElfCore::open(bytes).unwrap();
        assert_eq!(core.flavor(), Flavor::QnxGuest);
        let file = written(&core, &[], |_| {});
        assert!(ElfCore::open(file).is_ok(), "{field}");
    }
    for cut in [bytes.len() - 1, at, at + 30, at - 5] {
        let core = ElfCore::open(bytes[..cut].to_vec()).unwrap();
        let _ = QnxGuest::of(&core.meta().notes);
    }
}
