//! The fake kernel as `/proc/vmcore` would show it, and as a kdump file.

use crate::bytes::Endian;
use crate::elf::{ElfCore, Load};
use crate::kdump::{KdumpFile, Slot};
use crate::kernel::FakeKernel;
use crate::memory::PAGE_SIZE;
use crate::note::{Notes, X86_64_REGISTERS};

impl FakeKernel {
    /// The file: [`FakeKernel::elf`] as bytes.
    #[must_use]
    pub fn vmcore(&self) -> Vec<u8> {
        self.elf().to_bytes()
    }

    /// The ELF file to be, for tests that want it changed first: PT_NOTE, then the kernel image at its virtual address (a
    /// second view of memory that the next segments hold too, as kexec-tools arranges it), then RAM at direct-map addresses.
    #[must_use]
    pub fn elf(&self) -> ElfCore {
        let span = self.image();
        let image = Load::new(span.start, self.image_virt(), self.memory.bytes(span.start, span.end - span.start));
        let core = ElfCore::x86_64().note(self.notes()).load(image);
        self.ram().iter().fold(core, |core, run| {
            let start = run.start * PAGE_SIZE;
            let data = self.memory.bytes(start, (run.end - run.start) * PAGE_SIZE);
            core.load(Load::new(start, self.page_offset() + start, data))
        })
    }

    /// The same memory as a kdump-compressed file of `level`, pages raw: what a first pass of filtering leaves. Zero pages
    /// share one page of data when level bit 1 is set.
    #[must_use]
    pub fn kdump(&self, level: u32) -> KdumpFile {
        let expected = self.expected(level);
        let mut file = KdumpFile::new(self.max_pfn()).notes(self.notes(), self.vmcoreinfo());
        file.utsname[2] = self.config.release_or_default();
        file.nr_cpus = self.config.cpus as i32;
        file.phys_base = self.phys_base() as u64;
        file.dump_level = level as i32;
        file.ram = self.memory.pfns().collect();
        for pfn in &expected.kept {
            let shared = level & 1 == 1 && expected.zero.contains(pfn);
            let slot = if shared { Slot::Zero } else { Slot::Stored(0, self.memory.bytes(pfn * PAGE_SIZE, PAGE_SIZE)) };
            file = file.page(*pfn, slot);
        }
        file
    }

    /// The note stream: an NT_PRSTATUS for each CPU, then VMCOREINFO.
    #[must_use]
    pub fn notes(&self) -> Vec<u8> {
        let cpus = (0..self.config.cpus).fold(Notes::new(Endian::Little), |notes, cpu| {
            notes.prstatus_x86_64(100 + cpu, &registers(self.image_virt(), u64::from(cpu)))
        });
        cpus.vmcoreinfo(self.vmcoreinfo()).into_bytes()
    }
}

/// Recognisable registers of `cpu`: each holds its index, `rip` points into the kernel image.
fn registers(image: u64, cpu: u64) -> [u64; X86_64_REGISTERS] {
    let mut registers = [0; X86_64_REGISTERS];
    for (index, register) in registers.iter_mut().enumerate() {
        *register = cpu << 32 | index as u64;
    }
    registers[16] = image + 0x1000 + cpu * 0x10;
    registers
}
