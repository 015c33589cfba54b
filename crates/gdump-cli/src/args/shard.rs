//! Shards of a batch.

use std::str::FromStr;

/// A shard as asked for: `K/N`, or `/N` where something else says which of the N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1 on.
    pub number: Option<u64>,
    /// How many there are.
    pub of: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        parse(text).ok_or_else(|| "expected K/N, with K from 1 to N, or /N".to_owned())
    }
}

fn parse(text: &str) -> Option<Shard> {
    let (number, of) = text.split_once('/')?;
    let of = of.parse().ok().filter(|of| *of > 0)?;
    let number = match number {
        "" => None,
        number => Some(number.parse().ok().filter(|number| (1..=of).contains(number))?),
    };
    Some(Shard { number, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards() {
        for (text, number, of) in [("1/1", Some(1), 1), ("3/8", Some(3), 8), ("/8", None, 8)] {
            assert_eq!(text.parse(), Ok(Shard { number, of }), "{text}");
        }
        for bad in ["", "3", "0/8", "9/8", "1/0", "/0", "a/b", "1/2/3", "-1/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
