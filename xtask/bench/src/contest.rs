//! A row, run by everyone in turn.
//!
//! gdump is held against makedumpfile in its fastest way: without threads or with as many as there are CPUs, whichever
//! was faster in a first run, which does not count.

use anyhow::{Context, Result};

use super::limit::{self, Limit, Pages};
use super::outcome::{Before, Line, Peer, Runs, SLOWER};
use super::sample::{Sample, median};
use super::stage::{First, Runner, Stage, Task};
use crate::machine;

/// A row that seems slower than before is measured further, up to this many times as many runs: what a busy machine
/// does to a few runs goes away, what the program does stays.
const SETS: u32 = 4;

/// How a row is run.
pub struct Contest<'a> {
    /// Where.
    pub stage: &'a Stage<'a>,
    /// What.
    pub task: &'a Task<'a>,
    /// The pages of the row's level, where its limit needs them.
    pub pages: Option<&'a Pages>,
}

/// A program, what its first run showed, and its samples.
struct Entrant {
    runner: Runner,
    written: u64,
    samples: Vec<Sample>,
}

impl Entrant {
    fn new(runner: Runner, first: &First) -> Self {
        Self { runner, written: first.written, samples: Vec::new() }
    }

    fn runs(&self) -> Result<Runs> {
        Ok(Runs { median: Sample::median(&self.samples)?, written: self.written })
    }
}

impl Contest<'_> {
    /// Runs everyone in turn.
    pub fn line(&self) -> Result<Line> {
        let mut ours = self.entrant(Runner::Gdump)?;
        let setup = self.stage.setup;
        let mut before = setup.before.is_some().then(|| self.entrant(Runner::Before)).transpose()?;
        let mut peer = setup.peer.is_some().then(|| self.fastest_peer()).transpose()?;
        let mut limits = Vec::new();
        for turn in 0..setup.runs * SETS {
            let set_done = turn > 0 && turn % setup.runs == 0;
            if set_done && !before.as_ref().is_some_and(|before| seems_slower(&ours, before)) {
                break;
            }
            let mut entrants: Vec<&mut Entrant> =
                std::iter::once(&mut ours).chain(before.as_mut()).chain(peer.as_mut()).collect();
            // Who runs after whom must not matter.
            if turn % 2 == 1 {
                entrants.reverse();
            }
            for entrant in entrants {
                entrant.samples.push(self.stage.once(self.task, entrant.runner)?);
            }
            if setup.peer.is_some() {
                limits.push(limit::measure(self.stage, self.task, ours.written, self.pages)?);
            }
        }
        Ok(Line {
            row: self.task.row.name.clone(),
            gdump: ours.runs()?,
            before: before.map(|before| versus(&ours, &before)).transpose()?,
            peer: peer.map(|peer| self.peer(&peer, &limits)).transpose()?,
            goal: self.task.row.goal(),
        })
    }

    fn entrant(&self, runner: Runner) -> Result<Entrant> {
        Ok(Entrant::new(runner, &self.stage.first(self.task, runner)?))
    }

    /// makedumpfile's threads fail now and then, or do not go with the row: then it is measured without them.
    fn fastest_peer(&self) -> Result<Entrant> {
        let alone = self.stage.first(self.task, Runner::Peer(None))?;
        let threads = Runner::Peer(Some(self.task.row.threads.unwrap_or_else(machine::cpus)));
        let with_threads = self.task.row.threaded().then(|| self.stage.first(self.task, threads).ok()).flatten();
        self.stage.go_on()?;
        Ok(match with_threads {
            Some(first) if first.wall_s < alone.wall_s => Entrant::new(threads, &first),
            _ => Entrant::new(Runner::Peer(None), &alone),
        })
    }

    fn peer(&self, peer: &Entrant, limits: &[Limit]) -> Result<Peer> {
        // Measured on all CPUs; a row with fewer threads has none.
        let limit = self.task.row.threads.is_none().then(|| Limit::median(limits)).transpose()?;
        Ok(Peer { runs: peer.runs()?, limit })
    }
}

fn seems_slower(ours: &Entrant, before: &Entrant) -> bool {
    versus(ours, before).is_ok_and(|before| before.time > SLOWER)
}

/// gdump beside the one before: the ratio of each turn, and of those the median, which a machine that slows down for
/// some turns does not move.
fn versus(ours: &Entrant, before: &Entrant) -> Result<Before> {
    let pairs = || ours.samples.iter().zip(&before.samples);
    Ok(Before {
        runs: before.runs()?,
        time: median(pairs().map(|(now, then)| now.wall_s / then.wall_s).collect()).context("time")?,
        memory: median(pairs().map(|(now, then)| now.rss_mib / then.rss_mib).collect()).context("memory")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_compared_one_by_one() {
        let entrant = |walls: [f64; 3]| Entrant {
            runner: Runner::Gdump,
            written: 0,
            samples: walls.map(|wall_s| Sample { wall_s, rss_mib: 4.0 }).to_vec(),
        };
        // The machine was slow in the second turn.
        let found = versus(&entrant([1.0, 4.0, 1.2]), &entrant([1.0, 4.0, 1.0])).unwrap();
        assert_eq!((found.time, found.memory, found.runs.median.wall_s), (1.0, 1.0, 1.0));
        assert!(!seems_slower(&entrant([1.0, 1.03, 2.0]), &entrant([1.0; 3])));
        assert!(seems_slower(&entrant([1.0, 1.04, 2.0]), &entrant([1.0; 3])));
    }
}
