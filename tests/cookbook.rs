//! The commands of the book, run as they stand there: each block marked `sh` of docs/cookbook.md and docs/quickstart.md.
//! A block marked `text` right behind one is what it prints, where `[..]` stands for anything in a line, and `...` alone
//! for any lines.

use crate::capture::Qemu;
use crate::support::{gdump, root, scratch, text, tiny};
use dump_synth::{DmpFile, DmpKind};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// How many recipes there are at least.
const RECIPES: usize = 20;

/// Where a guest's QEMU listens.
const SOCKET: &str = "vm.sock";

/// What schedulers set, by which gdump would take a share of the work.
const SCHEDULERS: &[&str] = &[
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_COUNT",
    "JOB_COMPLETION_INDEX",
    "CI_NODE_INDEX",
    "CI_NODE_TOTAL",
];

/// `ssh HOST COMMAND...`, here.
const SSH: &str = "#!/bin/sh\nshift\nexec sh -c \"$*\"\n";

/// A block of commands, and what it prints if that is said.
#[derive(Debug)]
struct Block {
    line: usize,
    script: String,
    prints: Option<String>,
}

/// What stands under a heading: its blocks run one after the other in the same directory.
#[derive(Debug)]
struct Recipe {
    heading: String,
    blocks: Vec<Block>,
}

/// The recipes of a page: the headings with commands below them.
fn recipes(page: &str) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```")
                .flat_map(|l| [l, "\n"])
                .collect();
            let Some(Recipe { blocks, .. }) = recipes.last_mut() else { continue };
            match language {
                "sh" => blocks.push(Block { line: i + 1, script: text, prints: None }),
                "text" => {
                    blocks.last_mut().unwrap_or_else(|| panic!("line {}: of which command?", i + 1)).prints = Some(text)
                }
                _ => {}
            }
        } else if let Some((_, heading)) = line.split_once("# ").filter(|(level, _)| level.chars().all(|c| c == '#')) {
            recipes.push(Recipe { heading: heading.to_owned(), blocks: Vec::new() });
        }
    }
    recipes.retain(|recipe| !recipe.blocks.is_empty());
    recipes
}

/// Whether `said` is what `prints` says.
fn fits(said: &str, prints: &str) -> bool {
    let (said, prints): (Vec<&str>, Vec<&str>) = (said.lines().collect(), prints.lines().collect());
    lines_fit(&said, &prints)
}

fn lines_fit(said: &[&str], prints: &[&str]) -> bool {
    match (said, prints) {
        ([], []) => true,
        (_, ["...", rest @ ..]) => (0..=said.len()).any(|from| lines_fit(&said[from..], rest)),
        ([line, said @ ..], [pattern, prints @ ..]) => line_fits(line, pattern) && lines_fit(said, prints),
        _ => false,
    }
}

fn line_fits(line: &str, pattern: &str) -> bool {
    let Some((before, rest)) = pattern.split_once("[..]") else { return line == pattern };
    let Some(line) = line.strip_prefix(before) else { return false };
    (0..=line.len()).filter(|at| line.is_char_boundary(*at)).any(|at| line_fits(&line[at..], rest))
}

#[test]
fn what_is_printed_is_compared() {
    for (said, prints) in [("a 1 b\n", "a [..] b\n"), ("a\nb\nc\n", "a\n...\nc\n"), ("", "...\n"), ("x\n", "[..]\n")] {
        assert!(fits(said, prints), "{said:?} {prints:?}");
    }
    for (said, prints) in [("a 1 c\n", "a [..] b\n"), ("a\n", ""), ("", "a\n"), ("a\nb\n", "a\n"), ("a\n", "...\nb\n")]
    {
        assert!(!fits(said, prints), "{said:?} {prints:?}");
    }
}

/// What recipes find in their directory, beside a guest's socket.
const SUPPLIES: &[&str] = &["vmcore", "dump", "damaged", "stream", "ram.bin", "guest.gcore", "MEMORY.DMP"];

/// Where it is.
struct Pantry {
    _dir: tempfile::TempDir,
    /// Of each its name there, and where it is.
    files: Vec<(&'static str, PathBuf)>,
    /// What comes first in PATH.
    bin: PathBuf,
}

fn pantry() -> &'static Pantry {
    static PANTRY: OnceLock<Pantry> = OnceLock::new();
    PANTRY.get_or_init(|| {
        let dir = scratch();
        let at = |name: &str| dir.path().join(name);
        let made = |name: &str, options: &[&str]| {
            let run = gdump(&[options, &[text(&tiny().vmcore), text(&at(name))]].concat());
            assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
        };
        made("dump", &["-c", "-d", "31"]);
        made("ram.bin", &["--format", "raw"]);
        made("guest.gcore", &["--format", "gcore", "-d", "31"]);
        let dump = fs::read(at("dump")).unwrap();
        fs::write(at("damaged"), &dump[..dump.len() * 3 / 5]).unwrap();
        fs::write(at("stream"), gdump(&["-F", "-c", "-d", "31", text(&tiny().vmcore)]).stdout).unwrap();
        let windows = DmpFile::new(DmpKind::Full, &[0..32, 64..96]);
        fs::write(at("MEMORY.DMP"), windows.to_bytes(|pfn| vec![pfn as u8; 4096])).unwrap();
        symlink(&tiny().vmcore, at("vmcore")).unwrap();
        let files = SUPPLIES.iter().map(|name| (*name, at(name))).collect();
        fs::create_dir(at("bin")).unwrap();
        program(&at("bin/ssh"), SSH);
        let emulator = std::env::var("GDUMP_EMULATOR").unwrap_or_default();
        program(&at("bin/gdump"), &format!("#!/bin/sh\nexec {emulator} '{}' \"$@\"\n", env!("CARGO_BIN_EXE_gdump")));
        Pantry { files, bin: at("bin"), _dir: dir }
    })
}

fn program(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Follows a recipe with what of the supplies has these names; what went wrong, if anything did.
fn follow(recipe: &Recipe, names: &[&str]) -> Result<(), String> {
    let dir = scratch();
    for (name, path) in pantry().files.iter().filter(|(name, _)| names.contains(name)) {
        symlink(path, dir.path().join(name)).unwrap();
    }
    let qemu = recipe.blocks.iter().any(|block| block.script.contains(SOCKET)).then(Qemu::healthy);
    if let Some(qemu) = &qemu {
        symlink(qemu.path(), dir.path().join(SOCKET)).unwrap();
    }
    recipe.blocks.iter().try_for_each(|block| {
        run(block, dir.path()).map_err(|e| format!("{:?}, line {}: {e}\n{}", recipe.heading, block.line, block.script))
    })
}

fn run(block: &Block, dir: &Path) -> Result<(), String> {
    let mut shell = Command::new("sh");
    let path = format!("{}:{}", pantry().bin.display(), std::env::var("PATH").unwrap());
    shell.args(["-euc", &block.script]).current_dir(dir).env("PATH", path).env("TMPDIR", dir).stdin(Stdio::null());
    SCHEDULERS.iter().for_each(|name| {
        shell.env_remove(name);
    });
    let run = shell.output().unwrap();
    let [out, err] = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    match &block.prints {
        _ if !run.status.success() => Err(format!("{}: {out}{err}", run.status)),
        Some(prints) if !fits(&out, prints) => Err(format!("it printed\n{out}{err}rather than\n{prints}")),
        _ => Ok(()),
    }
}

/// The recipes of a page of docs/.
fn recipes_of(page: &str) -> Vec<Recipe> {
    recipes(&fs::read_to_string(root().join("docs").join(page)).unwrap())
}

/// Follows each; what went wrong.
fn follow_each(recipes: &[Recipe]) -> Vec<String> {
    recipes.iter().filter_map(|recipe| follow(recipe, SUPPLIES).err()).collect()
}

#[test]
fn the_cookbook_is_right() {
    let recipes = recipes_of("cookbook.md");
    assert!(recipes.len() >= RECIPES, "{} recipes", recipes.len());
    let (one, other) = recipes.split_at(recipes.len() / 2);
    let wrong = std::thread::scope(|scope| {
        let cook = scope.spawn(|| follow_each(one));
        [follow_each(other), cook.join().unwrap()].concat()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Its reader has a dump and nothing else, and goes on from section to section.
#[test]
fn the_quick_start_is_right() {
    let sections = recipes_of("quickstart.md");
    let first = &sections[0].blocks[0];
    assert_eq!(first.script.lines().count(), 3, "three commands for a newcomer:\n{}", first.script);
    let blocks = sections.into_iter().flat_map(|section| section.blocks).collect();
    let all = Recipe { heading: "Quick start".to_owned(), blocks };
    assert_eq!(follow(&all, &["vmcore"]), Ok(()));
}

#[test]
fn what_is_wrong_in_a_recipe_is_seen() {
    let page = |commands: &str, prints: &str| format!("# A\n```sh\n{commands}\n```\n\n```text\n{prints}\n```\n");
    let outcome = |page: &str| follow(&recipes(page)[0], SUPPLIES);
    assert_eq!(outcome(&page("gdump check dump >/dev/null\necho done", "done")), Ok(()));
    for (commands, prints, found) in [
        ("gdump --no-such-option vmcore out\necho done", "done", "unknown option"),
        ("gdump check damaged >/dev/null\necho done", "done", "exit status: 1"),
        ("echo \"$no_such_variable\"", "", "no_such_variable"),
        ("gdump -l -d 31 vmcore dump", "...", "File exists"),
        ("gdump info dump", "it is\n...", "rather than"),
    ] {
        let why = outcome(&page(commands, prints)).unwrap_err();
        assert!(why.contains(found) && why.starts_with("\"A\", line 2: "), "{commands}: {why}");
    }
}

#[test]
fn recipes_are_the_headings_with_commands() {
    let page = "# Page\n\n## One\n\n```sh\na\nb\n```\n\n```text\nsaid\n```\n```sh\nc\n```\n## None\n```json\n{}\n```\n### Two\n```sh\n# d\n```\n";
    let recipes = recipes(page);
    let headings: Vec<&str> = recipes.iter().map(|recipe| recipe.heading.as_str()).collect();
    assert_eq!(headings, ["One", "Two"]);
    let [first, second] = &recipes[0].blocks[..] else { panic!("{recipes:?}") };
    assert_eq!((first.line, first.script.as_str(), first.prints.as_deref()), (5, "a\nb\n", Some("said\n")));
    assert_eq!((second.line, second.script.as_str(), second.prints.as_deref()), (13, "c\n", None));
    assert_eq!(recipes[1].blocks[0].script, "# d\n");
}
