//! `cargo xtask bench`: time, processor, memory and output size of gdump beside makedumpfile.
//!
//! The programs run in turn, so that a machine that slows down slows all of them; input from the page cache, output to
//! memory, so that the disk is not measured. makedumpfile runs without threads and with each number of threads that
//! gdump may use; gdump is held against the fastest of those.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{program, workspace};

/// Rows of the table, as options.
const ROWS: &[&str] = &["-c -d 1", "-l -d 1", "-z -d 1", "-d 0", "-c -d 31", "-l -d 31", "-E -d 31"];

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The dump to filter
    vmcore: PathBuf,
    /// The makedumpfile to hold against
    #[arg(long, value_name = "PATH", default_value = "makedumpfile")]
    peer: String,
    /// Runs of each program in each row; the table shows medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Numbers of threads to measure
    #[arg(long, value_name = "N,N...", value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<u32>,
    /// Only this row, such as "-l -d 31"; may be given more than once
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    row: Vec<String>,
    /// Write all samples and the machine's description to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH", hide = true)]
    gdump: Option<PathBuf>,
}

/// Whose run it is; orders gdump first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Runner {
    Gdump(u32),
    Peer(Option<u32>),
}

/// What one run took.
#[derive(Clone, Copy)]
struct Sample {
    wall_s: f64,
    cpu_s: f64,
    rss_mib: f64,
    out_mib: f64,
}

/// The samples of a row by runner.
type Samples = BTreeMap<Runner, Vec<Sample>>;

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(&["time", &args.peer])?;
    let stage = Stage {
        args,
        gdump: workspace::gdump(args.gdump.as_deref())?,
        // Memory, on every Debian.
        out: tempfile::Builder::new().prefix("gdump-bench").tempdir_in("/dev/shm").context("/dev/shm")?,
    };
    warm(&args.vmcore)?;
    println!("{HEAD}");
    let mut rows = Vec::new();
    for row in stage.rows()? {
        let samples = stage.measure(&row).with_context(|| format!("row {row}"))?;
        for threads in &args.threads {
            rows.push(line(&row, *threads, &samples)?);
        }
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&stage.document(rows)?)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Reads the dump once, so that every run finds it in the page cache.
fn warm(path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Where the measuring happens.
struct Stage<'a> {
    args: &'a Args,
    gdump: PathBuf,
    out: tempfile::TempDir,
}

impl Stage<'_> {
    /// The rows asked for, without zstd if the peer was built without it.
    fn rows(&self) -> Result<Vec<String>> {
        if !self.args.row.is_empty() {
            return Ok(self.args.row.clone());
        }
        let zstd = version(Path::new(&self.args.peer))?
            .lines()
            .any(|line| line.starts_with("zstd") && line.ends_with("enabled"));
        if !zstd {
            println!("the peer has no zstd: no -z row");
        }
        Ok(ROWS.iter().filter(|row| zstd || !row.contains("-z")).map(ToString::to_string).collect())
    }

    /// Runs everyone in turn.
    fn measure(&self, row: &str) -> Result<Samples> {
        let mut samples: Samples = self.runners(row)?.into_iter().map(|runner| (runner, Vec::new())).collect();
        for _ in 0..self.args.runs {
            for runner in samples.keys().copied().collect::<Vec<_>>() {
                match self.once(row, runner) {
                    Ok(sample) => samples.entry(runner).or_default().push(sample),
                    // The peer's threads fail now and then; then it is measured without them.
                    Err(error) if matches!(runner, Runner::Peer(Some(_))) => {
                        println!("{row}: left out: {error:#}");
                        samples.remove(&runner);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(samples)
    }

    /// Who takes part: everyone who gets through a first run that does not count.
    fn runners(&self, row: &str) -> Result<Vec<Runner>> {
        let threads = &self.args.threads;
        let mut runners: Vec<Runner> = threads.iter().map(|number| Runner::Gdump(*number)).collect();
        for runner in &runners {
            self.once(row, *runner)?;
        }
        self.once(row, Runner::Peer(None))?;
        runners.push(Runner::Peer(None));
        for number in threads {
            match self.once(row, Runner::Peer(Some(*number))) {
                Ok(_) => runners.push(Runner::Peer(Some(*number))),
                Err(error) => println!("{row}: left out: {error:#}"),
            }
        }
        Ok(runners)
    }

    /// One run.
    fn once(&self, row: &str, runner: Runner) -> Result<Sample> {
        let (out, usage) = (self.out.path().join("dump"), self.out.path().join("usage"));
        if out.exists() {
            std::fs::remove_file(&out)?; // what a run before this left
        }
        let mut command = self.command(row, runner, &out, &usage);
        let start = Instant::now();
        program::quiet(&mut command)?;
        let wall_s = start.elapsed().as_secs_f64();
        let (cpu_s, rss_mib) = read_usage(&std::fs::read_to_string(&usage)?)?;
        let out_mib = mib(std::fs::metadata(&out)?.len());
        Ok(Sample { wall_s, cpu_s, rss_mib, out_mib })
    }

    fn command(&self, row: &str, runner: Runner, out: &Path, usage: &Path) -> Command {
        // Through time(1): asking the kernel ourselves takes unsafe code, and a child's peak starts from the memory of
        // whoever forked it.
        let mut command = Command::new("time");
        command.args(["-q", "-f", "%U %S %M", "-o"]).arg(usage);
        match runner {
            Runner::Gdump(_) => command.arg(&self.gdump),
            Runner::Peer(_) => command.arg(&self.args.peer),
        };
        command.args(row.split_whitespace()).args(["--message-level", "4"]);
        if let Runner::Gdump(threads) | Runner::Peer(Some(threads)) = runner {
            command.args(["--num-threads", &threads.to_string()]);
        }
        command.arg(&self.args.vmcore).arg(out);
        command
    }

    /// What goes into the JSON file.
    fn document(&self, rows: Vec<Value>) -> Result<Value> {
        Ok(json!({
            "vmcore": program::base(&self.args.vmcore),
            "vmcore_mib": mib(std::fs::metadata(&self.args.vmcore)?.len()),
            "runs": self.args.runs,
            "cpus": std::thread::available_parallelism()?.get(),
            "cpu": cpu_model(),
            "gdump": first_line(&version(&self.gdump)?),
            "makedumpfile": first_line(&version(Path::new(&self.args.peer))?),
            "rows": rows,
        }))
    }
}

/// Head of the table.
const HEAD: &str = concat!(
    "                      gdump                              makedumpfile, its fastest way                   makedumpfile / gdump\n",
    "row       threads    wall s    cpu s  RSS MiB  out MiB    threads   wall s    cpu s  RSS MiB  out MiB    wall    cpu    RSS    out",
);

/// Prints one line of the table and returns it for the JSON file.
fn line(row: &str, threads: u32, samples: &Samples) -> Result<Value> {
    let ours = samples.get(&Runner::Gdump(threads)).context("gdump was not measured")?;
    let (runner, theirs) = best_peer(threads, samples).context("makedumpfile was not measured")?;
    let (us, them) = (median(ours)?, median(theirs)?);
    let options = match runner {
        Runner::Peer(Some(number)) => number.to_string(),
        _ => "-".to_string(),
    };
    let ratio = Sample {
        wall_s: them.wall_s / us.wall_s,
        cpu_s: them.cpu_s / us.cpu_s,
        rss_mib: them.rss_mib / us.rss_mib,
        out_mib: them.out_mib / us.out_mib,
    };
    println!(
        "{row:<10} {threads:>6}  {} {options:>10} {}   {:>6.2} {:>6.2} {:>6.2} {:>6.2}",
        columns(us),
        columns(them),
        ratio.wall_s,
        ratio.cpu_s,
        ratio.rss_mib,
        ratio.out_mib
    );
    Ok(json!({
        "row": row,
        "threads": threads,
        "gdump": { "median": us.json(), "samples": ours.iter().map(Sample::json).collect::<Vec<_>>() },
        "makedumpfile": {
            "num_threads": options,
            "median": them.json(),
            "samples": theirs.iter().map(Sample::json).collect::<Vec<_>>(),
        },
        "makedumpfile_by_gdump": { "wall": ratio.wall_s, "cpu": ratio.cpu_s, "rss": ratio.rss_mib, "out": ratio.out_mib },
    }))
}

fn columns(sample: Sample) -> String {
    format!("{:>9.2}{:>9.2}{:>9.1}{:>9.1}", sample.wall_s, sample.cpu_s, sample.rss_mib, sample.out_mib)
}

impl Sample {
    fn json(&self) -> Value {
        json!({ "wall_s": self.wall_s, "cpu_s": self.cpu_s, "rss_mib": self.rss_mib, "out_mib": self.out_mib })
    }
}

/// The peer's fastest way to use at most `threads` threads.
fn best_peer(threads: u32, samples: &Samples) -> Option<(Runner, &Vec<Sample>)> {
    let allowed = samples.iter().filter(|(runner, _)| match runner {
        Runner::Gdump(_) => false,
        Runner::Peer(number) => number.is_none_or(|number| number <= threads),
    });
    let wall = |samples: &[Sample]| median(samples).map_or(f64::INFINITY, |sample| sample.wall_s);
    allowed.min_by(|(_, one), (_, other)| wall(one).total_cmp(&wall(other))).map(|(runner, taken)| (*runner, taken))
}

/// The median of each column by itself.
fn median(samples: &[Sample]) -> Result<Sample> {
    let column = |of: fn(&Sample) -> f64| -> Result<f64> {
        let mut values: Vec<f64> = samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let (upper, lower) = (values.get(values.len() / 2), values.get(values.len().saturating_sub(1) / 2));
        Ok((upper.context("no sample")? + lower.context("no sample")?) / 2.0)
    };
    Ok(Sample {
        wall_s: column(|sample| sample.wall_s)?,
        cpu_s: column(|sample| sample.cpu_s)?,
        rss_mib: column(|sample| sample.rss_mib)?,
        out_mib: column(|sample| sample.out_mib)?,
    })
}

/// Processor seconds and peak memory (MiB) of "USER SYSTEM KIB", the way we ask time(1).
fn read_usage(text: &str) -> Result<(f64, f64)> {
    let words: Vec<f64> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().with_context(|| text.to_string())?;
    let [user, system, kib] = words.as_slice() else { bail!("time printed {text:?}") };
    Ok((user + system, kib / 1024.0))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// What `-v` prints.
fn version(program: &Path) -> Result<String> {
    let output = program::output(Command::new(program).arg("-v"))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.is_empty()).unwrap_or("unknown")
}

/// The processor's name, so that numbers of two machines are not mixed up.
fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".to_string(), |(_, name)| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_s: f64) -> Sample {
        Sample { wall_s, cpu_s: 1.0, rss_mib: 1.0, out_mib: 1.0 }
    }

    #[test]
    fn median_of_odd_and_even() {
        assert_eq!(median(&[3.0, 1.0, 2.0].map(sample)).unwrap().wall_s, 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0].map(sample)).unwrap().wall_s, 2.5);
        assert!(median(&[]).is_err());
    }

    #[test]
    fn the_peer_may_use_no_more_threads_than_gdump() {
        let fast = [
            (Runner::Gdump(1), 1.0),
            (Runner::Peer(None), 9.0),
            (Runner::Peer(Some(1)), 8.0),
            (Runner::Peer(Some(2)), 5.0),
        ];
        let samples: Samples = fast.into_iter().map(|(runner, wall)| (runner, vec![sample(wall)])).collect();
        assert!(best_peer(1, &samples).unwrap().0 == Runner::Peer(Some(1)));
        assert!(best_peer(2, &samples).unwrap().0 == Runner::Peer(Some(2)));
    }

    #[test]
    fn usage() {
        assert_eq!(read_usage("1.50 0.25 2048\n").unwrap(), (1.75, 2.0));
        assert!(read_usage("1.50 0.25").is_err());
    }
}
