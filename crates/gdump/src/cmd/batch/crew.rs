//! Jobs at a time, one a slot; what fails because of the system comes again after a while.

use super::child::{self, Running, Share};
use super::job::{Ask, Job};
use super::journal::{Begun, Journal, Known};
use super::outcome::{Outcome, Status};
use super::past;
use super::stamp::Stamp;
use crate::board::Board;
use crate::checksum;
use crate::plan::BatchPlan;
use dump::{Budget, Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Memory that a job has at least, where several are done at a time (bytes): enough for a machine of 256 GiB at once.
const LEAST_MEMORY: u64 = 32 << 20;

/// How long a job waits that is tried again, first and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A job to do.
pub struct Task {
    /// It.
    pub job: Job,
    /// Its position in the results.
    pub position: usize,
    /// What is asked for, as the files are now.
    pub ask: Ask,
    /// What is known of its output.
    pub known: Option<Box<Known>>,
    /// How often it was begun.
    pub attempts: u32,
    /// How long that took.
    pub time: Duration,
    /// When it may begin.
    pub not_before: Instant,
}

/// How many jobs are done at a time, and what each may use.
pub struct Slots {
    shares: Vec<Share>,
}

impl Slots {
    /// For so many jobs.
    pub fn new(plan: &BatchPlan, jobs: usize, sandboxed: bool, shown: bool) -> Slots {
        let memory = Budget::new(plan.max_memory).bytes();
        let carried = usize::try_from(memory / LEAST_MEMORY).unwrap_or(usize::MAX);
        let count = plan.jobs.min(plan.threads).min(carried).min(jobs).max(1);
        let threads = |slot| (plan.threads / count + usize::from(slot < plan.threads % count)).max(1);
        let share = |slot| Share { threads: threads(slot), memory: memory / count as u64, sandboxed, shown };
        Slots { shares: (0..count).map(share).collect() }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.shares.len()
    }
}

/// What slots share.
pub struct Crew<'a> {
    plan: &'a BatchPlan,
    journal: &'a Journal,
    base: &'a Path,
    board: &'a Board,
    queue: Mutex<VecDeque<Task>>,
    changed: Condvar,
    /// The processes of the jobs.
    pub running: Running,
}

impl<'a> Crew<'a> {
    /// To do `tasks`.
    pub fn new(plan: &'a BatchPlan, journal: &'a Journal, board: &'a Board, tasks: VecDeque<Task>) -> Crew<'a> {
        let (queue, changed) = (Mutex::new(tasks), Condvar::new());
        Crew { plan, journal, base: plan.source.base(), board, queue, changed, running: Running::default() }
    }

    /// Tells the jobs to stop; none is begun any more.
    pub fn stop(&self) {
        self.running.stop();
        self.changed.notify_all();
    }

    /// Starts a thread for each slot, which does jobs until none is left and sends what became of them.
    ///
    /// # Errors
    /// If not one can be started.
    pub fn start<'scope>(
        &'scope self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        slots: &'scope Slots,
        ended: &Sender<(Task, Outcome)>,
    ) -> Result<()> {
        let mut started = 0;
        let mut failure = None;
        for (slot, share) in slots.shares.iter().enumerate() {
            let ended = ended.clone();
            let builder = std::thread::Builder::new().stack_size(256 << 10);
            match builder.spawn_scoped(scope, move || self.work(slot, *share, &ended)) {
                Ok(_) => started += 1,
                Err(e) => failure = Some(Error::from(e).within("cannot start a thread")),
            }
        }
        failure.filter(|_| started == 0).map_or(Ok(()), Err)
    }

    /// The jobs that were not begun.
    pub fn left(self) -> Vec<Task> {
        self.queue.into_inner().unwrap_or_else(PoisonError::into_inner).into()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Task>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does: it outlives each of its jobs, which end with the thread that began them.
    fn work(&self, slot: usize, share: Share, ended: &Sender<(Task, Outcome)>) {
        while let Some(mut task) = self.next() {
            self.board.show(slot, &task.job.wish.id, "");
            let outcome = self.attempt(&mut task, slot, share);
            self.board.clear(slot);
            let again = outcome.status == Status::Retryable && task.attempts <= self.plan.retries;
            if again && !self.running.stopped() {
                let wait = FIRST_WAIT.saturating_mul(1 << (task.attempts - 1).min(10)).min(LONGEST_WAIT);
                task.not_before = Instant::now() + wait;
                self.lock().push_back(task);
            } else if ended.send((task, outcome)).is_err() {
                return;
            }
        }
    }

    /// The next job; `None` when there is none, or no more are to begin.
    fn next(&self) -> Option<Task> {
        let mut queue = self.lock();
        loop {
            if self.running.stopped() {
                return None;
            }
            let now = Instant::now();
            if let Some(at) = queue.iter().position(|task| task.not_before <= now) {
                return queue.remove(at);
            }
            let wait = queue.iter().map(|task| task.not_before.saturating_duration_since(now)).min()?;
            (queue, _) = self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn attempt(&self, task: &mut Task, slot: usize, share: Share) -> Outcome {
        let begun = match self.begin(task) {
            Ok(begun) => begun,
            Err(e) => {
                task.attempts += 1;
                return Outcome { attempts: task.attempts, ..Outcome::failed(Status::Retryable, e.to_string()) };
            }
        };
        let start = Instant::now();
        let outcome = self.run(&task.job, &begun, slot, share);
        (task.attempts, task.time) = (task.attempts + 1, task.time + start.elapsed());
        let outcome = Outcome { attempts: task.attempts, time: task.time, ..outcome };
        let mut known = Known { begun, ended: None };
        if !(outcome.status == Status::Retryable && self.running.stopped()) {
            let ended = past::ended(&task.job, &outcome, &known.begun);
            // where it cannot be stored, the next batch finds the output
            if let Err(e) = self.journal.end(ended.clone()) {
                self.board.trouble(&e);
            }
            known.ended = Some(ended);
        }
        task.known = Some(Box::new(known));
        outcome.held_against(&task.job)
    }

    /// Takes away what an earlier attempt has left, and writes down what is there.
    fn begin(&self, task: &Task) -> Result<Begun> {
        let job = &task.job;
        let before = Stamp::of(&job.output);
        let ours = before.as_ref().zip(task.known.as_ref()).is_some_and(|(there, known)| known.is_ours(there));
        let left = job.until_whole();
        let may_be_ours = task.attempts > 0 || self.journal.known(&job.wish.output).is_some();
        if may_be_ours && left.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            remove_left(&left).map_err(|e| e.within(left.display()))?;
        }
        let begun = Begun { output: job.wish.output.clone(), ask: task.ask.clone(), before, ours };
        self.journal.begin(begun.clone())?;
        Ok(begun)
    }

    fn run(&self, job: &Job, begun: &Begun, slot: usize, share: Share) -> Outcome {
        let progress = |line: &str| self.board.show(slot, &job.wish.id, line);
        let lock = self.journal.share();
        let ran = lock.and_then(|lock| child::run(job, begun.ours, self.base, share, lock, &self.running, &progress));
        let (status, said) = match ran {
            Ok(ran) => ran,
            Err(e) => return Outcome::failed(of_error(&e), e.to_string()),
        };
        let Some((may_succeed, how)) = child::failure(status) else {
            return match checksum::digest(&job.output) {
                Ok((bytes, digest)) => Outcome { warnings: said.warnings, ..past::done(bytes, digest) },
                Err(e) => Outcome { warnings: said.warnings, ..Outcome::failed(of_error(&e), e.to_string()) },
            };
        };
        let mut errors = said.errors;
        if errors.is_empty() || status.code().is_none() {
            errors.push(how);
        }
        let status = if may_succeed { Status::Retryable } else { Status::Failed };
        Outcome { errors, warnings: said.warnings, ..Outcome::failed(status, String::new()) }
    }
}

/// Removes what a job has left that is gone, if nobody else writes it by now.
fn remove_left(path: &Path) -> Result<()> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Error::new(ErrorKind::Io, "another process is writing it").temporary()),
        // file systems without locks
        _ => Ok(fs::remove_file(path)?),
    }
}

/// How a job ended that met `e`.
pub fn of_error(e: &Error) -> Status {
    if e.is_temporary() { Status::Retryable } else { Status::Failed }
}
