//! From dump to dump.

use super::Plan;
use super::files::{files, is_stdin};
use super::inputs::Inputs;
use super::output::Output;
use super::threads::threads;
use crate::args::{Codec, ConvertArgs, FormatName};
use crate::messages::{Messages, Voice};
use crate::stdout;
use dump::{Abilities, CodecId, DumpLevel, Format, PfnRange, VirtAddr};
use std::path::PathBuf;

/// From dump to dump.
#[derive(Debug)]
pub struct Conversion {
    /// The dump to read.
    pub inputs: Inputs,
    /// Where the dump goes.
    pub output: Output,
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
    /// Whether pages beyond the kernel's last section of memory are kept.
    pub keep_mmio: bool,
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

/// Fine enough for parts of about the same size, coarse enough for few boundaries: 16 MiB. makedumpfile has a GiB.
const SPLIT_BLOCK: u64 = 16 << 20;

impl Conversion {
    /// The files that are written under names that were given.
    pub fn written(&self) -> Vec<PathBuf> {
        if self.dry_run { Vec::new() } else { self.output.files().to_vec() }
    }

    /// The files to write that were named: one, or the parts of a split dump.
    pub fn outputs(&self) -> &[PathBuf] {
        self.output.files()
    }

    /// Whether the dump goes to stdout.
    pub fn to_stdout(&self) -> bool {
        self.output == Output::Stdout
    }

    /// Whether the dump goes to a command.
    pub fn goes_to_command(&self) -> bool {
        matches!(self.output, Output::Command { .. })
    }

    /// Whether the dump is written in the flattened form.
    pub fn is_flattened(&self) -> bool {
        match &self.output {
            Output::Stdout => true,
            Output::Command { flattened, .. } => *flattened || !self.can(Abilities::FORWARD),
            Output::Files(_) | Output::Directory(_) => false,
        }
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
        if !self.can(Abilities::SPLITS) && (self.outputs().len() > 1 || self.pfn_range.is_some()) {
            return Err(format!("{name} dumps cannot be split"));
        }
        let stream = if self.to_stdout() { "-F" } else { "a command (|)" };
        if self.checksum && self.output.is_stream() {
            return Err(format!("--checksum writes a file beside the output and cannot be combined with {stream}"));
        }
        if self.atomic && self.output.is_stream() {
            return Err(format!("--atomic names a file when it is whole and cannot be combined with {stream}"));
        }
        if self.reassemble && self.inputs.xen.is_wanted() {
            return Err("--reassemble joins parts as they are and cannot be combined with -X and --dom0".to_owned());
        }
        if self.pfn_range.is_some() && self.outputs().len() > 1 {
            return Err("--pfn-range writes one part and cannot be combined with --split".to_owned());
        }
        Ok(())
    }
}

pub(super) fn conversion(args: &ConvertArgs, voice: Voice) -> Result<Plan, String> {
    let commands = voice == Voice::Gdump;
    let (inputs, outputs) = files(args, commands)?;
    if outputs.iter().any(|path| is_stdin(path)) {
        return Err("-F writes a dump to stdout".to_owned());
    }
    let output = Output::of(outputs, args, commands)?;
    // what a command prints goes to stdout as well
    let is_taken = args.flattened || output.is_stream() || stdout::is_one_of(output.files());
    let messages = Messages::new(args.messages(), is_taken && !args.mem_usage || args.flattened).with(voice);
    let (threads, lowered) = threads(args.num_threads);
    let conversion = Conversion {
        inputs: Inputs::of(inputs, args),
        output,
        format: format(args)?,
        compression: compression(args),
        reassemble: args.reassemble,
        levels: if args.mem_usage { vec![DumpLevel::all()] } else { args.levels.0.clone() },
        exclude_vmemmap: args.exclude_vmemmap && !args.mem_usage,
        keep_mmio: args.keep_mmio || args.reassemble,
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
        remarks: lowered.into_iter().collect(),
        max_memory: args.max_memory,
        bitmap_bytes: args.cyclic_buffer.filter(|bytes| *bytes > 0),
        messages,
    };
    conversion.check().map(|()| Plan::Convert(Box::new(conversion)))
}

/// Name of the format without an option, and of the one that `-E` means.
const DEFAULT_FORMAT: &str = "kdump";
const E_FORMAT: &str = "elf";

fn format(args: &ConvertArgs) -> Result<&'static Format, String> {
    let given = match args.format {
        Some(FormatName::Guest(format)) => {
            return Err(format!("--format {} is one of QEMU's own: gdump capture --via dump", format.name));
        }
        Some(FormatName::Ours(format)) => Some(format),
        None => None,
    };
    if args.elf && given.is_some_and(|format| format.name != E_FORMAT) {
        return Err("-E is --format elf and cannot be combined with another --format".to_owned());
    }
    let name = if args.elf { E_FORMAT } else { DEFAULT_FORMAT };
    let named = || dump::format(name).ok_or_else(|| format!("--format {name} is not in this build"));
    given.map_or_else(named, Ok)
}

fn compression(args: &ConvertArgs) -> Compression {
    match args.codec() {
        Some(Codec::Pages(codec)) => Compression::Codec(codec),
        None if args.reassemble => Compression::AsInput,
        Some(Codec::None) | None => Compression::None,
    }
}
