//! Dumps of every type, made by dump-synth, come back page for page.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

mod dumps;

use dump_core::*;
use dump_kit::check_source;
use dump_synth::{DmpFile, DmpKind};
use dump_win::{DumpType, open};
use dumps::*;

const STEPS: [u64; 4] = [1, 3, 7, 64];

#[test]
fn full_dumps_of_both_header_sizes() {
    for file in [DmpFile::new(DmpKind::Full, &RUNS), DmpFile::new(DmpKind::Full, &RUNS).narrow()] {
        let dump = open(file.to_bytes(page)).unwrap();
        assert!(dump.damage().is_none() && dump.header_faults().is_empty());
        assert!(check_source(&dump, END, &STEPS) == expected(&file));
        let machine = if file.narrow { "i686" } else { "x86_64" };
        assert_eq!((dump.meta().machine.name(), dump.meta().cpus()), (Some(machine), 2));
        assert_eq!(dump.describe().producer, Some("full"));
    }
}

#[test]
fn bitmaps_and_lists_say_what_is_left_out() {
    for kind in [DmpKind::Bitmap(5), DmpKind::Bitmap(6), DmpKind::Ranges(8), DmpKind::Ranges(9), DmpKind::Ranges(10)] {
        for more_bits in [0, 1, 63, 500] {
            let file = DmpFile { more_bits, ..DmpFile::new(kind, &RUNS).without([2, 3, 0x41, 0x105]) };
            let dump = open(file.to_bytes(page)).unwrap();
            assert!(dump.damage().is_none() && dump.header_faults().is_empty(), "{kind:?}");
            assert!(check_source(&dump, END, &STEPS) == expected(&file), "{kind:?}");
        }
    }
}

#[test]
fn arm64_is_a_machine() {
    let file = DmpFile { machine: 0xaa64, ..DmpFile::new(DmpKind::Bitmap(5), &RUNS) };
    assert_eq!(open(file.to_bytes(page)).unwrap().meta().machine.name(), Some("aarch64"));
    let other = DmpFile { machine: 0x1234, ..DmpFile::new(DmpKind::Full, &RUNS) };
    let dump = open(other.to_bytes(page)).unwrap();
    let faults: Vec<String> = dump.header_faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["MachineImageType 0x1234 at offset 0x30 is no machine that is known"]);
    assert!(!dump.doubts_pages() && check_source(&dump, END, &STEPS) == expected(&other));
}

/// Runs that are not known are no RAM but what is held; without any, a full dump has no page.
#[test]
fn runs_that_nobody_set() {
    let many: Vec<_> = (0..50).map(|i| 2 * i + 1..2 * i + 2).collect();
    let file = DmpFile::new(DmpKind::Bitmap(5), &many);
    let dump = open(file.to_bytes(page)).unwrap();
    assert!(dump.header_faults().is_empty());
    assert_eq!(check_source(&dump, Pfn(120), &STEPS).iter().filter(|page| page.is_ok()).count(), 50);
    let full = DmpFile { kind: DmpKind::Full, ..file };
    let e = open(full.to_bytes(page)).err().unwrap();
    assert_eq!(e.to_string(), "PhysicalMemoryBlock at offset 0x88 has no runs of memory");
}

#[test]
fn what_the_header_says() {
    let file = DmpFile::new(DmpKind::Full, &RUNS);
    let dump = open(file.to_bytes(page)).unwrap();
    let header = dump.header();
    assert_eq!((header.build(), header.cpus(), header.bugcheck_code()), (Some(19041), Some(2), Some(0xd1)));
    assert_eq!(header.bugcheck_parameters(), [0x1234, 2, 0, 0xffff_f803_0abc_def0]);
    assert_eq!((header.page_table(), header.debugger_data()), (Some(0x1aa000), Some(0xffff_f803_0ac0_1b20)));
    assert_eq!((header.system_time(), header.up_time()), (Some(1_705_526_400), Some(3600)));
    assert_eq!((header.comment().as_str(), header.dump_type()), ("made by hand", DumpType::Full));
    assert_eq!((header.modules(), header.pfn_database(), header.product_type()), (None, None, None));
    assert_eq!(dump.meta().crash_time, Some(1_705_526_400));
    let narrow = open(file.narrow().to_bytes(page)).unwrap();
    let header = narrow.header();
    assert_eq!(
        (header.build(), header.bugcheck_code(), header.debugger_data()),
        (Some(19041), Some(0xd1), Some(0x8293_0be8))
    );
    assert_eq!((header.page_table(), header.system_time()), (Some(0x1aa000), Some(1_705_526_400)));
    assert_eq!(header.comment(), "made by hand");
}

/// What has next to no memory is named.
#[test]
fn minidumps_and_summaries() {
    for (kind, name) in [(2, " (kernel summary)"), (3, " (header alone)"), (4, " (minidump)"), (7, "")] {
        let e = open(DmpFile::new(DmpKind::Bitmap(kind), &RUNS).to_bytes(page)).err().unwrap();
        let want = format!("a 64-bit Windows crash dump of type {kind:#x}{name}, which this version does not read");
        assert!(e.kind() == ErrorKind::Unsupported && e.to_string().starts_with(&want), "{e}");
    }
    let e = open(DmpFile::new(DmpKind::Bitmap(5), &RUNS).narrow().to_bytes(page)).err().unwrap();
    assert!(e.to_string().starts_with("a 32-bit Windows crash dump of type 0x5 (bitmap)"), "{e}");
}
