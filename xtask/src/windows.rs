//! `cargo xtask windows`: what LeechCore and Volatility 3 read of Windows crash dumps that gdump writes.
//!
//! Dumps of a made-up guest, whose header is in its notes, become full and bitmap dumps; both readers, in a Python
//! environment of their own, are asked for every page. LeechCore opens no file of a few MiB, so that guests have more.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use dump_synth::{DmpFile, DmpKind, ElfCore, Endian, Load, Notes};

use crate::report::Report;
use crate::{program, workspace};

const PAGE: u64 = 4096;

/// Pages of each guest: 102 MiB of memory, and without zeros more than the least that LeechCore opens.
const PAGES: u64 = 26_112;

/// Where memory ends (page frames), a little before 512 GiB: LeechCore takes bitmaps of less than 16 MiB.
const FAR: u64 = (1 << 27) - (1 << 17);

/// Where it ends for Volatility, which looks at each bit of a bitmap in Python: 8 GiB.
const MIDDLE: u64 = 1 << 21;

const PACKAGES: [&str; 2] = ["leechcorepyc", "volatility3"];

/// What `cargo xtask windows` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH")]
    gdump: Option<PathBuf>,
    /// A Python that has leechcorepyc and volatility3 [default: one in an environment that is made]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// A guest, and how it is written.
struct Case {
    name: String,
    runs: Vec<Range<u64>>,
    /// Whether pages of zeros are left out, which makes it a bitmap dump.
    without_zeros: bool,
    /// Who reads what is written.
    readers: &'static [&'static str],
}

impl Case {
    fn held(&self) -> Vec<u64> {
        let pages = self.runs.iter().cloned().flatten();
        pages.filter(|pfn| !(self.without_zeros && is_zero(*pfn))).collect()
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(&["python3"])?;
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    fs::create_dir_all(workspace::target()?)?;
    let python = args.python.clone().map_or_else(environment, Ok)?;
    let scratch = tempfile::Builder::new().prefix("windows").tempdir_in(workspace::target()?)?;
    let mut report = Report::default();
    for case in cases() {
        report.start(&case.name);
        check(&case, &gdump, &python, scratch.path(), &mut report).with_context(|| case.name.clone())?;
    }
    report.finish()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for number in [1, 42, 5000] {
        let both: &[&str] = &["leechcore", "volatility"];
        for (what, end, readers) in
            [("near", 0, both), ("up to 8 GiB", MIDDLE, both), ("up to 512 GiB", FAR, &["leechcore"])]
        {
            for without_zeros in [false, true] {
                let written = if without_zeros { ", without zeros" } else { "" };
                let name = format!("{number} runs, {what}{written}");
                cases.push(Case { name, runs: runs(number, end), without_zeros, readers });
            }
        }
    }
    cases
}

/// As many runs of memory, the last of which ends at page frame `end`; without an end, a page apart.
fn runs(number: u64, end: u64) -> Vec<Range<u64>> {
    let len = PAGES.div_ceil(number);
    let step = (end / number).max(len + 1);
    let first = if end > 0 { end - (number - 1) * step - len } else { 1 };
    (0..number).map(|i| first + i * step..first + i * step + len).collect()
}

fn is_zero(pfn: u64) -> bool {
    pfn % 3 == 1
}

/// What page frame `pfn` holds: its number over and over, or zeros.
fn page(pfn: u64) -> Vec<u8> {
    let word = if is_zero(pfn) { 0 } else { pfn.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
    word.to_le_bytes().repeat(PAGE as usize / 8)
}

fn check(case: &Case, gdump: &Path, python: &Path, scratch: &Path, report: &mut Report) -> Result<()> {
    let (core, out) = (scratch.join("core"), scratch.join("dmp"));
    let header = DmpFile::new(DmpKind::Full, &[1..2, 4..5]).header();
    let notes = Notes::new(Endian::Little).note("VMCOREINFO", 0, &header).into_bytes();
    let load = |core: ElfCore, run: &Range<u64>| {
        core.load(Load::new(run.start * PAGE, 0, run.clone().flat_map(page).collect()))
    };
    fs::write(&core, case.runs.iter().fold(ElfCore::x86_64().note(notes), load).to_bytes())?;
    let level = if case.without_zeros { "1" } else { "0" };
    let mut convert = Command::new(gdump);
    program::quiet(convert.args(["--format", "dmp", "-f", "-d", level]).arg(&core).arg(&out))?;
    let kind = fs::read(&out)?.get(0xf98).copied();
    let kind = if kind == Some(1) { "full" } else { "bitmap" };
    let held = case.held();
    for reader in case.readers {
        let wrong = wrong(reader, &out, python, &held);
        match wrong {
            Ok(0) => report.note(format!("{kind}: {reader} reads {} pages, 0 wrong", held.len())),
            Ok(wrong) => report.differs(format!("{kind}: {reader} reads {wrong} pages of {} wrong", held.len())),
            Err(e) => report.differs(format!("{kind}: {reader}: {e:#}")),
        }
    }
    Ok(())
}

/// How many of the pages `held` a reader reads as something else.
fn wrong(reader: &str, dump: &Path, python: &Path, held: &[u64]) -> Result<usize> {
    let script = workspace::root()?.join("xtask/lab/windows_pages.py");
    let mut command = Command::new(python);
    command.arg(script).arg(reader).arg(dump);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let list = held.iter().map(u64::to_string).collect::<Vec<_>>().join("\n");
    // the script reads to the end before it writes, so neither side waits for the other
    let sent = child.stdin.take().context("no pipe to python")?.write_all(list.as_bytes());
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.trim().lines().next_back().unwrap_or("no reason given"));
    }
    sent?;
    ensure!(output.stdout.len() as u64 == PAGE * held.len() as u64, "{} bytes", output.stdout.len());
    let pages = output.stdout.chunks(PAGE as usize).zip(held);
    Ok(pages.filter(|(found, pfn)| *found != page(**pfn)).count())
}

/// A Python with the readers, in an environment below the target directory.
fn environment() -> Result<PathBuf> {
    let directory = workspace::target()?.join("windows-readers");
    let python = directory.join("bin/python");
    if !python.is_file() {
        program::quiet(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    }
    let mut pip = Command::new(&python);
    program::quiet(pip.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    Ok(python)
}
