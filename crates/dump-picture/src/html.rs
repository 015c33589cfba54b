//! The picture as one page for a browser: nothing is fetched, and nothing may be. Cells answer a pointer and the arrow
//! keys, and all that colours say is in tables too.

use crate::map::{CELL, LEFT, Map, PART, PARTS, TOP};
use crate::markup::{escaped, quoted};
use crate::picture::{Picture, Stretch, percent};
use crate::svg::{PATTERNS, STYLE, is_dark};
use crate::treemap::{self, Area};
use crate::units::{bytes, grouped};
use std::fmt::Write;

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing but what is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A size for the treemap, which is drawn as wide as the page is.
const TILES: Area = Area { x: 0.0, y: 0.0, width: 1280.0, height: 220.0 };

/// The picture as a page.
pub fn html(picture: &Picture) -> String {
    let title = escaped(&picture.title);
    let facts: String = picture.facts.iter().map(|fact| format!("<p>{}</p>\n", escaped(fact))).collect();
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{CSS}{STYLE}{colours}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{facts}{legend}{map}{tiles}<h2>Classes</h2>
{classes}<div class="columns">
{holes}{marks}</div>
</main>
<div id="tip" aria-hidden="true"></div>
<script type="application/json" id="data">{data}</script>
<script>
{SCRIPT}</script>
</body>
</html>
"#,
        colours = colours(picture),
        legend = legend(picture),
        map = map(picture),
        tiles = tiles(picture),
        classes = classes(picture),
        holes = holes(picture),
        marks = marks(picture),
        data = data(picture),
    )
}

/// The colours of classes: as strokes of cells, as tiles, and as keys; on a dark ground others.
fn colours(picture: &Picture) -> String {
    let mut light = String::from(".head text{fill:var(--ink)}\n");
    let mut dark = String::new();
    for (i, class) in picture.classes.iter().enumerate() {
        let Some(paint) = class.paint else {
            let _ = writeln!(
                light,
                ".k{i}{{background:repeating-linear-gradient(45deg,var(--line) 0 1px,transparent 1px 4px)}}"
            );
            continue;
        };
        for (out, colour) in [(&mut light, paint.light), (&mut dark, paint.dark)] {
            let ink = if is_dark(colour) { "#fff" } else { "#10151a" };
            let _ = writeln!(
                out,
                ".c{i}{{stroke:{colour}}}.t{i} rect{{fill:{colour}}}.t{i} text{{fill:{ink}}}.k{i}{{background:{colour}}}"
            );
        }
    }
    format!("{light}@media (prefers-color-scheme:dark){{{dark}}}\n")
}

fn legend(picture: &Picture) -> String {
    let mut out = String::from("<ul class=\"legend\">\n");
    for (i, class) in picture.present() {
        let size = bytes(class.pages.saturating_mul(picture.page_size));
        let _ =
            writeln!(out, r#"<li><span class="key k{i}"></span>{} <small>{size}</small></li>"#, escaped(&class.name));
    }
    out + "</ul>\n"
}

fn map(picture: &Picture) -> String {
    let map = Map::new(picture);
    let (width, height) = (map.width(), map.height());
    format!(
        r#"<div id="map" tabindex="0" role="application" aria-label="Map of memory. Arrow keys go from cell to cell; the tables below say the same in sums." aria-describedby="said">
<svg viewBox="0 0 {width} {height}" aria-hidden="true">
{PATTERNS}{}<rect id="cursor"/>
</svg>
</div>
<p>{} Point at it, or use the arrow keys.</p>
<p id="said" role="status" style="position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"></p>
"#,
        map.draw(),
        map.caption(),
    )
}

fn tiles(picture: &Picture) -> String {
    if picture.bytes.iter().all(|share| share.bytes == 0) {
        return String::new();
    }
    let title = escaped(&picture.bytes_title);
    format!(
        "<h2>{title}</h2>\n<svg id=\"tiles\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}\">\n{}</svg>\n",
        TILES.width,
        TILES.height,
        treemap::draw(picture, TILES)
    )
}

fn classes(picture: &Picture) -> String {
    let total = picture.painted_pages();
    let all: u64 = picture.bytes.iter().map(|share| share.bytes).sum();
    let mut out = String::from(
        r#"<div class="scroll"><table id="classes">
<thead><tr><th scope="col">class</th><th scope="col" class="n">pages</th><th scope="col" class="n">memory</th><th scope="col" class="n">of RAM</th><th scope="col" class="n">pages in the dump</th><th scope="col" class="n">bytes in the dump</th><th scope="col" class="n">of the dump</th><th scope="col">what it is</th></tr></thead>
<tbody>
"#,
    );
    for (i, class) in picture.present() {
        let share = picture.bytes.iter().find(|share| share.class == Some(i)).map_or(0, |share| share.bytes);
        let part = if class.paint.is_some() { percent(class.pages, total) } else { String::new() };
        let part = escaped(&part);
        let _ = writeln!(
            out,
            r#"<tr><th scope="row"><span class="key k{i}"></span> {}</th><td class="n">{}</td><td class="n">{}</td><td class="n">{part}</td><td class="n">{}</td><td class="n">{}</td><td class="n">{}</td><td class="m">{}</td></tr>"#,
            escaped(&class.name),
            grouped(class.pages),
            bytes(class.pages.saturating_mul(picture.page_size)),
            if class.paint.is_some() { grouped(class.dumped) } else { String::new() },
            if class.paint.is_some() { bytes(share) } else { String::new() },
            escaped(&if class.paint.is_some() { percent(share, all) } else { String::new() }),
            escaped(&class.meaning)
        );
    }
    for share in picture.bytes.iter().filter(|share| share.class.is_none() && share.bytes != 0) {
        let _ = writeln!(
            out,
            r#"<tr><th scope="row">{}</th><td></td><td></td><td></td><td></td><td class="n">{}</td><td class="n">{}</td><td></td></tr>"#,
            escaped(&share.name),
            bytes(share.bytes),
            escaped(&percent(share.bytes, all))
        );
    }
    out + "</tbody></table></div>\n"
}

fn holes(picture: &Picture) -> String {
    let rows = picture.holes.iter().map(|hole| (None, *hole)).collect::<Vec<_>>();
    let note = escaped(&picture.holes_note);
    table("holes", "Largest holes", &note, &rows, picture.page_size)
}

fn marks(picture: &Picture) -> String {
    let rows = picture.marks.iter().map(|mark| (Some(mark.name.as_str()), mark.pages)).collect::<Vec<_>>();
    table("marks", "Nodes and zones", "as the kernel has them, holes among them", &rows, picture.page_size)
}

/// A table of page frames; nothing where there are none.
fn table(id: &str, title: &str, note: &str, rows: &[(Option<&str>, Stretch)], page_size: u64) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let named = rows.iter().any(|(name, _)| name.is_some());
    let head = if named { r#"<th scope="col">name</th>"# } else { "" };
    let mut out = format!(
        r#"<section><h2>{title}</h2><p>{note}</p><div class="scroll"><table id="{id}">
<thead><tr>{head}<th scope="col" class="n">first pfn</th><th scope="col" class="n">last pfn</th><th scope="col" class="n">pages</th><th scope="col" class="n">bytes</th></tr></thead>
<tbody>
"#
    );
    for (name, pages) in rows {
        let name = name.map_or(String::new(), |name| format!(r#"<th scope="row">{}</th>"#, escaped(name)));
        let _ = writeln!(
            out,
            r#"<tr>{name}<td class="n">{:#x}</td><td class="n">{:#x}</td><td class="n">{}</td><td class="n">{}</td></tr>"#,
            pages.first,
            pages.end.saturating_sub(1),
            grouped(pages.pages()),
            bytes(pages.pages().saturating_mul(page_size))
        );
    }
    out + "</tbody></table></div></section>\n"
}

/// What tooltips are made of.
fn data(picture: &Picture) -> String {
    let map = Map::new(picture);
    let classes: Vec<String> = picture.classes.iter().map(|class| quoted(&class.name)).collect();
    let rows: Vec<String> = (picture.rows.iter().zip(&map.tops))
        .map(|(row, top)| format!(r#"[{},{top},"{}"]"#, row.first, cells(&row.cells, picture.block)))
        .collect();
    format!(
        r#"{{"page":{},"block":{},"columns":{},"left":{LEFT},"above":{TOP},"width":{CELL},"part":{PART},"parts":{PARTS},"classes":[{}],"rows":[{}]}}"#,
        picture.page_size,
        picture.block,
        picture.columns(),
        classes.join(","),
        rows.join(",\n")
    )
}

/// Cells in a row: of each class a letter and how many pages in base 36; the largest number of a whole block is left
/// out, which the others tell. Neighbours that are alike are counted.
fn cells(cells: &[Vec<u64>], block: u64) -> String {
    let words: Vec<String> = cells.iter().map(|counts| word(counts, block)).collect();
    let mut out: Vec<String> = Vec::new();
    for alike in words.chunk_by(|a, b| a == b) {
        let times = if alike.len() > 1 { format!("*{}", alike.len()) } else { String::new() };
        out.extend(alike.first().map(|word| format!("{word}{times}")));
    }
    out.join(",")
}

fn word(counts: &[u64], block: u64) -> String {
    let is_whole = counts.iter().sum::<u64>() == block;
    let most = (0..counts.len()).max_by_key(|i| (counts.get(*i), std::cmp::Reverse(*i))).filter(|_| is_whole);
    let mut out = String::new();
    for (i, pages) in counts.iter().enumerate().filter(|(_, pages)| **pages != 0) {
        out.push(char::from(b'A' + (i % 26) as u8));
        if Some(i) != most {
            out.push_str(&base36(*pages));
        }
    }
    out
}

fn base36(mut n: u64) -> String {
    let mut digits = Vec::new();
    while n != 0 || digits.is_empty() {
        digits.push(char::from_digit((n % 36) as u32, 36).unwrap_or('0'));
        n /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::small;
    use crate::picture::{Class, Paint, Row};

    #[test]
    fn cells_in_few_letters() {
        let row = [vec![8, 0], vec![8, 0], vec![3, 5], vec![0, 5], vec![0, 0]];
        assert_eq!(cells(&row, 8), "A*2,A3B,B5,");
        assert_eq!(base36(0) + " " + &base36(35) + " " + &base36(36), "0 z 10");
    }

    #[test]
    fn what_a_dump_says_is_no_markup() {
        let page = html(&small());
        assert!(page.contains("<title>Memory of &lt;vmcore&gt;</title>") && page.contains("Linux &amp; more"));
        assert!(!page.contains("<vmcore>"));
        assert!(!page.contains("http:") && !page.contains("https:"), "nothing is fetched");
    }

    /// Markup begins with a name or the end of one, and with nothing else; and so do entities.
    #[test]
    fn what_is_drawn_is_well_formed() {
        let mut picture = small();
        // shares below a tenth of a percent, which are written with a sign of markup
        picture.classes[1].pages = 100_000;
        picture.bytes[0].bytes = 1 << 30;
        let svg = crate::svg(&picture);
        let (page, _) = html(&picture).split_once("<script type").map(|(a, b)| (a.to_owned(), b.len())).unwrap();
        assert!(svg.contains("&lt; 0.1 %") && page.contains("&lt; 0.1 %"));
        for text in [svg, page] {
            for (at, sign) in text.match_indices(['<', '&']) {
                let next = text[at + 1..].chars().next();
                let begins =
                    next.is_some_and(|c| c.is_ascii_alphabetic() || (sign == "<" && "/!".contains(c)) || c == '#');
                assert!(begins, "{}", &text[at.saturating_sub(60)..(at + 20).min(text.len())]);
            }
        }
    }

    /// The worst that there can be: each cell has each class, and none is as its neighbour.
    #[test]
    fn no_picture_is_large() {
        let paint = Paint { light: "#0072b2", dark: "#0072b2", terminal: 1, letter: 'a' };
        let mut picture = small();
        let class = |i| Class {
            name: format!("class {i}"),
            meaning: "a class with a meaning of some words".to_owned(),
            paint: Some(paint),
            pages: 1 << 30,
            dumped: 1 << 29,
        };
        picture.classes = (0..12).map(class).collect();
        picture.block = 1 << 21; // of 24 TiB
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            50_000 + (random >> 33) % 100_000
        };
        let mut cell = || {
            let mut counts: Vec<u64> = (0..12).map(|_| next()).collect();
            counts[11] = picture.block - counts[..11].iter().sum::<u64>();
            counts
        };
        let row = |i: u64, cells| Row { first: (2 * i) << 28, cells };
        picture.rows = (0..24).map(|i| row(i, (0..128).map(|_| cell()).collect())).collect();
        let (svg, html) = (crate::svg(&picture).len(), html(&picture).len());
        assert!(svg < 300_000 && html < 300_000, "SVG {svg}, HTML {html} bytes");
    }
}
