//! What was measured; the table and the chart are drawn of it.

use anyhow::{Context, Result};

use super::limit::Limit;
use super::row::{Goal, PEAK_MIB};
use super::sample::Sample;
use super::{Setup, machine};

/// More time than this, by that of the gdump before, is a row that became slower.
pub const SLOWER: f64 = 1.03;

/// All that was measured.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Size of the dump in bytes.
    pub vmcore: u64,
    /// Runs of each program in each row.
    pub runs: u32,
    /// CPUs that the programs might use.
    pub cpus: u32,
    /// Which they are.
    pub cpu: String,
    /// makedumpfile's version, where it was measured.
    pub peer: Option<String>,
    /// Whether an older gdump was measured.
    pub before: bool,
    /// The rows.
    pub rows: Vec<Line>,
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Name of the row.
    pub row: String,
    /// gdump.
    pub gdump: Runs,
    /// The gdump before.
    pub before: Option<Before>,
    /// makedumpfile.
    pub peer: Option<Peer>,
    /// What it must reach.
    pub goal: Option<Goal>,
}

/// The runs of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    /// Of each column.
    pub median: Sample,
    /// Bytes that each run wrote.
    pub written: u64,
}

/// The runs of the gdump before, and gdump's by them.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// Its runs.
    pub runs: Runs,
    /// gdump's time by its.
    pub time: f64,
    /// gdump's peak of memory by its.
    pub memory: f64,
}

/// The runs of makedumpfile in its fastest way.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its runs.
    pub runs: Runs,
    /// What no program could do it in less than.
    pub limit: Option<Limit>,
}

/// What is known before anything is measured.
pub(crate) fn blank(setup: &Setup) -> Result<Outcome> {
    let version = setup.peer.as_ref().map(|peer| machine::version(&peer.program)).transpose()?;
    let meta = std::fs::metadata(&setup.vmcore).with_context(|| setup.vmcore.display().to_string())?;
    Ok(Outcome {
        vmcore: meta.len(),
        runs: setup.runs,
        cpus: machine::cpus(),
        cpu: machine::cpu_model(),
        peer: version.map(|text| machine::first_line(&text).to_string()),
        before: setup.before.is_some(),
        rows: Vec::new(),
    })
}

impl Peer {
    /// makedumpfile's time by gdump's.
    pub fn ratio(&self, gdump: &Runs) -> f64 {
        self.runs.median.wall_s / gdump.median.wall_s
    }

    /// Size of gdump's output by makedumpfile's.
    pub fn size(&self, gdump: &Runs) -> f64 {
        gdump.written as f64 / self.runs.written as f64
    }
}

impl Line {
    /// Whether it reaches the time that it must.
    pub fn is_fast(&self) -> bool {
        let ratio = self.peer.as_ref().map(|peer| rounded(peer.ratio(&self.gdump)));
        self.goal.zip(ratio).is_none_or(|(goal, ratio)| ratio >= goal.at_least)
    }

    /// Whether its output is as small as it must be.
    pub fn is_small(&self) -> bool {
        let size = self.peer.as_ref().map(|peer| peer.size(&self.gdump));
        // To a thousandth: 1.00 says that headers may differ by some bytes.
        self.goal.zip(size).is_none_or(|(goal, size)| size < goal.size + 0.0005)
    }

    /// Whether it stays within the memory that it may have.
    pub fn is_lean(&self) -> bool {
        self.gdump.median.rss_mib <= PEAK_MIB
    }

    /// Whether it takes longer than the gdump before.
    pub fn is_slower(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.time > SLOWER)
    }
}

/// To the hundredths that tables show, so that what they show is what is judged.
fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

impl Outcome {
    /// The rows that take longer than with the gdump before.
    pub fn slower(&self) -> Vec<&str> {
        self.rows.iter().filter(|line| line.is_slower()).map(|line| line.row.as_str()).collect()
    }

    /// Machine, dump and makedumpfile in a few words.
    pub fn setting(&self) -> String {
        let size = self.vmcore as f64 / (1u64 << 30) as f64;
        let peer = self.peer.as_ref().map_or_else(String::new, |version| {
            format!(", {}", version.split(" (").next().unwrap_or_default().replace(": version", ""))
        });
        format!("{} CPUs ({}), dump of {size:.1} GiB, medians of {}{peer}", self.cpus, self.cpu, self.runs)
    }
}

/// For tests of what is drawn: a row that is fast, one with one thread, and one that misses its goals.
#[cfg(test)]
pub fn example() -> Outcome {
    use super::row::Row;
    let runs = |wall_s, rss_mib, written| Runs { median: Sample { wall_s, rss_mib }, written };
    let line = |name: &str, gdump: Runs, theirs, limit, time| Line {
        row: name.to_string(),
        before: Some(Before { runs: gdump.clone(), time, memory: 0.5 }),
        gdump,
        peer: Some(Peer { runs: theirs, limit }),
        goal: Row::parse(name).unwrap().goal(),
    };
    let limit = Limit { codec_s: Some(1.5), copy_s: 0.25 };
    let copy = Limit { codec_s: None, copy_s: 0.03 };
    Outcome {
        vmcore: 4 << 30,
        runs: 5,
        cpus: 2,
        cpu: "CPU <1> & more".to_string(),
        peer: Some("makedumpfile: version 1.7.9 (released on 20 Apr 2026)".to_string()),
        before: true,
        rows: vec![
            line("-c -d 1", runs(2.0, 8.0, 1010), runs(10.0, 36.0, 1000), Some(limit), 1.0),
            line("-c -d 1, one thread", runs(4.0, 6.0, 1010), runs(12.0, 36.0, 1000), None, 1.03),
            line("-R", runs(0.5, 41.0, 1010), runs(0.6, 4.0, 1000), Some(copy), 1.04),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_told() {
        let outcome = example();
        let judged = |line: &Line| (line.is_fast(), line.is_small(), line.is_lean());
        let judged: Vec<_> = outcome.rows.iter().map(judged).collect();
        assert_eq!(judged, [(true, true, true), (true, true, true), (false, false, false)]);
        assert_eq!(outcome.slower(), ["-R"]);
    }
}
