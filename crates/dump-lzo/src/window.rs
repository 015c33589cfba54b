//! The bytes in which matches are found.

/// The longest page, in bytes.
pub(crate) const POSITIONS: usize = 256 << 10;

/// The page at hand, where any number is a position that can be read without a bounds check: its low 18 bits count.
///
/// Copying a page of 4 KiB here takes 100 cycles of 10 000, once it is in the cache, and brings it there; see [`copy`].
pub(crate) struct Window {
    /// Sixteen bytes can be read at the last position.
    bytes: Box<[u8; POSITIONS + 16]>,
}

impl Window {
    pub(crate) fn new() -> Window {
        Window { bytes: zeroed() }
    }

    /// Takes the place of whatever page was here before. At most [`POSITIONS`] bytes.
    pub(crate) fn fill(&mut self, page: &[u8]) {
        if let Some(to) = self.bytes.get_mut(..page.len()) {
            copy(page, to);
        }
    }

    /// Eight bytes from `pos` on, the first one lowest.
    #[inline(always)]
    pub(crate) fn word(&self, pos: usize) -> u64 {
        // One load: the compiler sees that there are always eight bytes.
        self.bytes[pos % POSITIONS..].first_chunk().map_or(0, |&word| u64::from_le_bytes(word))
    }

    /// Sixteen bytes from `pos` on.
    #[inline(always)]
    pub(crate) fn sixteen(&self, pos: usize) -> [u8; 16] {
        self.bytes[pos % POSITIONS..].first_chunk().copied().unwrap_or_default()
    }

    /// The bytes from `from` to `to`.
    pub(crate) fn bytes(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// How many bytes at `pos` equal those at `from`; at most `max`.
    ///
    /// Most matches are shorter than 16 bytes. Without the branch between the first eight and the next: 1 % slower.
    #[inline(always)]
    pub(crate) fn equal(&self, pos: usize, from: usize, max: usize) -> usize {
        let differ = self.word(pos) ^ self.word(from);
        if differ != 0 {
            return max.min(differ.trailing_zeros() as usize / 8);
        }
        let differ = self.word(pos + 8) ^ self.word(from + 8);
        if differ != 0 {
            return max.min(8 + differ.trailing_zeros() as usize / 8);
        }
        self.equal_on(pos, from, max)
    }

    /// The same where 16 are equal.
    #[inline(never)]
    fn equal_on(&self, pos: usize, from: usize, max: usize) -> usize {
        let mut len = 16;
        while len < max {
            let differ = self.word(pos + len) ^ self.word(from + len);
            if differ != 0 {
                return max.min(len + differ.trailing_zeros() as usize / 8);
            }
            len += 8;
        }
        max
    }
}

/// Copies `from` to `to`, which is as long, 128 bytes at a time.
///
/// Longer copies become `memcpy`, and that a `rep movsb`, for which processors of AMD's Zen 3 and 4 take 4000 cycles a
/// page, not 100, where the target lies a few bytes further in its memory page than the source in its own. So they do
/// here: pages begin where memory pages do, and the window a few bytes behind (all of this crate's work on a page that
/// is random took 5400 cycles with `copy_from_slice`, and takes 1200).
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    const BYTES_PER_COPY: usize = 128;
    let mut to = to.chunks_exact_mut(BYTES_PER_COPY);
    let mut from = from.chunks_exact(BYTES_PER_COPY);
    for (to, from) in to.by_ref().zip(from.by_ref()) {
        to.copy_from_slice(from);
        std::hint::black_box(()); // or the loop is made one memcpy again
    }
    for (to, from) in to.into_remainder().iter_mut().zip(from.remainder()) {
        *to = *from;
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
