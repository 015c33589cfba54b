//! Who made a core.
//!
//! No field says so; producers are known by what else they write. Rules are tried in this order, the sure ones first:
//!
//! | flavor | by |
//! |---|---|
//! | Xen domain | a section `.note.Xen` or `.xen_pages` |
//! | VirtualBox | a note of VBCORE |
//! | Xen host | a note VMCOREINFO_XEN, or of Xen with type 0x1000001 or 0x1000002 |
//! | QNX guest | a PT_NOTE with no notes in it, which is the last segment or has the known structure |
//! | | or notes of QNX, and physical addresses; or that structure in a note of our own |
//! | QNX process | notes of QNX, no physical addresses |
//! | snap | a note of SNAP (crash's extension; it has the notes of `/proc/kcore` otherwise) |
//! | kcore | a note NT_PRPSINFO of a process "vmlinux", and PT_LOADs that are not RAM: vmalloc's has a p_paddr of all |
//! | | ones, before Linux 4.15 all have 0 (fs/proc/kcore.c) |
//! | DumpIt | that note, where all PT_LOADs are RAM, or the kernel's image in it |
//! | QEMU 7.2 and later | section headers, then program headers, right after the ELF header |
//! | QEMU | a note of QEMU (x86 only); or no PT_LOAD has flags or an alignment, where all others set flags |
//! | process | a note NT_PRPSINFO or NT_AUXV, no physical addresses |
//! | filtered vmcore | memory without bytes in the file, a note of ERASEINFO, or the flag of an incomplete dump |
//! | vmcore | a note VMCOREINFO |
//!
//! A dump of QEMU's that somebody filtered has lost QEMU's header and keeps its notes: "QEMU" there, and filtered.
//! libvirt has QEMU write its dumps, so they are the same.

use crate::header::{FileHeader, INCOMPLETE, Sizes};
use crate::qnx::QnxNote;
use crate::table::ProgramTable;
use dump_core::{Error, Note, Notes, OwnNote, is_zero};

/// Who made a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Linux: `/proc/vmcore` or a plain copy of it.
    Vmcore,
    /// The same with pages left out: makedumpfile -E, or this crate's writer.
    Filtered,
    /// QEMU up to 7.1, or a filtered dump of any QEMU; also by way of libvirt.
    Qemu,
    /// QEMU 7.2 and later; also by way of libvirt.
    QemuSections,
    /// VirtualBox (`VBoxManage debugvm dumpvmcore`).
    VirtualBox,
    /// Linux under Xen: hypervisor and dom0, at machine addresses.
    XenHost,
    /// `xl dump-core` of a guest: memory in sections.
    XenDomain,
    /// The QNX hypervisor (`.gcore`).
    QnxGuest,
    /// The core of a QNX process.
    QnxProcess,
    /// crash's snap extension: the memory of a running kernel.
    Snap,
    /// `/proc/kcore`, or a copy of it.
    Kcore,
    /// DumpIt for Linux: the RAM of a running kernel, with the notes of `/proc/kcore`.
    DumpIt,
    /// The core of a process.
    Process,
    /// None of these.
    Unknown,
}

impl Flavor {
    /// Whether its program headers say where memory lies in the file and nothing else.
    pub(crate) fn has_plain_headers(self) -> bool {
        matches!(self, Flavor::Vmcore | Flavor::Filtered | Flavor::Qemu | Flavor::QemuSections)
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Flavor::Vmcore => "Linux vmcore",
            Flavor::Filtered => "filtered Linux vmcore",
            Flavor::Qemu => "QEMU guest dump",
            Flavor::QemuSections => "QEMU guest dump (7.2 or later)",
            Flavor::VirtualBox => "VirtualBox guest core",
            Flavor::XenHost => "Xen host vmcore",
            Flavor::XenDomain => "Xen domain core",
            Flavor::QnxGuest => "QNX hypervisor guest dump",
            Flavor::QnxProcess => "core of a QNX process",
            Flavor::Snap => "snapshot of a running kernel",
            Flavor::Kcore => "/proc/kcore",
            Flavor::DumpIt => "memory of a running Linux (DumpIt)",
            Flavor::Process => "core of a process",
            Flavor::Unknown => "ELF core",
        }
    }

    /// Whether QEMU made it: the order of its notes is that of the CPUs, none left out.
    pub fn is_qemu(self) -> bool {
        matches!(self, Flavor::Qemu | Flavor::QemuSections)
    }

    /// Why it cannot be read as a dump, where that is so: `live` says that a running kernel's memory can.
    pub(crate) fn refusal(self, live: bool) -> Option<Error> {
        let error = match self {
            Flavor::Kcore if live => return None,
            Flavor::Kcore => Error::unsupported(
                "/proc/kcore or a copy of it: the memory of a running kernel, which changes while it is read",
            )
            .hint("crash's snap.so takes a vmcore of a running kernel"),
            Flavor::XenDomain => {
                Error::unsupported("a Xen domain core (xl dump-core), whose memory is in sections instead of segments")
                    .hint("crash reads it")
            }
            Flavor::Process | Flavor::QnxProcess => {
                Error::unsupported("the core of a process: it has no physical memory")
            }
            _ => return None,
        };
        Some(error)
    }
}

/// What an opened file shows of its maker.
pub(crate) struct Evidence<'a> {
    pub header: &'a FileHeader,
    /// The program headers.
    pub table: &'a ProgramTable,
    /// All notes.
    pub notes: &'a Notes,
    /// The bytes of the last PT_NOTE.
    pub last_notes: &'a [u8],
    /// Names of the sections.
    pub sections: &'a [Vec<u8>],
}

impl Evidence<'_> {
    pub fn flavor(&self) -> Flavor {
        type Rule<'e> = fn(&Evidence<'e>) -> bool;
        let rules: [(Flavor, Rule<'_>); 13] = [
            (Flavor::XenDomain, Self::is_xen_domain),
            (Flavor::VirtualBox, |e| e.has(|note| note.name == b"VBCORE")),
            (Flavor::XenHost, |e| e.has(is_xen_host)),
            (Flavor::QnxGuest, Self::is_qnx_guest),
            (Flavor::QnxProcess, Self::has_qnx_notes),
            (Flavor::Snap, |e| e.has(|note| note.name == b"SNAP")),
            (Flavor::Kcore, |e| e.has_kcores_notes() && !e.is_all_ram()),
            (Flavor::DumpIt, Self::has_kcores_notes),
            (Flavor::QemuSections, Self::has_sections_first),
            (Flavor::Qemu, |e| e.has(|note| note.name == b"QEMU") || e.has_bare_loads()),
            (Flavor::Process, Self::is_process),
            (Flavor::Filtered, Self::is_filtered),
            (Flavor::Vmcore, |e| e.has(|note| note.name == b"VMCOREINFO")),
        ];
        rules.into_iter().find(|(_, holds)| holds(self)).map_or(Flavor::Unknown, |(flavor, _)| flavor)
    }

    /// Whether pages were left out when it was made. QEMU gives memory that it left out an offset of all ones;
    /// VirtualBox's memory without bytes is that of devices.
    pub fn is_filtered(&self) -> bool {
        self.header.flags & INCOMPLETE != 0
            || self.has(|note| note.name == b"ERASEINFO")
            || (self.table.loads.cut && !self.has(|note| note.name == b"VBCORE"))
    }

    fn has(&self, is: impl Fn(&Note<'_>) -> bool) -> bool {
        self.notes.iter().any(|note| is(&note))
    }

    fn has_physical_addresses(&self) -> bool {
        self.table.loads.placed
    }

    /// Whether every PT_LOAD is physical memory: `/proc/kcore` has what the kernel maps, where it maps it.
    fn is_all_ram(&self) -> bool {
        let loads = self.table.loads;
        (loads.placed || !loads.mapped) && !loads.unplaced
    }

    fn is_xen_domain(&self) -> bool {
        self.sections.iter().any(|name| [&b".note.Xen"[..], b".xen_pages"].contains(&name.as_slice()))
    }

    fn is_qnx_guest(&self) -> bool {
        let order = self.header.machine.order;
        let last = self.table.ends_with_note && self.table.count > 1;
        let start = self.last_notes.get(..NOTE_START).unwrap_or(self.last_notes);
        let foreign = !is_zero(self.last_notes) && !Notes::new(start.to_vec(), order).is_stream();
        // who writes the dump again may put the segment first
        (foreign && (last || QnxNote::decode(self.last_notes, order).is_some()))
            || (self.has_qnx_notes() && self.has_physical_addresses())
            || self.notes.own(OwnNote::QnxRecord).is_some()
    }

    fn has_qnx_notes(&self) -> bool {
        self.has(|note| note.name == b"QNX")
    }

    fn has_kcores_notes(&self) -> bool {
        let name = b"vmlinux\0";
        let desc = |note: &Note<'_>| self.notes.desc(note).unwrap_or_default();
        self.has(|note| is_prpsinfo(note) && desc(note).windows(name.len()).any(|bytes| bytes == name))
    }

    fn has_sections_first(&self) -> bool {
        let (header, size) = (self.header, Sizes::of(self.header.machine.word));
        let after = header.shoff.saturating_add(u64::from(header.shnum) * u64::from(header.shentsize));
        header.shnum >= 2 && header.shoff == u64::from(size.file) && header.phoff == after
    }

    fn has_bare_loads(&self) -> bool {
        self.table.loads.any && !self.table.loads.dressed
    }

    fn is_process(&self) -> bool {
        let is = |note: &Note<'_>| is_prpsinfo(note) || (note.name == b"CORE" && note.kind == NT_AUXV);
        self.has(is) && !self.has_physical_addresses()
    }
}

/// Bytes at the start of notes that hold the first one's numbers and its owner's name, however long that may be.
const NOTE_START: usize = 128;

const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;

fn is_prpsinfo(note: &Note<'_>) -> bool {
    note.name == b"CORE" && note.kind == NT_PRPSINFO
}

fn is_xen_host(note: &Note<'_>) -> bool {
    note.name == b"VMCOREINFO_XEN" || (note.name == b"Xen" && [0x100_0001, 0x100_0002].contains(&note.kind))
}
