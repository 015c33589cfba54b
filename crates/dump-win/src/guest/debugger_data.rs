//! KDDEBUGGER_DATA64 (KDBG): where Windows' debugger finds what it needs.
//!
//! | off | field |
//! |---|---|
//! | 0x10 | "KDBG", then its size (u32) |
//! | 0x18 | the base of the kernel's image |
//! | 0x48, 0x50 | PsLoadedModuleList, PsActiveProcessHead |
//! | 0x88 | where the bug check is: code and parameters (5 × u64) |
//! | 0xc0 | MmPfnDatabase, as headers have it |
//! | 0x218 | where the addresses of the CPUs' own data (PRCB) are |
//! | 0x338 | where a PRCB has the address of a CONTEXT (u16) |
//!
//! Source: QEMU, include/qemu/win_dump_defs.h.

use super::memory::{Memory, Space};
use dump_core::Result;

/// Bytes that are read of it.
pub(crate) const LEN: usize = 0x340;

const TAG: &[u8; 4] = b"KDBG";

/// The debugger's data, in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DebuggerData {
    /// Where they are (a virtual address).
    pub at: u64,
    bytes: Vec<u8>,
}

impl DebuggerData {
    /// Those at virtual address `at`; `None` where there are none.
    pub fn read(memory: &mut Memory<'_>, space: Space, at: u64) -> Option<DebuggerData> {
        let mut bytes = vec![0; LEN];
        memory.read_virt(space, at, &mut bytes).ok()?;
        DebuggerData::of(at, bytes)
    }

    /// `bytes`, which are at virtual address `at`.
    pub fn of(at: u64, bytes: Vec<u8>) -> Option<DebuggerData> {
        (bytes.len() >= LEN && bytes[0x10..0x14] == *TAG).then_some(DebuggerData { at, bytes })
    }

    fn word(&self, at: usize) -> u64 {
        let bytes = self.bytes.get(at..at + 8).unwrap_or_default();
        bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    /// The code of the bug check and its parameters.
    ///
    /// # Errors
    /// If they are not there.
    pub fn bugcheck(&self, memory: &mut Memory<'_>, space: Space) -> Result<[u64; 5]> {
        let mut words = [0; 5];
        for (i, word) in words.iter_mut().enumerate() {
            *word = memory.word(space, self.word(0x88).wrapping_add(8 * i as u64))?;
        }
        Ok(words)
    }

    /// The address of the list of modules.
    pub fn modules(&self) -> u64 {
        self.word(0x48)
    }

    /// The address of the list of processes.
    pub fn processes(&self) -> u64 {
        self.word(0x50)
    }

    /// What a header has as PfnDataBase.
    pub fn pfn_database(&self) -> u64 {
        self.word(0xc0)
    }

    /// Where CPU number `cpu` keeps its CONTEXT.
    ///
    /// # Errors
    /// If that is not there.
    pub fn context_of(&self, memory: &mut Memory<'_>, space: Space, cpu: usize) -> Result<u64> {
        let prcb = memory.word(space, self.word(0x218).wrapping_add(8 * cpu as u64))?;
        memory.word(space, prcb.wrapping_add(self.word(0x338) & 0xffff))
    }
}
