//! A placer that writes at once, in the order in which it is called.

use crate::output::MemoryOutput;
use dump_core::{Placer, Result, WriteAt};
use std::ops::Range;

/// A call of a [`Placer`]: which output, where and how long (bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what the line above says
pub enum Placement {
    /// Bytes of the block in hand.
    Data { part: usize, offset: u64, len: u64 },
    /// Bytes of the writer's own.
    Index { part: usize, offset: u64, len: u64 },
    /// Zeros.
    Zeros { part: usize, offset: u64, len: u64 },
}

/// The outputs of a dump and what was placed in them. Everything is written as it is placed, so that an index comes
/// after the data that were placed before it.
#[derive(Default)]
pub struct Outputs {
    /// The outputs; one that is placed in and is not there is a new file.
    pub parts: Vec<MemoryOutput>,
    /// All calls in their order, failed ones included.
    pub placements: Vec<Placement>,
    /// Data of the block in hand.
    block: Vec<u8>,
}

impl Outputs {
    /// One output.
    pub fn of(output: MemoryOutput) -> Outputs {
        Outputs { parts: vec![output], ..Outputs::default() }
    }

    /// What output `part` holds, nothing where nothing was placed there.
    pub fn bytes(&self, part: usize) -> Vec<u8> {
        self.parts.get(part).map(MemoryOutput::bytes).unwrap_or_default()
    }

    /// Takes a block in hand: its bytes are what data are placed of.
    pub(crate) fn take_in_hand(&mut self, data: &[u8]) {
        self.block.clear();
        self.block.extend_from_slice(data);
    }

    fn part(&mut self, part: usize) -> &MemoryOutput {
        let len = self.parts.len().max(part + 1);
        self.parts.resize_with(len, MemoryOutput::default);
        &self.parts[part]
    }
}

impl Placer for Outputs {
    fn data(&mut self, part: usize, offset: u64, range: Range<usize>) -> Result<()> {
        self.placements.push(Placement::Data { part, offset, len: range.len() as u64 });
        let bytes = self.block[range].to_vec();
        self.part(part).write_at(offset, &bytes)
    }

    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.placements.push(Placement::Index { part, offset, len: bytes.len() as u64 });
        self.part(part).write_at(offset, bytes)
    }

    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()> {
        self.placements.push(Placement::Zeros { part, offset, len });
        self.part(part).zeros(offset, len)
    }

    fn can_rewrite(&self) -> bool {
        true
    }
}
