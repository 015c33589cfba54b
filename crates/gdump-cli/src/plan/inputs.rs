//! Dumps to read, and files of their kernels.

use super::files::is_stdin;
use super::located::located;
use crate::args::{ConvertArgs, RawArgs, XenArgs};
use crate::network;
use crate::qvm_env::{self, QvmEnv};
use dump::{Error, KernelFiles, MemoryMap, OpenOptions, Opening, PhysAddr, XenFiles};
use std::path::{Path, PathBuf};

/// A dump to read.
#[derive(Debug)]
pub struct Inputs {
    /// A dump, or the parts of one.
    pub paths: Vec<PathBuf>,
    /// Where the bytes of files that have no headers lie in memory.
    pub raw_maps: Vec<MemoryMap>,
    /// Whether a running kernel's memory is taken too.
    pub live: bool,
    /// Whether `/proc/vmcore` may be mapped.
    pub mapped: bool,
    /// How long a compressed file may be when it is unpacked (bytes); `None` for as long as there is room.
    pub max_unpacked: Option<u64>,
    /// The directory of temporary files, if one is wanted.
    pub work_dir: Option<PathBuf>,
    /// Files of its kernel.
    pub kernel: KernelPaths,
    /// What is made of a Xen host's dump.
    pub xen: Box<XenPaths>,
    /// The env file of its virtual machine, if one was given.
    pub qvm_env: Option<PathBuf>,
}

/// Files of the dumped kernel, which say what the dump does not.
#[derive(Clone, Debug, Default)]
pub struct KernelPaths {
    /// Its ELF file.
    pub vmlinux: Option<PathBuf>,
    /// A text of its vmcoreinfo.
    pub vmcoreinfo: Option<PathBuf>,
    /// The PDB of a Windows kernel.
    pub pdb: Option<PathBuf>,
}

/// What is made of a Xen host's dump, and files of its hypervisor.
#[derive(Clone, Debug, Default)]
pub struct XenPaths {
    /// Whether guests and free memory are left out.
    pub exclude: bool,
    /// Whether domain 0 alone is read.
    pub dom0: bool,
    /// Symbols of Xen.
    pub syms: Option<PathBuf>,
    /// A text of its vmcoreinfo.
    pub vmcoreinfo: Option<PathBuf>,
    /// Where its image is.
    pub phys_start: Option<PhysAddr>,
    /// Names of the options that say something of it.
    pub given: Vec<&'static str>,
}

impl XenPaths {
    fn of(args: &XenArgs) -> XenPaths {
        XenPaths {
            exclude: args.exclude,
            dom0: args.dom0,
            syms: args.xen_syms.clone(),
            vmcoreinfo: args.xen_vmcoreinfo.clone(),
            phys_start: args.xen_phys_start,
            given: args.given().collect(),
        }
    }

    /// All that may be read for them.
    pub fn files(&self) -> Vec<PathBuf> {
        let syms = self.syms.iter().flat_map(|path| of_vmlinux(path));
        self.vmcoreinfo.iter().cloned().chain(syms).collect()
    }

    /// Whether a hypervisor is asked for anything.
    pub fn is_wanted(&self) -> bool {
        self.exclude || self.dom0
    }

    /// Opens them.
    ///
    /// # Errors
    /// If one cannot be read, or is none.
    pub fn open(&self) -> Result<XenFiles, Error> {
        XenFiles::open(self.syms.as_deref(), self.vmcoreinfo.as_deref(), self.phys_start)
    }
}

impl KernelPaths {
    fn of(args: &ConvertArgs) -> KernelPaths {
        KernelPaths { vmlinux: args.vmlinux.clone(), vmcoreinfo: args.vmcoreinfo.clone(), pdb: args.pdb.clone() }
    }

    /// All that may be read for them.
    pub fn files(&self) -> Vec<PathBuf> {
        let vmlinux = self.vmlinux.iter().flat_map(|path| of_vmlinux(path));
        self.vmcoreinfo.iter().chain(&self.pdb).cloned().chain(vmlinux).collect()
    }

    /// Opens them.
    ///
    /// # Errors
    /// If one cannot be read, or is none.
    pub fn open(&self) -> Result<KernelFiles, Error> {
        KernelFiles::open(self.vmlinux.as_deref(), self.vmcoreinfo.as_deref())
    }
}

/// A kernel's ELF file, and where its debug information may be taken from.
pub fn of_vmlinux(path: &Path) -> Vec<PathBuf> {
    let mut files = dump::debug_paths(path);
    files.push(path.to_owned());
    files
}

impl Inputs {
    pub(super) fn to_look_at(paths: Vec<PathBuf>, raw: &RawArgs, max_unpacked: Option<u64>) -> Inputs {
        let (paths, raw_maps) = located(paths, raw);
        Inputs {
            paths,
            raw_maps,
            live: false,
            mapped: true,
            max_unpacked,
            work_dir: None,
            kernel: KernelPaths::default(),
            xen: Box::default(),
            qvm_env: None,
        }
    }

    /// Of a command line without a verb.
    pub(super) fn of(paths: Vec<PathBuf>, args: &ConvertArgs) -> Inputs {
        let ((paths, raw_maps), max_unpacked) = (located(paths, &args.raw), args.max_unpacked);
        let (work_dir, kernel) = (args.work_dir.clone(), KernelPaths::of(args));
        Inputs {
            paths,
            raw_maps,
            live: args.mem_usage,
            mapped: !args.non_mmap,
            max_unpacked,
            work_dir,
            kernel,
            xen: Box::new(XenPaths::of(&args.xen)),
            qvm_env: args.qvm_env.clone(),
        }
    }

    /// All files that may be read: the dump, and files of its kernel.
    pub fn files(&self) -> Vec<PathBuf> {
        self.paths.iter().chain(&self.qvm_env).cloned().chain(self.kernel.files()).chain(self.xen.files()).collect()
    }

    /// The env file of its virtual machine: the one that was given or, where it is a `guest` of the QNX hypervisor, one
    /// beside it.
    ///
    /// # Errors
    /// If there is one and cannot be read.
    pub fn qvm_env(&self, guest: bool) -> Result<Option<QvmEnv>, Error> {
        QvmEnv::find(self.qvm_env.as_deref(), self.paths.first().filter(|path| guest && !is_stdin(path)))
    }

    /// All files that may be read as that.
    pub fn qvm_env_files(&self) -> Vec<PathBuf> {
        self.paths.iter().flat_map(|path| qvm_env::beside(path)).chain(self.qvm_env.clone()).collect()
    }

    /// How they are opened.
    pub fn opening(&self) -> Opening {
        Opening {
            options: OpenOptions { raw_maps: self.raw_maps.clone(), live: self.live },
            mapped: self.mapped,
            max_unpacked: self.max_unpacked,
            directory: self.work_dir.clone(),
            salvage: false,
            opener: network::opener(),
        }
    }
}
