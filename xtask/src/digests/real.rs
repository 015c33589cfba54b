//! Real dumps: the fixture, and those of the folders that `GDUMP_CORPUS` and `GDUMP_CORPUS_ARCH` name.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::commands;
use super::subject::Subject;
use super::{commands::LEVELS, named};
use crate::{program, workspace};

/// All real dumps at hand.
pub fn subjects() -> Result<Vec<Subject>> {
    // Large ones first: what is begun last should not take long.
    let mut all = Vec::new();
    for dir in named("GDUMP_CORPUS").iter().flat_map(|corpus| folders(corpus)) {
        match dir.join("vmcore.zst") {
            vmcore if vmcore.exists() => all.push(large(&dir, vmcore)),
            _ => all.extend(stored(&dir)?),
        }
    }
    for dir in named("GDUMP_CORPUS_ARCH").iter().flat_map(|corpus| folders(corpus)) {
        all.push(other_architecture(&dir));
    }
    all.extend(fixture()?);
    Ok(all)
}

/// The folders in `dir`, in order.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    all.sort();
    all
}

/// A subject whose `in/vmcore` is `compressed`, decompressed.
fn decompressed(name: String, compressed: PathBuf, commands: Vec<String>) -> Subject {
    let make = move |dir: &Path| {
        let mut from = zstd::Decoder::new(File::open(&compressed).with_context(|| compressed.display().to_string())?)?;
        // The kernel stands in a dump twice, far apart.
        from.window_log_max(27)?;
        std::io::copy(&mut from, &mut File::create(dir.join("vmcore"))?)?;
        Ok(())
    };
    Subject { name, make: Box::new(make), commands }
}

/// The fixture: everything, in several subjects so that all CPUs have work.
fn fixture() -> Result<Vec<Subject>> {
    let vmcore = workspace::root()?.join("fixtures/tiny/vmcore.zst");
    let with = |name: &str, list| decompressed(format!("fixture {name}"), vmcore.clone(), list);
    let input = "in/vmcore";
    let levels = [commands::convert(input, LEVELS), commands::every_level(input)].concat();
    let without_notes =
        [("--format raw", "--raw-base 0 in/bare"), ("--format lime", "in/bare")].map(|(format, bare)| {
            vec![
                format!("{format} {input} kept/bare"),
                format!("-l -d 30 {bare} out/o"),
                format!("-E -d 31 {bare} out/o"),
                format!("info --json {bare} > out/json"),
            ]
        });
    Ok(vec![
        with("at each level", levels),
        with("in each way", commands::ways(input)),
        with("in streams and parts", commands::streams_and_parts(input)),
        with("filtered again", commands::filtered_again(input)),
        with("in each container", commands::every_pair(input, 31)),
        with("without notes", without_notes.concat()),
    ])
}

/// A dump of the corpus: each format and codec, and a selection of the rest.
fn large(dir: &Path, vmcore: PathBuf) -> Subject {
    let mut list: Vec<String> = LEVELS.iter().map(|level| format!("-l -d {level} in/vmcore out/o")).collect();
    list.extend(commands::convert("in/vmcore", &[31]));
    list.extend(
        [
            "info --json in/vmcore > out/json",
            "-c -d 1 --num-threads 1 in/vmcore out/o",
            "-c -d 1 --num-threads 3 in/vmcore out/o",
            "-z -d 1 --cyclic-buffer 4 in/vmcore kept/k1",
            "-E -d 17 --cyclic-buffer 4 --num-threads 3 in/vmcore out/o",
            "-p -d 31 --max-memory 8M in/vmcore out/o",
            "-l -d 31 --message-level 16 in/vmcore out/o > out/report",
            "-F -l -d 31 in/vmcore > kept/flat",
            "-R out/o < in/flat",
            "--split -l -d 31 in/vmcore kept/a kept/b kept/c",
            "--reassemble in/c in/a in/b out/o",
            "-c -d 31 in/k1 out/o",
            "-z -d 31 in/k1 out/o",
            "info --json in/k1 > out/json",
            "check in/k1",
            "diff in/vmcore in/k1",
        ]
        .map(String::from),
    );
    decompressed(program::base(dir), vmcore, list)
}

/// Dumps as they lie in a folder, compressed or not: QEMU's.
fn stored(dir: &Path) -> Result<Vec<Subject>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let subject = |file: PathBuf| {
        let mut list = commands::convert("in/vmcore", &[1, 31]);
        list.extend(["info --json in/vmcore > out/json", "check in/vmcore"].map(String::from));
        list.extend(["-R in/vmcore out/o", "-l -d 31 - out/o < in/vmcore"].map(String::from));
        let name = format!("{} {}", program::base(dir), program::base(&file));
        let make = move |dir: &Path| Ok(std::os::unix::fs::symlink(&file, dir.join("vmcore"))?);
        Subject { name, make: Box::new(make), commands: list }
    };
    Ok(files.into_iter().map(subject).collect())
}

/// A dump of another architecture.
fn other_architecture(dir: &Path) -> Subject {
    let list = [
        "info --json in/vmcore > out/json",
        "-l -d 0 in/vmcore out/o",
        "-c -d 1 in/vmcore out/o",
        "-l -d 31 in/vmcore kept/k31",
        "-E -d 1 in/vmcore out/o",
        "--format lime in/vmcore out/o",
        "info --json in/k31 > out/json",
        "-E -d 31 in/k31 out/o",
    ];
    decompressed(program::base(dir), dir.join("dump.elf.zst"), list.map(String::from).to_vec())
}
