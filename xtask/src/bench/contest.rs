//! A row, run by everyone in turn.
//!
//! gdump runs with as many threads as it takes by itself and with each number that was asked for; makedumpfile without
//! threads and with each number; gdump is held against the fastest of those that use no more threads than it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::limit::{self, Limit, Pages};
use super::outcome::{Line, Peer, Runs};
use super::row::Input;
use super::sample::{Sample, median};
use super::stage::{First, Runner, Stage, Task, remove};

/// A setting of makedumpfile whose first run takes this many times as long as another's that uses no more threads takes no
/// part: it will not be the fastest. (Threads of 1.7.9 that wait keep their CPU busy; on two CPUs that others use as well,
/// `-c -d 1` took more than four times as long with two threads as with none.)
const HOPELESS: f64 = 2.0;

/// How a row is run.
pub struct Contest<'a> {
    /// Where.
    pub stage: &'a Stage<'a>,
    /// What.
    pub task: &'a Task<'a>,
    /// Numbers of threads to measure beside the programs' own.
    pub threads: &'a [u32],
    /// How often.
    pub runs: u32,
    /// CPUs there are.
    pub cpus: u32,
    /// The pages of the row's level, where its limit needs them.
    pub pages: Option<&'a Pages>,
}

/// The samples of a row by runner.
type Samples = BTreeMap<Runner, Vec<Sample>>;

impl Contest<'_> {
    /// Runs everyone in turn; a line for each number of threads of gdump.
    pub fn lines(&self) -> Result<Vec<Line>> {
        let first = self.first_runs()?;
        let written = first.get(&Runner::Gdump(None)).context("gdump was not measured")?.written;
        let mut runners = turns(first.keys().copied().collect());
        let (mut samples, mut limits) = (Samples::new(), Vec::new());
        for _ in 0..self.runs {
            for runner in runners.clone() {
                match self.stage.once(self.task, runner, first.get(&runner).map_or(0, |first| first.counted)) {
                    Ok(sample) => samples.entry(runner).or_default().push(sample),
                    Err(error) => {
                        self.leave_out(runner, error)?;
                        runners.retain(|other| *other != runner);
                        samples.remove(&runner);
                    }
                }
            }
            limits.push(limit::measure(self.stage, self.task, written, self.pages)?);
        }
        let limit = Limit::median(&limits)?;
        let ours = samples.keys().filter(|runner| matches!(runner, Runner::Gdump(_)));
        ours.map(|runner| self.line(*runner, &samples, limit)).collect()
    }

    /// Lets everyone run once: who fails, or has no chance, takes no part.
    fn first_runs(&self) -> Result<BTreeMap<Runner, First>> {
        let mut first = BTreeMap::new();
        let mut compared = None;
        for runner in self.candidates() {
            match self.first(runner, at_most(runner, &first)) {
                Ok(found) => {
                    first.insert(runner, found);
                    self.compare(&mut compared)?;
                }
                Err(error) => self.leave_out(runner, error)?,
            }
        }
        remove(compared.as_slice())?;
        Ok(first)
    }

    fn candidates(&self) -> Vec<Runner> {
        let threads: &[u32] = if self.task.row.threaded() { self.threads } else { &[] };
        let mut peers: Vec<Option<u32>> = threads.iter().copied().map(Some).collect();
        if self.task.row.threaded() {
            peers.push(Some(self.cpus));
        }
        peers.sort_unstable();
        peers.dedup();
        let ours = std::iter::once(None).chain(threads.iter().copied().map(Some)).map(Runner::Gdump);
        ours.chain(std::iter::once(None).chain(peers).map(Runner::Peer)).collect()
    }

    /// A first run. Who takes too long gets a second chance: threads that wait in loops suffer most where something else runs.
    fn first(&self, runner: Runner, at_most: Option<f64>) -> Result<First> {
        let found = self.stage.first(self.task, runner, at_most);
        match (&found, at_most) {
            (Err(error), Some(_)) if reason(error) == KILLED => {
                self.stage.go_on()?;
                self.stage.first(self.task, runner, at_most)
            }
            _ => found,
        }
    }

    /// What a stream stands for is one file, whoever makes it: the first output stays to be compared with the others.
    fn compare(&self, compared: &mut Option<PathBuf>) -> Result<()> {
        let outputs = self.stage.outputs(self.task.row);
        let (Input::Flat, Some(output)) = (self.task.row.input, outputs.first()) else { return Ok(()) };
        match compared {
            Some(other) => ensure!(same(other, output)?, "gdump and makedumpfile make different files of one stream"),
            None => {
                let kept = self.stage.path("compared");
                std::fs::rename(output, &kept)?;
                *compared = Some(kept);
            }
        }
        Ok(())
    }

    /// makedumpfile's threads fail now and then, or do not go with the row; then it is measured without them.
    fn leave_out(&self, runner: Runner, error: anyhow::Error) -> Result<()> {
        self.stage.go_on()?;
        if !matches!(runner, Runner::Peer(Some(_))) {
            return Err(error);
        }
        let why = reason(&error);
        let why = if why == KILLED { "slower by far" } else { &why };
        println!("{}: {} left out: {why}", self.task.row.name, shown(runner));
        Ok(())
    }

    fn line(&self, runner: Runner, samples: &Samples, limit: Limit) -> Result<Line> {
        let Runner::Gdump(threads) = runner else { bail!("a line is gdump's") };
        let ours = samples.get(&runner).context("gdump was not measured")?;
        let (num_threads, theirs) =
            best_peer(threads.unwrap_or(self.cpus), samples).context("makedumpfile was not measured")?;
        Ok(Line {
            row: self.task.row.name.clone(),
            threads,
            gdump: Runs { median: Sample::median(ours)?, samples: ours.clone() },
            makedumpfile: Peer { num_threads, runs: Runs { median: Sample::median(theirs)?, samples: theirs.clone() } },
            // Measured on all CPUs; a line with fewer threads has none.
            limit: threads.is_none().then_some(limit),
            goal: self.task.row.goal(threads),
        })
    }
}

/// How a run ended: without the command line, which is known, and what the program said, which is long.
fn reason(error: &anyhow::Error) -> String {
    let error = format!("{error:#}");
    let why = error.lines().next().and_then(|line| line.rsplit(" ended with ").next()).unwrap_or_default();
    why.trim_end_matches(':').to_string()
}

/// How a run ends that timeout(1) ended.
const KILLED: &str = "exit status: 137";

fn shown(runner: Runner) -> String {
    match runner {
        Runner::Gdump(None) => "gdump".to_string(),
        Runner::Gdump(Some(threads)) => format!("gdump --num-threads {threads}"),
        Runner::Peer(None) => "makedumpfile".to_string(),
        Runner::Peer(Some(threads)) => format!("makedumpfile --num-threads {threads}"),
    }
}

/// gdump, makedumpfile, gdump, makedumpfile...
fn turns(runners: Vec<Runner>) -> Vec<Runner> {
    let (ours, theirs): (Vec<_>, Vec<_>) = runners.into_iter().partition(|runner| matches!(runner, Runner::Gdump(_)));
    let pairs = 0..ours.len().max(theirs.len());
    pairs.flat_map(|i| [ours.get(i), theirs.get(i)]).flatten().copied().collect()
}

/// Seconds that the first run of a setting of makedumpfile with threads may take.
fn at_most(runner: Runner, first: &BTreeMap<Runner, First>) -> Option<f64> {
    let rivals = first.iter().filter(|(rival, _)| matches!(rival, Runner::Peer(_)) && **rival < runner);
    let best = rivals.map(|(_, first)| first.wall_s).min_by(f64::total_cmp)?;
    Some((best * HOPELESS).max(1.0))
}

/// The peer's fastest way to use at most `threads` threads.
fn best_peer(threads: u32, samples: &Samples) -> Option<(Option<u32>, &Vec<Sample>)> {
    let allowed = samples.iter().filter_map(|(runner, taken)| match runner {
        Runner::Peer(number) if number.is_none_or(|number| number <= threads) => Some((*number, taken)),
        _ => None,
    });
    let wall =
        |samples: &[Sample]| median(samples.iter().map(|sample| sample.wall_s).collect()).unwrap_or(f64::INFINITY);
    allowed.min_by(|(_, one), (_, other)| wall(one).total_cmp(&wall(other)))
}

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let len = one.read(&mut left)?;
        other.read_exact(&mut right[..len])?;
        if len == 0 || left[..len] != right[..len] {
            return Ok(len == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_s: f64) -> Sample {
        Sample { wall_s, cpu_s: 1.0, rss_mib: 1.0, out_mib: 1.0 }
    }

    fn peers(walls: &[(Option<u32>, f64)]) -> Vec<(Runner, f64)> {
        walls.iter().map(|(threads, wall)| (Runner::Peer(*threads), *wall)).collect()
    }

    #[test]
    fn the_peer_may_use_no_more_threads_than_gdump() {
        let fast =
            [vec![(Runner::Gdump(Some(1)), 1.0)], peers(&[(None, 9.0), (Some(1), 8.0), (Some(2), 5.0)])].concat();
        let samples: Samples = fast.into_iter().map(|(runner, wall)| (runner, vec![sample(wall)])).collect();
        assert_eq!(best_peer(1, &samples).unwrap().0, Some(1));
        assert_eq!(best_peer(2, &samples).unwrap().0, Some(2));
    }

    #[test]
    fn who_is_far_behind_takes_no_part() {
        let limit = |threads, walls: &[(Option<u32>, f64)]| {
            let first = |wall_s| First { wall_s, written: 0, counted: 0 };
            at_most(
                Runner::Peer(threads),
                &peers(walls).into_iter().map(|(runner, wall)| (runner, first(wall))).collect(),
            )
        };
        assert_eq!(limit(None, &[]), None);
        assert_eq!(limit(Some(2), &[(None, 4.0), (Some(1), 3.0)]), Some(6.0));
        // One thread may win where gdump has one, however fast two are.
        assert_eq!(limit(Some(1), &[(None, 4.0), (Some(2), 3.0)]), Some(8.0));
        assert_eq!(limit(Some(1), &[(None, 0.01)]), Some(1.0));
    }

    #[test]
    fn why_a_run_failed() {
        assert_eq!(reason(&anyhow::anyhow!("time x out ended with exit status: 137:\nKilled")), KILLED);
        assert_eq!(reason(&anyhow::anyhow!("time y ended with exit status: 1:")), "exit status: 1");
    }

    #[test]
    fn programs_take_turns() {
        let runners = [Runner::Gdump(None), Runner::Gdump(Some(1)), Runner::Peer(None)];
        assert_eq!(turns(runners.to_vec()), [Runner::Gdump(None), Runner::Peer(None), Runner::Gdump(Some(1))]);
    }

    #[test]
    fn files_are_compared_to_their_ends() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two, short] = ["one", "two", "short"].map(|name| dir.path().join(name));
        let mut bytes = vec![5; (1 << 20) + 3];
        std::fs::write(&one, &bytes).unwrap();
        std::fs::write(&short, &bytes[1..]).unwrap();
        bytes[(1 << 20) + 1] = 6;
        std::fs::write(&two, &bytes).unwrap();
        assert!(same(&one, &one).unwrap() && !same(&one, &two).unwrap() && !same(&one, &short).unwrap());
    }
}
