//! `gdump batch`.

use super::file_name;
use super::shard::Shard;
use super::size;
use super::threads::Threads;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

const USAGE: &str = "\
gdump batch [OPTIONS] MANIFEST [-- OPTIONS...]
       gdump batch [OPTIONS] --output-dir DIR DIRECTORY|- [-- OPTIONS...]
       gdump batch --split-one FILE --parts N [--output-dir DIR] [-- OPTIONS...]";

const AFTER_HELP: &str = "\
OPTIONS after -- are those of every job, before its own. A line of MANIFEST is a job:
{\"input\": \"a\", \"output\": \"b\", \"options\": [\"-c\", \"-d\", \"31\"], \"digest\": \"blake3:...\", \"id\": \"c\"}

Exit status: 0 all jobs are done; 1 some failed and would fail again, or nothing was begun;
75 the others are done, and what failed may succeed another time.";

/// Options of `gdump batch`.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE, after_help = AFTER_HELP)]
pub struct BatchArgs {
    /// Write dumps into DIR, under the names of their inputs, where no MANIFEST names them
    #[arg(long, value_name = "DIR", value_parser = file_name::any())]
    pub output_dir: Option<PathBuf>,
    /// Take names on stdin that end with NUL, as find -print0 writes them
    #[arg(short = '0', long)]
    pub null: bool,
    /// Run at most N jobs at a time [default: as many as there are CPUs and memory for]
    #[arg(short = 'j', long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Use N threads in all jobs together [default: the number of CPUs]
    ///
    /// A job has at least one, and as many as it asks for itself.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// Use at most SIZE bytes of memory (512M, 2G) in all jobs together
    /// [default: half of what is available]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_memory: Option<u64>,
    /// Try a job again up to N times where the system is what failed [default: 2]
    ///
    /// That is a full disk, a disk or a server that cannot be read or written, a lack of memory, an output that another
    /// process writes, a signal. The first try again comes after a second, the next after 2, 4 and so on, up to a minute.
    #[arg(long, value_name = "N", default_value_t = 2, hide_default_value = true)]
    pub retries: u32,
    /// Do jobs again, too, of which the journal says that they failed
    #[arg(long)]
    pub retry_failed: bool,
    /// Read what is done already, and do again what is not as the journal says
    #[arg(long)]
    pub verify: bool,
    /// Do the K-th of N shares of the jobs, K from 1 on; /N takes K from the scheduler
    /// [default: by SLURM_ARRAY_TASK_ID and its like, CI_NODE_INDEX and CI_NODE_TOTAL]
    ///
    /// JOB_COMPLETION_INDEX of Kubernetes says K alone: /N goes with it. 1/1 does all jobs. Names of journal, results
    /// and JUnit file get .K-of-N before their last suffix.
    #[arg(long, verbatim_doc_comment, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Keep the journal in FILE
    /// [default: MANIFEST.journal, or batch.journal in --output-dir]
    #[arg(long, verbatim_doc_comment, value_name = "FILE", value_parser = file_name::output())]
    pub journal: Option<PathBuf>,
    /// Write the results, a line of JSON for each job, to FILE [default: stdout]
    #[arg(long, value_name = "FILE", value_parser = file_name::output())]
    pub results: Option<PathBuf>,
    /// Write the results as JUnit XML to FILE
    #[arg(long, value_name = "FILE", value_parser = file_name::output())]
    pub junit: Option<PathBuf>,
    /// Print a manifest of jobs that write a part of FILE each, for machines that share it
    ///
    /// Parts are about as large as each other. gdump --reassemble joins them.
    #[arg(
        long,
        value_name = "FILE",
        requires = "parts",
        conflicts_with_all = ["source", "null", "jobs", "retry_failed", "verify", "shard", "journal", "results", "junit"],
        value_parser = file_name::any()
    )]
    pub split_one: Option<PathBuf>,
    /// With --split-one, how many parts there are to be
    #[arg(long, value_name = "N", requires = "split_one")]
    pub parts: Option<NonZeroUsize>,
    /// A manifest, a directory of dumps, or - for names on stdin, a line each
    #[arg(value_name = "MANIFEST", required_unless_present = "split_one", value_parser = file_name::any())]
    pub source: Option<PathBuf>,
    /// Options of every job
    #[arg(value_name = "OPTIONS", last = true)]
    pub options: Vec<String>,
}

impl BatchArgs {
    /// The file names, in the order of the command line.
    pub(super) fn files(&self) -> Vec<&Path> {
        self.split_one.iter().chain(&self.source).map(PathBuf::as_path).collect()
    }
}
