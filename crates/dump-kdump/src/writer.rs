//! Writing kdump files: one, or the parts of a split dump.
//!
//! ```text
//! prepare  both headers, notes, bitmaps, then a page of zeros that all zero pages share; offsets of everything else
//!          follow from the number of dumped pages
//! place    a block's data behind the data before it, then its descriptors at the rank reached
//! finish   the flag, where pages are missing
//! ```
//!
//! Data is placed before the descriptors that name it, and a descriptor never written reads as zeros, which means
//! "lost": cut off anywhere, the file stays readable up to there.
//!
//! Zero pages share one at every dump level, also where they are not left out: makedumpfile writes 4 KiB for each then,
//! or as many bytes as that becomes compressed. Half of an idle machine's memory is zeros, and no reader minds
//! descriptors that share an offset, which they know from dumps of level 1.
//!
//! A split dump is several such files: each has the headers and both bitmaps in full and holds the pages of one range,
//! its descriptors counted from the range's first page. Data begins where it would in a single file, in all of them
//! (the rest of each table is a hole), and each has a zero page of its own there. Readers count on both.

use dump_core::{DumpMeta, DumpWriter, PageSet, PageWriter, PfnRange, Placer, Result, WriteOptions};

use crate::compression::Compression;
use crate::page_writer::KdumpPageWriter;
use crate::preamble::Preamble;

/// Writes a kdump file of version 6, in the byte order and word size of the dumped machine.
pub struct KdumpWriter {
    compression: Option<Compression>,
    parts: Vec<PfnRange>,
}

impl KdumpWriter {
    /// A writer for one dump.
    ///
    /// The parts of a split dump start at multiples of 64. They need not be
    /// all parts: the others must be written without the same pages.
    ///
    /// # Errors
    /// `Unsupported` if this build leaves the codec out.
    pub fn new(options: &WriteOptions) -> Result<KdumpWriter> {
        let compression = options.codec.map(Compression::of).transpose()?;
        Ok(KdumpWriter { compression, parts: options.parts.clone() })
    }
}

impl DumpWriter for KdumpWriter {
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let codec = self.compression.map(|compression| compression.codec);
        let mut preamble = Preamble::new(codec, &self.parts, meta, ram).map_err(|e| e.within("kdump output"))?;
        preamble.place_heads(meta, out)?;
        preamble.place_bitmaps(ram, dumpable, out)?;
        // counted now, for a set that is computed window by window has counted itself by then
        let data_at = preamble.data_at(dumpable).map_err(|e| e.within("kdump output"))?;
        preamble.place_tables(data_at, out)?;
        Ok(Box::new(KdumpPageWriter::new(preamble, self.compression, data_at)))
    }
}
