//! The progress of many jobs on stderr: a line for each that runs and one for all on a terminal, lines for all elsewhere.

use crate::cmd::batch::Numbers;
use crate::escape::escaped_line;
use crate::messages::{MessageLevel, Messages};
use crate::progress::Form;
use dump::Error;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Draws a second.
const RATE: u8 = 4;

/// Shows how far many jobs are.
pub struct Board {
    messages: Messages,
    form: Form,
    jobs: usize,
    multi: MultiProgress,
    all: ProgressBar,
    slots: Mutex<Vec<ProgressBar>>,
    said: Mutex<Instant>,
    troubled: AtomicBool,
}

impl Board {
    /// For so many jobs.
    pub fn new(messages: Messages, jobs: usize) -> Board {
        let form = if messages.has(MessageLevel::PROGRESS) { Form::of_stderr(messages) } else { Form::None };
        let target = match form {
            Form::Drawn => ProgressDrawTarget::stderr_with_hz(RATE),
            Form::None | Form::Lines => ProgressDrawTarget::hidden(),
        };
        let multi = MultiProgress::with_draw_target(target);
        let all = multi.add(line());
        let (slots, said) = (Mutex::default(), Mutex::new(Instant::now()));
        Board { messages, form, jobs, multi, all, slots, said, troubled: AtomicBool::new(false) }
    }

    /// Whether jobs have lines of their own.
    pub fn is_drawn(&self) -> bool {
        self.form == Form::Drawn
    }

    /// Makes room for jobs in so many slots.
    pub fn begin(&self, slots: usize) {
        if self.is_drawn() {
            let bars = (0..slots).map(|_| self.multi.insert_before(&self.all, line()));
            self.slots.lock().unwrap_or_else(PoisonError::into_inner).extend(bars);
        }
    }

    /// Shows how far the job in `slot` is, which is called `id`, by a line of its progress.
    pub fn show(&self, slot: usize, id: &str, progress: &str) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = slots.get(slot) {
            bar.set_message(escaped_line(&format!("{id}: {progress}")).into_owned());
        }
    }

    /// Shows that nothing is in `slot`.
    pub fn clear(&self, slot: usize) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = slots.get(slot) {
            bar.set_message("");
        }
    }

    /// Shows how many jobs have ended.
    pub fn count(&self, numbers: Numbers) {
        match self.form {
            Form::None => {}
            Form::Drawn => self.all.set_message(self.text(numbers)),
            Form::Lines => {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.elapsed() >= self.form.interval() {
                    *said = Instant::now();
                    self.messages.progress(&format!("{}\n", self.text(numbers)));
                }
            }
        }
    }

    fn text(&self, numbers: Numbers) -> String {
        let (ended, jobs) = (numbers.ended(), self.jobs);
        let percent = ended as f64 * 100.0 / jobs.max(1) as f64;
        let (failed, retryable) = (numbers.failed, numbers.retryable);
        format!("{:<16}: [{percent:5.1} %] {ended} of {jobs}, {failed} failed, {retryable} to try again", "Jobs")
    }

    /// Prints something between two drawings.
    pub fn aside(&self, print: impl FnOnce()) {
        if self.is_drawn() { self.multi.suspend(print) } else { print() }
    }

    /// Says what went wrong beside the jobs.
    pub fn trouble(&self, e: &Error) {
        self.troubled.store(true, Ordering::Relaxed);
        self.aside(|| self.messages.error(&e.to_string()));
    }

    /// Whether anything did.
    pub fn had_trouble(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// Takes all lines from the terminal.
    pub fn end(&self) {
        // one that is not finished would be drawn once more when it is dropped
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().chain([&self.all]).for_each(ProgressBar::finish_and_clear);
        let _ = self.multi.clear(); // a terminal that went away shows nothing
    }
}

/// A line with a message that is cut to the terminal's width.
fn line() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_form_of_progress() {
        let board = Board::new(Messages::new(MessageLevel::ERROR, true), 500);
        let numbers = Numbers { done: 55, before: 3, failed: 5, retryable: 1 };
        assert_eq!(board.text(numbers), "Jobs            : [ 12.2 %] 61 of 500, 5 failed, 1 to try again");
        assert!(!board.is_drawn() && !board.had_trouble());
        board.begin(2);
        board.show(7, "a", "b");
        board.clear(0);
    }
}
