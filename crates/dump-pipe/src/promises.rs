//! What sources, encoders and writers promise each other, checked once for all of them: a broken promise is a bug of
//! ours, and must not become a dump that looks whole.

use dump_core::{EncodedBlock, EncodedSpan, Error, PageBitmap, PageSize, Pfn, PfnRange, Result, SpanData};

/// Checks a block of the dumpable pages of `run` before it is placed: its spans ascend, hold each of these pages and no
/// other, and have the bytes that they should.
///
/// # Errors
/// `Bug`, naming the pages.
pub(crate) fn check_block(block: &EncodedBlock, dumpable: &PageBitmap, run: PfnRange, size: PageSize) -> Result<()> {
    let (mut next, mut pages) = (run.start, 0);
    for span in &block.spans {
        check_span(span, block, next, size)?;
        next = span.pages.end;
        pages += dumpable.count(span.pages);
        if dumpable.count(span.pages) != span.pages.len() {
            return Err(Error::bug(format!("pages {} were encoded, but not all of them are to be dumped", span.pages)));
        }
    }
    let wanted = dumpable.count(run);
    if next > run.end || pages != wanted {
        return Err(Error::bug(format!("{pages} pages up to pfn {next} were encoded, expected {wanted} of {run}")));
    }
    Ok(())
}

fn check_span(span: &EncodedSpan, block: &EncodedBlock, next: Pfn, size: PageSize) -> Result<()> {
    let sound = match &span.data {
        SpanData::Stored { codec: None, data } => {
            data.end <= block.data.len() && data.len() as u64 == size.bytes_of(span.pages.len())
        }
        SpanData::Stored { codec: Some(_), data } => {
            data.end <= block.data.len() && span.pages.len() == 1 && (1..=size.bytes()).contains(&data.len())
        }
        SpanData::Zero | SpanData::Absent(_) => true,
    };
    if span.pages.is_empty() || span.pages.start < next || !sound {
        return Err(Error::bug(format!("span of pages {} after pfn {next}: {:?}", span.pages, span.data)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{Absence, CodecId, ErrorKind};

    fn run(start: u64, pages: u64) -> PfnRange {
        PfnRange::at(Pfn(start), pages)
    }

    fn stored(codec: Option<CodecId>, data: std::ops::Range<usize>) -> SpanData {
        SpanData::Stored { codec, data }
    }

    /// Pages 5, 6, 7 and 9 of 4 to 12 are to be dumped.
    fn check(spans: &[(PfnRange, SpanData)]) -> Result<()> {
        let mut dumpable = PageBitmap::new(Pfn(64)).unwrap();
        [run(5, 3), run(9, 1), run(20, 1)].into_iter().for_each(|pages| dumpable.set(pages));
        let spans = spans.iter().map(|(pages, data)| EncodedSpan { pages: *pages, data: data.clone() }).collect();
        check_block(&EncodedBlock { spans, data: vec![0; 3 * 4096] }, &dumpable, run(4, 8), PageSize::K4)
    }

    #[test]
    fn sound_blocks_pass() {
        let codec = Some(CodecId::new(0, "some"));
        let lost = (run(9, 1), SpanData::Absent(Absence::Lost));
        check(&[(run(5, 3), stored(None, 0..3 * 4096)), lost.clone()]).unwrap();
        check(&[(run(5, 2), SpanData::Zero), (run(7, 1), stored(codec, 0..1)), lost]).unwrap();
    }

    #[test]
    fn broken_promises_are_bugs() {
        let codec = Some(CodecId::new(0, "some"));
        let (three, last) = ((run(5, 3), SpanData::Zero), (run(9, 1), SpanData::Zero));
        for (what, spans) in [
            ("a page is missing", vec![three.clone()]),
            ("none came", vec![]),
            ("out of order", vec![last.clone(), three.clone()]),
            ("twice", vec![three.clone(), three.clone(), last.clone()]),
            ("not to be dumped", vec![(run(5, 4), SpanData::Zero), last.clone()]),
            ("of another block", vec![three.clone(), last.clone(), (run(20, 1), SpanData::Zero)]),
            ("empty", vec![(run(5, 0), SpanData::Zero), three.clone(), last.clone()]),
            ("too few bytes", vec![(run(5, 3), stored(None, 0..2 * 4096)), last.clone()]),
            ("bytes past the block's", vec![(run(5, 3), stored(None, 1..3 * 4096 + 1)), last.clone()]),
            ("several compressed in one", vec![(run(5, 3), stored(codec, 0..10)), last.clone()]),
            ("compressed to nothing", vec![three.clone(), (run(9, 1), stored(codec, 0..0))]),
            ("compressed to more than a page", vec![three.clone(), (run(9, 1), stored(codec, 0..4097))]),
        ] {
            assert_eq!(check(&spans).map_err(|e| e.kind()), Err(ErrorKind::Bug), "{what}");
        }
    }
}
