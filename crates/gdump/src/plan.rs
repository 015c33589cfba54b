//! What was typed, resolved and checked.

use crate::args::Args;
use crate::messages::Messages;
use dump_core::CodecId;
use dump_filter::DumpLevel;
use std::path::PathBuf;

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// The dump to read.
    pub input: PathBuf,
    /// The dump to write.
    pub output: PathBuf,
    /// How pages are packed.
    pub codec: Option<CodecId>,
    /// Dump levels in the order in which they are tried; at least one.
    pub levels: Vec<DumpLevel>,
    /// Whether an existing output is overwritten.
    pub force: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Whether a page class that cannot be told is an error.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
    /// What is printed, and where.
    pub messages: Messages,
}

/// makedumpfile takes as many levels.
const MAX_LEVELS: usize = 32;

impl Plan {
    /// Resolves what was typed; the error is one line.
    pub fn new(args: &Args) -> Result<Plan, String> {
        let [input, output] = args.files.as_slice() else {
            return Err(format!("VMCORE and DUMPFILE are needed, {} file names were given", args.files.len()));
        };
        let messages = Messages::new(message_level(args)?);
        Ok(Plan {
            input: input.clone(),
            output: output.clone(),
            codec: codec(args),
            levels: levels(&args.dump_level)?,
            force: args.force,
            dry_run: args.dry_run,
            strict: args.strict,
            threads: threads(args.num_threads.as_deref(), &messages)?,
            messages,
        })
    }
}

fn codec(args: &Args) -> Option<CodecId> {
    let chosen = [
        (args.zlib, CodecId::Zlib),
        (args.lzo, CodecId::Lzo),
        (args.snappy, CodecId::Snappy),
        (args.zstd, CodecId::Zstd),
    ];
    chosen.into_iter().find_map(|(on, codec)| on.then_some(codec))
}

fn levels(text: &str) -> Result<Vec<DumpLevel>, String> {
    let words: Vec<&str> = text.split(',').filter(|word| !word.is_empty()).collect();
    if words.is_empty() || words.len() > MAX_LEVELS {
        return Err(format!("-d {text}: expected 1 to {MAX_LEVELS} dump levels"));
    }
    let level = |word: &&str| {
        let level = word.parse().ok().and_then(DumpLevel::new);
        level.ok_or_else(|| format!("-d {text}: dump level {word} is not a number from 0 to 31"))
    };
    words.iter().map(level).collect()
}

fn message_level(args: &Args) -> Result<u32, String> {
    let level = match args.message_level.as_deref() {
        None => Messages::DEFAULT,
        Some(word) => word
            .parse()
            .ok()
            .filter(|level| *level < 32)
            .ok_or_else(|| format!("--message-level {word}: expected a number from 0 to 31"))?,
    };
    Ok(level | if args.debug { Messages::DEBUG } else { 0 } | if args.show_stats { Messages::REPORT } else { 0 })
}

/// All CPUs that this process may use, unless a number was given. 0 is makedumpfile's word for no further threads. A number
/// far above the CPUs is somebody's broken arithmetic, which shall not cost the dump: it is lowered.
fn threads(given: Option<&str>, messages: &Messages) -> Result<usize, String> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let Some(word) = given else { return Ok(cpus) };
    let wanted: i128 = word.parse().map_err(|_| format!("--num-threads {word}: expected a number"))?;
    let most = (4 * cpus).max(16);
    let threads = usize::try_from(wanted.clamp(1, most as i128)).unwrap_or(1);
    if wanted > most as i128 {
        messages.warning(&format!("--num-threads {word} on {cpus} CPUs: working with {threads}"));
    }
    Ok(threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_lists() {
        let bits = |text| levels(text).map(|list| list.iter().map(|l| l.bits()).collect::<Vec<_>>());
        assert_eq!(bits("11,31"), Ok(vec![11, 31]));
        assert_eq!(bits("0"), Ok(vec![0]));
        assert_eq!(bits(",17,"), Ok(vec![17]));
        for bad in ["", ",", "32", "-1", "x", "1,x", "0x1f"] {
            assert!(bits(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn absurd_thread_numbers_are_lowered_not_refused() {
        let quiet = Messages::new(0);
        assert_eq!(threads(Some("0"), &quiet), Ok(1));
        assert_eq!(threads(Some("-5"), &quiet), Ok(1));
        assert_eq!(threads(Some("8"), &quiet), Ok(8));
        assert!(threads(Some("5223023572093018873"), &quiet).unwrap() >= 16);
        assert!(threads(Some("many"), &quiet).is_err());
    }
}
