//! The driver's header, completed from a guest's memory.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::*;
use dump_kit::{check_source, page_at};
use dump_synth::windows::{COPY, IDT, KDBG, KERNEL, PRCB, ROOT};
use dump_synth::{DmpFile, DmpKind, WindowsGuest};
use dump_win::guest::{Completion, Cpu, build, complete, find_kernel};
use dump_win::{Header, Patched, WindowsDump, open};

/// Its memory, as a dump with that header.
fn source(guest: &WindowsGuest) -> WindowsDump {
    let file = DmpFile::new(DmpKind::Full, &WindowsGuest::RAM);
    open(file.to_bytes(|pfn| guest.memory.page(pfn).unwrap())).unwrap()
}

fn cpus() -> Vec<Cpu> {
    let cpu = |number: u64| Cpu {
        general: std::array::from_fn(|i| 0x1000 * number + i as u64),
        rip: 0x77,
        selectors: [0x10, 0x2b, 0x2b, 0x53, 0x2b, 0x18],
        ..Cpu::default()
    };
    vec![cpu(1), cpu(2)]
}

#[test]
fn bug_check_and_registers() {
    for (encoded, bugcheck) in [(true, [0xd1, 1, 2, 3, 4]), (false, [0; 5])] {
        let guest = WindowsGuest::new(encoded, bugcheck);
        let source = source(&guest);
        let header = Header::new(&guest.driver_header()).unwrap();
        let Completion { header: done, patches, remarks } = complete(header, &source, &cpus());
        assert!(remarks.is_empty(), "{remarks:?}");
        assert_eq!(done.debugger_data(), Some(if encoded { COPY } else { KDBG }));
        assert_eq!(done.bugcheck_code(), Some(if encoded { 0xd1 } else { 0x161 }));
        assert_eq!(done.bugcheck_parameters()[..], bugcheck[1..]);
        assert_eq!((done.pfn_database(), done.build()), (Some(0xffff_c000_0000_0000), Some(19041)));
        assert!(done.doubts().is_empty(), "{:?}", done.doubts());
        // the registers of the first are the header's too
        let context = &done.as_bytes()[0x348..0x348 + 0x4d0];
        assert_eq!((context[0x78..0x80].to_vec(), context[0xf8]), (0x1000u64.to_le_bytes().to_vec(), 0x77));
        let memory = Patched::new(Box::new(source), patches);
        let end = Pfn(0x610);
        let all = check_source(&memory, end, &[1, 64, 1000]);
        let mut wrong = 0;
        for (pfn, page) in all.iter().enumerate() {
            wrong += usize::from(page.clone().ok() != guest.memory.page(pfn as u64));
        }
        assert_eq!(wrong, 4, "of two CPUs, over the end of a page each");
        for cpu in 0..2 {
            let at = WindowsGuest::context_at(cpu);
            let byte = |at: u64| page_at(&memory, Pfn(guest.phys(at) / 4096)).unwrap()[(at % 4096) as usize];
            let context: Vec<u8> = (at..at + 0x4d0).map(byte).collect();
            assert_eq!(context[0x98..0xa0], (0x1000 * (cpu + 1) + 6).to_le_bytes(), "rsp");
            assert_eq!(byte(at - 1), 0);
        }
    }
}

/// The header of a dump is as it was.
#[test]
fn a_header_that_is_complete() {
    let guest = WindowsGuest::new(true, [0xd1, 1, 2, 3, 4]);
    let source = source(&guest);
    let done = complete(source.header().clone(), &source, &[]);
    assert_eq!((&done.header, done.patches.is_empty(), done.remarks.len()), (source.header(), true, 0));
}

#[test]
fn what_is_not_there_is_said() {
    let guest = WindowsGuest::new(true, [0; 5]);
    let mut memory = guest.memory.clone();
    memory.write(guest.phys(COPY + 0x10), b"XXXX");
    let broken = guest.clone().with_memory(memory);
    let header = Header::new(&guest.driver_header()).unwrap();
    let done = complete(header.clone(), &source(&broken), &cpus());
    assert_eq!(done.header, header);
    let said = format!("no debugger's data (KDBG) in clear at {KDBG:#x}: registers of CPUs are left out of the dump");
    assert_eq!(done.remarks.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
    let mut memory = guest.memory.clone();
    memory.write(guest.phys(KERNEL + 0xa008), &[0; 8]);
    let broken = guest.with_memory(memory);
    let done = complete(header, &source(&broken), &cpus());
    assert!(done.remarks.len() == 1 && done.remarks[0].to_string().starts_with("registers of CPU 1 are left out"));
}

/// Registers as QEMU notes them: the first CPU runs something else.
fn found_by() -> Vec<Cpu> {
    let cpu = |cr3| Cpu { cr3, idt: IDT, ..Cpu::default() };
    vec![cpu(0x5f_0000), cpu(ROOT | 2)]
}

#[test]
fn a_kernel_is_found_by_its_interrupts() {
    let guest = WindowsGuest::new(true, [0; 5]);
    let source = source(&guest);
    let kernel = find_kernel(&source, &found_by()).unwrap();
    assert_eq!((kernel.base, kernel.pdb.to_string().as_str()), (KERNEL, WindowsGuest::pdb_path()));
    let said = |cpus: &[Cpu]| find_kernel(&source, cpus).unwrap_err().to_string();
    assert_eq!(said(&found_by()[..1]), "no page tables of Windows: none of 1 CPUs maps 0xfffff78000000000");
    let elsewhere = Cpu { idt: COPY, ..found_by()[1] };
    assert!(said(&[elsewhere]).starts_with("page tables of Windows, but no image"));
    // by the page tables that interrupts are handled with
    let user = Cpu { cr3: ROOT, gs: [0, PRCB - 0x7000], ..found_by()[1] };
    assert_eq!(find_kernel(&source, &[user]).unwrap(), kernel);
}

#[test]
fn memory_in_which_no_kernel_is_whole() {
    let guest = WindowsGuest::new(true, [0; 5]);
    for (at, bytes) in [
        (KERNEL, &b"XX"[..]),
        (KERNEL + 0x3c, &[0xff; 4]),
        (KERNEL + 0xe0 + 4, &[0x4c, 1]),
        (KERNEL + 0xe0 + 24 + 160, &[0xff; 8]),
        (KERNEL + 0x1000 + 28 + 12, &[9]),
        (KERNEL + 0x1000 + 28 + 16, &[0xff; 4]),
        (KERNEL + 0x1100, b"XXXX"),
        (KERNEL + 0x1118, b"other.pdb\0"),
        (KERNEL + 0x1118, b"ntk/../.pdb\0"),
    ] {
        let mut memory = guest.memory.clone();
        memory.write(guest.phys(at), bytes);
        let source = source(&guest.clone().with_memory(memory));
        match find_kernel(&source, &found_by()) {
            Err(e) => assert_eq!(e.kind(), ErrorKind::MissingInfo, "{at:#x}"),
            Ok(kernel) => assert_eq!((at, kernel.pdb.name.len()), (KERNEL + 0x1000 + 28 + 16, 12)),
        }
    }
}

/// Whatever the PDB holds, there is a header or an error; what it is long bounds what is read of it.
#[test]
fn pdbs_that_are_cut_or_flipped() {
    let guest = WindowsGuest::new(true, [0; 5]);
    let source = source(&guest);
    let kernel = find_kernel(&source, &found_by()).unwrap();
    let pdb = WindowsGuest::pdb(None);
    let build = |bytes: Vec<u8>| build(&source, &found_by(), &kernel, Box::new(bytes));
    assert_eq!(build(pdb.clone()).unwrap().header.debugger_data(), Some(KDBG));
    for cut in (0..pdb.len()).step_by(509) {
        let _ = build(pdb[..cut].to_vec());
    }
    let used: Vec<usize> = (0..pdb.len()).filter(|at| pdb[*at] != 0 || at % 4096 < 64).collect();
    for at in used {
        for bit in [0, 4, 7] {
            let mut pdb = pdb.clone();
            pdb[at] ^= 1 << bit;
            let _ = build(pdb);
        }
    }
    assert_eq!(build(WindowsGuest::pdb(Some(2))).unwrap_err().kind(), ErrorKind::OtherKernel);
}
