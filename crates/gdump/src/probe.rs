//! What a file is, by its first bytes: more than we read, so that we can name it.

use crate::unpack::Packing;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file; whether it is a core, its header says.
    Elf,
    /// kdump-compressed, or the diskdump it grew from.
    Kdump,
    /// A flattened stream of something.
    Flattened,
    /// LiME.
    Lime,
    /// AVML, version 2.
    Avml,
    /// Packed as a whole.
    Packed(Packing),
    /// Something that we know and do not read; its name.
    Known(&'static str),
    /// Text.
    Text,
    /// Nothing that we know.
    Unknown,
}

/// Bytes that [`probe`] wants to see.
pub const PREFIX: usize = 64;

const SIGNATURES: &[(&[u8], Kind)] = &[
    (b"\x7fELF", Kind::Elf),
    (b"KDUMP   ", Kind::Kdump),
    (b"DISKDUMP", Kind::Kdump),
    (b"makedumpfile\0", Kind::Flattened),
    (b"EMiL", Kind::Lime),
    (b"AVML", Kind::Avml),
    (b"\x28\xb5\x2f\xfd", Kind::Packed(Packing::Zstd)),
    (b"\x1f\x8b", Kind::Packed(Packing::Gzip)),
    (b"\xfd7zXZ\0", Kind::Packed(Packing::Xz)),
    (b"BZh", Kind::Packed(Packing::Bzip2)),
    (b"\x04\x22\x4d\x18", Kind::Packed(Packing::Lz4)),
    (b"PAGEDU64", Kind::Known("a Windows crash dump")),
    (b"PAGEDUMP", Kind::Known("a 32-bit Windows crash dump")),
    (b"ZDMP", Kind::Known("a Comae dump")),
    (b"sadump\0\0", Kind::Known("an sadump dump")),
    (b"\xed\x23\x8f\x61\x73\x01\x19\xa8", Kind::Known("an LKCD dump")),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xed", Kind::Known("an LKCD dump")),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", Kind::Known("an s390 stand-alone dump")),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xfe", Kind::Known("an extended s390 stand-alone dump")),
    (b"\xed\xfe\x0f\xf0", Kind::Known("a Xen core of the old form")),
    (b"\xee\xfe\x0f\xf0", Kind::Known("a Xen core of the old form")),
    (b"QEVM", Kind::Known("a QEMU migration stream; virsh dump --memory-only makes a dump")),
    (b"LibvirtQemud", Kind::Known("a libvirt save file; virsh dump --memory-only makes a dump")),
    (b"\xd0\xbe\xd2\xbe", Kind::Known("a VMware snapshot")),
    (b"\xd2\xbe\xd2\xbe", Kind::Known("a VMware snapshot")),
    (b"\xd3\xbe\xd3\xbe", Kind::Known("a VMware snapshot")),
    (b"\xd1\xba\xd1\xba", Kind::Known("a VMware snapshot")),
    (b"\x14\x20\x28\x01", Kind::Known("a Hyper-V saved state")),
    (b"LinuxGuestRecord", Kind::Known("a Xen save file")),
    (b"\xdd\xcc\x8b\x9a", Kind::Known("an MCLX core")),
];

/// Tells the kind of a file from its first bytes.
pub fn probe(prefix: &[u8]) -> Kind {
    let signature = SIGNATURES.iter().find(|(magic, _)| prefix.starts_with(magic));
    let text = !prefix.is_empty() && prefix.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..));
    match signature {
        Some((_, kind)) => *kind,
        None if text => Kind::Text,
        None => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (prefix, kind) in [
            (&b"\x7fELF\x02\x01"[..], Kind::Elf),
            (b"\x28\xb5\x2f\xfd\x04", Kind::Packed(Packing::Zstd)),
            (b"hello\nworld\n", Kind::Text),
            (b"", Kind::Unknown),
            (b"\0\0\0\0", Kind::Unknown),
            (b"KDUMP   \x06\0\0\0", Kind::Kdump),
            (b"makedumpfile\0\0\0\0", Kind::Flattened),
            (b"PAGEDU64", Kind::Known("a Windows crash dump")),
        ] {
            assert_eq!(probe(prefix), kind, "{prefix:?}");
        }
    }
}
