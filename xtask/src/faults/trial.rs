//! A run of gdump that is disturbed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::command::{self, Command};
use super::stage::Stage;
use crate::program;

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(10);

/// How the run must end, whatever its output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Well or not: the fault may come too late, or be got over.
    Either,
    /// As it ends undisturbed.
    Success,
    Failure,
}

/// What happens to a run from outside, beside what its wrapper does.
#[derive(Clone, Debug)]
pub enum Fault {
    None,
    /// A signal, some time after the start.
    Signal {
        name: &'static str,
        after: Duration,
    },
    /// The reader of stdout takes so many bytes and is gone.
    ReaderGoes {
        after: u64,
    },
    /// The reader of stdout takes so many bytes, waits, and goes on.
    ReaderWaits {
        after: u64,
        pause: Duration,
    },
    /// The writer of stdin gives so many bytes and is gone.
    WriterGoes {
        after: u64,
    },
    /// An input is cut to so many bytes, some time after the start.
    Shrinks {
        input: &'static str,
        to: u64,
        after: Duration,
    },
    /// An input is replaced by another file, some time after the start.
    Replaced {
        input: &'static str,
        after: Duration,
    },
}

impl Fault {
    /// The input that is changed.
    pub fn changed_input(&self) -> Option<&'static str> {
        match self {
            Fault::Shrinks { input, .. } | Fault::Replaced { input, .. } => Some(input),
            _ => None,
        }
    }

    /// Whether it may end the process with no chance to say anything: any signal does before gdump listens to it.
    pub fn silences(&self) -> bool {
        matches!(self, Fault::Signal { .. })
    }
}

/// A run to be made.
pub struct Trial {
    pub command: &'static Command,
    /// Words before gdump: a program that limits or disturbs it.
    pub wrapper: Vec<String>,
    /// Its TMPDIR, in the stage.
    pub tmpdir: Option<&'static str>,
    /// Folders of the stage that are file systems of so many bytes.
    pub small: Option<(&'static str, u64)>,
    pub fault: Fault,
    pub expect: Expect,
}

impl Trial {
    /// A run of `command` that nothing happens to yet.
    pub fn of(command: &'static Command) -> Trial {
        let (wrapper, fault) = (Vec::new(), Fault::None);
        Trial { command, wrapper, tmpdir: None, small: None, fault, expect: Expect::Either }
    }

    /// The command line and what happens, for people.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        if let Some((dir, bytes)) = self.small {
            text.push_str(&format!("[{dir}: a tmpfs of {bytes} bytes] "));
        }
        if let Some(dir) = self.tmpdir {
            text.push_str(&format!("TMPDIR={dir} "));
        }
        for word in &self.wrapper {
            text.push_str(&format!("{word} "));
        }
        text.push_str(&format!("gdump {}", self.command.line));
        if !matches!(self.fault, Fault::None) {
            text.push_str(&format!(" [{:?}]", self.fault));
        }
        text
    }
}

/// How a run ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
    pub took: Duration,
    pub hung: bool,
}

/// Runs `trial` on a clear `stage`.
pub fn run(stage: &Stage, trial: &Trial) -> Result<Ended> {
    let words = command::words(trial.command.line);
    let mut all = trial.wrapper.clone();
    all.push(stage.gdump().display().to_string());
    all.extend(words.args.iter().map(|word| (*word).to_owned()));
    let said = stage.path("said");
    let mut process = Process::new(&all[0]);
    process.args(&all[1..]).current_dir(stage.dir()).stderr(File::create(&said)?).process_group(0);
    process.stdin(match (&trial.fault, words.stdin) {
        (Fault::WriterGoes { .. }, _) => Stdio::piped(),
        (_, Some(path)) => File::open(stage.dir().join(path))?.into(),
        (_, None) => Stdio::null(),
    });
    process.stdout(match (&trial.fault, words.stdout) {
        (Fault::ReaderGoes { .. } | Fault::ReaderWaits { .. }, _) => Stdio::piped(),
        (_, Some(path)) => File::create(stage.dir().join(path))?.into(),
        (_, None) => Stdio::null(),
    });
    // a refused allocation would have a backtrace, as a panic has
    process.env_remove("RUST_BACKTRACE");
    if let Some(dir) = trial.tmpdir {
        process.env("TMPDIR", stage.path(dir));
    }
    let start = Instant::now();
    let mut child = process.spawn().with_context(|| program::shown(&process))?;
    let disturbed = disturb(stage, &words, trial, &mut child);
    let (status, hung) = wait(&mut child, start)?;
    disturbed?;
    let stderr = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
    Ok(Ended { status, stderr, took: start.elapsed(), hung })
}

fn disturb(stage: &Stage, words: &command::Words<'_>, trial: &Trial, child: &mut Child) -> Result<()> {
    match &trial.fault {
        Fault::None => {}
        Fault::Signal { name: "KILL", after } => {
            sleep(*after);
            child.kill()?;
        }
        Fault::Signal { name, after } => {
            sleep(*after);
            if child.try_wait()?.is_none() {
                signal(name, &child.id().to_string())?;
            }
        }
        Fault::ReaderGoes { after } => copy_stdout(stage, words, child, *after, None)?,
        Fault::ReaderWaits { after, pause } => copy_stdout(stage, words, child, *after, Some(*pause))?,
        Fault::WriterGoes { after } => {
            let input = File::open(stage.dir().join(words.stdin.context("no stdin")?))?;
            let mut stdin = child.stdin.take().context("no stdin")?;
            // gdump may be gone before all is given
            let _ = std::io::copy(&mut input.take(*after), &mut stdin);
        }
        Fault::Shrinks { input, to, after } => {
            sleep(*after);
            File::options().write(true).open(stage.dir().join(input))?.set_len(*to)?;
        }
        Fault::Replaced { input, after } => {
            let path = stage.dir().join(input);
            let other = path.with_extension("other");
            fs::write(&other, vec![b'x'; 1 << 20])?;
            sleep(*after);
            fs::rename(&other, &path)?;
        }
    }
    Ok(())
}

/// Stores what gdump writes to stdout: `bytes` of it, and the rest after a pause.
fn copy_stdout(
    stage: &Stage,
    words: &command::Words<'_>,
    child: &mut Child,
    bytes: u64,
    pause: Option<Duration>,
) -> Result<()> {
    let mut output = File::create(stage.dir().join(words.stdout.context("no stdout")?))?;
    let mut stdout = child.stdout.take().context("no stdout")?;
    std::io::copy(&mut (&mut stdout).take(bytes), &mut output)?;
    if let Some(pause) = pause {
        sleep(pause);
        std::io::copy(&mut stdout, &mut output)?;
    }
    Ok(output.flush()?)
}

/// Waits for the end, which comes to what hangs from us.
fn wait(child: &mut Child, start: Instant) -> Result<(ExitStatus, bool)> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if start.elapsed() > LONGEST {
            signal("KILL", &format!("-{}", child.id()))?;
            return Ok((child.wait()?, true));
        }
        sleep(Duration::from_millis(1));
    }
}

fn signal(name: &str, to: &str) -> Result<()> {
    // one that is gone already has nothing to be told
    program::output(Process::new("kill").args(["-s", name, "--", to])).map(drop)
}

impl Ended {
    /// Whether a signal ended it.
    pub fn killed(&self) -> bool {
        self.status.signal().is_some()
    }

    /// Whether not gdump but the loader of its libraries gave up.
    pub fn never_began(&self) -> bool {
        self.status.code() == Some(127) && self.stderr.contains("error while loading shared libraries")
    }
}

/// Whether the two files hold the same.
pub fn same(one: &Path, other: &Path) -> bool {
    let len = |path: &Path| fs::metadata(path).map(|meta| meta.len()).ok();
    len(one).is_some() && len(one) == len(other) && fs::read(one).ok() == fs::read(other).ok()
}
