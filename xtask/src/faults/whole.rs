//! What commands do undisturbed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use super::command::Command;
use super::stage::Stage;
use super::trial::Trial;

/// What a command does undisturbed.
pub struct Whole {
    /// Its outputs by name; several sets if it may choose.
    pub sets: Vec<BTreeMap<String, PathBuf>>,
    /// How long it takes.
    pub took: Duration,
    /// Whether it succeeds.
    pub success: bool,
}

impl Whole {
    /// Bytes of the outputs of a set.
    pub fn len(&self, set: usize) -> u64 {
        self.sum(set, |meta| meta.len())
    }

    /// Bytes that the outputs of a set take of their file system, which is less where they have holes.
    pub fn room(&self, set: usize) -> u64 {
        self.sum(set, |meta| meta.blocks() * 512)
    }

    fn sum(&self, set: usize, bytes: fn(&Metadata) -> u64) -> u64 {
        let of = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| bytes(&meta));
        self.sets.get(set).map_or(0, |set| set.values().map(of).sum())
    }
}

/// What all commands do undisturbed, by line.
pub struct Wholes(HashMap<&'static str, Whole>);

impl Wholes {
    /// Runs `commands` in `stage`; what they write is kept in `dir`.
    pub fn of(commands: &[&'static Command], stage: &Stage, dir: &Path) -> Result<Wholes> {
        let mut all = HashMap::new();
        for command in commands {
            if all.contains_key(command.line) {
                continue;
            }
            let mut sets = Vec::new();
            let steps: Vec<Command> = command.ladder.iter().map(|line| Command { line, ladder: &[] }).collect();
            for step in steps {
                // a command lives as long as the program; there are few
                let (set, ..) = one(Box::leak(Box::new(step)), stage, &dir.join(format!("{}", all.len())), sets.len())?;
                sets.push(set);
            }
            let (set, took, success) = one(command, stage, &dir.join(format!("{}", all.len())), sets.len())?;
            if sets.is_empty() {
                sets.push(set);
            }
            all.insert(command.line, Whole { sets, took, success });
        }
        Ok(Wholes(all))
    }

    /// What `command` does undisturbed.
    pub fn get(&self, command: &Command) -> Result<&Whole> {
        self.0.get(command.line).ok_or_else(|| anyhow::anyhow!("gdump {} was not run before", command.line))
    }
}

fn one(
    command: &'static Command,
    stage: &Stage,
    dir: &Path,
    number: usize,
) -> Result<(BTreeMap<String, PathBuf>, Duration, bool)> {
    let dir = dir.join(number.to_string());
    fs::create_dir_all(&dir)?;
    stage.play(&Trial::of(command), |ended| {
        if ended.hung || ended.killed() {
            bail!("gdump {}: {}\n{}", command.line, ended.status, ended.stderr);
        }
        let mut set = BTreeMap::new();
        for file in fs::read_dir(stage.path("out"))? {
            let name = file?.file_name();
            let kept = dir.join(&name);
            fs::rename(stage.path("out").join(&name), &kept)?;
            set.insert(name.to_string_lossy().into_owned(), kept);
        }
        if set.is_empty() {
            bail!("gdump {} writes nothing: {}", command.line, ended.stderr);
        }
        Ok((set, ended.took, ended.status.success()))
    })
}
