//! Numbers that look random and are the same for the same seed.

/// A source of numbers.
pub struct Dice(u64);

impl Dice {
    /// Of a round of a kind: rounds can be repeated alone.
    pub fn of(seed: u64, kind: &str, round: u32) -> Dice {
        let name = kind.bytes().fold(seed, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
        Dice(name.wrapping_mul(1 << 32).wrapping_add(name) ^ u64::from(round).wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// The next number (splitmix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number from `from` up to, not including, `to`; `from` if there is none.
    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        let next = self.next();
        from + next.checked_rem(to.saturating_sub(from)).unwrap_or(0)
    }

    /// One of `all`, which is not empty.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.within(0, all.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_differ_and_repeat() {
        let numbers = |round| Dice::of(1, "kill", round).within(0, 1 << 40);
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert_ne!(Dice::of(1, "kill", 7).next(), Dice::of(1, "pipe", 7).next());
        assert!((0..100).all(|round| (3..5).contains(&Dice::of(1, "x", round).within(3, 5))));
        assert_eq!(Dice::of(1, "x", 0).within(3, 3), 3);
    }
}
