//! What any container may know about the machine whose memory it holds.

use crate::addr::{PageSize, Pfn, PhysAddr, VirtAddr};
use crate::machine::Machine;
use crate::notes::Notes;
use std::sync::Arc;

/// `struct new_utsname`: six strings of 65 bytes, NUL padded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UtsName {
    /// sysname, nodename, release, version, machine, domainname.
    pub fields: [[u8; 65]; 6],
}

impl UtsName {
    /// Bytes of the structure.
    pub const SIZE: usize = 390;

    /// From the structure's bytes.
    pub fn from_bytes(bytes: &[u8; UtsName::SIZE]) -> UtsName {
        let mut fields = [[0; 65]; 6];
        for (field, from) in fields.iter_mut().zip(bytes.chunks_exact(65)) {
            field.copy_from_slice(from);
        }
        UtsName { fields }
    }

    /// A Linux system of which only the release and the machine are known.
    pub fn named(release: &str, machine: &str) -> UtsName {
        let mut uts = UtsName::default();
        for (field, text) in [(0, "Linux"), (2, release), (4, machine)] {
            let text = &text.as_bytes()[..text.len().min(64)];
            uts.fields[field][..text.len()].copy_from_slice(text);
        }
        uts
    }

    /// The kernel release, up to its NUL.
    pub fn release(&self) -> String {
        text(&self.fields[2])
    }

    /// The kernel's build, up to its NUL.
    pub fn version(&self) -> String {
        text(&self.fields[3])
    }

    /// The machine name, up to its NUL.
    pub fn machine(&self) -> String {
        text(&self.fields[4])
    }
}

impl Default for UtsName {
    fn default() -> UtsName {
        UtsName { fields: [[0; 65]; 6] }
    }
}

impl std::fmt::Debug for UtsName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|field| text(field))).finish()
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// A stretch of physical memory with the virtual address that the container gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins physically.
    pub paddr: PhysAddr,
    /// Where the kernel had it mapped; 0 or the physical address where the producer did not know.
    pub vaddr: VirtAddr,
    /// Its length (bytes).
    pub bytes: u64,
}

/// What a container knows besides pages.
#[derive(Clone, Debug)]
pub struct DumpMeta {
    /// The dumped machine.
    pub machine: Machine,
    /// Page size of the container.
    pub page_size: PageSize,
    /// The page frame after the last one that the container covers.
    pub end_pfn: Pfn,
    /// ELF notes, byte for byte.
    pub notes: Notes,
    /// CPUs that the container counts itself, for dumps without a note for each; `None` where it has no such count.
    pub stated_cpus: Option<u32>,
    /// Physical memory with virtual addresses (ELF program headers); empty where the container has none. There may be
    /// millions, so copies share them.
    pub segments: Arc<[Segment]>,
    /// Names of the system, where they are known.
    pub utsname: Option<UtsName>,
    /// When the kernel crashed, in seconds since 1970, where that is known.
    pub crash_time: Option<u64>,
    /// Physical minus link address of the kernel image (bytes, two's complement), where that is known. 0 is a place
    /// like any other.
    pub phys_base: Option<u64>,
    /// Page classes that are left out, as makedumpfile's dump level.
    pub dump_level: u32,
    /// Lines that name what was erased from pages; empty where nothing was.
    pub erase_info: Vec<u8>,
    /// The container is flagged incomplete: writing it was not completed.
    pub incomplete: bool,
    /// The container is flagged as one without pages of the vmemmap.
    pub excluded_vmemmap: bool,
}

impl DumpMeta {
    /// What a container without headers knows: the page size is the caller's.
    pub fn new(machine: Machine, page_size: PageSize) -> DumpMeta {
        DumpMeta {
            machine,
            page_size,
            end_pfn: Pfn(0),
            notes: Notes::empty(machine.order),
            stated_cpus: None,
            segments: Arc::default(),
            utsname: None,
            crash_time: None,
            phys_base: None,
            dump_level: 0,
            erase_info: Vec::new(),
            incomplete: false,
            excluded_vmemmap: false,
        }
    }

    /// The text of VMCOREINFO, where the notes hold one.
    pub fn vmcoreinfo(&self) -> Option<&[u8]> {
        self.notes.vmcoreinfo()
    }

    /// CPUs whose registers the notes hold, or else as many as the container counts.
    pub fn cpus(&self) -> u32 {
        match self.notes.cpus() {
            0 => self.stated_cpus.unwrap_or(0),
            cpus => cpus,
        }
    }

    /// The kernel release, where the names of the system are known.
    pub fn release(&self) -> Option<String> {
        self.utsname.map(|names| names.release()).filter(|release| !release.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utsname_fields() {
        let mut bytes = [0; UtsName::SIZE];
        bytes[130..135].copy_from_slice(b"6.1.0");
        bytes[260..266].copy_from_slice(b"x86_64");
        let uts = UtsName::from_bytes(&bytes);
        assert_eq!((uts.release().as_str(), uts.machine().as_str()), ("6.1.0", "x86_64"));
    }
}
