//! What was measured, as it is kept in a JSON file; tables and charts are drawn of it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::limit::Limit;
use super::row::{Goal, PEAK_MIB};
use super::sample::Sample;

/// All that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the dump.
    pub vmcore: String,
    /// Its size.
    pub vmcore_mib: f64,
    /// Runs of each program in each row.
    pub runs: u32,
    /// CPUs that the programs might use.
    pub cpus: u32,
    /// Which they are.
    pub cpu: String,
    /// Versions.
    pub gdump: String,
    /// Versions.
    pub makedumpfile: String,
    /// Rows, each with several numbers of threads.
    pub rows: Vec<Line>,
    /// Dumps of several sizes, if that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale: Vec<Scale>,
}

/// A row with one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Name of the row.
    pub row: String,
    /// gdump's threads; `None` as many as it takes by itself.
    pub threads: Option<u32>,
    /// gdump.
    pub gdump: Runs,
    /// makedumpfile, its fastest setting.
    pub makedumpfile: Peer,
    /// What no program could do it in less than.
    pub limit: Option<Limit>,
    /// What it must reach.
    pub goal: Option<Goal>,
}

/// The runs of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// Of each column.
    pub median: Sample,
    /// All runs that count.
    pub samples: Vec<Sample>,
}

/// The runs of makedumpfile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its `--num-threads`.
    pub num_threads: Option<u32>,
    /// Its runs.
    #[serde(flatten)]
    pub runs: Runs,
}

/// A row on one of several dumps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Name of the dump.
    pub vmcore: String,
    /// Its size.
    pub vmcore_mib: f64,
    /// Pages that the row writes and that are not zero.
    pub written_mib: f64,
    /// Name of the row.
    pub row: String,
    /// gdump with as many threads as it takes by itself.
    pub gdump: Runs,
}

impl Line {
    /// makedumpfile's time by gdump's.
    pub fn ratio(&self) -> f64 {
        self.makedumpfile.runs.median.wall_s / self.gdump.median.wall_s
    }

    /// Size of gdump's output by makedumpfile's.
    pub fn size(&self) -> f64 {
        self.gdump.median.out_mib / self.makedumpfile.runs.median.out_mib
    }

    /// Whether it reaches the time that it must.
    pub fn is_fast(&self) -> bool {
        self.goal.is_none_or(|goal| rounded(self.ratio()) >= goal.at_least)
    }

    /// Whether its output is as small as it must be.
    pub fn is_small(&self) -> bool {
        // To a thousandth: 1.00 says that headers may differ by some bytes.
        self.goal.is_none_or(|goal| self.size() < goal.size + 0.0005)
    }

    /// Whether it stays within the memory that it may have.
    pub fn is_lean(&self) -> bool {
        self.gdump.median.rss_mib <= PEAK_MIB
    }

    /// Share of the speed that the limit allows (1 is all of it).
    pub fn of_limit(&self) -> Option<f64> {
        Some(self.limit?.seconds() / self.gdump.median.wall_s)
    }

    /// The line's name in what is shown to readers; `None` for lines that are only in the JSON file.
    pub fn title(&self) -> Option<String> {
        match self.threads {
            None => Some(self.row.clone()),
            Some(_) if self.goal.is_none() => None,
            Some(1) => Some(format!("{}, one thread", self.row)),
            Some(threads) => Some(format!("{}, {threads} threads", self.row)),
        }
    }
}

/// To the hundredths that tables show, so that what they show is what is judged.
fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

impl Outcome {
    /// Reads what [`Outcome::write`] wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }

    /// The lines for readers, with their titles.
    pub fn shown(&self) -> impl Iterator<Item = (String, &Line)> {
        self.rows.iter().filter_map(|line| Some((line.title()?, line)))
    }

    /// Programs, machine and dump in a few words.
    pub fn setting(&self) -> String {
        let peer = self.makedumpfile.split(" (").next().unwrap_or_default().replace(": version", "");
        format!(
            "{} CPUs ({}), dump of {:.1} GiB, medians of {}, {peer}",
            self.cpus,
            self.cpu,
            self.vmcore_mib / 1024.0,
            self.runs
        )
    }
}

/// For tests of what is drawn: a row that is fast, one with one thread, and one that misses its goals.
#[cfg(test)]
pub fn example() -> Outcome {
    use super::row::Row;
    let runs = |wall_s, rss_mib, out_mib| {
        let median = Sample { wall_s, cpu_s: wall_s * 1.5, rss_mib, out_mib };
        Runs { median, samples: vec![median] }
    };
    let line = |name: &str, threads: Option<u32>, ours, theirs, limit| Line {
        row: name.to_string(),
        threads,
        gdump: ours,
        makedumpfile: Peer { num_threads: Some(2), runs: theirs },
        limit,
        goal: Row::parse(name).unwrap().goal(threads),
    };
    let limit = Limit { codec_s: Some(1.5), copy_s: 0.25 };
    let copy = Limit { codec_s: None, copy_s: 0.03 };
    Outcome {
        vmcore: "6.1.vmcore".to_string(),
        vmcore_mib: 4096.0,
        runs: 5,
        cpus: 2,
        cpu: "CPU <1> & more".to_string(),
        gdump: "gdump 0.1.0".to_string(),
        makedumpfile: "makedumpfile: version 1.7.9 (released on 20 Apr 2026)".to_string(),
        rows: vec![
            line("-c -d 1", None, runs(2.0, 8.0, 101.0), runs(10.0, 36.0, 100.0), Some(limit)),
            line("-c -d 1", Some(1), runs(4.0, 6.0, 101.0), runs(12.0, 36.0, 100.0), None),
            line("-c -d 1", Some(2), runs(2.0, 8.0, 101.0), runs(10.0, 36.0, 100.0), None),
            line("-R", None, runs(0.5, 41.0, 101.0), runs(0.6, 4.0, 100.0), Some(copy)),
        ],
        scale: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let outcome = example();
        outcome.write(file.path()).unwrap();
        assert_eq!(Outcome::read(file.path()).unwrap().rows, outcome.rows);
        std::fs::write(file.path(), "{}").unwrap();
        assert!(Outcome::read(file.path()).is_err());
    }

    #[test]
    fn what_is_missed_is_told() {
        let rows = example().rows;
        let judged = |line: &Line| (line.is_fast(), line.is_small(), line.is_lean());
        assert_eq!(
            rows.iter().map(judged).collect::<Vec<_>>(),
            [(true, true, true); 3].into_iter().chain([(false, false, false)]).collect::<Vec<_>>()
        );
        assert_eq!(rows[0].of_limit(), Some(0.875));
    }

    #[test]
    fn readers_are_shown_lines_with_goals() {
        let outcome = example();
        let titles: Vec<_> = outcome.shown().map(|(title, _)| title).collect();
        assert_eq!(titles, ["-c -d 1", "-c -d 1, one thread", "-R"]);
    }
}
