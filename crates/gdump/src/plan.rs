//! What the command line asks for, checked as a whole.

use crate::args::{CheckArgs, Codec, ConvertArgs, DiffArgs, DmesgArgs, InfoArgs, RepairArgs, Threads, Verb};
use crate::messages::{MessageLevel, Messages, Voice};
use crate::stdout;
use dump::{
    Abilities, CodecId, DumpLevel, Error, Format, KernelFiles, LogOptions, OpenOptions, Opening, PfnRange, PhysAddr,
    VirtAddr,
};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Debug)]
pub enum Plan {
    /// Write a dump.
    Convert(Box<Conversion>),
    /// Turn a flattened dump into a regular one.
    Rearrange(Rearrangement),
    /// Write the log of the dumped kernel.
    Dmesg(DmesgPlan),
    /// To write a text of vmcoreinfo.
    Generate(GeneratePlan),
    /// Show what a dump is.
    Info(InfoPlan),
    /// Look for damage.
    Check(CheckPlan),
    /// Compare two dumps.
    Diff(DiffPlan),
    /// Save what is certain of a damaged dump.
    Repair(RepairPlan),
}

/// A dump to read.
#[derive(Debug)]
pub struct Inputs {
    /// A dump, or the parts of one.
    pub paths: Vec<PathBuf>,
    /// The physical address of the first byte of a file that has no headers.
    pub raw_base: Option<PhysAddr>,
    /// Whether `/proc/vmcore` may be mapped.
    pub mapped: bool,
    /// How long a compressed file may be when it is unpacked (bytes); `None` for as long as there is room.
    pub max_unpacked: Option<u64>,
    /// Files of its kernel.
    pub kernel: KernelPaths,
}

/// Files of the dumped kernel, which say what the dump does not.
#[derive(Clone, Debug, Default)]
pub struct KernelPaths {
    /// Its ELF file.
    pub vmlinux: Option<PathBuf>,
    /// A text of its vmcoreinfo.
    pub vmcoreinfo: Option<PathBuf>,
}

impl KernelPaths {
    fn of(args: &ConvertArgs) -> KernelPaths {
        KernelPaths { vmlinux: args.vmlinux.clone(), vmcoreinfo: args.vmcoreinfo.clone() }
    }

    /// Opens them.
    ///
    /// # Errors
    /// If one cannot be read, or is none.
    pub fn open(&self) -> Result<KernelFiles, Error> {
        KernelFiles::open(self.vmlinux.as_deref(), self.vmcoreinfo.as_deref())
    }
}

impl Inputs {
    fn to_look_at(paths: Vec<PathBuf>, raw_base: Option<PhysAddr>, max_unpacked: Option<u64>) -> Inputs {
        Inputs { paths, raw_base, mapped: true, max_unpacked, kernel: KernelPaths::default() }
    }

    /// All files to read.
    fn files(&self) -> Vec<PathBuf> {
        let KernelPaths { vmlinux, vmcoreinfo } = &self.kernel;
        self.paths.iter().chain(vmlinux).chain(vmcoreinfo).cloned().collect()
    }

    /// How they are opened.
    pub fn opening(&self) -> Opening {
        Opening {
            options: OpenOptions { raw_base: self.raw_base },
            mapped: self.mapped,
            max_unpacked: self.max_unpacked,
            salvage: false,
        }
    }
}

/// From dump to dump.
#[derive(Debug)]
pub struct Conversion {
    /// The dump to read.
    pub inputs: Inputs,
    /// The files to write: one, the parts of a split dump, or none for a stream to stdout.
    pub outputs: Vec<PathBuf>,
    /// The format of the output.
    pub format: &'static Format,
    /// How pages are compressed.
    pub compression: Compression,
    /// Whether the input must be all parts of a split dump.
    pub reassemble: bool,
    /// Dump levels in the order in which they are tried; at least one.
    pub levels: Vec<DumpLevel>,
    /// Whether pages of the vmemmap that hold struct pages of excluded pages alone are excluded, too.
    pub exclude_vmemmap: bool,
    /// Boundaries between parts are multiples of it (bytes of memory).
    pub split_block: u64,
    /// The one part to write.
    pub pfn_range: Option<PfnRange>,
    /// Whether an existing output is overwritten.
    pub force: bool,
    /// Whether an output appears under its name only when it is whole.
    pub atomic: bool,
    /// Whether nothing waits until the output is stored.
    pub unsynced: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Whether pages are only counted.
    pub mem_usage: bool,
    /// Bytes to write to each output at most.
    pub limit: Option<u64>,
    /// The kernel virtual address to translate first.
    pub vtop: Option<VirtAddr>,
    /// Whether checksums are written beside the outputs.
    pub checksum: bool,
    /// Whether a class of pages that cannot be identified is an error.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
    /// Memory to use at most (bytes); `None` for what the machine can spare.
    pub max_memory: Option<u64>,
    /// Bitmap to hold at most (bytes).
    pub bitmap_bytes: Option<u64>,
    /// What is to be said of the options.
    pub remarks: Vec<String>,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

/// How the pages of an output are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// With this codec.
    Codec(CodecId),
    /// With the codec of the input.
    AsInput,
}

impl Compression {
    /// The codec, where the input has `input`.
    pub fn codec(self, input: Option<CodecId>) -> Option<CodecId> {
        match self {
            Compression::None => None,
            Compression::Codec(codec) => Some(codec),
            Compression::AsInput => input,
        }
    }
}

/// From a flattened dump to a regular one.
#[derive(Debug)]
pub struct Rearrangement {
    /// The flattened dump; `None` is stdin.
    pub input: Option<PathBuf>,
    /// The file to write.
    pub output: PathBuf,
    /// Whether it is overwritten.
    pub force: bool,
    /// Whether it appears under its name only when it is whole.
    pub atomic: bool,
    /// Whether nothing waits until it is stored.
    pub unsynced: bool,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

/// A log to write.
#[derive(Debug)]
pub struct DmesgPlan {
    /// The dump.
    pub inputs: Inputs,
    /// Where the log goes.
    pub target: LogTarget,
    /// What is wanted of it.
    pub log: LogOptions,
    /// How long it may be (bytes).
    pub limit: Option<u64>,
    /// Whether an existing file is overwritten.
    pub force: bool,
    /// Whether nothing waits until it is stored.
    pub unsynced: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

/// A text of vmcoreinfo from a kernel's ELF file.
#[derive(Debug)]
pub struct GeneratePlan {
    /// The kernel's ELF file.
    pub vmlinux: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

/// Where a log goes.
#[derive(Debug)]
pub enum LogTarget {
    /// To a file.
    File(PathBuf),
    /// To stdout, all of it, as it would be in a file.
    Stream,
    /// To stdout, for people, as far as they read it.
    Reader,
}

impl LogTarget {
    /// A terminal's reader is a person.
    fn of_stdout() -> LogTarget {
        if std::io::stdout().is_terminal() { LogTarget::Reader } else { LogTarget::Stream }
    }
}

/// What to show of a dump.
#[derive(Debug)]
pub struct InfoPlan {
    /// The dump.
    pub inputs: Inputs,
    /// Whether it is shown as JSON.
    pub json: bool,
}

/// What to check.
#[derive(Debug)]
pub struct CheckPlan {
    /// The dump.
    pub inputs: Inputs,
    /// Whether it is shown as JSON.
    pub json: bool,
    /// Worker threads.
    pub threads: usize,
}

/// What to compare.
#[derive(Debug)]
pub struct DiffPlan {
    /// A dump.
    pub left: Inputs,
    /// The other.
    pub right: Inputs,
    /// Whether a page that only one dump holds is a difference.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
}

/// What to save.
#[derive(Debug)]
pub struct RepairPlan {
    /// The damaged dump.
    pub inputs: Inputs,
    /// The file to write.
    pub output: PathBuf,
    /// Whether it is overwritten.
    pub force: bool,
    /// Worker threads.
    pub threads: usize,
}

/// Fine enough for parts of about the same size, coarse enough for few boundaries: 16 MiB. makedumpfile has a GiB.
const SPLIT_BLOCK: u64 = 16 << 20;

impl Plan {
    /// What options without a verb ask for.
    ///
    /// # Errors
    /// One line, if they contradict each other or file names are missing.
    pub fn new(args: &ConvertArgs, voice: Voice) -> Result<Plan, String> {
        check_modes(args)?;
        if let Some(reason) = args.refused() {
            return Err(reason.to_owned());
        }
        match args {
            ConvertArgs { generate: Some(output), .. } => generation(args, output, voice).map(Plan::Generate),
            _ if args.rearrange => rearrangement(args, voice).map(Plan::Rearrange),
            _ if args.dump_dmesg => dmesg(args, voice).map(Plan::Dmesg),
            _ if args.partial_dmesg => Err("--partial-dmesg goes with --dump-dmesg".to_owned()),
            _ => conversion(args, voice),
        }
    }

    /// The dumps to read.
    pub fn inputs(&self) -> Vec<PathBuf> {
        match self {
            Plan::Convert(plan) => plan.inputs.files(),
            Plan::Rearrange(plan) => vec![plan.input.clone().unwrap_or(PathBuf::from(STDIO))],
            Plan::Dmesg(plan) => plan.inputs.files(),
            Plan::Generate(plan) => vec![plan.vmlinux.clone()],
            Plan::Info(plan) => plan.inputs.paths.clone(),
            Plan::Check(plan) => plan.inputs.paths.clone(),
            Plan::Diff(plan) => [&plan.left.paths[..], &plan.right.paths].concat(),
            Plan::Repair(plan) => plan.inputs.paths.clone(),
        }
    }

    /// The kernel's ELF file to read.
    pub fn vmlinux(&self) -> Option<&Path> {
        match self {
            Plan::Convert(plan) => plan.inputs.kernel.vmlinux.as_deref(),
            Plan::Dmesg(plan) => plan.inputs.kernel.vmlinux.as_deref(),
            Plan::Generate(plan) => Some(&plan.vmlinux),
            _ => None,
        }
    }

    /// The files to write.
    pub fn outputs(&self) -> Vec<PathBuf> {
        match self {
            Plan::Convert(plan) if plan.dry_run => Vec::new(),
            Plan::Convert(plan) => plan.outputs.clone(),
            Plan::Rearrange(plan) => vec![plan.output.clone()],
            Plan::Repair(plan) => vec![plan.output.clone()],
            Plan::Dmesg(DmesgPlan { target: LogTarget::File(path), dry_run: false, .. }) => vec![path.clone()],
            Plan::Generate(plan) => vec![plan.output.clone()],
            Plan::Dmesg(_) | Plan::Info(_) | Plan::Check(_) | Plan::Diff(_) => Vec::new(),
        }
    }

    /// Whether a dump, or a whole log, goes to stdout.
    pub fn streams(&self) -> bool {
        match self {
            Plan::Convert(plan) => plan.to_stdout() && !plan.dry_run,
            Plan::Dmesg(plan) => matches!(plan.target, LogTarget::Stream) && !plan.dry_run,
            _ => false,
        }
    }

    /// Which messages are printed, and where.
    pub fn messages(&self) -> Messages {
        match self {
            Plan::Convert(plan) => plan.messages,
            Plan::Rearrange(plan) => plan.messages,
            Plan::Dmesg(plan) => plan.messages,
            Plan::Generate(plan) => plan.messages,
            Plan::Info(_) | Plan::Check(_) | Plan::Diff(_) | Plan::Repair(_) => Messages::default(),
        }
    }
}

impl From<Verb> for Plan {
    fn from(verb: Verb) -> Plan {
        match verb {
            Verb::Info(args) => Plan::Info(InfoPlan::from(args)),
            Verb::Check(args) => Plan::Check(CheckPlan::from(args)),
            Verb::Diff(args) => Plan::Diff(DiffPlan::from(args)),
            Verb::Dmesg(args) => Plan::Dmesg(DmesgPlan::from(args)),
            Verb::Repair(args) => Plan::Repair(RepairPlan::from(args)),
        }
    }
}

impl From<InfoArgs> for InfoPlan {
    fn from(args: InfoArgs) -> InfoPlan {
        InfoPlan { inputs: Inputs::to_look_at(args.files, args.raw_base, args.max_unpacked), json: args.json }
    }
}

impl From<CheckArgs> for CheckPlan {
    fn from(args: CheckArgs) -> CheckPlan {
        let threads = threads_of_verb(args.num_threads);
        let inputs = Inputs::to_look_at(args.files, args.raw_base, args.max_unpacked);
        CheckPlan { inputs, json: args.json, threads }
    }
}

impl From<DiffArgs> for DiffPlan {
    fn from(args: DiffArgs) -> DiffPlan {
        let inputs = |path| Inputs::to_look_at(vec![path], args.raw_base, args.max_unpacked);
        let threads = threads_of_verb(args.num_threads);
        DiffPlan { left: inputs(args.left), right: inputs(args.right), strict: args.strict, threads }
    }
}

impl From<DmesgArgs> for DmesgPlan {
    fn from(args: DmesgArgs) -> DmesgPlan {
        DmesgPlan {
            inputs: Inputs::to_look_at(args.files, args.raw_base, args.max_unpacked),
            target: LogTarget::Reader,
            log: LogOptions { partial: args.partial, callers: args.callers },
            limit: None,
            force: false,
            unsynced: true,
            dry_run: false,
            messages: Messages::new(MessageLevel::default(), true),
        }
    }
}

impl From<RepairArgs> for RepairPlan {
    fn from(args: RepairArgs) -> RepairPlan {
        let threads = threads_of_verb(args.num_threads);
        let inputs = Inputs { mapped: false, ..Inputs::to_look_at(args.inputs, None, args.max_unpacked) };
        RepairPlan { inputs, output: args.output, force: args.force, threads }
    }
}

impl Conversion {
    /// Whether the dump goes to stdout.
    pub fn to_stdout(&self) -> bool {
        self.outputs.is_empty()
    }

    fn can(&self, ability: Abilities) -> bool {
        self.format.abilities().contains(ability)
    }

    fn check(&self) -> Result<(), String> {
        let name = self.format.name;
        if !self.can(Abilities::COMPRESSES) && matches!(self.compression, Compression::Codec(_)) {
            let options = "-c, -l, -p, -z and --codec";
            return Err(format!("{name} dumps have no compressed pages: {options} cannot be combined with them"));
        }
        if !self.can(Abilities::SPLITS) && (self.outputs.len() > 1 || self.pfn_range.is_some()) {
            return Err(format!("{name} dumps cannot be split"));
        }
        if self.checksum && self.to_stdout() {
            return Err("--checksum writes a file beside the output and cannot be combined with -F".to_owned());
        }
        if self.atomic && self.to_stdout() {
            return Err("--atomic names a file when it is whole and cannot be combined with -F".to_owned());
        }
        if self.pfn_range.is_some() && self.outputs.len() > 1 {
            return Err("--pfn-range writes one part and cannot be combined with --split".to_owned());
        }
        Ok(())
    }
}

/// Of the modes, only `-F` can be combined, with `--reassemble` or `--dump-dmesg`.
fn check_modes(args: &ConvertArgs) -> Result<(), String> {
    let modes = [
        (args.rearrange, "-R"),
        (args.reassemble, "--reassemble"),
        (args.split, "--split"),
        (args.dump_dmesg, "--dump-dmesg"),
        (args.flattened, "-F"),
        (args.mem_usage, "--mem-usage"),
    ];
    let given: Vec<&str> = modes.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
    match given.as_slice() {
        [] | [_] | ["--reassemble" | "--dump-dmesg", "-F"] => Ok(()),
        _ => Err(format!("{} cannot be combined", given.join(" and "))),
    }
}

fn conversion(args: &ConvertArgs, voice: Voice) -> Result<Plan, String> {
    let (inputs, outputs) = files(args)?;
    let messages = Messages::new(args.messages(), args.flattened || stdout::is_one_of(&outputs)).with(voice);
    let (threads, lowered) = threads(args.num_threads);
    let effectless = args.without_effect().map(|name| format!("{name}: no effect on a dump without Xen"));
    let conversion = Conversion {
        inputs: Inputs {
            paths: inputs,
            raw_base: args.raw_base,
            mapped: !args.non_mmap,
            max_unpacked: args.max_unpacked,
            kernel: KernelPaths::of(args),
        },
        outputs,
        format: format(args)?,
        compression: compression(args),
        reassemble: args.reassemble,
        levels: if args.mem_usage { vec![DumpLevel::all()] } else { args.levels.0.clone() },
        exclude_vmemmap: args.exclude_vmemmap && !args.mem_usage,
        split_block: args.splitblock_size.filter(|bytes| *bytes > 0).unwrap_or(SPLIT_BLOCK),
        pfn_range: args.pfn_range,
        force: args.force,
        atomic: args.atomic,
        unsynced: args.no_sync,
        dry_run: args.dry_run || args.mem_usage,
        mem_usage: args.mem_usage,
        limit: args.limit,
        vtop: args.vtop,
        checksum: args.checksum,
        strict: args.strict,
        threads,
        remarks: effectless.chain(lowered).collect(),
        max_memory: args.max_memory,
        bitmap_bytes: args.cyclic_buffer.filter(|bytes| *bytes > 0),
        messages,
    };
    if conversion.outputs.iter().any(|path| is_stdin(path)) {
        return Err("-F writes a dump to stdout".to_owned());
    }
    conversion.check().map(|()| Plan::Convert(Box::new(conversion)))
}

/// What stands for stdin or stdout.
const STDIO: &str = "-";

/// Whether `path` stands for stdin.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIO
}

/// Inputs and outputs.
fn files(args: &ConvertArgs) -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    let found = args.files.len();
    match args.files.as_slice() {
        [input, outputs @ ..] if args.split && outputs.len() > 1 => Ok((vec![input.clone()], outputs.to_vec())),
        _ if args.split => Err(format!("--split: expected file names VMCORE and 2 or more DUMPFILEs, found {found}")),
        [inputs @ .., last] if args.flattened && !inputs.is_empty() && last.as_os_str() == STDIO => {
            Ok((inputs.to_vec(), Vec::new()))
        }
        inputs @ [_, ..] if args.flattened => Ok((inputs.to_vec(), Vec::new())),
        inputs @ [_, ..] if args.mem_usage => Ok((inputs.to_vec(), Vec::new())),
        _ if args.mem_usage => Err("--mem-usage: expected file name VMCORE, found none".to_owned()),
        _ if args.flattened => Err("-F: expected file name VMCORE, found none".to_owned()),
        [inputs @ .., output] if !inputs.is_empty() => Ok((inputs.to_vec(), vec![output.clone()])),
        _ => Err(format!("expected file names VMCORE and DUMPFILE, found {found}")),
    }
}

fn generation(args: &ConvertArgs, output: &Path, voice: Voice) -> Result<GeneratePlan, String> {
    let vmlinux = args.vmlinux.clone().ok_or("-g needs a VMLINUX, given with -x")?;
    let refused = args.rearrange || args.flattened || args.reassemble || args.split || args.vmcoreinfo.is_some();
    if refused || args.codec().is_some() || args.elf || args.levels.0 != [DumpLevel::default()] || args.dry_run {
        return Err("-g makes no dump and cannot be combined with options of dumps".to_owned());
    }
    if !args.files.is_empty() {
        return Err(format!("-g: expected no other file names, found {}", args.files.len()));
    }
    let messages = Messages::new(args.messages(), false).with(voice);
    Ok(GeneratePlan { vmlinux, output: output.to_owned(), messages })
}

fn rearrangement(args: &ConvertArgs, voice: Voice) -> Result<Rearrangement, String> {
    let (input, output) = match args.files.as_slice() {
        [output] => (None, output),
        [input, output] => (Some(input.clone()), output),
        files => return Err(format!("-R: expected file names [FILE] DUMPFILE, found {}", files.len())),
    };
    if args.codec().is_some() || args.elf || args.format.is_some() || args.levels.0 != [DumpLevel::default()] {
        let others = "-c, -l, -p, -z, --codec, -E, --format or -d";
        return Err(format!("-R changes no page of a dump and cannot be combined with {others}"));
    }
    // what it would leave undone or do otherwise than asked; the rest (threads, memory) is about how, not what
    let unheeded = [
        (args.dry_run, "--dry-run"),
        (args.checksum, "--checksum"),
        (args.pfn_range.is_some(), "--pfn-range"),
        (args.raw_base.is_some(), "--raw-base"),
        (args.max_unpacked.is_some(), "--max-unpacked"),
        (args.strict, "--strict"),
        (args.limit.is_some(), "-L"),
        (args.vtop.is_some(), "--vtop"),
    ];
    if let Some((_, name)) = unheeded.into_iter().find(|(given, _)| *given) {
        return Err(format!("-R and {name} cannot be combined"));
    }
    let input = input.filter(|path| !is_stdin(path));
    let messages = Messages::new(args.messages(), stdout::is_one_of(std::slice::from_ref(output))).with(voice);
    let (force, atomic, unsynced) = (args.force, args.atomic, args.no_sync);
    Ok(Rearrangement { input, output: output.clone(), force, atomic, unsynced, messages })
}

fn dmesg(args: &ConvertArgs, voice: Voice) -> Result<DmesgPlan, String> {
    let (paths, outputs) = files(args)?;
    if outputs.iter().any(|path| is_stdin(path)) {
        return Err("-F writes the log to stdout".to_owned());
    }
    let streams = args.flattened || stdout::is_one_of(&outputs);
    Ok(DmesgPlan {
        inputs: Inputs {
            paths,
            raw_base: args.raw_base,
            mapped: !args.non_mmap,
            max_unpacked: args.max_unpacked,
            kernel: KernelPaths::of(args),
        },
        target: outputs.into_iter().next().map_or_else(LogTarget::of_stdout, LogTarget::File),
        // makedumpfile names callers wherever vmcoreinfo says where they are
        log: LogOptions { partial: args.partial_dmesg, callers: true },
        limit: args.limit,
        force: args.force,
        unsynced: args.no_sync,
        dry_run: args.dry_run,
        messages: Messages::new(args.messages(), streams).with(voice),
    })
}

/// Name of the format without an option, and of the one that `-E` means.
const DEFAULT_FORMAT: &str = "kdump";
const E_FORMAT: &str = "elf";

fn format(args: &ConvertArgs) -> Result<&'static Format, String> {
    if args.elf && args.format.is_some_and(|format| format.name != E_FORMAT) {
        return Err("-E is --format elf and cannot be combined with another --format".to_owned());
    }
    let name = if args.elf { E_FORMAT } else { DEFAULT_FORMAT };
    let named = || dump::format(name).ok_or_else(|| format!("--format {name} is not in this build"));
    args.format.map_or_else(named, Ok)
}

fn compression(args: &ConvertArgs) -> Compression {
    match args.codec() {
        Some(Codec::Pages(codec)) => Compression::Codec(codec),
        None if args.reassemble => Compression::AsInput,
        Some(Codec::None) | None => Compression::None,
    }
}

/// Worker threads: as asked for, or as many as there are CPUs that this process may use; and that they are fewer than
/// asked for, if they are.
fn threads(asked: Option<Threads>) -> (usize, Option<String>) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = asked.map_or(cpus, |asked| asked.on(cpus));
    let exceeding = asked.filter(|asked| asked.exceed(threads));
    let lowered = |asked| format!("--num-threads {asked}: too many for {cpus} CPUs, using {threads}");
    (threads, exceeding.map(lowered))
}

/// The same for a verb, said at once.
fn threads_of_verb(asked: Option<Threads>) -> usize {
    let (threads, lowered) = threads(asked);
    lowered.iter().for_each(|text| Messages::default().warning(text));
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(name: &str) -> CodecId {
        dump::codec(name).unwrap()
    }
    use crate::args::{Parsed, parse};

    fn plan(line: &str) -> Result<Plan, String> {
        match parse(format!("gdump {line}").split(' ').map(std::ffi::OsString::from))? {
            Parsed::Convert { args, .. } => Plan::new(&args, Voice::Gdump),
            Parsed::Verb { verb, .. } => Ok(Plan::from(verb)),
            _ => Err("help".to_owned()),
        }
    }

    fn conversion(line: &str) -> Conversion {
        match plan(line) {
            Ok(Plan::Convert(conversion)) => *conversion,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn files_by_mode() {
        for (line, inputs, outputs) in [
            ("a b", 1, 1),
            ("p1 p2 p3 out", 3, 1),
            ("--split a b c", 1, 2),
            ("--reassemble p1 p2 out", 2, 1),
            ("-F a", 1, 0),
            ("--reassemble -F p1 p2", 2, 0),
        ] {
            let plan = conversion(line);
            assert_eq!((plan.inputs.paths.len(), plan.outputs.len()), (inputs, outputs), "{line}");
        }
        assert!(matches!(plan("-R out"), Ok(Plan::Rearrange(Rearrangement { input: None, .. }))));
        assert!(matches!(plan("-R - out"), Ok(Plan::Rearrange(Rearrangement { input: None, .. }))));
        assert!(matches!(plan("-R -d 0 in out"), Ok(Plan::Rearrange(Rearrangement { input: Some(_), .. }))));
        assert!(matches!(plan("diff a b"), Ok(Plan::Diff(_))));
        let target = |line| match plan(line) {
            Ok(Plan::Dmesg(plan)) => plan.target,
            other => panic!("{line}: {other:?}"),
        };
        assert!(matches!(target("--dump-dmesg -c -d 31 a b"), LogTarget::File(path) if path.as_os_str() == "b"));
        assert!(!matches!(target("-F --partial-dmesg --dump-dmesg a"), LogTarget::File(_)));
        assert!(matches!(target("dmesg a"), LogTarget::Reader));
    }

    #[test]
    fn compression_by_options() {
        for (line, compression) in [
            ("a b", Compression::None),
            ("-c a b", Compression::Codec(codec("zlib"))),
            ("--codec zstd a b", Compression::Codec(codec("zstd"))),
            ("--codec none a b", Compression::None),
            ("-E --codec none a b", Compression::None),
            ("--reassemble a b", Compression::AsInput),
            ("--reassemble -l a b", Compression::Codec(codec("lzo"))),
            ("--reassemble --codec none a b", Compression::None),
        ] {
            assert_eq!(conversion(line).compression, compression, "{line}");
        }
        assert_eq!(Compression::AsInput.codec(Some(codec("lzo"))), Some(codec("lzo")));
        assert_eq!(Compression::None.codec(Some(codec("lzo"))), None);
        assert_eq!(Compression::Codec(codec("zlib")).codec(Some(codec("lzo"))), Some(codec("zlib")));
    }

    #[test]
    fn formats_by_options() {
        for (line, expected) in [
            ("a b", "kdump"),
            ("-E a b", "elf"),
            ("-E --format elf a b", "elf"),
            ("--format raw --format lime a b", "lime"),
        ] {
            assert_eq!(conversion(line).format.name, expected, "{line}");
        }
    }

    #[test]
    fn what_is_refused() {
        for line in [
            "a",
            "-F",
            "--split a b",
            "-R a b c",
            "-R -c a",
            "-R --codec none a",
            "-R -d 1 a",
            "-F --split a b c",
            "-R -F a",
            "-R --dry-run a",
            "-R -f --checksum a",
            "-R --pfn-range 0..64 a",
            "-R --raw-base 0 a",
            "-R --max-unpacked 1G a",
            "-R --strict a",
            "-F --atomic a",
            "-E -c a b",
            "-E --codec lzo a b",
            "--format raw -l a b",
            "-E --format raw a b",
            "--format zip a b",
            "-E --split a b c",
            "--pfn-range 0..64 --split a b c",
            "--pfn-range 0..64 -E a b",
            "--pfn-range 1..64 a b",
            "--pfn-range 64..64 a b",
            "--splitblock-size -1 a b",
            "--cyclic-buffer 1x a b",
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
