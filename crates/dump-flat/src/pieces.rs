//! Which bytes of a flattened file hold which bytes of its image.
//!
//! A piece stands for records that follow each other, in the file and in the image, and are of one size: writers fill a
//! buffer and send it, so most records are. QEMU writes records of 16 KiB, an index after some 85 of data: a dump of 1
//! TiB has 64 million records and 1.5 million pieces, 36 MB of them. Records of which none can be joined cost 24 bytes
//! each.
//!
//! ```text
//! image    start ......... + len ......... + 2 len ....        count records
//! file     pos ...|16 bytes|pos + len + 16 ...|16 bytes|...    a record header between each two
//! ```
//!
//! Later records win where two overlap. Records are found in the order of the file, so `pos` shows which is later.

use crate::header::RECORD_LEN;
use crate::scan::Data;
use dump_core::{Error, Result};
use std::collections::BinaryHeap;
use std::ops::Range;

/// What lies between the data of two records.
const BETWEEN: u64 = RECORD_LEN as u64;

/// Pieces that any file may have: 24 MiB of them.
const FREE_PIECES: usize = 1 << 20;

/// A file may have one more piece for so many bytes. Together with what a growing vector and the sweep take for a
/// while, an index stays below a sixteenth of its file.
const BYTES_PER_PIECE: u64 = 2048;

/// A record is cut to lengths that fit a piece; each counts as a record.
const MAX_LEN: u64 = 1 << 30;

/// `count` records of `len` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// Where the first begins in the image.
    start: u64,
    /// Where its data begins in the file.
    pos: u64,
    len: u32,
    count: u32,
}

impl Piece {
    fn one(start: u64, pos: u64, len: u64) -> Piece {
        Piece { start, pos, len: len as u32, count: 1 } // len is MAX_LEN at most
    }

    fn end(&self) -> u64 {
        self.start + u64::from(self.len) * u64::from(self.count)
    }

    fn stride(&self) -> u64 {
        u64::from(self.len) + BETWEEN
    }

    /// Takes in the data of the next record, if it goes on where the piece ends, and in the same way.
    fn join(&mut self, next: &Piece) -> bool {
        let pos = self.pos + self.stride() * u64::from(self.count);
        let fits = (next.start, next.pos, next.len) == (self.end(), pos, self.len) && self.count < u32::MAX;
        self.count += u32::from(fits);
        fits
    }

    /// Where byte `at` of the image lies in the file, and how many bytes of the same record there are from it on.
    fn locate(&self, at: u64) -> (u64, u64) {
        let len = u64::from(self.len).max(1);
        let (record, within) = ((at - self.start) / len, (at - self.start) % len);
        (self.pos + record * self.stride() + within, len - within)
    }

    /// The part of the piece that makes `range` of the image: a record cut at its front, whole ones, one cut at its
    /// end.
    fn cut(&self, range: Range<u64>, out: &mut Vec<Piece>) {
        let mut at = range.start;
        while at < range.end {
            let (pos, rest) = self.locate(at);
            let whole = (range.end - at) / u64::from(self.len).max(1);
            let piece = if rest == u64::from(self.len) && whole > 1 {
                Piece { start: at, pos, len: self.len, count: whole as u32 } // no more than the count it is cut from
            } else {
                Piece::one(at, pos, rest.min(range.end - at))
            };
            at = piece.end();
            out.push(piece);
        }
    }
}

/// A fragment of a read: bytes that lie together in the file, or in no record at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Where in the file; `None` for zeros.
    pub pos: Option<u64>,
    /// How many bytes.
    pub len: u64,
}

/// Ascending, disjoint pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    list: Vec<Piece>,
    limit: usize,
}

impl Pieces {
    /// None yet, of a file of `file_len` bytes.
    pub fn new(file_len: u64) -> Pieces {
        let limit = usize::try_from(file_len / BYTES_PER_PIECE).unwrap_or(usize::MAX);
        Pieces { list: Vec::new(), limit: limit.max(FREE_PIECES) }
    }

    /// Appends a record, in the order of the file.
    ///
    /// # Errors
    /// `Unsupported` if there are too many small ones to hold in memory.
    pub fn push(&mut self, data: Data) -> Result<()> {
        let mut done = 0;
        while done < data.len {
            let len = (data.len - done).min(MAX_LEN);
            let piece = Piece::one(data.offset + done, data.pos + done, len);
            if !self.list.last_mut().is_some_and(|last| last.join(&piece)) {
                self.check(self.list.len())?;
                self.list.push(piece);
            }
            done += len;
        }
        Ok(())
    }

    /// Sorts the pieces and, where they overlap, keeps the later.
    ///
    /// # Errors
    /// As [`push`](Pieces::push).
    pub fn resolve(&mut self) -> Result<()> {
        self.list.sort_unstable_by_key(|piece| piece.start);
        let disjoint = self.list.iter().zip(self.list.iter().skip(1)).all(|(a, b)| a.end() <= b.start);
        if !disjoint {
            self.list = self.sweep()?;
        }
        self.list.shrink_to_fit();
        Ok(())
    }

    /// Goes over the sorted pieces with a heap of those that have begun, the latest on top:
    ///
    /// ```text
    /// at = the first start
    /// loop: drop what ended; the top holds from `at` to its end, or to the start of a later one if that comes first
    /// ```
    ///
    /// Each round ends a piece or begins one, so it takes n log n however they lie, and gives 6 n pieces at most.
    fn sweep(&self) -> Result<Vec<Piece>> {
        let mut out: Vec<Piece> = Vec::with_capacity(self.list.len());
        let mut begun = BinaryHeap::new();
        let mut next = self.list.iter().enumerate().peekable();
        let mut at = 0;
        loop {
            let top = match begun.peek().and_then(|(_, i): &(u64, usize)| self.list.get(*i)) {
                Some(top) if top.end() <= at => {
                    begun.pop();
                    continue;
                }
                Some(top) => top,
                None => {
                    let Some((i, piece)) = next.next() else { break };
                    at = at.max(piece.start);
                    begun.push((piece.pos, i));
                    continue;
                }
            };
            let mut stop = top.end();
            let mut later = false;
            while let Some((i, piece)) = next.next_if(|(_, piece)| piece.start < stop && !later) {
                begun.push((piece.pos, i));
                if piece.pos > top.pos {
                    stop = piece.start.max(at);
                    later = true;
                }
            }
            top.cut(at..stop, &mut out);
            self.check(out.len())?;
            at = stop;
        }
        Ok(out)
    }

    fn check(&self, pieces: usize) -> Result<()> {
        if pieces < self.limit {
            return Ok(());
        }
        let what = format!("flattened dump: more than {} separate records, too many to index in memory", self.limit);
        Err(Error::unsupported(what).hint("gdump -R makes a regular dump of it"))
    }

    /// How long the image is.
    pub fn end(&self) -> u64 {
        self.list.last().map_or(0, Piece::end)
    }

    /// How many bytes of the image there are in pieces.
    pub fn covered(&self) -> u64 {
        self.list.iter().map(|piece| piece.end() - piece.start).fold(0, u64::saturating_add)
    }

    /// The fragments that make `range`, ascending. Finding the first is a binary search; no memory of the last read is
    /// kept, which workers would fight for.
    pub fn fragments(&self, range: Range<u64>) -> impl Iterator<Item = Fragment> {
        let first = self.list.partition_point(|piece| piece.end() <= range.start);
        let mut rest = self.list.get(first..).unwrap_or_default().iter().peekable();
        let mut at = range.start;
        std::iter::from_fn(move || {
            while rest.next_if(|piece| piece.end() <= at).is_some() {}
            let left = range.end.checked_sub(at).filter(|left| *left > 0)?;
            let fragment = match rest.peek() {
                Some(piece) if piece.start <= at => {
                    let (pos, len) = piece.locate(at);
                    Fragment { pos: Some(pos), len: len.min(left) }
                }
                Some(piece) => Fragment { pos: None, len: left.min(piece.start - at) },
                None => Fragment { pos: None, len: left },
            };
            at += fragment.len;
            Some(fragment)
        })
    }

    /// How many pieces there are.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Records laid out in a file one after the other, as pieces.
    fn pieces(records: &[(u64, u64)]) -> Pieces {
        let mut pieces = Pieces::new(0);
        for data in layout(records) {
            pieces.push(data).unwrap();
        }
        pieces.resolve().unwrap();
        pieces
    }

    fn layout(records: &[(u64, u64)]) -> Vec<Data> {
        let mut pos = 4096;
        let place = |(offset, len): &(u64, u64)| {
            let data = Data { offset: *offset, pos: pos + 16, len: *len };
            pos += 16 + len;
            data
        };
        records.iter().map(place).collect()
    }

    /// Where byte `at` of the image lies: in the last record that holds it.
    fn model(records: &[(u64, u64)], at: u64) -> Option<u64> {
        let holds = |data: &&Data| (data.offset..data.offset + data.len).contains(&at);
        layout(records).iter().rev().find(holds).map(|data| data.pos + (at - data.offset))
    }

    fn check(records: &[(u64, u64)]) {
        let pieces = pieces(records);
        assert!(pieces.list.windows(2).all(|w| w[0].end() <= w[1].start), "{records:?}");
        let end = records.iter().map(|(offset, len)| offset + len).max().unwrap_or(0);
        assert_eq!(pieces.end(), end);
        for from in 0..end + 2 {
            let mut at = from;
            for fragment in pieces.fragments(from..end + 2) {
                assert!(fragment.len > 0);
                for i in 0..fragment.len {
                    assert_eq!(fragment.pos.map(|pos| pos + i), model(records, at), "byte {at} of {records:?}");
                    at += 1;
                }
            }
            assert_eq!(at, end + 2);
        }
    }

    #[test]
    fn the_later_wins() {
        for records in [
            vec![],
            vec![(0, 4)],
            vec![(3, 4), (0, 2)],
            vec![(0, 10), (0, 10)],
            vec![(0, 10), (3, 4)],
            vec![(3, 4), (0, 10)],
            vec![(0, 4), (2, 4), (4, 4), (1, 2)],
            vec![(0, 4), (4, 4), (8, 4), (12, 4), (6, 4)],
            vec![(6, 4), (0, 4), (4, 4), (8, 4), (12, 4)],
            vec![(2, 3), (0, 4), (4, 4), (8, 4), (12, 4), (1, 1), (7, 9), (0, 1)],
            vec![(5, 1), (3, 5), (1, 9), (0, 12), (2, 2)],
        ] {
            check(&records);
        }
    }

    proptest! {
        #[test]
        fn the_later_wins_everywhere(
            runs in prop::collection::vec((0u64..60, 1u64..8, 1u64..6), 0..12),
        ) {
            // Runs of equal records, one after the other in the image, so that pieces of several records overlap too.
            let run = |(start, len, count): &(u64, u64, u64)| {
                let (start, len) = (*start, *len);
                (0..*count).map(move |i| (start + i * len, len)).collect::<Vec<_>>()
            };
            check(&runs.iter().flat_map(run).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_records_in_a_row_are_one_piece() {
        let row: Vec<_> = (0..1000).map(|i| (i * 16384, 16384)).collect();
        assert_eq!(pieces(&row).count(), 1);
        let with_tail: Vec<_> = row.iter().copied().chain([(1000 * 16384, 77)]).collect();
        assert_eq!(pieces(&with_tail).count(), 2);
        assert_eq!(pieces(&row.iter().rev().copied().collect::<Vec<_>>()).count(), 1000);
        // A header written again cuts the first record and leaves the others together.
        let again: Vec<_> = row.iter().copied().chain([(0, 464)]).collect();
        assert_eq!(pieces(&again).count(), 3);
    }

    #[test]
    fn records_of_many_gib() {
        let pieces = pieces(&[(100, 5 << 30)]);
        assert_eq!(pieces.end(), 100 + (5 << 30));
        let mut fragments = pieces.fragments(100 + (4 << 30)..u64::MAX >> 1);
        assert_eq!(fragments.next(), Some(Fragment { pos: Some(4112 + (4 << 30)), len: 1 << 30 }));
        assert_eq!(fragments.next().map(|fragment| fragment.pos), Some(None));
    }

    #[test]
    fn an_index_has_a_bound() {
        let mut pieces = Pieces::new(0);
        let mut push = |i: u64| pieces.push(Data { offset: i * 2, pos: 4112 + i * 17, len: 1 });
        (0..FREE_PIECES as u64).for_each(|i| push(i).unwrap());
        assert_eq!(push(FREE_PIECES as u64).unwrap_err().kind(), dump_core::ErrorKind::Unsupported);
        assert_eq!(Pieces::new(1 << 40).limit, 1 << 29);
    }

    /// Two hundred thousand records, each within the one before: no quadratic work, no recursion.
    #[test]
    fn deep_nests_are_swept_in_time() {
        let nest: Vec<_> = (0..200_000u64).map(|i| (i, 1_000_000 - 2 * i)).collect();
        let pieces = pieces(&nest);
        assert_eq!(pieces.count(), 2 * nest.len() - 1);
        let mirrored: Vec<_> = nest.into_iter().rev().collect();
        assert_eq!(super::tests::pieces(&mirrored).count(), 1);
    }
}
