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
        let machine = self.config.machine;
        let cpus = (0..self.config.cpus).fold(Notes::new(machine.endian), |notes, cpu| {
            let words = registers(self.image_virt(), u64::from(cpu), &machine);
            notes.prstatus(machine.width, machine.registers().3, 100 + cpu, &words)
        });
        cpus.vmcoreinfo(self.vmcoreinfo()).into_bytes()
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
