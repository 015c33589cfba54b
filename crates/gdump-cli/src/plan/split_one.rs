//! One dump in parts, a job each.

use super::{Conversion, Plan};
use crate::args::{self, Parsed};
use crate::messages::{Messages, Voice};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One dump in parts, a job each.
#[derive(Debug)]
pub struct SplitOnePlan {
    /// What would write all parts at once.
    pub conversion: Conversion,
    /// The dump, as it is named.
    pub input: String,
    /// Options of each job, before its range.
    pub options: Vec<String>,
}

impl SplitOnePlan {
    /// Of the dump at `file` in so many parts, in `directory` or beside it.
    ///
    /// # Errors
    /// One line, if options do not go with it.
    pub fn new(
        file: PathBuf,
        parts: usize,
        directory: Option<&Path>,
        options: Vec<String>,
    ) -> Result<SplitOnePlan, String> {
        let input = file.to_str().ok_or("--split-one: the file's name is not UTF-8, which a manifest is")?.to_owned();
        if parts < 2 {
            return Err("--parts 1: expected 2 or more".to_owned());
        }
        let names = (1..=parts).map(|part| name(&file, directory, part, parts));
        let names = names.collect::<Option<Vec<String>>>().ok_or("--output-dir: the name is not UTF-8")?;
        let words = options.iter().cloned().chain(["--split".to_owned(), "--".to_owned(), input.clone()]);
        let words = words.chain(names.iter().cloned()).map(OsString::from);
        let Parsed::Convert { args, .. } = args::parse_options(words)? else {
            return Err("--split-one: expected options of a conversion after --".to_owned());
        };
        let files = args
            .files
            .iter()
            .map(PathBuf::as_path)
            .eq([input.as_str()].into_iter().map(Path::new).chain(names.iter().map(Path::new)));
        match Plan::new(&args, Voice::Gdump)? {
            _ if !files => Err("--split-one: found a file's name among the options".to_owned()),
            Plan::Convert(plan) if plan.levels.len() > 1 => {
                Err("--split-one: expected one dump level, for all parts must have the same".to_owned())
            }
            Plan::Convert(plan) if plan.dry_run => Err("--split-one: its jobs write dumps, --dry-run none".to_owned()),
            Plan::Convert(plan) => {
                let messages = Messages::new(args.messages(), true);
                Ok(SplitOnePlan { conversion: Conversion { messages, ..*plan }, input, options })
            }
            _ => Err("--split-one: expected options of a conversion after --".to_owned()),
        }
    }
}

/// What a part is called: `vmcore.2-of-8`.
fn name(file: &Path, directory: Option<&Path>, part: usize, parts: usize) -> Option<String> {
    let whole = match directory {
        Some(directory) => directory.join(file.file_name()?),
        None => file.to_owned(),
    };
    Some(format!("{}.{part}-of-{parts}", whole.to_str()?))
}
