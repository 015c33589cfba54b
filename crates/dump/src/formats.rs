//! The table of formats: what is opened and written, and what is only recognised.

use dump_core::{CodecId, Format, OpenOptions, ReadAt};
use std::path::{Path, PathBuf};

/// Every format that is read, in the order in which a file is held against them. A new format is one row here, and its
/// crate.
pub static FORMATS: &[&Format] = &[
    &dump_elf::FORMAT,
    &dump_elf::GCORE,
    &dump_kdump::FORMAT,
    &dump_win::FORMAT,
    &dump_raw::LIME,
    &dump_raw::AVML,
    &dump_migration::MIGRATION,
    &dump_migration::LIBVIRT,
    &dump_sadump::SADUMP,
    &dump_raw::VMWARE,
    &dump_raw::RAW,
];

/// What a file is that is not read.
pub(crate) struct Recognised {
    magic: &'static [u8],
    pub name: &'static str,
    /// What to do instead.
    pub hint: Option<&'static str>,
}

const UNPACK: &str = "unpack it first";
const COMAE: &str = "Z2Dmp of Comae's toolkit makes a Windows crash dump of it";
const LKCD: &str = "crash reads it, with the vmlinux of its kernel";
const S390: &str = "zgetdump -f elf FILE > vmcore, of s390-tools, makes a dump that is read";
const HYPERV: &str = "Microsoft's vmsavedstatedumpprovider reads it; the .bin of older ones is bare memory (--raw-map)";
const XEN: &str = "xl dump-core makes a dump of a guest";
const XEN_CORE: &str = "crash reads it; xl dump-core makes a core in the new one";
const MCLX: &str = "crash reads it, with the vmlinux of its kernel";
const HIBERNATION: &str = "Hibr2Bin of Comae's toolkit makes bare memory of it";
const DISK: &str = "a disk; the dump is a file on it, or its guest's memory is in another file";

/// Formats that are recognised, so that they can be named.
const RECOGNISED: &[Recognised] = &[
    Recognised { magic: b"ZDMP", name: "a Comae dump", hint: Some(COMAE) },
    Recognised { magic: b"\xed\x23\x8f\x61\x73\x01\x19\xa8", name: "an LKCD dump", hint: Some(LKCD) },
    Recognised { magic: b"\xa8\x19\x01\x73\x61\x8f\x23\xed", name: "an LKCD dump", hint: Some(LKCD) },
    Recognised { magic: b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", name: "an s390 stand-alone dump", hint: Some(S390) },
    Recognised {
        magic: b"\xa8\x19\x01\x73\x61\x8f\x23\xfe",
        name: "an extended s390 stand-alone dump",
        hint: Some(S390),
    },
    Recognised { magic: b"\xed\xfe\x0f\xf0", name: "a Xen core in the old format", hint: Some(XEN_CORE) },
    Recognised { magic: b"\xee\xfe\x0f\xf0", name: "a Xen core in the old format", hint: Some(XEN_CORE) },
    Recognised {
        magic: b"\xd0\xbe\xd0\xbe",
        name: "a VMware snapshot in the old format",
        hint: Some("the .vmem beside it is bare memory: --raw-map RANGES NAME.vmem"),
    },
    Recognised { magic: b"\x14\x20\x28\x01", name: "a Hyper-V saved state", hint: Some(HYPERV) },
    // what hiberfil.sys begins with: before Windows 8 in small letters too; zeros once it was used
    Recognised { magic: b"HIBR", name: "a Windows hibernation file", hint: Some(HIBERNATION) },
    Recognised { magic: b"hibr", name: "a Windows hibernation file", hint: Some(HIBERNATION) },
    Recognised { magic: b"RSTR", name: "a Windows hibernation file that was resumed", hint: Some(HIBERNATION) },
    Recognised { magic: b"LinuxGuestRecord", name: "a Xen save file", hint: Some(XEN) },
    Recognised { magic: b"\xdd\xcc\x8b\x9a", name: "an MCLX core", hint: Some(MCLX) },
    Recognised { magic: b"PK\x03\x04", name: "a zip archive", hint: Some(UNPACK) },
    Recognised { magic: b"7z\xbc\xaf\x27\x1c", name: "a 7z archive", hint: Some(UNPACK) },
    Recognised { magic: b"Rar!\x1a\x07", name: "a RAR archive", hint: Some(UNPACK) },
    Recognised { magic: b"\x89LZO\0\r\n\x1a\n", name: "an lzop file", hint: Some(UNPACK) },
    Recognised { magic: b"\xff\x06\0\0sNaPpY", name: "a framed snappy stream", hint: Some(UNPACK) },
    Recognised { magic: b"\x02\x21\x4c\x18", name: "an lz4 file in the legacy format", hint: Some(UNPACK) },
    Recognised { magic: b"LZIP", name: "an lzip file", hint: Some(UNPACK) },
    Recognised { magic: b"\x1f\x9d", name: "a file of compress", hint: Some(UNPACK) },
    Recognised { magic: b"\x5d\0\0", name: "an lzma file", hint: Some(UNPACK) },
    Recognised { magic: b"QFI\xfb", name: "a qcow2 image", hint: Some(DISK) },
    Recognised { magic: b"KDMV", name: "a VMDK image", hint: Some(DISK) },
    Recognised { magic: b"<<< ", name: "a VirtualBox disk image", hint: Some(DISK) },
    Recognised { magic: b"vhdxfile", name: "a VHDX image", hint: Some(DISK) },
    Recognised { magic: b"conectix", name: "a VHD image", hint: Some(DISK) },
    Recognised { magic: b"!<arch>\n", name: "an ar archive", hint: Some(UNPACK) },
    Recognised { magic: b"070701", name: "a cpio archive", hint: Some(UNPACK) },
    Recognised { magic: b"\xed\xab\xee\xdb", name: "an RPM package", hint: Some("rpm2cpio or bsdtar unpacks it") },
    Recognised { magic: b"MZ", name: "a PE executable", hint: Some("a program, not the memory of one") },
    Recognised {
        magic: b"\x27\x05\x19\x56",
        name: "a U-Boot image",
        hint: Some("a kernel or an initramfs, not a dump"),
    },
];

/// The format of that name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}

/// Names of the formats that are written.
pub fn output_formats() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().filter(|format| format.output.is_some()).map(|format| format.name)
}

/// The page codecs of this build.
pub fn codecs() -> impl Iterator<Item = CodecId> {
    dump_kdump::codec::CODECS.iter().filter(|codec| codec.create.is_some()).map(|codec| codec.id)
}

/// The codec of that name, whether this build has it or not.
pub fn codec(name: &str) -> Option<CodecId> {
    dump_kdump::codec::CODECS.iter().map(|codec| codec.id).find(|codec| codec.name() == name)
}

/// The format of a file that its first bytes do not tell.
pub(crate) fn probe_file(bytes: &dyn ReadAt) -> Option<&'static Format> {
    dump_sadump::is_media_backup(bytes).then_some(&dump_sadump::SADUMP)
}

/// Files beside `path` that it may be one dump with: a guest's memory and what says where it lies.
pub fn companions(path: &Path) -> Vec<PathBuf> {
    let is = |ending: &str| path.extension().is_some_and(|found| found == ending);
    let beside: &[&str] = match () {
        () if is("vmem") => &["vmss", "vmsn"],
        () if is("vmss") || is("vmsn") => &["vmem"],
        () => &[],
    };
    beside.iter().map(|ending| path.with_extension(ending)).collect()
}

/// The format that a file beginning with `prefix` is to be opened as.
pub(crate) fn probe(prefix: &[u8], options: &OpenOptions) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| (format.probe)(prefix, options))
}

/// What a file is that is not read.
pub(crate) fn recognised(prefix: &[u8]) -> Option<&'static Recognised> {
    RECOGNISED.iter().find(|row| prefix.starts_with(row.magic))
}

/// Whether a file looks like text.
pub(crate) fn is_text(prefix: &[u8]) -> bool {
    !prefix.is_empty() && prefix.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{MemoryMap, PhysAddr};

    #[test]
    fn files_by_their_first_bytes() {
        let name = |prefix: &[u8]| probe(prefix, &OpenOptions::default()).map(|format| format.name);
        for (prefix, want) in [
            (&b"\x7fELF\x02\x01"[..], Some("elf")),
            (b"KDUMP   \x06\0\0\0", Some("kdump")),
            (b"EMiL\x01\0\0\0", Some("lime")),
            (b"hello\nworld\n", None),
            (b"", None),
            (b"\0\0\0\0", None),
            (b"PAGEDU64", Some("dmp")),
            (b"PAGEDUMP", Some("dmp")),
            (b"PAGE", None),
        ] {
            assert_eq!(name(prefix), want, "{prefix:?}");
        }
        assert_eq!(recognised(b"ZDMP and more").map(|row| row.name), Some("a Comae dump"));
        assert!(is_text(b"hello\nworld\n") && !is_text(b"") && !is_text(b"\0\0"));
    }

    /// Memory may begin with anything, but what says that it is a dump is one.
    #[test]
    fn bare_memory_is_what_nothing_else_is() {
        let options = OpenOptions { raw_maps: vec![MemoryMap::from_base(PhysAddr(0))], live: false };
        let name = |prefix: &[u8]| probe(prefix, &options).map(|format| format.name);
        assert_eq!([name(b"\x7fELF"), name(b"ZDMP"), name(b"text")], [Some("elf"), Some("raw"), Some("raw")]);
    }

    #[test]
    fn names_are_unique_and_raw_comes_last() {
        let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
        assert!(names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)));
        assert_eq!(names.last(), Some(&"raw"));
        assert_eq!(output_formats().collect::<Vec<_>>(), ["elf", "gcore", "kdump", "dmp", "lime", "raw"]);
    }
}
