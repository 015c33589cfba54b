//! What the tests share: memory as a function of the address, images made by hand, and a writer driven from start to
//! end.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use dump_core::*;
use std::io::Write;
use std::ops::Range;

/// What a page holds, or why nothing.
pub type Page = std::result::Result<Vec<u8>, Absence>;

/// Physical memory, the same in all tests: zeros, text and noise by turns of 8 KiB.
pub fn byte(addr: u64) -> u8 {
    let noise = (addr.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    match addr >> 13 & 3 {
        0 => 0,
        1 => b"physical memory "[(addr & 15) as usize],
        2 => (addr >> 8) as u8,
        _ => noise,
    }
}

pub fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

/// A header by the layout that the format gives it, written down a second time; the last address is inclusive.
pub fn header(magic: &[u8; 4], version: u8, start: u64, last: u64) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend([version, 0, 0, 0]);
    out.extend(start.to_le_bytes());
    out.extend(last.to_le_bytes());
    out.extend([0; 8]);
    out
}

pub fn lime(ranges: &[Range<u64>]) -> Vec<u8> {
    let range = |r: &Range<u64>| [header(b"EMiL", 1, r.start, r.end - 1), bytes(r.clone())].concat();
    ranges.iter().flat_map(range).collect()
}

/// As AVML does it: the snap crate's framing, then the length of what it made.
pub fn avml(ranges: &[Range<u64>]) -> Vec<u8> {
    ranges.iter().flat_map(|r| avml_range(r.start, &bytes(r.clone()))).collect()
}

pub fn avml_range(start: u64, memory: &[u8]) -> Vec<u8> {
    let mut out = header(b"AVML", 2, start, start + memory.len() as u64 - 1);
    let mut stream = snap::write::FrameEncoder::new(Vec::new());
    stream.write_all(memory).unwrap();
    let stream = stream.into_inner().unwrap();
    out.extend_from_slice(&stream);
    out.extend((stream.len() as u64).to_le_bytes());
    out
}

/// All pages of a source up to `end`, visited in runs of `step`; checks that spans cover each run exactly.
pub fn contents(source: &dyn PageSource, end: u64, step: u64) -> Vec<Page> {
    let mut out: Vec<Page> = Vec::new();
    let size = source.meta().page_size.bytes();
    let mut scratch = Scratch::default();
    let mut at = Pfn(0);
    while at < Pfn(end) {
        let run = PfnRange::new(at, (at + step).min(Pfn(end)));
        let mut push = |span: Span<'_>| {
            assert_eq!(span.pages.start, at, "spans follow each other");
            assert!(!span.pages.is_empty());
            for i in 0..span.pages.len() as usize {
                out.push(match span.content {
                    Content::Bytes(bytes) => Ok(bytes[i * size..(i + 1) * size].to_vec()),
                    Content::Absent(why) => Err(why),
                    other => panic!("{other:?}"),
                });
            }
            at = span.pages.end;
            Ok(())
        };
        source.visit(run, CodecSet::NONE, &mut scratch, &mut push).unwrap();
        assert_eq!(at, run.end, "spans cover the run");
    }
    out
}

/// What the pages of memory in `ranges` are.
pub fn expected(ranges: &[Range<u64>], size: PageSize, end: u64) -> Vec<Page> {
    let page = |pfn: u64| {
        let (start, len) = (size.bytes_of(pfn), size.bytes());
        let mut page = vec![0; len];
        let mut held = false;
        for range in ranges {
            let (from, to) = (range.start.max(start), range.end.min(start + len as u64));
            if from < to {
                held = true;
                page[(from - start) as usize..(to - start) as usize].copy_from_slice(&bytes(from..to));
            }
        }
        if held { Ok(page) } else { Err(Absence::Hole) }
    };
    (0..end).map(page).collect()
}

/// Checks a source against memory in `ranges`, in runs of several lengths.
pub fn check_source(source: &dyn PageSource, ranges: &[Range<u64>], steps: &[u64]) {
    let meta = source.meta();
    let last = ranges.iter().map(|range| range.end).max().unwrap();
    assert_eq!(meta.end_pfn.0, meta.page_size.pages_for(last));
    assert_eq!((meta.machine.elf_machine, meta.cpus, meta.notes.len()), (0, 0, 0));
    let end = meta.end_pfn.0 + 3;
    let want = expected(ranges, meta.page_size, end);
    for step in steps {
        assert!(contents(source, end, *step) == want, "runs of {step} pages");
    }
    for mark in [PageSource::mark_ram, PageSource::mark_held] {
        let mut set = PageBitmap::new(Pfn(end)).unwrap();
        mark(source, &mut set).unwrap();
        assert!((0..end).all(|pfn| set.get(Pfn(pfn)) == want[pfn as usize].is_ok()));
    }
}

/// A file in memory; data comes from the block in hand.
#[derive(Default)]
pub struct File {
    pub bytes: Vec<u8>,
    pub hand: Vec<u8>,
    /// Whether every placement followed the one before, as a pipe wants it.
    pub seeked: bool,
}

impl File {
    fn put(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        assert_eq!(part, 0);
        let at = offset as usize;
        self.seeked |= at != self.bytes.len();
        self.bytes.resize(self.bytes.len().max(at + bytes.len()), 0);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Placer for File {
    fn data(&mut self, part: usize, offset: u64, range: Range<usize>) -> Result<()> {
        let bytes = self.hand[range].to_vec();
        self.put(part, offset, &bytes)
    }

    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(part, offset, bytes)
    }

    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()> {
        self.put(part, offset, &vec![0; len as usize])
    }
}

/// Writes the pages of `source` that are in `kept`, in blocks of `block` pages, as the pipeline does; stops after
/// `blocks`.
pub fn write(
    writer: &mut dyn DumpWriter,
    source: &dyn PageSource,
    kept: &PageBitmap,
    block: u64,
    blocks: usize,
    ending: Ending,
) -> File {
    let (mut file, mut scratch, mut out) = (File::default(), Scratch::default(), EncodedBlock::default());
    writer.prepare(source.meta(), kept, kept, &mut file).unwrap();
    let mut encoder = writer.encoder();
    assert_eq!(writer.accepts(), CodecSet::NONE);
    let mut from = Pfn(0);
    for _ in 0..blocks {
        let run = kept.take(from, block);
        if run.is_empty() {
            break;
        }
        out.clear();
        for pages in kept.runs(run) {
            source.visit(pages, CodecSet::NONE, &mut scratch, &mut |span| encoder.push(span, &mut out)).unwrap();
        }
        file.hand.clone_from(&out.data);
        writer.place(&out, &mut file).unwrap();
        from = run.end;
    }
    writer.finish(ending, &mut file).unwrap();
    file
}
