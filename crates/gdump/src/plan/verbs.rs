//! What verbs do: they look at dumps, or save what is left of one.

use super::inputs::Inputs;
use super::threads::threads_of_verb;
use crate::args::{CheckArgs, DiffArgs, InfoArgs, RawArgs, RepairArgs};
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

impl From<DiffArgs> for DiffPlan {
    fn from(args: DiffArgs) -> DiffPlan {
        // one map for both, or one for each
        let raw = |side: usize| match args.raw.map.as_slice() {
            [_, _, ..] => RawArgs { map: args.raw.map.get(side).cloned().into_iter().collect(), base: None },
            _ => args.raw.clone(),
        };
        let inputs = |side, path| Inputs::to_look_at(vec![path], &raw(side), args.max_unpacked);
        let threads = threads_of_verb(args.num_threads);
        DiffPlan { left: inputs(0, args.left), right: inputs(1, args.right), strict: args.strict, threads }
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
