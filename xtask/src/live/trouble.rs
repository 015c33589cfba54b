//! What befalls a capture, and how long its end is waited for.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::gdump::Said;
use crate::program;

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A signal that asks it to stop.
    Signal(&'static str),
    /// SIGKILL.
    Kill,
    /// No room for the dump.
    Full,
}

/// More than anything may take.
const LONGEST: Duration = Duration::from_secs(120);

/// How a disturbed capture ended.
pub struct Ended {
    pub status: ExitStatus,
    pub said: Said,
}

/// Waits for the end of `child`.
pub fn end_of(mut child: Child, start: Instant) -> Result<Ended> {
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            bail!("it did not end in {} s", LONGEST.as_secs());
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    Ok(Ended { status, said: Said::of(&child.wait_with_output()?) })
}

/// Sends a signal; a process that is gone already is none the worse.
pub fn signal(name: &str, pid: u32) -> Result<()> {
    program::output(Command::new("kill").args(["-s", name, &pid.to_string()])).map(drop)
}
