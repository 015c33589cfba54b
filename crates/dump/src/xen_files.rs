//! What files say of a dumped host's hypervisor: its symbols and types, `xen-syms`, and a text of its vmcoreinfo.

use dump_core::{Error, ErrorKind, PageSize, PhysAddr, Result, VirtAddr};
use dump_debuginfo::Vmlinux;
use dump_kernel::{KernelSymbols, Vmcoreinfo};
use std::fmt::{Display, Write};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// What is read of a text of vmcoreinfo, at most (bytes): Xen's note has less than a page.
const MAX_TEXT: u64 = 64 << 10;

/// What Xen's vmcoreinfo names (xen/common/kexec.c, xen/arch/x86/machine_kexec.c), and what xen-syms calls it.
const SYMBOLS: [(&str, &str); 7] = [
    ("domain_list", "domain_list"),
    ("frame_table", "frame_table"),
    ("frame_table", "_frame_table"),
    ("max_page", "max_page"),
    ("dom_xen", "dom_xen"),
    ("dom_io", "dom_io"),
    ("pgd_l4", "idle_pg_table"),
];

/// Files that say of Xen what the dump's own notes lack.
#[derive(Clone, Default)]
pub struct XenFiles {
    syms: Option<Arc<Vmlinux>>,
    text: Option<Vec<u8>>,
    phys_start: Option<PhysAddr>,
}

impl XenFiles {
    /// Opens `xen-syms` and a text of vmcoreinfo, as far as they are given. `phys_start` is where Xen's image begins in
    /// machine memory.
    ///
    /// # Errors
    /// If a file cannot be read; if the first is no ELF file, or the second no text of Xen's vmcoreinfo.
    pub fn open(syms: Option<&Path>, text: Option<&Path>, phys_start: Option<PhysAddr>) -> Result<XenFiles> {
        let syms = syms.map(|path| Vmlinux::open(path).map(Arc::new)).transpose()?;
        let text = text.map(|path| read_text(path).map_err(|e| e.within(path.display()))).transpose()?;
        Ok(XenFiles { syms, text, phys_start })
    }

    /// A text of vmcoreinfo: that of the file, the dump's `own`, or what symbols and types make.
    ///
    /// # Errors
    /// If they must make it, and lack something; `OtherKernel` if they are of another Xen than the dump's.
    pub(crate) fn vmcoreinfo(&self, own: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        if let Some(own) = own {
            self.check(own)?;
        }
        let given = self.text.as_deref().or(own).map(<[u8]>::to_vec);
        match (given, &self.syms) {
            (None, Some(syms)) => text_of(syms).map(|text| Some(text.into_bytes())),
            (given, _) => Ok(given),
        }
    }

    pub(crate) fn phys_start(&self) -> Option<PhysAddr> {
        self.phys_start
    }

    /// Symbols of `xen-syms`, if it is there.
    pub(crate) fn symbols(&self) -> Option<impl Fn(&str) -> Option<VirtAddr> + '_> {
        let syms = self.syms.as_ref()?;
        Some(move |name: &str| syms.symbol(name).map(VirtAddr))
    }

    /// That files are of the Xen of the note `own`: its symbols are where theirs are, for it is never moved.
    ///
    /// # Errors
    /// `OtherKernel` if they are not.
    fn check(&self, own: &[u8]) -> Result<()> {
        let own = Vmcoreinfo::parse(own);
        let text = self.text.as_deref().map(Vmcoreinfo::parse);
        for (key, name) in SYMBOLS {
            let in_text = text.as_ref().and_then(|text| text.symbol(key));
            let in_syms = self.syms.as_ref().and_then(|syms| syms.symbol(name)).map(VirtAddr);
            let Some(own) = own.symbol(key) else { continue };
            // a variable of that name may be another than the one that was exported
            let given = in_text.into_iter().chain(in_syms.filter(|_| key != "frame_table"));
            if let Some(other) = given.into_iter().find(|at| *at != own) {
                let text =
                    format!("what is given of Xen is another Xen's: it has {key} at {other}, and the dump at {own}");
                return Err(Error::new(ErrorKind::OtherKernel, text));
            }
        }
        Ok(())
    }
}

/// A text of Xen's vmcoreinfo from the `xen-syms` at `path`.
///
/// # Errors
/// If it is no ELF file with debug information, or not Xen's.
pub fn generate_xen_vmcoreinfo(path: impl AsRef<Path>) -> Result<String> {
    text_of(&Vmlinux::open(path)?)
}

fn text_of(file: &Vmlinux) -> Result<String> {
    let lacking = |what: &str| Error::missing(format!("{}: no {what}: not Xen's", file.path().display()));
    let mut out = String::new();
    line(&mut out, "PAGESIZE", PageSize::K4.bytes());
    let mut seen = Vec::new();
    for (key, name) in SYMBOLS {
        if let Some(at) = file.symbol(name).filter(|_| !seen.contains(&key)) {
            line(&mut out, &format!("SYMBOL({key})"), format_args!("{at:x}"));
            seen.push(key);
        }
    }
    if !seen.contains(&"domain_list") {
        return Err(lacking("symbol domain_list"));
    }
    for name in ["page_info", "domain"] {
        let size = file.size_of(name).ok_or_else(|| lacking(&format!("struct {name} in its debug information")))?;
        line(&mut out, &format!("SIZE({name})"), size);
    }
    let offset =
        |member: &str| file.offset_of(member).ok_or_else(|| lacking(&format!("{member} in its debug information")));
    line(&mut out, "OFFSET(page_info.count_info)", offset("page_info.count_info")?);
    // the first member of v.inuse in every version
    line(&mut out, "OFFSET(page_info._domain)", offset("page_info.v")?);
    line(&mut out, "OFFSET(domain.domain_id)", offset("domain.domain_id")?);
    line(&mut out, "OFFSET(domain.next_in_list)", offset("domain.next_in_list")?);
    Ok(out)
}

fn line(out: &mut String, key: &str, value: impl Display) {
    let _ = writeln!(out, "{key}={value}"); // to a string, which takes all
}

fn read_text(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_TEXT).read_to_end(&mut bytes)?;
    if Vmcoreinfo::parse(&bytes).symbol("domain_list").is_none() {
        let text = "not a text of Xen's vmcoreinfo: it has no line SYMBOL(domain_list)=";
        return Err(Error::new(ErrorKind::BadMagic, text));
    }
    Ok(bytes)
}
