//! Captures that something befalls at a random moment: the guest must run afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::gdump::Gdump;
use super::guest::{Guest, Kernel};
use super::pause;
use super::trouble::{Ended, Trouble, end_of, signal};
use crate::faults::Dice;
use crate::report::Report;

/// Memory of the guest, and how much of it is filled (MiB).
const MEM: u32 = 256;
const RICH: u32 = 64;

const TROUBLES: &[Trouble] =
    &[Trouble::Signal("INT"), Trouble::Signal("TERM"), Trouble::Signal("HUP"), Trouble::Full, Trouble::Kill];

/// What is interrupted.
const WAYS: &[&[&str]] =
    &[&["-l", "-d", "31"], &["-l", "-d", "31"], &["-c", "-d", "23"], &["--via", "dump", "-l", "-d", "31"]];

/// How long QEMU may take to notice that nobody reads its dump.
const NOTICES: Duration = Duration::from_secs(10);

/// Interrupts as many captures as are wanted, all of one guest.
pub fn check(
    kernel: &Kernel,
    timeout: u32,
    (seed, rounds): (u64, u32),
    gdump: &Gdump,
    report: &mut Report,
) -> Result<()> {
    let mut bench = Bench { guest: pause::boot(kernel, MEM, RICH, timeout)?, gdump, wholes: Vec::new() };
    for way in WAYS {
        let start = Instant::now();
        bench.gdump.run(&bench.words(way, &[]).each())?;
        let bytes = std::fs::metadata(bench.output())?.len();
        bench.wholes.push(Whole { took: start.elapsed(), bytes });
    }
    let mut tally = Tally::default();
    for round in 0..rounds {
        let mut dice = Dice::of(seed, "live", round);
        let (trouble, way) = (*dice.one_of(TROUBLES), dice.within(0, WAYS.len() as u64) as usize);
        let what = format!("round {round}: {trouble:?} at capture {}", WAYS[way].join(" "));
        match bench.round(trouble, way, &mut dice) {
            Ok(outcome) => tally.add(trouble, outcome),
            Err(error) => {
                report.differs(format!("{what}: {error:#}"));
                let _ = bench.guest.monitor.run("cont", serde_json::json!({}));
            }
        }
        bench.runs(NOTICES).with_context(|| format!("{what}: the guest is lost"))?;
    }
    tally.lines().for_each(|line| report.note(line));
    Ok(())
}

/// What a capture that nothing befalls takes.
struct Whole {
    took: Duration,
    bytes: u64,
}

struct Bench<'a> {
    guest: Guest,
    gdump: &'a Gdump,
    wholes: Vec<Whole>,
}

/// Words of a command line.
struct Words(Vec<String>);

impl Words {
    fn each(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// How a round ended.
enum Outcome {
    /// gdump was done before.
    Whole,
    Interrupted,
    /// It was killed and left the guest stopped.
    LeftStopped,
}

impl Bench<'_> {
    fn output(&self) -> std::path::PathBuf {
        self.guest.dir().join("out")
    }

    fn words(&self, way: &[&str], more: &[&str]) -> Words {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let ends = vec![self.guest.source(), self.output().display().to_string()];
        Words([own(&["capture", "-f"]), own(way), own(more), ends].concat())
    }

    fn round(&mut self, trouble: Trouble, way: usize, dice: &mut Dice) -> Result<Outcome> {
        let Whole { took, bytes } = self.wholes[way];
        let via_dump = WAYS[way].contains(&"dump");
        let limit = dice.within(0, bytes);
        let more = if trouble == Trouble::Full { vec!["-L".to_owned(), limit.to_string()] } else { Vec::new() };
        let words = self.words(WAYS[way], &more.iter().map(String::as_str).collect::<Vec<_>>());
        let start = Instant::now();
        let child = self.gdump.start(&words.each())?;
        let moment = Duration::from_micros(dice.within(0, took.as_micros() as u64 * 5 / 4));
        match trouble {
            Trouble::Full => {}
            Trouble::Signal(name) => {
                std::thread::sleep(moment.saturating_sub(start.elapsed()));
                signal(name, child.id())?;
            }
            Trouble::Kill => {
                std::thread::sleep(moment.saturating_sub(start.elapsed()));
                signal("KILL", child.id())?;
            }
        }
        let ended = end_of(child, start)?;
        // QEMU runs the guest again itself when it notices that nobody reads what it writes
        let patience = if via_dump { NOTICES } else { Duration::ZERO };
        match trouble {
            Trouble::Kill => self.after_kill(&ended, patience),
            _ => {
                self.runs(patience).with_context(|| ended.said.0.clone())?;
                judged(trouble, &ended)
            }
        }
    }

    /// Waits so long until the guest runs.
    fn runs(&mut self, patience: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let status = self.guest.monitor.status()?;
            if status == "running" {
                return Ok(());
            }
            ensure!(start.elapsed() < patience, "query-status says {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A second capture works, and a guest that stands still can be let run.
    fn after_kill(&mut self, ended: &Ended, patience: Duration) -> Result<Outcome> {
        if ended.status.success() {
            return self.runs(patience).map(|()| Outcome::Whole);
        }
        let _ = self.runs(patience);
        let before = self.guest.monitor.status()?;
        self.gdump.run(&self.words(WAYS[0], &[]).each()).context("a second capture")?;
        let after = self.guest.monitor.status()?;
        ensure!(before == after, "the guest was {before}, and after a second capture {after}");
        if before == "running" {
            return Ok(Outcome::Interrupted);
        }
        self.gdump.run(&["capture", "--resume-guest", &self.guest.source()])?;
        self.runs(Duration::ZERO).context("after --resume-guest")?;
        Ok(Outcome::LeftStopped)
    }
}

/// Whether the status is what it should be.
fn judged(trouble: Trouble, ended: &Ended) -> Result<Outcome> {
    let said = ended.said.0.trim();
    ensure!(!said.contains("panicked"), "{said}");
    match ended.status.code() {
        Some(0) if trouble != Trouble::Full => Ok(Outcome::Whole),
        // before it listened, when it had done nothing yet
        None if matches!(trouble, Trouble::Signal(_)) && said.is_empty() => Ok(Outcome::Interrupted),
        Some(1) if trouble == Trouble::Full || said.contains("interrupted") => Ok(Outcome::Interrupted),
        _ => anyhow::bail!("{}: {said}", ended.status),
    }
}

#[derive(Default)]
struct Tally(BTreeMap<&'static str, [usize; 3]>);

impl Tally {
    fn add(&mut self, trouble: Trouble, outcome: Outcome) {
        let name = match trouble {
            Trouble::Signal(name) => name,
            Trouble::Kill => "KILL",
            Trouble::Full => "full",
        };
        self.0.entry(name).or_default()[outcome as usize] += 1;
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, [whole, interrupted, stopped])| {
            format!("  {name}: {whole} done before, {interrupted} interrupted and the guest runs, {stopped} left stopped and resumed")
        })
    }
}
