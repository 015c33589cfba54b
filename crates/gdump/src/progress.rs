//! Progress bars on a terminal's stderr; nothing elsewhere.

use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages};
use dump_core::{PageSize, Phase, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// Once a second: a capture kernel's terminal is often a serial line that somebody logs.
const HZ: u8 = 1;

/// Below 80 columns of ASCII, for the same reason.
const TEMPLATE: &str = "{msg:15} [{bar:24}] {percent:>3} % {binary_bytes_per_sec:>14} {eta:>4} left";

/// Shows how the work goes on, and passes on that somebody asked to stop.
pub struct Progress {
    shown: bool,
    page_size: PageSize,
    bar: Mutex<Option<(ProgressBar, u64)>>,
    interrupt: Interrupt,
}

impl Progress {
    /// Bars for pages of `page_size`, if stderr is a terminal and `messages` has progress.
    pub fn new(messages: Messages, page_size: PageSize, interrupt: Interrupt) -> Progress {
        let shown = messages.has(MessageLevel::PROGRESS) && std::io::stderr().is_terminal();
        Progress { shown, page_size, bar: Mutex::default(), interrupt }
    }
}

impl Watch for Progress {
    fn begin(&self, phase: Phase, total: u64) {
        if !self.shown {
            return;
        }
        let (label, unit) = match phase {
            Phase::Unpack => ("Unpacking", 1),
            Phase::Exclude => ("Excluding pages", self.page_size.bytes() as u64),
            Phase::Zero => ("Finding zeros", self.page_size.bytes() as u64),
            Phase::Copy => ("Copying pages", self.page_size.bytes() as u64),
        };
        let bar =
            ProgressBar::with_draw_target(Some(total.saturating_mul(unit)), ProgressDrawTarget::stderr_with_hz(HZ));
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(label);
        if let Ok(mut slot) = self.bar.lock() {
            *slot = Some((bar, unit));
        }
    }

    fn advance(&self, amount: u64) {
        if self.shown {
            if let Ok(Some((bar, unit))) = self.bar.lock().as_deref() {
                bar.inc(amount.saturating_mul(*unit));
            }
        }
    }

    fn end(&self) {
        if let Some((bar, _)) = self.bar.lock().ok().and_then(|mut slot| slot.take()) {
            bar.finish_and_clear();
        }
    }

    fn stopped(&self) -> bool {
        self.interrupt.asked()
    }
}
