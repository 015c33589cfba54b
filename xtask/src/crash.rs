//! What crash shows of a dump.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::program;

/// What it is asked. `quit` is for its exit status, which is otherwise that of a closed terminal.
const COMMANDS: &str = "sys\nbt\nlog\nkmem -i\nps\nquit\n";

/// The text crash prints of `dump`, without the line that names the file.
pub fn text(vmlinux: &Path, dump: &Path) -> Result<String> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), COMMANDS).context("crash commands")?;
    let mut crash = Command::new("crash");
    crash.arg("-s").arg("-i").arg(script.path()).arg(vmlinux).arg(dump);
    // It ends with success even where one of the commands fails: that shows in the text.
    let text = program::quiet(&mut crash)?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("DUMPFILE: "));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The first lines in which two texts differ, as `-` of the first and `+` of the second.
pub fn differences(one: &str, other: &str) -> Vec<String> {
    let longest = one.lines().count().max(other.lines().count());
    let pad = |text: &str| {
        text.lines().map(str::to_string).chain(std::iter::repeat(String::new())).take(longest).collect::<Vec<_>>()
    };
    let pairs = pad(one).into_iter().zip(pad(other)).filter(|(one, other)| one != other);
    pairs.take(8).flat_map(|(one, other)| [format!("  - {one}"), format!("  + {other}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_lines_are_shown_in_pairs() {
        assert_eq!(differences("a\nb\nc", "a\nx"), ["  - b", "  + x", "  - c", "  + "]);
        assert!(differences("a\nb", "a\nb").is_empty());
    }
}
