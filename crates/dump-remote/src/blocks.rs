//! Blocks of files that were fetched, and who fetches those that were not.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of a block. A page table is 4 KiB, and a request takes the time in which a slow line carries 32.
pub(crate) const BLOCK: u64 = 32 << 10;

/// Blocks that are kept: 32 MiB, the longest runs of eight workers.
const KEPT: usize = (32 << 20) / BLOCK as usize;

/// A block: the number of its file, and its own.
type Key = (u64, u64);

/// Blocks of any number of files, those kept that were used last.
pub(crate) struct Blocks {
    state: Mutex<State>,
    arrived: Condvar,
    kept: usize,
}

#[derive(Default)]
struct State {
    slots: HashMap<Key, Slot>,
    /// Those that are here, by when they were used.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
}

enum Slot {
    /// Somebody fetches it.
    Coming,
    Here {
        bytes: Arc<[u8]>,
        used: u64,
    },
}

/// What there is of a block.
pub(crate) enum Found<'a> {
    /// Its bytes.
    Here(Arc<[u8]>),
    /// Nothing: it is the caller's to fetch, with those behind it.
    Claimed(Claim<'a>),
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks::keeping(KEPT)
    }
}

impl Blocks {
    fn keeping(kept: usize) -> Blocks {
        Blocks { state: Mutex::default(), arrived: Condvar::new(), kept }
    }

    /// Block `number` of a file; waits for it where somebody fetches it. Where nobody does, the caller gets it to fetch,
    /// with as many behind it as `run` says and nobody has or fetches, before `end`.
    pub fn find(&self, file: u64, number: u64, end: u64, run: impl FnOnce() -> u64) -> Found<'_> {
        let mut state = self.lock();
        loop {
            match state.slots.get(&(file, number)) {
                Some(Slot::Here { .. }) => break,
                Some(Slot::Coming) => state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                None => {
                    let most = number.saturating_add(run()).min(end);
                    let mut claimed = number..number;
                    while claimed.end < most.max(number + 1) && !state.slots.contains_key(&(file, claimed.end)) {
                        state.slots.insert((file, claimed.end), Slot::Coming);
                        claimed.end += 1;
                    }
                    return Found::Claimed(Claim { blocks: self, file, range: claimed });
                }
            }
        }
        Found::Here(state.used((file, number)).unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The bytes of a block that is here, which was now used.
    fn used(&mut self, key: Key) -> Option<Arc<[u8]>> {
        self.uses += 1;
        let Some(Slot::Here { bytes, used }) = self.slots.get_mut(&key) else { return None };
        self.by_use.remove(used);
        *used = self.uses;
        self.by_use.insert(self.uses, key);
        Some(Arc::clone(bytes))
    }

    fn put(&mut self, key: Key, bytes: Arc<[u8]>, kept: usize) {
        while self.by_use.len() >= kept {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.slots.remove(&oldest);
        }
        self.uses += 1;
        self.slots.insert(key, Slot::Here { bytes, used: self.uses });
        self.by_use.insert(self.uses, key);
    }
}

/// Blocks of a file that are the holder's to fetch; what it does not is anybody's again when it goes.
pub(crate) struct Claim<'a> {
    blocks: &'a Blocks,
    file: u64,
    range: Range<u64>,
}

impl Claim<'_> {
    /// The numbers of the blocks that are still to come.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Takes the first of those that are still to come.
    pub fn put(&mut self, bytes: Arc<[u8]>) {
        if self.range.is_empty() {
            return;
        }
        self.blocks.lock().put((self.file, self.range.start), bytes, self.blocks.kept);
        self.range.start += 1;
        self.blocks.arrived.notify_all();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.blocks.lock();
        for number in self.range.clone() {
            state.slots.remove(&(self.file, number));
        }
        drop(state);
        self.blocks.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn bytes(number: u64) -> Arc<[u8]> {
        Arc::from(number.to_le_bytes())
    }

    fn claimed(found: Found<'_>) -> Claim<'_> {
        match found {
            Found::Claimed(claim) => claim,
            Found::Here(_) => panic!("it is here"),
        }
    }

    fn is_here(blocks: &Blocks, file: u64, number: u64) -> bool {
        matches!(blocks.find(file, number, u64::MAX, || 1), Found::Here(found) if found == bytes(number))
    }

    #[test]
    fn a_claim_ends_before_what_is_here() {
        let blocks = Blocks::keeping(100);
        claimed(blocks.find(0, 5, 100, || 1)).put(bytes(5));
        assert_eq!(claimed(blocks.find(0, 2, 100, || 10)).range(), 2..5);
        assert_eq!(claimed(blocks.find(0, 6, 9, || 10)).range(), 6..9, "nor behind the end");
        assert_eq!(claimed(blocks.find(1, 2, 100, || 10)).range(), 2..12, "of another file");
    }

    #[test]
    fn those_used_last_are_kept() {
        let blocks = Blocks::keeping(3);
        let mut claim = claimed(blocks.find(0, 0, 100, || 4));
        (0..3).for_each(|number| claim.put(bytes(number)));
        assert!(is_here(&blocks, 0, 0));
        claim.put(bytes(3));
        drop(claim);
        assert!(is_here(&blocks, 0, 0) && is_here(&blocks, 0, 2) && is_here(&blocks, 0, 3));
        assert!(!is_here(&blocks, 0, 1));
        let state = blocks.lock();
        assert_eq!((state.slots.len(), state.by_use.len()), (3, 3));
    }

    #[test]
    fn nobody_fetches_what_another_does() {
        let (blocks, fetched) = (Blocks::keeping(64), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..32 {
                        match blocks.find(0, number, 32, || 3) {
                            Found::Here(found) => assert_eq!(found, bytes(number)),
                            // every other one gives up at first: another takes over then
                            Found::Claimed(mut claim) if fetched.load(Ordering::SeqCst) < 40 => {
                                fetched.fetch_add(1, Ordering::SeqCst);
                                let range = claim.range();
                                range.for_each(|number| claim.put(bytes(number)));
                            }
                            Found::Claimed(_) => panic!("fetched too often"),
                        }
                    }
                });
            }
        });
        assert!(fetched.load(Ordering::SeqCst) <= 32);
        assert!((0..32).all(|number| is_here(&blocks, 0, number)));
    }

    #[test]
    fn what_was_given_up_is_anybodys() {
        let blocks = Blocks::keeping(64);
        drop(claimed(blocks.find(0, 0, 10, || 10)));
        assert_eq!(claimed(blocks.find(0, 3, 10, || 2)).range(), 3..5);
        assert!(blocks.lock().slots.is_empty());
    }
}
