//! Words of the dumped machine: 4 or 8 bytes, in either order.
//!
//! [`Words`] is what a dump says about them, for reads that are few. [`WordLayout`] is the same as a type, for the scan
//! of struct pages: it is compiled once for each layout and chosen once for each window, so that no page pays for the
//! choice.

use dump_core::{ByteOrder, Machine, WordSize};

/// Byte order and size of a machine's words (`unsigned long` and pointers of its kernel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// Byte order.
    pub order: ByteOrder,
    /// Size.
    pub size: WordSize,
}

impl Words {
    /// Those of `machine`.
    pub fn of(machine: Machine) -> Words {
        Words { order: machine.order, size: machine.word }
    }

    /// Bytes of a word: 4 or 8.
    pub fn bytes(self) -> usize {
        match self.size {
            WordSize::Bits32 => 4,
            WordSize::Bits64 => 8,
        }
    }

    /// `value` as a word holds it: the kernel's arithmetic of addresses wraps there.
    pub fn wrap(self, value: u64) -> u64 {
        match self.size {
            WordSize::Bits32 => value & u64::from(u32::MAX),
            WordSize::Bits64 => value,
        }
    }

    /// The integer that `bytes`, at most 8 of them, are in this byte order.
    pub fn integer(self, bytes: &[u8]) -> u64 {
        integer(self.order, bytes)
    }
}

/// The integer that `bytes`, at most 8 of them, are in `order`.
pub(crate) fn integer(order: ByteOrder, bytes: &[u8]) -> u64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
        ByteOrder::Big => bytes.iter().fold(0, add),
    }
}

/// [`Words`] as a type. Offsets are bytes; what lies past the end of `bytes` reads as 0.
pub trait WordLayout: Copy {
    /// The same as a value.
    const WORDS: Words;

    /// The word at `offset`, widened.
    fn word(bytes: &[u8], offset: usize) -> u64;

    /// The 4 bytes at `offset`.
    fn u32(bytes: &[u8], offset: usize) -> u32;
}

macro_rules! layout {
    ($name:ident, $order:ident, $size:ident, $word:ty, $from:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl WordLayout for $name {
            const WORDS: Words = Words { order: ByteOrder::$order, size: WordSize::$size };

            #[inline]
            fn word(bytes: &[u8], offset: usize) -> u64 {
                array(bytes, offset).map_or(0, |word| u64::from(<$word>::$from(word)))
            }

            #[inline]
            fn u32(bytes: &[u8], offset: usize) -> u32 {
                array(bytes, offset).map_or(0, u32::$from)
            }
        }
    };
}

layout!(
    Le64,
    Little,
    Bits64,
    u64,
    from_le_bytes,
    "8-byte words, least significant byte first (x86_64, arm64, riscv64)."
);
layout!(Be64, Big, Bits64, u64, from_be_bytes, "8-byte words, most significant byte first (s390x, ppc64).");
layout!(Le32, Little, Bits32, u32, from_le_bytes, "4-byte words, least significant byte first (i386, arm).");
layout!(Be32, Big, Bits32, u32, from_be_bytes, "4-byte words, most significant byte first (ppc, mips).");

#[inline]
fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset + N).and_then(|bytes| bytes.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<W: WordLayout>(word: u64, half: u32) {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!((W::word(&bytes, 1), W::u32(&bytes, 1)), (word, half), "{:?}", W::WORDS);
        assert_eq!(W::WORDS.integer(&bytes[1..1 + W::WORDS.bytes()]), word, "{:?}", W::WORDS);
        assert_eq!(W::word(&bytes, 9), 0);
    }

    #[test]
    fn words_of_each_layout() {
        check::<Le64>(0x0908_0706_0504_0302, 0x0504_0302);
        check::<Be64>(0x0203_0405_0607_0809, 0x0203_0405);
        check::<Le32>(0x0504_0302, 0x0504_0302);
        check::<Be32>(0x0203_0405, 0x0203_0405);
    }

    #[test]
    fn addresses_wrap_at_the_word() {
        assert_eq!(Le32::WORDS.wrap(0x1_c000_0000), 0xc000_0000);
        assert_eq!(Le64::WORDS.wrap(u64::MAX), u64::MAX);
    }
}
