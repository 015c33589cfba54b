//! What files say of the dumped kernel: its `vmlinux`, with symbols and debug information, and a text of vmcoreinfo.

use crate::vmcoreinfo_text::vmcoreinfo_text;
use crate::vmlinux_symbols::{VmlinuxSymbols, release_of};
use dump_core::{Error, ErrorKind, Result, VirtAddr};
use dump_debuginfo::Vmlinux;
use dump_kernel::{KernelSymbols, Sources, Vmcoreinfo};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is read of a text of vmcoreinfo, at most (bytes).
const MAX_TEXT: u64 = 1 << 20;

/// Files that say what the dump's own vmcoreinfo lacks. Each must be of the kernel in the dump.
#[derive(Clone, Default)]
pub struct KernelFiles {
    vmlinux: Option<Arc<Vmlinux>>,
    text: Option<Text>,
}

/// A text of vmcoreinfo, and where it is from.
#[derive(Clone)]
struct Text {
    path: PathBuf,
    bytes: Vec<u8>,
    info: Vmcoreinfo,
}

impl KernelFiles {
    /// Opens a `vmlinux` (makedumpfile's `-x`) and a text of vmcoreinfo (`-i`), as far as they are given.
    ///
    /// # Errors
    /// If a file cannot be read; if the first is no ELF file with debug information or BTF; if the second has no
    /// `OSRELEASE`.
    pub fn open(vmlinux: Option<&Path>, text: Option<&Path>) -> Result<KernelFiles> {
        let vmlinux = vmlinux.map(|path| open_vmlinux(path).map(Arc::new)).transpose()?;
        Ok(KernelFiles { vmlinux, text: text.map(Text::read).transpose()? })
    }

    /// Texts of vmcoreinfo for a dump that has none: that of the file, or one made of the vmlinux; with what it is from.
    pub(crate) fn texts(&self) -> Result<Vec<(&Path, Vec<u8>)>> {
        let own = self.text.iter().map(|text| Ok((text.path.as_path(), text.bytes.clone())));
        let made = self.vmlinux.iter().filter(|_| self.text.is_none());
        own.chain(made.map(|file| Ok((file.path(), vmcoreinfo_text(file)?.into_bytes())))).collect()
    }

    /// Whether they are of the kernel that `info` is of, as far as build IDs and releases say.
    pub(crate) fn check(&self, info: &Vmcoreinfo) -> Result<()> {
        if let Some(Text { path, info: file, .. }) = &self.text {
            same(path, info, file.get("BUILD-ID").map(str::to_owned), file.release().map(str::to_owned))?;
        }
        match &self.vmlinux {
            Some(file) => same(file.path(), info, file.build_id().map(|id| hex(&id)), release_of(file)),
            None => Ok(()),
        }
    }

    /// What they say of the kernel of `info`.
    pub(crate) fn sources(&self, info: Option<&Vmcoreinfo>) -> Sources {
        let file = self.text.as_ref().map(|text| {
            let moved = moved(info, |name| text.info.symbol(name).map(|at| at.0));
            Box::new(MovedText { info: text.info.clone(), moved }) as Box<dyn KernelSymbols>
        });
        let vmlinux = self.vmlinux.as_ref().map(|vmlinux| {
            let moved = moved(info, |name| vmlinux.symbol(name));
            Box::new(VmlinuxSymbols::new(Arc::clone(vmlinux), moved)) as Box<dyn KernelSymbols>
        });
        Sources::new(file, vmlinux)
    }
}

impl Text {
    fn read(path: &Path) -> Result<Text> {
        let within = |e: Error| e.within(path.display());
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|e| within(e.into()))?;
        file.take(MAX_TEXT).read_to_end(&mut bytes).map_err(|e| within(e.into()))?;
        without_cr(&mut bytes);
        if bytes.last().is_some_and(|byte| *byte != b'\n') {
            bytes.push(b'\n'); // a file's last line is whole
        }
        let info = Vmcoreinfo::parse(&bytes);
        if info.release().is_none() {
            let text = "not a text of vmcoreinfo: it has no line OSRELEASE=";
            return Err(within(Error::new(ErrorKind::BadMagic, text)));
        }
        Ok(Text { path: path.to_owned(), bytes, info })
    }
}

/// Ends lines that end in CR LF, as those of a file that was on other systems do, in LF alone.
fn without_cr(text: &mut Vec<u8>) {
    let mut kept = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        kept.extend_from_slice(line.strip_suffix(b"\r\n").unwrap_or(line));
        kept.extend(line.ends_with(b"\r\n").then_some(b'\n'));
    }
    *text = kept;
}

/// Opens a `vmlinux`.
///
/// # Errors
/// As [`KernelFiles::open`].
pub(crate) fn open_vmlinux(path: &Path) -> Result<Vmlinux> {
    let file = Vmlinux::open(path)?;
    if !file.has_debug_info()? && file.btf()?.is_empty() {
        let text = format!("{}: no debug information, no BTF, and no separate debug file of it", path.display());
        return Err(Error::missing(text).hint("a distribution has it in a package of its own"));
    }
    Ok(file)
}

/// That a file of this build ID and release is of the kernel of `info`; what neither has says nothing.
fn same(path: &Path, info: &Vmcoreinfo, build_id: Option<String>, release: Option<String>) -> Result<()> {
    let pairs = [("build ID", info.get("BUILD-ID"), build_id), ("release", info.release(), release)];
    for (what, own, file) in pairs {
        let (Some(own), Some(file)) = (own, file) else { continue };
        if own != file {
            let path = path.display();
            let text = format!("{path} is of another kernel: its {what} {file} and the dump's {own} don't match");
            return Err(Error::new(ErrorKind::OtherKernel, text));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How far the kernel was moved from the addresses of a file (KASLR): by a symbol that both have, else by what it says.
fn moved(info: Option<&Vmcoreinfo>, file: impl Fn(&str) -> Option<u64>) -> Moved {
    let first = file("_stext").or_else(|| file("_text"));
    let both = |name: &&str| Some(info?.symbol(name)?.0.wrapping_sub(file(name)?));
    let by_symbol = ["_stext", "init_uts_ns", "init_top_pgt"].iter().find_map(both);
    let stated = || u64::from_str_radix(info?.get("KERNELOFFSET")?.trim(), 16).ok();
    Moved { first, offset: by_symbol.or_else(stated).unwrap_or(0) }
}

/// The kernel image as a file has it, and how far it was moved.
#[derive(Clone, Copy)]
pub(crate) struct Moved {
    /// Where its code begins in the file.
    first: Option<u64>,
    offset: u64,
}

/// The image lies around the beginning of its code (bytes): what comes before, and how large it can be.
const BEFORE: u64 = 16 << 20;
const IMAGE: u64 = 1 << 30;

impl Moved {
    /// Where what the file has at `at` is in the dump. Only the image was moved: offsets of variables of each CPU and
    /// addresses of other memory were not.
    pub(crate) fn address(self, at: u64) -> u64 {
        let moves =
            self.first.is_some_and(|first| (first.saturating_sub(BEFORE)..=first.saturating_add(IMAGE)).contains(&at));
        if moves { at.wrapping_add(self.offset) } else { at }
    }
}

/// A text of vmcoreinfo, whose addresses are those before the kernel was moved.
struct MovedText {
    info: Vmcoreinfo,
    moved: Moved,
}

impl KernelSymbols for MovedText {
    fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.info.symbol(name).map(|at| VirtAddr(self.moved.address(at.0)))
    }

    fn size_of(&self, ty: &str) -> Option<u64> {
        self.info.size_of(ty)
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.info.offset_of(member)
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        self.info.length_of(array)
    }

    fn number(&self, name: &str) -> Option<i64> {
        // where the kernel lay is a boot's, not a build's
        (name != "phys_base").then(|| self.info.number(name))?
    }

    fn version(&self) -> Option<(u32, u32)> {
        self.info.version()
    }
}
