//! What verbs do: they look at dumps, or save what is left of one.

use super::inputs::{Inputs, KernelPaths};
use super::threads::threads_of_verb;
use crate::args::{CheckArgs, DiffArgs, EstimateArgs, InfoArgs, RawArgs, RepairArgs};
use dump::DumpLevel;
use std::path::PathBuf;

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

/// What to estimate.
#[derive(Debug)]
pub struct EstimatePlan {
    /// The dump.
    pub inputs: Inputs,
    /// The dump levels to show.
    pub levels: Vec<DumpLevel>,
    /// What a dump is to fit into.
    pub room: Option<Room>,
    /// Whether it is shown as JSON.
    pub json: bool,
    /// Memory that the work may take (bytes).
    pub max_memory: Option<u64>,
    /// Worker threads.
    pub threads: usize,
}

/// What a dump is to fit into.
#[derive(Debug)]
pub enum Room {
    /// So many bytes.
    Bytes(u64),
    /// What is free where this is.
    At(PathBuf),
}

/// The dump levels that are shown: each class alone, and what is most often chosen.
const USUAL_LEVELS: [u32; 11] = [0, 1, 2, 4, 8, 16, 17, 23, 27, 30, 31];

/// What to compare.
#[derive(Debug)]
pub struct DiffPlan {
    /// A dump.
    pub left: Inputs,
    /// The other.
    pub right: Inputs,
    /// Whether a page that only one dump holds is a difference.
    pub strict: bool,
    /// Whether JSON is printed.
    pub json: bool,
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

impl From<InfoArgs> for InfoPlan {
    fn from(args: InfoArgs) -> InfoPlan {
        let inputs = Inputs::to_look_at(args.files, &args.raw, args.max_unpacked);
        InfoPlan { inputs: Inputs { qvm_env: args.qvm_env, ..inputs }, json: args.json }
    }
}

impl From<CheckArgs> for CheckPlan {
    fn from(args: CheckArgs) -> CheckPlan {
        let threads = threads_of_verb(args.num_threads);
        let inputs = Inputs::to_look_at(args.files, &args.raw, args.max_unpacked);
        CheckPlan { inputs, json: args.json, threads }
    }
}

impl From<EstimateArgs> for EstimatePlan {
    fn from(args: EstimateArgs) -> EstimatePlan {
        let kernel = KernelPaths { vmlinux: args.vmlinux, vmcoreinfo: args.vmcoreinfo, ..KernelPaths::default() };
        let usual = || USUAL_LEVELS.into_iter().filter_map(DumpLevel::new).collect();
        let all = || (0..32).filter_map(DumpLevel::new).collect();
        let unasked = || if args.json { all() } else { usual() };
        EstimatePlan {
            levels: args.levels.map_or_else(unasked, |levels| levels.0),
            room: args.free.map(Room::Bytes).or(args.path.map(Room::At)),
            inputs: Inputs { kernel, ..Inputs::to_look_at(args.files, &args.raw, args.max_unpacked) },
            json: args.json,
            max_memory: args.max_memory,
            threads: threads_of_verb(args.num_threads),
        }
    }
}

impl From<DiffArgs> for DiffPlan {
    fn from(args: DiffArgs) -> DiffPlan {
        // one map for both, or one for each
        let raw = |side: usize| match args.raw.map.as_slice() {
            [_, _, ..] => RawArgs { map: args.raw.map.get(side).cloned().into_iter().collect(), base: None },
            _ => args.raw.clone(),
        };
        let inputs = |side, path| Inputs::to_look_at(vec![path], &raw(side), args.max_unpacked);
        let threads = threads_of_verb(args.num_threads);
        DiffPlan {
            left: inputs(0, args.left),
            right: inputs(1, args.right),
            json: args.json,
            strict: args.strict,
            threads,
        }
    }
}

impl From<RepairArgs> for RepairPlan {
    fn from(args: RepairArgs) -> RepairPlan {
        let threads = threads_of_verb(args.num_threads);
        let inputs =
            Inputs { mapped: false, ..Inputs::to_look_at(args.inputs, &RawArgs::default(), args.max_unpacked) };
        RepairPlan { inputs, output: args.output, force: args.force, threads }
    }
}
