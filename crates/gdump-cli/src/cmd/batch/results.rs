//! What became of the jobs, for programs: lines of JSON as they end, JUnit XML at the end, and in numbers for people.

use super::crew::Task;
use super::job::Job;
use super::outcome::{Outcome, Status};
use crate::board::Board;
use crate::messages;
use crate::plan::BatchPlan;
use dump::{Error, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// How many jobs ended how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// Done, before this batch as well.
    pub done: usize,
    /// Of them, done before.
    pub before: usize,
    /// Failed for good.
    pub failed: usize,
    /// Failed, and may succeed another time.
    pub retryable: usize,
}

impl Numbers {
    /// Jobs that ended.
    pub fn ended(self) -> usize {
        self.done + self.failed + self.retryable
    }

    fn add(&mut self, outcome: &Outcome) {
        match outcome.status {
            Status::Done => self.done += 1,
            Status::Failed => self.failed += 1,
            Status::Retryable => self.retryable += 1,
        }
        self.before += usize::from(outcome.before && outcome.status == Status::Done);
    }
}

/// Where results go.
pub struct Results<'a> {
    board: &'a Board,
    /// `None` for stdout.
    file: Option<(PathBuf, File)>,
    junit: Option<(PathBuf, Vec<(usize, TestCase)>)>,
    /// How many ended how.
    pub numbers: Numbers,
}

impl<'a> Results<'a> {
    /// As `plan` says; what was in their files goes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn open(plan: &BatchPlan, board: &'a Board) -> Result<Results<'a>> {
        let create = |path: &PathBuf| match File::create(path) {
            Ok(file) => Ok((path.clone(), file)),
            Err(e) => Err(Error::from(e).within(path.display())),
        };
        let file = plan.results.as_ref().map(create).transpose()?;
        let junit = plan.junit.clone().map(|path| (path, Vec::new()));
        Ok(Results { board, file, junit, numbers: Numbers::default() })
    }

    /// Takes in how the job at `position` ended.
    pub fn add(&mut self, position: usize, job: &Job, outcome: &Outcome) {
        self.numbers.add(outcome);
        let line = outcome.line(job);
        match &mut self.file {
            Some((path, file)) => {
                if let Err(e) = file.write_all(line.as_bytes()) {
                    self.board.trouble(&Error::from(e).within(path.display()));
                }
            }
            None => self.board.aside(|| {
                messages::print(&line); // what is lost is said at the end
            }),
        }
        if let Some((_, cases)) = &mut self.junit {
            cases.push((position, case(job, outcome)));
        }
        self.board.count(self.numbers);
    }

    /// Takes in that a job was not begun.
    pub fn leave(&mut self, task: &Task) {
        if let Some((_, cases)) = &mut self.junit {
            let mut case = TestCase::new(task.job.wish.id.as_str(), TestCaseStatus::skipped());
            case.set_classname(task.job.wish.output.as_str());
            cases.push((task.position, case));
        }
    }

    /// Writes what is written at the end.
    ///
    /// # Errors
    /// If that is impossible.
    pub fn finish(self) -> Result<()> {
        let Some((path, mut cases)) = self.junit else { return Ok(()) };
        // the order in which they ended is another each time
        cases.sort_by_key(|(position, _)| *position);
        let mut suite = TestSuite::new("gdump batch");
        suite.add_test_cases(cases.into_iter().map(|(_, case)| case));
        let mut report = Report::new("gdump batch");
        report.add_test_suite(suite);
        let text = report.to_string().map_err(|e| Error::bug(e.to_string()))?;
        replace(&path, &text).map_err(|e| Error::from(e).within(path.display()))
    }
}

/// Puts a whole file in the place of what is at `path`.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return fs::write(path, text);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".incomplete");
    fs::write(&name, text).and_then(|()| fs::rename(&name, path))
}

fn case(job: &Job, outcome: &Outcome) -> TestCase {
    let failed = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(outcome.errors.first().cloned().unwrap_or_default());
        status.set_description(outcome.errors.join("\n"));
        status
    };
    let status = match outcome.status {
        Status::Done => TestCaseStatus::success(),
        Status::Failed => failed(NonSuccessKind::Failure),
        // JUnit's word for what says nothing of the case
        Status::Retryable => failed(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(job.wish.id.as_str(), status);
    case.set_classname(job.wish.output.as_str()).set_time(outcome.time);
    if !outcome.warnings.is_empty() {
        case.set_system_err(outcome.warnings.join("\n"));
    }
    case
}
