//! `cargo xtask faults`: does gdump tell the truth about its output, whatever happens to it?
//!
//! gdump runs on the dump of `fixtures/tiny` while something happens to it; what it says and leaves is judged
//! ([`verdict`]): exit status 0 only if the output is what an undisturbed run writes, at least one line why not,
//! no panic, no hang, and an output that is absent, or whole, or does not pass for whole.
//!
//! | module                                  | holds                                                      |
//! |-----------------------------------------|------------------------------------------------------------|
//! | [`command`]                             | the command lines that are disturbed                       |
//! | [`stop`], [`room`], [`limit`], [`pipe`], [`calls`], [`input`] | the kinds of faults                  |
//! | [`trial`], [`stage`]                    | a disturbed run, and the folder it runs in                 |
//! | [`whole`], [`verdict`], [`tally`]       | what it should do, what is right, what was found           |
//! | [`dice`]                                | random numbers of a seed                                   |

mod calls;
mod command;
mod dice;
mod input;
mod limit;
mod pipe;
mod room;
mod stage;
mod stop;
mod tally;
mod trial;
mod verdict;
mod whole;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};

use crate::{program, workspace};
use command::Command;
pub use dice::Dice;
use stage::Stage;
use tally::Tally;
use trial::Trial;
use verdict::Verdict;
use whole::{Whole, Wholes};

/// A kind of fault.
struct Kind {
    name: &'static str,
    /// Rounds, if nothing else is asked for.
    rounds: u32,
    commands: &'static [&'static Command],
    /// Why it cannot be tried here, if so.
    lacks: fn() -> Option<String>,
    trial: fn(&mut Round<'_>) -> Result<Trial>,
}

const KINDS: &[Kind] = &[
    Kind { name: "kill", rounds: 1000, commands: stop::COMMANDS, lacks: || None, trial: stop::kill },
    Kind { name: "signal", rounds: 600, commands: stop::COMMANDS, lacks: || None, trial: stop::signal },
    Kind { name: "space", rounds: 440, commands: room::COMMANDS, lacks: stage::can_mount, trial: room::space },
    Kind { name: "limit", rounds: 400, commands: limit::COMMANDS, lacks: for_limit, trial: limit::limit },
    Kind { name: "pipe", rounds: 200, commands: pipe::COMMANDS, lacks: || None, trial: pipe::pipe },
    Kind {
        name: "calls",
        rounds: 1300,
        commands: calls::COMMANDS,
        lacks: || without(&["strace"]),
        trial: calls::calls,
    },
    Kind { name: "input", rounds: 270, commands: input::COMMANDS, lacks: || None, trial: input::input },
];

/// What `cargo xtask faults` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Kinds of faults [default: all]: kill (SIGKILL), signal (other signals), space (a full file system), limit
    /// (resource limits, TMPDIR), pipe (readers and writers that go or wait), calls (system calls that fail), input
    /// (a file that changes while it is read)
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(KINDS.iter().map(|kind| kind.name)))]
    kinds: Vec<String>,
    /// The gdump to run [default: this repository's, built now]
    #[arg(long, value_name = "PATH")]
    gdump: Option<PathBuf>,
    /// Rounds of each kind, spread over its commands [default: 200 to 1300]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Only round N of each kind, to see a fault again
    #[arg(long, value_name = "N", conflicts_with = "rounds")]
    round: Option<u32>,
    /// Where the random numbers begin
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// A round of a kind, from which a run to be disturbed is made.
struct Round<'a> {
    command: &'static Command,
    dice: Dice,
    wholes: &'a Wholes,
    inputs: &'a Path,
    /// A user that nobody is.
    user: u32,
}

impl<'a> Round<'a> {
    /// What its command does undisturbed.
    fn whole(&self) -> Result<&'a Whole> {
        self.wholes.get(self.command)
    }

    /// The length of the input `in/NAME`.
    fn input_len(&self, input: &str) -> Result<u64> {
        let name = Path::new(input).file_name().context("a folder")?;
        Ok(fs::metadata(self.inputs.join(name))?.len())
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(&["kill", "timeout"])?;
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let base = tempfile::Builder::new().prefix("faults").tempdir()?;
    prepare(base.path(), &gdump)?;
    let asked = |kind: &&Kind| args.kinds.is_empty() || args.kinds.iter().any(|name| name == kind.name);
    let mut skipped = Vec::new();
    let mut kinds = Vec::new();
    for kind in KINDS.iter().filter(asked) {
        match (kind.lacks)() {
            Some(why) => skipped.push(format!("SKIPPED: {}: {why}", kind.name)),
            None => kinds.push(kind),
        }
    }
    let commands: Vec<&'static Command> = kinds.iter().flat_map(|kind| kind.commands).copied().collect();
    let wholes = Wholes::of(&commands, &Stage::new(base.path(), "first", 0)?, &base.path().join("whole"))?;
    let mut tally = Tally::default();
    for kind in kinds {
        rounds(kind, args, base.path(), &wholes, &mut tally).with_context(|| kind.name)?;
    }
    println!("{tally}");
    skipped.iter().for_each(|line| println!("{line}"));
    match tally.wrong() {
        0 => Ok(()),
        n => bail!("{n} runs left what they must not, see WRONG above"),
    }
}

/// The inputs, and a copy of the program that any user can run and no build replaces.
fn prepare(base: &Path, gdump: &Path) -> Result<()> {
    let (inputs, copy) = (base.join("in"), base.join("gdump"));
    fs::create_dir(&inputs)?;
    fs::copy(gdump, &copy)?;
    let packed = workspace::root()?.join("fixtures/tiny/vmcore.zst");
    fs::copy(&packed, inputs.join("vmcore.zst"))?;
    zstd::stream::copy_decode(fs::File::open(&packed)?, fs::File::create(inputs.join("vmcore"))?)?;
    for line in command::INPUTS {
        let words = command::words(line);
        let mut process = std::process::Command::new(&copy);
        process.args(&words.args).current_dir(base);
        if let Some(path) = words.stdout {
            process.args(["--message-level", "4"]).stdout(fs::File::create(base.join(path))?);
            let output = process.output()?;
            program::checked(&process, &output)?;
        } else {
            program::quiet(&mut process)?;
        }
    }
    let whole = fs::read(inputs.join("zlib"))?;
    fs::write(inputs.join("cut"), &whole[..whole.len() * 3 / 4])?;
    for input in fs::read_dir(&inputs)? {
        fs::set_permissions(input?.path(), Permissions::from_mode(0o644))?;
    }
    Ok(fs::set_permissions(base, Permissions::from_mode(0o755))?)
}

/// All rounds of a kind, as many at a time as there are CPUs.
fn rounds(kind: &'static Kind, args: &Args, base: &Path, wholes: &Wholes, tally: &mut Tally) -> Result<()> {
    let numbers: Vec<u32> = match args.round {
        Some(round) => vec![round],
        None => (0..args.rounds.unwrap_or(kind.rounds)).collect(),
    };
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |worker: u32| -> Result<()> {
        let stage = Stage::new(base, kind.name, worker)?;
        while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let command = kind.commands[*number as usize % kind.commands.len()];
            let dice = Dice::of(args.seed, kind.name, *number);
            let mut round = Round { command, dice, wholes, inputs: &base.join("in"), user: stage.user };
            let trial = (kind.trial)(&mut round)?;
            let whole = wholes.get(command)?;
            let verdict = stage.play(&trial, |ended| verdict::judge(&stage, whole, &trial, ended))?;
            if let Verdict::Wrong(text) = &verdict {
                let again = format!("cargo xtask faults {} --seed {} --round {number}", kind.name, args.seed);
                println!("WRONG: {}\n  {text}\n  again: {again}", trial.shown());
            }
            found.lock().map_err(|_| anyhow::anyhow!("a worker panicked"))?.push((*number, command.line, verdict));
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism()?.get() as u32;
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn({
                    let work = &work;
                    move || work(worker)
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    let mut found = found.into_inner().map_err(|_| anyhow::anyhow!("a worker panicked"))?;
    found.sort_by_key(|(number, ..)| *number);
    found.iter().for_each(|(_, line, verdict)| tally.add(kind.name, line, verdict));
    Ok(())
}

/// What of `programs` is not here.
fn without(programs: &[&str]) -> Option<String> {
    program::need(programs).err().map(|e| e.to_string())
}

fn for_limit() -> Option<String> {
    without(&["prlimit", "setpriv"]).or_else(stage::can_mount)
}
