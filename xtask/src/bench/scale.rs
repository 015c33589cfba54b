//! Does the cost grow with the dump, and the memory not? gdump on dumps of several sizes.

use std::path::Path;

use anyhow::{Context, Result};

use super::limit::Pages;
use super::outcome::{Runs, Scale};
use super::row::Row;
use super::sample::{Sample, mib};
use super::stage::{Runner, Stage};

/// The rows that are measured: what must be read is in proportion to the dump in the first, to its kept part in the second.
pub const ROWS: &[&str] = &["-c -d 1", "-c -d 31"];

/// Measures `row` on one dump. Dumps of different kernels or uses are told apart by what they write.
pub fn measure(stage: &Stage<'_>, row: &Row, runs: u32) -> Result<Scale> {
    let pages = Pages::take(stage, row.level)?;
    pages.clear()?;
    let task = stage.prepare(row)?;
    stage.first(&task, Runner::Gdump(None), None)?;
    let samples: Vec<Sample> = (0..runs).map(|_| stage.once(&task, Runner::Gdump(None), 0)).collect::<Result<_>>()?;
    stage.clear(&task)?;
    Ok(Scale {
        vmcore: crate::program::base(stage.vmcore),
        vmcore_mib: size_mib(stage.vmcore)?,
        written_mib: mib(pages.filled * pages.size),
        row: row.name.clone(),
        gdump: Runs { median: Sample::median(&samples)?, samples },
    })
}

/// Size of a file.
pub fn size_mib(path: &Path) -> Result<f64> {
    Ok(mib(std::fs::metadata(path).with_context(|| path.display().to_string())?.len()))
}
