//! Pages that are not certain because data beside them are damaged.
//!
//! Damage is seldom of one page alone, and only a checksum tells where it ends. So from a page that does not decompress
//! on, both ways through the file, pages are doubted: uncompressed ones, which look well whatever they hold, up to and
//! with the first compressed one, of which noise could have hit a part. Noise alone does not decompress. A checksum that
//! holds ends it earlier, a gap between data or [`REACH`] too. This follows from the file alone, whatever is read at once:
//! other answers for the same page would be worse than either.

use std::ops::Range;

use dump_core::ByteReader;

use crate::codec::Codec;
use crate::decompress::Decompressor;
use crate::desc::PageDesc;
use crate::fate::Fate;
use crate::head::Head;

/// How many pages on damage is looked for.
const REACH: u64 = 256;

/// What a page's data show of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Not compressed: nothing.
    Nothing,
    /// That they decompress.
    Decompresses,
    /// That they are right: a checksum holds.
    Right,
    /// That they are damaged.
    Damaged,
}

impl Shown {
    /// What `data` show, compressed with `codec`.
    pub(crate) fn by(codec: Option<&Codec>, data: &[u8], page: usize, decompressor: &mut Decompressor) -> Shown {
        let Some(codec) = codec else { return Shown::Nothing };
        match decompressor.page(codec, data, page) {
            Err(_) => Shown::Damaged,
            Ok(_) if codec.checksum.is_some() => Shown::Right,
            Ok(_) => Shown::Decompresses,
        }
    }
}

/// Which pages are doubted of those that `shown` are of, whose data follow each other; `before` and `after` are how many
/// pages away from the first and the last of them the next damaged data are, if they are beside them.
pub(crate) fn doubtful(shown: &[Shown], before: Option<u64>, after: Option<u64>) -> Vec<bool> {
    let mut doubtful = vec![false; shown.len()];
    spread(before, shown.iter().zip(&mut doubtful));
    spread(after, shown.iter().zip(&mut doubtful).rev());
    doubtful
}

/// Doubts pages one way. Damage lies `away` in front of the first of them, if any does.
fn spread<'a>(away: Option<u64>, pages: impl Iterator<Item = (&'a Shown, &'a mut bool)>) {
    let mut away = away;
    for (shown, doubtful) in pages {
        let near = away.filter(|away| *away <= REACH);
        *doubtful |= near.is_some() && matches!(shown, Shown::Nothing | Shown::Decompresses);
        away = match shown {
            Shown::Damaged => Some(1),
            Shown::Nothing => near.map(|away| away + 1),
            Shown::Right | Shown::Decompresses => None,
        };
    }
}

/// How far from the page of descriptor `rank`, whose data begin at `offset`, those in front of it are damaged that reach
/// up to them.
pub(crate) fn before(
    head: &Head,
    input: &mut dyn ByteReader,
    decompressor: &mut Decompressor,
    rank: u64,
    offset: u64,
) -> Option<u64> {
    let ranks = rank.saturating_sub(REACH)..rank;
    let mut expected = offset;
    let next = fates(head, input, ranks)?.into_iter().rev();
    nearest(head, input, decompressor, next, |offset, size| {
        let joins = offset.checked_add(size) == Some(expected);
        expected = offset;
        joins
    })
}

/// How far from the page of descriptor `rank`, whose data end at `end`, those behind it are damaged that begin there.
pub(crate) fn after(
    head: &Head,
    input: &mut dyn ByteReader,
    decompressor: &mut Decompressor,
    rank: u64,
    end: u64,
) -> Option<u64> {
    let ranks = rank.saturating_add(1)..rank.saturating_add(1 + REACH).min(head.pages());
    let mut expected = end;
    let next = fates(head, input, ranks)?.into_iter();
    nearest(head, input, decompressor, next, |offset, size| {
        let joins = offset == expected;
        expected = offset.saturating_add(size);
        joins
    })
}

/// How many pages on the first one is that is not uncompressed, if it is damaged, and `joins` all the way.
fn nearest(
    head: &Head,
    input: &mut dyn ByteReader,
    decompressor: &mut Decompressor,
    fates: impl Iterator<Item = Option<Fate>>,
    mut joins: impl FnMut(u64, u64) -> bool,
) -> Option<u64> {
    for (fate, away) in fates.zip(1..) {
        match fate? {
            Fate::Zero => {}
            Fate::Absent(_) => return None,
            Fate::Stored { offset, size, .. } if !joins(offset, size as u64) => return None,
            Fate::Stored { codec: None, .. } => {}
            Fate::Stored { codec, offset, size } => {
                let data = input.view(offset, size).ok()?;
                let shown = Shown::by(codec, data, head.header.page_size.bytes(), decompressor);
                return (shown == Shown::Damaged).then_some(away);
            }
        }
    }
    None
}

/// What the descriptors `ranks` mean; `None` for those that mean nothing.
fn fates(head: &Head, input: &mut dyn ByteReader, ranks: Range<u64>) -> Option<Vec<Option<Fate>>> {
    let (at, end) = (head.layout.descriptor(ranks.start)?, head.layout.descriptor(ranks.end)?);
    let len = end.min(head.file_len).checked_sub(at)? as usize / PageDesc::SIZE * PageDesc::SIZE;
    let mut f = PageDesc::fields(input.view(at, len).ok()?, head.header.abi.order);
    let descs = ranks.map_while(|rank| Some((rank, PageDesc::decode(&mut f).ok()?)));
    let fate = |(rank, desc)| match head.disbelieved(rank) {
        Some(instead) => Some(instead),
        None => Fate::of(desc, head).ok(),
    };
    Some(descs.map(fate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r` uncompressed, `c` compressed, `s` with a checksum, `x` damaged; what is doubted.
    fn doubted(pages: &str, before: Option<u64>, after: Option<u64>) -> String {
        let shown = pages.chars().map(|page| match page {
            'r' => Shown::Nothing,
            'c' => Shown::Decompresses,
            's' => Shown::Right,
            _ => Shown::Damaged,
        });
        let doubtful = doubtful(&shown.collect::<Vec<_>>(), before, after);
        doubtful.iter().map(|doubted| if *doubted { '?' } else { '.' }).collect()
    }

    #[test]
    fn up_to_the_first_that_shows_something() {
        for (pages, doubts) in [
            ("rrrr", "...."),
            ("rrxrr", "??.??"),
            ("srxrs", ".?.?."),
            ("ccxcc", ".?.?."),
            ("crrxrrc", "???.???"),
            ("rcrxrcr", ".??.??."),
            ("xrx", ".?."),
        ] {
            assert_eq!(doubted(pages, None, None), doubts, "{pages}");
        }
    }

    #[test]
    fn from_outside() {
        assert_eq!(doubted("rcr", Some(3), None), "??.");
        assert_eq!(doubted("rcr", None, Some(1)), ".??");
        assert_eq!(doubted("srr", Some(1), None), "...");
        assert_eq!(doubted("rrr", Some(REACH - 1), None), "??.", "no farther than this");
    }

    /// Whatever is looked at at once.
    #[test]
    fn windows_make_no_difference() {
        let pages = "rrxrrrcrrrsrrxcrxrrrrrrcxsrrr";
        let whole = doubted(pages, None, None);
        for at in 0..=pages.len() {
            let (left, right) = pages.split_at(at);
            let away = |pages: &mut dyn Iterator<Item = char>| {
                let (away, page) = (1..).zip(pages).find(|(_, page)| *page != 'r')?;
                (page == 'x').then_some(away)
            };
            let (before, after) = (away(&mut left.chars().rev()), away(&mut right.chars()));
            assert_eq!(doubted(left, None, after) + &doubted(right, before, None), whole, "at {at}");
        }
    }
}
