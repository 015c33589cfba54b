//! The fake kernel as `/proc/vmcore` would show it, and as a kdump file.

use crate::elf::{ElfCore, Load};
use crate::kdump::{KdumpFile, Packing, Slot};
use crate::kernel::FakeKernel;
use crate::machine::Machine;
use crate::note::Notes;

impl FakeKernel {
    /// The file: [`FakeKernel::elf`] as bytes.
    #[must_use]
    pub fn vmcore(&self) -> Vec<u8> {
        self.elf().to_bytes()
    }

    /// The ELF file to be, for tests that want it changed first: PT_NOTE, then the kernel image of x86_64 at its
    /// virtual address (a second view of memory that the next segments hold too, as kexec-tools arranges it), then RAM
    /// at direct-map addresses.
    #[must_use]
    pub fn elf(&self) -> ElfCore {
        let machine = self.config.machine;
        let mut core = ElfCore::new(machine.width, machine.endian, machine.elf_machine).note(self.notes());
        if machine.is_x86_64() {
            let span = self.image();
            let bytes = self.memory.bytes(span.start, span.end - span.start);
            core = core.load(Load::new(span.start, self.image_virt(), bytes));
        }
        self.ram().iter().fold(core, |core, run| {
            let start = run.start * self.config.page_size();
            let data = self.memory.bytes(start, (run.end - run.start) * self.config.page_size());
            core.load(Load::new(start, self.page_offset() + start, data))
        })
    }

    /// The same memory as QEMU dumps it: without VMCOREINFO, which the guest did not publish, and without virtual
    /// addresses; with the control registers of x86_64's CPUs.
    #[must_use]
    pub fn qemu(&self) -> ElfCore {
        let machine = self.config.machine;
        let mut notes = self.prstatus();
        if machine.is_x86_64() {
            notes = (0..self.config.cpus).fold(notes, |notes, _| notes.note("QEMU", 0, &self.qemu_cpu()));
        }
        let mut core = ElfCore::new(machine.width, machine.endian, machine.elf_machine).note(notes.into_bytes());
        for run in self.ram() {
            let start = run.start * self.config.page_size();
            let data = self.memory.bytes(start, (run.end - run.start) * self.config.page_size());
            core = core.load(Load::new(start, start, data));
        }
        core.like_qemu()
    }

    /// QEMUCPUState of version 1 (QEMU, target/i386/arch_dump.c): cr0 at 392, cr3 at 416, cr4 at 424.
    fn qemu_cpu(&self) -> Vec<u8> {
        let mut desc = vec![0; 440];
        let cr4 = 0x20 | u64::from(self.config.five_level) << 12;
        let words = [(0, 1 | 440 << 32), (392, 0x8000_0001), (416, self.root | self.config.sme_mask), (424, cr4)];
        words.into_iter().for_each(|(at, word)| desc[at..at + 8].copy_from_slice(&word.to_le_bytes()));
        desc
    }

    /// The same memory as a kdump-compressed file of `level`, pages raw: what a first pass of filtering leaves. Zero
    /// pages share one page of data when level bit 1 is set.
    #[must_use]
    pub fn kdump(&self, level: u32) -> KdumpFile {
        let expected = self.expected(level);
        let machine = self.config.machine;
        let file = KdumpFile::new(self.max_pfn()).abi(machine.width, machine.endian, Packing::Packed);
        let mut file = file.notes(self.notes(), self.vmcoreinfo());
        file.block_size = machine.page_size as u32;
        file.utsname[4] = machine.name.to_owned();
        file.utsname[2] = self.config.release_or_default();
        file.nr_cpus = self.config.cpus as i32;
        file.phys_base = self.phys_base() as u64;
        file.dump_level = level as i32;
        file.ram = self.memory.pfns().collect();
        for pfn in &expected.kept {
            let shared = level & 1 == 1 && expected.zero.contains(pfn);
            let slot = if shared {
                Slot::Zero
            } else {
                Slot::Stored(0, self.memory.bytes(pfn * machine.page_size, machine.page_size))
            };
            file = file.page(*pfn, slot);
        }
        file
    }

    /// The note stream: an NT_PRSTATUS for each CPU, then VMCOREINFO.
    #[must_use]
    pub fn notes(&self) -> Vec<u8> {
        self.prstatus().vmcoreinfo(self.vmcoreinfo()).into_bytes()
    }

    fn prstatus(&self) -> Notes {
        let machine = self.config.machine;
        (0..self.config.cpus).fold(Notes::new(machine.endian), |notes, cpu| {
            let words = registers(self.image_virt(), u64::from(cpu), &machine);
            notes.prstatus(machine.width, machine.registers().3, 100 + cpu, &words)
        })
    }
}

/// Recognisable registers of `cpu`: each holds its index and, where there is room, the CPU; the program counter points
/// into the kernel image.
fn registers(image: u64, cpu: u64, machine: &Machine) -> Vec<u64> {
    let (shift, (count, pc, ..)) = (4 * machine.width.bytes() as u32, machine.registers());
    let mut registers: Vec<u64> = (0..count as u64).map(|index| cpu << shift | index).collect();
    registers[pc] = image + 0x1000 + cpu * 0x10;
    registers
}
