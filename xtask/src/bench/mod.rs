//! `cargo xtask bench`: time, processor, memory and output size of gdump beside makedumpfile.
//!
//! The programs run in turn, so that a machine that slows down slows all of them; input from the page cache, output to
//! memory, so that the disk is not measured.
//!
//! | module       | has                                                                              |
//! |--------------|----------------------------------------------------------------------------------|
//! | [`row`]      | what both programs are asked to do, and what gdump must reach                    |
//! | [`stage`]    | the folder in memory, the inputs a row needs, one run                            |
//! | [`contest`]  | a row, run by everyone in turn                                                   |
//! | [`limit`]    | what the codec alone and the copy alone take                                     |
//! | [`scale`]    | dumps of several sizes                                                           |
//! | [`outcome`]  | what was measured, as JSON; [`table`] and [`chart`] show it                      |

mod chart;
mod contest;
mod limit;
mod machine;
mod outcome;
mod room;
mod row;
mod sample;
mod scale;
mod stage;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::{lab, program, workspace};

use contest::Contest;
use limit::Pages;
use outcome::{Line, Outcome};
use row::Row;
use stage::Stage;

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The dump to filter [default: a 6.1 kernel's of 4 GiB, taken by the lab and kept in target/lab]
    vmcore: Vec<PathBuf>,
    /// The makedumpfile to hold against; one built without zstd has no -z row
    #[arg(long, value_name = "PATH", default_value = "makedumpfile")]
    peer: String,
    /// Runs of each program in each row; the table shows medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Numbers of threads to measure, beside as many as gdump takes by itself
    #[arg(long, value_name = "N,N...", value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<u32>,
    /// Only this row, such as "-l -d 31" or "re-filter -z -d 31"; may be given more than once
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    row: Vec<String>,
    /// Measure only gdump, on as many dumps as are given: seconds for each GiB, and peak memory
    #[arg(long)]
    scale: bool,
    /// Measure nothing: show what an earlier run wrote with --json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vmcore", "row", "scale", "json"])]
    from: Option<PathBuf>,
    /// Write all samples and the machine's description to a file; anew after each row
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a chart of the ratios to a file
    #[arg(long, value_name = "FILE", conflicts_with = "scale")]
    svg: Option<PathBuf>,
    /// Write the table for README and CHANGELOG to a file, or to stdout if that is -
    #[arg(long, value_name = "FILE", conflicts_with = "scale")]
    markdown: Option<PathBuf>,
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH", hide = true)]
    gdump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let (outcome, failed) = match &args.from {
        Some(path) => (show(path)?, Vec::new()),
        None => measure(args)?,
    };
    if let Some(path) = &args.svg {
        std::fs::write(path, chart::svg(&outcome)).with_context(|| path.display().to_string())?;
    }
    match &args.markdown {
        Some(path) if path == Path::new("-") => print!("\n{}", table::markdown(&outcome)),
        Some(path) => std::fs::write(path, table::markdown(&outcome)).with_context(|| path.display().to_string())?,
        None => {}
    }
    if failed.is_empty() { Ok(()) } else { bail!("not measured: {}", failed.join(", ")) }
}

/// Prints what an earlier run wrote.
fn show(path: &Path) -> Result<Outcome> {
    let outcome = Outcome::read(path)?;
    println!("{}", table::HEAD);
    outcome.rows.iter().for_each(|line| println!("{}", table::line(line)));
    Ok(outcome)
}

/// Measures; also returns the rows that could not be.
fn measure(args: &Args) -> Result<(Outcome, Vec<String>)> {
    ensure!(args.scale || args.vmcore.len() < 2, "several dumps are for --scale");
    // Before anything is built or taken.
    let rows: Vec<Row> = args.row.iter().map(|name| Row::parse(name)).collect::<Result<_>>()?;
    program::need(&["df", "time", "timeout"])?;
    if !args.scale {
        program::need(&[&args.peer])?;
    }
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    limit::build()?;
    let vmcores = if args.vmcore.is_empty() { vec![lab::bench_vmcore()?] } else { args.vmcore.clone() };
    let outcome = blank(args, &gdump, &vmcores)?;
    let mut session = Session { args, gdump, failed: Vec::new(), outcome };
    if args.scale {
        session.sizes(&vmcores, rows)?;
    } else {
        session.table(vmcores.first().context("no dump")?, rows)?;
    }
    Ok((session.outcome, session.failed))
}

/// What is known before anything is measured.
fn blank(args: &Args, gdump: &Path, vmcores: &[PathBuf]) -> Result<Outcome> {
    let peer = if args.scale { String::new() } else { machine::version(Path::new(&args.peer))? };
    let vmcore = vmcores.first().context("no dump")?;
    Ok(Outcome {
        vmcore: program::base(vmcore),
        vmcore_mib: scale::size_mib(vmcore)?,
        runs: args.runs,
        cpus: machine::cpus(),
        cpu: machine::cpu_model(),
        gdump: machine::first_line(&machine::version(gdump)?).to_string(),
        makedumpfile: machine::first_line(&peer).to_string(),
        rows: Vec::new(),
        scale: Vec::new(),
    })
}

/// A call of the command that measures.
struct Session<'a> {
    args: &'a Args,
    gdump: PathBuf,
    failed: Vec<String>,
    outcome: Outcome,
}

impl Session<'_> {
    /// The table of rows.
    fn table(&mut self, vmcore: &Path, rows: Vec<Row>) -> Result<()> {
        let rows = if rows.is_empty() { self.all_rows()? } else { rows };
        let gdump = self.gdump.clone();
        let stage = Stage::new(vmcore, &gdump, Path::new(&self.args.peer))?;
        println!("{}", table::HEAD);
        let mut pages = None;
        for row in &rows {
            match self.row(&stage, row, &mut pages) {
                Ok(lines) => {
                    lines.iter().for_each(|line| println!("{}", table::line(line)));
                    self.outcome.rows.extend(lines);
                    self.save()?;
                }
                Err(error) => {
                    stage.go_on()?;
                    println!("{}: {error:#}", row.name);
                    self.failed.push(row.name.clone());
                }
            }
        }
        Ok(())
    }

    /// The table's rows, without zstd if the peer was built without it.
    fn all_rows(&self) -> Result<Vec<Row>> {
        let zstd = machine::has_zstd(&machine::version(Path::new(&self.args.peer))?);
        if !zstd {
            println!("the peer has no zstd: no -z row");
        }
        Ok(Row::all()?.into_iter().filter(|row| zstd || row.codec != Some("zstd")).collect())
    }

    /// Measures one row. `pages` are those of the level that was measured last: neighbours often have the same.
    fn row(&self, stage: &Stage<'_>, row: &Row, pages: &mut Option<Pages>) -> Result<Vec<Line>> {
        let wanted = limit::needs_pages(row).then_some(row.level);
        if let Some(old) = pages.take_if(|old| Some(old.level) != wanted) {
            old.clear()?; // makes room
        }
        if let (Some(level), None) = (wanted, &pages) {
            *pages = Some(Pages::take(stage, level)?);
        }
        let task = stage.prepare(row)?;
        let contest = Contest {
            stage,
            task: &task,
            threads: &self.args.threads,
            runs: self.args.runs,
            cpus: self.outcome.cpus,
            pages: pages.as_ref(),
        };
        let lines = contest.lines();
        stage.clear(&task)?;
        lines
    }

    /// The table of dumps of several sizes.
    fn sizes(&mut self, vmcores: &[PathBuf], rows: Vec<Row>) -> Result<()> {
        let rows = match rows.is_empty() {
            true => scale::ROWS.iter().map(|name| Row::parse(name)).collect::<Result<_>>()?,
            false => rows,
        };
        println!("{}", table::SCALE_HEAD);
        for (row, vmcore) in rows.iter().flat_map(|row| vmcores.iter().map(move |vmcore| (row, vmcore))) {
            let stage = Stage::new(vmcore, &self.gdump, Path::new(&self.args.peer))?;
            let measured = scale::measure(&stage, row, self.args.runs).with_context(|| program::base(vmcore))?;
            println!("{}", table::scale(&measured));
            self.outcome.scale.push(measured);
            self.save()?;
        }
        Ok(())
    }

    /// Writes the JSON file, with what there is so far: an hour's numbers must not go with the last row.
    fn save(&self) -> Result<()> {
        self.args.json.as_deref().map_or(Ok(()), |path| self.outcome.write(path))
    }
}
