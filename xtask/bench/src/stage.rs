//! Where the runs happen: a folder in memory, with the inputs that a row needs made ready, and one run at a time.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Setup;
use super::row::{Input, Output, Row};
use super::sample::Sample;

/// What measuring takes, and the Debian package that has it.
pub const PROGRAMS: &[&str] = &["time"];

/// Whose run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// Ours.
    Gdump,
    /// The one before.
    Before,
    /// makedumpfile, without threads or with a number of them.
    Peer(Option<u32>),
}

/// A folder in memory, and the programs that run there.
pub struct Stage<'a> {
    /// What is measured.
    pub setup: &'a Setup,
    dir: tempfile::TempDir,
    stop: Arc<AtomicBool>,
}

/// A row and the files it reads.
pub struct Task<'a> {
    /// The row.
    pub row: &'a Row,
    /// What it reads.
    pub inputs: Vec<PathBuf>,
}

impl<'a> Stage<'a> {
    /// Makes the folder and has the dump in the page cache.
    ///
    /// From here on SIGINT and SIGTERM end the measuring (whose program they end as well), and the folder goes with it:
    /// gigabytes of memory would stay behind.
    pub fn new(setup: &'a Setup) -> Result<Self> {
        // Memory, on every Debian.
        let dir = tempfile::Builder::new().prefix("gdump-bench").tempdir_in("/dev/shm").context("/dev/shm")?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        warm(&setup.vmcore)?;
        Ok(Self { setup, dir, stop })
    }

    /// The file `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Fails once the user wants it to end.
    pub fn go_on(&self) -> Result<()> {
        ensure!(!self.stop.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }

    /// Makes the files that `row` reads, so that all programs read the same: with makedumpfile where it is measured,
    /// else with the older gdump.
    pub fn prepare<'r>(&self, row: &'r Row) -> Result<Task<'r>> {
        let files = |names: &[&str]| names.iter().map(|name| self.path(name)).collect::<Vec<_>>();
        let vmcore = &self.setup.vmcore;
        let inputs = match row.input {
            Input::Vmcore => vec![vmcore.clone()],
            Input::Flat => files(&["flat"]),
            Input::Parts => files(&["part1", "part2"]),
            Input::Level1 => files(&["level1"]),
        };
        let peer = self.setup.peer.as_ref().map(|peer| &peer.program);
        let mut command = Command::new(peer.or(self.setup.before.as_ref()).unwrap_or(&self.setup.gdump));
        command.args(["--message-level", "4"]);
        match row.input {
            Input::Vmcore => return Ok(Task { row, inputs }),
            Input::Flat => command.args(["-F", "-c", "-d", "1"]).arg(vmcore),
            Input::Parts => command.args(["--split", "-c", "-d", "1"]).arg(vmcore).args(&inputs),
            Input::Level1 => command.args(row.codec_option()).args(["-d", "1"]).arg(vmcore).args(&inputs),
        };
        match (row.input, inputs.first()) {
            (Input::Flat, Some(path)) => finish(command.stdout(File::create(path)?))?,
            _ => quiet(&mut command).map(drop)?,
        }
        Ok(Task { row, inputs })
    }

    /// Removes what [`Stage::prepare`] made.
    pub fn clear(&self, task: &Task<'_>) -> Result<()> {
        remove(&self.outputs(task.row))?;
        let made: Vec<PathBuf> = task.inputs.iter().filter(|path| path.starts_with(self.dir.path())).cloned().collect();
        remove(&made)
    }

    /// The files that `row` writes.
    pub fn outputs(&self, row: &Row) -> Vec<PathBuf> {
        match row.output {
            Output::File => vec![self.path("out")],
            Output::Stdout => Vec::new(),
            Output::Parts => vec![self.path("out1"), self.path("out2")],
        }
    }

    /// A first run, which does not count: whether it works, about how long it takes, and how much it writes.
    pub fn first(&self, task: &Task<'_>, runner: Runner) -> Result<First> {
        let mut command = self.timed(task, runner)?;
        let stream = self.path("stream");
        command.stdout(if task.row.output == Output::Stdout { File::create(&stream)?.into() } else { Stdio::null() });
        let start = Instant::now();
        finish(&mut command)?;
        let wall_s = start.elapsed().as_secs_f64();
        self.go_on()?;
        let outputs = self.outputs(task.row);
        let written = if outputs.is_empty() { vec![stream.clone()] } else { outputs };
        let written = written.iter().map(|path| Ok(std::fs::metadata(path)?.len())).sum::<Result<u64>>()?;
        remove(&[stream])?;
        Ok(First { wall_s, written })
    }

    /// A run that counts.
    pub fn once(&self, task: &Task<'_>, runner: Runner) -> Result<Sample> {
        let mut command = self.timed(task, runner)?;
        // Where it has an output on stdout, that goes to nowhere.
        command.stdout(File::options().write(true).open("/dev/null")?);
        let start = Instant::now();
        finish(&mut command)?;
        let wall_s = start.elapsed().as_secs_f64();
        self.go_on()?;
        Sample::new(wall_s, &std::fs::read_to_string(self.path(USAGE))?)
    }

    /// The command of a run; what a run before it left is removed here, before the clock starts.
    fn timed(&self, task: &Task<'_>, runner: Runner) -> Result<Command> {
        remove(&self.outputs(task.row))?;
        let mut command = Command::new("time");
        command.args(["-q", "-f", Sample::TIME_FORMAT, "-o"]).arg(self.path(USAGE));
        command.arg(self.program(runner)?).args(words(task, runner, &self.outputs(task.row)));
        command.stdin(match (task.row.input, task.inputs.first()) {
            (Input::Flat, Some(path)) => Stdio::from(File::open(path)?),
            _ => Stdio::null(),
        });
        Ok(command)
    }

    fn program(&self, runner: Runner) -> Result<&Path> {
        Ok(match runner {
            Runner::Gdump => &self.setup.gdump,
            Runner::Before => self.setup.before.as_ref().context("no gdump before")?,
            Runner::Peer(_) => &self.setup.peer.as_ref().context("no makedumpfile")?.program,
        })
    }
}

/// What a run that does not count shows.
#[derive(Clone, Copy)]
pub struct First {
    /// Seconds.
    pub wall_s: f64,
    /// Bytes that it writes.
    pub written: u64,
}

/// Runs a program to its end, with its stdout where that was sent; an unsuccessful end is an error with what it said.
fn finish(command: &mut Command) -> Result<()> {
    let child = command.stderr(Stdio::piped()).spawn();
    let output = child.and_then(|child| child.wait_with_output()).with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, last_line(&output.stderr));
    Ok(())
}

/// Runs a program in silence and returns what it printed; an unsuccessful end is an error with what it said.
pub fn quiet(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, last_line(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn last_line(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim_end().lines().next_back().unwrap_or_default().to_owned()
}

/// The file that time(1) writes to.
const USAGE: &str = "usage";

/// The command line, without the program.
fn words(task: &Task<'_>, runner: Runner, outputs: &[PathBuf]) -> Vec<OsString> {
    let mut words: Vec<OsString> = task.row.options.iter().map(OsString::from).collect();
    words.extend(["--message-level", "4"].map(OsString::from));
    let threads = if let Runner::Peer(threads) = runner { threads } else { task.row.threads };
    if let Some(threads) = threads {
        words.extend(["--num-threads".into(), threads.to_string().into()]);
    }
    if task.row.input != Input::Flat {
        words.extend(task.inputs.iter().map(OsString::from));
    }
    words.extend(outputs.iter().map(OsString::from));
    words
}

/// Removes those of `paths` that exist.
pub fn remove(paths: &[PathBuf]) -> Result<()> {
    for path in paths.iter().filter(|path| path.exists()) {
        std::fs::remove_file(path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Reads the dump once, so that every run finds it in the page cache, and has the disk take what is not on it yet, so
/// that no run is disturbed by that.
fn warm(path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    file.sync_all()?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, runner: Runner, inputs: &[&str], outputs: &[&str]) -> String {
        let row = Row::parse(name).unwrap();
        let task = Task { row: &row, inputs: inputs.iter().map(PathBuf::from).collect() };
        let outputs: Vec<PathBuf> = outputs.iter().map(PathBuf::from).collect();
        let words = words(&task, runner, &outputs);
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn command_lines() {
        let cases = [
            (line("-c -d 1", Runner::Gdump, &["v"], &["o"]), "-c -d 1 --message-level 4 v o"),
            (
                line("-c -d 1, one thread", Runner::Before, &["v"], &["o"]),
                "-c -d 1 --message-level 4 --num-threads 1 v o",
            ),
            (line("-d 0", Runner::Peer(Some(2)), &["v"], &["o"]), "-d 0 --message-level 4 --num-threads 2 v o"),
            (line("-F -c -d 1", Runner::Peer(None), &["v"], &[]), "-F -c -d 1 --message-level 4 v"),
            (line("-R", Runner::Gdump, &["flat"], &["o"]), "-R --message-level 4 o"),
            (line("--split -l", Runner::Gdump, &["v"], &["a", "b"]), "--split -l --message-level 4 v a b"),
            (line("--reassemble", Runner::Peer(None), &["a", "b"], &["o"]), "--reassemble --message-level 4 a b o"),
            (line("re-filter -c -d 31", Runner::Peer(None), &["l"], &["o"]), "-c -d 31 --message-level 4 l o"),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
    }
}
