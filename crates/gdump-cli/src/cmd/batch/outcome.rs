//! How a job ended.

use super::job::Job;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Version of a line of results; keys may be added to it without a new one (docs/batch.md).
const SCHEMA_VERSION: u32 = 1;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its output is there, and whole.
    Done,
    /// It would fail again.
    Failed,
    /// The same may succeed another time.
    Retryable,
}

/// What is known of a job that ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Whether it had ended before this batch began.
    pub before: bool,
    /// Length of the output (bytes), if it is done.
    pub bytes: Option<u64>,
    /// Its digest.
    pub digest: Option<String>,
    /// Why it failed, a line each.
    pub errors: Vec<String>,
    /// What else was said.
    pub warnings: Vec<String>,
    /// How often it was begun by this batch.
    pub attempts: u32,
    /// How long that took.
    pub time: Duration,
}

impl Outcome {
    /// Of a job that did not get far.
    pub fn failed(status: Status, why: String) -> Outcome {
        Outcome {
            status,
            before: false,
            bytes: None,
            digest: None,
            errors: vec![why],
            warnings: Vec::new(),
            attempts: 0,
            time: Duration::ZERO,
        }
    }

    /// The same, which counts as failed if the digest is not the one that `job` expects.
    pub fn held_against(mut self, job: &Job) -> Outcome {
        let expected = job.wish.digest.as_ref().filter(|_| self.status == Status::Done);
        if let (Some(expected), Some(found)) = (expected, &self.digest) {
            if expected != found {
                self.errors.push(format!("{}: digest {found}, expected {expected}", job.wish.output));
                self.status = Status::Failed;
            }
        }
        self
    }

    /// The line of results.
    pub fn line(&self, job: &Job) -> String {
        let incomplete = Some(job.until_whole()).filter(|path| self.status != Status::Done && path.is_file());
        let result = ResultLine {
            schema_version: SCHEMA_VERSION,
            id: &job.wish.id,
            input: &job.wish.inputs,
            output: &job.wish.output,
            status: self.status,
            before: self.before,
            attempts: self.attempts,
            seconds: self.time.as_secs_f64(),
            bytes: self.bytes,
            digest: self.digest.as_deref(),
            incomplete: incomplete.map(|path| path.display().to_string()),
            errors: &self.errors,
            warnings: &self.warnings,
        };
        format!("{}\n", serde_json::to_string(&result).unwrap_or_default())
    }
}

/// A line of results.
#[derive(Serialize)]
struct ResultLine<'a> {
    schema_version: u32,
    id: &'a str,
    input: &'a [String],
    output: &'a str,
    status: Status,
    before: bool,
    attempts: u32,
    seconds: f64,
    bytes: Option<u64>,
    digest: Option<&'a str>,
    incomplete: Option<String>,
    errors: &'a [String],
    warnings: &'a [String],
}
