//! An output whose checksums are made while it is written.

use crate::sums::{BLOCK, BlockHasher, Sums, block_hash};
use blake3::Hash;
use dump_core::{ReadAt, Result, WriteAt};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks that are hashed at a time, at most: pages in one place, their index in another, and what is in between.
const OPEN: usize = 64;

/// An output that hashes what passes to it.
///
/// A block whose bytes come one after the other is hashed as they come. One that is written in another order, or again
/// (headers that are put right at the end), or has a gap, is read again when all is written; of a dump that is the start
/// and the table.
pub struct Summed<'a> {
    output: &'a dyn WriteAt,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<u64, Block>,
    open: usize,
}

enum Block {
    /// Hashed up to so many bytes from its start.
    Open(Box<BlockHasher>, u64),
    /// All of its bytes came in order.
    Whole(Hash),
    /// To be read again.
    Dirty,
}

impl<'a> Summed<'a> {
    /// Passes everything on to `output`, which is empty.
    pub fn new(output: &'a dyn WriteAt) -> Summed<'a> {
        Summed { output, state: Mutex::default() }
    }

    /// The checksums of what was written, which `written` reads.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn sums(self, written: &dyn ReadAt) -> Result<Sums> {
        let State { mut blocks, .. } = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let len = written.len()?;
        let mut reader = written.reader();
        let mut hashes = Vec::new();
        for number in 0..len.div_ceil(BLOCK) {
            let size = (len - number * BLOCK).min(BLOCK);
            let hash = match blocks.remove(&number) {
                Some(Block::Whole(hash)) if size == BLOCK => hash,
                Some(Block::Open(hasher, done)) if done == size => hasher.finalize(),
                _ => block_hash(reader.view(number * BLOCK, size as usize)?),
            };
            hashes.push(hash);
        }
        Ok(Sums::new(len, hashes))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Bytes `from..` of a block.
    fn add(&mut self, number: u64, from: u64, bytes: &[u8]) {
        let open = &mut self.open;
        let block = self.blocks.entry(number).or_insert_with(|| match from == 0 && *open < OPEN {
            true => {
                *open += 1;
                Block::Open(Box::default(), 0)
            }
            false => Block::Dirty,
        });
        match block {
            Block::Open(hasher, done) if *done == from => {
                hasher.update(bytes);
                *done += bytes.len() as u64;
                if *done == BLOCK {
                    let hash = hasher.finalize();
                    *block = Block::Whole(hash);
                    *open -= 1;
                }
            }
            Block::Dirty => {}
            Block::Open(..) => {
                *block = Block::Dirty;
                *open -= 1;
            }
            Block::Whole(_) => *block = Block::Dirty,
        }
    }
}

impl WriteAt for Summed<'_> {
    fn can_rewrite(&self) -> bool {
        self.output.can_rewrite()
    }

    fn sync(&self) -> Result<()> {
        self.output.sync()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.output.write_at(offset, bytes)?;
        let mut state = self.lock();
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let from = at % BLOCK;
            let len = ((BLOCK - from) as usize).min(rest.len());
            let (piece, tail) = rest.split_at(len);
            state.add(at / BLOCK, from, piece);
            (at, rest) = (at + len as u64, tail);
        }
        Ok(())
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        self.output.zeros(offset, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Memory(Mutex<Vec<u8>>);

    impl WriteAt for Memory {
        fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
            let mut all = self.0.lock().unwrap();
            let end = offset as usize + bytes.len();
            let len = all.len().max(end);
            all.resize(len, 0);
            all[offset as usize..end].copy_from_slice(bytes);
            Ok(())
        }

        fn zeros(&self, offset: u64, len: u64) -> Result<()> {
            let mut all = self.0.lock().unwrap();
            let end = all.len().max((offset + len) as usize);
            all.resize(end, 0);
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is written in whatever order, the checksums are those of what stands there in the end.
        #[test]
        fn sums_are_those_of_the_file(writes in prop::collection::vec((0u64..3 << 20, 1usize..2 << 20, any::<u8>()), 1..12)) {
            let memory = Memory::default();
            let summed = Summed::new(&memory);
            summed.zeros(0, 5000).unwrap();
            let mut at = 0;
            for (i, (offset, len, byte)) in writes.iter().enumerate() {
                // every other write goes on where the one before it ended
                let from = if i % 2 == 0 { *offset } else { at };
                summed.write_at(from, &vec![*byte; *len]).unwrap();
                at = from + *len as u64;
            }
            let bytes = memory.0.lock().unwrap().clone();
            let sums = summed.sums(&bytes).unwrap();
            prop_assert!(sums.damaged(&bytes).unwrap().is_empty());
            prop_assert_eq!(sums.file_len(), bytes.len() as u64);
            let mut spoilt = bytes.clone();
            let middle = spoilt.len() / 2;
            spoilt[middle] ^= 1;
            let damaged = sums.damaged(&spoilt).unwrap();
            prop_assert!(damaged.len() == 1 && damaged[0].contains(&(middle as u64)));
            prop_assert!(!sums.damaged(&bytes[..middle].to_vec()).unwrap().is_empty());
        }
    }
}
