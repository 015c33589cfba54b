//! Progress bars on a terminal's stderr; nothing elsewhere.
//!
//! Bars are fed and drawn at even intervals, whatever the workers report meanwhile: indicatif draws the first twenty
//! reports at once and then one a second, so that a dump of a second stood at 2 % until it was done. Percent, rate and
//! time left are all computed from the same two numbers, what is done and since when, so that they agree.

use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages};
use dump::{PageSize, Phase, Watch};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A bar is drawn this often: a capture kernel's terminal is often a serial line that is logged.
const INTERVAL: Duration = Duration::from_millis(500);

/// Below 80 columns of ASCII, for the same reason.
const TEMPLATE: &str = "{msg:15} [{bar:24}] {percent:>3} % {rate:>13} {left:>6} left";

/// Shows the progress of the work, and passes on a request to stop.
pub struct Progress {
    shown: bool,
    page_size: PageSize,
    /// The bars of phases that are under way, the innermost last: it is the one that is drawn.
    bars: Mutex<Vec<Bar>>,
    /// What the innermost phase has done since its bar was last drawn.
    pending: AtomicU64,
    interrupt: Interrupt,
}

/// The bar of a phase.
struct Bar {
    bar: ProgressBar,
    /// Bytes for each unit that the phase counts.
    unit: u64,
    drawn: Instant,
    /// What was pending when a phase within began.
    held: u64,
}

impl Progress {
    /// Bars for pages of `page_size`, if stderr is a terminal and `messages` has progress.
    pub fn new(messages: Messages, page_size: PageSize, interrupt: Interrupt) -> Progress {
        let shown = messages.has(MessageLevel::PROGRESS) && std::io::stderr().is_terminal();
        Progress { shown, page_size, bars: Mutex::default(), pending: AtomicU64::new(0), interrupt }
    }

    fn bar(&self, phase: Phase, total: u64) -> Bar {
        let page = self.page_size.bytes() as u64;
        let (label, unit) = match phase {
            Phase::Spool => ("Decompressing", 1),
            Phase::Exclude => ("Excluding pages", page),
            Phase::Zero => ("Finding zeros", page),
            Phase::Copy => ("Copying pages", page),
        };
        let total = (total != 0).then(|| total.saturating_mul(unit));
        // shown when there is something to show: a phase that is over at once flickers by, and windows have many
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        bar.set_style(style());
        bar.set_message(label);
        Bar { bar, unit, drawn: Instant::now(), held: 0 }
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let pace = |state: &ProgressState| Pace { done: state.pos(), total: state.len(), elapsed: state.elapsed() };
    // a bar's text is a String, which takes all that is written to it
    let rate = move |state: &ProgressState, out: &mut dyn Write| out.write_str(&pace(state).rate_text()).unwrap_or(());
    let left = move |state: &ProgressState, out: &mut dyn Write| out.write_str(&pace(state).left_text()).unwrap_or(());
    style.progress_chars("=> ").with_key("rate", rate).with_key("left", left)
}

impl Watch for Progress {
    fn begin(&self, phase: Phase, total: u64) {
        if let (true, Ok(mut bars)) = (self.shown, self.bars.lock()) {
            if let Some(outer) = bars.last_mut() {
                outer.held = self.pending.swap(0, Ordering::Relaxed);
            }
            bars.push(self.bar(phase, total));
        }
    }

    fn advance(&self, amount: u64) {
        if !self.shown {
            return;
        }
        self.pending.fetch_add(amount, Ordering::Relaxed);
        // if another worker is drawing, there is nothing to add
        let Ok(mut bars) = self.bars.try_lock() else { return };
        if let Some(bar) = bars.last_mut().filter(|bar| bar.drawn.elapsed() >= INTERVAL) {
            bar.drawn = Instant::now();
            if bar.bar.is_hidden() {
                bar.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.bar.inc(self.pending.swap(0, Ordering::Relaxed).saturating_mul(bar.unit));
        }
    }

    fn end(&self) {
        if let (true, Ok(mut bars)) = (self.shown, self.bars.lock()) {
            if let Some(Bar { bar, .. }) = bars.pop() {
                bar.finish_and_clear();
            }
            self.pending.store(bars.last().map_or(0, |outer| outer.held), Ordering::Relaxed);
        }
    }

    fn stopped(&self) -> bool {
        self.interrupt.asked()
    }
}

/// How fast something goes: bytes done of a total, and for how long.
struct Pace {
    done: u64,
    /// `None` where it is not known.
    total: Option<u64>,
    elapsed: Duration,
}

impl Pace {
    /// Bytes a second; `None` before there is anything to go by.
    fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (self.done > 0 && seconds > 0.0).then(|| self.done as f64 / seconds)
    }

    /// Seconds left at that rate.
    fn left(&self) -> Option<f64> {
        let rest = self.total?.saturating_sub(self.done);
        self.rate().map(|rate| rest as f64 / rate)
    }

    fn rate_text(&self) -> String {
        self.rate().map_or("-".to_owned(), |rate| format!("{}/s", HumanBytes(rate as u64)))
    }

    fn left_text(&self) -> String {
        match self.left().map(|left| left.ceil() as u64) {
            None => "-".to_owned(),
            Some(left @ 0..120) => format!("{left}s"),
            Some(left @ 120..7200) => format!("{}m", left.div_ceil(60)),
            Some(left) => format!("{}h", left.div_ceil(3600)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_agree_with_what_is_done() {
        let pace = |done, total, seconds| Pace { done, total, elapsed: Duration::from_secs(seconds) };
        let mib = 1 << 20;
        for (done, total, seconds, rate, left) in [
            (0, Some(100 * mib), 0, "-", "-"),
            (0, Some(100 * mib), 3, "-", "-"),
            (50 * mib, Some(100 * mib), 5, "10.00 MiB/s", "5s"),
            (100 * mib, Some(100 * mib), 10, "10.00 MiB/s", "0s"),
            (mib, Some(1000 * mib), 1, "1.00 MiB/s", "17m"),
            (mib, Some(100_000 * mib), 1, "1.00 MiB/s", "28h"),
            (50 * mib, None, 5, "10.00 MiB/s", "-"),
        ] {
            let pace = pace(done, total, seconds);
            assert_eq!((pace.rate_text().as_str(), pace.left_text().as_str()), (rate, left), "{done} of {total:?}");
        }
    }

    /// Reports come by the thousand, and none is lost: what a bar shows is what was reported when it was last drawn.
    #[test]
    fn bars_are_drawn_at_intervals_and_phases_nest() {
        let progress =
            Progress { shown: true, ..Progress::new(Messages::default(), PageSize::K4, Interrupt::default()) };
        let position = |i: usize| progress.bars.lock().unwrap()[i].bar.position();
        progress.begin(Phase::Copy, 1000);
        (0..10).for_each(|_| progress.advance(10));
        assert_eq!(position(0), 0, "not before the interval has passed");
        progress.begin(Phase::Exclude, 50);
        progress.advance(50);
        progress.end();
        assert_eq!(position(0), 0);
        std::thread::sleep(INTERVAL);
        progress.advance(10);
        assert_eq!(position(0), 110 * 4096);
        progress.end();
        assert!(progress.bars.lock().unwrap().is_empty());
    }
}
