//! The bytes in which matches are found.

/// Bytes that share one set of codes. Blocks of 8 KiB make pages of 64 KiB 0.4 % larger; 32 KiB make them 0.07 %
/// smaller, for 100 KiB more memory.
pub(crate) const BLOCK: usize = 16 << 10;
/// Bytes kept before a block when positions run out. The matcher looks back 8256 at most.
const HISTORY: usize = 16 << 10;
/// Positions, one for every `u16`.
const POSITIONS: usize = 1 << 16;
/// Bytes before position 0, so that looking eight back needs no test.
const LEAD: usize = 8;

/// The block at hand and what came before it, where any `u16` is a position that can be read without a bounds check.
///
/// Copying a page of 4 KiB here takes 100 cycles of 25 000, once it is in the cache, and brings it there.
pub(crate) struct Window {
    /// A whole word can be read at the last position.
    bytes: Box<[u8; LEAD + POSITIONS + 8]>,
    filled: usize,
}

/// Bytes that are copied at once. From 2 KiB on, glibc's memcpy uses `rep movsb`, which AMD's CPUs (EPYC, Zen 3 and 4)
/// do several times slower where target and source lie alike in their 4 KiB pages: it then depended on where the
/// allocator had put the window whether `-c` of a large dump took a fifth more time.
const COPY: usize = 1024;

/// An array of zeros on the heap, of which only what is written takes memory: made on the stack, and copied from there,
/// all of it would, twice.
pub(crate) fn zeroed<T: Clone + Copy + Default, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([T::default(); N]))
}

impl Window {
    pub(crate) fn new() -> Window {
        Window { bytes: zeroed(), filled: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// Appends a block of at most [`BLOCK`] bytes. Returns its first position, and how far all positions moved down to
    /// make room for it: 0 in the first 64 KiB.
    pub(crate) fn append(&mut self, block: &[u8]) -> (usize, usize) {
        let moved = if self.filled + block.len() > POSITIONS { self.slide() } else { 0 };
        let start = self.filled;
        if let Some(to) = self.bytes.get_mut(LEAD + start..LEAD + start + block.len()) {
            for (to, from) in to.chunks_mut(COPY).zip(block.chunks(COPY)) {
                to.copy_from_slice(from);
            }
            self.filled += block.len();
        }
        if start == 0 {
            self.close_lead();
        }
        (start, moved)
    }

    #[cold]
    fn slide(&mut self) -> usize {
        let by = self.filled.saturating_sub(HISTORY);
        self.bytes.copy_within(LEAD + by..LEAD + self.filled, LEAD);
        self.filled -= by;
        by
    }

    /// Nothing lies before the first byte, so nothing may match there: what the first eight bytes are compared with,
    /// eight bytes back, differs from each of them.
    fn close_lead(&mut self) {
        let (lead, bytes) = self.bytes.split_at_mut(LEAD);
        for (lead, byte) in lead.iter_mut().zip(bytes) {
            *lead = !*byte;
        }
    }

    /// The byte at `p + AHEAD`, at most 7 ahead.
    #[inline(always)]
    pub(crate) fn byte<const AHEAD: usize>(&self, p: u16) -> u8 {
        self.bytes[LEAD + AHEAD + usize::from(p)]
    }

    /// Eight bytes, the one at `p - BACK` lowest; at most 8 back.
    #[inline(always)]
    pub(crate) fn word<const BACK: usize>(&self, p: u16) -> u64 {
        // One load: the compiler sees that there are always eight bytes. Made of eight indexed bytes it was taken apart
        // again, into byte loads where part of a word is used (4 % of the matcher's time).
        self.bytes[LEAD - BACK + usize::from(p)..].first_chunk().map_or(0, |&word| u64::from_le_bytes(word))
    }

    /// The bytes from `from` to `to`.
    pub(crate) fn bytes(&self, from: u32, to: u32) -> &[u8] {
        self.bytes.get(LEAD + from as usize..LEAD + to as usize).unwrap_or_default()
    }

    /// How many bytes at `pos` equal those `dist` before, of which `known` are known to; at most `max`.
    #[inline(always)]
    pub(crate) fn equal(&self, pos: u32, dist: u32, known: u32, max: u32) -> u32 {
        let mut len = known;
        while len < max {
            let differ = self.word::<0>((pos + len) as u16) ^ self.word::<0>((pos + len - dist) as u16);
            if differ != 0 {
                return max.min(len + differ.trailing_zeros() / 8);
            }
            len += 8;
        }
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_when_positions_run_out() {
        let mut window = Window::new();
        let block: Vec<u8> = (0..BLOCK).map(|i| (i % 251) as u8).collect();
        for i in 0..4 {
            assert_eq!(window.append(&block), (i * BLOCK, 0));
        }
        assert_eq!(window.append(&block), (HISTORY, 3 * BLOCK));
        assert_eq!(window.bytes(0, HISTORY as u32), &block[..HISTORY]);
        assert_eq!(window.bytes(HISTORY as u32, (HISTORY + BLOCK) as u32), block);
        window.clear();
        assert_eq!(window.append(b"short"), (0, 0));
    }

    #[test]
    fn nothing_matches_before_the_start() {
        let mut window = Window::new();
        window.append(&[7; 64]);
        for p in 0..8 {
            assert_ne!(window.word::<8>(p) as u8, window.word::<0>(p) as u8, "position {p}");
        }
        assert_eq!(window.word::<8>(8), window.word::<0>(8));
    }

    #[test]
    fn equal_bytes_are_counted_up_to_the_end() {
        let mut window = Window::new();
        let mut bytes = [1; 600];
        bytes[300] = 2;
        window.append(&bytes);
        assert_eq!(window.equal(1, 1, 7, 258), 258);
        assert_eq!(window.equal(100, 1, 7, 258), 200);
        assert_eq!(window.equal(100, 1, 7, 150), 150);
        assert_eq!(window.equal(590, 8, 7, 10), 10);
    }
}
