//! A job under way: gdump itself, in a process of its own, so that neither a bug nor a lack of memory reaches another.

use super::job::Job;
use crate::exit::Exit;
use dump::{Error, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The program that runs, whatever has been installed in its place meanwhile.
const SELF: &str = "/proc/self/exe";

/// Lines of each kind that are kept, and how long they may be (bytes).
const LINES: usize = 16;
const LONGEST: u64 = 4096;

/// What a line of progress has.
const PROGRESS: &str = " %]";

/// What a job may use.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Threads.
    pub threads: usize,
    /// Memory (bytes).
    pub memory: u64,
    /// Whether it gives up rights.
    pub sandboxed: bool,
    /// Whether its progress is shown.
    pub shown: bool,
}

/// What a job said.
#[derive(Debug, Default)]
pub struct Said {
    /// Errors, a line each.
    pub errors: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Processes that run.
#[derive(Default)]
pub struct Running(Mutex<Told>);

#[derive(Default)]
struct Told {
    /// Whether all have been told to stop.
    stopped: bool,
    pids: Vec<Pid>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all to stop, and those that begin from now on.
    pub fn stop(&self) {
        let mut told = self.lock();
        told.stopped = true;
        told.pids.iter().for_each(|pid| stop(*pid));
    }

    /// Whether they were told to.
    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    fn add(&self, pid: Pid) {
        let mut told = self.lock();
        told.pids.push(pid);
        if told.stopped {
            stop(pid);
        }
    }

    /// Takes out a process that has ended and was not waited for: its number is not another's before that.
    fn remove(&self, pid: Pid) {
        self.lock().pids.retain(|other| *other != pid);
    }
}

fn stop(pid: Pid) {
    let _ = kill_process(pid, Signal::TERM); // it has ended by itself
}

/// Runs `job` to its end, with names from `base`; `lock` is what it holds meanwhile, `progress` is told how far it is.
///
/// # Errors
/// If it cannot be started.
pub fn run(
    job: &Job,
    force: bool,
    base: &Path,
    share: Share,
    lock: File,
    running: &Running,
    progress: &dyn Fn(&str),
) -> Result<(ExitStatus, Said)> {
    let mut child = command(job, force, base, share, lock).spawn().map_err(|e| Error::from(e).within("a job"))?;
    let pid = Pid::from_child(&child);
    running.add(pid);
    let said = child.stderr.take().map(|stderr| listen(BufReader::new(stderr), progress)).unwrap_or_default();
    let status = wait(&mut child, pid, running)?;
    Ok((status, said))
}

fn command(job: &Job, force: bool, base: &Path, share: Share, lock: File) -> Command {
    let mut command = Command::new(SELF);
    command.arg0("gdump").current_dir(base);
    command.arg("--job-of").arg(getpid().as_raw_nonzero().to_string());
    command.args(&job.wish.options).arg("--atomic");
    command.args(force.then_some("-f")).args((!share.sandboxed).then_some("--no-sandbox"));
    let threads = job.threads.unwrap_or(share.threads);
    let memory = job.max_memory.map_or(share.memory, |asked| asked.min(share.memory));
    command.arg(format!("--num-threads={threads}")).arg(format!("--max-memory={memory}"));
    command.arg(if share.shown { "--message-level=5" } else { "--message-level=4" });
    command.arg("--").args(&job.wish.inputs).arg(&job.wish.output);
    command.stdin(lock).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn wait(child: &mut Child, pid: Pid, running: &Running) -> Result<ExitStatus> {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), ended), Err(rustix::io::Errno::INTR)) {}
    running.remove(pid);
    Ok(child.wait()?)
}

/// Takes in what a job says until it has nothing more to say.
fn listen(mut stderr: impl BufRead, progress: &dyn Fn(&str)) -> Said {
    let mut said = Said::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match stderr.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return said,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let message = text.strip_prefix("gdump: ").unwrap_or(text);
        match message.strip_prefix("warning: ") {
            _ if text.contains(PROGRESS) => progress(text),
            Some(warning) => keep(&mut said.warnings, warning),
            None => keep(&mut said.errors, message),
        }
    }
}

/// Keeps the first ones: what follows follows from them.
fn keep(lines: &mut Vec<String>, line: &str) {
    if lines.len() < LINES && !line.is_empty() {
        lines.push(line.to_owned());
    }
}

/// What an exit status means that is no success; `None` for one.
pub fn failure(status: ExitStatus) -> Option<(bool, String)> {
    let may_succeed = |status: i32| status == i32::from(Exit::TryAgain.status());
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some((may_succeed(code), format!("exit status {code}"))),
        (None, Some(signal)) => Some((true, format!("killed by signal {signal}"))),
        (None, None) => Some((true, "ended for no known reason".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_says_is_sorted_and_bounded() {
        let mut text = "Copying pages   : [ 12.3 %] 1 MiB\ngdump: warning: a: odd\ngdump: b: broken\n".to_owned();
        text.push_str("thread 'main' panicked\n");
        text.push_str(&"gdump: more\n".repeat(100));
        text.push_str(&"x".repeat(100_000));
        let seen = Mutex::new(Vec::new());
        let said = listen(text.as_bytes(), &|line| seen.lock().unwrap().push(line.to_owned()));
        assert_eq!(*seen.lock().unwrap(), ["Copying pages   : [ 12.3 %] 1 MiB"]);
        assert_eq!(said.warnings, ["a: odd"]);
        assert_eq!(said.errors[..2], ["b: broken", "thread 'main' panicked"]);
        assert!(said.errors.len() == LINES && said.errors.iter().all(|line| line.len() <= LONGEST as usize));
    }

    #[test]
    fn what_exit_statuses_mean() {
        let of = |raw| failure(ExitStatus::from_raw(raw));
        assert_eq!(of(0), None);
        assert_eq!(of(1 << 8), Some((false, "exit status 1".to_owned())));
        assert_eq!(of(75 << 8), Some((true, "exit status 75".to_owned())));
        assert_eq!(of(9), Some((true, "killed by signal 9".to_owned())));
    }
}
