//! Slurm's recipes: an array over a manifest, and one dump over several nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::cluster::{Cluster, NODES};
use crate::report::Report;
use crate::{program, workspace};

/// The jobs, by their options.
const OPTIONS: &[&[&str]] = &[
    &["-c", "-d", "31"],
    &["-l", "-d", "31"],
    &["-p", "-d", "1"],
    &["-z", "-d", "31"],
    &["-E", "-d", "16"],
    &["-c", "-d", "0"],
    &["-d", "23"],
    &["-l", "-d", "8"],
    &["-c", "-d", "17"],
];

/// Tasks of the array.
const TASKS: usize = 4;

/// Parts of the one dump.
const PARTS: usize = 3;

/// Runs both on a cluster.
pub fn check(gdump: &Path, report: &mut Report) -> Result<()> {
    let recipes = workspace::root()?.join("packaging/schedulers/slurm");
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path();
    let packed = std::fs::read(workspace::root()?.join("fixtures/tiny/vmcore.zst"))?;
    std::fs::write(dir.join("vmcore"), zstd::decode_all(&packed[..])?)?;
    let cluster = Cluster::start()?;
    array(&cluster, gdump, &recipes, dir, report).with_context(|| cluster.logs())?;
    one_dump(&cluster, gdump, &recipes, dir, report).with_context(|| cluster.logs())
}

/// All jobs of a manifest by an array: each once, its output that of a run by hand, and both nodes had some.
fn array(cluster: &Cluster, gdump: &Path, recipes: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let manifest = dir.join("dumps.ndjson");
    let lines = OPTIONS.iter().enumerate().fold(String::new(), |mut lines, (i, options)| {
        let _ = writeln!(lines, "{}", json!({ "input": "vmcore", "output": format!("out{i}"), "options": options }));
        lines
    });
    std::fs::write(&manifest, lines)?;
    let mut sbatch = cluster.command("sbatch");
    sbatch.env("GDUMP", gdump).current_dir(dir).args(["--wait", "--parsable", "--output=task-%a.log"]);
    sbatch.arg(format!("--array=1-{TASKS}")).arg(recipes.join("batch.sbatch"));
    let job = program::quiet(sbatch.arg(&manifest))?;
    let results = results(dir)?;
    let of = |i: usize| results.get(&format!("out{i}")).cloned().unwrap_or_default();
    for (i, options) in OPTIONS.iter().enumerate() {
        let (by_hand, by_array) = (dir.join("by-hand"), dir.join(format!("out{i}")));
        program::quiet(Command::new(gdump).args(*options).arg("-f").arg(dir.join("vmcore")).arg(&by_hand))?;
        if std::fs::read(&by_hand)? != std::fs::read(&by_array)? {
            report.differs(format!("{options:?}: not what a run by hand writes"));
        }
        if of(i) != ["done"] {
            report.differs(format!("{options:?}: expected one result, done, found {:?}", of(i)));
        }
    }
    let nodes = nodes(cluster, job.trim())?;
    if nodes.len() != NODES.len() {
        report.differs(format!("expected tasks on {NODES:?}, found them on {nodes:?}"));
    }
    report.note(format!("  an array of {TASKS} tasks did {} jobs, each once, on {nodes:?}", OPTIONS.len()));
    Ok(())
}

/// What the result lines of all tasks say of each output.
fn results(dir: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let mut results: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files(dir)?.iter().filter(|path| named(path).contains(".results") || named(path).contains("results.")) {
        for line in std::fs::read_to_string(path)?.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| path.display().to_string())?;
            let output = Path::new(line["output"].as_str().unwrap_or_default());
            let status = line["status"].as_str().unwrap_or_default().to_owned();
            results.entry(named(output)).or_default().push(status);
        }
    }
    Ok(results)
}

/// The nodes that tasks of a job ran on.
fn nodes(cluster: &Cluster, job: &str) -> Result<BTreeSet<String>> {
    let shown = program::quiet(cluster.command("scontrol").args(["--oneliner", "show", "job", job]))?;
    let nodes = shown.split_whitespace().filter_map(|word| word.strip_prefix("NodeList="));
    Ok(nodes.map(str::to_owned).collect())
}

/// One dump in parts, joined: its pages are those of a dump that was written at once.
fn one_dump(cluster: &Cluster, gdump: &Path, recipes: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let (vmcore, joined, whole) = (dir.join("vmcore"), dir.join("joined"), dir.join("whole"));
    let mut script = cluster.command(recipes.join("one-dump.sh"));
    script.env("GDUMP", gdump).arg(&vmcore).arg(&joined).arg(PARTS.to_string()).args(["-l", "-d", "31"]);
    program::quiet(&mut script)?;
    program::quiet(Command::new(gdump).args(["-l", "-d", "31"]).arg(&vmcore).arg(&whole))?;
    let same = program::output(Command::new(gdump).args(["diff", "--strict"]).arg(&joined).arg(&whole))?;
    ensure!(joined.metadata()?.len() > 0, "an empty dump");
    if !same.status.success() {
        report.differs(format!("the joined dump: {}", String::from_utf8_lossy(&same.stdout)));
    }
    if dir.join("joined.parts").exists() {
        report.differs("one-dump.sh leaves its parts");
    }
    report.note(format!("  one dump in {PARTS} parts, joined: {}", String::from_utf8_lossy(&same.stdout).trim()));
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
