//! Windows guests: their memory as Windows' own dumps have it.

use crate::image::Image;
use dump_core::{Error, ErrorKind, InputFile, ReadAt, Result};
use dump_elf::QemuCpu;
use dump_win::guest::{Completion, Cpu, build, complete, find_kernel};
use dump_win::{Patched, note};
use std::fs::File;
use std::path::Path;

/// Where Microsoft has the PDBs of its kernels.
const SYMBOLS: &str = "https://msdl.microsoft.com/download/symbols";

impl Image {
    /// The same as a Windows crash dump has it: the header in its notes is complete, and the registers of CPUs are where
    /// Windows keeps them, in what is made of it alone. Of a guest that published no header, `pdb` is the PDB of its kernel.
    ///
    /// # Errors
    /// `MissingInfo` if no header of a Windows crash dump is in the notes and there is no PDB: of a Windows guest it says
    /// which; `OtherKernel` if it is another's PDB.
    pub fn into_windows(self, pdb: Option<&Path>) -> Result<Image> {
        let cpus: Vec<Cpu> = QemuCpu::all(&self.meta().notes).iter().map(cpu).collect();
        let Completion { header, patches, remarks } = match (pdb, note::header(&self.meta().notes)) {
            (None, Some(header)) => complete(header, self.source(), &cpus),
            (pdb, _) => built(&self, &cpus, pdb)?,
        };
        let notes = note::with_header(&self.meta().notes, &header)?;
        Ok(self.with_memory(notes, remarks, |source| match patches.is_empty() {
            true => source,
            false => Box::new(Patched::new(source, patches)),
        }))
    }
}

/// A header that is made of a guest without one.
fn built(image: &Image, cpus: &[Cpu], pdb: Option<&Path>) -> Result<Completion> {
    let kernel = match (find_kernel(image.source(), cpus), pdb) {
        (Ok(kernel), _) => kernel,
        (Err(e), Some(_)) => return Err(e),
        (Err(_), None) => return Err(no_header()),
    };
    let needed = || format!("{SYMBOLS}/{}", kernel.pdb);
    let Some(path) = pdb else {
        let text =
            format!("a Windows guest without a header in its notes: --pdb FILE with its kernel's PDB, {}", needed());
        return Err(Error::missing(text).hint("or virtio-win's fwcfg driver in the guest, and -device vmcoreinfo"));
    };
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (len, file) = opened.map_err(|e| Error::from(e).within(path.display()))?;
    let file: Box<dyn ReadAt> = Box::new(InputFile::unmapped(file, len));
    build(image.source(), cpus, &kernel, file).map_err(|e| match e.kind() {
        ErrorKind::OtherKernel => e.hint(format!("this guest's is {}", needed())).within(path.display()),
        _ => e.within(path.display()),
    })
}

fn no_header() -> Error {
    let text = "no header of a Windows crash dump in its notes: no Windows guest, or one without the driver that \
                publishes it";
    Error::missing(text).hint("virtio-win's fwcfg driver publishes it where QEMU has -device vmcoreinfo")
}

/// The registers that QEMU notes.
fn cpu(cpu: &QemuCpu) -> Cpu {
    Cpu {
        general: cpu.general,
        rip: cpu.rip,
        rflags: cpu.rflags,
        selectors: std::array::from_fn(|i| cpu.segments[i].selector as u16),
        cr3: cpu.cr3(),
        five_levels: cpu.has_five_levels(),
        idt: cpu.idt_base(),
        gs: [cpu.segments[4].base, cpu.kernel_gs_base.unwrap_or(0)],
    }
}
