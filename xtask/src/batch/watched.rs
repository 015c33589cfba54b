//! A batch that runs, watched from outside.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a batch left: each job's status and output.
pub type Ends = BTreeMap<String, (String, Option<String>)>;

/// A folder with a manifest, in which batches run one after the other.
pub struct Place<'a> {
    pub gdump: &'a Path,
    pub dir: PathBuf,
    /// Outputs that were seen: what they are, and by what they are known.
    seen: BTreeMap<PathBuf, (u64, i64, String)>,
}

/// What was measured of a batch that ran to its end.
pub struct Measured {
    pub seconds: f64,
    /// CPU time of the batch and its jobs.
    pub cpu: f64,
    pub status: Option<i32>,
    /// Resident memory of the parent (KiB), as it went.
    pub memory: Vec<u64>,
    pub ends: Ends,
}

impl<'a> Place<'a> {
    pub fn new(gdump: &'a Path, dir: PathBuf, jobs: &[Value]) -> Result<Place<'a>> {
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("m.ndjson"), jobs.iter().map(|job| format!("{job}\n")).collect::<String>())?;
        Ok(Place { gdump, dir, seen: BTreeMap::new() })
    }

    fn start(&self) -> Result<Child> {
        let mut command = Command::new(self.gdump);
        command.arg("batch").arg(self.dir.join("m.ndjson")).arg("--results").arg(self.dir.join("results"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().context("cannot start gdump batch")
    }

    /// Runs a batch to its end.
    pub fn run(&mut self) -> Result<Measured> {
        let (begun, cpu) = (Instant::now(), cpu_of_children());
        let mut batch = self.start()?;
        let mut memory = Vec::new();
        let status = loop {
            if let Some(status) = batch.try_wait()? {
                break status;
            }
            memory.extend(resident(batch.id()));
            sleep(Duration::from_millis(50));
        };
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = cpu_of_children().zip(cpu).map_or(0.0, |(after, before)| after - before);
        self.look()?;
        Ok(Measured { seconds, cpu, status: status.code(), memory, ends: self.ends()? })
    }

    /// Kills a batch after a while; whether it was still running.
    pub fn kill(&mut self, after: Duration) -> Result<bool> {
        let mut batch = self.start()?;
        sleep(after);
        let ran = batch.try_wait()?.is_none();
        batch.kill()?;
        batch.wait()?;
        self.look()?;
        Ok(ran)
    }

    /// Sees that outputs which were there are as they were.
    fn look(&mut self) -> Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_output = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"out-"));
            if !is_output || path.extension().is_some() {
                continue;
            }
            let meta = fs::metadata(&path)?;
            let known = (meta.ino(), meta.mtime_nsec());
            match self.seen.get(&path) {
                Some((inode, mtime, _)) => {
                    ensure!((*inode, *mtime) == known, "{} was made twice", path.display());
                }
                None => {
                    let digest = digest(&path)?;
                    self.seen.insert(path, (known.0, known.1, digest));
                }
            }
        }
        Ok(())
    }

    /// How the last batch says that jobs ended, and what is there of them.
    fn ends(&self) -> Result<Ends> {
        let text = fs::read_to_string(self.dir.join("results"))?;
        let end = |line: &str| -> Result<_> {
            let result: Value = serde_json::from_str(line)?;
            let word = |key: &str| result[key].as_str().map(str::to_owned).context("a line of results without a word");
            let output = self.dir.join(word("output")?);
            let found = self.seen.get(&output).map(|(_, _, digest)| digest.clone());
            Ok((word("id")?, (word("status")?, found)))
        };
        text.lines().map(end).collect()
    }

    /// How often the journal says that each output was begun, and that it is done.
    pub fn journalled(&self) -> Result<BTreeMap<String, (u32, u32)>> {
        let text = fs::read_to_string(self.dir.join("m.ndjson.journal"))?;
        let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for line in text.lines().skip(1) {
            let Ok(entry) = serde_json::from_str::<Value>(line) else { bail!("a torn line in the journal: {line}") };
            if let Some(output) = entry["begun"]["output"].as_str() {
                counts.entry(output.to_owned()).or_default().0 += 1;
            }
            if let Some(output) = entry["ended"]["output"].as_str() {
                counts.entry(output.to_owned()).or_default().1 += 1;
            }
        }
        Ok(counts)
    }
}

/// What a file holds.
pub fn digest(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// CPU time that processes have taken which this one began, or which these began, and which have ended (seconds).
pub fn cpu_of_children() -> Option<f64> {
    const TICKS: f64 = 100.0; // of USER_HZ, the same on every machine
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let times = rest.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().ok());
    Some(times.sum::<Option<f64>>()? / TICKS)
}

/// Resident memory of a process (KiB).
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
