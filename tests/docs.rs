//! The documentation as files: links lead somewhere, the book has all its pages, its Rust is an example that is built, and
//! messages that it explains are the program's.

use crate::support::root;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The fewest letters of a message that say anything.
const TELLING: usize = 8;

/// Files below a directory with a suffix, but for what is built.
fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
        if entry.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&entry, suffix));
        } else if name.ends_with(suffix) && entry.is_file() {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Where the links of a text lead to, without those of its code blocks.
fn links(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| prose.split("](").skip(1))
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// The names by which headings of a page are linked to, as GitHub and mdBook make them.
fn anchors(page: &str) -> Vec<String> {
    let headings =
        page.lines().filter_map(|line| line.split_once("# ").filter(|(level, _)| level.chars().all(|c| c == '#')));
    let anchor = |text: &str| {
        let kept = text.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(|(_, text)| anchor(text)).collect()
}

/// What is wrong with a link of a page, if anything is.
fn broken(page: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let to = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    let is_there = to.exists() && (anchor.is_empty() || anchors(&read(&to)).iter().any(|it| it == anchor));
    (!is_there).then(|| format!("{}: {link}", page.display()))
}

#[test]
fn links_lead_somewhere() {
    let pages = files(root(), ".md");
    let linked: Vec<(&PathBuf, Vec<String>)> = pages.iter().map(|page| (page, links(&read(page)))).collect();
    assert!(linked.iter().map(|(_, links)| links.len()).sum::<usize>() > 50, "{} pages", pages.len());
    let wrong: Vec<String> =
        linked.iter().flat_map(|(page, links)| links.iter().filter_map(|link| broken(page, link))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let page = root().join("docs/SUMMARY.md");
    let text = "[a](no-such-page.md), [b](info.md#no-such-heading) and [c](SUMMARY.md)\n```\n[d](e)\n```\n";
    let wrong: Vec<String> = links(text).iter().filter_map(|link| broken(&page, link)).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert_eq!(anchors("## gdump info `--json`, now\n#!/bin/sh\n"), ["gdump-info---json-now"]);
}

/// In a book, a page that is not in the table of contents is not there, and a link out of it leads nowhere.
#[test]
fn the_book_has_all_pages() {
    let docs = root().join("docs");
    let listed = links(&read(docs.join("SUMMARY.md")));
    let there: Vec<PathBuf> = files(&docs, ".md").into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    let unique: BTreeSet<PathBuf> = listed.iter().map(|page| docs.join(page)).collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    assert_eq!(unique.into_iter().collect::<Vec<_>>(), there);
    for page in &there {
        let out = |link: &&String| Path::new(link.as_str()).components().next() == Some(Component::ParentDir);
        let links = links(&read(page));
        let out: Vec<&String> = links.iter().filter(out).collect();
        assert!(out.is_empty(), "{}: {out:?}", page.display());
    }
}

/// What the quick start has in Rust is an example of the library, which is built with its tests.
#[test]
fn rust_in_the_book_is_an_example() {
    let examples: Vec<String> = files(&root().join("crates/dump/examples"), ".rs").iter().map(read).collect();
    let quickstart = read(root().join("docs/quickstart.md"));
    let blocks: Vec<&str> = quickstart.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(examples.iter().any(|example| example.contains(block)), "in no example:\n{block}");
    }
}

/// The messages that docs/troubleshooting.md quotes as gdump's: the headings in backquotes above its part about others.
fn quoted(page: &str) -> Vec<String> {
    let (own, _) = page.split_once("\n## What others say").unwrap();
    let headings = own.lines().filter_map(|line| line.strip_prefix("### `"));
    headings.map(|line| line.strip_suffix('`').unwrap_or_else(|| panic!("{line}")).to_owned()).collect()
}

/// What of a quoted message must be found in the sources: what stands between `...`, a hint in brackets by itself.
fn fixed_parts(message: &str) -> Vec<&str> {
    let parts =
        message.split("...").flat_map(|part| part.split(" (")).map(|part| part.trim_matches([' ', ':', ',', ')']));
    parts.filter(|part| !part.is_empty()).collect()
}

/// The string literals of a source, without its tests, each as the pieces between what is filled in.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (here, after) = rest[at..].split_at(1);
        rest = match here {
            "/" if after.starts_with('/') => after.split_once('\n').map_or("", |(_, next)| next),
            "'" => after.strip_prefix("\"'").or_else(|| after.strip_prefix("\\\"'")).unwrap_or(after),
            "\"" => {
                let (text, next) = literal(after);
                found.extend(pieces(&text));
                next
            }
            _ => after,
        };
    }
    found
}

/// What of a literal stands as it is: what is filled in goes.
fn pieces(text: &str) -> Vec<String> {
    let text = text.replace("{{", "(");
    let (first, rest) = text.split_once('{').unwrap_or((&text, ""));
    let rest = rest.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, after)| after));
    [first].into_iter().chain(rest).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// The text of a literal up to its closing quote, lines joined as the compiler does, and what follows.
fn literal(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = source.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (text, &source[i + 1..]),
            '\\' => match chars.next() {
                Some((_, '\n')) => {
                    let skipped = chars.as_str().len() - chars.as_str().trim_start().len();
                    let _ = skipped.checked_sub(1).and_then(|last| chars.nth(last));
                }
                Some((_, 'n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => {}
            },
            c => text.push(c),
        }
    }
    (text, "")
}

/// What the sources of what is handed out can say.
fn sayings() -> Vec<String> {
    let ours = |path: &PathBuf| {
        let path = path.to_str().unwrap();
        path.contains("/src/")
            && !["synth", "witness", "kit", "fuzz"].iter().any(|name| path.contains(&format!("crates/dump-{name}/")))
    };
    files(&root().join("crates"), ".rs")
        .iter()
        .filter(|path| ours(path))
        .flat_map(|path| literals(&read(path)))
        .collect()
}

/// What of a message is in none of `sayings`.
fn unsaid<'m>(message: &'m str, sayings: &[String]) -> Option<&'m str> {
    fixed_parts(message).into_iter().find(|part| !sayings.iter().any(|saying| saying.contains(part)))
}

#[test]
fn the_messages_that_the_book_explains_are_the_programs() {
    let sayings = sayings();
    let messages = quoted(&read(root().join("docs/troubleshooting.md")));
    assert!(messages.len() > 20 && sayings.len() > 1000, "{} messages, {} literals", messages.len(), sayings.len());
    for message in messages {
        assert!(fixed_parts(&message).iter().any(|part| part.len() >= TELLING), "{message}: nothing in it is fixed");
        assert_eq!(unsaid(&message, &sayings), None, "{message}: this is in no source");
    }
    assert_eq!(unsaid("...: a text file, no dump", &sayings), Some("a text file, no dump"));
}

#[test]
fn literals_are_what_a_source_can_say() {
    let source = "let a = '\"'; // \"none\"\nlet b: &'a str = format!(\"one {x:#x} two\\n\", \"three \\\n    four\");\n#[cfg(test)]\n\"five\"";
    assert_eq!(literals(source), ["one ", " two\n", "three four"]);
    assert_eq!(fixed_parts("...: ends at ..., not ... (-f helps)"), ["ends at", "not", "-f helps"]);
    assert_eq!(quoted("### `a ...`\ntext\n## What others say\n### `b`\n"), ["a ..."]);
}
