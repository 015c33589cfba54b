//! A row of the table: what the programs are asked to do, and what gdump must reach.

use anyhow::{Context, Result, ensure};

/// What a row must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// makedumpfile's time by gdump's.
    pub at_least: f64,
    /// The same, as one would like it: what the codec alone or the copy alone takes on all CPUs, plus a fifth.
    pub aim: Option<f64>,
    /// Size of gdump's output by makedumpfile's, at most.
    pub size: f64,
}

/// Peak memory that no row may pass, in MiB.
pub const PEAK_MIB: f64 = 40.0;

/// The table.
const ROWS: &[(&str, Goal)] = &[
    ("-c -d 1", goal(4.0, 5.5, 1.01)),
    ("-c -d 1, one thread", Goal { at_least: 2.0, aim: None, size: 1.01 }),
    ("-l -d 1", goal(1.7, 2.2, 1.01)),
    ("-z -d 1", goal(1.9, 2.3, 1.01)),
    ("-c -d 31", goal(2.5, 3.5, 1.01)),
    ("-l -d 31", goal(1.5, 2.5, 1.01)),
    ("-E -d 31", goal(1.7, 2.5, 1.0)),
    ("-d 0", goal(1.5, 2.0, 1.0)),
    ("-F -c -d 1", goal(4.0, 5.5, 1.01)),
    ("-R", goal(1.5, 3.0, 1.0)),
    ("--split -c -d 1", goal(2.5, 4.0, 1.01)),
    ("--reassemble", goal(1.7, 3.0, 1.01)),
    ("re-filter -c -d 31", goal(2.5, 4.0, 1.01)),
];

/// Ends the name of a row in which all programs have one thread.
const ONE_THREAD: &str = ", one thread";

const fn goal(at_least: f64, aim: f64, size: f64) -> Goal {
    Goal { at_least, aim: Some(aim), size }
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The vmcore.
    Vmcore,
    /// A flattened stream of it (`-F -c -d 1`), on stdin: the one way that both programs take it.
    Flat,
    /// The two files of it that `--split -c -d 1` writes.
    Parts,
    /// A dump of it at level 1, compressed with the row's own codec.
    Level1,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A file.
    File,
    /// Stdout, to /dev/null; its size is measured in a run that does not count.
    Stdout,
    /// Two files.
    Parts,
}

/// What the programs are asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The options, after "re-filter" where the input is a dump of level 1, and before ", one thread".
    pub name: String,
    /// The options.
    pub options: Vec<String>,
    /// What is read.
    pub input: Input,
    /// What is written.
    pub output: Output,
    /// Name of the codec that every page goes through.
    pub codec: Option<&'static str>,
    /// Dump level.
    pub level: u32,
    /// Threads of each program; `None` as many as it takes by itself.
    pub threads: Option<u32>,
}

impl Row {
    /// Every row of the table.
    ///
    /// # Errors
    /// None: the table's rows are well-formed.
    pub fn all() -> Result<Vec<Self>> {
        ROWS.iter().map(|(name, _)| Self::parse(name)).collect()
    }

    /// The row that `name` describes, in the table or not. Options stand apart ("-c -d 31", not "-cd31").
    ///
    /// # Errors
    /// Where there are no options, or no level behind `-d`.
    pub fn parse(name: &str) -> Result<Self> {
        let command = name.strip_suffix(ONE_THREAD);
        let mut options: Vec<String> = command.unwrap_or(name).split_whitespace().map(str::to_string).collect();
        let refilter = options.first().is_some_and(|word| word == "re-filter");
        options.drain(..usize::from(refilter));
        ensure!(options.first().is_some_and(|word| word.starts_with('-')), "row {name:?}: no options");
        let has = |option: &str| options.iter().any(|word| word == option);
        let input = match () {
            () if refilter => Input::Level1,
            () if has("-R") => Input::Flat,
            () if has("--reassemble") => Input::Parts,
            () => Input::Vmcore,
        };
        let output = match () {
            () if has("-F") => Output::Stdout,
            () if has("--split") => Output::Parts,
            () => Output::File,
        };
        // Pages that are compressed already stay as they are.
        let codec = (input == Input::Vmcore).then(|| codec(&options)).flatten();
        let level = level(&options).with_context(|| format!("row {name:?}"))?;
        let threads = command.map(|_| 1);
        Ok(Self { name: name.to_string(), options, input, output, codec, level, threads })
    }

    /// The option that chooses the codec, if one does.
    pub fn codec_option(&self) -> Option<&str> {
        self.options.iter().map(String::as_str).find(|word| CODECS.iter().any(|(option, _)| option == word))
    }

    /// Whether the number of threads means anything: putting a stream's pieces in place takes one.
    pub fn threaded(&self) -> bool {
        self.input != Input::Flat
    }

    /// What it must reach, where the table says.
    pub fn goal(&self) -> Option<Goal> {
        ROWS.iter().find(|(name, _)| *name == self.name).map(|(_, goal)| *goal)
    }
}

const CODECS: &[(&str, &str)] = &[("-c", "zlib"), ("-l", "lzo"), ("-p", "snappy"), ("-z", "zstd")];

fn codec(options: &[String]) -> Option<&'static str> {
    CODECS.iter().find(|(option, _)| options.iter().any(|word| word == option)).map(|(_, codec)| *codec)
}

fn level(options: &[String]) -> Result<u32> {
    let Some(at) = options.iter().position(|word| word == "-d") else { return Ok(0) };
    options.get(at + 1).context("-d without a level")?.parse().context("dump level")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_reads_and_writes_is_in_its_name() {
        let cases = [
            ("-c -d 31", Input::Vmcore, Output::File, Some("zlib"), 31),
            ("-d 0", Input::Vmcore, Output::File, None, 0),
            ("-F -z -d 1", Input::Vmcore, Output::Stdout, Some("zstd"), 1),
            ("--split -l -d 1", Input::Vmcore, Output::Parts, Some("lzo"), 1),
            ("-R", Input::Flat, Output::File, None, 0),
            ("--reassemble", Input::Parts, Output::File, None, 0),
            ("re-filter -c -d 31", Input::Level1, Output::File, None, 31),
        ];
        for (name, input, output, codec, level) in cases {
            let row = Row::parse(name).unwrap();
            assert_eq!((row.input, row.output, row.codec, row.level), (input, output, codec, level), "{name}");
            assert_eq!(row.name, name);
        }
        assert_eq!(Row::parse("re-filter -c -d 31").unwrap().options, ["-c", "-d", "31"]);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for name in ["", "re-filter", "vmcore", "-c -d", "-c -d x"] {
            assert!(Row::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn one_thread_is_in_the_name_too() {
        let rows = Row::all().unwrap();
        let one: Vec<_> = rows.iter().filter(|row| row.threads == Some(1)).collect();
        assert_eq!(one.iter().map(|row| row.options.join(" ")).collect::<Vec<_>>(), ["-c -d 1"]);
        assert_eq!(one[0].goal().unwrap().at_least, 2.0);
        assert_eq!(Row::parse("-l -d 17").unwrap().goal(), None);
    }
}
