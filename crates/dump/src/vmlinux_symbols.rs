//! A `vmlinux` as a source of symbols: its table of symbols, and its types by DWARF or, where that is missing, by BTF.

use crate::kernel_files::Moved;
use dump_core::VirtAddr;
use dump_debuginfo::Vmlinux;
use dump_kernel::{Btf, KernelSymbols, KernelTypes, Words, lacks_number_by_types, member_of_array, number_by_types};
use std::sync::{Arc, OnceLock};

/// Longest `linux_banner` (bytes).
const MAX_BANNER: usize = 512;

/// The types of a `vmlinux`.
pub(crate) struct VmlinuxTypes {
    file: Arc<Vmlinux>,
    btf: OnceLock<Option<Btf>>,
}

impl VmlinuxTypes {
    pub(crate) fn new(file: Arc<Vmlinux>) -> VmlinuxTypes {
        VmlinuxTypes { file, btf: OnceLock::new() }
    }

    /// BTF, where there is no DWARF.
    fn btf(&self) -> Option<&Btf> {
        let parse = || {
            if self.file.has_debug_info().unwrap_or(false) {
                return None;
            }
            let (order, size) = self.file.words();
            Btf::parse(self.file.btf().ok()?, Words { order, size }).ok()
        };
        self.btf.get_or_init(parse).as_ref()
    }
}

impl KernelTypes for VmlinuxTypes {
    fn size_of(&self, ty: &str) -> Option<u64> {
        self.btf().map_or_else(|| self.file.size_of(ty), |btf| btf.size_of(ty))
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.btf().map_or_else(|| self.file.offset_of(member), |btf| btf.offset_of(member))
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        self.btf().map_or_else(|| self.file.length_of(array), |btf| btf.length_of(array))
    }

    fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64> {
        let dwarf = || self.file.enumerator(enumeration, name);
        self.btf().map_or_else(dwarf, |btf| btf.enumerator(enumeration, name))
    }

    fn has_enum(&self, enumeration: &str) -> bool {
        self.btf().map_or_else(|| self.file.has_enum(enumeration), |btf| btf.has_enum(enumeration))
    }
}

/// All of it, with the addresses that the dumped kernel had.
pub(crate) struct VmlinuxSymbols {
    types: VmlinuxTypes,
    moved: Moved,
    release: OnceLock<Option<String>>,
}

impl VmlinuxSymbols {
    pub(crate) fn new(file: Arc<Vmlinux>, moved: Moved) -> VmlinuxSymbols {
        VmlinuxSymbols { types: VmlinuxTypes::new(file), moved, release: OnceLock::new() }
    }
}

impl KernelSymbols for VmlinuxSymbols {
    fn symbol(&self, name: &str) -> Option<VirtAddr> {
        let at = self.types.file.symbol(name).filter(|at| *at != 0)?;
        Some(VirtAddr(self.moved.address(at)))
    }

    fn size_of(&self, ty: &str) -> Option<u64> {
        self.types.size_of(ty)
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.types.offset_of(member)
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        self.types.length_of(member_of_array(array))
    }

    fn number(&self, name: &str) -> Option<i64> {
        number_by_types(&self.types, self.version(), name)
    }

    fn lacks_number(&self, name: &str) -> bool {
        lacks_number_by_types(&self.types, name)
    }

    fn version(&self) -> Option<(u32, u32)> {
        version_in(self.release.get_or_init(|| release_of(&self.types.file)).as_ref()?)
    }
}

/// The release of a `vmlinux`, by its banner: "Linux version 6.1.0 (...". `None` where the file has no data, as a
/// separate debug file.
pub(crate) fn release_of(file: &Vmlinux) -> Option<String> {
    let at = file.symbol("linux_banner")?;
    let bytes = (1..=MAX_BANNER / 32).rev().find_map(|n| file.bytes_at(at, 32 * n))?;
    let text = bytes.split(|byte| *byte == 0).next()?;
    let release = text.strip_prefix(b"Linux version ")?.split(|byte| *byte == b' ').next()?;
    String::from_utf8(release.to_vec()).ok().filter(|release| !release.is_empty())
}

/// Major and minor version of a release.
pub(crate) fn version_in(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
