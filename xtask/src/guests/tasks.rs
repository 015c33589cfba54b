//! The task list of what gdump writes, as drgn reads it by the kernel's debug symbols.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Taken;
use super::kinds::Kind;
use crate::report::Report;
use crate::{drgn, lab, program, workspace};

/// Kernel threads may come and go between the guest's own count and the dump: so many.
const LIVELY: usize = 2;

/// Lists the tasks of a dump at level 31, and counts them against the guest's own number, where it gave one.
pub fn check(taken: &Taken, kind: &Kind, keep: &Path, gdump: &Path, report: &mut Report) -> Result<()> {
    if !drgn::installed() {
        report.left_out("tasks: pip install drgn");
        return Ok(());
    }
    let vmlinux = vmlinux(kind, keep)?;
    let scratch = tempfile::Builder::new().prefix("tasks").tempdir_in(workspace::target()?)?;
    let out = scratch.path().join("out");
    let mut command = Command::new(gdump);
    command.args(["-l", "-d", "31"]).arg(&taken.dump).arg(&out);
    let output = program::output(&mut command)?;
    program::checked(&command, &output)?;
    let mut script = Command::new("python3");
    script.arg(workspace::root()?.join("xtask/lab/drgn_tasks.py")).args([&out, &vmlinux]);
    let output = program::output(&mut script)?;
    program::checked(&script, &output)?;
    let listed = String::from_utf8_lossy(&output.stdout).lines().count();
    let console = String::from_utf8_lossy(&std::fs::read(&taken.console)?).into_owned();
    let said = console.lines().rev().find_map(|line| line.trim().strip_prefix("Tasks: ")?.parse::<usize>().ok());
    match said {
        Some(said) if said.abs_diff(listed) > LIVELY => {
            report.differs(format!("drgn lists {listed} tasks; the guest had {said}"));
        }
        Some(said) => report.note(format!("  drgn lists {listed} tasks; the guest had {said}")),
        None => report.note(format!("  drgn lists {listed} tasks; the guest did not count its own")),
    }
    Ok(())
}

/// The kernel with its debug symbols, downloaded unless it is there.
fn vmlinux(kind: &Kind, keep: &Path) -> Result<PathBuf> {
    let root = super::folder(kind, keep);
    let name = root.file_name().context("no name")?.to_string_lossy().into_owned() + "-debug";
    let debug = root.with_file_name(name);
    if !lab::complete(&debug) {
        let mut script = Command::new("bash");
        script.arg(workspace::root()?.join("xtask/lab/get-kernel.sh"));
        program::run(script.args([kind.suite, kind.arch, kind.package]).arg(&root).arg("--symbols"))?;
        std::fs::write(debug.join(lab::COMPLETE), "")?;
    }
    lab::find_vmlinux(&debug)
}
