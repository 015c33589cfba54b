//! Many dumps.

use super::Plan;
use super::files::is_stdin;
use super::shard::ChosenShard;
use super::split_one::SplitOnePlan;
use super::threads::threads_of_verb;
use crate::args::BatchArgs;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Many dumps.
#[derive(Debug)]
pub struct BatchPlan {
    /// What names them.
    pub source: JobSource,
    /// Options of every job, before its own.
    pub options: Vec<String>,
    /// Which of the jobs are done here.
    pub shard: ChosenShard,
    /// Where what is done is written down, whatever the shard.
    pub whole_journal: PathBuf,
    /// The same of this shard.
    pub journal: PathBuf,
    /// Where the results go; `None` for stdout.
    pub results: Option<PathBuf>,
    /// Where they go as JUnit XML.
    pub junit: Option<PathBuf>,
    /// Jobs at a time at most.
    pub jobs: usize,
    /// Threads of all jobs together.
    pub threads: usize,
    /// Memory of all jobs together (bytes); `None` for what the machine can spare.
    pub max_memory: Option<u64>,
    /// How often a job is tried again at most.
    pub retries: u32,
    /// Whether jobs that failed are done again.
    pub retry_failed: bool,
    /// Whether what is done already is read.
    pub verify: bool,
}

/// What names the dumps of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum JobSource {
    /// A manifest, a job a line.
    Manifest(PathBuf),
    /// The files of a directory.
    Directory {
        /// It.
        inputs: PathBuf,
        /// Where the dumps go.
        outputs: PathBuf,
    },
    /// Names on stdin.
    Names {
        /// Whether they end with NUL rather than a line.
        null: bool,
        /// Where the dumps go.
        outputs: PathBuf,
    },
}

impl JobSource {
    /// The directory that relative names are from.
    pub fn base(&self) -> &Path {
        match self {
            JobSource::Manifest(path) => crate::output_path::parent(path),
            JobSource::Directory { .. } | JobSource::Names { .. } => Path::new("."),
        }
    }
}

impl BatchPlan {
    /// The files to read, but for those of the jobs.
    pub(super) fn inputs(&self) -> Vec<PathBuf> {
        match &self.source {
            JobSource::Manifest(path) => vec![path.clone()],
            JobSource::Directory { .. } | JobSource::Names { .. } => Vec::new(),
        }
    }

    /// The files to write, but for those of the jobs.
    pub(super) fn outputs(&self) -> Vec<PathBuf> {
        [&self.results, &self.junit].into_iter().flatten().chain([&self.journal]).cloned().collect()
    }
}

pub(super) fn plan(args: BatchArgs) -> Result<Plan, String> {
    match (args.split_one, args.parts) {
        (Some(file), Some(parts)) => {
            let plan = SplitOnePlan::new(file, parts.get(), args.output_dir.as_deref(), args.options)?;
            return Ok(Plan::SplitOne(Box::new(plan)));
        }
        (None, Some(_)) => return Err("--parts goes with --split-one".to_owned()),
        _ => {}
    }
    let shard = ChosenShard::choose(args.shard, &|name| std::env::var(name).ok())?;
    let source = source(args.source.unwrap_or_default(), args.output_dir, args.null)?;
    let of_shard = |path: PathBuf| if shard.is_part() { of_shard(&path, shard) } else { path };
    let whole_journal = args.journal.unwrap_or_else(|| match &source {
        JobSource::Manifest(path) => with_suffix(path, ".journal"),
        JobSource::Directory { outputs, .. } | JobSource::Names { outputs, .. } => outputs.join("batch.journal"),
    });
    let plan = BatchPlan {
        source,
        options: args.options,
        shard,
        journal: of_shard(whole_journal.clone()),
        whole_journal,
        results: args.results.map(of_shard),
        junit: args.junit.map(of_shard),
        jobs: args.jobs.map_or(usize::MAX, usize::from),
        threads: threads_of_verb(args.num_threads),
        max_memory: args.max_memory,
        retries: args.retries,
        retry_failed: args.retry_failed,
        verify: args.verify,
    };
    distinct(&plan)?;
    Ok(Plan::Batch(Box::new(plan)))
}

fn source(path: PathBuf, outputs: Option<PathBuf>, null: bool) -> Result<JobSource, String> {
    let directory = path.is_dir();
    if null && !is_stdin(&path) {
        return Err("-0 goes with names on stdin (-)".to_owned());
    }
    match outputs {
        Some(outputs) if is_stdin(&path) => Ok(JobSource::Names { null, outputs }),
        Some(outputs) if directory => Ok(JobSource::Directory { inputs: path, outputs }),
        None if is_stdin(&path) || directory => Err("--output-dir DIR says where the dumps go".to_owned()),
        None => Ok(JobSource::Manifest(path)),
        Some(_) => Err("a manifest names its outputs: --output-dir goes with a directory or -".to_owned()),
    }
}

/// Refuses a file that is written twice, or read as well.
fn distinct(plan: &BatchPlan) -> Result<(), String> {
    let mut paths = [plan.outputs(), plan.inputs()].concat();
    paths.sort();
    match paths.windows(2).find(|two| matches!(two, [a, b] if a == b)) {
        Some([twice, _]) => Err(format!("{}: given twice", twice.display())),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// `results.2-of-8.xml` of `results.xml`.
fn of_shard(path: &Path, shard: ChosenShard) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{}-of-{}", shard.number, shard.of));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_shards() {
        let shard = ChosenShard { number: 2, of: 8, by: "" };
        for (name, expected) in [("a/m.ndjson.journal", "a/m.ndjson.2-of-8.journal"), ("results", "results.2-of-8")] {
            assert_eq!(of_shard(Path::new(name), shard), Path::new(expected));
        }
    }

    #[test]
    fn what_names_the_dumps() {
        let of = |path: &str, outputs: Option<&str>, null| source(path.into(), outputs.map(PathBuf::from), null);
        assert_eq!(of("m", None, false), Ok(JobSource::Manifest("m".into())));
        assert_eq!(of("-", Some("o"), true), Ok(JobSource::Names { null: true, outputs: "o".into() }));
        assert_eq!(of("/", Some("o"), false).map(|source| source.base().to_owned()), Ok(".".into()));
        for (path, outputs, null) in
            [("-", None, false), ("/", None, false), ("m", Some("o"), false), ("m", None, true)]
        {
            assert!(of(path, outputs, null).is_err(), "{path} {outputs:?} {null}");
        }
    }
}
