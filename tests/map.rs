//! `gdump map` against the reports of dumps, the recipes of synthetic kernels, and the files that are then written.

use crate::corpus::stats;
use crate::support::{Case, corpus, gdump, gdump_ok, gdump_refuses, of_arch, root, scratch, skipped, text, tiny};
use dump_synth::{Class, Era, FakeKernel, KernelBuilder, every_kind};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A map as JSON, which is what docs/schema/map.json says. There may be warnings.
fn map(args: &[&str]) -> Value {
    let run = gdump(&[&["map", "--json"], args].concat());
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    let map = serde_json::from_slice(&run.stdout).unwrap();
    let schema: Value = serde_json::from_slice(&fs::read(root().join("docs/schema/map.json")).unwrap()).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let faults: Vec<String> = schema.iter_errors(&map).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{args:?}: {faults:?}");
    map
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What the report of a dump calls each sum, and the map.
const SUMS: [(&str, &str); 8] = [
    ("Pages filled with zero", "zero"),
    ("Non-private cache pages", "cache"),
    ("Private cache pages", "private_cache"),
    ("User process data pages", "user"),
    ("Free pages", "free"),
    ("Hwpoison pages", "hwpoison"),
    ("Offline pages", "offline"),
    ("Unaccepted pages", "unaccepted"),
];

/// The map's sums are those of the report of a dump of level 31, and the classes are one each.
fn sums_are_the_reports(vmcore: &Path, what: &str) -> Value {
    let dir = scratch();
    let run = gdump(&["-l", "-d", "31", "--show-stats", text(vmcore), text(&dir.path().join("out"))]);
    let report = String::from_utf8(run.stdout).unwrap();
    let stats = stats(&report);
    let map = map(&["--zeros", "-d", "31", text(vmcore)]);
    for (label, sum) in SUMS {
        assert_eq!(number(&map["report"][sum]), stats[label], "{what}: {sum}");
    }
    assert_eq!(number(&map["report"]["ram"]), stats["Original pages"], "{what}");
    assert_eq!(number(&map["pages"]["hole"]), stats["Memory Hole"], "{what}");
    assert_eq!(number(&map["end_pfn"]), stats["Total pages"], "{what}");
    let (pages, left) = (|class: &str| number(&map["pages"][class]), |sum: &str| number(&map["report"][sum]));
    assert_eq!(pages("user") + pages("huge"), left("user"), "{what}");
    assert_eq!(pages("unreadable"), left("hwpoison") + left("offline") + left("unaccepted"), "{what}");
    for class in ["free", "cache", "private_cache", "zero"] {
        assert_eq!(pages(class), left(class), "{what}: {class}");
    }
    // what is left of the dump is in it
    let kept = pages("slab") + pages("kernel") + pages("zero");
    assert_eq!(number(&map["dump"]["pages"]), kept, "{what}");
    blocks_are_the_sums(&map, what);
    map
}

/// Each page frame is counted once, in the sums and in the blocks.
fn blocks_are_the_sums(map: &Value, what: &str) {
    let all: u64 = map["pages"].as_object().unwrap().values().map(number).sum();
    assert_eq!(all, number(&map["end_pfn"]), "{what}");
    let (mut shown, mut in_rows) = (std::collections::BTreeMap::<&str, u64>::new(), 0);
    for row in map["map"]["rows"].as_array().unwrap() {
        in_rows += (128 * number(&map["map"]["block_pages"])).min(number(&map["end_pfn"]) - number(&row["first_pfn"]));
        for block in row["blocks"].as_array().unwrap() {
            for (class, pages) in map["map"]["classes"].as_array().unwrap().iter().zip(block.as_array().unwrap()) {
                *shown.entry(class.as_str().unwrap()).or_default() += number(pages);
            }
        }
    }
    // rows without RAM are not shown
    *shown.entry("hole").or_default() += all - in_rows;
    for (class, pages) in map["pages"].as_object().unwrap() {
        assert_eq!(shown.get(class.as_str()).copied().unwrap_or(0), number(pages), "{what}: {class}");
    }
}

fn write(kernel: &FakeKernel, dir: &Path) -> PathBuf {
    let path = dir.join("vmcore");
    kernel.write_sparse(&fs::File::create(&path).unwrap()).unwrap();
    path
}

#[test]
fn sums_of_the_fixture() {
    let map = sums_are_the_reports(&tiny().vmcore, "tiny");
    assert_eq!((number(&map["pages"]["huge"]), number(&map["pages"]["zero"])), (512, 1102));
    assert_eq!(map["holes"]["largest"][0]["first_pfn"], 0x4000);
    assert_eq!((map["nodes"][0]["first_pfn"].clone(), map["nodes"][0]["end_pfn"].clone()), (1.into(), 26585.into()));
}

#[test]
fn sums_of_the_corpus() {
    if corpus().is_empty() {
        return skipped("corpus", "map::sums_of_the_corpus", "GDUMP_CORPUS names no corpus");
    }
    for case in corpus() {
        sums_are_the_reports(&case.vmcore, &case.name);
        // Debian's kernels have BTF, which has the places of zones
        if case.name.starts_with("amd64") {
            let zones = map(&[text(&case.vmcore)])["nodes"][0]["zones"].clone();
            let names: Vec<&str> = zones.as_array().unwrap().iter().filter_map(|zone| zone["name"].as_str()).collect();
            assert_eq!(names, ["DMA", "DMA32"], "{}", case.name);
            assert_eq!((number(&zones[0]["first_pfn"]), number(&zones[1]["first_pfn"])), (1, 0x1000));
        }
    }
}

#[test]
fn sums_of_other_architectures() {
    for name in ["arm64-6.12", "i386-6.1", "ppc64el-6.1-64k", "s390x-6.12"] {
        let Some(Case { vmcore, .. }) = of_arch(name, "map::sums_of_other_architectures") else { return };
        sums_are_the_reports(&vmcore, name);
    }
}

/// Which class the map has for a page that a recipe has for this; what is kept may be slab, kernel or zero.
fn class_of(class: Class) -> Option<&'static str> {
    match class {
        Class::Kept => None,
        Class::Free | Class::PoisonedFree => Some("free"),
        Class::Cache | Class::PoisonedCache => Some("cache"),
        Class::CachePrivate | Class::PoisonedCachePrivate => Some("private_cache"),
        Class::User | Class::PoisonedUser => Some("user"),
        Class::Hwpoison | Class::Offline | Class::Unaccepted => Some("unreadable"),
    }
}

/// In each block of each era's kernel there is what the recipe put there.
#[test]
fn blocks_of_every_era() {
    let dir = scratch();
    for era in Era::ALL {
        let kernel = KernelBuilder::new(*era).recipe(&every_kind(*era)).build();
        let vmcore = dir.path().join("vmcore");
        fs::write(&vmcore, kernel.vmcore()).unwrap();
        let map = sums_are_the_reports(&vmcore, &era.to_string());
        let (pages, classes) = (number(&map["map"]["block_pages"]), map["map"]["classes"].as_array().unwrap());
        for row in map["map"]["rows"].as_array().unwrap() {
            for (i, block) in (0..).zip(row["blocks"].as_array().unwrap()) {
                let first = number(&row["first_pfn"]) + i * pages;
                let held = |pfn: &u64| kernel.ram().iter().any(|ram| ram.contains(pfn));
                let there: Vec<u64> = (first..(first + pages).min(kernel.max_pfn())).filter(held).collect();
                for class in ["free", "cache", "private_cache", "user", "unreadable"] {
                    let want = there.iter().filter(|pfn| class_of(kernel.class(**pfn)) == Some(class)).count() as u64;
                    let of = |name: &str| {
                        classes.iter().position(|class| class == name).map_or(0, |place| number(&block[place]))
                    };
                    let got = if class == "user" { of("user") + of("huge") } else { of(class) };
                    assert_eq!(got, want, "{era}: {class} from pfn {first:#x} on");
                }
            }
        }
    }
}

/// What is slab's, heads and tails, and what goes as a block.
#[test]
fn slab_and_huge_pages() {
    let dir = scratch();
    let recipe = "ram 0..0x1000
        slab 0x100..0x108
        slab 0x110 order=3
        kernel 0x118 order=3
        anon 0x200..0x210
        thp 0x400 order=9
        hugetlb 0x600 order=9";
    for era in [Era::V4_14, Era::V6_1, Era::V6_12] {
        let vmcore = write(&KernelBuilder::new(era).recipe(recipe).build(), dir.path());
        let pages = map(&[text(&vmcore)])["pages"].clone();
        let found = ["slab", "user", "huge"].map(|class| number(&pages[class]));
        assert_eq!(found, [16, 16, 1024], "{era}");
    }
}

/// A filtered dump has RAM that it does not hold, and no more of what was filtered.
#[test]
fn of_a_filtered_dump() {
    let dir = scratch();
    let out = dir.path().join("out");
    gdump_ok(&["-l", "-d", "17", text(&tiny().vmcore), text(&out)]);
    let (before, after) = (map(&[text(&tiny().vmcore)]), map(&[text(&out)]));
    let of = |map: &Value, class: &str| number(&map["pages"][class]);
    // the page with a hardware error, a process's, is left out at every level but 8
    assert_eq!(of(&after, "excluded"), of(&before, "free") + 1);
    assert_eq!((of(&after, "free"), of(&after, "user")), (0, of(&before, "user") - 1));
    for class in ["huge", "cache", "private_cache", "slab", "kernel", "hole"] {
        assert_eq!(of(&after, class), of(&before, class), "{class}");
    }
}

/// The dump that is drawn is the one that is written: its pages for certain, its bytes as near as the sample.
#[test]
fn bytes_are_those_of_the_dump() {
    let dir = scratch();
    let out = dir.path().join("out");
    for (level, option) in [("0", "-c"), ("0", "-l"), ("1", "-z"), ("8", "-c"), ("23", "-p"), ("31", "-c")] {
        let map = map(&["-d", level, option, text(&tiny().vmcore)]);
        gdump_ok(&["-f", "-d", level, option, text(&tiny().vmcore), text(&out)]);
        assert_eq!(number(&map["dump"]["pages"]), crate::support::open(&out).kept.count(), "-d {level}");
        let (got, want) = (number(&map["dump"]["bytes"]) as f64, fs::metadata(&out).unwrap().len() as f64);
        assert!((got / want - 1.0).abs() < 0.05, "-d {level} {option}: {got} bytes shown, {want} written");
        let classes = map["dump"]["classes"].as_object().unwrap().values();
        let (pages, bytes) = classes
            .fold((0, 0), |(pages, bytes), class| (pages + number(&class["pages"]), bytes + number(&class["bytes"])));
        assert_eq!(pages, number(&map["dump"]["pages"]));
        assert_eq!(bytes + number(&map["dump"]["head_bytes"]), number(&map["dump"]["bytes"]));
    }
}

/// All formats, whatever the number of workers and the memory.
#[test]
fn the_same_however_it_is_made() {
    let dir = scratch();
    let vmcore = write(&KernelBuilder::new(Era::V6_1).recipe(&every_kind(Era::V6_1)).build(), dir.path());
    for dump in [&tiny().vmcore, &vmcore] {
        for format in ["svg", "html", "json", "text"] {
            let made = |more: &[&str]| {
                let out = dir.path().join("map");
                let run = gdump(&[&["map", "-f", "--format", format, "-o", text(&out)], more, &[text(dump)]].concat());
                assert!(run.status.success() && run.stdout.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
                fs::read(out).unwrap()
            };
            let want = made(&[]);
            assert!(want.len() < 300_000, "{format}: {} bytes", want.len());
            for more in [&["--num-threads", "1"][..], &["--num-threads", "3"], &["--max-memory", "8M"]] {
                assert!(made(more) == want, "{format} {more:?}");
            }
        }
    }
}

/// A terabyte has as many cells as any other machine.
#[test]
fn a_terabyte_is_no_larger() {
    const END: u64 = 1 << 28;
    let free: String = (0x400..0x8000).step_by(0x400).map(|pfn| format!("free {pfn:#x} order=10\n")).collect();
    let recipe = format!("ram 0..0x8000\nanon 0x10..0x20\ncache 0x30..0x31\nanon 0x100..0x180\n{free}");
    let kernel = KernelBuilder::new(Era::V6_1).recipe(&recipe).repeated_to(END).build();
    let dir = scratch();
    let (vmcore, out) = (write(&kernel, dir.path()), dir.path().join("map.json"));
    gdump_ok(&["map", "-d", "31", "--max-memory", "64M", "-o", text(&out), text(&vmcore)]);
    let map: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    blocks_are_the_sums(&map, "1 TiB");
    assert!(fs::metadata(&out).unwrap().len() < 300_000);
    assert_eq!((number(&map["end_pfn"]), map["map"]["rows"].as_array().unwrap().len()), (END, 16));
    // but for one section, the kernel's own, each is as the first
    let expected = KernelBuilder::new(Era::V6_1).recipe(&recipe).build().expected(31);
    for (class, want) in [("free", expected.counts.free), ("user", expected.counts.user)] {
        assert_eq!(number(&map["report"][class]), want * ((END >> 15) - 1), "{class}");
    }
}

#[test]
fn outputs() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let vmcore = text(&tiny().vmcore);
    for (name, begins) in [("m.svg", "<svg "), ("m.html", "<!DOCTYPE html>"), ("m.json", "{\"schema_version\":1,")] {
        assert_eq!(gdump_ok(&["map", "-o", text(&path(name)), vmcore]), "");
        assert!(fs::read_to_string(path(name)).unwrap().starts_with(begins), "{name}");
        assert_eq!(fs::metadata(path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let refusal = gdump_refuses(&["map", "-o", text(&path("m.svg")), vmcore]);
    assert!(refusal.contains("File exists"), "{refusal}");
    gdump_ok(&["map", "-f", "-o", text(&path("m.svg")), vmcore]);
    for (args, why) in [
        (&["map", "-o", "m.png", vmcore][..], "tells no format"),
        (&["map", "-o", "m", "--format", "png", vmcore], "expected svg, html, json or text"),
        (&["map", "-f", "-o", vmcore, "--format", "svg", vmcore], "input and output are the same file"),
        (&["map", "-d", "32", vmcore], "0 to 31"),
        (&["map", "--json", "-o", "m.json", vmcore], "--json"),
    ] {
        let refusal = gdump_refuses(args);
        assert!(refusal.contains(why), "{refusal}");
    }
}

/// What is no terminal gets no escape code.
#[test]
fn as_text() {
    let said = gdump_ok(&["map", text(&tiny().vmcore)]);
    assert!(said.is_ascii() && !said.contains('\x1b'), "{said}");
    assert!(said.contains("32 MiB without RAM"), "{said}");
    assert!(said.lines().any(|line| line.starts_with(". free                   9,388 pages")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("0x6400 hhhhhhhh")), "{said}");
}

/// Memory of a machine whose kernel is not known.
#[test]
fn without_a_kernel() {
    let dir = scratch();
    let bare = dir.path().join("memory");
    fs::write(&bare, [vec![0; 4096 * 100], vec![7; 4096 * 100]].concat()).unwrap();
    let shown = map(&["--zeros", "--raw-map", "0-400K,1G-", text(&bare)]);
    assert_eq!(shown["classified"], false);
    let of = |class: &str| number(&shown["pages"][class]);
    assert_eq!((of("zero"), of("unclassified"), of("hole")), (100, 100, (1 << 18) - 100));
    let refusal = gdump_refuses(&["map", "-d", "31", "--raw-base", "0", text(&bare)]);
    assert!(refusal.contains("VMCOREINFO"), "{refusal}");
}
