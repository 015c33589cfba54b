//! `gdump batch`: many dumps, as many at a time as the machine carries.
//!
//! ```text
//! manifest ─> jobs ─> past (journal, files) ─> crew: a slot, a thread, a child process each ─> results
//! ```
//!
//! This process opens no dump: each job is gdump itself in a process of its own, with the job's options and `--atomic`.

mod child;
mod crew;
mod job;
mod journal;
mod manifest;
mod outcome;
mod past;
mod results;
mod stamp;

pub use results::Numbers;

use crate::board::Board;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::{self, MessageLevel, Messages};
use crate::plan::BatchPlan;
use crew::{Crew, Slots, Task};
use dump::Result;
use journal::Journal;
use past::Past;
use results::Results;
use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How soon a signal is heeded.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Does what `plan` says; jobs give up rights if they are to be `sandboxed`.
///
/// # Errors
/// If nothing was begun: the manifest makes no sense, or another batch has its journal.
pub fn run(plan: &BatchPlan, sandboxed: bool) -> Result<Exit> {
    let begun = Instant::now();
    let messages = Messages::new(MessageLevel::default(), true);
    let all = manifest::jobs(plan)?;
    let jobs: Vec<_> = all.into_iter().enumerate().filter(|(at, _)| plan.shard.has(*at)).collect();
    let journal = Journal::open(&plan.journal, &plan.whole_journal, messages)?;
    let (interrupt, board) = (Interrupt::note(), Board::new(messages, jobs.len()));
    let mut results = Results::open(plan, &board)?;
    let mut tasks = VecDeque::new();
    for (position, job) in jobs {
        let past = match interrupt.asked() {
            true => Past::Open { ask: job.ask(), known: None },
            false => past::look(&job, &journal, plan)?,
        };
        match past {
            Past::Ended(outcome) => results.add(position, &job, &outcome),
            Past::Open { ask, known } => {
                let time = Duration::ZERO;
                tasks.push_back(Task { job, position, ask, known, attempts: 0, time, not_before: begun });
            }
        }
    }
    let slots = Slots::new(plan, tasks.len(), sandboxed, board.is_drawn());
    board.begin(slots.count());
    let left = work(Crew::new(plan, &journal, &board, tasks), &slots, &interrupt, &mut results)?;
    left.iter().for_each(|task| results.leave(task));
    let numbers = results.numbers;
    for e in [journal.store(), results.finish()].into_iter().filter_map(Result::err) {
        board.trouble(&e);
    }
    board.end();
    messages.common(&summary(plan, numbers, left.len(), slots.count(), begun.elapsed()));
    if let Some(why) = messages::lost() {
        messages.error(why);
    }
    let short = numbers.retryable > 0 || !left.is_empty() || board.had_trouble() || messages::lost().is_some();
    Ok(match numbers.failed {
        0 if short => Exit::TryAgain,
        0 => Exit::Completed,
        _ => Exit::Failed,
    })
}

/// Does the jobs, and gives those that were not begun.
fn work(crew: Crew<'_>, slots: &Slots, interrupt: &Interrupt, results: &mut Results<'_>) -> Result<Vec<Task>> {
    std::thread::scope(|scope| -> Result<()> {
        let (sender, ended) = channel();
        crew.start(scope, slots, &sender)?;
        drop(sender);
        loop {
            match ended.recv_timeout(HEARTBEAT) {
                Ok((task, outcome)) => {
                    let task: Task = task;
                    results.add(task.position, &task.job, &outcome);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if interrupt.asked() && !crew.running.stopped() {
                crew.stop();
            }
        }
    })?;
    Ok(crew.left())
}

fn summary(plan: &BatchPlan, numbers: Numbers, left: usize, slots: usize, time: Duration) -> String {
    let Numbers { done, before, failed, retryable } = numbers;
    let seconds = time.as_secs_f64();
    let shard = match plan.shard.is_part() {
        true => format!("; shard {}/{} ({})", plan.shard.number, plan.shard.of, plan.shard.by),
        false => String::new(),
    };
    format!(
        "{done} done ({before} of them before), {failed} failed, {retryable} to try again, {left} not begun; \
         {seconds:.1} s, {slots} at a time{shard}\n"
    )
}
