//! A folder in which gdump runs: inputs in `in`, outputs in `out`, each worker's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use anyhow::{Context, Result};

use super::trial::{Ended, Trial, run};
use crate::program;

/// A folder in which gdump runs.
pub struct Stage {
    dir: PathBuf,
    /// The folder with the inputs of all stages.
    inputs: PathBuf,
    gdump: PathBuf,
    /// A user that nobody is, for limits that the superuser does not have; another for each stage.
    pub user: u32,
}

impl Stage {
    /// The stage `name` in `base`, where the inputs are in `in` and gdump is.
    pub fn new(base: &Path, name: &str, number: u32) -> Result<Stage> {
        let dir = base.join(format!("{name}{number}"));
        let stage = Stage { inputs: base.join("in"), gdump: base.join("gdump"), user: 64_000 + number, dir };
        for name in ["in", "out", "tmp", "closed"] {
            fs::create_dir_all(stage.path(name))?;
        }
        fs::write(stage.path("file"), b"no folder")?;
        for input in fs::read_dir(&stage.inputs)? {
            let input = input?;
            fs::hard_link(input.path(), stage.path("in").join(input.file_name()))?;
        }
        Ok(stage)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn gdump(&self) -> &Path {
        &self.gdump
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Runs `trial` with nothing in `out` before.
    pub fn play<T>(&self, trial: &Trial, judge: impl FnOnce(&Ended) -> Result<T>) -> Result<T> {
        for name in ["out", "tmp"] {
            fs::remove_dir_all(self.path(name))?;
            fs::create_dir(self.path(name))?;
            fs::set_permissions(self.path(name), Permissions::from_mode(0o777))?;
        }
        let _small = trial.small.map(|(dir, bytes)| Mount::new(&self.path(dir), bytes)).transpose()?;
        let Some(input) = trial.fault.changed_input() else { return judge(&run(self, trial)?) };
        let (path, original) = (self.dir.join(input), self.inputs.join(Path::new(input).file_name().context("name")?));
        fs::remove_file(&path)?;
        fs::copy(&original, &path)?;
        let judged = run(self, trial).and_then(|ended| judge(&ended));
        fs::remove_file(&path)?;
        fs::hard_link(&original, &path)?;
        judged
    }

    /// gdump with `args` in the stage: its exit status and what it printed.
    pub fn ask(&self, args: &[&str]) -> Result<(Option<i32>, String)> {
        let mut process = Process::new("timeout");
        process.args(["-s", "KILL", "20"]).arg(&self.gdump).args(args).current_dir(&self.dir);
        let output = program::output(&mut process)?;
        let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        Ok((output.status.code(), text))
    }
}

/// A small file system; gone with this.
struct Mount(PathBuf);

impl Mount {
    fn new(dir: &Path, bytes: u64) -> Result<Mount> {
        let mut mount = Process::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=777"), "tmpfs"]).arg(dir);
        program::quiet(&mut mount)?;
        Ok(Mount(dir.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // what stays mounted keeps its folder from being removed, which is said then
        let _ = program::output(Process::new("umount").arg(&self.0));
    }
}

/// Whether file systems can be mounted; otherwise why not.
pub fn can_mount() -> Option<String> {
    let tried = tempfile::tempdir().map_err(anyhow::Error::from).and_then(|dir| {
        // dropped before its folder
        let mount = Mount::new(dir.path(), 1 << 20);
        mount.map(drop)
    });
    tried.err().map(|_| "a tmpfs cannot be mounted, which root may do".to_owned())
}
