//! The picture on a terminal: two halves a cell in colours, or a letter.

use crate::picture::{Class, Paint, Picture, percent, pfns};
use crate::shares::{Shares, most};
use crate::units::{bytes, grouped};
use std::fmt::Write;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Columns of a line.
    pub width: usize,
    /// Whether it has colours (256 of them), and they are wanted.
    pub colours: bool,
    /// Whether it has more than ASCII.
    pub unicode: bool,
}

/// Fewer cells in a line are no picture.
const LEAST: usize = 8;

/// A half that is painted, the other being the ground.
const UPPER: char = '▀';
const LOWER: char = '▄';

const RESET: &str = "\x1b[0m";

/// Lines of holes that are shown.
const HOLES: usize = 3;

/// The picture as text. Where there are no colours, no line has a control character.
pub fn terminal(picture: &Picture, terminal: Terminal) -> String {
    let mut out = format!("{}\n", cut(&picture.title, terminal.width));
    for fact in &picture.facts {
        let _ = writeln!(out, "{}", cut(fact, terminal.width));
    }
    map(&mut out, picture, terminal);
    legend(&mut out, picture, terminal);
    notes(&mut out, picture, terminal);
    out
}

/// As much of a line as fits.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn map(out: &mut String, picture: &Picture, terminal: Terminal) {
    let label = picture.rows.iter().map(|row| format!("{:#x}", row.first).len()).max().unwrap_or(0);
    let room = terminal.width.saturating_sub(label + 2).max(LEAST).min(picture.columns().max(1));
    // a power of two, so that each line's cells share one boundary
    let cells = picture.columns().div_ceil(1 << room.ilog2()).max(1);
    for (i, row) in picture.rows.iter().enumerate() {
        if let Some(gap) = picture.gap_before(i) {
            let size = bytes(gap.pages().saturating_mul(picture.page_size));
            let _ = writeln!(out, "{}", cut(&format!("{:label$} ~ {size} without RAM ~", ""), terminal.width));
        }
        let _ = write!(out, "{:>label$} ", format!("{:#x}", row.first));
        let blocks: Vec<Vec<u64>> = row.cells.chunks(cells).map(sum).collect();
        match terminal.colours {
            true => coloured(out, picture, &blocks, terminal.unicode),
            false => letters(out, picture, &blocks),
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
    let block = picture.block.saturating_mul(cells as u64);
    let size = bytes(block.saturating_mul(picture.page_size));
    let _ = writeln!(out, "{}", cut(&format!("one cell: {} pages, {size}", grouped(block)), terminal.width));
}

fn sum(cells: &[Vec<u64>]) -> Vec<u64> {
    let classes = cells.iter().map(Vec::len).max().unwrap_or(0);
    (0..classes).map(|class| cells.iter().filter_map(|counts| counts.get(class)).sum()).collect()
}

fn paint(picture: &Picture, class: Option<usize>) -> Option<Paint> {
    class.and_then(|class| picture.classes.get(class)?.paint)
}

/// A letter a cell: of the class that it has most of.
fn letters(out: &mut String, picture: &Picture, cells: &[Vec<u64>]) {
    let letter = |counts: &Vec<u64>| paint(picture, most(counts)).map_or(' ', |paint| paint.letter);
    out.extend(cells.iter().map(letter));
}

/// Two halves a cell, or a letter on the colour of its class.
fn coloured(out: &mut String, picture: &Picture, cells: &[Vec<u64>], unicode: bool) {
    let (mut last, mut shares) = (String::new(), Shares::default());
    for counts in cells {
        let (code, drawn) = if unicode { halves(picture, &shares.fill(counts, 2)) } else { tile(picture, counts) };
        if code != last {
            out.push_str(&code);
            last = code;
        }
        out.push(drawn);
    }
    out.push_str(RESET);
}

/// The two halves of a cell: one is painted, the other is the ground.
fn halves(picture: &Picture, halves: &[usize]) -> (String, char) {
    match (paint(picture, halves.get(1).copied()), paint(picture, halves.first().copied())) {
        (Some(upper), Some(lower)) => (format!("\x1b[38;5;{};48;5;{}m", upper.terminal, lower.terminal), UPPER),
        (Some(upper), None) => (format!("\x1b[38;5;{};49m", upper.terminal), UPPER),
        (None, Some(lower)) => (format!("\x1b[38;5;{};49m", lower.terminal), LOWER),
        (None, None) => (RESET.to_owned(), ' '),
    }
}

/// A letter, black on the colour of the class that the cell has most of.
fn tile(picture: &Picture, counts: &[u64]) -> (String, char) {
    match paint(picture, most(counts)) {
        Some(paint) => (format!("\x1b[38;5;16;48;5;{}m", paint.terminal), paint.letter),
        None => (RESET.to_owned(), ' '),
    }
}

fn legend(out: &mut String, picture: &Picture, terminal: Terminal) {
    let total = picture.painted_pages();
    let names = picture.present().map(|(_, class)| class.name.chars().count()).max().unwrap_or(0);
    for (_, class) in picture.present() {
        let size = bytes(class.pages.saturating_mul(picture.page_size));
        let share = if class.paint.is_some() { percent(class.pages, total) } else { String::new() };
        let (name, pages, room) = (&class.name, grouped(class.pages), terminal.width.saturating_sub(2));
        let lines = [
            format!("{name:<names$} {pages:>14} pages {size:>10} {share:>8}"),
            format!("{name:<names$} {size:>10} {share:>8}"),
            format!("{name:<names$} {size:>10}"),
        ];
        let line = lines.into_iter().find(|line| line.len() <= room).unwrap_or_else(|| cut(name, room));
        let _ = writeln!(out, "{} {}", swatch(class, terminal), line.trim_end());
    }
}

/// What a class is drawn with.
fn swatch(class: &Class, terminal: Terminal) -> String {
    match class.paint {
        None => " ".to_owned(),
        Some(paint) if !terminal.colours => paint.letter.to_string(),
        Some(paint) if terminal.unicode => format!("\x1b[38;5;{}m█{RESET}", paint.terminal),
        Some(paint) => format!("\x1b[38;5;16;48;5;{}m{}{RESET}", paint.terminal, paint.letter),
    }
}

fn notes(out: &mut String, picture: &Picture, terminal: Terminal) {
    let mut line = |text: &str| {
        let _ = writeln!(out, "{}", cut(text, terminal.width));
    };
    for mark in &picture.marks {
        line(&format!("{}: pfn {}", mark.name, pfns(mark.pages)));
    }
    for hole in picture.holes.iter().take(HOLES) {
        line(&format!("hole of {}: pfn {}", bytes(hole.pages().saturating_mul(picture.page_size)), pfns(*hole)));
    }
    let total: u64 = picture.bytes.iter().map(|share| share.bytes).sum();
    if total != 0 {
        line(&picture.bytes_title);
    }
    for share in picture.bytes.iter().filter(|share| share.bytes != 0) {
        line(&format!("  {:<16} {:>10} {:>8}", share.name, bytes(share.bytes), percent(share.bytes, total)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::small;

    #[test]
    fn letters_where_there_are_no_colours() {
        let text = terminal(&small(), Terminal { width: 40, colours: false, unicode: false });
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.is_ascii() && lines.iter().all(|line| line.len() <= 40), "{text}");
        assert!(lines.contains(&"  0x0 aaab"), "{text}");
        assert!(lines.contains(&"0x400 b"), "{text}");
        assert!(text.contains("3.9 MiB without RAM"), "{text}");
        assert!(lines.contains(&"a a        96 KiB   64.9 %"), "{text}");
        let wide = terminal(&small(), Terminal { width: 80, colours: false, unicode: false });
        assert!(wide.contains("\na a                24 pages     96 KiB   64.9 %\n"), "{wide}");
    }

    #[test]
    fn halves_in_colours() {
        let text = terminal(&small(), Terminal { width: 40, colours: true, unicode: true });
        // a cell of one class, then one of two, whose first is below
        assert!(
            text.contains("  0x0 \x1b[38;5;1;48;5;1m▀▀\x1b[38;5;2;48;5;1m▀\x1b[38;5;2;48;5;2m▀\x1b[0m"),
            "{text:?}"
        );
        let ascii = terminal(&small(), Terminal { width: 40, colours: true, unicode: false });
        assert!(ascii.is_ascii() && ascii.contains("48;5;1maa"), "{ascii:?}");
    }

    #[test]
    fn narrow_lines_stay_narrow() {
        for width in [1, 8, 12, 20, 79, 200] {
            let text = terminal(&small(), Terminal { width, colours: false, unicode: true });
            assert!(text.lines().all(|line| line.chars().count() <= width.max(LEAST + 8)), "{width}: {text}");
        }
    }
}
