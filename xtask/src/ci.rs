//! `cargo xtask ci`: what a change must pass. Runs every step, also after one failed, and names the failed ones.

use std::process::Command;

use anyhow::{Result, anyhow, bail};

use crate::{contract, man, program, workspace};

/// Cargo commands in the order they run.
const STEPS: &[(&str, &[&str])] = &[
    ("test", &["test", "--workspace"]),
    ("fmt", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    // A workspace of its own, which the steps above do not see. Any compiler builds it; only running it takes a nightly
    // one and cargo-fuzz. What the targets do, the tests run on all that was found before.
    ("fuzz fmt", &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    ("fuzz build", &["build", "--manifest-path", "fuzz/Cargo.toml"]),
    ("deny", &["deny", "--all-features", "check", "licenses", "bans", "sources"]),
];

/// Runs the command.
pub fn run() -> Result<()> {
    if std::env::var_os("GDUMP_CORPUS").is_none() {
        println!("GDUMP_CORPUS is not set: the tests on a folder of real dumps are skipped");
    }
    workspace::need_cargo("deny", "cargo-deny")?;
    let mut failed = Vec::new();
    for (name, words) in STEPS {
        note(&mut failed, name, workspace::cargo().and_then(|mut cargo| program::run(cargo.args(*words))));
    }
    match oldest_compiler() {
        Some(mut cargo) => note(&mut failed, OLDEST, program::run(&mut cargo)),
        None => println!("{OLDEST}: skipped: rustup has no toolchain {OLDEST}.0"),
    }
    // what the tests ran
    match workspace::target().ok().and_then(|target| contract::of(&target.join("debug/gdump"))) {
        Some(outcome) => note(&mut failed, "contract", outcome),
        None if is_needed("contract") => {
            note(&mut failed, "contract", Err(anyhow!("GDUMP_NEED names it, but it cannot be run")));
        }
        None => println!("contract: skipped: GDUMP_CONTRACT is not set, or there is no makedumpfile"),
    }
    if let Some(outcome) = advisories() {
        note(&mut failed, "advisories", outcome);
    }
    note(&mut failed, "man", man::run(&man::Args::default()));
    if failed.is_empty() {
        println!("all passed");
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

/// The oldest compiler that the manifests allow.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What checks the workspace with it, where rustup has it. clippy knows what the standard library had then, and not what the
/// language had.
fn oldest_compiler() -> Option<Command> {
    let cargo = |words: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", &format!("{OLDEST}.0"), "cargo"]).args(words);
        // those of the compiler that runs this
        ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"].iter().fold(command, |mut command, name| {
            command.env_remove(name);
            command
        })
    };
    program::output(&mut cargo(&["--version"])).ok().filter(|output| output.status.success())?;
    let mut check = cargo(&["check", "--workspace", "--all-targets", "--target-dir"]);
    check.arg(workspace::target().ok()?.join("oldest"));
    Some(check)
}

/// Says how a step ended.
fn note(failed: &mut Vec<String>, name: &str, outcome: Result<()>) {
    match outcome {
        Ok(()) => println!("{name}: passed"),
        Err(error) => {
            println!("{name}: {error:#}");
            failed.push(name.to_string());
        }
    }
}

/// Whether `GDUMP_NEED` names something.
fn is_needed(what: &str) -> bool {
    std::env::var("GDUMP_NEED").is_ok_and(|needed| needed.split(',').any(|name| name.trim() == what))
}

/// Looks dependencies up in the database of advisories, where that can be had: a machine without a network has none. Where
/// `GDUMP_NEED` names it, it must be had, as with what tests need.
fn advisories() -> Option<Result<()>> {
    let deny = |words: &[&str]| workspace::cargo().and_then(|mut cargo| program::quiet(cargo.arg("deny").args(words)));
    match deny(&["fetch", "db"]) {
        Err(error) if !is_needed("advisories") => {
            println!("advisories: skipped: the database cannot be had: {error:#}");
            None
        }
        Err(error) => Some(Err(error)),
        Ok(_) => Some(deny(&["--all-features", "check", "advisories"]).map(|_| ())),
    }
}
