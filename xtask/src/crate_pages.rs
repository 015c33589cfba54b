//! README.md of each crate that is published: the docs of its `lib.rs`, as its page on a registry shows them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What every page ends with, behind its licence; the licences themselves lie beside it.
const END: &str = " It is a part of gdump, which reads, filters, converts and rescues kernel crash dumps.\n";

/// Compares the pages with the docs, or writes them.
pub fn run(write: bool) -> Result<()> {
    let mut stale = Vec::new();
    for dir in published()? {
        let docs = std::fs::read_to_string(dir.join("src/lib.rs")).with_context(|| dir.display().to_string())?;
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (page, file) = (page(&name, &docs, licence(&dir)?), dir.join("README.md"));
        if write {
            std::fs::write(&file, page)?;
        } else if std::fs::read_to_string(&file).unwrap_or_default() != page {
            stale.push(file.display().to_string());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("not what lib.rs says (cargo xtask man --write writes it): {}", stale.join(", "))
}

/// The libraries that are published.
fn published() -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(workspace::root()?.join("crates"))? {
        let dir = entry?.path();
        if dir.join("src/lib.rs").is_file() && is_published(&dir)? {
            dirs.push(dir);
        }
    }
    dirs.sort();
    Ok(dirs)
}

fn is_published(dir: &Path) -> Result<bool> {
    Ok(!manifest(dir)?.lines().any(|line| line.trim() == "publish = false"))
}

/// A sentence: what the licence is.
fn licence(dir: &Path) -> Result<&'static str> {
    let is_own = manifest(dir)?.lines().any(|line| line == "license = \"GPL-2.0-only\"");
    Ok(if is_own { "GPL-2.0-only, because lzo1x is." } else { "MIT or Apache-2.0, as you like." })
}

fn manifest(dir: &Path) -> Result<String> {
    std::fs::read_to_string(dir.join("Cargo.toml")).with_context(|| dir.display().to_string())
}

/// The page of the crate `name`, whose `lib.rs` begins with `docs`.
fn page(name: &str, docs: &str, licence: &str) -> String {
    let mut page = format!("# {name}\n\n");
    let mut in_code = false;
    for line in docs.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        match line.strip_prefix("```") {
            Some("no_run" | "") if !in_code => page.push_str("```rust"),
            Some(_) => page.push_str(line),
            // hidden in docs
            None if in_code && (line == "#" || line.starts_with("# ")) => continue,
            None if in_code => page.push_str(line),
            None => page.push_str(&prose(line)),
        }
        in_code ^= line.starts_with("```");
        page.push('\n');
    }
    page + "\n## Licence\n\n" + licence + END
}

/// A line without links into docs; headings are a step lower, below the name.
fn prose(line: &str) -> String {
    let lower = if line.starts_with('#') { format!("#{line}") } else { line.to_owned() };
    unlinked(&lower)
}

/// `[`X`](Y::X)` and `[`X`]` as `` `X` ``: nothing outside of docs leads to them.
fn unlinked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once("[`") {
        out.push_str(before);
        let Some((text, after)) = link.split_once("`]") else {
            out.push_str("[`");
            rest = link;
            continue;
        };
        out.push_str(&format!("`{text}`"));
        rest = after.strip_prefix('(').and_then(|target| target.split_once(')')).map_or(after, |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_become_a_page() {
        let docs = "//! Reads [`Pages`](a::Pages) and [`X`].\n//!\n//! # Use\n//!\n//! ```no_run\n//! let a = 1;\n\
            //! # Ok(())\n//! ```\n#![forbid(unsafe_code)]\n//! not this\n";
        let shown = "# dump-x\n\nReads `Pages` and `X`.\n\n## Use\n\n```rust\nlet a = 1;\n```\n";
        assert_eq!(page("dump-x", docs, "Any."), format!("{shown}\n## Licence\n\nAny.{END}"));
    }
}
