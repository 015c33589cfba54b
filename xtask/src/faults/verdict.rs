//! What is right and wrong after a fault.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::Result;

use super::stage::Stage;
use super::trial::{Ended, Expect, Trial, same};
use super::whole::Whole;

/// What a disturbed run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that an undisturbed run writes.
    Whole,
    /// What says of itself, by flag, name or damage, that it is not whole.
    Incomplete,
    /// Nothing.
    Absent,
    /// What it must not; the text says what.
    Wrong(String),
}

/// Words of a panic, or of what stands for one.
const PANICS: &[&str] = &["panicked", "stack overflow", "bug in gdump"];

/// What the standard library says when memory is refused, before it aborts; there is no other way to say it.
const NO_MEMORY: &str = "memory allocation of ";

/// Judges what `trial` left in `stage`.
pub fn judge(stage: &Stage, whole: &Whole, trial: &Trial, ended: &Ended) -> Result<Verdict> {
    // what cannot be told from the struct pages is kept, which is said, and more than what an undisturbed run keeps
    let keeps_more = ended.status.success() && ended.stderr.contains(", keeping them: ");
    let left = match left(stage, whole)? {
        Verdict::Wrong(_) if keeps_more => Verdict::Whole,
        Verdict::Wrong(text) => return Ok(Verdict::Wrong(text)),
        left => left,
    };
    let wrong = wrong_end(whole, trial, ended).or_else(|| wrong_words(trial, ended, &left));
    if let Some(text) = wrong {
        return Ok(Verdict::Wrong(format!("{text}; output: {left:?}")));
    }
    if ended.stderr.contains("flagged incomplete") && !says_incomplete(stage)? {
        return Ok(Verdict::Wrong(format!("said to be flagged incomplete, and is not; output: {left:?}")));
    }
    if ended.status.success() && !keeps_more && !is_one_of(stage, whole, false) {
        return Ok(Verdict::Wrong(format!("exit status 0; output: {left:?}")));
    }
    Ok(left)
}

/// The outputs by name.
fn outputs(stage: &Stage) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(stage.path("out"))? {
        names.push(file?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The dumps among the outputs that have their final names.
fn dumps(stage: &Stage) -> Result<Vec<String>> {
    let mut names = outputs(stage)?;
    names.retain(|name| !name.ends_with(".sum") && !name.ends_with(".incomplete"));
    Ok(names.iter().map(|name| format!("out/{name}")).collect())
}

/// Whether the outputs are one of the sets of `whole`; with `dumps`, files of checksums do not count.
fn is_one_of(stage: &Stage, whole: &Whole, dumps: bool) -> bool {
    let counts = |name: &&String| !dumps || !name.ends_with(".sum");
    let there = outputs(stage).unwrap_or_default();
    whole.sets.iter().any(|set| {
        there.iter().filter(counts).eq(set.keys().filter(counts))
            && set.iter().filter(|(name, _)| counts(name)).all(|(name, kept)| same(&stage.path("out").join(name), kept))
    })
}

fn left(stage: &Stage, whole: &Whole) -> Result<Verdict> {
    let names = outputs(stage)?;
    if names.is_empty() {
        return Ok(Verdict::Absent);
    }
    if is_one_of(stage, whole, true) {
        return Ok(Verdict::Whole);
    }
    let known = |name: &str| {
        let name = name.strip_suffix(".incomplete").unwrap_or(name);
        whole.sets.iter().any(|set| set.contains_key(name))
    };
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Ok(Verdict::Wrong(format!("{name} was left behind")));
    }
    let dumps = dumps(stage)?;
    if dumps.is_empty() {
        let own = names.iter().any(|name| name.ends_with(".incomplete"));
        return Ok(if own { Verdict::Incomplete } else { Verdict::Wrong("checksums of nothing".to_owned()) });
    }
    let mut check = vec!["check"];
    check.extend(dumps.iter().map(String::as_str));
    let (status, text) = stage.ask(&check)?;
    if status != Some(1) {
        return Ok(Verdict::Wrong(format!("gdump {} ends with {status:?}: {}", check.join(" "), text.trim_end())));
    }
    for dump in dumps.iter().filter(|dump| has_header(&stage.dir().join(dump))) {
        let (status, text) = stage.ask(&["info", dump])?;
        if status != Some(0) {
            return Ok(Verdict::Wrong(format!("gdump info {dump} ends with {status:?}: {}", text.trim_end())));
        }
    }
    Ok(Verdict::Incomplete)
}

/// Whether the file at `path` begins as a dump does that can be described: with a kdump's two headers, of a block each,
/// or an ELF header.
fn has_header(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(8192).read_to_end(&mut head));
    read.is_ok()
        && (head.starts_with(b"KDUMP   ") && head.len() == 8192 || head.starts_with(b"\x7fELF") && head.len() > 64)
}

/// What is wrong with how the run ended.
fn wrong_end(whole: &Whole, trial: &Trial, ended: &Ended) -> Option<String> {
    let success = ended.status.success();
    let as_before = success == whole.success;
    if ended.hung {
        return Some("it hangs".to_owned());
    }
    if let Some(word) = PANICS.iter().find(|word| ended.stderr.contains(**word)) {
        return Some(format!("it says {word:?}: {}", ended.stderr.trim_end()));
    }
    let out_of_memory = ended.status.signal() == Some(6) && ended.stderr.contains(NO_MEMORY);
    let signalled = ended.killed() && trial.fault.silences();
    if !matches!(ended.status.code(), Some(0 | 1)) && !ended.never_began() && !signalled && !out_of_memory {
        return Some(format!("{}: {}", ended.status, ended.stderr.trim_end()));
    }
    match trial.expect {
        Expect::Success if !as_before && !ended.never_began() => Some(format!("it fails: {}", ended.stderr.trim_end())),
        Expect::Failure if success => Some("it succeeds".to_owned()),
        _ => None,
    }
}

/// What is wrong with what it said, or did not say.
fn wrong_words(trial: &Trial, ended: &Ended, left: &Verdict) -> Option<String> {
    if ended.status.success() || ended.never_began() || ended.killed() {
        return None;
    }
    let errors = ended.stderr.lines().filter(|line| line.starts_with("gdump: "));
    let errors: Vec<&str> = errors.filter(|line| !line.starts_with("gdump: warning: ")).collect();
    if errors.is_empty() {
        return Some(format!("{}, and not a word why", ended.status));
    }
    // a stream whose reader is gone is nothing that can be flagged; whoever reads sees that it ends too early
    let stream = trial.command.line.contains(" > ");
    let said = errors.iter().any(|line| line.contains("incomplete")) || stream || interrupted(&errors);
    (*left == Verdict::Incomplete && !said).then(|| format!("not said to be incomplete: {}", errors.join(" / ")))
}

/// Whether the time of grace after a signal ran out, when there is time for one word only.
fn interrupted(errors: &[&str]) -> bool {
    errors.contains(&"gdump: interrupted")
}

/// Whether what is there says of itself that it is incomplete.
fn says_incomplete(stage: &Stage) -> Result<bool> {
    for dump in dumps(stage)? {
        if !stage.ask(&["info", &dump])?.1.contains("incomplete") {
            return Ok(false);
        }
    }
    Ok(true)
}
