//! Notes by name: what owners and types are called, for people.

use crate::notes::Notes;

/// A note, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteInfo {
    /// Who defined the type: CORE, LINUX, VMCOREINFO, QEMU, ...
    pub owner: String,
    /// The type, which means what the owner says.
    pub kind: u32,
    /// Length of the descriptor (bytes).
    pub size: usize,
    /// What the type is called, where it is known.
    pub name: Option<&'static str>,
    /// What the descriptor calls itself: the driver, of a device dump.
    pub label: Option<String>,
}

/// Owner, type, name. Types from Linux's include/uapi/linux/elf.h, the rest from the programs that write them.
const KNOWN: &[(&str, u32, &str)] = &[
    ("CORE", 1, "NT_PRSTATUS"),
    ("CORE", 2, "NT_PRFPREG"),
    ("CORE", 3, "NT_PRPSINFO"),
    ("CORE", 4, "NT_TASKSTRUCT"),
    ("CORE", 6, "NT_AUXV"),
    ("CORE", 0x4649_4c45, "NT_FILE"),
    ("CORE", 0x5349_4749, "NT_SIGINFO"),
    // QEMU names these CORE, the kernel LINUX
    ("CORE", 0x100, "NT_PPC_VMX"),
    ("CORE", 0x101, "NT_PPC_SPE"),
    ("CORE", 0x102, "NT_PPC_VSX"),
    ("CORE", 0x7000_0001, "NT_DISKDUMP"),
    ("SNAP", 4, "NT_TASKSTRUCT"),
    ("LINUX", 0x100, "NT_PPC_VMX"),
    ("LINUX", 0x101, "NT_PPC_SPE"),
    ("LINUX", 0x102, "NT_PPC_VSX"),
    ("LINUX", 0x200, "NT_386_TLS"),
    ("LINUX", 0x202, "NT_X86_XSTATE"),
    ("LINUX", 0x300, "NT_S390_HIGH_GPRS"),
    ("LINUX", 0x301, "NT_S390_TIMER"),
    ("LINUX", 0x302, "NT_S390_TODCMP"),
    ("LINUX", 0x303, "NT_S390_TODPREG"),
    ("LINUX", 0x304, "NT_S390_CTRS"),
    ("LINUX", 0x305, "NT_S390_PREFIX"),
    ("LINUX", 0x306, "NT_S390_LAST_BREAK"),
    ("LINUX", 0x307, "NT_S390_SYSTEM_CALL"),
    ("LINUX", 0x308, "NT_S390_TDB"),
    ("LINUX", 0x309, "NT_S390_VXRS_LOW"),
    ("LINUX", 0x30a, "NT_S390_VXRS_HIGH"),
    ("LINUX", 0x30b, "NT_S390_GS_CB"),
    ("LINUX", 0x30c, "NT_S390_GS_BC"),
    ("LINUX", 0x30d, "NT_S390_RI_CB"),
    ("LINUX", 0x30e, "NT_S390_PV_CPU_DATA"),
    ("LINUX", 0x400, "NT_ARM_VFP"),
    ("LINUX", 0x401, "NT_ARM_TLS"),
    ("LINUX", 0x405, "NT_ARM_SVE"),
    ("LINUX", 0x406, "NT_ARM_PAC_MASK"),
    ("LINUX", NT_VMCOREDD, "NT_VMCOREDD"),
    ("VMCOREINFO", 0, "VMCOREINFO"),
    ("VMCOREINFO_XEN", 0, "VMCOREINFO of the hypervisor"),
    ("ERASEINFO", 0, "ERASEINFO"),
    ("QEMU", 0, "QEMUCPUState"),
    ("Xen", 0x100_0001, "XEN_ELFNOTE_CRASH_INFO"),
    ("Xen", 0x100_0002, "XEN_ELFNOTE_CRASH_REGS"),
    ("Xen", 0x200_0000, "XEN_ELFNOTE_DUMPCORE_NONE"),
    ("Xen", 0x200_0001, "XEN_ELFNOTE_DUMPCORE_HEADER"),
    ("Xen", 0x200_0002, "XEN_ELFNOTE_DUMPCORE_XEN_VERSION"),
    ("Xen", 0x200_0003, "XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION"),
    ("VBCORE", 0xb00, "NT_VBOXCORE"),
    ("VBCPU", 0xb01, "NT_VBOXCPU"),
    ("QNX", 6, "QNT_CORE_SYSINFO"),
    ("QNX", 7, "QNT_CORE_INFO"),
    ("QNX", 8, "QNT_CORE_STATUS"),
    ("QNX", 9, "QNT_CORE_GREG"),
    ("QNX", 10, "QNT_CORE_FPREG"),
    ("QNX", 11, "QNT_LINK_MAP"),
    ("GDUMP", 1, "QNX record of CPUs"),
    ("GDUMP", 2, "QNX kernel log"),
    ("GDUMP", 3, "QNX segments"),
    ("GDUMP", 4, "qvm env"),
    ("GDUMP", 5, "taken while it ran"),
];

/// A device dump: what a driver left in the capture kernel.
const NT_VMCOREDD: u32 = 0x700;

/// Bytes of a device dump's name, with which its descriptor begins (struct vmcoredd_header).
const VMCOREDD_NAME: usize = 44;

/// Notes that are described at most: more than the CPUs of any machine leave.
const MAX_DESCRIBED: usize = 1 << 16;

impl Notes {
    /// The notes for people, large ones first, then the others in their order; none where the stream does not begin with
    /// an owner's name (QNX).
    pub fn describe(&self) -> Vec<NoteInfo> {
        if !self.is_stream() && !self.as_bytes().is_empty() {
            return Vec::new();
        }
        let heads = self.large().heads(self.order(), MAX_DESCRIBED);
        let large = heads.iter().map(|head| describe(&head.name, head.kind, head.size, &head.start));
        let stream = self.iter().map(|note| {
            let desc = self.desc(&note).unwrap_or_default();
            describe(note.name, note.kind, desc.len(), desc)
        });
        large.chain(stream).take(MAX_DESCRIBED).collect()
    }
}

/// A note by its owner, its type, the length of its descriptor, and what that begins with.
fn describe(owner: &[u8], kind: u32, size: usize, start: &[u8]) -> NoteInfo {
    let owner = String::from_utf8_lossy(owner).into_owned();
    let name = KNOWN.iter().find(|known| (known.0, known.1) == (owner.as_str(), kind)).map(|known| known.2);
    let label = (owner == "LINUX" && kind == NT_VMCOREDD).then(|| label(start));
    NoteInfo { owner, kind, size, name, label }
}

fn label(desc: &[u8]) -> String {
    let field = &desc[..desc.len().min(VMCOREDD_NAME)];
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_dumps_carry_their_drivers_name() {
        let mut device = b"cxgb4_0000:02:00.4".to_vec();
        device.resize(60, 0);
        for (desc, want) in [(&device[..], "cxgb4_0000:02:00.4"), (&[b'x'; 50], &*"x".repeat(44)), (b"short", "short")]
        {
            assert_eq!(label(desc), want);
        }
    }

    #[test]
    fn known_and_unknown_notes() {
        let mut notes = Notes::empty(crate::ByteOrder::Big);
        for (name, desc) in [("VMCOREINFO", &b"OSRELEASE=1\n"[..]), ("QEMU", b"state"), ("NOBODY", b"")] {
            notes.push(name.as_bytes(), desc).unwrap();
        }
        let seen: Vec<_> = notes.describe().into_iter().map(|n| (n.owner, n.kind, n.size, n.name, n.label)).collect();
        let want = [("VMCOREINFO", 12, Some("VMCOREINFO")), ("QEMU", 5, Some("QEMUCPUState")), ("NOBODY", 0, None)];
        assert_eq!(seen, want.map(|(owner, size, name)| (owner.to_owned(), 0, size, name, None)));
    }

    #[test]
    fn rows_are_unique() {
        for (i, row) in KNOWN.iter().enumerate() {
            assert!(KNOWN[..i].iter().all(|earlier| (earlier.0, earlier.1) != (row.0, row.1)), "{row:?}");
        }
    }
}
