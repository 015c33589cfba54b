//! `gdump estimate` against the files that are then written.

use crate::support::{Case, corpus, gdump, gdump_ok, gdump_refuses, scratch, skipped, text, tiny};
use serde_json::Value;
use std::path::Path;

/// What options choose the codecs, in the order of the estimate.
const CODECS: [(&str, Option<&str>); 5] =
    [("", None), ("-c", Some("zlib")), ("-l", Some("lzo")), ("-p", Some("snappy")), ("-z", Some("zstd"))];

fn estimate(args: &[&str]) -> Value {
    serde_json::from_str(&gdump_ok(&[&["estimate", "--json"], args].concat())).unwrap()
}

/// How long the dump is that is estimated.
fn written(vmcore: &Path, out: &Path, level: &str, codec: &str) -> u64 {
    let mut args = vec!["-f", "-d", level, text(vmcore), text(out)];
    args.extend(Some(codec).filter(|codec| !codec.is_empty()));
    gdump_ok(&args);
    std::fs::metadata(out).unwrap().len()
}

/// Compares estimate and file at these levels; gives the largest share that one is off by.
fn off_by(case: &Case, levels: &[u32]) -> f64 {
    let dir = scratch();
    let out = dir.path().join("out");
    let estimate = estimate(&[text(&case.vmcore)]);
    let mut worst: f64 = 0.0;
    for level in levels {
        let row = &estimate["levels"][*level as usize];
        assert_eq!(row["dump_level"], *level);
        for (file, (option, codec)) in row["dumps"].as_array().unwrap().iter().zip(CODECS) {
            assert_eq!(file["codec"].as_str(), codec);
            let want = written(&case.vmcore, &out, &level.to_string(), option) as f64;
            let got = file["bytes"].as_u64().unwrap() as f64;
            let off = (got / want - 1.0).abs();
            assert!(off < 0.05, "{} -d {level} {option}: {got} bytes estimated, {want} written", case.name);
            worst = worst.max(off);
        }
        assert_eq!(row["pages"].as_u64().unwrap(), crate::support::open(&out).kept.count(), "{} -d {level}", case.name);
    }
    worst
}

#[test]
fn each_level_and_codec_of_the_fixture() {
    let levels: Vec<u32> = (0..32).collect();
    println!("{}: off by {:.1} % at most", tiny().name, off_by(tiny(), &levels) * 100.0);
}

#[test]
fn levels_of_the_corpus() {
    let cases = corpus();
    if cases.is_empty() {
        return skipped("corpus", "estimate::levels_of_the_corpus", "GDUMP_CORPUS names no folder");
    }
    for case in cases {
        let worst = off_by(case, &[0, 1, 4, 8, 16, 23, 31]);
        println!("{}: off by {:.1} % at most", case.name, worst * 100.0);
    }
}

/// Sizes do not depend on the number of workers, nor on how much of the bitmaps is held.
#[test]
fn the_same_however_it_is_made() {
    let sizes = |more: &[&str]| {
        let mut estimate = estimate(&[more, &[text(&tiny().vmcore)]].concat());
        for level in estimate["levels"].as_array_mut().unwrap() {
            level["dumps"].as_array_mut().unwrap().iter_mut().for_each(|file| file["seconds"] = Value::Null);
        }
        estimate["levels"].take()
    };
    let want = sizes(&[]);
    assert_eq!(want.as_array().unwrap().len(), 32);
    for more in [&["--num-threads", "1"][..], &["--num-threads", "3"], &["--max-memory", "4M"]] {
        assert_eq!(sizes(more), want, "{more:?}");
    }
}

#[test]
fn what_fits() {
    let all = estimate(&[text(&tiny().vmcore)]);
    let bytes = |level: usize, codec: usize| all["levels"][level]["dumps"][codec]["bytes"].as_u64().unwrap();
    // a level that keeps the most pages, with room for what a sample does not tell
    let room = bytes(0, 1) + bytes(0, 1) / 10;
    let said = estimate(&["--free", &room.to_string(), text(&tiny().vmcore)]);
    assert_eq!(said["room"]["bytes"], room);
    let fitting = said["room"]["fitting"].as_array().unwrap();
    assert_eq!(fitting[1]["dump_level"], 0, "{said}");
    for (codec, fits) in fitting.iter().enumerate() {
        let Some(level) = fits["dump_level"].as_u64() else { continue };
        assert_eq!(fits["bytes"], bytes(level as usize, codec));
        assert!(fits["bytes"].as_u64().unwrap() + bytes(level as usize, codec) / 21 <= room);
    }
    let text_of_it = gdump_ok(&["estimate", "--free", "1M", text(&tiny().vmcore)]);
    assert!(text_of_it.contains("1.0 MiB are free") && text_of_it.contains("no dump"), "{text_of_it}");
    let dir = scratch();
    let there = estimate(&["--path", text(dir.path()), text(&tiny().vmcore)]);
    assert!(there["room"]["bytes"].as_u64().unwrap() > 0);
    let none = gdump_refuses(&["estimate", "--path", "/nonexistent/there", text(&tiny().vmcore)]);
    assert!(none.contains("/nonexistent/there"), "{none}");
}

/// Of a machine whose kernel is not known, what needs none.
#[test]
fn without_a_kernel() {
    let dir = scratch();
    let bare = dir.path().join("memory");
    std::fs::write(&bare, [vec![0; 4096 * 100], vec![7; 4096 * 100]].concat()).unwrap();
    let run = gdump(&["estimate", "--json", "--raw-base", "0", text(&bare)]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success() && said.contains("levels 0 and 1"), "{said}");
    let estimate: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(estimate["levels"].as_array().unwrap().len(), 2);
    assert_eq!(estimate["sampled_pages"], 200);
    let plain = written(&bare_kdump(&bare, dir.path()), &dir.path().join("out"), "0", "");
    assert_eq!(estimate["levels"][0]["dumps"][0]["bytes"], plain);
    gdump_refuses(&["estimate", "-d", "31", "--raw-base", "0", text(&bare)]);
}

/// The memory as a dump that needs no option to be read.
fn bare_kdump(bare: &Path, dir: &Path) -> std::path::PathBuf {
    let out = dir.join("kdump");
    gdump(&["-f", "--raw-base", "0", text(bare), text(&out)]);
    out
}
