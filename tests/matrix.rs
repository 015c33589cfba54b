//! Any container in, any container out: every source to every writer and back gives equal pages and equal metadata, for
//! machines of each word size, byte order and page size.

use crate::schema;
use crate::support::{corpus_dir, gdump, gdump_ok, has_drgn, program, root, scratch, skipped, text, tiny};
use dump_synth::elf::{ElfCore, Load};
use dump_synth::{Endian, Era, KernelBuilder, Notes, Width, lime};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A machine without a kernel that gdump knows: three stretches of RAM with a hole and zero pages.
struct Machine {
    width: Width,
    endian: Endian,
    page: u64,
}

impl Machine {
    fn all() -> Vec<Machine> {
        let mut all = Vec::new();
        for width in [Width::W32, Width::W64] {
            for endian in [Endian::Little, Endian::Big] {
                all.extend([4096, 16384, 65536].map(|page| Machine { width, endian, page }));
            }
        }
        all
    }

    /// Every page has bytes of its own; every fifth is zero.
    fn memory(&self, pages: std::ops::Range<u64>) -> Vec<u8> {
        let page = |pfn: u64| match pfn % 5 {
            0 => vec![0; self.page as usize],
            _ => (0..self.page / 8).flat_map(|i| ((pfn << 32) + i * (pfn % 3)).to_le_bytes()).collect(),
        };
        pages.flat_map(page).collect()
    }

    fn elf(&self) -> Vec<u8> {
        let info = format!("OSRELEASE=5.0.0-synth\nPAGESIZE={}\nCRASHTIME=1700000000\n", self.page);
        let notes =
            Notes::new(self.endian).note("CORE", 1, &[7; 144]).note("LINUX", 0x700, b"device").vmcoreinfo(&info);
        // an architecture that is not walked, so that nothing is left out
        let mut core = ElfCore::new(self.width, self.endian, 22).note(notes.into_bytes());
        for run in [1..40, 64..200, 300..310] {
            let (start, data) = (run.start * self.page, self.memory(run));
            core = core.load(Load::new(start, 0x8000_0000 + start, data));
        }
        core.to_bytes()
    }
}

/// Everything that holds a dump, as the options that make it.
const CONTAINERS: &[(&str, &[&str])] = &[
    ("kdump", &[]),
    ("zlib", &["-c"]),
    ("lzo", &["-l"]),
    ("snappy", &["-p"]),
    ("zstd", &["-z"]),
    ("elf", &["-E"]),
    ("flat", &["-l", "-F"]),
    ("flat-elf", &["-E", "-F"]),
    ("raw", &["--format", "raw"]),
    ("lime", &["--format", "lime"]),
    ("split", &["-l", "--splitblock-size", "256", "--split"]),
];

/// Makes a container of `from` in `dir`; returns its files.
fn make(dir: &Path, name: &str, options: &[&str], from: &[PathBuf]) -> Vec<PathBuf> {
    let out = dir.join(name);
    let mut args: Vec<&str> = options.to_vec();
    args.extend(["--message-level", "4", "--raw-base", "0", "-f"]);
    args.extend(from.iter().map(|path| text(path)));
    let parts: Vec<PathBuf> = (0..3).map(|i| dir.join(format!("{name}.{i}"))).collect();
    if options.contains(&"-F") {
        let run = gdump(&args);
        assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
        fs::write(&out, run.stdout).unwrap();
        return vec![out];
    }
    let outputs = if options.contains(&"--split") { parts } else { vec![out] };
    args.extend(outputs.iter().map(|path| text(path)));
    let run = gdump(&args);
    // a machine that is not walked: its hwpoison pages cannot be identified, and a warning says so
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    outputs
}

/// One file of a container, for commands that take one.
fn whole(dir: &Path, files: &[PathBuf]) -> PathBuf {
    if files.len() == 1 {
        return files[0].clone();
    }
    let out = dir.join(format!("{}.whole", files[0].file_name().unwrap().to_str().unwrap()));
    let mut args = vec!["--reassemble", "-f", "--message-level", "4"];
    let reversed: Vec<&str> = files.iter().rev().map(|path| text(path)).collect();
    args.extend(reversed);
    args.push(text(&out));
    let run = gdump(&args);
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    out
}

fn no_difference(a: &Path, b: &Path) {
    let run = gdump(&["diff", "--raw-base", "0", text(a), text(b)]);
    assert!(run.status.success(), "{} {}: {}", a.display(), b.display(), String::from_utf8_lossy(&run.stdout));
}

/// What any container keeps that has headers.
fn metadata(file: &Path) -> BTreeMap<String, serde_json::Value> {
    let json = gdump_ok(&["info", "--json", text(file)]);
    schema::holds("info", &json);
    let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
    let keep = ["machine", "page_size", "end_pfn", "held_pages", "ram_pages", "kernel", "cpus", "notes", "incomplete"];
    let mut kept: BTreeMap<_, _> = all.into_iter().filter(|(key, _)| keep.contains(&key.as_str())).collect();
    // ELF has no word for it
    kept.get_mut("kernel").unwrap()["version"].take();
    kept
}

#[test]
fn every_source_to_every_writer_and_back() {
    for machine in Machine::all() {
        let dir = scratch();
        let original = dir.path().join("original");
        fs::write(&original, machine.elf()).unwrap();
        let want = metadata(&original);
        for (name, options) in CONTAINERS {
            let made = make(dir.path(), name, options, std::slice::from_ref(&original));
            let one = whole(dir.path(), &made);
            no_difference(&original, &one);
            if !["raw", "lime"].contains(name) {
                assert_eq!(metadata(&one), want, "{name}");
            }
            // back, and on into a container of another kind
            for (next, options) in [("back-elf", &["-E"][..]), ("back-kdump", &["-z"])] {
                let back = make(dir.path(), next, options, &made);
                no_difference(&original, &back[0]);
                if !["raw", "lime"].contains(name) {
                    assert_eq!(metadata(&back[0]), want, "{name} to {next}");
                }
            }
        }
    }
}

/// The same of a kernel that is understood: pages that are left out stay left out, and levels add up.
#[test]
fn filtered_dumps_go_from_container_to_container() {
    let recipe = "ram 0..0x900\nanon 0x100..0x180\ncache 0x180..0x1c0\nfree 0x400..0x600 order=9\nhwpoison 0x60";
    let kernel = KernelBuilder::new(Era::V6_12).recipe(recipe).build();
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("vmcore"), kernel.vmcore()).unwrap();
    for (name, options) in [("k1", &["-l", "-d", "1"][..]), ("e1", &["-E", "-d", "1"]), ("k31", &["-c", "-d", "31"])] {
        make(dir.path(), name, options, &[path("vmcore")]);
        no_difference(&path("vmcore"), &path(name));
    }
    for from in ["k1", "e1"] {
        let to = make(dir.path(), "again", &["-c", "-d", "30"], &[path(from)]);
        no_difference(&path("k31"), &to[0]);
        let info = gdump_ok(&["info", "--json", text(&to[0])]);
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["dump_level"], if from == "k1" { 31 } else { 30 });
        let want = kernel.expected(31);
        let zero = if from == "k1" { 0 } else { want.zero.len() };
        assert_eq!(info["held_pages"], want.kept.len() - zero, "{from}");
    }
    let (a, b) = (
        make(dir.path(), "t1", &["-l", "-d", "31", "--num-threads", "1"], &[path("k1")]),
        fs::read(path("t1")).unwrap(),
    );
    make(dir.path(), "t1", &["-l", "-d", "31", "--num-threads", "3"], &[path("k1")]);
    assert!(fs::read(&a[0]).unwrap() == b);
}

/// Re-filtering with the codec that the pages already have copies them as they are.
#[test]
fn an_unchanged_codec_is_not_packed_anew() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    gdump_ok(&["-z", "-d", "1", text(&tiny().vmcore), text(&path("z"))]);
    gdump_ok(&["-z", "-d", "1", text(&path("z")), text(&path("again"))]);
    assert!(fs::read(path("z")).unwrap() == fs::read(path("again")).unwrap());
}

/// The three files of one QEMU guest, and what comes of them: drgn opens ours, though it cannot open QEMU's own.
#[test]
fn qemus_dumps_are_read_and_made_whole() {
    let test = "qemus_dumps_are_read_and_made_whole";
    let Some(corpus) = corpus_dir() else {
        return skipped("corpus", test, "GDUMP_CORPUS names no corpus");
    };
    let file = |name: &str| corpus.join("tiny-qemu").join(name);
    let drgn = has_drgn(test);
    for other in ["elf.zst", "elf-paging.zst"] {
        no_difference(&file("kdump-zlib.flat"), &file(other));
    }
    let dir = scratch();
    for (name, from) in [("a", "kdump-zlib.flat"), ("b", "elf.zst"), ("c", "elf-paging.zst")] {
        let to = make(dir.path(), name, &["-l", "-d", "31"], &[file(from)]);
        let info: serde_json::Value = serde_json::from_str(&gdump_ok(&["info", "--json", text(&to[0])])).unwrap();
        assert_eq!(info["odd"], serde_json::json!([]), "{from}");
        assert!(info["kernel"]["version"].as_str().unwrap().contains("SMP"), "{from}: utsname comes from memory");
        assert_eq!(info["phys_base"], (-115343360i64) as u64, "{from}");
        if drgn {
            let script = "import sys, drgn; p = drgn.Program(); p.set_core_dump(sys.argv[1]); print(p.platform)";
            let run = Command::new("python3").args(["-c", script, text(&to[0])]).output().unwrap();
            assert!(run.status.success(), "{from}: {}", String::from_utf8_lossy(&run.stderr));
        }
    }
}

/// A dump without notes: vmcoreinfo is found in memory, and the choice of pages is the same.
#[test]
fn vmcoreinfo_is_found_in_memory() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    make(dir.path(), "raw", &["--format", "raw"], &[tiny().vmcore.clone()]);
    make(dir.path(), "lime", &["--format", "lime"], &[tiny().vmcore.clone()]);
    make(dir.path(), "want", &["-l", "-d", "30"], &[tiny().vmcore.clone()]);
    for from in ["raw", "lime"] {
        let to = make(dir.path(), "from", &["-l", "-d", "30"], &[path(from)]);
        no_difference(&path("want"), &to[0]);
        let info: serde_json::Value = serde_json::from_str(&gdump_ok(&["info", "--json", text(&to[0])])).unwrap();
        assert_eq!(info["kernel"]["release"], "6.1.192-gdump");
    }
}

/// Any of these in a compressed file or from a pipe.
#[test]
fn packed_and_piped() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let flat = make(dir.path(), "flat", &["-c", "-d", "31", "-F"], &[tiny().vmcore.clone()]);
    for (packer, ext) in [("gzip", "gz"), ("xz", "xz"), ("bzip2", "bz2"), ("zstd", "zst"), ("lz4", "lz4")] {
        let out = fs::File::create(path(ext)).unwrap();
        let run = Command::new(packer).args(["-1", "-c"]).arg(&flat[0]).stdout(out).stderr(Stdio::null()).status();
        if !run.is_ok_and(|status| status.success()) {
            skipped(packer, "packed_and_piped", &format!("{packer} is not installed"));
            continue;
        }
        no_difference(&flat[0], &path(ext));
        let run = program()
            .args(["-l", "-f", "--message-level", "4", "-", text(&path("piped"))])
            .stdin(fs::File::open(path(ext)).map(cat).unwrap())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        no_difference(&flat[0], &path("piped"));
    }
}

/// A file through a pipe.
fn cat(file: fs::File) -> Stdio {
    Command::new("cat").stdin(file).stdout(Stdio::piped()).spawn().unwrap().stdout.unwrap().into()
}

/// `gdump -F ... | gdump -R out` gives the bytes of `gdump ... out`.
#[test]
fn flattened_through_a_pipe_is_the_file() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let vmcore = text(&tiny().vmcore);
    for options in [&["-c", "-d", "31"][..], &["-E", "-d", "31"], &["-l", "-d", "0"]] {
        let direct = path("direct");
        gdump_ok(&[options, &["-f", vmcore, text(&direct)]].concat());
        let mut flat = program();
        flat.args(options).args(["-F", "--message-level", "4", vmcore]).stdout(Stdio::piped());
        let mut flat = flat.spawn().unwrap();
        let mut rearrange = program();
        rearrange.args(["-R", "-f", "--message-level", "4", text(&path("out"))]).stdin(flat.stdout.take().unwrap());
        assert!(rearrange.status().unwrap().success() && flat.wait().unwrap().success(), "{options:?}");
        assert!(fs::read(&direct).unwrap() == fs::read(path("out")).unwrap(), "{options:?}");
    }
}

/// The first record of a flattened kdump is its main header, exactly; another begins with the sub header.
#[test]
fn flattened_records_begin_as_hotkdump_expects() {
    let run = gdump(&["-F", "-c", "-d", "31", "--message-level", "4", text(&tiny().vmcore)]);
    let record = |at: usize| {
        let word = |at: usize| u64::from_be_bytes(run.stdout[at..at + 8].try_into().unwrap());
        (word(at), word(at + 8) as usize)
    };
    assert_eq!(record(4096), (0, 464));
    let (offset, len) = record(4096 + 16 + 464);
    assert!(offset == 4096 && len > 3000, "{offset} {len}");
}

#[test]
fn split_dumps_in_any_number_of_parts() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-c", "-d", "31", vmcore, text(&path("whole"))]);
    for parts in [2, 3, 7] {
        let names: Vec<PathBuf> = (0..parts).map(|i| path(&format!("part{i}"))).collect();
        let mut args = vec!["-c", "-d", "31", "-f", "--splitblock-size", "1024", "--split", vmcore];
        args.extend(names.iter().map(|path| text(path)));
        gdump_ok(&args);
        let joined = whole(dir.path(), &names);
        assert!(fs::read(&joined).unwrap() == fs::read(path("whole")).unwrap(), "{parts} parts");
        let (small, large) = (
            names.iter().map(|p| p.metadata().unwrap().len()).min(),
            names.iter().map(|p| p.metadata().unwrap().len()).max(),
        );
        assert!(large.unwrap() < 6 * small.unwrap(), "{parts} parts of {small:?} to {large:?} bytes");
    }
}

/// Parts written on their own, by whoever, join to the same file.
#[test]
fn parts_by_pfn_range_join() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let vmcore = text(&tiny().vmcore);
    gdump_ok(&["-l", "-d", "31", vmcore, text(&path("whole"))]);
    for (name, range) in [("a", "..0x2000"), ("b", "0x2000..0x5000"), ("c", "0x5000..")] {
        gdump_ok(&["-l", "-d", "31", "--pfn-range", range, vmcore, text(&path(name))]);
    }
    gdump_ok(&["--reassemble", text(&path("c")), text(&path("a")), text(&path("b")), text(&path("joined"))]);
    assert!(fs::read(path("joined")).unwrap() == fs::read(path("whole")).unwrap());
    for (parts, says) in [
        (&["a", "c"][..], "none has pfns 0x2000..0x5000"),
        (&["b"], "the others were not given"),
        (&["b", "b"], "two have pfns 0x2000..0x5000"),
        (&["a", "b"], "none has pfns 0x5000"),
        (&["a", "a", "b", "c"], "two have pfns 0x0..0x2000"),
        (&["a", "whole"], "part"),
    ] {
        let mut args = vec!["--reassemble".to_owned()];
        args.extend(parts.iter().chain(&["bad"]).map(|name| text(&path(name)).to_owned()));
        let e = crate::support::gdump_refuses(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(e.contains(says) && !path("bad").exists(), "{parts:?}: {e}");
    }
}

/// makedumpfile reads ours and we read its, where it is installed.
#[test]
fn both_ways_with_makedumpfile() {
    if !crate::support::has("makedumpfile", "-v") {
        return skipped("makedumpfile", "both_ways_with_makedumpfile", "makedumpfile is not installed");
    }
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let vmcore = text(&tiny().vmcore);
    let theirs = |args: &[&str], stdin: Option<&Path>, stdout: Option<&Path>| {
        let mut command = Command::new("makedumpfile");
        command.args(args).args(["--message-level", "0"]).stderr(Stdio::null());
        command.stdin(stdin.map_or(Stdio::null(), |path| fs::File::open(path).unwrap().into()));
        command.stdout(stdout.map_or(Stdio::null(), |path| fs::File::create(path).unwrap().into()));
        assert!(command.status().unwrap().success(), "makedumpfile {args:?}");
    };
    let p = |name: &str| text(&path(name)).to_owned();
    theirs(&["-l", "-d", "1", vmcore, &p("t-kdump")], None, None);
    theirs(&["-E", "-d", "1", vmcore, &p("t-elf")], None, None);
    theirs(&["-F", "-c", "-d", "1", vmcore], None, Some(&path("t-flat")));
    theirs(&["--split", "-l", "-d", "1", "--splitblock-size", "16384", vmcore, &p("t-s0"), &p("t-s1")], None, None);
    for name in ["t-kdump", "t-elf", "t-flat"] {
        no_difference(&tiny().vmcore, &path(name));
        gdump_ok(&["check", &p(name)]);
    }
    gdump_ok(&["--reassemble", &p("t-s1"), &p("t-s0"), &p("t-joined")]);
    no_difference(&tiny().vmcore, &path("t-joined"));
    gdump_ok(&["-l", "-d", "31", &p("t-kdump"), &p("t-again")]);
    gdump_ok(&["-l", "-d", "31", vmcore, &p("o-kdump")]);
    no_difference(&path("t-again"), &path("o-kdump"));

    gdump_ok(&["-l", "-d", "1", vmcore, &p("o1")]);
    gdump_ok(&["-E", "-d", "1", vmcore, &p("o-elf")]);
    let run = gdump(&["-F", "-l", "-d", "1", "--message-level", "4", vmcore]);
    fs::write(path("o-flat"), run.stdout).unwrap();
    gdump_ok(&["--split", "-l", "-d", "1", "--splitblock-size", "16384", vmcore, &p("o-s0"), &p("o-s1")]);
    theirs(&["-l", "-d", "31", &p("o1"), &p("o1-t")], None, None);
    no_difference(&path("o1-t"), &path("o-kdump"));
    theirs(&["-l", "-d", "31", &p("o-elf"), &p("o-elf-t")], None, None);
    no_difference(&path("o-elf-t"), &path("o-kdump"));
    theirs(&["-R", &p("o-flat-t")], Some(&path("o-flat")), None);
    assert!(fs::read(path("o-flat-t")).unwrap() == fs::read(path("o1")).unwrap());
    theirs(&["--reassemble", &p("o-s0"), &p("o-s1"), &p("o-joined")], None, None);
    no_difference(&path("o1"), &path("o-joined"));
}

/// LiME as the kernel module writes it, and a raw image, by name.
#[test]
fn images_without_headers() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    let ranges = [(0x1000, vec![1; 0x3000]), (0x10000, vec![2; 0x2000])];
    fs::write(path("lime"), lime(&ranges)).unwrap();
    let core =
        ElfCore::x86_64().load(Load::new(0x1000, 0, vec![1; 0x3000])).load(Load::new(0x10000, 0, vec![2; 0x2000]));
    fs::write(path("elf"), core.to_bytes()).unwrap();
    no_difference(&path("lime"), &path("elf"));
    fs::write(path("raw"), [&ranges[0].1[..], &[0; 0xc000], &ranges[1].1].concat()).unwrap();
    let run = gdump(&["diff", "--raw-base", "0x1000", text(&path("raw")), text(&path("elf"))]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let e = crate::support::gdump_refuses(&["info", text(&path("raw"))]);
    assert!(e.contains("--raw-base"), "{e}");
}

#[test]
fn info_is_documented() {
    let doc = fs::read_to_string(root().join("docs/info.md")).unwrap();
    let info: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&gdump_ok(&["info", "--json", text(&tiny().vmcore)])).unwrap();
    for key in info.keys() {
        assert!(doc.contains(&format!("`{key}`")), "{key} is not in docs/info.md");
    }
}
