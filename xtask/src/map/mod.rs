//! `cargo xtask map`: does a browser show what `gdump map` says?
//!
//! The page of the fixture's memory is opened in a real browser, which points at each cell and goes from one to the next
//! with the keys. What it says must be what the JSON has, and its console must stay empty. The screenshot in docs/ is
//! made here.

mod browser;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{program, workspace};
use browser::Browser;

/// What listens for errors, and what asks the page.
const LISTEN: &str = include_str!("listen.js");
const ASK: &str = include_str!("ask.js");

/// What points at a cell, for the screenshot.
const POINT: &str = include_str!("point.js");

/// Bytes of a picture in docs/ at most.
const MOST: u64 = 300_000;

/// A laptop's window, as high as the map and the treemap.
const WINDOW: (u32, u32) = (1360, 945);

/// What `cargo xtask map` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Ask a page of this dump rather than of the fixture; its page size must be 4 KiB
    #[arg(long, value_name = "DUMP")]
    vmcore: Option<PathBuf>,
    /// Use this gdump rather than build one
    #[arg(long, value_name = "PROGRAM")]
    gdump: Option<PathBuf>,
    /// Write the screenshot there; docs/map.png is the one of README
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(&["timeout"])?;
    let browser = Browser::find()?;
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let dump = args
        .vmcore
        .clone()
        .map_or_else(|| Ok(workspace::root()?.join("fixtures/tiny/vmcore.zst")), Ok::<_, anyhow::Error>)?;
    let dir = tempfile::tempdir()?;
    let made = |name: &str| -> Result<PathBuf> {
        let path = dir.path().join(name);
        program::quiet(Command::new(&gdump).args(["map", "--zeros", "-o"]).arg(&path).arg(&dump))?;
        Ok(path)
    };
    let (page, picture, json) = (made("map.html")?, made("map.svg")?, made("map.json")?);
    let map: Value = serde_json::from_slice(&std::fs::read(json)?)?;
    let cells = asked(&browser, &page, dir.path(), &map)?;
    ensure!(!browser.dom(&picture)?.contains("parsererror"), "the SVG is no XML");
    let pointed = pointed(&page, dir.path())?;
    let shots = [dir.path().join("page.png"), dir.path().join("picture.png")];
    for (file, shot) in [pointed, picture].iter().zip(&shots) {
        browser.screenshot(file, WINDOW, shot)?;
        let len = shot.metadata().with_context(|| format!("no screenshot of {}", file.display()))?.len();
        ensure!((10_000..MOST).contains(&len), "the screenshot of {} has {len} bytes", file.display());
    }
    if let (Some(to), [shot, _]) = (&args.screenshot, &shots) {
        std::fs::copy(shot, to).with_context(|| to.display().to_string())?;
    }
    println!("{cells} cells answer a pointer and the keys as the JSON has it, and the console is empty");
    Ok(())
}

/// The page with a tooltip.
fn pointed(page: &Path, dir: &Path) -> Result<PathBuf> {
    let (text, pointed) = (std::fs::read_to_string(page)?, dir.join("pointed.html"));
    std::fs::write(&pointed, text.replacen("</body>", &format!("<script>{POINT}</script></body>"), 1))?;
    Ok(pointed)
}

/// Opens the page with our questions in it; returns how many cells answered.
fn asked(browser: &Browser, page: &Path, dir: &Path, map: &Value) -> Result<usize> {
    let text = std::fs::read_to_string(page)?;
    let text = text.replacen("<head>", &format!("<head><script>{LISTEN}</script>"), 1);
    let text = text.replacen("</body>", &format!("<script>{ASK}</script></body>"), 1);
    let asking = dir.join("asking.html");
    std::fs::write(&asking, text)?;
    let dom = browser.dom(&asking)?;
    let (_, rest) = dom.split_once("<pre id=\"probe\">").context("the page did not answer")?;
    let (answer, _) = rest.split_once("</pre>").context("the answer has no end")?;
    let answer = answer.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let answer: Value = serde_json::from_str(&answer)?;
    ensure!(answer["wrong"] == serde_json::json!([]), "the page: {}", answer["wrong"]);
    ensure!(answer["overflow"] == false, "the page is wider than its window");
    let colours = answer["painted"].as_array().context("no cells")?;
    ensure!(
        colours.iter().all(|colour| colour.as_str().is_some_and(|colour| colour.starts_with("rgb"))),
        "{colours:?}"
    );
    ensure!(answer["left"].is_null(), "a tooltip stays when the pointer leaves");
    let cells = pointed_at(&answer["tips"], map)?;
    by_keys(&answer["keys"], map)?;
    table(&answer["rows"], map)?;
    Ok(cells)
}

/// What a tooltip says: a name, and pages of each class.
type Cell = (String, Vec<(String, u64)>);

/// What a cell's tooltip must say: its name, and pages of each class.
fn expected(map: &Value, row: usize, column: usize) -> Result<Option<Cell>> {
    let (rows, block) = (&map["map"]["rows"], map["map"]["block_pages"].as_u64().context("block_pages")?);
    let first = rows[row]["first_pfn"].as_u64().context("first_pfn")? + column as u64 * block;
    let counts = rows[row]["blocks"][column].as_array().context("blocks")?;
    let names = map["map"]["classes"].as_array().context("classes")?;
    let of = |(name, pages): (&Value, &Value)| Some((name.as_str()?.replace('_', " "), pages.as_u64()?));
    let mut classes: Vec<(String, u64)> = names.iter().zip(counts).filter_map(of).filter(|(_, n)| *n != 0).collect();
    classes.sort();
    let pages: u64 = classes.iter().map(|(_, pages)| pages).sum();
    let name = match pages {
        0 => return Ok(None),
        1 => format!("pfn {first:#x}"),
        _ => format!("pfn {first:#x} to {:#x}", first + pages - 1),
    };
    Ok(Some((name, classes)))
}

/// Pages, as a tooltip has them in bytes.
fn pages(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(',')?.0.split_once(' ')?;
    let unit = ["B", "KiB", "MiB", "GiB", "TiB"].iter().position(|name| *name == unit)?;
    let bytes = number.parse::<f64>().ok()? * (1u64 << (10 * unit)) as f64;
    Some((bytes / 4096.0).round() as u64)
}

fn pointed_at(tips: &Value, map: &Value) -> Result<usize> {
    let mut cells = 0;
    for (row, tips) in tips.as_array().context("no tooltips")?.iter().enumerate() {
        for (column, tip) in tips.as_array().context("no tooltips")?.iter().enumerate() {
            check(tip, expected(map, row, column)?).with_context(|| format!("row {row}, cell {column}: {tip}"))?;
            cells += usize::from(!tip.is_null());
        }
    }
    ensure!(cells > 0, "no cell answers");
    Ok(cells)
}

fn check(tip: &Value, expected: Option<Cell>) -> Result<()> {
    let Some((name, classes)) = expected else {
        ensure!(tip.is_null(), "a tooltip past the end of memory");
        return Ok(());
    };
    ensure!(tip["name"] == name.as_str(), "expected {name}");
    let of = |line: &Value| Some((line[0].as_str()?.to_owned(), pages(line[1].as_str()?)?));
    let mut said: Vec<(String, u64)> = tip["classes"].as_array().context("no classes")?.iter().filter_map(of).collect();
    said.sort();
    ensure!(said.len() == classes.len(), "expected {classes:?}");
    // numbers of a unit have one place
    let near = |(a, b): (&(String, u64), &(String, u64))| a.0 == b.0 && a.1.abs_diff(b.1) <= b.1 / 10 + 26;
    ensure!(said.iter().zip(&classes).all(near), "expected {classes:?}");
    let exact = classes.iter().all(|(_, pages)| *pages < 256);
    ensure!(!exact || said == classes, "expected {classes:?}");
    Ok(())
}

/// The way that the keys go: right, right, down, to the end, on to the next row, to its start, up, and away.
fn by_keys(keys: &Value, map: &Value) -> Result<()> {
    let last = map["map"]["rows"][1]["blocks"].as_array().context("one row")?.len() - 1;
    let way =
        [Some((0, 0)), Some((0, 1)), Some((1, 1)), Some((1, last)), Some((2, 0)), Some((2, 0)), Some((1, 0)), None];
    for (key, place) in keys.as_array().context("no keys")?.iter().zip(way) {
        let Some((row, column)) = place else {
            ensure!(key["tip"].is_null(), "a tooltip stays after {}", key["key"]);
            continue;
        };
        let expected = expected(map, row, column)?;
        let said = key["said"].as_str().unwrap_or_default().to_owned();
        let name = expected.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        check(&key["tip"], expected).with_context(|| key.to_string())?;
        ensure!(said.starts_with(&name), "{}: {said} is said, expected {name}", key["key"]);
    }
    Ok(())
}

/// The table has the sums.
fn table(rows: &Value, map: &Value) -> Result<()> {
    let rows = rows.as_array().context("no table")?;
    for (class, pages) in map["pages"].as_object().context("pages")? {
        let pages = pages.as_u64().context("pages")?;
        let name = class.replace('_', " ");
        let row = rows.iter().find(|row| row[0] == name.as_str());
        let said = row.and_then(|row| row[1].as_str()?.replace(',', "").parse::<u64>().ok());
        ensure!(said.unwrap_or(0) == pages, "the table has {said:?} pages of {name}, expected {pages}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_tooltip_are_pages() {
        assert_eq!([pages("32 KiB, 100 %"), pages("1.5 MiB, 2.0 %"), pages("none")], [Some(8), Some(384), None]);
    }
}
