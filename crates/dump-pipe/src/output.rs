//! Carries placements out.

use dump_core::{EncodedBlock, Error, Placer, Result, WriteAt};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Outputs and the number of bytes written to them.
pub(crate) struct Outputs<'a> {
    parts: &'a [&'a dyn WriteAt],
    written: AtomicU64,
    /// Where the furthest byte of each ends.
    reached: Vec<AtomicU64>,
}

impl<'a> Outputs<'a> {
    pub fn new(parts: &'a [&'a dyn WriteAt]) -> Outputs<'a> {
        Outputs { parts, written: AtomicU64::new(0), reached: parts.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    /// Bytes written so far, those written twice counted twice.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How long each output is.
    pub fn lengths(&self) -> Vec<u64> {
        self.reached.iter().map(|reached| reached.load(Ordering::Relaxed)).collect()
    }

    /// Whether all of them can be rewritten.
    fn can_rewrite(&self) -> bool {
        self.parts.iter().all(|part| part.can_rewrite())
    }

    /// Waits until all that was written is stored.
    pub fn sync(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.sync())
    }

    fn write(&self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        let output = self.part(part)?;
        output.write_at(offset, bytes)?;
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.reach(part, offset.saturating_add(bytes.len() as u64));
        Ok(())
    }

    fn zeros(&self, part: usize, offset: u64, len: u64) -> Result<()> {
        self.part(part)?.zeros(offset, len)?;
        self.reach(part, offset.saturating_add(len));
        Ok(())
    }

    fn reach(&self, part: usize, end: u64) {
        if let Some(reached) = self.reached.get(part) {
            reached.fetch_max(end, Ordering::Relaxed);
        }
    }

    fn part(&self, part: usize) -> Result<&dyn WriteAt> {
        let missing = || Error::bug(format!("the writer placed bytes in output {part}, which does not exist"));
        self.parts.get(part).copied().ok_or_else(missing)
    }
}

/// A placer that writes at once: for what comes before the first block and after the last.
pub(crate) struct Direct<'a>(pub &'a Outputs<'a>);

impl Placer for Direct<'_> {
    fn data(&mut self, _: usize, _: u64, _: Range<usize>) -> Result<()> {
        Err(Error::bug("the writer placed a block's data where there is no block"))
    }

    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write(part, offset, bytes)
    }

    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()> {
        self.0.zeros(part, offset, len)
    }

    fn can_rewrite(&self) -> bool {
        self.0.can_rewrite()
    }
}

/// Placements of one block.
#[derive(Default)]
pub(crate) struct Placement {
    ops: Vec<Op>,
    index: Vec<u8>,
}

struct Op {
    part: usize,
    offset: u64,
    what: What,
}

enum What {
    Data(Range<usize>),
    Index(Range<usize>),
    Zeros(u64),
}

impl Placement {
    /// Writes the block's bytes and its index, in the order in which they were placed: an index after its data.
    pub fn carry_out(&self, block: &EncodedBlock, outputs: &Outputs<'_>) -> Result<()> {
        self.ops.iter().try_for_each(|op| match &op.what {
            What::Data(range) => outputs.write(op.part, op.offset, block.data.get(range.clone()).unwrap_or_default()),
            What::Index(range) => outputs.write(op.part, op.offset, self.index.get(range.clone()).unwrap_or_default()),
            What::Zeros(len) => outputs.zeros(op.part, op.offset, *len),
        })
    }

    pub fn clear(&mut self) {
        self.ops.clear();
        self.index.clear();
    }
}

impl Placer for Placement {
    fn data(&mut self, part: usize, offset: u64, range: Range<usize>) -> Result<()> {
        self.ops.push(Op { part, offset, what: What::Data(range) });
        Ok(())
    }

    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        let from = self.index.len();
        self.index.extend_from_slice(bytes);
        self.ops.push(Op { part, offset, what: What::Index(from..self.index.len()) });
        Ok(())
    }

    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()> {
        self.ops.push(Op { part, offset, what: What::Zeros(len) });
        Ok(())
    }

    /// What is said of an output comes before its pages and after them.
    fn can_rewrite(&self) -> bool {
        false
    }
}

/// An output that forgets everything: for `--dry-run`, where all is done but the writing.
#[derive(Default)]
pub struct NullOutput;

impl WriteAt for NullOutput {
    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn zeros(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}
