//! The map as JSON, by docs/schema/map.json.

use super::Seen;
use crate::plan::MapPlan;
use dump::{ClassCounts, CodecId, NodeSpan, PageBlocks, PageClass, PfnRange, Reason};
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the JSON below; fields may be added to it without a new one (docs/map.md).
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    files: Vec<String>,
    system: String,
    classified: bool,
    zeros_read: bool,
    page_size: usize,
    end_pfn: u64,
    /// Pages of each class.
    pages: BTreeMap<&'static str, u64>,
    report: Left,
    holes: HolesReport,
    nodes: Vec<NodeReport>,
    dump: DumpReport,
    map: MapReport,
}

/// What a dump of level 31 leaves out, as its report has it.
#[derive(Serialize)]
struct Left {
    ram: u64,
    not_held: u64,
    zero: Option<u64>,
    cache: u64,
    private_cache: u64,
    user: u64,
    free: u64,
    hwpoison: u64,
    offline: u64,
    unaccepted: u64,
    unproven: u64,
}

#[derive(Serialize)]
struct HolesReport {
    count: u64,
    pages: u64,
    largest: Vec<Range>,
}

#[derive(Serialize)]
struct Range {
    first_pfn: u64,
    end_pfn: u64,
}

#[derive(Serialize)]
struct NodeReport {
    id: u64,
    first_pfn: u64,
    end_pfn: u64,
    zones: Vec<ZoneReport>,
}

#[derive(Serialize)]
struct ZoneReport {
    name: String,
    first_pfn: u64,
    end_pfn: u64,
}

#[derive(Serialize)]
struct DumpReport {
    dump_level: u32,
    codec: Option<&'static str>,
    pages: u64,
    bytes: u64,
    head_bytes: u64,
    sampled_pages: u64,
    classes: BTreeMap<&'static str, BytesReport>,
}

#[derive(Serialize)]
struct BytesReport {
    pages: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct MapReport {
    block_pages: u64,
    /// What the numbers of a block are of.
    classes: Vec<&'static str>,
    rows: Vec<RowReport>,
}

#[derive(Serialize)]
struct RowReport {
    first_pfn: u64,
    blocks: Vec<Vec<u64>>,
}

/// The map, on one line: blocks are many.
pub(super) fn json(plan: &MapPlan, seen: &Seen) -> String {
    let map = &seen.map;
    let report = Report {
        schema_version: SCHEMA_VERSION,
        files: plan.inputs.paths.iter().map(|path| path.display().to_string()).collect(),
        system: seen.system.clone(),
        classified: seen.classified,
        zeros_read: map.zeros,
        page_size: map.page_size.bytes(),
        end_pfn: map.end.0,
        pages: PageClass::ALL.into_iter().map(|class| (class.name(), map.totals.of(class))).collect(),
        report: left(seen),
        holes: HolesReport {
            count: map.holes.count,
            pages: map.holes.pages,
            largest: map.holes.largest.iter().map(|hole| range(*hole)).collect(),
        },
        nodes: map.nodes.iter().map(node).collect(),
        dump: dump(seen),
        map: blocks(seen),
    };
    format!("{}\n", serde_json::to_string(&report).unwrap_or_default())
}

fn left(seen: &Seen) -> Left {
    let (totals, tally) = (&seen.map.totals, &seen.map.tally);
    Left {
        ram: totals.total() - totals.of(PageClass::Hole),
        not_held: totals.of(PageClass::Excluded),
        zero: seen.map.zeros.then(|| totals.of(PageClass::Zero)),
        cache: tally.count(Reason::Cache),
        private_cache: tally.count(Reason::CachePrivate),
        user: tally.count(Reason::User),
        free: tally.count(Reason::Free),
        hwpoison: tally.count(Reason::Hwpoison),
        offline: tally.count(Reason::Offline),
        unaccepted: tally.count(Reason::Unaccepted),
        unproven: tally.total_doubtful(),
    }
}

fn range(pages: PfnRange) -> Range {
    Range { first_pfn: pages.start.0, end_pfn: pages.end.0 }
}

fn node(node: &NodeSpan) -> NodeReport {
    let zone = |zone: &dump::ZoneSpan| ZoneReport {
        name: zone.name.clone(),
        first_pfn: zone.pages.start.0,
        end_pfn: zone.pages.end.0,
    };
    NodeReport {
        id: node.id,
        first_pfn: node.pages.start.0,
        end_pfn: node.pages.end.0,
        zones: node.zones.iter().map(zone).collect(),
    }
}

fn dump(seen: &Seen) -> DumpReport {
    let dump = &seen.map.dump;
    let of = |(class, pages): (PageClass, u64)| (class.name(), BytesReport { pages, bytes: dump.bytes(class) });
    DumpReport {
        dump_level: dump.level.bits(),
        codec: dump.codec.map(CodecId::name),
        pages: dump.pages.total(),
        bytes: dump.total(),
        head_bytes: dump.head,
        sampled_pages: dump.sampled,
        classes: dump.pages.each().map(of).collect(),
    }
}

/// The blocks, with numbers of those classes that there are in any of them.
fn blocks(seen: &Seen) -> MapReport {
    let map = &seen.map;
    let there = |class: &PageClass| map.counts.iter().any(|counts| counts.of(*class) != 0);
    let classes: Vec<PageClass> = PageClass::ALL.into_iter().filter(there).collect();
    let numbers = |counts: &ClassCounts| classes.iter().map(|class| counts.of(*class)).collect();
    let rows = map.blocks.rows().zip(map.counts.chunks(PageBlocks::COLUMNS as usize));
    MapReport {
        block_pages: map.blocks.pages_per_block(),
        classes: classes.iter().map(|class| class.name()).collect(),
        rows: rows
            .map(|(pages, counts)| RowReport { first_pfn: pages.start.0, blocks: counts.iter().map(numbers).collect() })
            .collect(),
    }
}
