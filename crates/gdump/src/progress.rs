//! Progress bars on a terminal's stderr; nothing elsewhere.

use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages};
use dump::{PageSize, Phase, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// Bars are drawn this often a second: a capture kernel's terminal is often a serial line that somebody logs.
const HZ: u8 = 1;

/// Below 80 columns of ASCII, for the same reason.
const TEMPLATE: &str = "{msg:15} [{bar:24}] {percent:>3} % {binary_bytes_per_sec:>14} {eta:>4} left";

/// Shows how the work goes on, and passes on that somebody asked to stop.
pub struct Progress {
    shown: bool,
    page_size: PageSize,
    /// The bars of phases that are under way, the innermost last: it is the one that is drawn.
    bars: Mutex<Vec<Bar>>,
    interrupt: Interrupt,
}

/// The bar of a phase.
struct Bar {
    bar: ProgressBar,
    /// Bytes for each unit that the phase counts.
    unit: u64,
}

impl Progress {
    /// Bars for pages of `page_size`, if stderr is a terminal and `messages` has progress.
    pub fn new(messages: Messages, page_size: PageSize, interrupt: Interrupt) -> Progress {
        let shown = messages.has(MessageLevel::PROGRESS) && std::io::stderr().is_terminal();
        Progress { shown, page_size, bars: Mutex::default(), interrupt }
    }

    fn bar(&self, phase: Phase, total: u64) -> Bar {
        let page = self.page_size.bytes() as u64;
        let (label, unit) = match phase {
            Phase::Spool => ("Decompressing", 1),
            Phase::Exclude => ("Excluding pages", page),
            Phase::Zero => ("Finding zeros", page),
            Phase::Copy => ("Copying pages", page),
        };
        let target = ProgressDrawTarget::stderr_with_hz(HZ);
        let bar = ProgressBar::with_draw_target(Some(total.saturating_mul(unit)), target);
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(label);
        Bar { bar, unit }
    }
}

impl Watch for Progress {
    fn begin(&self, phase: Phase, total: u64) {
        if self.shown {
            if let Ok(mut bars) = self.bars.lock() {
                bars.push(self.bar(phase, total));
            }
        }
    }

    fn advance(&self, amount: u64) {
        if self.shown {
            if let Some(Bar { bar, unit }) = self.bars.lock().ok().as_deref().and_then(|bars| bars.last()) {
                bar.inc(amount.saturating_mul(*unit));
            }
        }
    }

    fn end(&self) {
        if let Some(Bar { bar, .. }) = self.bars.lock().ok().and_then(|mut bars| bars.pop()) {
            bar.finish_and_clear();
        }
    }

    fn stopped(&self) -> bool {
        self.interrupt.asked()
    }
}
