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
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::faults::Dice;
use crate::workspace;
use watched::{Ends, Measured, Place, digest};

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

    let (singles, seconds) = singles(&gdump, &jobs, temporary.path())?;
    let done = singles.values().filter(|(status, _)| status == "done").count();
    println!("single runs     : {} jobs, {done} done, {seconds:.1} s with a thread each", jobs.len());

    let measured = Place::new(&gdump, temporary.path().join("batch"), &jobs)?.run()?;
    report(&measured, seconds);
    same(&singles, &measured.ends).context("batch and single runs")?;
    fs::remove_dir_all(temporary.path().join("batch"))?;

    killed(args, &gdump, &jobs, temporary.path(), &measured)
}

fn report(measured: &Measured, seconds: f64) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let share = seconds / cpus as f64;
    let percent = (measured.seconds / share - 1.0) * 100.0;
    println!(
        "batch           : {:.1} s, exit status {:?}; single runs / {cpus} CPUs {share:.1} s: {percent:+.1} %",
        measured.seconds, measured.status
    );
    let quarters: Vec<String> = measured
        .memory
        .chunks(measured.memory.len().div_ceil(4).max(1))
        .map(|part| part.iter().max().map_or_else(String::new, u64::to_string))
        .collect();
    println!("memory          : {} KiB at most in each quarter of the time", quarters.join(", "));
}

/// Each job alone, in a run of its own with one thread, and the time that all of them took.
fn singles(gdump: &Path, jobs: &[Value], dir: &Path) -> Result<(Ends, f64)> {
    let (output, mut ends, mut seconds) = (dir.join("single"), Ends::new(), 0.0);
    for job in jobs {
        let word = |key: &str| job[key].as_str().context("a job without a word");
        let options = job["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut command = Command::new(gdump);
        command.args(options).args(["--atomic", "--num-threads=1", "--message-level=4", word("input")?]).arg(&output);
        let begun = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        seconds += begun.elapsed().as_secs_f64();
        let found = output.exists().then(|| digest(&output)).transpose()?;
        ensure!(status.success() == found.is_some(), "{job}: {status}, and output {found:?}");
        let end = if status.success() { "done" } else { "failed" };
        ends.insert(word("id")?.to_owned(), (end.to_owned(), found));
        for left in ["single", "single.incomplete", "single.sum"] {
            let _ = fs::remove_file(dir.join(left)); // what is not there need not go
        }
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
