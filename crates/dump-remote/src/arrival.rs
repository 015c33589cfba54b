//! Bytes as they arrive, into the blocks that they are of.

use crate::blocks::{BLOCK, Claim};
use crate::trouble::{Tried, Trouble};
use dump_core::{Error, ErrorKind};
use std::io::{self, Read};
use std::sync::Arc;

/// Blocks of a file on their way. Each is there for all as soon as its last byte is; what came of one when a connection
/// was lost is kept for the next.
pub(crate) struct Arrival<'a> {
    claim: Claim<'a>,
    /// The beginning of the block that is due.
    part: Vec<u8>,
    /// Offset of the next byte.
    pub at: u64,
    /// Offset behind the last.
    pub end: u64,
    /// The first block that came.
    pub first: Option<Arc<[u8]>>,
}

impl<'a> Arrival<'a> {
    /// Of all that was claimed of a file of `len` bytes.
    pub fn new(claim: Claim<'a>, len: u64) -> Arrival<'a> {
        let range = claim.range();
        let (at, end) = (range.start * BLOCK, (range.end * BLOCK).min(len));
        Arrival { claim, part: Vec::with_capacity(BLOCK as usize), at, end, first: None }
    }

    /// Takes what `body` has up to offset `end`, where it has to end.
    pub fn take(&mut self, mut body: impl Read, end: u64) -> Tried<()> {
        while self.at < end {
            match self.take_some(&mut body, end) {
                Ok(0) => return Err(cut(self.at, end)),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Trouble::of_stream(&e, true)),
            }
        }
        match body.read(&mut [0]) {
            // the connection is free for another request only now
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err(Trouble::lasting(too_much())),
        }
    }

    fn take_some(&mut self, body: &mut impl Read, end: u64) -> io::Result<usize> {
        let block_end = ((self.at / BLOCK + 1) * BLOCK).min(self.end);
        let had = self.part.len();
        self.part.resize(had + (block_end.min(end) - self.at) as usize, 0);
        let read = body.read(&mut self.part[had..]);
        let got = read.as_ref().map_or(0, |n| *n);
        self.part.truncate(had + got);
        self.at += got as u64;
        if self.at == block_end && got > 0 {
            let block: Arc<[u8]> = Arc::from(self.part.as_slice());
            self.part.clear();
            self.first.get_or_insert_with(|| Arc::clone(&block));
            self.claim.put(block);
        }
        read
    }
}

/// The error of an answer that goes on where it should end.
pub(crate) fn too_much() -> Error {
    Error::corrupt("the server sends more than it announces")
}

/// The trouble of an answer that ends at `at` rather than at `end`.
pub(crate) fn cut(at: u64, end: u64) -> Trouble {
    let text = format!("the server announces bytes up to offset {end:#x}, and sends them up to {at:#x}");
    Trouble::passing(Error::new(ErrorKind::Io, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{Blocks, Found};

    const LEN: u64 = 2 * BLOCK + 100;

    fn file() -> Vec<u8> {
        (0..LEN).map(|at| (at % 251) as u8).collect()
    }

    fn claim(blocks: &Blocks) -> Claim<'_> {
        match blocks.find(0, 0, 3, || 9) {
            Found::Claimed(claim) => claim,
            Found::Here(_) => panic!("it is here"),
        }
    }

    fn held(blocks: &Blocks, number: u64) -> Option<Vec<u8>> {
        match blocks.find(0, number, 3, || 1) {
            Found::Here(bytes) => Some(bytes.to_vec()),
            Found::Claimed(_) => None,
        }
    }

    #[test]
    fn a_lost_connection_loses_nothing_that_came() {
        let (file, blocks) = (file(), Blocks::default());
        let mut arrival = Arrival::new(claim(&blocks), LEN);
        for _ in 0..200 {
            let rest = &file[arrival.at as usize..];
            let trouble = arrival.take(&rest[..rest.len().min(333)], LEN);
            assert!(trouble.as_ref().is_err_and(|trouble| trouble.passes) || arrival.at == LEN);
            if trouble.is_ok() {
                break;
            }
        }
        assert_eq!((arrival.at, arrival.first.as_deref()), (LEN, Some(&file[..BLOCK as usize])));
        drop(arrival);
        let all = (0..3).flat_map(|number| held(&blocks, number).unwrap()).collect::<Vec<u8>>();
        assert!(all == file);
    }

    #[test]
    fn what_did_not_come_is_anybodys() {
        let (file, blocks) = (file(), Blocks::default());
        let mut arrival = Arrival::new(claim(&blocks), LEN);
        let e = arrival.take(&file[..BLOCK as usize + 7], LEN).unwrap_err();
        assert_eq!(e.error.to_string(), "the server announces bytes up to offset 0x10064, and sends them up to 0x8007");
        drop(arrival);
        assert!(held(&blocks, 0).is_some() && held(&blocks, 1).is_none());
    }

    #[test]
    fn more_than_was_announced() {
        let (file, blocks) = (file(), Blocks::default());
        let mut arrival = Arrival::new(claim(&blocks), LEN);
        let e = arrival.take(&file[..], BLOCK).unwrap_err();
        assert!(!e.passes && e.error.to_string().contains("more than it announces"));
    }
}
