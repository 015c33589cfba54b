//! A kernel's ELF file.

use crate::dwarf::DebugInfo;
use crate::elf::{Elf, Symbols, open_file};
use crate::separate;
use dump_core::{ByteOrder, InputFile, ReadAt, Result, WordSize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A kernel's ELF file, as the linker made it: addresses are without KASLR.
pub struct Vmlinux {
    path: PathBuf,
    elf: Elf<Box<dyn ReadAt>>,
    /// The file with the debug information, where that is another.
    debug: OnceLock<Option<Elf<InputFile>>>,
    symbols: OnceLock<Result<Symbols>>,
    types: OnceLock<Result<Option<Mutex<DebugInfo>>>>,
}

impl Vmlinux {
    /// Opens the file; reads no more than its headers.
    ///
    /// # Errors
    /// If it is no ELF file with sections.
    pub fn open(path: impl AsRef<Path>) -> Result<Vmlinux> {
        let path = path.as_ref();
        let file = open_file(path).map_err(|e| e.within(path.display()))?;
        Vmlinux::new(Box::new(file), path)
    }

    /// The same of a file that is open, or bytes: separate debug files are looked for beside `path`.
    ///
    /// # Errors
    /// As [`open`](Vmlinux::open).
    pub fn new(file: Box<dyn ReadAt>, path: impl AsRef<Path>) -> Result<Vmlinux> {
        let path = path.as_ref();
        let elf = Elf::new(file).map_err(|e| e.within(path.display()))?;
        let (debug, symbols, types) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Vmlinux { path: path.to_owned(), elf, debug, symbols, types })
    }

    /// Its name, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its byte order and word size.
    pub fn words(&self) -> (ByteOrder, WordSize) {
        (self.elf.order, self.elf.word)
    }

    /// Its `e_machine`.
    pub fn elf_machine(&self) -> u16 {
        self.elf.machine
    }

    /// Its build ID.
    pub fn build_id(&self) -> Option<Vec<u8>> {
        self.elf.build_id()
    }

    /// The address of a symbol; `None` where there is none of that name, or several that no scope tells apart.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        let symbols = self.symbols.get_or_init(|| match (self.elf.has(".symtab"), self.debug_file()) {
            (false, Some(debug)) => debug.symbols(),
            _ => self.elf.symbols(),
        });
        self.elf.symbol(symbols.as_ref().ok()?, name)
    }

    /// `len` bytes at an address, if the file has them.
    pub fn bytes_at(&self, at: u64, len: usize) -> Option<Vec<u8>> {
        self.elf.bytes_at(at, len)
    }

    /// The section `.BTF`; empty where there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn btf(&self) -> Result<Vec<u8>> {
        self.elf.section(".BTF").map_err(|e| e.within(self.path.display()))
    }

    /// Whether it has debug information, itself or in a separate file.
    ///
    /// # Errors
    /// If that cannot be read or unpacked.
    pub fn has_debug_info(&self) -> Result<bool> {
        match self.types() {
            Ok(types) => Ok(types.is_some()),
            Err(e) => Err(e.clone().within(self.path.display())),
        }
    }

    /// The size of a type (bytes).
    pub fn size_of(&self, ty: &str) -> Option<u64> {
        self.ask(|types| types.size_of(ty))
    }

    /// The offset of a member, named `type.member` (bytes).
    pub fn offset_of(&self, member: &str) -> Option<u64> {
        self.ask(|types| types.offset_of(member))
    }

    /// The number of elements of an array: of a member, named `type.member`, or a variable.
    pub fn length_of(&self, array: &str) -> Option<u64> {
        self.ask(|types| types.length_of(array))
    }

    /// The value of an enumerator of `enumeration`.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64> {
        self.ask(|types| types.enumerator(enumeration, name))
    }

    /// Whether there is an enumeration of that name.
    pub fn has_enum(&self, enumeration: &str) -> bool {
        self.ask(|types| Some(types.has_enum(enumeration))).unwrap_or(false)
    }

    /// The source file that declares a typedef, as the compiler was given it.
    pub fn declared_in(&self, typedef: &str) -> Option<String> {
        self.ask(|types| types.declared_in(typedef))
    }

    fn ask<T>(&self, question: impl FnOnce(&mut DebugInfo) -> Option<T>) -> Option<T> {
        let types = self.types().as_ref().ok()?.as_ref()?;
        question(&mut types.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn types(&self) -> &Result<Option<Mutex<DebugInfo>>> {
        self.types.get_or_init(|| {
            let own = DebugInfo::read(&self.elf)?;
            let other = || self.debug_file().map_or(Ok(None), DebugInfo::read);
            let types = if own.is_some() { own } else { other()? };
            Ok(types.map(Mutex::new))
        })
    }

    fn debug_file(&self) -> Option<&Elf<InputFile>> {
        self.debug.get_or_init(|| separate::debug_file(&self.elf, &self.path)).as_ref()
    }
}
