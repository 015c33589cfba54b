//! One dump to convert.

use super::stamp::Stamp;
use crate::args::{self, Parsed};
use crate::messages::Voice;
use crate::network;
use crate::output_path::{OutputOptions, until_whole};
use crate::plan::{Output, Plan};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One dump to convert, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What results call it.
    pub id: String,
    /// The dump, or the parts of one.
    pub inputs: Vec<String>,
    /// The file to write.
    pub output: String,
    /// Options of the conversion.
    pub options: Vec<String>,
    /// The digest that the output must have.
    pub digest: Option<String>,
}

/// One dump to convert, its options understood.
#[derive(Debug)]
pub struct Job {
    /// What was asked for.
    pub wish: Wish,
    /// Where the output is to be.
    pub output: PathBuf,
    /// All that is read: the dump, and files of its kernel.
    pub reads: Vec<PathBuf>,
    /// Whether there are checksums beside the output.
    pub checksum: bool,
    /// Threads that it asks for itself.
    pub threads: Option<usize>,
    /// Memory that it asks for itself (bytes).
    pub max_memory: Option<u64>,
}

/// Which options of which inputs made an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// All files that are read, as they are.
    pub inputs: Vec<Read>,
    /// The options.
    pub options: Vec<String>,
}

/// A file that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Its name.
    pub name: String,
    /// By what it is known; `None` where it is not there.
    pub is: Option<Stamp>,
}

impl Job {
    /// What `wish` means where names are from `base`.
    ///
    /// # Errors
    /// One line, if its options are not those of a conversion from files to one file.
    pub fn new(wish: Wish, base: &Path) -> Result<Job, String> {
        let files: Vec<&String> = wish.inputs.iter().chain([&wish.output]).collect();
        if let Some(name) = files.iter().find(|name| matches!(name.as_str(), "" | "-")) {
            return Err(format!("file name {name:?}: expected the name of a file"));
        }
        let words = wish.options.iter().map(String::as_str).chain(["--"]).chain(files.iter().map(|name| name.as_str()));
        let parsed = args::parse_options(words.map(OsString::from)).map_err(|why| format!("options: {why}"))?;
        let Parsed::Convert { args, batch: None, .. } = parsed else {
            return Err("options: expected those of a conversion".to_owned());
        };
        if !args.files.iter().map(PathBuf::as_path).eq(files.iter().map(Path::new)) {
            return Err("options: found a file's name among them".to_owned());
        }
        let threads = args.num_threads;
        let Plan::Convert(plan) = Plan::new(&args, Voice::Gdump).map_err(|why| format!("options: {why}"))? else {
            return Err("options: expected those of a conversion".to_owned());
        };
        let to_file = matches!(&plan.output, Output::Files(files) if files.len() == 1);
        if !to_file || plan.dry_run || args.check_params || plan.vtop.is_some() {
            return Err("options: a job writes one dump to a file, and nothing else".to_owned());
        }
        Ok(Job {
            output: base.join(&wish.output),
            reads: plan.inputs.files().into_iter().map(|path| placed(base, path)).collect(),
            checksum: plan.checksum,
            threads: threads.map(|_| plan.threads),
            max_memory: plan.max_memory,
            wish,
        })
    }

    /// What it asks for now.
    pub fn ask(&self) -> Ask {
        let read = |path: &PathBuf| Read { name: path.display().to_string(), is: Stamp::of(path) };
        Ask { inputs: self.reads.iter().map(read).collect(), options: self.wish.options.clone() }
    }

    /// Where the output is until it is whole.
    pub fn until_whole(&self) -> PathBuf {
        until_whole(&self.output, OutputOptions { own_name: true, ..OutputOptions::default() })
    }
}

/// Where a file is that is named from `base`. One on a server is known by its name alone.
fn placed(base: &Path, name: PathBuf) -> PathBuf {
    if network::is_remote(&name) { name } else { base.join(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(options: &[&str], inputs: &[&str], output: &str) -> Result<Job, String> {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (inputs, options) = (texts(inputs), texts(options));
        Job::new(Wish { id: "1".to_owned(), inputs, output: output.to_owned(), options, digest: None }, Path::new("/m"))
    }

    #[test]
    fn options_are_understood_before_anything_begins() {
        let job = job(&["-cfd31", "--checksum", "-x", "vmlinux", "--max-memory", "64M"], &["-a", "b"], "o").unwrap();
        assert!(job.checksum && job.threads.is_none());
        assert_eq!((job.max_memory, job.output.as_path()), (Some(64 << 20), Path::new("/m/o")));
        for name in ["/m/-a", "/m/b", "/m/vmlinux"] {
            assert!(job.reads.iter().any(|path| path == Path::new(name)), "{name}: {:?}", job.reads);
        }
        assert_eq!(job.until_whole(), Path::new("/m/o.incomplete"));
        let url = "https://h/vmcore";
        assert_eq!(self::job(&["-c"], &[url], "o").unwrap().reads, [Path::new(url)]);
    }

    #[test]
    fn what_is_no_conversion_to_a_file_is_refused() {
        for (options, inputs, output) in [
            (&["--nonsense"][..], &["a"][..], "o"),
            (&["-F"], &["a"], "o"),
            (&["-R"], &["a"], "o"),
            (&["-v"], &["a"], "o"),
            (&["-h"], &["a"], "o"),
            (&["--split"], &["a"], "o"),
            (&["--dry-run"], &["a"], "o"),
            (&["--check-params"], &["a"], "o"),
            (&["--mem-usage"], &["a"], "o"),
            (&["--dump-dmesg"], &["a"], "o"),
            (&["--vtop", "0"], &["a"], "o"),
            (&["--output-dir", "d"], &["a"], "o"),
            (&["--job-of", "1"], &["a"], "o"),
            (&["extra"], &["a"], "o"),
            (&["--"], &["a"], "o"),
            (&["info"], &["a"], "o"),
            (&[], &["-"], "o"),
            (&[], &["a"], "-"),
            (&[], &["a"], "|cat"),
            (&[], &["a"], ""),
            (&[], &[], "o"),
        ] {
            assert!(job(options, inputs, output).is_err(), "{options:?} {inputs:?} {output}");
        }
    }
}
