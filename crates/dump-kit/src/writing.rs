//! Drives a writer from start to end, block after block, as the pipeline does with one worker.

use crate::outputs::Outputs;
use dump_core::{
    BlockEncoder, CodecSet, DumpMeta, DumpWriter, EncodedBlock, EncodedSpan, Ending, PageBitmap, PageReader, PageSet,
    PageSize, PageWriter, Pfn, PfnRange, Result, SpanData,
};

/// What is to be written.
#[derive(Clone, Copy)]
pub struct Dump<'a> {
    /// What the source knows besides pages.
    pub meta: &'a DumpMeta,
    /// The page frames that are RAM.
    pub ram: &'a dyn PageSet,
    /// Those whose pages are to be written.
    pub dumpable: &'a PageBitmap,
}

impl<'a> Dump<'a> {
    /// Prepares a writer.
    ///
    /// # Errors
    /// As [`DumpWriter::prepare`].
    pub fn prepare(self, writer: Box<dyn DumpWriter>, mut outputs: Outputs) -> Result<Writing<'a>> {
        let writer = writer.prepare(self.meta, self.ram, self.dumpable, &mut outputs)?;
        let encoder = writer.encoder();
        Ok(Writing { dump: self, writer, encoder, block: EncodedBlock::default(), next: Pfn(0), outputs })
    }

    /// Writes all of it to new files, in blocks of so many pages.
    pub fn write(self, writer: Box<dyn DumpWriter>, pages_per_block: u64, pages: &mut dyn PageReader) -> Outputs {
        let mut writing = self.prepare(writer, Outputs::default()).unwrap();
        writing.place_all(pages_per_block, pages).unwrap();
        writing.finish(Ending::Complete).unwrap();
        writing.outputs
    }
}

/// A dump that is being written.
pub struct Writing<'a> {
    /// The outputs as they are now.
    pub outputs: Outputs,
    dump: Dump<'a>,
    writer: Box<dyn PageWriter>,
    encoder: Box<dyn BlockEncoder>,
    block: EncodedBlock,
    /// The page frame after the last placed.
    next: Pfn,
}

impl Writing<'_> {
    /// Encodes and places the next block, of so many pages at most; returns whether there was one.
    ///
    /// # Errors
    /// What reading, encoding and placing return.
    ///
    /// # Panics
    /// Where the encoder breaks what [`PageWriter`] is promised of blocks.
    pub fn place_next(&mut self, pages: u64, reader: &mut dyn PageReader) -> Result<bool> {
        let run = self.dump.dumpable.take(self.next, pages);
        if run.is_empty() {
            return Ok(false);
        }
        self.block.clear();
        let runs: Vec<PfnRange> = self.dump.dumpable.runs(run).collect();
        for run in &runs {
            self.encode(*run, reader)?;
        }
        check_block(&self.block, &runs, self.dump.meta.page_size);
        self.outputs.take_in_hand(&self.block.data);
        self.writer.place(&self.block, &mut self.outputs)?;
        self.next = run.end;
        Ok(true)
    }

    /// Places all blocks that are left.
    ///
    /// # Errors
    /// As [`place_next`](Writing::place_next).
    pub fn place_all(&mut self, pages_per_block: u64, reader: &mut dyn PageReader) -> Result<()> {
        while self.place_next(pages_per_block, reader)? {}
        Ok(())
    }

    /// Places what comes last; may be called once more with [`Ending::Incomplete`] after it failed.
    ///
    /// # Errors
    /// As [`PageWriter::finish`].
    pub fn finish(&mut self, ending: Ending) -> Result<()> {
        self.outputs.take_in_hand(&[]);
        self.writer.finish(ending, &mut self.outputs)
    }

    /// Codecs whose compressed pages the writer takes as they are.
    pub fn accepts(&self) -> CodecSet {
        self.writer.accepts()
    }

    fn encode(&mut self, run: PfnRange, reader: &mut dyn PageReader) -> Result<()> {
        let (encoder, block) = (&mut self.encoder, &mut self.block);
        reader.visit(run, self.writer.accepts(), &mut |span| encoder.push(span, block))
    }
}

/// Panics where a block is not what a [`PageWriter`] may rely on: spans that cover `runs` in their order, with the bytes that
/// they should have.
fn check_block(block: &EncodedBlock, runs: &[PfnRange], size: PageSize) {
    let mut left = runs.iter().copied();
    let mut run = PfnRange::default();
    for EncodedSpan { pages, data } in &block.spans {
        if run.is_empty() {
            run = left.next().unwrap();
        }
        assert!(!pages.is_empty() && pages.start == run.start && pages.end <= run.end, "{pages} of {run}");
        run.start = pages.end;
        if let SpanData::Stored { codec, data } = data {
            let most = size.bytes_of(pages.len());
            let sound = match codec {
                None => data.len() as u64 == most,
                Some(_) => pages.len() == 1 && data.len() as u64 <= most,
            };
            assert!(sound && data.end <= block.data.len(), "pages {pages}: {data:?}, {codec:?}");
        }
    }
    assert!(run.is_empty() && left.next().is_none(), "pages that came are missing in the block");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, end: u64) -> PfnRange {
        PfnRange::new(Pfn(start), Pfn(end))
    }

    fn panics(block: &EncodedBlock, runs: &[PfnRange]) -> bool {
        std::panic::catch_unwind(|| check_block(block, runs, PageSize::K4)).is_err()
    }

    #[test]
    fn blocks_that_lie_are_noticed() {
        let mut block = EncodedBlock::default();
        block.store(run(1, 3), None, &[1; 8192]);
        block.note(run(3, 4), SpanData::Zero);
        block.note(run(7, 9), SpanData::Zero);
        assert!(!panics(&block, &[run(1, 4), run(7, 9)]));
        assert!(panics(&block, &[run(1, 4), run(7, 10)]));
        assert!(panics(&block, &[run(1, 4)]));
        assert!(panics(&block, &[run(1, 5), run(7, 9)]));
        block.spans.swap(1, 2);
        assert!(panics(&block, &[run(1, 4), run(7, 9)]));
        block.clear();
        block.store(run(1, 3), None, &[1; 8191]);
        assert!(panics(&block, &[run(1, 3)]));
    }
}
