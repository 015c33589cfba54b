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
    if !left_out.is_empty() {
        command.arg("--only").arg(format!("^(?!({})\\b)", left_out.join("|")));
    }
    let output = program::output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let is_right = |line: &&str| line.starts_with("same") || line.starts_with("differs-harmless");
    said.lines().filter(|line| !is_right(line)).for_each(|line| println!("{line}"));
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => bail!("a row that callers rely on differs"),
        _ => program::checked(&command, &output),
    }
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
