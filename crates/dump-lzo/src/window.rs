//! The bytes in which matches are found.

/// The longest page, in bytes.
pub(crate) const POSITIONS: usize = 256 << 10;
/// Bytes before position 0, so that looking eight back needs no test.
const LEAD: usize = 8;

/// The page at hand, where any number is a position that can be read without a bounds check: its low 18 bits count.
///
/// Copying a page of 4 KiB here takes 100 cycles of 10 000, once it is in the cache, and brings it there.
pub(crate) struct Window {
    /// A whole word can be read at the last position.
    bytes: Box<[u8; LEAD + POSITIONS + 16]>,
}

impl Window {
    pub(crate) fn new() -> Window {
        Window { bytes: zeroed() }
    }

    /// Takes the place of whatever page was here before. At most [`POSITIONS`] bytes.
    pub(crate) fn fill(&mut self, page: &[u8]) {
        if let Some(to) = self.bytes.get_mut(LEAD..LEAD + page.len()) {
            to.copy_from_slice(page);
        }
        self.close_lead();
    }

    /// Nothing lies before the first byte, so nothing may match there: what the first eight bytes are compared with,
    /// eight bytes back, differs from each of them.
    fn close_lead(&mut self) {
        let (lead, bytes) = self.bytes.split_at_mut(LEAD);
        for (lead, byte) in lead.iter_mut().zip(bytes) {
            *lead = !*byte;
        }
    }

    /// Eight bytes, the one at `pos - BACK` lowest; at most 8 back.
    #[inline(always)]
    pub(crate) fn word<const BACK: usize>(&self, pos: usize) -> u64 {
        // One load: the compiler sees that there are always eight bytes.
        self.bytes[LEAD - BACK + pos % POSITIONS..].first_chunk().map_or(0, |&word| u64::from_le_bytes(word))
    }

    /// Sixteen bytes from `pos` on.
    #[inline(always)]
    pub(crate) fn sixteen(&self, pos: usize) -> [u8; 16] {
        self.bytes[LEAD + pos % POSITIONS..].first_chunk().copied().unwrap_or_default()
    }

    /// The bytes from `from` to `to`.
    pub(crate) fn bytes(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(LEAD + from..LEAD + to).unwrap_or_default()
    }

    /// How many bytes at `pos` equal those `dist` before; at most `max`.
    #[inline(always)]
    pub(crate) fn equal(&self, pos: usize, dist: usize, max: usize) -> usize {
        let first = self.word::<0>(pos) ^ self.word::<0>(pos - dist);
        let second = self.word::<0>(pos + 8) ^ self.word::<0>(pos + 8 - dist);
        let bits = if first == 0 { 64 + second.trailing_zeros() } else { first.trailing_zeros() };
        if bits == 128 {
            return self.equal_on(pos, dist, max);
        }
        max.min(bits as usize / 8)
    }

    #[inline(never)]
    fn equal_on(&self, pos: usize, dist: usize, max: usize) -> usize {
        let mut len = 16;
        while len < max {
            let differ = self.word::<0>(pos + len) ^ self.word::<0>(pos + len - dist);
            if differ != 0 {
                return max.min(len + differ.trailing_zeros() as usize / 8);
            }
            len += 8;
        }
        max
    }
}

/// An array on the heap that was never on the stack, and takes no memory before it is touched.
pub(crate) fn zeroed<const N: usize>() -> Box<[u8; N]> {
    let slice = vec![0; N].into_boxed_slice();
    match slice.try_into() {
        Ok(array) => array,
        Err(_) => Box::new([0; N]), // never: it has that length
    }
}
