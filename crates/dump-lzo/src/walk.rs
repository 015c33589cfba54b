//! A walk through a block that a decoder would make, without its bytes.
//!
//! A block is a row of instructions (Linux Documentation/staging/lzo.rst): each copies some bytes from before, a match, and
//! then some of the block's own, literals. Which bytes they are changes nothing about where the next instruction is, so
//! that lengths and distances alone tell whether a decoder comes to the end of the block and of the page at once.

/// The distance from which on matches of the form 0001HLLL count; a match at it is the end of a block.
const FAR: usize = 1 << 14;

/// Whether `block` is an LZO1X block, of the first bitstream version, of exactly `len` bytes.
pub fn is_block_of(block: &[u8], len: usize) -> bool {
    let mut walk = Walk { rest: block, made: 0, len };
    walk.finish() == Some(()) && walk.rest.is_empty() && walk.made == len
}

/// What literals the last instruction copied, on which the meaning of the next one depends.
#[derive(Clone, Copy)]
enum Before {
    /// None: literals follow.
    None,
    /// One to three.
    Few,
    /// Four or more.
    Many,
}

/// A place in a block.
struct Walk<'a> {
    /// What of the block is not read yet.
    rest: &'a [u8],
    /// How many bytes were made of what is.
    made: usize,
    /// How many there are to be.
    len: usize,
}

impl Walk<'_> {
    /// Walks up to the end marker; `None` where a decoder would fail.
    fn finish(&mut self) -> Option<()> {
        let mut before = self.first()?;
        loop {
            let op = self.byte()?;
            let (length, distance, trailing) = match (op, before) {
                (0..=15, Before::None) => {
                    let literals = if op == 0 { self.long(18)? } else { usize::from(op) + 3 };
                    self.literals(literals)?;
                    before = Before::Many;
                    continue;
                }
                (0..=15, Before::Few) => (2, self.near(op, 2)? + 1, op),
                (0..=15, Before::Many) => (3, self.near(op, 2)? + (1 << 11) + 1, op),
                (16..=31, _) => {
                    let length = self.length(op & 7, 9)?;
                    let (distance, trailing) = self.pair()?;
                    let distance = distance + FAR + usize::from(op & 8) * (FAR / 8);
                    if distance == FAR {
                        return Some(());
                    }
                    (length, distance, trailing)
                }
                (32..=63, _) => {
                    let length = self.length(op & 31, 33)?;
                    let (distance, trailing) = self.pair()?;
                    (length, distance + 1, trailing)
                }
                (64..=127, _) => (3 + usize::from(op >> 5 & 1), self.near(op & 0x1c, 3)? + 1, op),
                (128.., _) => (5 + usize::from(op >> 5 & 3), self.near(op & 0x1c, 3)? + 1, op),
            };
            if distance > self.made {
                return None;
            }
            self.make(length)?;
            let few = usize::from(trailing & 3);
            self.literals(few)?;
            before = if few == 0 { Before::None } else { Before::Few };
        }
    }

    /// The first instruction, which may be literals alone.
    fn first(&mut self) -> Option<Before> {
        let Some(literals) = self.rest.first()?.checked_sub(17).filter(|literals| *literals != 0) else {
            return Some(Before::None);
        };
        self.byte()?;
        self.literals(usize::from(literals))?;
        Some(if literals < 4 { Before::Few } else { Before::Many })
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// The distance that the bits of `op` above the lowest two begin and the next byte goes on with, `shift` bits higher.
    #[inline]
    fn near(&mut self, op: u8, shift: u32) -> Option<usize> {
        Some((usize::from(self.byte()?) << shift) + usize::from(op >> 2))
    }

    /// A length that is `short`, or where that is 0 follows, `least` or more.
    #[inline]
    fn length(&mut self, short: u8, least: usize) -> Option<usize> {
        if short == 0 { self.long(least) } else { Some(usize::from(short) + 2) }
    }

    /// A length of as many times 255 as zeros follow, and the byte behind them, above `least`.
    fn long(&mut self, least: usize) -> Option<usize> {
        let zeros = self.rest.iter().position(|byte| *byte != 0)?;
        let last = usize::from(self.rest[zeros]);
        self.rest = &self.rest[zeros + 1..];
        zeros.checked_mul(255)?.checked_add(last + least)
    }

    /// The distance of a match, from two bytes, and the lowest bits, which count literals behind it.
    #[inline]
    fn pair(&mut self) -> Option<(usize, u8)> {
        let ([low, high], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(((usize::from(*high) << 6) + usize::from(*low >> 2), *low))
    }

    #[inline]
    fn literals(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        self.make(count)
    }

    #[inline]
    fn make(&mut self, count: usize) -> Option<()> {
        self.made = self.made.checked_add(count).filter(|made| *made <= self.len)?;
        Some(())
    }
}
