//! Signals that ask to stop: the dump ends where it is, flagged incomplete.
//!
//! A dump carries its flag from the first byte on, so that nothing has to be done at the end. Whatever the work waits
//! for, an input that is idle or a disk, the program is gone a moment after the signal.

use crate::exit::Exit;
use crate::job;
use crate::makedumpfile;
use crate::messages::{Messages, Voice};
use dump::Result;
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM,
    SIGXCPU, SIGXFSZ,
};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::os::raw::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How long the work may take to end by itself, with a report of what was done. A second signal ends it at once.
const GRACE: Duration = Duration::from_secs(1);

/// Signals that ask to stop.
const HEEDED: [c_int; 4] = [SIGINT, SIGTERM, SIGHUP, SIGXCPU];

/// Further ones that would end the process.
const OTHERS: [c_int; 10] =
    [SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGABRT, SIGIO, SIGSYS, libc::SIGPWR];

/// Exit status of a run that was stopped.
fn stopped() -> c_int {
    job::end(Exit::TryAgain).status().into()
}

/// Whether a signal asked to stop.
#[derive(Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. If that cannot be set up, signals have their default effect.
    pub fn listen(messages: Messages) -> Interrupt {
        let interrupt = Interrupt::default();
        interrupt.listens(&HEEDED, Some(stopped()));
        if let Ok(signals) = Signals::new(heeded(&HEEDED)) {
            // without the thread, only work that waits for nothing ends by itself
            let _ = small().spawn(move || end_after(signals, messages, || {}));
        }
        interrupt
    }

    /// Takes notice from now on, and leaves it to the work to end; a second signal ends the program.
    pub fn note() -> Interrupt {
        let interrupt = Interrupt::default();
        interrupt.listens(&HEEDED, Some(Exit::TryAgain.status().into()));
        interrupt
    }

    /// The same, where something must be done before the program ends: `last` is, whichever signal ends it.
    ///
    /// # Errors
    /// If that cannot be set up.
    pub fn listen_and(&self, messages: Messages, last: impl FnOnce() + Send + 'static) -> Result<()> {
        let all: Vec<c_int> = HEEDED.into_iter().chain(OTHERS).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).collect();
        self.listens(&all, None);
        // nor does the terminal stop it (Ctrl-Z, stty tostop) while something is held
        for signal in [SIGTSTP, libc::SIGTTOU, libc::SIGTTIN] {
            let _ = flag::register(signal, Arc::new(AtomicBool::new(false)));
        }
        let signals = Signals::new(heeded(&all))?;
        small().spawn(move || end_after(signals, messages, last))?;
        Ok(())
    }

    /// Takes notice of `signals`; the second of them ends the program with a `status`, where there is one.
    fn listens(&self, signals: &[c_int], status: Option<c_int>) {
        for signal in heeded(signals) {
            if let Some(status) = status {
                // the order matters: the first signal finds the flag down and only raises it, the second ends the program
                let _ = flag::register_conditional_shutdown(signal, status, Arc::clone(&self.asked));
            }
            let _ = flag::register(signal, Arc::clone(&self.asked));
        }
    }

    /// Whether a signal came.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A file that grows too large for the process is a failed write from now on, not the end of the process.
pub fn outlive_limits() {
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Those of `signals` that this process was not started to ignore.
fn heeded(signals: &[c_int]) -> impl Iterator<Item = c_int> + Clone {
    let ignored = ignored();
    signals.iter().copied().filter(move |signal| !is_in(ignored, *signal))
}

/// Waits for a signal, and ends the program when the time of grace is over, or at a second one. `last` comes first.
fn end_after(mut signals: Signals, messages: Messages, last: impl FnOnce()) {
    if signals.forever().next().is_some() {
        let since = Instant::now();
        while since.elapsed() < GRACE && signals.pending().next().is_none() {
            std::thread::sleep(GRACE / 100);
        }
        last();
        // who reads stderr may be what the work waits for
        if let Ok(said) = small().spawn(move || say(messages)) {
            let since = Instant::now();
            while !said.is_finished() && since.elapsed() < GRACE {
                std::thread::sleep(GRACE / 100);
            }
        }
        std::process::exit(stopped());
    }
}

/// A thread that does next to nothing, and takes next to nothing of address space that may be limited.
fn small() -> Builder {
    Builder::new().stack_size(128 << 10)
}

fn say(messages: Messages) {
    messages.error("interrupted");
    if messages.voice() == Voice::Makedumpfile {
        messages.outcome(makedumpfile::FAILED);
    }
}

/// The signals that this process was started to ignore, as by nohup.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(mask: u64, signal: c_int) -> bool {
    mask >> (signal - 1) & 1 == 1
}
