//! The map: rows of cells, each filled from below by its classes.
//!
//! ```text
//!   0x0 ████████████████ 0 B      ▾ node 0, DMA
//!  0x80 ▄▄▄▄████████▄▄▄▄ 512 KiB
//!       ── 3 GiB without RAM ──
//! ```
//!
//! All of a class is one path of horizontal strokes, a quarter of a cell high: `M12 3h4` is four cells' quarter. So the
//! worst that there can be (four strokes a cell) takes less than 40 bytes a cell.

use crate::markup::escaped;
use crate::picture::{Picture, Stretch, pfns};
use crate::shares::Shares;
use crate::units::{bytes, grouped};
use std::fmt::Write;

/// Quarters of a cell.
pub(crate) const PARTS: u64 = 4;

/// Quarters from one row to the next, and those that a gap takes.
const PITCH: u64 = 5;
const GAP: u64 = 5;

/// A cell and a quarter of one (user units).
pub(crate) const CELL: f64 = 7.5;
pub(crate) const PART: f64 = 5.0;

/// What is left and right of the cells, for labels, and above them.
pub(crate) const LEFT: f64 = 96.0;
pub(crate) const RIGHT: f64 = 224.0;
pub(crate) const TOP: f64 = 22.0;

/// A map, laid out.
pub(crate) struct Map<'a> {
    picture: &'a Picture,
    /// Where each row begins, in quarters from the top.
    pub(crate) tops: Vec<u64>,
}

impl<'a> Map<'a> {
    pub(crate) fn new(picture: &'a Picture) -> Map<'a> {
        let (mut tops, mut at) = (Vec::new(), 0);
        for i in 0..picture.rows.len() {
            at += if picture.gap_before(i).is_some() { GAP } else { 0 };
            tops.push(at);
            at += PITCH;
        }
        Map { picture, tops }
    }

    pub(crate) fn width(&self) -> f64 {
        LEFT + self.cells_width() + RIGHT
    }

    pub(crate) fn height(&self) -> f64 {
        TOP + self.tops.last().map_or(0, |top| top + PITCH) as f64 * PART
    }

    fn cells_width(&self) -> f64 {
        self.picture.columns() as f64 * CELL
    }

    fn y(&self, row: usize) -> f64 {
        TOP + self.tops.get(row).copied().unwrap_or(0) as f64 * PART
    }

    /// What a cell is.
    pub(crate) fn caption(&self) -> String {
        let block = self.picture.block;
        let pages = if block == 1 { "page" } else { "pages" };
        let size = bytes(block.saturating_mul(self.picture.page_size));
        format!("A cell is {} {pages}, {size}; its classes fill it from below, in quarters.", grouped(block))
    }

    /// The map as a part of an SVG, without tooltips.
    pub(crate) fn draw(&self) -> String {
        let mut out = String::new();
        self.ground(&mut out);
        self.cells(&mut out);
        self.labels(&mut out);
        self.gaps(&mut out);
        self.marks(&mut out);
        out
    }

    /// What is behind the cells, and shows where there is none.
    fn ground(&self, out: &mut String) {
        let (width, height) = (self.cells_width(), PART * PARTS as f64);
        for i in 0..self.picture.rows.len() {
            let _ =
                write!(out, r#"<rect class="ground" x="{LEFT}" y="{}" width="{width}" height="{height}"/>"#, self.y(i));
        }
        out.push('\n');
    }

    /// A path a class.
    fn cells(&self, out: &mut String) {
        // strokes lie in the middle of their quarter
        let _ = writeln!(
            out,
            r#"<g class="cells" transform="translate({LEFT},{}) scale({CELL},{PART})">"#,
            TOP + PART / 2.0
        );
        let mut paths = vec![String::new(); self.picture.classes.len()];
        for (row, top) in self.picture.rows.iter().zip(&self.tops) {
            let mut shares = Shares::default();
            let cells: Vec<Vec<usize>> = row.cells.iter().map(|counts| shares.fill(counts, PARTS)).collect();
            (0..PARTS).for_each(|part| strokes(&cells, part, top + PARTS - 1 - part, &mut paths));
        }
        for (i, (path, class)) in paths.iter().zip(&self.picture.classes).enumerate() {
            if class.paint.is_some() && !path.is_empty() {
                let _ = writeln!(out, r#"<path class="c{i}" d="{path}"/>"#);
            }
        }
        out.push_str("</g>\n");
    }

    /// Page frames on the left, addresses on the right.
    fn labels(&self, out: &mut String) {
        let (left, right) = (LEFT - 8.0, LEFT + self.cells_width() + 8.0);
        let _ = writeln!(
            out,
            r#"<text class="pfn" x="{left}" y="11">pfn</text><text class="at" x="{right}" y="11">address</text>"#
        );
        for (i, row) in self.picture.rows.iter().enumerate() {
            let (y, at) = (self.y(i) + 14.0, row.first.saturating_mul(self.picture.page_size));
            let _ = writeln!(
                out,
                r#"<text class="pfn" x="{left}" y="{y}">{:#x}</text><text class="at" x="{right}" y="{y}">{}</text>"#,
                row.first,
                bytes(at)
            );
        }
    }

    /// What is left out between rows.
    fn gaps(&self, out: &mut String) {
        for i in 0..self.picture.rows.len() {
            let Some(gap) = self.picture.gap_before(i) else { continue };
            let (y, end) = (self.y(i) - 14.0, LEFT + self.cells_width());
            let middle = LEFT + self.cells_width() / 2.0;
            let size = bytes(gap.pages().saturating_mul(self.picture.page_size));
            let _ = writeln!(
                out,
                r#"<path class="gap" d="M{LEFT} {y}H{end}"/><text class="gap" x="{middle}" y="{}">{size} without RAM, pfn {}</text>"#,
                y + 4.0,
                pfns(gap)
            );
        }
    }

    /// A notch where each node or zone begins, and its name beside the row.
    fn marks(&self, out: &mut String) {
        let x = LEFT + self.cells_width() + 84.0;
        let mut names: Vec<Vec<&str>> = vec![Vec::new(); self.picture.rows.len()];
        for mark in &self.picture.marks {
            let Some((row, column)) = self.place(mark.pages.first) else { continue };
            let (at, y) = (LEFT + column as f64 * CELL, self.y(row));
            let title = escaped(&mark.name);
            let _ = writeln!(
                out,
                r#"<path class="mark" d="M{at} {}v{}M{} {}h8l-4 5z"><title>{title}: pfn {}</title></path>"#,
                y - 1.0,
                PART * PARTS as f64 + 2.0,
                at - 4.0,
                y - 6.0,
                pfns(mark.pages)
            );
            names.get_mut(row).into_iter().for_each(|names| names.push(&mark.name));
        }
        for (i, names) in names.iter().enumerate().filter(|(_, names)| !names.is_empty()) {
            let text = shortened(names);
            let _ = writeln!(out, r#"<text class="name" x="{x}" y="{}">{}</text>"#, self.y(i) + 14.0, escaped(&text));
        }
    }

    /// The cell of a page frame, or the next that there is.
    fn place(&self, pfn: u64) -> Option<(usize, u64)> {
        let (pages, rows) = (self.picture.row_pages(), &self.picture.rows);
        let row = rows.partition_point(|row| row.first + pages <= pfn);
        let first = rows.get(row)?.first;
        Some((row, pfn.saturating_sub(first) / self.picture.block.max(1)))
    }

    /// Areas that answer a pointer: of each row's pieces of 16 cells, which page frames and what they are.
    pub(crate) fn titles(&self) -> String {
        let mut out = String::from("<g class=\"titles\">\n");
        for (i, row) in self.picture.rows.iter().enumerate() {
            for (piece, cells) in row.cells.chunks(16).enumerate() {
                let (x, width) = (LEFT + piece as f64 * 16.0 * CELL, cells.len() as f64 * CELL);
                let title = self.title(row.first + piece as u64 * 16 * self.picture.block, cells);
                let (y, height) = (self.y(i), PART * PARTS as f64);
                let _ = title.map(|title| {
                    writeln!(
                        out,
                        r#"<rect x="{x}" y="{y}" width="{width}" height="{height}"><title>{title}</title></rect>"#
                    )
                });
            }
        }
        out + "</g>\n"
    }

    /// What is in cells from page frame `first` on; `None` past the end.
    fn title(&self, first: u64, cells: &[Vec<u64>]) -> Option<String> {
        let mut sums = vec![0u64; self.picture.classes.len()];
        cells.iter().for_each(|counts| sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count));
        let total: u64 = sums.iter().sum();
        let mut title = format!("pfn {}", pfns(Stretch { first, end: first + total }));
        for (class, pages) in self.picture.classes.iter().zip(&sums).filter(|(_, pages)| **pages != 0) {
            let _ = write!(title, "\n{} {}", escaped(&class.name), bytes(pages.saturating_mul(self.picture.page_size)));
        }
        (total != 0).then_some(title)
    }
}

/// Names beside a row, as many as there is room for.
fn shortened(names: &[&str]) -> String {
    const ROOM: usize = 24;
    let all = names.join(", ");
    if all.chars().count() <= ROOM {
        return all;
    }
    let mut text = String::new();
    let fit = names.iter().take_while(|name| {
        text = if text.is_empty() { (**name).to_owned() } else { format!("{text}, {name}") };
        text.chars().count() <= ROOM - 4
    });
    let fit = fit.count().max(1);
    format!("{} +{}", names.iter().take(fit).copied().collect::<Vec<_>>().join(", "), names.len() - fit)
}

/// Adds the strokes of one quarter of a row's cells, which lies `y` quarters from the top.
fn strokes(cells: &[Vec<usize>], part: u64, y: u64, paths: &mut [String]) {
    let class = |i: usize| cells.get(i).and_then(|parts| parts.get(part as usize)).copied();
    let mut from = 0;
    while from < cells.len() {
        let len = (from..cells.len()).take_while(|i| class(*i) == class(from)).count();
        if let Some(path) = class(from).and_then(|class| paths.get_mut(class)) {
            let _ = write!(path, "M{from} {y}h{len}");
        }
        from += len;
    }
}
