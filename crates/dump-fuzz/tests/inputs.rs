//! Every target on its seeds and on all inputs that once broke something (`fuzz/regressions/TARGET/`), on any compiler
//! and without libFuzzer.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends by it

use dump_fuzz::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No input is worth more of a debug build's time on a busy machine.
const MOST: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Runs a target on an input; what it says where it breaks.
fn broken(run: fn(&[u8]), what: &str, bytes: &[u8]) -> Option<String> {
    let start = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| run(bytes)));
    let late = start.elapsed() > MOST;
    (done.is_err() || late).then(|| format!("{what}: {}", if late { "took too long" } else { "panicked" }))
}

#[test]
fn seeds_keep_every_promise() {
    let mut all = Vec::new();
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        all.extend(
            seeds.iter().filter_map(|(name, bytes)| broken(target.run, &format!("{}/{name}", target.name), bytes)),
        );
        // and what a fuzzer begins with in any case
        all.extend(broken(target.run, &format!("{}: nothing", target.name), &[]));
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn what_was_found_stays_mended() {
    let mut all = Vec::new();
    for target in TARGETS {
        for file in files(&root().join("fuzz/regressions").join(target.name)) {
            let what = format!("{}/{}", target.name, name(&file));
            all.extend(broken(target.run, &what, &fs::read(&file).unwrap()));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

/// A row here, a file there, an entry in the manifest.
#[test]
fn each_target_is_built_for_libfuzzer() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len(), "names are unique");
    let built = files(&root().join("fuzz/fuzz_targets"));
    let built: BTreeSet<&str> = built.iter().map(|file| name(file).strip_suffix(".rs").unwrap()).collect();
    assert_eq!(built, names);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for target in &names {
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target}");
        let text = fs::read_to_string(root().join("fuzz/fuzz_targets").join(format!("{target}.rs"))).unwrap();
        assert!(text.contains(&format!("\"{target}\"")), "{target}");
    }
    let kept = files(&root().join("fuzz/regressions"));
    assert!(kept.iter().all(|dir| names.contains(name(dir))), "{kept:?}");
}
