//! A container is looked at as a conversion and a check would, within bounds, and must keep what it promises.

use dump_core::{Absence, CodecSet, Container, Content, PageBitmap, PageReader, PageSource, Pfn, PfnRange};

/// Pages looked at of one container, at its start and at its end.
const MAX_PAGES: u64 = 2048;

/// Pages read at a time when they are read again.
const PIECE: u64 = 7;

/// Asks a container all that a conversion and a check ask.
pub fn look(container: &dyn Container) {
    look_and(container, true);
}

/// The same without a check, of what is left of a damaged file: what is lost there is known.
pub fn look_at_rest(container: &dyn Container) {
    look_and(container, false);
}

fn look_and(container: &dyn Container, checks: bool) {
    let notes = &container.meta().notes;
    let _ = (notes.describe(), notes.vmcoreinfo_texts(), notes.cpus(), notes.erase_info());
    let _ = dump_elf::QnxGuest::of(notes)
        .map(|guest| guest.cpus.iter().map(|c| c.named_registers(container.meta().machine).len()).sum::<usize>());
    let _ = (container.damage(), container.describe(), container.check_headers(), container.meta().release());
    let end = container.meta().end_pfn;
    // the first pages and the last, and what lies past them
    for start in [0, end.0.saturating_sub(MAX_PAGES / 2) / 64 * 64] {
        look_at(container, PfnRange::at(Pfn(start), MAX_PAGES), checks);
    }
}

fn look_at(container: &dyn Container, window: PfnRange, checks: bool) {
    let Some(mut ram) = PageBitmap::windowed(window) else { return };
    let Some(mut held) = PageBitmap::windowed(window) else { return };
    let marked = container.mark_ram(&mut ram).is_ok() & container.mark_held(&mut held).is_ok();
    let Some(pages) = pages(&container, container.reader().as_mut(), [window]) else { return };
    if window.start == Pfn(0) {
        let pieces = (0..64).map(|i| PfnRange::at(Pfn(i * PIECE), PIECE));
        let again = self::pages(&container, container.reader().as_mut(), pieces);
        assert!(again.is_none_or(|again| again == pages[..again.len()]), "pages depend on how they are read");
    }
    if marked && checks {
        check(container, &held, &pages);
    }
}

/// A page as it was read: a digest, or why there is none.
type Page = Result<u64, Absence>;

/// The pages of `runs`; `None` where reading failed as a whole.
fn pages(
    source: &dyn PageSource,
    reader: &mut dyn PageReader,
    runs: impl IntoIterator<Item = PfnRange>,
) -> Option<Vec<Page>> {
    let size = source.meta().page_size.bytes();
    let zero = digest(&vec![0; size]);
    let mut pages = Vec::new();
    for run in runs {
        let mut next = run.start;
        let done = reader.visit(run, CodecSet::NONE, &mut |span| {
            assert!(span.pages.start == next && !span.pages.is_empty(), "spans ascend without gaps");
            next = span.pages.end;
            let many = span.pages.len() as usize;
            match span.content {
                Content::Bytes(bytes) => {
                    assert_eq!(bytes.len(), many * size, "bytes of whole pages");
                    pages.extend(bytes.chunks(size).map(|page| Ok(digest(page))));
                }
                Content::Zero => pages.extend(std::iter::repeat_n(Ok(zero), many)),
                Content::Absent(why) => pages.extend(std::iter::repeat_n(Err(why), many)),
                Content::Compressed { .. } => panic!("nobody asked for compressed pages"),
            }
            Ok(())
        });
        done.ok()?;
        assert!(next == run.end, "spans cover the run");
    }
    Some(pages)
}

/// FNV-1a by words: only equality matters.
fn digest(page: &[u8]) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    page.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, bytes| (sum ^ word(bytes)).wrapping_mul(0x0100_0000_01b3))
}

/// Each held page that cannot be read is named by a check.
fn check(container: &dyn Container, held: &PageBitmap, pages: &[Page]) {
    let window = held.span();
    let Some(mut named) = PageBitmap::windowed(window) else { return };
    let mut checker = container.checker();
    for run in held.runs(window) {
        if checker.check(run, &mut |fault| named.set(fault.pages.intersect(run))).is_err() {
            return;
        }
    }
    for (pfn, page) in (window.start.0..).map(Pfn).zip(pages) {
        let absent = matches!(page, Err(Absence::Lost | Absence::Unreadable));
        assert!(!absent || !held.get(pfn) || named.get(pfn), "pfn {pfn} cannot be read, and a check says nothing");
    }
}
