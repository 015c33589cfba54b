//! Inputs, and the commands to run on them.

use std::path::Path;

use anyhow::Result;

/// Writes a subject's inputs into a folder.
pub type Make = Box<dyn Fn(&Path) -> Result<()> + Send + Sync>;

/// Inputs and commands.
///
/// A command is what stands behind `gdump`, with files by the folder they are in: `in/` holds the inputs, `out/` is
/// empty before each command, and what a command puts into `kept/` is moved to `in/` for those that follow. `> FILE`
/// and `< FILE` at its end are as in a shell.
pub struct Subject {
    /// What the lines begin with.
    pub name: String,
    /// Writes the inputs.
    pub make: Make,
    /// What to run, in order.
    pub commands: Vec<String>,
}

impl Subject {
    /// A subject with one input, `in/vmcore`, of the bytes that `bytes` makes.
    pub fn of_bytes(name: String, bytes: impl Fn() -> Vec<u8> + Send + Sync + 'static, commands: Vec<String>) -> Self {
        let make = move |dir: &Path| Ok(std::fs::write(dir.join("vmcore"), bytes())?);
        Self { name, make: Box::new(make), commands }
    }
}
