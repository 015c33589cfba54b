//! What became of a job in batches before this one.

use super::job::{Ask, Job};
use super::journal::{Begun, Ended, Journal, Known};
use super::outcome::{Outcome, Status};
use super::stamp::Stamp;
use crate::checksum;
use crate::plan::BatchPlan;
use dump::Result;
use std::time::Duration;

/// What became of a job before.
pub enum Past {
    /// It has ended, and would end so again.
    Ended(Outcome),
    /// It is to be done.
    Open {
        /// What is asked for.
        ask: Ask,
        /// What is known of it nevertheless.
        known: Option<Box<Known>>,
    },
}

/// What `journal` and the files themselves say of `job`.
///
/// # Errors
/// If what is found out cannot be written down.
pub fn look(job: &Job, journal: &Journal, plan: &BatchPlan) -> Result<Past> {
    let (ask, there) = (job.ask(), Stamp::of(&job.output));
    let own = journal.known(&job.wish.output);
    let known = own.filter(|own| !is_done(own, &ask, there.as_ref(), job));
    let done = own.filter(|_| known.is_none()).or(journal.done_elsewhere(&job.wish.output));
    if let Some(outcome) = done.and_then(|done| done_before(job, done, &ask, there.as_ref(), plan)) {
        return Ok(Past::Ended(outcome));
    }
    if let Some(outcome) = own.and_then(|own| failed_before(own, &ask, there.as_ref(), plan)) {
        return Ok(Past::Ended(outcome));
    }
    if let Some(own) = own.filter(|own| own.begun.ask == ask && own.appeared(there.as_ref())) {
        return finish(job, own, journal).map(Past::Ended);
    }
    Ok(Past::Open { ask, known: own.or(done).cloned().map(Box::new) })
}

fn is_done(known: &Known, ask: &Ask, there: Option<&Stamp>, job: &Job) -> bool {
    let ended = known.ended.as_ref().filter(|ended| ended.status == Status::Done);
    let is_there = |ended: &Ended| ended.made.is_some() && ended.made.as_ref() == there;
    known.begun.ask == *ask && ended.is_some_and(is_there) && has_sums(job)
}

/// Whether checksums are there that are to be there.
fn has_sums(job: &Job) -> bool {
    !job.checksum || checksum::path_of(&job.output).is_file()
}

/// The outcome of a job that was `done`, if it still is.
fn done_before(job: &Job, done: &Known, ask: &Ask, there: Option<&Stamp>, plan: &BatchPlan) -> Option<Outcome> {
    let ended = done.ended.as_ref().filter(|_| is_done(done, ask, there, job))?;
    if plan.verify && checksum::digest(&job.output).ok().map(|(_, digest)| digest) != ended.digest {
        return None;
    }
    let outcome = before(ended, there).held_against(job);
    (outcome.status == Status::Done || !plan.retry_failed).then_some(outcome)
}

/// The outcome of a job that failed, if nothing has changed since.
fn failed_before(known: &Known, ask: &Ask, there: Option<&Stamp>, plan: &BatchPlan) -> Option<Outcome> {
    let ended = known.ended.as_ref().filter(|ended| ended.status == Status::Failed)?;
    let same = known.begun.ask == *ask && ended.there.as_ref() == there && ended.gdump == version();
    (same && !plan.retry_failed).then(|| before(ended, there))
}

fn before(ended: &Ended, there: Option<&Stamp>) -> Outcome {
    Outcome {
        status: ended.status,
        before: true,
        bytes: there.filter(|_| ended.status == Status::Done).map(|stamp| stamp.bytes),
        digest: ended.digest.clone(),
        errors: ended.errors.clone(),
        warnings: ended.warnings.clone(),
        attempts: 0,
        time: Duration::ZERO,
    }
}

/// Writes down the end of a job that has its output, and whose batch was killed before it could; checksums come last.
fn finish(job: &Job, known: &Known, journal: &Journal) -> Result<Outcome> {
    let sums = if job.checksum { checksum::complete(&job.output) } else { Ok(()) };
    let outcome = match sums.and_then(|()| checksum::digest(&job.output)) {
        Ok((bytes, digest)) => Outcome { before: true, ..done(bytes, digest) },
        Err(e) => return Ok(Outcome::failed(super::crew::of_error(&e), e.to_string())),
    };
    journal.end(ended(job, &outcome, &known.begun))?;
    Ok(outcome.held_against(job))
}

/// A job whose output is there.
pub fn done(bytes: u64, digest: String) -> Outcome {
    Outcome {
        status: Status::Done,
        bytes: Some(bytes),
        digest: Some(digest),
        errors: Vec::new(),
        ..Outcome::failed(Status::Done, String::new())
    }
}

/// What the journal says of the end of a job that `begun`.
pub fn ended(job: &Job, outcome: &Outcome, begun: &Begun) -> Ended {
    let there = Stamp::of(&job.output);
    let is_new = there != begun.before;
    Ended {
        output: job.wish.output.clone(),
        status: outcome.status,
        made: there.clone().filter(|_| is_new || begun.ours),
        there,
        digest: outcome.digest.clone(),
        errors: outcome.errors.clone(),
        warnings: outcome.warnings.clone(),
        gdump: version().to_owned(),
    }
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
