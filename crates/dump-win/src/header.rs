//! The header that a Windows crash dump begins with.
//!
//! What Windows did not set reads "PAGE" over and over.

use crate::dump_type::DumpType;
use crate::layout::{Layout, WIDE};
use crate::memory_block::MemoryBlock;
use dump_core::{ByteOrder, Error, ErrorKind, Machine, ReadAt, Result, WordSize};

/// What fields hold that nobody set.
const UNSET: [u8; 4] = *b"PAGE";

/// MachineImageType (IMAGE_FILE_MACHINE) and the name of the machine.
const MACHINES: &[(u32, &str)] = &[(0x8664, "x86_64"), (0xaa64, "aarch64"), (0x14c, "i686"), (0x1c4, "armv7l")];

/// Bytes of the comment that are looked at: all that a 64-bit header has.
const COMMENT: usize = 128;

/// Between 1601, from which Windows counts 100 ns, and 1970 (seconds).
const EPOCH: u64 = 11_644_473_600;

/// DUMP_HEADER64 or DUMP_HEADER32, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    layout: &'static Layout,
}

impl Header {
    /// Whether `prefix` begins as a header does.
    pub fn begins(prefix: &[u8]) -> bool {
        Layout::of(prefix).is_some()
    }

    /// The header that `bytes` begin with.
    ///
    /// # Errors
    /// `BadMagic` if they do not begin as one, `Truncated` if they end within it.
    pub fn new(bytes: &[u8]) -> Result<Header> {
        let bad =
            || Error::new(ErrorKind::BadMagic, "offset 0x0: no Windows crash dump, expected PAGEDU64 or PAGEDUMP");
        let layout = Layout::of(bytes).ok_or_else(bad)?;
        let whole = bytes.get(..layout.len);
        let whole =
            whole.ok_or_else(|| Error::truncated("the header at offset 0x0", layout.len as u64, bytes.len() as u64))?;
        Ok(Header { bytes: whole.to_vec(), layout })
    }

    /// Reads the header of a dump.
    ///
    /// # Errors
    /// As [`new`](Header::new); what reading returns.
    pub fn read(input: &dyn ReadAt) -> Result<Header> {
        let len = input.len()?.min(WIDE.len as u64);
        let mut bytes = vec![0; len as usize];
        input.read_exact_at(0, &mut bytes)?;
        Header::new(&bytes)
    }

    /// A 64-bit header in which nothing is set but what makes it one.
    pub fn unset() -> Header {
        let mut bytes = UNSET.repeat(WIDE.len / UNSET.len());
        bytes[..WIDE.magic.len()].copy_from_slice(WIDE.magic);
        Header { bytes, layout: &WIDE }
    }

    /// The header, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// Its word size.
    pub fn word(&self) -> WordSize {
        self.layout.word
    }

    /// The machine that it names; `UNKNOWN` with its word size where that has no row here.
    pub fn machine(&self) -> Machine {
        let number = self.u32(self.layout.machine);
        let known = MACHINES.iter().find(|row| row.0 == number).and_then(|row| Machine::by_name(row.1));
        known.unwrap_or(Machine { word: self.layout.word, ..Machine::UNKNOWN })
    }

    /// MachineImageType, which names the machine.
    pub fn machine_number(&self) -> u32 {
        self.u32(self.layout.machine)
    }

    /// MajorVersion: 15 of a free build, 12 of a checked one.
    pub fn major_version(&self) -> u32 {
        self.u32(self.layout.major)
    }

    /// MinorVersion, the build of Windows; `None` where it is not set.
    pub fn build(&self) -> Option<u32> {
        self.set_u32(self.layout.minor)
    }

    /// DirectoryTableBase: the physical address of the page tables' root, with flags in its low bits.
    pub fn page_table(&self) -> Option<u64> {
        self.set_word(self.layout.page_table)
    }

    /// PfnDataBase: the virtual address of what Windows has in place of struct pages.
    pub fn pfn_database(&self) -> Option<u64> {
        self.set_word(self.layout.pfn_database)
    }

    /// PsLoadedModuleList: the virtual address of the list of modules.
    pub fn modules(&self) -> Option<u64> {
        self.set_word(self.layout.modules)
    }

    /// PsActiveProcessHead: the virtual address of the list of processes.
    pub fn processes(&self) -> Option<u64> {
        self.set_word(self.layout.processes)
    }

    /// KdDebuggerDataBlock: the virtual address of the debugger's data.
    pub fn debugger_data(&self) -> Option<u64> {
        self.set_word(self.layout.debugger_data).filter(|at| *at != 0)
    }

    /// NumberProcessors.
    pub fn cpus(&self) -> Option<u32> {
        self.set_u32(self.layout.cpus)
    }

    /// BugCheckCode; `None` where it is not set. 0 is of a system that ran.
    pub fn bugcheck_code(&self) -> Option<u32> {
        self.set_u32(self.layout.bugcheck_code)
    }

    /// BugCheckParameters.
    pub fn bugcheck_parameters(&self) -> [u64; 4] {
        let word = self.layout.word.bytes();
        std::array::from_fn(|i| self.word_at(self.layout.bugcheck_parameters + i * word))
    }

    /// DumpType.
    pub fn dump_type(&self) -> DumpType {
        DumpType::of(self.u32(self.layout.dump_type))
    }

    /// RequiredDumpSpace: the bytes of a whole dump.
    pub fn required_space(&self) -> Option<u64> {
        self.set_u64(self.layout.required_space)
    }

    /// SystemTime, in seconds since 1970; `None` where it is not set, or lies before.
    pub fn system_time(&self) -> Option<u64> {
        (self.set_u64(self.layout.system_time)? / 10_000_000).checked_sub(EPOCH)
    }

    /// SystemUpTime, in seconds.
    pub fn up_time(&self) -> Option<u64> {
        Some(self.set_u64(self.layout.up_time)? / 10_000_000)
    }

    /// ProductType: 1 of a workstation, 2 of a domain controller, 3 of a server.
    pub fn product_type(&self) -> Option<u32> {
        self.set_u32(self.layout.product_type)
    }

    /// Comment; empty where there is none.
    pub fn comment(&self) -> String {
        let from = self.layout.comment;
        let text = self.bytes.get(from..from + COMMENT).unwrap_or_default();
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.starts_with(&UNSET) { String::new() } else { String::from_utf8_lossy(text).into_owned() }
    }

    /// PhysicalMemoryBlock; `None` where it is not set.
    ///
    /// # Errors
    /// `Corrupt` if it has more runs than there is room for, or a run is none that a machine can have.
    pub fn memory(&self) -> Result<Option<MemoryBlock>> {
        MemoryBlock::decode(self)
    }

    /// Puts in where RAM is.
    pub(crate) fn set_memory(&mut self, block: &MemoryBlock) {
        let (at, len) = (self.layout.memory, self.layout.memory_len);
        let bytes = block.encode(self.layout, UNSET);
        if let Some(to) = self.bytes.get_mut(at..at + len) {
            to.copy_from_slice(&bytes);
        }
    }

    /// Puts in what the dump is, and how long.
    pub(crate) fn set_type(&mut self, what: DumpType, required: u64) {
        self.put(self.layout.dump_type, &what.number().to_le_bytes());
        self.put(self.layout.required_space, &required.to_le_bytes());
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.bytes.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        self.number(at, 4) as u32
    }

    pub(crate) fn word_at(&self, at: usize) -> u64 {
        self.number(at, self.layout.word.bytes())
    }

    fn number(&self, at: usize, len: usize) -> u64 {
        let bytes = self.bytes.get(at..at + len).unwrap_or_default();
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn set_u32(&self, at: usize) -> Option<u32> {
        Some(self.u32(at)).filter(|value| *value != u32::from_le_bytes(UNSET))
    }

    fn set_u64(&self, at: usize) -> Option<u64> {
        Some(self.number(at, 8)).filter(|_| self.is_set(at, 8))
    }

    fn set_word(&self, at: usize) -> Option<u64> {
        let len = self.layout.word.bytes();
        Some(self.number(at, len)).filter(|_| self.is_set(at, len))
    }

    /// Whether the field of `len` bytes at `at` holds something of its own.
    pub(crate) fn is_set(&self, at: usize, len: usize) -> bool {
        self.bytes.get(at..at + len).is_some_and(|field| field.chunks(UNSET.len()).any(|part| part != UNSET))
    }

    /// Byte order of everything in it.
    pub(crate) const ORDER: ByteOrder = ByteOrder::Little;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_set_in_a_new_one() {
        let header = Header::unset();
        assert_eq!((header.build(), header.cpus(), header.bugcheck_code()), (None, None, None));
        assert_eq!((header.page_table(), header.debugger_data(), header.system_time()), (None, None, None));
        assert_eq!((header.comment().as_str(), header.memory().unwrap()), ("", None));
        assert_eq!(header.machine(), Machine::UNKNOWN);
        assert_eq!(Header::new(header.as_bytes()).unwrap(), header);
    }

    #[test]
    fn what_is_none_and_what_is_cut() {
        assert_eq!(Header::new(b"PAGEDU6").unwrap_err().kind(), ErrorKind::BadMagic);
        assert_eq!(Header::new(b"PAGEDU64").unwrap_err().kind(), ErrorKind::Truncated);
        let mut narrow = vec![0; 0x1000];
        narrow[..8].copy_from_slice(b"PAGEDUMP");
        narrow[0x20..0x22].copy_from_slice(&0x14cu16.to_le_bytes());
        assert_eq!(Header::new(&narrow).unwrap().machine().name(), Some("i686"));
        assert_eq!(Header::new(&narrow[..0xfff]).unwrap_err().kind(), ErrorKind::Truncated);
    }
}
