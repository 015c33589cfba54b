//! Memory of a few words, for tests of walks.

use crate::memory::PhysReader;
use dump_core::{ByteOrder, PhysAddr, Result};
use std::collections::HashMap;

/// Words of 8 bytes by address, zeros elsewhere, and their order.
pub(super) struct Memory(pub(super) HashMap<u64, u64>, pub(super) ByteOrder);

impl Memory {
    pub(super) fn little(words: HashMap<u64, u64>) -> Memory {
        Memory(words, ByteOrder::Little)
    }

    pub(super) fn big(words: HashMap<u64, u64>) -> Memory {
        Memory(words, ByteOrder::Big)
    }
}

impl PhysReader for Memory {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        for (at, word) in (at.0..).step_by(8).zip(buf.chunks_mut(8)) {
            let value = self.0.get(&at).copied().unwrap_or(0);
            word.copy_from_slice(&if self.1 == ByteOrder::Big { value.to_be_bytes() } else { value.to_le_bytes() });
        }
        Ok(())
    }
}
