//! Where pages go: encoded by any worker, placed by one at a time.

use crate::addr::PfnRange;
use crate::bitmap::PageSet;
use crate::codec::{CodecId, CodecSet};
use crate::error::Result;
use crate::meta::DumpMeta;
use crate::source::{Absence, Span};
use std::ops::Range;

/// What pages were encoded to in an [`EncodedBlock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanData {
    /// Bytes in the block's data: one page where compressed, whole pages where not.
    Stored {
        /// How the page is compressed, `None` where its bytes are as they were.
        codec: Option<CodecId>,
        /// Where in the block's data.
        data: Range<usize>,
    },
    /// All zero.
    Zero,
    /// No content, and why.
    Absent(Absence),
}

/// Pages of a block and what became of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSpan {
    /// Which pages.
    pub pages: PfnRange,
    /// What became of them.
    pub data: SpanData,
}

/// Pages made ready by one worker: bytes without offsets. Reused from block to block.
#[derive(Default)]
pub struct EncodedBlock {
    /// Spans in ascending order.
    pub spans: Vec<EncodedSpan>,
    /// Their bytes.
    pub data: Vec<u8>,
}

impl EncodedBlock {
    /// Empties the block and keeps its memory.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.data.clear();
    }

    /// Appends `pages` with `bytes` as they are.
    pub fn store(&mut self, pages: PfnRange, codec: Option<CodecId>, bytes: &[u8]) {
        let from = self.data.len();
        self.data.extend_from_slice(bytes);
        self.spans.push(EncodedSpan { pages, data: SpanData::Stored { codec, data: from..self.data.len() } });
    }

    /// Appends pages without bytes.
    pub fn note(&mut self, pages: PfnRange, data: SpanData) {
        self.spans.push(EncodedSpan { pages, data });
    }
}

/// A worker's half of a writer: pages in, bytes out, no offsets.
pub trait BlockEncoder: Send {
    /// Appends what `span` becomes to `out`.
    ///
    /// # Errors
    /// If a codec fails in a way that storing the page uncompressed does not avoid.
    fn push(&mut self, span: Span<'_>, out: &mut EncodedBlock) -> Result<()>;
}

/// How the writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every page is there.
    Complete,
    /// Something is missing: the output is to be flagged incomplete.
    Incomplete,
}

/// A dump yet to be written: knows its options, and nothing of what it will hold.
pub trait DumpWriter: Send {
    /// Lays the output out and places all that comes before the pages. `ram` are the page frames that are RAM,
    /// `dumpable` those whose pages will come. Where the output can be rewritten and the format has a flag for
    /// incomplete dumps, it is set from here on until [`PageWriter::finish`] clears it: nothing, not even a loss of
    /// power, leaves a part that passes for a whole.
    ///
    /// # Errors
    /// If the container cannot hold the dump; what `out` returns.
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>>;
}

/// The serial half of a writer whose dump is laid out: assigns offsets, does no I/O.
///
/// Its driver promises, and checks once for all writers, that blocks come in the order of their pages, that their
/// spans ascend and do not overlap, that stored bytes lie in the block and are as long as their pages (one page and no
/// longer than it where compressed), and, before it is finished as complete, that every dumpable page came.
pub trait PageWriter: Send {
    /// A worker's half, one for each worker.
    fn encoder(&self) -> Box<dyn BlockEncoder>;

    /// Codecs whose compressed pages the encoder takes as they are.
    fn accepts(&self) -> CodecSet {
        CodecSet::NONE
    }

    /// Assigns offsets to a block's bytes.
    ///
    /// # Errors
    /// What `out` returns.
    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()>;

    /// Places what comes last and says whether the dump is complete; where it is not, keeps it readable. All before it
    /// is stored by then. It may be called once more with [`Ending::Incomplete`] where what it placed could not be
    /// written.
    ///
    /// # Errors
    /// What `out` returns.
    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()>;
}

/// Takes placements; writes them at once or later.
pub trait Placer {
    /// Bytes `range` of the current block go to `offset` of output `part`.
    ///
    /// # Errors
    /// If they are written at once and that fails.
    fn data(&mut self, part: usize, offset: u64, range: Range<usize>) -> Result<()>;

    /// `bytes` go to `offset` of output `part`, after all data placed before them: an index never refers to bytes that
    /// were not written.
    ///
    /// # Errors
    /// As [`data`](Placer::data).
    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()>;

    /// `len` bytes from `offset` of output `part` on read as zeros where nothing is placed later.
    ///
    /// # Errors
    /// As [`data`](Placer::data).
    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()>;

    /// Whether what is placed can be placed anew, as [`WriteAt::can_rewrite`](crate::WriteAt::can_rewrite) says.
    fn can_rewrite(&self) -> bool;
}
