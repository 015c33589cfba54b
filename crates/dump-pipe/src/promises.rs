//! What sources, encoders and writers promise each other, checked once for all of them: a broken promise is a bug of
//! ours, and must not become a dump that looks whole.

use dump_core::{EncodedBlock, EncodedSpan, Error, PageSize, PfnRange, Result, SpanData};

/// Checks a block before it is placed: its spans cover `runs`, the dumpable pages of the block, exactly and in order, and have the
/// bytes that they should. Arithmetic alone: looking pages up again would cost a fast codec a twentieth.
///
/// # Errors
/// `Bug`, naming the pages.
pub(crate) fn check_block(block: &EncodedBlock, runs: impl Iterator<Item = PfnRange>, size: PageSize) -> Result<()> {
    let mut spans = block.spans.iter();
    for run in runs {
        let mut rest = run;
        while !rest.is_empty() {
            let span = spans.next().ok_or_else(|| Error::bug(format!("pages {rest} did not come")))?;
            check_span(span, block, rest, size)?;
            rest.start = span.pages.end;
        }
    }
    match spans.next() {
        Some(span) => Err(Error::bug(format!("pages {} came, though they are not to be dumped", span.pages))),
        None => Ok(()),
    }
}

/// Checks a span, which is to begin with `rest` and lie within it.
fn check_span(span: &EncodedSpan, block: &EncodedBlock, rest: PfnRange, size: PageSize) -> Result<()> {
    let sound = match &span.data {
        SpanData::Stored { codec: None, data } => {
            data.end <= block.data.len() && data.len() as u64 == size.bytes_of(span.pages.len())
        }
        SpanData::Stored { codec: Some(_), data } => {
            data.end <= block.data.len() && span.pages.len() == 1 && (1..=size.bytes()).contains(&data.len())
        }
        SpanData::Zero | SpanData::Absent(_) => true,
    };
    let in_turn = span.pages.start == rest.start && !span.pages.is_empty() && span.pages.end <= rest.end;
    if !sound || !in_turn {
        return Err(Error::bug(format!("pages {} of {rest}: {:?}", span.pages, span.data)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{Absence, CodecId, ErrorKind, PageBitmap, Pfn};

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
        check_block(&EncodedBlock { spans, data: vec![0; 3 * 4096] }, dumpable.runs(run(4, 8)), PageSize::K4)
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
