//! `cargo xtask contract`: what makedumpfile's callers rely on, held against makedumpfile itself.
//!
//! The contract is a table that runs (a Python program beside the repository, which `GDUMP_CONTRACT` names): a row is a
//! command line, done by both under makedumpfile's name.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{program, workspace};

/// What `cargo xtask contract` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The table [default: what GDUMP_CONTRACT names]
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// The makedumpfile to hold against
    #[arg(long, value_name = "PATH", default_value = "makedumpfile")]
    peer: String,
    /// An ELF vmcore [default: the one that ships with the repository]
    #[arg(long, value_name = "FILE")]
    vmcore: Option<PathBuf>,
    /// Its kernel with debug information [default: of the corpus, if GDUMP_CORPUS names it; else rows with -x are left out]
    #[arg(long, value_name = "FILE")]
    vmlinux: Option<PathBuf>,
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH")]
    gdump: Option<PathBuf>,
}

/// Rows that need the vmlinux.
const NEED_VMLINUX: &[&str] =
    &["O31", "O32", "O33", "O34", "O35", "O46", "O47", "O50", "O52", "G09", "E29", "E30", "K28", "K39"];

/// Rows that an older makedumpfile cannot do, or does otherwise, by a word of its `-v`.
const OLDER_PEER: &[(&str, &[&str])] = &[
    // built without these codecs: their rows come out uncompressed there, and -h and -v say so
    ("snappy\tdisabled", &["I01", "I02", "I05", "I19", "O04", "S04"]),
    ("zstd\tdisabled", &["I01", "I02", "I05", "I19", "O05", "R05", "K12", "K22", "K37", "K38"]),
    // Debian 12's: no caller ids in the log before 1.7.5, and other words for -X
    (
        "version 1.7.2",
        &[
            "P22", "P23", "S30", "G01", "G03", "G04", "G08", "G09", "G10", "G11", "G13", "K07", "K08", "K10", "K15",
            "K21", "K22", "K29", "O45",
        ],
    ),
];

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let table = args.table.clone().or_else(|| std::env::var_os("GDUMP_CONTRACT").map(PathBuf::from));
    let table = table.context("no table: --table or GDUMP_CONTRACT names it")?;
    against(&table, args, &workspace::gdump(args.gdump.as_deref())?)
}

/// The same with a gdump that is built already, where there are a table and a makedumpfile.
pub fn of(gdump: &Path) -> Option<Result<()>> {
    let table = PathBuf::from(std::env::var_os("GDUMP_CONTRACT").filter(|path| !path.is_empty())?);
    let args = Args { table: None, peer: "makedumpfile".to_owned(), vmcore: None, vmlinux: None, gdump: None };
    program::find(&args.peer)?;
    Some(against(&table, &args, gdump))
}

fn against(table: &Path, args: &Args, gdump: &Path) -> Result<()> {
    program::need(&["python3", &args.peer])?;
    let peer = program::find(&args.peer).with_context(|| args.peer.clone())?;
    let room = tempfile::tempdir()?;
    let vmcore = match &args.vmcore {
        Some(path) => path.clone(),
        None => unpacked(&workspace::root()?.join("fixtures/tiny/vmcore.zst"), &room.path().join("vmcore"))?,
    };
    let vmlinux = match (&args.vmlinux, corpus_vmlinux()) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(packed)) => Some(unpacked(&packed, &room.path().join("vmlinux"))?),
        (None, None) => None,
    };
    let left_out = left_out(&peer, vmlinux.is_some())?;
    println!("rows left out: {}", if left_out.is_empty() { "none".to_owned() } else { left_out.join(" ") });
    let mut command = Command::new("python3");
    command.arg(table).arg("--peer").arg(&peer).arg("--ours").arg(gdump).arg("--diff").arg(gdump);
    command.arg("--dump").arg(&vmcore).arg("--vmlinux").arg(vmlinux.as_deref().unwrap_or(&vmcore));
    command.arg("--tmp").arg(room.path().join("rows"));
    let log = room.path().join("log");
    command.arg("--log").arg(&log);
    let only = format!("^(?!({})\\b)", left_out.join("|"));
    let said = rows(&mut command, Some(only).filter(|_| !left_out.is_empty()).as_deref())?;
    let Some(said) = said else { return Ok(()) };
    // a peer that died by a signal says nothing of the row, and threads of makedumpfile 1.7.2 do now and then
    let wrong: Vec<&str> = said.lines().filter_map(broken_promise).collect();
    let log = std::fs::read(&log).context("the log of the table")?;
    let log = String::from_utf8_lossy(&log);
    if wrong.is_empty() || !wrong.iter().all(|row| is_death_of_peer(&log, row)) {
        bail!("a row that callers rely on differs");
    }
    println!("{} ended by a signal in {}; again:", args.peer, wrong.join(" "));
    match rows(&mut command, Some(&format!("^({})\\b", wrong.join("|"))))? {
        None => Ok(()),
        Some(_) => bail!("a row that callers rely on differs"),
    }
}

/// Runs the rows that `only` fits and prints those that differ; what the table says, where one differs that callers rely
/// on.
fn rows(command: &mut Command, only: Option<&str>) -> Result<Option<String>> {
    let mut all = Command::new(command.get_program());
    all.args(command.get_args()).args(only.iter().flat_map(|only| ["--only", only]));
    let output = program::output(&mut all)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_right = |line: &&str| line.starts_with("same") || line.starts_with("differs-harmless");
    said.lines().filter(|line| !is_right(line)).for_each(|line| println!("{line}"));
    match output.status.code() {
        Some(0) => Ok(None),
        Some(1) => Ok(Some(said)),
        _ => program::checked(&all, &output).map(|()| None),
    }
}

/// The row of a line of the table, if callers rely on it and it differs: `DIFFERS must P12 --num 2 ...`.
fn broken_promise(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next() == Some("DIFFERS") && words.next() == Some("must")).then_some(words.next()?)
}

/// Whether the peer was ended by a signal in a row, and gdump ended well: the table's log has the statuses of both, the
/// peer's first, below the row's name.
fn is_death_of_peer(log: &str, row: &str) -> bool {
    let of_row = log.split("### ").find(|section| section.split_whitespace().next() == Some(row));
    let status = |line: &str| line.strip_prefix("    status ")?.split(',').next()?.parse().ok();
    let statuses: Vec<u32> = of_row.unwrap_or_default().lines().filter_map(status).collect();
    matches!(statuses[..], [peer, 0] if (129..160).contains(&peer))
}

fn corpus_vmlinux() -> Option<PathBuf> {
    let corpus = PathBuf::from(std::env::var_os("GDUMP_CORPUS")?);
    Some(corpus.join("tiny/vmlinux.zst")).filter(|path| path.is_file())
}

fn unpacked(from: &Path, to: &Path) -> Result<PathBuf> {
    let packed = File::open(from).with_context(|| from.display().to_string())?;
    zstd::stream::copy_decode(packed, File::create(to)?).with_context(|| from.display().to_string())?;
    Ok(to.to_owned())
}

/// Rows that say nothing here, and why.
fn left_out(peer: &Path, has_vmlinux: bool) -> Result<Vec<&'static str>> {
    let version = program::output(Command::new(peer).arg("-v"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let mut rows = Vec::new();
    if !has_vmlinux {
        rows.extend(NEED_VMLINUX);
    }
    for (lacks, those) in OLDER_PEER {
        if version.contains(lacks) {
            rows.extend(*those);
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_which_the_peer_dies() {
        let line = "DIFFERS          must  N04 --num-threads 8        out: 2383 pages differ";
        assert_eq!(broken_promise(line), Some("N04"));
        assert_eq!(broken_promise("DIFFERS                O64 --work-dir missing    status 134 / 0"), None);
        let log = |peer: u32, ours: u32| {
            let ran = |status| format!("    status {status}, 0.11 s\n    stdout:\n      | 1\n    stderr:\n");
            let (peer, ours) = (ran(peer), ran(ours));
            let other = "### N03 --num-threads 2: same\n  peer\n    status 134, 0.1 s\n  ours\n    status 0, 0.1 s\n";
            format!("{other}### N04 --num-threads 8: DIFFERS (must)\n    makedumpfile\n  peer\n{peer}  ours\n{ours}\n")
        };
        assert!(is_death_of_peer(&log(134, 0), "N04"));
        for (peer, ours) in [(1, 0), (0, 134), (134, 1), (0, 0)] {
            assert!(!is_death_of_peer(&log(peer, ours), "N04"), "{peer} {ours}");
        }
        assert!(!is_death_of_peer("", "N04"));
    }
}
