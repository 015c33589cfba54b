//! The map as a picture: what classes are called and painted with.
//!
//! The colours are those of Okabe and Ito, which people tell apart who see few of them; what is of little interest is
//! grey.

use super::Seen;
use crate::escape::escaped_line;
use crate::plan::MapPlan;
use dump::{CodecId, NodeSpan, PageClass, PfnRange};
use dump_picture::{Bytes, Class, Mark, Paint, Picture, Row, Stretch, bytes};

/// The classes, in the order in which a cell is filled from below.
const ORDER: [PageClass; 12] = [
    PageClass::Kernel,
    PageClass::Slab,
    PageClass::Unclassified,
    PageClass::Zero,
    PageClass::CachePrivate,
    PageClass::Cache,
    PageClass::Huge,
    PageClass::User,
    PageClass::Unreadable,
    PageClass::Excluded,
    PageClass::Free,
    PageClass::Hole,
];

fn paint(class: PageClass) -> Option<Paint> {
    let (light, dark, terminal, letter) = match class {
        PageClass::Kernel => ("#009e73", "#009e73", 36, 'k'),
        PageClass::Slab => ("#cc79a7", "#cc79a7", 175, 's'),
        PageClass::Unclassified => ("#56708c", "#7c97b5", 67, 'm'),
        PageClass::Zero => ("#f0e442", "#f0e442", 227, 'z'),
        PageClass::CachePrivate => ("#d55e00", "#d55e00", 166, 'p'),
        PageClass::Cache => ("#e69f00", "#e69f00", 214, 'c'),
        PageClass::Huge => ("#56b4e9", "#56b4e9", 74, 'h'),
        PageClass::User => ("#0072b2", "#2f8fd0", 25, 'u'),
        PageClass::Unreadable => ("#000000", "#ffffff", 196, '!'),
        PageClass::Excluded => ("#98a2ab", "#6d7881", 246, 'x'),
        PageClass::Free => ("#e3e8ec", "#39434b", 239, '.'),
        PageClass::Hole => return None,
    };
    Some(Paint { light, dark, terminal, letter })
}

/// What a class is called in pictures.
fn name(class: PageClass) -> String {
    class.name().replace('_', " ")
}

/// The picture.
pub(super) fn picture(plan: &MapPlan, seen: &Seen) -> Picture {
    let map = &seen.map;
    let page_size = map.page_size.bytes() as u64;
    Picture {
        title: title(plan),
        facts: facts(seen),
        page_size,
        block: map.blocks.pages_per_block(),
        classes: ORDER.map(|class| drawn(seen, class)).to_vec(),
        rows: rows(seen),
        marks: map.nodes.iter().flat_map(marks).collect(),
        holes: map.holes.largest.iter().map(|hole| stretch(*hole)).collect(),
        holes_note: holes_note(seen),
        bytes_title: bytes_title(seen),
        bytes: shares(seen),
    }
}

fn title(plan: &MapPlan) -> String {
    let names: Vec<String> = plan.inputs.paths.iter().map(|path| base(path)).collect();
    escaped_line(&format!("Memory of {}", names.join(", "))).into_owned()
}

fn base(path: &std::path::Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn facts(seen: &Seen) -> Vec<String> {
    let map = &seen.map;
    let ram = map.totals.total() - map.totals.of(PageClass::Hole);
    let page = map.page_size.bytes() as u64;
    let (size, end) = (bytes(ram.saturating_mul(page)), map.end.0.saturating_mul(page));
    let system = escaped_line(&seen.system);
    let mut facts = vec![format!("{system}; {size} of RAM in pages of {}, up to {}", bytes(page), bytes(end))];
    if !seen.classified {
        facts.push("What pages are used for is not known.".to_owned());
    }
    facts
}

fn drawn(seen: &Seen, class: PageClass) -> Class {
    Class {
        name: name(class),
        meaning: class.meaning().to_owned(),
        paint: paint(class),
        pages: seen.map.totals.of(class),
        dumped: seen.map.dump.pages.of(class),
    }
}

fn rows(seen: &Seen) -> Vec<Row> {
    let (map, columns) = (&seen.map, dump::PageBlocks::COLUMNS as usize);
    let rows = map.blocks.rows().zip(map.counts.chunks(columns));
    rows.map(|(pages, counts)| Row {
        first: pages.start.0,
        cells: counts.iter().map(|counts| ORDER.map(|class| counts.of(class)).to_vec()).collect(),
    })
    .collect()
}

fn marks(node: &NodeSpan) -> Vec<Mark> {
    let zone = |zone: &dump::ZoneSpan| Mark { name: zone.name.clone(), pages: stretch(zone.pages) };
    let own = Mark { name: format!("node {}", node.id), pages: stretch(node.pages) };
    [own].into_iter().chain(node.zones.iter().map(zone)).collect()
}

fn stretch(pages: PfnRange) -> Stretch {
    Stretch { first: pages.start.0, end: pages.end.0 }
}

fn holes_note(seen: &Seen) -> String {
    let holes = &seen.map.holes;
    let size = bytes(holes.pages.saturating_mul(seen.map.page_size.bytes() as u64));
    let what = if holes.count == 1 { "hole" } else { "holes" };
    format!("{} {what} below the end of memory, {size} in all", holes.count)
}

fn bytes_title(seen: &Seen) -> String {
    let dump = &seen.map.dump;
    let codec = dump.codec.map_or("no codec", CodecId::name);
    format!(
        "Where the bytes of a dump go: level {}, {codec}, {} (estimated by {} pages)",
        dump.level.bits(),
        bytes(dump.total()),
        dump.sampled
    )
}

fn shares(seen: &Seen) -> Vec<Bytes> {
    let dump = &seen.map.dump;
    let of = |(i, class): (usize, PageClass)| Bytes { class: Some(i), name: name(class), bytes: dump.bytes(class) };
    let head = Bytes { class: None, name: "headers, bitmaps".to_owned(), bytes: dump.head };
    ORDER.into_iter().enumerate().map(of).chain([head]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_drawn_once_in_its_own_way() {
        for class in PageClass::ALL {
            assert_eq!(ORDER.iter().filter(|other| **other == class).count(), 1, "{class:?}");
        }
        let mut letters: Vec<char> = PageClass::ALL.into_iter().filter_map(paint).map(|paint| paint.letter).collect();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), PageClass::ALL.len() - 1);
    }
}
