//! Lists of dump levels.

use dump::DumpLevel;
use std::str::FromStr;

/// makedumpfile takes as many.
const MAX_LEVELS: usize = 32;

/// Dump levels in the order in which they are tried; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpLevels(pub Vec<DumpLevel>);

impl FromStr for DumpLevels {
    type Err = String;

    /// `LEVEL[,LEVEL...]`; as in makedumpfile, empty words do not count.
    fn from_str(text: &str) -> Result<DumpLevels, String> {
        let words = text.split(',').filter(|word| !word.is_empty());
        let levels: Vec<DumpLevel> = words.map(level).collect::<Result<_, _>>()?;
        match levels.len() {
            1..=MAX_LEVELS => Ok(DumpLevels(levels)),
            len => Err(format!("{len} dump levels, expected 1 to {MAX_LEVELS}")),
        }
    }
}

fn level(word: &str) -> Result<DumpLevel, String> {
    let level = word.parse().ok().and_then(DumpLevel::new);
    level.ok_or_else(|| format!("dump level {word} is not a number from 0 to 31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let bits = |text: &str| text.parse().map(|DumpLevels(list)| list.iter().map(|l| l.bits()).collect::<Vec<_>>());
        for (text, levels) in
            [("11,31", vec![11, 31]), ("0", vec![0]), (",17,", vec![17]), ("31,1,31", vec![31, 1, 31])]
        {
            assert_eq!(bits(text), Ok(levels), "{text}");
        }
        for bad in ["", ",", "32", "-1", "x", "1,x", "0x1f", "1 2"] {
            assert!(bits(bad).is_err(), "{bad}");
        }
        assert!(bits(&["1"; 32].join(",")).is_ok());
        assert!(bits(&["1"; 33].join(",")).is_err());
    }
}
