//! What was typed, resolved and checked.

use crate::args::{Args, LookArgs, Verb};
use crate::messages::Messages;
use dump_core::{CodecId, Pfn, PfnRange, PhysAddr};
use dump_filter::DumpLevel;
use std::path::PathBuf;

/// What is to be done.
#[derive(Debug)]
pub enum Plan {
    /// A dump becomes another.
    Convert(Box<Conversion>),
    /// A flattened stream becomes the file that it stands for.
    Rearrange(Rearrangement),
    /// Dumps are looked at.
    Look(Look),
}

/// Containers that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// kdump-compressed.
    Kdump,
    /// An ELF core.
    Elf,
    /// Bare memory from address 0.
    Raw,
    /// LiME.
    Lime,
}

/// Where inputs come from.
#[derive(Debug)]
pub struct Inputs {
    /// A dump, or the parts of one.
    pub paths: Vec<PathBuf>,
    /// Where the bytes of a file without structure begin in memory.
    pub raw_base: Option<PhysAddr>,
    /// Whether `/proc/vmcore` may be mapped.
    pub mapped: bool,
}

/// From dump to dump.
#[derive(Debug)]
pub struct Conversion {
    /// What is read.
    pub inputs: Inputs,
    /// What is written: one file, the parts of a split dump, or none for a stream to stdout.
    pub outputs: Vec<PathBuf>,
    /// The container.
    pub format: Format,
    /// How pages are packed.
    pub codec: Option<CodecId>,
    /// Whether pages are packed as the parts of a split dump have them.
    pub keep_codec: bool,
    /// Dump levels in the order in which they are tried; at least one.
    pub levels: Vec<DumpLevel>,
    /// Bytes of memory of which boundaries between parts are multiples.
    pub split_block: u64,
    /// The one part to write.
    pub pfn_range: Option<PfnRange>,
    /// Whether an existing output is overwritten.
    pub force: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Whether a page class that cannot be told is an error.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
    /// Bytes of memory that the work may take; where none are named, what the machine can spare.
    pub max_memory: Option<u64>,
    /// Bytes of bitmap that are held at most.
    pub bitmap_bytes: Option<u64>,
    /// What is printed, and where.
    pub messages: Messages,
}

/// From stream to file.
#[derive(Debug)]
pub struct Rearrangement {
    /// The stream; stdin if there is none.
    pub input: Option<PathBuf>,
    /// The file.
    pub output: PathBuf,
    /// Whether it is overwritten.
    pub force: bool,
    /// What is printed, and where.
    pub messages: Messages,
}

/// A look at dumps.
#[derive(Debug)]
pub struct Look {
    /// Which.
    pub verb: Verb,
    /// At what.
    pub inputs: Inputs,
    /// Whether the answer is JSON.
    pub json: bool,
    /// Whether a page that only one of two dumps holds makes them differ.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
}

/// makedumpfile takes as many levels.
const MAX_LEVELS: usize = 32;

/// Fine enough that parts come out even, coarse enough that nobody counts: 16 MiB. makedumpfile has a GiB.
const SPLIT_BLOCK: u64 = 16 << 20;

impl Plan {
    /// Resolves what was typed; the error is one line.
    pub fn new(args: &Args) -> Result<Plan, String> {
        let messages = Messages::new(message_level(args)?, args.flattened);
        let files = args.files.as_slice();
        let conflict = [
            (args.rearrange, "-R"),
            (args.reassemble, "--reassemble"),
            (args.split, "--split"),
            (args.flattened, "-F"),
        ];
        let chosen: Vec<&str> = conflict.into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        if chosen.len() > 1 && chosen != ["--reassemble", "-F"] {
            return Err(format!("{} do not go together", chosen.join(" and ")));
        }
        if args.rearrange {
            return rearrangement(args, messages).map(Plan::Rearrange);
        }
        let (inputs, outputs) = match files {
            [input, outputs @ ..] if args.split && outputs.len() > 1 => (vec![input.clone()], outputs.to_vec()),
            _ if args.split => return Err("--split needs VMCORE and two DUMPFILEs or more".to_owned()),
            [_, ..] if args.flattened => (files.to_vec(), Vec::new()),
            _ if args.flattened => return Err("-F needs VMCORE".to_owned()),
            [inputs @ .., output] if !inputs.is_empty() => (inputs.to_vec(), vec![output.clone()]),
            _ => return Err(format!("VMCORE and DUMPFILE are needed, {} file names were given", files.len())),
        };
        let conversion = Conversion {
            inputs: Inputs { paths: inputs, raw_base: raw_base(args.raw_base.as_deref())?, mapped: !args.non_mmap },
            outputs,
            format: format(args)?,
            codec: codec(args),
            keep_codec: args.reassemble,
            levels: levels(&args.dump_level)?,
            split_block: args
                .splitblock_size
                .as_deref()
                .map_or(Ok(SPLIT_BLOCK), |text| kib("--splitblock-size", text))?,
            pfn_range: args.pfn_range.as_deref().map(pfn_range).transpose()?,
            force: args.force,
            dry_run: args.dry_run,
            strict: args.strict,
            threads: threads(args.num_threads.as_deref(), messages)?,
            max_memory: args.max_memory.as_deref().map(max_memory).transpose()?,
            bitmap_bytes: args.cyclic_buffer.as_deref().map(|text| kib("--cyclic-buffer", text)).transpose()?,
            messages,
        };
        conversion.check().map(|()| Plan::Convert(Box::new(conversion)))
    }

    /// Resolves a look.
    pub fn look(verb: Verb, args: &LookArgs) -> Result<Plan, String> {
        let wanted = if verb == Verb::Diff { 2 } else { 1 };
        if args.files.len() < wanted || verb == Verb::Diff && args.files.len() > 2 {
            return Err(format!("{wanted} files are needed, {} were given", args.files.len()));
        }
        Ok(Plan::Look(Look {
            verb,
            inputs: Inputs { paths: args.files.clone(), raw_base: raw_base(args.raw_base.as_deref())?, mapped: true },
            json: args.json,
            strict: args.strict,
            threads: threads(args.num_threads.as_deref(), Messages::default())?,
        }))
    }
}

impl Conversion {
    /// Whether the dump goes to stdout.
    pub fn to_stdout(&self) -> bool {
        self.outputs.is_empty()
    }

    fn check(&self) -> Result<(), String> {
        if self.format != Format::Kdump && self.codec.is_some() {
            return Err(
                "pages are packed in kdump files only: -c, -l, -p and -z do not go with -E or --format".to_owned()
            );
        }
        if self.format != Format::Kdump && (self.outputs.len() > 1 || self.pfn_range.is_some()) {
            return Err("only kdump files can be split".to_owned());
        }
        if self.pfn_range.is_some() && self.outputs.len() > 1 {
            return Err("--pfn-range writes one part; it does not go with --split".to_owned());
        }
        Ok(())
    }
}

fn rearrangement(args: &Args, messages: Messages) -> Result<Rearrangement, String> {
    let (input, output) = match args.files.as_slice() {
        [output] => (None, output),
        [input, output] => (Some(input.clone()), output),
        files => return Err(format!("-R needs DUMPFILE, or FILE and DUMPFILE; {} file names were given", files.len())),
    };
    if codec(args).is_some() || args.elf || args.format.is_some() || levels(&args.dump_level)? != [DumpLevel::default()]
    {
        return Err("-R changes nothing in a dump; -c, -l, -p, -z, -E, --format and -d do not go with it".to_owned());
    }
    let input = input.filter(|path| path.as_os_str() != "-");
    Ok(Rearrangement { input, output: output.clone(), force: args.force, messages })
}

fn format(args: &Args) -> Result<Format, String> {
    match (args.format.as_deref(), args.elf) {
        (None, false) | (Some("kdump"), false) => Ok(Format::Kdump),
        (None | Some("elf"), true) | (Some("elf"), false) => Ok(Format::Elf),
        (Some("raw"), false) => Ok(Format::Raw),
        (Some("lime"), false) => Ok(Format::Lime),
        (Some(other), true) => Err(format!("-E and --format {other} contradict each other")),
        (Some(other), false) => Err(format!("--format {other}: expected kdump, elf, raw or lime")),
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

/// Decimal, or hexadecimal with 0x.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn raw_base(text: Option<&str>) -> Result<Option<PhysAddr>, String> {
    let parse =
        |text: &str| number(text).map(PhysAddr).ok_or_else(|| format!("--raw-base {text}: expected an address"));
    text.map(parse).transpose()
}

/// A number of KiB, in bytes.
fn kib(option: &str, text: &str) -> Result<u64, String> {
    let bytes = number(text).filter(|kib| *kib > 0).and_then(|kib| kib.checked_mul(1024));
    bytes.ok_or_else(|| format!("{option} {text}: expected a number of KiB"))
}

/// A number of bytes, or with K, M, G or T behind it of units of 1024 times as many. Numbers too small to be meant as bytes are
/// refused: the kernel's own `crashkernel=` takes a suffix too, and somebody will forget it.
fn max_memory(text: &str) -> Result<u64, String> {
    let wrong = || format!("--max-memory {text}: expected a size such as 64M (K, M, G or T)");
    let shift = match text.chars().last().map(|c| c.to_ascii_uppercase()) {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { text.get(..text.len() - 1).unwrap_or_default() };
    let bytes = number(digits).and_then(|n| n.checked_mul(1 << shift)).ok_or_else(wrong)?;
    if bytes < 1 << 20 { Err(format!("{}; {bytes} bytes are not enough for anything", wrong())) } else { Ok(bytes) }
}

fn pfn_range(text: &str) -> Result<PfnRange, String> {
    let parse = || {
        let (start, end) = text.split_once("..")?;
        let start = if start.is_empty() { 0 } else { number(start)? };
        let end = if end.is_empty() { u64::MAX } else { number(end)? };
        (start < end).then(|| PfnRange::new(Pfn(start), Pfn(end)))
    };
    let range = parse().ok_or_else(|| format!("--pfn-range {text}: expected A..B, A below B"))?;
    // crash counts descriptors over 64-bit words of the bitmap that begin at the first page
    match range.start.0 % 64 {
        0 => Ok(range),
        _ => Err(format!("--pfn-range {text}: A is not a multiple of 64, which readers of split dumps rely on")),
    }
}

/// All CPUs that this process may use, unless a number was given. 0 is makedumpfile's word for no further threads. A number
/// far above the CPUs is somebody's broken arithmetic, which shall not cost the dump: it is lowered.
fn threads(given: Option<&str>, messages: Messages) -> Result<usize, String> {
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
    use crate::args::{Parsed, parse};

    fn plan(line: &str) -> Result<Plan, String> {
        match parse(format!("gdump {line}").split(' ').map(std::ffi::OsString::from))? {
            Parsed::Run(args) => Plan::new(&args),
            Parsed::Look(verb, args) => Plan::look(verb, &args),
            _ => Err("help".to_owned()),
        }
    }

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
        let quiet = Messages::new(0, false);
        assert_eq!(threads(Some("0"), quiet), Ok(1));
        assert_eq!(threads(Some("-5"), quiet), Ok(1));
        assert_eq!(threads(Some("8"), quiet), Ok(8));
        assert!(threads(Some("5223023572093018873"), quiet).unwrap() >= 16);
        assert!(threads(Some("many"), quiet).is_err());
    }

    #[test]
    fn memory_sizes() {
        for (text, bytes) in
            [("64M", 64 << 20), ("64m", 64 << 20), ("1G", 1 << 30), ("2T", 2 << 40), ("20480K", 20 << 20)]
        {
            assert_eq!(max_memory(text), Ok(bytes));
        }
        assert_eq!(max_memory("67108864"), Ok(64 << 20));
        for bad in ["", "M", "64", "64X", "-1M", "64MB", "99999999999T", "1 G"] {
            assert!(max_memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_by_mode() {
        let files = |line: &str| match plan(line) {
            Ok(Plan::Convert(c)) => (c.inputs.paths.len(), c.outputs.len()),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(files("a b"), (1, 1));
        assert_eq!(files("p1 p2 p3 out"), (3, 1));
        assert_eq!(files("--split a b c"), (1, 2));
        assert_eq!(files("--reassemble p1 p2 out"), (2, 1));
        assert_eq!(files("-F a"), (1, 0));
        assert!(matches!(plan("-R out"), Ok(Plan::Rearrange(Rearrangement { input: None, .. }))));
        assert!(matches!(plan("-R in out"), Ok(Plan::Rearrange(Rearrangement { input: Some(_), .. }))));
        assert!(matches!(plan("diff a b"), Ok(Plan::Look(_))));
    }

    #[test]
    fn what_does_not_go_together() {
        for line in [
            "a",
            "-F",
            "--split a b",
            "-R a b c",
            "-R -c a",
            "-R -d 1 a",
            "-F --split a b c",
            "-E -c a b",
            "--format raw -l a b",
            "-E --format raw a b",
            "--format zip a b",
            "-E --split a b c",
            "--pfn-range 0..64 --split a b c",
            "--pfn-range 1..64 a b",
            "--pfn-range 64..64 a b",
            "--splitblock-size 0 a b",
            "--cyclic-buffer 0 a b",
            "--max-memory 64 a b",
            "--raw-base x a b",
            "diff a",
            "info",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
        assert!(plan("--pfn-range 64.. a b").is_ok());
    }
}
