//! What there is to be drawn.

/// How a class is painted. Colours are told apart by those too who see few of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// On a light ground, as CSS has it.
    pub light: &'static str,
    /// On a dark ground.
    pub dark: &'static str,
    /// One of the 256 colours of a terminal.
    pub terminal: u8,
    /// Where there are no colours.
    pub letter: char,
}

/// A class of page frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What it is, in a few words.
    pub meaning: String,
    /// How it is painted; `None` for what is not there.
    pub paint: Option<Paint>,
    /// Page frames of it.
    pub pages: u64,
    /// Those of them that go into the dump.
    pub dumped: u64,
}

/// Cells side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first page frame of the first.
    pub first: u64,
    /// Page frames of each class in each cell; none in cells that lie past the end.
    pub cells: Vec<Vec<u64>>,
}

/// Page frames with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What they are called.
    pub name: String,
    /// Which they are.
    pub pages: Stretch,
}

/// Page frames from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first.
    pub first: u64,
    /// The one after the last.
    pub end: u64,
}

impl Stretch {
    /// How many they are.
    pub fn pages(self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// Where bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// The class they are of, by its place among all; `None` for what is of none.
    pub class: Option<usize>,
    /// What they are called.
    pub name: String,
    /// How many.
    pub bytes: u64,
}

/// A picture of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it is of.
    pub title: String,
    /// What else is to be said, a line each.
    pub facts: Vec<String>,
    /// Bytes of a page.
    pub page_size: u64,
    /// Page frames of a cell.
    pub block: u64,
    /// The classes, in the order in which a cell is filled from below.
    pub classes: Vec<Class>,
    /// The rows, ascending; between two that are not neighbours there is nothing.
    pub rows: Vec<Row>,
    /// Nodes and zones.
    pub marks: Vec<Mark>,
    /// The largest holes.
    pub holes: Vec<Stretch>,
    /// What else is to be said of holes.
    pub holes_note: String,
    /// What the bytes are of.
    pub bytes_title: String,
    /// Where they go.
    pub bytes: Vec<Bytes>,
}

impl Picture {
    /// Cells of a row.
    pub fn columns(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0)
    }

    /// Page frames that a row spans.
    pub(crate) fn row_pages(&self) -> u64 {
        self.columns() as u64 * self.block
    }

    /// What lies between row `i` and the one before; `None` where they are neighbours.
    pub(crate) fn gap_before(&self, i: usize) -> Option<Stretch> {
        let row = self.rows.get(i)?;
        let before = i.checked_sub(1).and_then(|i| self.rows.get(i)).map_or(0, |row| row.first + self.row_pages());
        (before < row.first).then_some(Stretch { first: before, end: row.first })
    }

    /// The classes that there is something of.
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, &Class)> {
        self.classes.iter().enumerate().filter(|(_, class)| class.pages != 0)
    }

    /// Page frames of all classes that are painted.
    pub(crate) fn painted_pages(&self) -> u64 {
        self.classes.iter().filter(|class| class.paint.is_some()).map(|class| class.pages).sum()
    }
}

/// Two page frames, as people write them.
pub(crate) fn pfns(pages: Stretch) -> String {
    format!("{:#x} to {:#x}", pages.first, pages.end.saturating_sub(1))
}

/// `part` of `all` in percent, as people write it.
pub(crate) fn percent(part: u64, all: u64) -> String {
    let share = if all == 0 { 0.0 } else { part as f64 * 100.0 / all as f64 };
    match share {
        _ if part == 0 => "0 %".to_owned(),
        share if share < 0.1 => "< 0.1 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A machine of two classes, and a hole.
    pub(crate) fn small() -> Picture {
        let paint = |terminal, letter| Paint { light: "#0072b2", dark: "#0072b2", terminal, letter };
        let class = |name: &str, paint, pages| Class {
            name: name.to_owned(),
            meaning: format!("what is {name}"),
            paint,
            pages,
            dumped: pages / 2,
        };
        let row = |first, cells: &[[u64; 3]]| Row { first, cells: cells.iter().map(|cell| cell.to_vec()).collect() };
        Picture {
            title: "Memory of <vmcore>".to_owned(),
            facts: vec!["Linux & more".to_owned()],
            page_size: 4096,
            block: 8,
            classes: vec![
                class("a", Some(paint(1, 'a')), 24),
                class("b", Some(paint(2, 'b')), 13),
                class("hole", None, 995),
            ],
            rows: vec![
                row(0, &[[8, 0, 0], [8, 0, 0], [4, 4, 0], [0, 8, 0]]),
                row(0x400, &[[0, 5, 0], [0; 3], [0; 3], [0; 3]]),
            ],
            marks: vec![Mark { name: "node 0, DMA".to_owned(), pages: Stretch { first: 0, end: 0x405 } }],
            holes: vec![Stretch { first: 32, end: 0x400 }],
            holes_note: "one hole".to_owned(),
            bytes_title: "A dump of level 0: 3 KiB".to_owned(),
            bytes: vec![
                Bytes { class: Some(0), name: "a".to_owned(), bytes: 2048 },
                Bytes { class: None, name: "headers".to_owned(), bytes: 1024 },
            ],
        }
    }

    #[test]
    fn gaps_are_between_rows_that_are_no_neighbours() {
        let picture = small();
        assert_eq!(picture.gap_before(0), None);
        assert_eq!(picture.gap_before(1), Some(Stretch { first: 32, end: 0x400 }));
    }

    #[test]
    fn shares() {
        assert_eq!([percent(0, 9), percent(1, 9000), percent(1, 3)], ["0 %", "< 0.1 %", "33.3 %"]);
    }
}
