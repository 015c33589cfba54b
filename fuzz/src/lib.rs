//! What the targets that parse share: a source is looked at as a conversion would, within bounds.

use dump_core::{CodecSet, Content, PageBitmap, PageSource, Pfn, PfnRange};

/// Pages looked at of one source, at most.
const MAX_PAGES: u64 = 4096;

/// Asks a source all that a conversion asks, and checks what it promises.
pub fn look(source: &dyn PageSource) {
    let size = source.meta().page_size.bytes() as u64;
    let end = source.meta().end_pfn;
    let mut reader = source.reader();
    // the first pages and the last, and what lies past them
    for start in [0, end.0.saturating_sub(MAX_PAGES / 2)] {
        let window = PfnRange::at(Pfn(start), MAX_PAGES);
        let Some(mut ram) = PageBitmap::windowed(window) else { continue };
        let Some(mut held) = PageBitmap::windowed(window) else { continue };
        let _ = source.mark_ram(&mut ram);
        let _ = source.mark_held(&mut held);
        let mut next = window.start;
        let done = reader.visit(window, CodecSet::NONE, &mut |span| {
            assert!(span.pages.start == next && !span.pages.is_empty(), "spans ascend without gaps");
            next = span.pages.end;
            if let Content::Bytes(bytes) = span.content {
                assert_eq!(bytes.len() as u64, span.pages.len() * size, "bytes of whole pages");
            }
            Ok(())
        });
        assert!(done.is_err() || next == window.end, "spans cover the run");
    }
}
