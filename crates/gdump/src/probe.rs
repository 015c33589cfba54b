//! What a file is, by its first bytes: more than we read, so that we can name it.

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file; whether it is a core, its header says.
    Elf,
    /// Packed with zstd.
    Zstd,
    /// Something that we know and do not read; its name.
    Known(&'static str),
    /// Text.
    Text,
    /// Nothing that we know.
    Unknown,
}

/// Bytes that [`probe`] wants to see.
pub const PREFIX: usize = 64;

/// Signatures at the start of a file (shared with what other tools call them).
const SIGNATURES: &[(&[u8], Kind)] = &[
    (b"\x7fELF", Kind::Elf),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"KDUMP   ", Kind::Known("a kdump-compressed dump")),
    (b"DISKDUMP", Kind::Known("a diskdump")),
    (b"makedumpfile\0", Kind::Known("a flattened dump; rearrange it first with makedumpfile -R")),
    (b"\x1f\x8b", Kind::Known("packed with gzip; unpack it first")),
    (b"\xfd7zXZ\0", Kind::Known("packed with xz; unpack it first")),
    (b"BZh", Kind::Known("packed with bzip2; unpack it first")),
    (b"\x04\x22\x4d\x18", Kind::Known("packed with lz4; unpack it first")),
    (b"EMiL", Kind::Known("a LiME image")),
    (b"AVML", Kind::Known("an AVML image")),
    (b"PAGEDU64", Kind::Known("a Windows crash dump")),
    (b"PAGEDUMP", Kind::Known("a 32-bit Windows crash dump")),
    (b"ZDMP", Kind::Known("a Comae dump")),
    (b"sadump\0\0", Kind::Known("an sadump dump")),
    (b"\xed\x23\x8f\x61\x73\x01\x19\xa8", Kind::Known("an LKCD dump")),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xed", Kind::Known("an LKCD dump")),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", Kind::Known("an s390 stand-alone dump")),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xfe", Kind::Known("an extended s390 stand-alone dump")),
    (b"QEVM", Kind::Known("a QEMU migration stream; take the dump with virsh dump --memory-only")),
    (b"LibvirtQemud", Kind::Known("a libvirt save file")),
    (b"\xd2\xbe\xd2\xbe", Kind::Known("a VMware snapshot")),
    (b"\xd3\xbe\xd3\xbe", Kind::Known("a VMware snapshot")),
    (b"LinuxGuestRecord", Kind::Known("a Xen save file")),
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
            (b"\x28\xb5\x2f\xfd\x04", Kind::Zstd),
            (b"hello\nworld\n", Kind::Text),
            (b"", Kind::Unknown),
            (b"\0\0\0\0", Kind::Unknown),
            (b"KDUMP   \x06\0\0\0", Kind::Known("a kdump-compressed dump")),
        ] {
            assert_eq!(probe(prefix), kind, "{prefix:?}");
        }
    }
}
