//! What holds a guest while its memory is read.

use dump::{Error, ErrorKind, Others, Result, Standstill, Suspension};
use std::time::Duration;

/// Holds a guest, and lets it go.
pub trait Hold: Send + Sync {
    /// Stops the guest, if it runs.
    ///
    /// # Errors
    /// If that fails; the guest may stand still all the same.
    fn stop(&self) -> Result<()>;

    /// Leaves it to QEMU to stop the guest, for a dump that it writes itself, and to let it run again.
    ///
    /// # Errors
    /// If it was let go already.
    fn lend(&self) -> Result<()>;

    /// Lets the guest run again, if it stands still by us, and says for how long it did.
    ///
    /// # Errors
    /// If that fails: it may stand still.
    fn end(&self) -> Result<Option<Duration>>;

    /// Leaves the guest as it stands.
    fn keep(&self);

    /// Lets the guest run, whoever stopped it.
    ///
    /// # Errors
    /// If that fails.
    fn resume(&self) -> Result<()>;

    /// Whether the guest ran before.
    fn was_running(&self) -> bool;

    /// How the guest was before, in its monitor's words.
    fn status(&self) -> Option<String>;

    /// What others did to the guest while it was held, as far as that is known.
    fn others(&self) -> Others;
}

impl Hold for Standstill {
    fn stop(&self) -> Result<()> {
        Standstill::stop(self)
    }

    fn lend(&self) -> Result<()> {
        Standstill::lend(self)
    }

    fn end(&self) -> Result<Option<Duration>> {
        Standstill::end(self)
    }

    fn keep(&self) {
        Standstill::keep(self);
    }

    fn resume(&self) -> Result<()> {
        Standstill::resume(self)
    }

    fn was_running(&self) -> bool {
        self.before().running
    }

    fn status(&self) -> Option<String> {
        Some(self.before().status.clone())
    }

    fn others(&self) -> Others {
        Standstill::others(self)
    }
}

impl Hold for Suspension {
    fn stop(&self) -> Result<()> {
        Suspension::stop(self)
    }

    fn lend(&self) -> Result<()> {
        Err(Error::bug("no QEMU"))
    }

    fn end(&self) -> Result<Option<Duration>> {
        Suspension::end(self)
    }

    fn keep(&self) {
        Suspension::keep(self);
    }

    fn resume(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "a process is resumed by kill -CONT"))
    }

    fn was_running(&self) -> bool {
        Suspension::was_running(self)
    }

    fn status(&self) -> Option<String> {
        (!Suspension::was_running(self)).then(|| "stopped".to_owned())
    }

    fn others(&self) -> Others {
        Others::default()
    }
}
