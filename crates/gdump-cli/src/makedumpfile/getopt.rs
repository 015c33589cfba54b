//! A command line as `getopt_long` takes it apart.
//!
//! What comes out is the same line in the form that [`crate::args`] takes, where nothing depends on an abbreviation, on
//! an order or on what `atoi` makes of a number. Options that makedumpfile does not have are known by their whole
//! names, so that none of them makes an abbreviation ambiguous.

use super::number;
use super::options::{Follows, LETTERS, LONGS, Letter, Long};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A command line in the form that [`crate::args`] takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Options, each with what follows it in the same word.
    options: Vec<OsString>,
    /// File names.
    files: Vec<OsString>,
    /// What was made of numbers that are none.
    pub remarks: Vec<String>,
}

impl Line {
    /// The words, without the program's name.
    pub fn words(&self) -> impl Iterator<Item = OsString> {
        self.options.iter().cloned().chain(["--".into()]).chain(self.files.iter().cloned())
    }

    /// Whether an option that nothing follows was given; `-F`, or `--check-params`.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|word| word == option)
    }

    /// What followed an option, each time that it was given: a letter with its dash, a word with its equals sign.
    pub fn values(&self, option: &str) -> Vec<String> {
        let value = |word: &OsString| word.to_str()?.strip_prefix(option).map(str::to_owned);
        self.options.iter().filter_map(value).collect()
    }

    fn add(&mut self, name: &str, joint: &str, follows: Follows, value: Option<&OsStr>) {
        let mut word = OsString::from(name);
        if let Some(value) = value {
            word.push(joint);
            match follows {
                Follows::Nothing | Follows::Word => word.push(value),
                Follows::Number | Follows::Numbers | Follows::Address => word.push(self.number(name, follows, value)),
            }
        }
        self.options.push(word);
    }

    /// A number as C's functions read it, remarked on if that is not what was written.
    fn number(&mut self, name: &str, follows: Follows, value: &OsStr) -> String {
        let given = value.to_string_lossy();
        let read = match follows {
            Follows::Numbers => number::list(&given),
            Follows::Address => number::address(&given),
            _ => number::atoi(&given).to_string(),
        };
        if !read.eq_ignore_ascii_case(&given) {
            self.remarks.push(format!("{name} '{given}': understood as {read}"));
        }
        read
    }
}

/// Takes a command line apart, as far as it can be; `words` are without the program's name, `others` are the long
/// options that makedumpfile does not have, and whether a word follows them. Of what is wrong it says one line: an
/// option that there is not, is ambiguous, or lacks what follows it.
pub fn line(words: impl IntoIterator<Item = OsString>, others: &[(&str, bool)]) -> (Line, Result<(), String>) {
    let mut line = Line::default();
    let taken = take(&mut line, words, others);
    (line, taken)
}

fn take(line: &mut Line, words: impl IntoIterator<Item = OsString>, others: &[(&str, bool)]) -> Result<(), String> {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        match bytes {
            b"--" => {
                line.files.extend(words);
                break;
            }
            [b'-', b'-', name @ ..] => long(line, name, &mut words, others)?,
            [b'-', _, ..] => letters(line, &bytes[1..], &mut words)?,
            _ => line.files.push(word),
        }
    }
    Ok(())
}

fn long(
    line: &mut Line,
    word: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
    others: &[(&str, bool)],
) -> Result<(), String> {
    let equals = word.iter().position(|byte| *byte == b'=');
    let (start, joined) = match equals {
        Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]))),
        None => (word, None),
    };
    let start = String::from_utf8_lossy(start);
    let (name, follows) = named(&start, others)?;
    let full = format!("--{name}");
    match (follows, joined) {
        (Follows::Nothing, Some(_)) => Err(format!("{full}: doesn't allow an argument")),
        (Follows::Nothing, None) => {
            line.add(&full, "", follows, None);
            Ok(())
        }
        (_, Some(value)) => {
            line.add(&full, "=", follows, Some(value));
            Ok(())
        }
        (_, None) => {
            let value = rest.next().ok_or_else(|| format!("{full}: requires an argument"))?;
            line.add(&full, "=", follows, Some(&value));
            Ok(())
        }
    }
}

/// The option that `start` is, or is the beginning of.
fn named<'a>(start: &str, others: &[(&'a str, bool)]) -> Result<(&'a str, Follows), String> {
    let exact = LONGS.iter().find(|long| long.name == start).map(|long| (long.name, long.follows));
    let other = others.iter().find(|(name, _)| *name == start);
    let other = other.map(|(name, takes)| (*name, if *takes { Follows::Word } else { Follows::Nothing }));
    if let Some(found) = exact.or(other) {
        return Ok(found);
    }
    let meant: Vec<&Long> = LONGS.iter().filter(|long| long.name.starts_with(start)).collect();
    match meant.as_slice() {
        [one] => Ok((one.name, one.follows)),
        [] => Err(format!("unrecognized option '--{start}'")),
        several => {
            let names = several.iter().map(|long| format!("'--{}'", long.name)).collect::<Vec<_>>().join(" ");
            Err(format!("option '--{start}' is ambiguous; possibilities: {names}"))
        }
    }
}

fn letters(line: &mut Line, word: &[u8], rest: &mut impl Iterator<Item = OsString>) -> Result<(), String> {
    for (i, byte) in word.iter().enumerate() {
        let known = LETTERS.iter().find(|known| known.letter as u32 == u32::from(*byte));
        let Letter { letter, follows } =
            known.ok_or_else(|| format!("invalid option -- '{}'", OsStr::from_bytes(&[*byte]).to_string_lossy()))?;
        let name = format!("-{letter}");
        if *follows == Follows::Nothing {
            line.add(&name, "", *follows, None);
            continue;
        }
        match &word[i + 1..] {
            [] => {
                let value = rest.next().ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
                line.add(&name, "", *follows, Some(&value));
            }
            joined => line.add(&name, "", *follows, Some(OsStr::from_bytes(joined))),
        }
        break;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &[(&str, bool)] = &[("repair", false), ("max-memory", true), ("strict", false)];

    fn taken(text: &str) -> Result<(String, Vec<String>), String> {
        let words = text.split('|').filter(|word| !word.is_empty()).map(OsString::from);
        let (line, taken) = line(words, OTHERS);
        taken?;
        let remarks = line.remarks.clone();
        let words: Vec<String> = line.words().map(|word| word.into_string().unwrap()).collect();
        Ok((words.join("|"), remarks))
    }

    #[test]
    fn options_come_first_and_files_last() {
        for (given, out) in [
            ("a|b|-c|-d|31", "-c|-d31|--|a|b"),
            ("-cfd|31|a|b", "-c|-f|-d31|--|a|b"),
            ("-fDcd31|a|b", "-f|-D|-c|-d31|--|a|b"),
            ("--mes|7|info|-b4", "--message-level=7|-b4|--|info"),
            ("--message=7|a", "--message-level=7|--|a"),
            ("--r|a|b", "--reassemble|--|a|b"),
            ("--w|-x|a", "--work-dir=-x|--|a"),
            ("-x|--|a|--|-c", "-x--|--|a|-c"),
            ("--max-memory|64M|a", "--max-memory=64M|--|a"),
            ("-|out", "--|-|out"),
            ("", "--"),
        ] {
            assert_eq!(taken(given), Ok((out.to_owned(), vec![])), "{given}");
        }
    }

    #[test]
    fn numbers_are_what_atoi_makes_of_them() {
        for (given, out, remark) in [
            ("-d| 31", "-d31|--", Some("-d ' 31': understood as 31")),
            ("-d|3l", "-d3|--", Some("-d '3l': understood as 3")),
            ("-d|abc", "-d0|--", Some("-d 'abc': understood as 0")),
            ("-d|,31,", "-d31|--", Some("-d ',31,': understood as 31")),
            ("-d|31,1", "-d31,1|--", None),
            ("--num-threads=", "--num-threads=0|--", Some("--num-threads '': understood as 0")),
            ("--num-threads|2x", "--num-threads=2|--", Some("--num-threads '2x': understood as 2")),
            ("--num-threads|-1", "--num-threads=-1|--", None),
            ("--vtop|0xffff888000000000", "--vtop=0xffff888000000000|--", None),
            ("--vtop|017", "--vtop=0xf|--", Some("--vtop '017': understood as 0xf")),
        ] {
            let remarks = remark.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(taken(given), Ok((out.to_owned(), remarks)), "{given}");
        }
    }

    #[test]
    fn what_getopt_refuses() {
        for (given, refusal) in [
            ("--nonsense", "unrecognized option '--nonsense'"),
            ("--d|31", "option '--d' is ambiguous; possibilities: '--dump-dmesg' '--diskset' '--dry-run'"),
            ("--spl", "option '--spl' is ambiguous; possibilities: '--split' '--splitblock-size'"),
            ("--split=2", "--split: doesn't allow an argument"),
            ("--stric", "unrecognized option '--stric'"),
            ("--repa", "unrecognized option '--repa'"),
            ("-k", "invalid option -- 'k'"),
            ("-c|-d", "option requires an argument -- 'd'"),
            ("--vtop", "--vtop: requires an argument"),
        ] {
            assert_eq!(taken(given), Err(refusal.to_owned()), "{given}");
        }
    }
}
