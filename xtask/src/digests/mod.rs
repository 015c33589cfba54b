//! `cargo xtask digests`: what gdump writes, as one line an output: digest, exit status, and the command that made it.
//!
//! Two programs that make the same lines write the same bytes. With `--before` both run here, on the same inputs by the
//! same names, and only what differs is printed: that is how a change shows that it changes no output.
//!
//! | module                             | holds                                                    |
//! |------------------------------------|----------------------------------------------------------|
//! | [`subject`]                        | inputs and the commands to run on them                   |
//! | [`commands`]                       | the commands: containers, codecs, levels, budgets        |
//! | [`kernels`], [`machines`], [`real`] | the subjects: dump-synth's kernels and machines, real dumps |
//! | [`stage`]                          | runs commands and takes digests                          |
//!
//! Messages are not looked at, and neither is what `check` and `diff` print: people read that. Their exit statuses are,
//! and so is makedumpfile's report, which scripts read. gdump has no clock: the same input gives the same bytes on any
//! day.

mod commands;
mod kernels;
mod machines;
mod real;
mod stage;
mod subject;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};

use crate::workspace;
use stage::{Line, Stage};
use subject::Subject;

/// What `cargo xtask digests` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The gdump to run [default: this repository's, built now]
    #[arg(long, value_name = "PATH")]
    gdump: Option<PathBuf>,
    /// An older gdump to compare with: prints the differences, and fails if there is one
    #[arg(long, value_name = "PATH")]
    before: Option<PathBuf>,
    /// Where the list goes [default: stdout, or nowhere with --before]
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Only subjects whose name holds WORD
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let before = args.before.as_deref().map(|path| workspace::gdump(Some(path))).transpose()?;
    let mut subjects = subjects()?;
    subjects.retain(|subject| args.only.as_ref().is_none_or(|word| subject.name.contains(word)));
    let programs: Vec<PathBuf> = before.into_iter().chain([gdump]).collect();
    let runs = all(&subjects, &programs)?;
    let list: Vec<String> = runs.iter().filter_map(|lines| lines.last()).map(Line::to_string).collect();
    match &args.list {
        Some(path) => std::fs::write(path, list.join("\n") + "\n").with_context(|| path.display().to_string())?,
        None if args.before.is_none() => list.iter().for_each(|line| println!("{line}")),
        None => {}
    }
    if args.before.is_some() { compare(&runs) } else { Ok(()) }
}

/// All there is to run on.
fn subjects() -> Result<Vec<Subject>> {
    let mut all = real::subjects()?;
    all.extend(machines::subjects());
    all.extend(kernels::subjects());
    Ok(all)
}

/// The lines of all subjects in their order, each once for each program. Works on a subject for each CPU.
fn all(subjects: &[Subject], programs: &[PathBuf]) -> Result<Vec<Vec<Line>>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Vec<Vec<Line>>)>> {
        let mut done = Vec::new();
        while let Some((number, subject)) = take(subjects, &next) {
            let lines = one(subject, programs).with_context(|| subject.name.clone());
            // An error ends the others' work too.
            let lines = lines.inspect_err(|_| next.store(subjects.len(), Ordering::Relaxed))?;
            done.push((number, lines));
        }
        Ok(done)
    };
    let workers = std::thread::available_parallelism()?.get();
    let mut found = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            found.extend(worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??);
        }
        Ok(())
    })?;
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().flat_map(|(_, lines)| lines).collect())
}

fn take<'a>(subjects: &'a [Subject], next: &AtomicUsize) -> Option<(usize, &'a Subject)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    subjects.get(number).map(|subject| (number, subject))
}

fn one(subject: &Subject, programs: &[PathBuf]) -> Result<Vec<Vec<Line>>> {
    std::fs::create_dir_all(workspace::target()?)?;
    let dir = tempfile::Builder::new().prefix("digests").tempdir_in(workspace::target()?)?;
    Stage::new(dir.path(), programs)?.play(subject)
}

/// Prints where the programs' lines differ, and fails there.
fn compare(runs: &[Vec<Line>]) -> Result<()> {
    let differing: Vec<&Vec<Line>> = runs.iter().filter(|lines| lines.first() != lines.last()).collect();
    for lines in &differing {
        for (sign, line) in ["-", "+"].iter().zip(lines.iter()) {
            println!("{sign} {line}");
        }
    }
    if differing.is_empty() {
        println!("{} outputs are the same", runs.len());
        return Ok(());
    }
    bail!("{} of {} outputs differ", differing.len(), runs.len())
}

/// The folder or file that an environment variable names.
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(|value| Path::new(&value).to_path_buf())
}
