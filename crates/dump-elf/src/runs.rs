//! Runs of page frames out of a set of them.
//!
//! A set may span 2^36 pages of which few are there: stretches that are all in or all out are counted, not looked at.

use dump_core::{PageSet, Pfn, PfnRange, Result};

/// Pages looked at at once: 64 KiB of bits.
const WINDOW: u64 = 1 << 19;

/// Calls `each` with runs of pages of `set` that lie in `within`, ascending. Runs may touch: joining is left to the
/// caller.
///
/// # Errors
/// What `each` returns.
pub(crate) fn visit(set: &dyn PageSet, within: PfnRange, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
    let within = within.intersect(set.span());
    let mut bits = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let end = Pfn((at.0 / WINDOW + 1) * WINDOW).min(within.end);
        let window = PfnRange::new(at, end);
        match set.count(window)? {
            0 => {}
            all if all == window.len() => each(window)?,
            _ => {
                let aligned = PfnRange::new(Pfn(at.0 & !7), end); // bits come in whole bytes
                bits.resize(aligned.len().div_ceil(8) as usize, 0);
                set.write_bytes(aligned, &mut bits)?;
                scan(&bits, aligned.start, window, each)?;
            }
        }
        at = end;
    }
    Ok(())
}

/// The page after the last one of `set` in `within`; `None` where there is none.
pub(crate) fn end(set: &dyn PageSet, within: PfnRange) -> Result<Option<Pfn>> {
    let mut last = None;
    visit(set, within, &mut |run| {
        last = Some(run.end);
        Ok(())
    })?;
    Ok(last)
}

/// Runs of 1 bits, lowest first; bit 0 of the first byte is page `first`. Those outside of `window` are passed over.
fn scan(bits: &[u8], first: Pfn, window: PfnRange, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
    let mut open: Option<Pfn> = None;
    for (i, bytes) in bits.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u64::from_le_bytes(word);
        let mut at = 0;
        loop {
            let sought = if open.is_some() { !word } else { word }.checked_shr(at).unwrap_or(0);
            if sought == 0 {
                break;
            }
            at += sought.trailing_zeros();
            let pfn = first + 64 * i as u64 + u64::from(at);
            match open.take() {
                Some(start) => give(PfnRange::new(start, pfn), window, each)?,
                None => open = Some(pfn),
            }
        }
    }
    match open {
        Some(start) => give(PfnRange::new(start, window.end), window, each),
        None => Ok(()),
    }
}

fn give(run: PfnRange, window: PfnRange, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
    let run = run.intersect(window);
    if run.is_empty() { Ok(()) } else { each(run) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::PageBitmap;
    use proptest::prelude::*;

    fn joined(set: &PageBitmap, within: PfnRange) -> Vec<PfnRange> {
        let mut list: Vec<PfnRange> = Vec::new();
        visit(set, within, &mut |run| {
            assert!(!run.is_empty() && list.last().is_none_or(|last| last.end <= run.start));
            match list.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => list.push(run),
            }
            Ok(())
        })
        .unwrap();
        list
    }

    proptest! {
        #[test]
        fn finds_what_the_bitmap_finds(
            base in prop::sample::select(vec![0u64, 64, WINDOW - 128]),
            runs in prop::collection::vec((0u64..400, 0u64..130), 0..8), from in 0u64..400, len in 0u64..400,
        ) {
            let mut set = PageBitmap::windowed(PfnRange::at(Pfn(base), 500)).unwrap();
            for (at, len) in runs {
                set.set(PfnRange::at(Pfn(base + at), len));
            }
            let within = PfnRange::at(Pfn(base + from), len);
            let want: Vec<_> = set.runs(within).collect();
            prop_assert_eq!(end(&set, within).unwrap(), want.last().map(|run| run.end));
            prop_assert_eq!(joined(&set, within), want);
        }
    }

    #[test]
    fn a_wide_window_with_little_in_it() {
        let mut set = PageBitmap::new(Pfn(1 << 36)).unwrap();
        let runs = [(5, WINDOW * 3 + 7), (1 << 35, (1 << 35) + 1), ((1 << 36) - 9, 1 << 36)];
        let runs = runs.map(|(start, end)| PfnRange::new(Pfn(start), Pfn(end)));
        runs.iter().for_each(|run| set.set(*run));
        assert_eq!(joined(&set, set.span()), runs);
    }
}
