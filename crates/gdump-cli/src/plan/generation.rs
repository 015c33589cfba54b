//! A text of vmcoreinfo from a kernel's ELF file.

use super::inputs::of_vmlinux;
use crate::args::ConvertArgs;
use crate::messages::{Messages, Voice};
use dump::DumpLevel;
use std::path::{Path, PathBuf};

/// A text of vmcoreinfo from a kernel's ELF file, or Xen's.
#[derive(Debug)]
pub struct GeneratePlan {
    /// The kernel's ELF file, or Xen's.
    pub vmlinux: PathBuf,
    /// Whether it is Xen's.
    pub xen: bool,
    /// The file to write.
    pub output: PathBuf,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

impl GeneratePlan {
    /// All files that may be read.
    pub fn files(&self) -> Vec<PathBuf> {
        of_vmlinux(&self.vmlinux)
    }
}

pub(super) fn generation(args: &ConvertArgs, output: &Path, voice: Voice) -> Result<GeneratePlan, String> {
    let (vmlinux, xen) = match (&args.xen.xen_syms, &args.vmlinux) {
        (Some(xen), _) => (xen.clone(), true),
        (None, Some(vmlinux)) => (vmlinux.clone(), false),
        (None, None) => return Err("-g needs a VMLINUX, given with -x, or --xen-syms".to_owned()),
    };
    let refused = args.xen.exclude
        || args.xen.dom0
        || args.rearrange
        || args.flattened
        || args.reassemble
        || args.split
        || args.vmcoreinfo.is_some();
    if refused || args.codec().is_some() || args.elf || args.levels.0 != [DumpLevel::default()] || args.dry_run {
        return Err("-g makes no dump and cannot be combined with options of dumps".to_owned());
    }
    if !args.files.is_empty() {
        return Err(format!("-g: expected no other file names, found {}", args.files.len()));
    }
    let messages = Messages::new(args.messages(), false).with(voice);
    Ok(GeneratePlan { vmlinux, xen, output: output.to_owned(), messages })
}
