//! The whole picture as one SVG, for light grounds.

use crate::map::{LEFT, Map};
use crate::markup::escaped;
use crate::picture::{Class, Picture, percent, pfns};
use crate::treemap::{self, Area};
use crate::units::bytes;
use std::fmt::Write;

/// Between parts, and around all.
const MARGIN: f64 = 24.0;

/// A line of text.
const LINE: f64 = 20.0;

/// A column of the legend, and how many there are.
const COLUMN: f64 = 300.0;
const COLUMNS: usize = 4;

const TREEMAP_HEIGHT: f64 = 180.0;

/// What all pictures are styled with; colours of classes follow.
pub(crate) const STYLE: &str = "\
text{font:12px ui-sans-serif,system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:var(--ink,#1c2329)}
.cells path{fill:none;stroke-width:1;shape-rendering:crispEdges}
.ground{fill:url(#hole)}
.pfn{text-anchor:end}.pfn,.at{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,monospace;fill:var(--dim,#5b6770)}
path.gap{stroke:var(--dim,#5b6770);stroke-width:1;stroke-dasharray:2 5;fill:none}
text.gap{text-anchor:middle;fill:var(--dim,#5b6770);paint-order:stroke;stroke:var(--paper,#fff);stroke-width:8px}
.mark{fill:var(--ink,#1c2329);stroke:var(--ink,#1c2329);stroke-width:1}
.name{font-weight:600}
.titles rect{fill:none;pointer-events:all}
.tile rect{stroke:none}.tile text{pointer-events:none}.tile-name{font-weight:600}
.head rect{fill:url(#head)}
";

/// What holes, and what is of no class, are filled with.
pub(crate) const PATTERNS: &str = "\
<defs><pattern id=\"hole\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<path d=\"M0 0v6\" stroke=\"var(--line,#d5dbe0)\" stroke-width=\"1.4\"/></pattern>\
<pattern id=\"head\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
<rect width=\"6\" height=\"6\" fill=\"var(--line,#d5dbe0)\"/><circle cx=\"3\" cy=\"3\" r=\"1\" fill=\"var(--dim,#5b6770)\"/></pattern></defs>
";

/// The picture as a file.
pub fn svg(picture: &Picture) -> String {
    let map = Map::new(picture);
    let width = (map.width() + 2.0 * MARGIN).max(COLUMN * COLUMNS as f64 + 2.0 * MARGIN);
    let mut body = String::new();
    let mut y = MARGIN + 10.0;
    heading(&mut body, picture, &mut y);
    legend(&mut body, picture, &mut y);
    let _ = writeln!(body, r#"<g transform="translate({MARGIN},{y})">{}{}</g>"#, map.draw(), map.titles());
    y += map.height() + LINE;
    let _ = writeln!(body, r#"<text class="at" x="{}" y="{}">{}</text>"#, MARGIN + LEFT, y - 4.0, map.caption());
    y += MARGIN + 8.0;
    tiles(&mut body, picture, width, &mut y);
    holes(&mut body, picture, &mut y);
    let (height, title) = (y + MARGIN / 2.0, escaped(&picture.title));
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}">
<style>{STYLE}{}</style>
{PATTERNS}<rect width="100%" height="100%" fill="white"/>
{body}</svg>
"#,
        colours(picture)
    )
}

/// The colours of classes, as strokes of cells and as fills of all else.
fn colours(picture: &Picture) -> String {
    let mut out = String::new();
    for (i, paint) in picture.classes.iter().enumerate().filter_map(|(i, class)| Some((i, class.paint?))) {
        let _ = writeln!(out, ".c{i}{{stroke:{0}}}.t{i} rect,.t{i}{{fill:{0}}}", paint.light);
        if is_dark(paint.light) {
            let _ = writeln!(out, ".t{i} text{{fill:#fff}}");
        }
    }
    out
}

/// Whether white is easier to read on a colour (`#rrggbb`) than black: by its relative luminance.
pub(crate) fn is_dark(colour: &str) -> bool {
    let part = |at: usize| colour.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let linear = |at: usize| (f64::from(part(at)) / 255.0).powf(2.2);
    0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5) < 0.18
}

fn heading(out: &mut String, picture: &Picture, y: &mut f64) {
    let _ = writeln!(
        out,
        r#"<text x="{MARGIN}" y="{y}" style="font-size:18px;font-weight:600">{}</text>"#,
        escaped(&picture.title)
    );
    for fact in &picture.facts {
        *y += LINE;
        let _ = writeln!(out, r#"<text x="{MARGIN}" y="{y}">{}</text>"#, escaped(fact));
    }
    *y += LINE;
}

fn legend(out: &mut String, picture: &Picture, y: &mut f64) {
    let (present, total) = (picture.present().collect::<Vec<_>>(), picture.painted_pages());
    for (place, (i, class)) in present.iter().enumerate() {
        let x = MARGIN + (place % COLUMNS) as f64 * COLUMN;
        let at = *y + (place / COLUMNS) as f64 * LINE;
        let fill = if class.paint.is_some() { format!(r#"class="t{i}""#) } else { r#"class="ground""#.to_owned() };
        let _ = writeln!(
            out,
            r##"<rect {fill} x="{x}" y="{}" width="14" height="14" stroke="#5b6770" stroke-width=".5"/><text x="{}" y="{}">{}</text>"##,
            at - 7.0,
            x + 20.0,
            at + 4.0,
            escaped(&entry(picture, class, total))
        );
    }
    *y += present.len().div_ceil(COLUMNS) as f64 * LINE + 4.0;
}

/// A class in the legend.
fn entry(picture: &Picture, class: &Class, total: u64) -> String {
    let size = bytes(class.pages.saturating_mul(picture.page_size));
    match class.paint {
        Some(_) => format!("{}: {size}, {}", class.name, percent(class.pages, total)),
        None => format!("{}: {size}", class.name),
    }
}

fn tiles(out: &mut String, picture: &Picture, width: f64, y: &mut f64) {
    if picture.bytes.iter().all(|share| share.bytes == 0) {
        return;
    }
    let _ = writeln!(
        out,
        r#"<text x="{MARGIN}" y="{y}" style="font-size:14px;font-weight:600">{}</text>"#,
        escaped(&picture.bytes_title)
    );
    *y += 10.0;
    let area = Area { x: MARGIN, y: *y, width: width - 2.0 * MARGIN, height: TREEMAP_HEIGHT };
    out.push_str(&treemap::draw(picture, area));
    *y += TREEMAP_HEIGHT + MARGIN;
}

fn holes(out: &mut String, picture: &Picture, y: &mut f64) {
    if picture.holes.is_empty() {
        return;
    }
    let note = escaped(&picture.holes_note);
    let _ = writeln!(out, r#"<text x="{MARGIN}" y="{y}" style="font-size:14px;font-weight:600">Largest holes</text>"#);
    let _ = writeln!(out, r#"<text x="{}" y="{y}" class="at">{note}</text>"#, MARGIN + 122.0);
    for (place, hole) in picture.holes.iter().enumerate() {
        let x = MARGIN + (place % 3) as f64 * COLUMN * 4.0 / 3.0;
        let at = *y + LINE * (1 + place / 3) as f64;
        let size = bytes(hole.pages().saturating_mul(picture.page_size));
        let _ = writeln!(out, r#"<text x="{x}" y="{at}">{size}: pfn {}</text>"#, pfns(*hole));
    }
    *y += LINE * (1 + picture.holes.len().div_ceil(3)) as f64;
}
