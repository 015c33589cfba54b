//! Progress on stderr: one line that is drawn anew on a terminal, lines of their own elsewhere.
//!
//! People in front of a capture kernel see it on a serial console, whose terminal may know nothing: no escape code is
//! written but the carriage return, and none where TERM is dumb. In a log or a journal there is a line as each phase
//! begins and one every ten seconds. The form is makedumpfile's, `label : [ 12.3 %]`, which scripts take out of logs.
//!
//! The line is drawn at even intervals, whatever the workers report meanwhile. Percent, rate and time left are all
//! computed from the same two numbers, what is done and since when, so that they agree.

use crate::cmd::capture::Stages;
use crate::interrupt::Interrupt;
use crate::job;
use crate::messages::{MessageLevel, Messages};
use dump::{PageSize, Phase, Watch};
use indicatif::{HumanBytes, HumanDuration};
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Not at all.
    None,
    /// A line that is drawn anew.
    Drawn,
    /// Lines, for logs and for terminals that can do nothing else.
    Lines,
}

impl Form {
    /// The form for stderr as it is.
    pub fn of_stderr(messages: Messages) -> Form {
        if !messages.has(MessageLevel::PROGRESS) {
            return Form::None;
        }
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if std::io::stderr().is_terminal() && !dumb { Form::Drawn } else { Form::Lines }
    }

    /// Time between two lines.
    pub fn interval(self) -> Duration {
        match self {
            // a capture kernel's terminal is often a serial line that is logged
            Form::None | Form::Drawn => Duration::from_millis(500),
            // a batch draws them
            Form::Lines if job::is_one() => Duration::from_millis(500),
            Form::Lines => Duration::from_secs(10),
        }
    }
}

/// Below 80 columns, so that a terminal has room for the line.
const COLUMNS: usize = 79;

/// Columns that a line on the terminal may fill: not the last, after which some begin another.
fn columns() -> usize {
    let width = tcgetwinsize(std::io::stderr()).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 1);
    width.map_or(COLUMNS, |width| COLUMNS.min(width - 1))
}

/// Shows the progress of the work, and passes on a request to stop.
pub struct Progress {
    form: Form,
    page_size: PageSize,
    shown: Mutex<Shown>,
    /// What the innermost phase has done since its line was last drawn.
    pending: AtomicU64,
    interrupt: Interrupt,
    /// What takes down how long each phase takes.
    stages: Option<Arc<Stages>>,
}

#[derive(Default)]
struct Shown {
    /// The phases that are under way, the innermost last: it is the one that is drawn.
    phases: Vec<Running>,
    /// Labels that had their first line.
    begun: Vec<&'static str>,
    /// Whether a line stands on the terminal that is to be drawn over.
    drawn: bool,
}

/// A phase that is under way.
struct Running {
    label: &'static str,
    /// Bytes for each unit that the phase counts.
    unit: u64,
    /// Units done, and all that there are; `None` where that is not known.
    done: u64,
    total: Option<u64>,
    begun: Instant,
    drawn: Instant,
    /// What was pending when a phase within began.
    held: u64,
}

impl Progress {
    /// For pages of `page_size`, if `messages` has progress.
    pub fn new(messages: Messages, page_size: PageSize, interrupt: Interrupt) -> Progress {
        let form = Form::of_stderr(messages);
        Progress { form, page_size, shown: Mutex::default(), pending: AtomicU64::new(0), interrupt, stages: None }
    }

    /// Takes down how long each phase takes.
    pub fn timed(mut self, stages: &Arc<Stages>) -> Progress {
        self.stages = Some(Arc::clone(stages));
        self
    }

    fn running(&self, phase: Phase, total: u64) -> Running {
        let page = self.page_size.bytes() as u64;
        let (label, unit) = match phase {
            Phase::Spool => ("Decompressing", 1),
            Phase::Rearrange => ("Rearranging", 1),
            Phase::Exclude => ("Excluding pages", page),
            Phase::Zero => ("Finding zeros", page),
            Phase::Copy => ("Copying pages", page),
        };
        let now = Instant::now();
        Running { label, unit, done: 0, total: (total != 0).then_some(total), begun: now, drawn: now, held: 0 }
    }

    fn draw(&self, shown: &mut Shown) {
        let Some(phase) = shown.phases.last() else { return };
        match self.form {
            Form::None => {}
            Form::Lines => print(&format!("{}\n", phase.line())),
            Form::Drawn => {
                let columns = columns();
                print(&format!("\r{:columns$}", phase.line_within(columns)));
                shown.drawn = true;
            }
        }
    }
}

/// Progress that cannot be shown is no reason to stop.
fn print(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

impl Running {
    fn pace(&self) -> Pace {
        Pace { done: self.done, total: self.total, unit: self.unit, elapsed: self.begun.elapsed() }
    }

    fn line(&self) -> String {
        let pace = self.pace();
        let line = format!("{:<16}: {} {}", self.label, pace.bracket(), pace.text());
        line.trim_end().to_owned()
    }

    /// As much of it as fits.
    fn line_within(&self, columns: usize) -> String {
        let bracket = self.pace().bracket();
        let shorter = [self.line(), format!("{}: {bracket}", self.label), bracket];
        shorter.into_iter().find(|line| line.len() <= columns).unwrap_or_default()
    }
}

impl Watch for Progress {
    fn begin(&self, phase: Phase, total: u64) {
        if let Some(stages) = &self.stages {
            let unit = if matches!(phase, Phase::Spool | Phase::Rearrange) { 1 } else { self.page_size.bytes() as u64 };
            stages.begin(phase, total.saturating_mul(unit));
        }
        if self.form == Form::None {
            return;
        }
        let Ok(mut shown) = self.shown.lock() else { return };
        if let Some(outer) = shown.phases.last_mut() {
            outer.held = self.pending.swap(0, Ordering::Relaxed);
        }
        let running = self.running(phase, total);
        let label = running.label;
        shown.phases.push(running);
        // memory may be gone over in many windows: a phase has one first line
        if !shown.begun.contains(&label) {
            shown.begun.push(label);
            self.draw(&mut shown);
        }
    }

    fn advance(&self, amount: u64) {
        if self.form == Form::None {
            return;
        }
        self.pending.fetch_add(amount, Ordering::Relaxed);
        // if another worker is drawing, there is nothing to add
        let Ok(mut shown) = self.shown.try_lock() else { return };
        let interval = self.form.interval();
        if let Some(phase) = shown.phases.last_mut().filter(|phase| phase.drawn.elapsed() >= interval) {
            phase.drawn = Instant::now();
            phase.done = phase.done.saturating_add(self.pending.swap(0, Ordering::Relaxed));
            self.draw(&mut shown);
        }
    }

    fn end(&self) {
        if let Some(stages) = &self.stages {
            stages.end();
        }
        if self.form == Form::None {
            return;
        }
        let Ok(mut shown) = self.shown.lock() else { return };
        shown.phases.pop();
        self.pending.store(shown.phases.last().map_or(0, |outer| outer.held), Ordering::Relaxed);
        if std::mem::take(&mut shown.drawn) {
            print(&format!("\r{:columns$}\r", "", columns = columns()));
        }
    }

    fn stopped(&self) -> bool {
        self.interrupt.asked()
    }
}

/// How fast something goes: units done of a total, and for how long.
struct Pace {
    done: u64,
    /// `None` where it is not known.
    total: Option<u64>,
    /// Bytes.
    unit: u64,
    elapsed: Duration,
}

impl Pace {
    fn percent(&self) -> Option<f64> {
        self.total.map(|total| self.done.min(total) as f64 * 100.0 / total.max(1) as f64)
    }

    /// The percentage, as makedumpfile has it.
    fn bracket(&self) -> String {
        self.percent().map_or("[    - %]".to_owned(), |percent| format!("[{percent:5.1} %]"))
    }

    /// Units a second; `None` before there is anything to go by.
    fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (self.done > 0 && seconds > 0.0).then(|| self.done as f64 / seconds)
    }

    /// Time left at that rate.
    fn left(&self) -> Option<Duration> {
        let rest = self.total?.saturating_sub(self.done);
        self.rate().map(|rate| Duration::from_secs((rest as f64 / rate).ceil() as u64))
    }

    fn bytes(&self, units: u64) -> String {
        HumanBytes(units.saturating_mul(self.unit)).to_string()
    }

    /// What is done, or how much there is to do, how fast, since when, and how long it will take.
    fn text(&self) -> String {
        let Some(rate) = self.rate() else {
            return self.total.map_or(String::new(), |total| format!("of {}", self.bytes(total)));
        };
        let left = self.left().map_or(String::new(), |left| format!(", {} left", duration(left)));
        let rate = self.bytes(rate as u64);
        format!("{}, {rate}/s, {}{left}", self.bytes(self.done), duration(self.elapsed))
    }
}

fn duration(time: Duration) -> String {
    format!("{:#}", HumanDuration(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn rate_and_time_left_agree_with_what_is_done() {
        let pace = |done, total, seconds| Pace { done, total, unit: 1, elapsed: Duration::from_secs(seconds) };
        for (done, total, seconds, percent, text) in [
            (0, Some(100 * MIB), 0, Some(0.0), "of 100.00 MiB"),
            (0, Some(100 * MIB), 3, Some(0.0), "of 100.00 MiB"),
            (50 * MIB, Some(100 * MIB), 5, Some(50.0), "50.00 MiB, 10.00 MiB/s, 5s, 5s left"),
            (100 * MIB, Some(100 * MIB), 10, Some(100.0), "100.00 MiB, 10.00 MiB/s, 10s, 0s left"),
            (MIB, Some(1000 * MIB), 1, Some(0.1), "1.00 MiB, 1.00 MiB/s, 1s, 17m left"),
            (50 * MIB, None, 5, None, "50.00 MiB, 10.00 MiB/s, 5s"),
            (0, None, 5, None, ""),
        ] {
            let pace = pace(done, total, seconds);
            assert_eq!((pace.percent(), pace.text().as_str()), (percent, text), "{done} of {total:?}");
        }
        let many = Pace { done: u64::MAX, total: Some(1), unit: 4096, elapsed: Duration::from_secs(1) };
        assert_eq!(many.percent(), Some(100.0));
    }

    fn progress(form: Form) -> Progress {
        Progress { form, ..Progress::new(Messages::default(), PageSize::K4, Interrupt::default()) }
    }

    #[test]
    fn lines_are_in_a_form_that_scripts_take_out_and_fit_a_terminal() {
        let progress = progress(Form::Lines);
        let mut running = progress.running(Phase::Exclude, 1 << 40);
        assert_eq!(running.line(), "Excluding pages : [  0.0 %] of 4.00 PiB");
        running.begun = Instant::now().checked_sub(Duration::from_secs(1_000_000)).unwrap_or(running.begun);
        running.done = 1023 << 28;
        assert!(running.line().len() <= COLUMNS && running.line().contains("25.0 %] "), "{}", running.line());
        for (columns, line) in [(38, "Excluding pages: [ 25.0 %]"), (19, "[ 25.0 %]"), (8, "")] {
            assert_eq!(running.line_within(columns), line);
        }
        assert_eq!(running.line_within(COLUMNS), running.line());
        running.total = None;
        assert!(running.line().starts_with("Excluding pages : [    - %] 1023."), "{}", running.line());
    }

    /// Reports come by the thousand, and none is lost: what is drawn is what was reported until then.
    #[test]
    fn lines_are_drawn_at_intervals_and_phases_nest() {
        let progress = progress(Form::Drawn);
        let done = |i: usize| progress.shown.lock().unwrap().phases[i].done;
        progress.begin(Phase::Copy, 1000);
        (0..10).for_each(|_| progress.advance(10));
        assert_eq!(done(0), 0, "not before the interval has passed");
        progress.begin(Phase::Exclude, 50);
        progress.advance(50);
        progress.end();
        assert_eq!(done(0), 0);
        std::thread::sleep(Form::Drawn.interval());
        progress.advance(10);
        assert_eq!(done(0), 110);
        progress.end();
        assert!(progress.shown.lock().unwrap().phases.is_empty());
    }

    #[test]
    fn a_phase_that_comes_again_has_one_first_line() {
        let progress = progress(Form::Lines);
        for phase in [Phase::Exclude, Phase::Copy, Phase::Exclude, Phase::Copy] {
            progress.begin(phase, 10);
            progress.advance(10);
            progress.end();
        }
        assert_eq!(progress.shown.lock().unwrap().begun, ["Excluding pages", "Copying pages"]);
    }
}
