//! The commands that write or print what a machine reads.

/// Options that choose what is written.
pub const FORMATS: &[&str] = &["", "-c", "-l", "-p", "-z", "-E", "--format raw", "--format lime"];

/// Levels that clear each class alone, two that leave all of it in and out, and zero pages alone.
pub const LEVELS: &[u32] = &[0, 1, 2, 4, 8, 16, 31];

/// What must not change the output: threads, and budgets that take several windows where the dump is larger than one.
const WAYS: &[&str] = &[
    "--num-threads 1",
    "--num-threads 3",
    "--max-memory 8M",
    "--cyclic-buffer 4",
    "--cyclic-buffer 9 --num-threads 3",
];

/// A container: its name, the command that makes it of an input, and its files as an input.
struct Container {
    name: &'static str,
    make: &'static str,
    files: &'static str,
}

/// Everything that holds a dump.
const CONTAINERS: &[Container] = &[
    Container { name: "plain", make: "{} kept/plain", files: "in/plain" },
    Container { name: "zlib", make: "-c {} kept/zlib", files: "in/zlib" },
    Container { name: "lzo", make: "-l {} kept/lzo", files: "in/lzo" },
    Container { name: "snappy", make: "-p {} kept/snappy", files: "in/snappy" },
    Container { name: "zstd", make: "-z {} kept/zstd", files: "in/zstd" },
    Container { name: "elf", make: "-E {} kept/elf", files: "in/elf" },
    Container { name: "flat", make: "-l -F {} > kept/flat", files: "in/flat" },
    Container { name: "flat-elf", make: "-E -F {} > kept/flat-elf", files: "in/flat-elf" },
    Container { name: "raw", make: "--format raw {} kept/raw", files: "--raw-base 0 in/raw" },
    Container { name: "lime", make: "--format lime {} kept/lime", files: "in/lime" },
    Container {
        name: "split",
        make: "-c --splitblock-size 256 --split {} kept/s0 kept/s1 kept/s2",
        files: "in/s0 in/s1 in/s2",
    },
];

/// `input` to each format at each of `levels`.
pub fn convert(input: &str, levels: &[u32]) -> Vec<String> {
    let at = |level| FORMATS.iter().map(move |format| format!("{format} -d {level} {input} out/o"));
    levels.iter().flat_map(at).collect()
}

/// `input` at all 32 levels, with one codec.
pub fn every_level(input: &str) -> Vec<String> {
    (0..32).map(|level| format!("-l -d {level} {input} out/o")).collect()
}

/// `input` with each number of threads and each budget, for commands of each kind.
pub fn ways(input: &str) -> Vec<String> {
    let kinds = [
        format!("-c -d 31 {input} out/o"),
        format!("-l -d 1 {input} out/o"),
        format!("-z -d 17 {input} out/o"),
        format!("-d 0 {input} out/o"),
        format!("-E -d 1 {input} out/o"),
        format!("-E -d 31 {input} out/o"),
        format!("--format raw -d 2 {input} out/o"),
        format!("--format lime -d 31 {input} out/o"),
        format!("-F -c -d 31 {input} > out/o"),
        format!("--split --splitblock-size 1024 -l -d 31 {input} out/a out/b out/c"),
        format!("-l -d 31 --message-level 16 {input} out/o > out/report"),
    ];
    kinds.iter().flat_map(|kind| WAYS.iter().map(move |way| format!("{way} {kind}"))).collect()
}

/// Streams, parts, and what is made of them.
pub fn streams_and_parts(input: &str) -> Vec<String> {
    let mut all = Vec::new();
    for format in ["-c", "-l", "-E", ""] {
        all.push(format!("-F {format} -d 31 {input} > kept/flat"));
        all.extend(["-R in/flat out/o", "-R out/o < in/flat", "-l -d 31 - out/o < in/flat"].map(String::from));
    }
    for (codec, level) in [("-c", 31), ("-l", 1), ("-z", 0)] {
        all.push(format!("--split --splitblock-size 1024 {codec} -d {level} {input} kept/a kept/b"));
        all.extend(["--reassemble in/b in/a out/o", "-E -d 31 in/a in/b out/o"].map(String::from));
        all.push(format!("--split --splitblock-size 1024 {codec} -d {level} {input} kept/a kept/b kept/c"));
        all.push("--reassemble in/b in/c in/a out/o".to_owned());
        all.push("--reassemble -F in/b in/c in/a > out/o".to_owned());
        all.push("--reassemble in/b in/a out/o".to_owned());
    }
    for (range, name) in [("..0x2000", "a"), ("0x2000..0x3000", "b"), ("0x3000..", "c")] {
        all.push(format!("-l -d 31 --pfn-range {range} {input} kept/{name}"));
    }
    all.extend(["--reassemble in/a in/b in/c out/o", "info --json in/b > out/json"].map(String::from));
    all
}

/// A dump that was filtered once, filtered again.
pub fn filtered_again(input: &str) -> Vec<String> {
    let mut all = vec![
        format!("-l -d 1 {input} kept/k1"),
        format!("-z -d 0 {input} kept/k0"),
        format!("-E -d 1 {input} kept/e1"),
        format!("-c -d 8 {input} kept/k8"),
    ];
    for from in ["in/k1", "in/k0", "in/e1", "in/k8"] {
        let formats = ["-c", "-l", "-p", "-z", "", "-E"];
        all.extend(formats.map(|format| format!("{format} -d 31 {from} out/o")));
        all.push(format!("-z {from} out/o"));
        all.push(format!("-l -d 30 --cyclic-buffer 4 --num-threads 3 {from} out/o"));
        all.push(format!("--message-level 16 --dry-run -d 31 {from} out/o > out/report"));
        all.push(format!("info --json {from} > out/json"));
    }
    all
}

/// `input` to every container at `level`, each of which is described, checked, compared, and converted to every other.
pub fn every_pair(input: &str, level: u32) -> Vec<String> {
    let mut all = vec![format!("info --json {input} > out/json")];
    for Container { make, files, .. } in CONTAINERS {
        all.push(format!("-d {level} {}", make.replace("{}", input)));
        all.push(format!("info --json {files} > out/json"));
        all.push(format!("check {files}"));
        all.push(format!("diff {input} {}", files.split_once(" in/s1").map_or(*files, |(first, _)| first)));
    }
    for from in CONTAINERS {
        let targets = CONTAINERS.iter().filter(|to| to.name != from.name);
        all.extend(targets.map(|to| to.make.replace("{}", from.files).replace("kept/", "out/")));
    }
    all.push("--reassemble in/s2 in/s0 in/s1 out/o".to_owned());
    all
}
