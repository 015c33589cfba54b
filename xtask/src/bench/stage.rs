//! Where the runs happen: a folder in memory, with the inputs that a row needs made ready, and one run at a time.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::program;

use super::room;
use super::row::{Input, Output, Row};
use super::sample::Sample;

/// Whose run it is, and with how many threads; without a number, as many as the program takes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runner {
    /// Ours.
    Gdump(Option<u32>),
    /// makedumpfile.
    Peer(Option<u32>),
}

impl Runner {
    fn threads(self) -> Option<u32> {
        match self {
            Self::Gdump(threads) | Self::Peer(threads) => threads,
        }
    }
}

/// A folder in memory, and the programs that run there.
pub struct Stage<'a> {
    /// The dump.
    pub vmcore: &'a Path,
    /// Ours.
    pub gdump: &'a Path,
    /// makedumpfile.
    pub peer: &'a Path,
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
    /// Makes the folder and has `vmcore` in the page cache.
    ///
    /// From here on SIGINT and SIGTERM end the measuring (whose program they end as well), and the folder goes with it:
    /// gigabytes of memory would stay behind.
    pub fn new(vmcore: &'a Path, gdump: &'a Path, peer: &'a Path) -> Result<Self> {
        // Memory, on every Debian.
        let shm = Path::new("/dev/shm");
        room::need(shm, std::fs::metadata(vmcore).with_context(|| vmcore.display().to_string())?.len())?;
        let dir = tempfile::Builder::new().prefix("gdump-bench").tempdir_in(shm).context("/dev/shm")?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        warm(vmcore)?;
        Ok(Self { vmcore, gdump, peer, dir, stop })
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

    /// Makes the files that `row` reads, with makedumpfile, so that both programs read the same.
    pub fn prepare<'r>(&self, row: &'r Row) -> Result<Task<'r>> {
        let files = |names: &[&str]| names.iter().map(|name| self.path(name)).collect::<Vec<_>>();
        let inputs = match row.input {
            Input::Vmcore => vec![self.vmcore.to_path_buf()],
            Input::Flat => files(&["flat"]),
            Input::Parts => files(&["part1", "part2"]),
            Input::Level1 => files(&["level1"]),
        };
        let mut command = Command::new(self.peer);
        command.args(["--message-level", "4"]);
        match row.input {
            Input::Vmcore => return Ok(Task { row, inputs }),
            Input::Flat => command.args(["-F", "-c", "-d", "1"]).arg(self.vmcore),
            Input::Parts => command.args(["--split", "-c", "-d", "1"]).arg(self.vmcore).args(&inputs),
            Input::Level1 => command.args(row.codec_option()).args(["-d", "1"]).arg(self.vmcore).args(&inputs),
        };
        if let (Input::Flat, Some(path)) = (row.input, inputs.first()) {
            command.stdout(File::create(path)?);
        }
        program::quiet(&mut command).context("making what the row reads")?;
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

    /// A first run, which does not count: whether it works, about how long it takes, and how much it writes. Fails where it
    /// takes longer than `at_most` seconds.
    pub fn first(&self, task: &Task<'_>, runner: Runner, at_most: Option<f64>) -> Result<First> {
        let mut command = self.timed(task, runner, at_most)?;
        let start = Instant::now();
        let counted = match task.row.output {
            Output::Stdout => self.count(&mut command)?,
            _ => self.finish(&mut command).map(|()| 0)?,
        };
        Ok(First { wall_s: start.elapsed().as_secs_f64(), counted, written: counted + self.written(task)? })
    }

    /// A run that counts. `counted` is how much it writes to stdout, as its first run told.
    pub fn once(&self, task: &Task<'_>, runner: Runner, counted: u64) -> Result<Sample> {
        let mut command = self.timed(task, runner, None)?;
        let start = Instant::now();
        self.finish(&mut command)?;
        let wall_s = start.elapsed().as_secs_f64();
        Sample::new(wall_s, &std::fs::read_to_string(self.path(USAGE))?, counted + self.written(task)?)
    }

    /// Waits for a run whose stdout, if it has any, goes to /dev/null.
    fn finish(&self, command: &mut Command) -> Result<()> {
        let output = command.stdout(File::options().write(true).open("/dev/null")?).output().context("time")?;
        self.go_on()?;
        program::checked(command, &output)
    }

    /// Waits for a run and counts the bytes of its stdout.
    fn count(&self, command: &mut Command) -> Result<u64> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("time")?;
        let mut stdout = child.stdout.take().context("no pipe")?;
        let (mut bytes, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match stdout.read(&mut buffer)? {
                0 => break,
                len => bytes += len as u64,
            }
        }
        let status = child.wait()?;
        self.go_on()?;
        if !status.success() {
            bail!("{} ended with {status}", program::shown(command));
        }
        Ok(bytes)
    }

    /// Bytes in the files that a run left.
    fn written(&self, task: &Task<'_>) -> Result<u64> {
        let len = |path: PathBuf| Ok(std::fs::metadata(&path).with_context(|| path.display().to_string())?.len());
        self.outputs(task.row).into_iter().map(len).sum()
    }

    /// The command of a run; what a run before it left is removed here, before the clock starts.
    fn timed(&self, task: &Task<'_>, runner: Runner, at_most: Option<f64>) -> Result<Command> {
        remove(&self.outputs(task.row))?;
        let mut command = Command::new("time");
        command.args(["-q", "-f", Sample::TIME_FORMAT, "-o"]).arg(self.path(USAGE));
        if let Some(seconds) = at_most {
            // In the foreground, so that Ctrl-C still reaches who runs.
            command.args(["timeout", "--foreground", "--signal=KILL", &format!("{seconds:.1}")]);
        }
        command.arg(match runner {
            Runner::Gdump(_) => self.gdump,
            Runner::Peer(_) => self.peer,
        });
        command.args(words(task, runner, &self.outputs(task.row)));
        command.stdin(match (task.row.input, task.inputs.first()) {
            (Input::Flat, Some(path)) => Stdio::from(File::open(path)?),
            _ => Stdio::null(),
        });
        Ok(command)
    }
}

/// What a run that does not count tells.
#[derive(Clone, Copy)]
pub struct First {
    /// Seconds.
    pub wall_s: f64,
    /// Bytes that it writes,
    pub written: u64,
    /// and how many of them to stdout.
    pub counted: u64,
}

/// The file that time(1) writes to.
const USAGE: &str = "usage";

/// The command line, without the program.
fn words(task: &Task<'_>, runner: Runner, outputs: &[PathBuf]) -> Vec<OsString> {
    let mut words: Vec<OsString> = task.row.options.iter().map(OsString::from).collect();
    words.extend(["--message-level", "4"].map(OsString::from));
    if let Some(threads) = runner.threads() {
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
            (line("-c -d 1", Runner::Gdump(None), &["v"], &["o"]), "-c -d 1 --message-level 4 v o"),
            (line("-d 0", Runner::Peer(Some(2)), &["v"], &["o"]), "-d 0 --message-level 4 --num-threads 2 v o"),
            (line("-F -c -d 1", Runner::Peer(None), &["v"], &[]), "-F -c -d 1 --message-level 4 v"),
            (line("-R", Runner::Gdump(None), &["flat"], &["o"]), "-R --message-level 4 o"),
            (line("--split -l", Runner::Gdump(None), &["v"], &["a", "b"]), "--split -l --message-level 4 v a b"),
            (line("--reassemble", Runner::Peer(None), &["a", "b"], &["o"]), "--reassemble --message-level 4 a b o"),
            (line("re-filter -c -d 31", Runner::Peer(None), &["l"], &["o"]), "-c -d 31 --message-level 4 l o"),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
    }
}
