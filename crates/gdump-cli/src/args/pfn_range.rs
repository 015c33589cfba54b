//! Ranges of page frames.

use super::number::number;
use dump::{Pfn, PfnRange};

/// crash counts descriptors over 64-bit words of the bitmap that begin at the first page of a part.
const ALIGNMENT: u64 = 64;

/// `A..B`: the page frames from A up to, not including, B. Either may be omitted.
///
/// # Errors
/// One line, for the value of an option.
pub fn pfn_range(text: &str) -> Result<PfnRange, String> {
    let range = parse(text).ok_or_else(|| "expected A..B, with A below B".to_owned())?;
    match range.start.0 % ALIGNMENT {
        0 => Ok(range),
        _ => Err(format!("A is not a multiple of {ALIGNMENT}, which readers of split dumps rely on")),
    }
}

fn parse(text: &str) -> Option<PfnRange> {
    let (start, end) = text.split_once("..")?;
    let start = if start.is_empty() { 0 } else { number(start)? };
    let end = if end.is_empty() { u64::MAX } else { number(end)? };
    (start < end).then(|| PfnRange::new(Pfn(start), Pfn(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let cases =
            [("0..64", 0, 64), ("64..", 64, u64::MAX), ("..100", 0, 100), ("..", 0, u64::MAX), ("0x40..0x41", 64, 65)];
        for (text, start, end) in cases {
            assert_eq!(pfn_range(text), Ok(PfnRange::new(Pfn(start), Pfn(end))), "{text}");
        }
        for bad in ["", "64", "1..64", "64..64", "128..64", "a..b", "-64..64", "0-64"] {
            assert!(pfn_range(bad).is_err(), "{bad}");
        }
    }
}
