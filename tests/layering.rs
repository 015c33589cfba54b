//! Who may know whom: the layers of ARCHITECTURE.md, as the manifests and the words of the sources have them.

use crate::support::root;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each library and the crates of this workspace that it may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("dump-core", &[]),
    ("dump-pipe", &["dump-core"]),
    ("dump-deflate", &[]),
    ("dump-lzo", &[]),
    ("dump-elf", &["dump-core"]),
    ("dump-kdump", &["dump-core", "dump-deflate", "dump-lzo"]),
    ("dump-flat", &["dump-core"]),
    ("dump-guest", &["dump-core"]),
    ("dump-migration", &["dump-core"]),
    ("dump-picture", &[]),
    ("dump-raw", &["dump-core"]),
    ("dump-sadump", &["dump-core"]),
    ("dump-sum", &["dump-core"]),
    ("dump-win", &["dump-core"]),
    ("dump-kernel", &["dump-core"]),
    ("dump-debuginfo", &["dump-core"]),
    ("dump-xen", &["dump-core", "dump-kernel"]),
    ("dump-filter", &["dump-core", "dump-kernel", "dump-xen"]),
    ("dump-log", &["dump-core", "dump-kernel"]),
    (
        "dump",
        &[
            "dump-core",
            "dump-debuginfo",
            "dump-elf",
            "dump-filter",
            "dump-flat",
            "dump-guest",
            "dump-kdump",
            "dump-kernel",
            "dump-log",
            "dump-pipe",
            "dump-migration",
            "dump-raw",
            "dump-sadump",
            "dump-sum",
            "dump-win",
            "dump-xen",
        ],
    ),
    ("dump-remote", &["dump-core"]),
    ("gdump-fleet", &["dump-remote", "gdump-cli"]),
    ("gdump", &["gdump-cli"]),
    // the program knows formats and kernels through the library alone
    ("gdump-cli", &["dump", "dump-picture"]),
    ("dump-kit", &["dump-core"]),
    (
        "dump-fuzz",
        &[
            "dump",
            "dump-core",
            "dump-debuginfo",
            "dump-deflate",
            "dump-elf",
            "dump-filter",
            "dump-flat",
            "dump-guest",
            "dump-kdump",
            "dump-kernel",
            "dump-kit",
            "dump-log",
            "dump-migration",
            "dump-raw",
            "dump-sadump",
            "dump-sum",
            "dump-synth",
            "dump-win",
            "dump-xen",
        ],
    ),
    ("dump-synth", &[]),
    ("dump-witness", &[]),
];

/// Words that a crate must not know, in code (comments may explain).
const WORDS: &[(&str, &[&str])] = &[
    ("dump-core", &["kdump", "flattened", "struct_page"]),
    ("dump-pipe", &["elf", "kdump", "makedumpfile", "vmcoreinfo", "lime"]),
    ("dump-kernel", &["kdump", "pt_load", "dump_level", "dumplevel"]),
    ("dump-xen", &["kdump", "pt_load", "dump_level", "dumplevel"]),
    ("dump-filter", &["kdump", "pt_load", "_mapcount", "vmemmap"]),
    ("dump-log", &["kdump", "pt_load", "vmemmap", "_mapcount"]),
    ("dump-elf", &["kdump", "flattened"]),
    ("dump-guest", &["pt_load", "flattened", "struct_page", "vmemmap"]),
    ("dump-kdump", &["pt_load", "flattened", "lime"]),
    ("dump-remote", &["kdump", "elf", "pt_load", "flattened", "struct_page", "vmcoreinfo"]),
    ("dump-sadump", &["pt_load", "flattened", "struct_page", "vmcoreinfo"]),
    ("dump-picture", &["kdump", "pt_load", "struct_page", "vmcoreinfo", "dump_level", "dumplevel"]),
    ("dump-migration", &["pt_load", "flattened", "struct_page", "vmcoreinfo"]),
    ("dump-win", &["kdump", "pt_load", "flattened", "struct_page"]),
    (
        "gdump-cli",
        &[
            "kdump",
            "lime",
            "avml",
            "pt_load",
            "disk_dump_header",
            "page_desc",
            "fileheader",
            "struct_page",
            "vmemmap",
            "mem_map",
            "pagefacts",
            "_mapcount",
            "from_le_bytes",
            "from_be_bytes",
            "fields",
            "fieldsmut",
        ],
    ),
];

fn crates() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    dirs
}

fn name(dir: &Path) -> &str {
    dir.file_name().unwrap().to_str().unwrap()
}

/// The crates of this workspace that stand in `[dependencies]`.
fn dependencies(dir: &Path) -> BTreeSet<String> {
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[").find(|s| s.starts_with("dependencies]")).unwrap_or_default();
    let key = |line: &str| line.split(['=', '.', ' ']).next().unwrap_or_default().to_owned();
    section
        .lines()
        .map(key)
        .filter(|key| key == "dump" || key.starts_with("dump-") || key.starts_with("gdump"))
        .collect()
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn crates_depend_downwards_only() {
    for dir in &crates() {
        let (_, allowed) =
            LAYERS.iter().find(|(layer, _)| *layer == name(dir)).unwrap_or_else(|| panic!("{dir:?} has no layer"));
        for dependency in dependencies(dir) {
            assert!(allowed.contains(&dependency.as_str()), "{} must not depend on {dependency}", name(dir));
        }
    }
}

#[test]
fn crates_do_not_know_each_others_words() {
    for (layer, words) in WORDS {
        let mut files = Vec::new();
        sources(&root().join("crates").join(layer).join("src"), &mut files);
        assert!(!files.is_empty(), "{layer}");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate().take_while(|(_, line)| *line != "#[cfg(test)]") {
                let code = line.split("//").next().unwrap_or_default().to_lowercase();
                let code: String = code.split('"').step_by(2).collect(); // messages may name what the user knows
                let mut tokens = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let found = tokens.find(|token| words.contains(token));
                assert!(found.is_none(), "{}:{}: {layer} must not know {found:?}", file.display(), number + 1);
            }
        }
    }
}

/// The modules that may hold unsafe code, each with its reasons.
const UNSAFE: &[(&str, &str)] = &[("dump-core", "map.rs"), ("gdump-cli", "calls.rs")];

#[test]
fn unsafe_code_is_in_one_module_of_a_crate_and_libraries_never_print() {
    for dir in crates() {
        let entry = if matches!(name(&dir), "gdump" | "gdump-fleet") { "src/main.rs" } else { "src/lib.rs" };
        let text = fs::read_to_string(dir.join(entry)).unwrap();
        let module = UNSAFE.iter().find_map(|(layer, module)| (*layer == name(&dir)).then_some(*module));
        assert!(module.is_some() || text.contains("#![forbid(unsafe_code)]"), "{}", name(&dir));
        let mut files = Vec::new();
        sources(&dir.join("src"), &mut files);
        for file in &files {
            let allows = fs::read_to_string(file).unwrap().contains("allow(unsafe_code)");
            assert!(!allows || module == file.file_name().unwrap().to_str(), "{}", file.display());
        }
        for file in files.iter().filter(|_| name(&dir) != "gdump-cli") {
            let text = fs::read_to_string(file).unwrap();
            let text: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            for word in ["println!", "eprintln!", "process::exit"] {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

/// The library's examples, which README names.
#[test]
fn the_examples_that_readme_names_are_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, line) = readme.split_once("cargo run -p dump --example ").unwrap();
    let line = line.split("\n\n").next().unwrap().replace(" -- vmcore", "");
    let names: Vec<&str> = line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        assert!(root().join(format!("crates/dump/examples/{name}.rs")).is_file(), "{name}");
    }
}
