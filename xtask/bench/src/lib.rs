#![forbid(unsafe_code)]

//! Time, memory and output size of gdump, beside makedumpfile, beside an older gdump, or both.
//!
//! The programs run in turn, so that a machine that slows down slows all of them; input from the page cache, output to
//! memory, so that the disk is not measured.
//!
//! | module      | has                                                                              |
//! |-------------|----------------------------------------------------------------------------------|
//! | [`row`]     | what the programs are asked to do, and what gdump must reach                     |
//! | `stage`     | the folder in memory, the inputs a row needs, one run                            |
//! | `contest`   | a row, run by everyone in turn                                                   |
//! | `limit`     | what the codec alone and the copy alone take                                     |
//! | [`outcome`] | what was measured; [`table`] and [`chart`] show it                               |

pub mod chart;
mod contest;
mod limit;
mod machine;
pub mod outcome;
pub mod row;
mod sample;
mod stage;
pub mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};

use contest::Contest;
use limit::Pages;
use outcome::{Line, Outcome};
use row::Row;
use stage::Stage;

pub use stage::PROGRAMS;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The dump to filter.
    pub vmcore: PathBuf,
    /// The gdump to measure.
    pub gdump: PathBuf,
    /// An older one to hold it against.
    pub before: Option<PathBuf>,
    /// makedumpfile, and what the limit is measured with beside it.
    pub peer: Option<Peer>,
    /// Runs of each program in each row.
    pub runs: u32,
    /// The rows; empty for all.
    pub rows: Vec<Row>,
}

/// What a comparison with makedumpfile takes.
#[derive(Clone, Debug)]
pub struct Peer {
    /// makedumpfile.
    pub program: PathBuf,
    /// dump-kdump's example `codec_limit`.
    pub codec_limit: PathBuf,
}

/// Measures row after row; `show` is given each line as it is there. Also returns the rows that could not be measured.
///
/// # Errors
/// Where nothing can be measured at all, or the user ends it.
pub fn measure(setup: &Setup, show: impl Fn(&Outcome, &Line)) -> Result<(Outcome, Vec<String>)> {
    let mut outcome = outcome::blank(setup)?;
    let stage = Stage::new(setup)?;
    let (mut pages, mut failed) = (None, Vec::new());
    for row in rows(setup)? {
        match measure_row(&stage, &row, &mut pages) {
            Ok(line) => {
                show(&outcome, &line);
                outcome.rows.push(line);
            }
            Err(error) => {
                stage.go_on()?;
                failed.push(format!("{}: {error:#}", row.name));
            }
        }
    }
    Ok((outcome, failed))
}

/// The rows to measure: of the whole table, without zstd if the peer was built without it.
fn rows(setup: &Setup) -> Result<Vec<Row>> {
    if !setup.rows.is_empty() {
        return Ok(setup.rows.clone());
    }
    let version = setup.peer.as_ref().map(|peer| machine::version(&peer.program)).transpose()?;
    let zstd = version.is_none_or(|text| machine::has_zstd(&text));
    Ok(Row::all()?.into_iter().filter(|row| zstd || row.codec != Some("zstd")).collect())
}

/// Measures one row. `pages` are those of the level that was measured last: neighbours often have the same.
fn measure_row(stage: &Stage<'_>, row: &Row, pages: &mut Option<Pages>) -> Result<Line> {
    let wanted = (stage.setup.peer.is_some() && limit::needs_pages(row)).then_some(row.level);
    if let Some(old) = pages.take_if(|old| Some(old.level) != wanted) {
        old.clear()?; // makes room
    }
    if let (Some(level), None) = (wanted, &pages) {
        *pages = Some(Pages::take(stage, level)?);
    }
    let task = stage.prepare(row).context("making what the row reads")?;
    let line = Contest { stage, task: &task, pages: pages.as_ref() }.line();
    stage.clear(&task)?;
    line
}
