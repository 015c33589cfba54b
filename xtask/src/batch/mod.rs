//! `cargo xtask batch`: does a batch of hundreds of dumps, some of them broken, come to what single runs come to, in
//! flat memory and about the same time, and does it when it is killed again and again?
//!
//! | module       | holds                                                    |
//! |--------------|----------------------------------------------------------|
//! | [`variants`] | the dumps, and the jobs that convert them                |
//! | [`watched`]  | a batch that runs, watched from outside                  |

mod variants;
mod watched;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::faults::Dice;
use crate::workspace;
use watched::{Ends, Measured, Place, cpu_of_children, digest};

/// What `cargo xtask batch` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The gdump to run [default: this repository's, built now]
    #[arg(long, value_name = "PATH")]
    gdump: Option<PathBuf>,
    /// How many dumps
    #[arg(long, value_name = "N", default_value_t = 500)]
    jobs: usize,
    /// How often a batch is killed
    #[arg(long, value_name = "N", default_value_t = 50)]
    kills: u32,
    /// Where the random numbers begin
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where dumps go, which take about 8 MB each [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Makes the dumps, converts them one by one, in a batch, and in a batch that is killed, and compares.
pub fn run(args: &Args) -> Result<()> {
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let temporary = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let inputs = temporary.path().join("in");
    fs::create_dir(&inputs)?;
    let vmcore = temporary.path().join("vmcore");
    let compressed = File::open(workspace::root()?.join("fixtures/tiny/vmcore.zst"))?;
    std::io::copy(&mut zstd::Decoder::new(compressed)?, &mut File::create(&vmcore)?)?;
    variants::forms(&gdump, &vmcore, &inputs)?;
    let jobs = variants::jobs(&inputs, args.jobs, args.seed)?;

    let before = cpu_of_children().unwrap_or_default();
    let (singles, seconds) = singles(&gdump, &jobs, temporary.path())?;
    let done = singles.values().filter(|(status, _)| status == "done").count();
    let cpu = cpu_of_children().unwrap_or_default() - before;
    println!("single runs     : {} jobs, {done} done, {seconds:.1} s with a thread each, CPU {cpu:.1} s", jobs.len());

    let measured = Place::new(&gdump, temporary.path().join("batch"), &jobs)?.run()?;
    report(&measured, seconds);
    pace(&gdump, &jobs, temporary.path())?;
    same(&singles, &measured.ends).context("batch and single runs")?;
    fs::remove_dir_all(temporary.path().join("batch"))?;

    killed(args, &gdump, &jobs, temporary.path(), &measured)
}

fn report(measured: &Measured, seconds: f64) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let share = seconds / cpus as f64;
    let percent = (measured.seconds / share - 1.0) * 100.0;
    println!(
        "batch           : {:.1} s, CPU {:.1} s, exit status {:?}; single runs / {cpus} CPUs {share:.1} s: {percent:+.1} %",
        measured.seconds, measured.cpu, measured.status
    );
    let quarters: Vec<String> = measured
        .memory
        .chunks(measured.memory.len().div_ceil(4).max(1))
        .map(|part| part.iter().max().map_or_else(String::new, u64::to_string))
        .collect();
    println!("memory          : {} KiB at most in each quarter of the time", quarters.join(", "));
}

/// Jobs in a slice of them, which are done in a batch and by single runs in turn, so that other work on the machine
/// takes from both.
const SLICE: usize = 50;

/// The time of a batch beside that of single runs of which as many are done at a time, with nothing else to do.
fn pace(gdump: &Path, jobs: &[Value], dir: &Path) -> Result<()> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut alone, mut together) = (0.0, 0.0);
    for (number, slice) in jobs.chunks(SLICE).enumerate() {
        let begun = Instant::now();
        at_a_time(gdump, slice, dir, cpus)?;
        alone += begun.elapsed().as_secs_f64();
        let place = dir.join(format!("pace-{number}"));
        together += Place::new(gdump, place.clone(), slice)?.run()?.seconds;
        fs::remove_dir_all(place)?;
    }
    let percent = (together / alone - 1.0) * 100.0;
    println!("in turn         : batches {together:.1} s, single runs {cpus} at a time {alone:.1} s: {percent:+.1} %");
    Ok(())
}

/// Single runs, so many at a time.
fn at_a_time(gdump: &Path, jobs: &[Value], dir: &Path, count: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = |worker: usize| -> Result<()> {
        let output = dir.join(format!("alone-{worker}"));
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            single(gdump, job, &output)?;
            remove(&output);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..count).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
}

/// A job in a run of its own with one thread.
fn single(gdump: &Path, job: &Value, output: &Path) -> Result<ExitStatus> {
    let options = job["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut command = Command::new(gdump);
    command.args(options).args(["--atomic", "--num-threads=1", "--message-level=4"]);
    command.arg(job["input"].as_str().context("a job without an input")?).arg(output);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?)
}

/// Removes what a run left.
fn remove(output: &Path) {
    for left in ["", ".incomplete", ".sum"] {
        let mut name = output.as_os_str().to_owned();
        name.push(left);
        let _ = fs::remove_file(name); // what is not there need not go
    }
}

/// Each job alone, in a run of its own with one thread, and the time that all of them took.
fn singles(gdump: &Path, jobs: &[Value], dir: &Path) -> Result<(Ends, f64)> {
    let (output, mut ends, mut seconds) = (dir.join("single"), Ends::new(), 0.0);
    for job in jobs {
        let begun = Instant::now();
        let status = single(gdump, job, &output)?;
        seconds += begun.elapsed().as_secs_f64();
        let found = output.exists().then(|| digest(&output)).transpose()?;
        ensure!(status.success() == found.is_some(), "{job}: {status}, and output {found:?}");
        let end = if status.success() { "done" } else { "failed" };
        let id = job["id"].as_str().context("a job without a name")?;
        ends.insert(id.to_owned(), (end.to_owned(), found));
        remove(&output);
    }
    Ok((ends, seconds))
}

/// A batch that is killed at random moments, and one that then runs to its end.
fn killed(args: &Args, gdump: &Path, jobs: &[Value], dir: &Path, whole: &Measured) -> Result<()> {
    let mut place = Place::new(gdump, dir.join("killed"), jobs)?;
    let longest = whole.seconds * 1.6 / f64::from(args.kills.max(1)) * 1e6;
    let mut running = 0;
    for round in 0..args.kills {
        let after = Dice::of(args.seed, "kill", round).within(1, longest as u64);
        running += u32::from(place.kill(Duration::from_micros(after))?);
    }
    let last = place.run()?;
    same(&whole.ends, &last.ends).context("the batch that was killed and the one that was not")?;
    let counts = place.journalled()?;
    let again = counts.values().filter(|(begun, _)| *begun > 1).count();
    let twice: Vec<&String> = counts.iter().filter(|(_, (_, ended))| *ended != 1).map(|(name, _)| name).collect();
    ensure!(twice.is_empty(), "jobs that did not end once: {twice:?}");
    let begun: u32 = counts.values().map(|(begun, _)| begun).sum();
    println!(
        "killed          : {} times, {running} of them while it ran; {} jobs ended once each, {begun} were begun: {again} \
         of them again, as they were killed; results are the same",
        args.kills,
        counts.len()
    );
    Ok(())
}

fn same(expected: &Ends, found: &Ends) -> Result<()> {
    ensure!(expected.len() == found.len(), "{} jobs, expected {}", found.len(), expected.len());
    for (id, end) in expected {
        ensure!(found.get(id) == Some(end), "{id}: {:?}, expected {end:?}", found.get(id));
    }
    Ok(())
}
