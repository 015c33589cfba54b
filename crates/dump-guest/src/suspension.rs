//! A process that is held, for a guest whose monitor has no command for it.

use crate::process::check_is_process;
use dump_core::{Error, ErrorKind, Result, system_text};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A process that can be stopped, and goes on when this is dropped. One that was stopped before is left as it is.
pub struct Suspension {
    pid: i32,
    process: OwnedFd,
    was_running: bool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    since: Option<Instant>,
    /// Whether that is over: it is not stopped any more.
    over: bool,
}

/// How long a stop takes to be seen.
const STOPS_IN: Duration = Duration::from_secs(5);

impl Suspension {
    /// Of the process `pid`, which goes on until [`stop`](Suspension::stop).
    ///
    /// # Errors
    /// `Io` if there is no such process; `Unsupported` if this one is it, or was started by it: both would wait for each
    /// other.
    pub fn of(pid: i32) -> Result<Suspension> {
        if ancestors().any(|ancestor| ancestor == pid) {
            let text =
                format!("process {pid}: this process or one that it was started by, which cannot be stopped for it");
            return Err(Error::unsupported(text));
        }
        let number = Some(pid)
            .filter(|pid| *pid > 0)
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::unsupported(format!("process {pid}: no such number")))?;
        check_is_process(pid)?;
        let process = pidfd_open(number, PidfdFlags::empty()).map_err(|e| failed(pid, e))?;
        let was_running = !states(pid)?.iter().all(|state| is_stopped(*state));
        Ok(Suspension { pid, process, was_running, held: Mutex::default() })
    }

    /// Stops it, and waits until all of its threads stand.
    ///
    /// # Errors
    /// `Io` if it may not be stopped, or does not stop.
    pub fn stop(&self) -> Result<()> {
        if !self.was_running {
            return Ok(());
        }
        let mut held = self.held();
        if held.over {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        held.since = Some(Instant::now());
        pidfd_send_signal(&self.process, Signal::STOP).map_err(|e| failed(self.pid, e))?;
        let begun = Instant::now();
        while !states(self.pid)?.iter().all(|state| is_stopped(*state)) {
            if begun.elapsed() > STOPS_IN {
                return Err(failed(self.pid, "it does not stop"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether it ran before.
    pub fn was_running(&self) -> bool {
        self.was_running
    }

    /// Leaves it stopped.
    pub fn keep(&self) {
        self.held().since = None;
    }

    /// Lets it go on, if it was stopped here, and says how long it stood.
    ///
    /// # Errors
    /// `Io` if it cannot be told to.
    pub fn end(&self) -> Result<Option<Duration>> {
        let mut held = self.held();
        held.over = true;
        let Some(begun) = held.since else { return Ok(None) };
        match pidfd_send_signal(&self.process, Signal::CONT) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(e) => return Err(failed(self.pid, e)),
        }
        held.since = None;
        Ok(Some(begun.elapsed()))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This process, and those that it was started by, the nearest first.
fn ancestors() -> impl Iterator<Item = i32> {
    let parent = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok().filter(|pid| *pid > 0)
    };
    std::iter::successors(i32::try_from(std::process::id()).ok(), parent)
}

/// What the threads of `pid` are doing: the letter of `/proc/PID/task/TID/stat` (Linux, fs/proc/array.c).
fn states(pid: i32) -> Result<Vec<u8>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|e| failed(pid, e))?;
    let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    // behind the name, which may have anything in it
    let state = |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.bytes().next());
    Ok(tasks.flatten().filter_map(stat).filter_map(state).collect())
}

/// Stopped, by a signal or a debugger, or ended.
fn is_stopped(state: u8) -> bool {
    matches!(state, b'T' | b't' | b'Z' | b'X')
}

fn failed(pid: i32, e: impl std::fmt::Display) -> Error {
    Error::from(std::io::Error::other(system_text(&e))).within(format_args!("process {pid}"))
}

impl Drop for Suspension {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_stops_and_goes_on() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let held = Suspension::of(child.id() as i32).unwrap();
        let stopped = |held: &Suspension| states(held.pid).unwrap().iter().all(|state| is_stopped(*state));
        let other = Suspension::of(child.id() as i32).unwrap();
        assert!(!stopped(&held) && other.end().unwrap().is_none() && held.was_running());
        assert_eq!(other.stop().unwrap_err().kind(), ErrorKind::Interrupted, "it was let go");
        held.stop().unwrap();
        assert!(stopped(&held));
        let again = Suspension::of(child.id() as i32).unwrap();
        again.stop().unwrap();
        assert!(!again.was_running());
        drop(again);
        assert!(stopped(&held), "was stopped before");
        assert!(held.end().unwrap().is_some());
        let begun = Instant::now();
        while stopped(&held) && begun.elapsed() < STOPS_IN {}
        assert!(!stopped(&held));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Suspension::of(-1).is_err());
        for waits in ancestors().take(2) {
            assert!(Suspension::of(waits).err().unwrap().to_string().contains("started by"), "{waits}");
        }
    }
}
