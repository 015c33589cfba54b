//! `gdump batch`: results are those of single runs, whatever ends it, and nothing is done twice.

use crate::support::{gdump, gdump_ok, root, scratch, skipped, text, tiny};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

/// What schedulers set, one of which may run the tests.
const SCHEDULERS: [&str; 7] = [
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_COUNT",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_STEP",
    "JOB_COMPLETION_INDEX",
    "CI_NODE_INDEX",
    "CI_NODE_TOTAL",
];

/// `gdump batch`, which runs itself: an emulated one could not.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gdump"));
    for name in SCHEDULERS {
        command.env_remove(name);
    }
    command.arg("batch").args(args).stdin(Stdio::null());
    command
}

/// Whether `test` is skipped, as gdump cannot run itself here.
fn is_emulated(test: &str) -> bool {
    let is_so = std::env::var_os("GDUMP_EMULATOR").is_some();
    if is_so {
        skipped("host", test, "gdump runs by an emulator, which cannot run it again");
    }
    is_so
}

fn schema(name: &str) -> jsonschema::Validator {
    let text = fs::read_to_string(root().join("docs/schema").join(name)).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Lines of results by the job's name, each as the schema has it.
fn results(text: &[u8]) -> BTreeMap<String, Value> {
    let schema = schema("batch-result.json");
    let lines = std::str::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.fold(BTreeMap::new(), |mut results, line| {
        assert!(schema.is_valid(&line), "{line}");
        let again = results.insert(line["id"].as_str().unwrap().to_owned(), line);
        assert!(again.is_none(), "{again:?}");
        results
    })
}

fn run(args: &[&str], status: i32) -> BTreeMap<String, Value> {
    let out = command(args).output().unwrap();
    assert_eq!(out.status.code(), Some(status), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    results(&out.stdout)
}

/// One line on stderr, and nothing done.
fn refused(args: &[&str], status: i32) -> String {
    let Output { status: found, stdout, stderr } = command(args).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!((found.code(), stdout.as_slice(), stderr.lines().count()), (Some(status), &b""[..], 1), "{stderr}");
    stderr
}

/// A dump that is soon converted.
fn small() -> &'static Path {
    static SMALL: OnceLock<PathBuf> = OnceLock::new();
    SMALL.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("batch-{}.vmcore", std::process::id()));
        gdump_ok(&["-f", "-l", "-d", "31", text(&tiny().vmcore), text(&path)]);
        path
    })
}

/// A manifest in `dir` with a line for each of `jobs`.
fn manifest(dir: &Path, jobs: &[Value]) -> PathBuf {
    let path = dir.join("m.ndjson");
    fs::write(&path, jobs.iter().map(|job| format!("{job}\n")).collect::<String>()).unwrap();
    path
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn jobs_are_done_once_and_a_broken_dump_stops_nothing() {
    if is_emulated("jobs_are_done_once_and_a_broken_dump_stops_nothing") {
        return;
    }
    let dir = scratch();
    let name = |name: &str| dir.path().join(name);
    fs::copy(small(), name("in")).unwrap();
    fs::write(name("text"), "no dump").unwrap();
    let whole = fs::read(small()).unwrap();
    fs::write(name("cut"), &whole[..whole.len() / 2]).unwrap();
    let jobs = [
        json!({"id": "a", "input": "in", "output": "a", "options": ["-c"]}),
        json!({"id": "b", "input": ["in"], "output": "b", "options": ["-E", "--checksum"]}),
        json!({"id": "text", "input": "text", "output": "c"}),
        json!({"id": "none", "input": "none", "output": "d"}),
        json!({"id": "cut", "input": "cut", "output": "e", "options": ["-c"]}),
    ];
    let path = manifest(dir.path(), &jobs);
    let junit = name("junit.xml");
    let first = run(&[text(&path), "--junit", text(&junit)], 1);
    let status = |results: &BTreeMap<String, Value>, id: &str| results[id]["status"].as_str().unwrap().to_owned();
    for (id, expected) in [("a", "done"), ("b", "done"), ("text", "failed"), ("none", "failed"), ("cut", "failed")] {
        assert_eq!(status(&first, id), expected, "{id}: {}", first[id]);
    }
    assert!(first["cut"]["incomplete"].as_str().unwrap().ends_with("e.incomplete") && !name("e").exists());
    assert!(first["text"]["errors"][0].as_str().unwrap().contains("text"), "{}", first["text"]);
    // as single runs make them
    for (output, options) in [("a", "-c"), ("b", "-E")] {
        gdump_ok(&[options, text(small()), text(&name("single"))]);
        assert!(fs::read(name("single")).unwrap() == fs::read(name(output)).unwrap(), "{output}");
        fs::remove_file(name("single")).unwrap();
    }
    gdump_ok(&["check", text(&name("b"))]);
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"5\"") && xml.contains("failures=\"3\"") && xml.contains("errors=\"0\""), "{xml}");
    // nothing is done again
    let inodes = [inode(&name("a")), inode(&name("b"))];
    let again = run(&[text(&path), "--verify"], 1);
    assert!(again.values().all(|result| result["before"] == true && result["attempts"] == 0), "{again:?}");
    assert!(first.iter().all(|(id, result)| result["digest"] == again[id]["digest"]));
    assert_eq!(inodes, [inode(&name("a")), inode(&name("b"))]);
    // but what is another job by now
    fs::copy(small(), name("text")).unwrap();
    let mut jobs = jobs;
    jobs[0]["options"] = json!(["-l"]);
    jobs[1]["digest"] = json!(format!("blake3:{}", "0".repeat(64)));
    manifest(dir.path(), &jobs);
    let changed = run(&[text(&path)], 1);
    let begun = |id: &str| (status(&changed, id), changed[id]["before"].as_bool().unwrap());
    assert_eq!((begun("a"), begun("text")), (("done".to_owned(), false), ("done".to_owned(), false)));
    assert_eq!(begun("b"), ("failed".to_owned(), true));
    assert!(changed["b"]["errors"][0].as_str().unwrap().contains("expected blake3:000"), "{}", changed["b"]);
    // what somebody else put there is not ours to write over
    fs::remove_file(name("a")).unwrap();
    fs::write(name("a"), "mine").unwrap();
    let theirs = run(&[text(&path)], 1);
    assert!(theirs["a"]["errors"][0].as_str().unwrap().contains("File exists"), "{}", theirs["a"]);
    assert_eq!(fs::read(name("a")).unwrap(), b"mine");
}

#[test]
fn a_manifest_that_makes_no_sense_begins_nothing() {
    let dir = scratch();
    let good = json!({"input": "in", "output": "out"});
    let schema = schema("batch-manifest.json");
    assert!(schema.is_valid(&good));
    for (line, why) in [
        (json!({"input": "in", "output": "other", "option": []}), "unknown field"),
        (json!({"input": "in"}), "output"),
        (json!({"input": [], "output": "other"}), "empty"),
        (json!({"input": "-", "output": "other"}), "file name"),
        (json!({"input": "in", "output": "|cat"}), "options"),
        (json!({"input": "in", "output": ""}), "file name"),
        (json!({"input": "in", "output": "other", "digest": "0a"}), "blake3"),
    ] {
        assert!(!schema.is_valid(&line), "{line}");
        let path = manifest(dir.path(), &[good.clone(), line]);
        let said = refused(&[text(&path)], 1);
        assert!(said.contains("m.ndjson:2: ") && said.contains(why), "{said}");
    }
    // what a schema cannot say
    for (line, why) in [
        (json!({"input": "in", "output": "./out"}), "m.ndjson:1 writes it, too"),
        (json!({"input": "out", "output": "other"}), "jobs are done in any order"),
        (json!({"input": "in", "output": "other", "options": ["--nonsense"]}), "--nonsense"),
        (json!({"input": "in", "output": "other", "options": ["--dry-run"]}), "one dump to a file"),
    ] {
        assert!(schema.is_valid(&line), "{line}");
        let path = manifest(dir.path(), &[good.clone(), line]);
        let said = refused(&[text(&path)], 1);
        assert!(said.contains(why), "{said}");
    }
    let path = dir.path().join("m.ndjson");
    fs::write(&path, format!("{good}\n\n{{\"input\": \"a\",\n")).unwrap();
    assert!(refused(&[text(&path)], 1).contains("m.ndjson:3: "));
    assert!(!dir.path().join("m.ndjson.journal").exists());
}

#[test]
fn directories_and_names() {
    if is_emulated("directories_and_names") {
        return;
    }
    let dir = scratch();
    let [inputs, outputs] = ["in", "out"].map(|name| dir.path().join(name));
    for dir in [&inputs, &outputs] {
        fs::create_dir(dir).unwrap();
    }
    for name in ["a", "b", "a.sum", ".hidden"] {
        fs::copy(small(), inputs.join(name)).unwrap();
    }
    let args = ["--output-dir", text(&outputs), text(&inputs), "--", "-c"];
    let of_directory = run(&args, 0);
    assert_eq!(of_directory.len(), 2, "{of_directory:?}");
    assert!(outputs.join("batch.journal").is_file());
    let mut names = command(&["-0", "--output-dir", text(&outputs), "-", "--", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let list = format!("{}\0{}\0", text(&inputs.join("a")), text(&inputs.join("b")));
    names.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let names = names.wait_with_output().unwrap();
    assert!(names.status.success());
    assert!(results(&names.stdout).values().all(|result| result["before"] == true));
}

#[test]
fn shards_share_the_jobs() {
    if is_emulated("shards_share_the_jobs") {
        return;
    }
    let dir = scratch();
    let jobs: Vec<Value> =
        (0..5).map(|n| json!({"id": n.to_string(), "input": text(small()), "output": format!("o{n}")})).collect();
    let path = manifest(dir.path(), &jobs);
    let ids = |results: &BTreeMap<String, Value>| results.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&run(&[text(&path), "--shard", "2/2"], 0)), ["1", "3"]);
    let out = command(&[text(&path)]).envs([("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "2")]).output().unwrap();
    assert_eq!(ids(&results(&out.stdout)), ["0", "2", "4"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("shard 1/2 (CI_NODE_INDEX)"));
    for name in ["m.ndjson.1-of-2.journal", "m.ndjson.2-of-2.journal"] {
        assert!(dir.path().join(name).is_file(), "{name}");
    }
    // what the shards have done is done
    let all = run(&[text(&path), "--shard", "1/1"], 0);
    assert!(all.len() == 5 && all.values().all(|result| result["before"] == true), "{all:?}");
    let alone = command(&[text(&path)]).env("JOB_COMPLETION_INDEX", "0").output().unwrap();
    assert!(String::from_utf8_lossy(&alone.stderr).contains("--shard /N"));
}

/// What the system refuses is tried again, and its exit status is another than that of a broken dump.
#[test]
fn what_may_succeed_another_time_is_told_apart() {
    if is_emulated("what_may_succeed_another_time_is_told_apart") {
        return;
    }
    let dir = scratch();
    let jobs = [json!({"id": "a", "input": text(small()), "output": "a", "options": ["-f"]})];
    let path = manifest(dir.path(), &jobs);
    let other = File::create(dir.path().join("a.incomplete")).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let locked = run(&[text(&path), "--retries", "0"], 75);
    assert_eq!((locked["a"]["status"].as_str(), locked["a"]["attempts"].as_u64()), (Some("retryable"), Some(1)));
    assert!(locked["a"]["errors"][0].as_str().unwrap().contains("another process"), "{}", locked["a"]);
    assert_eq!(fs::metadata(dir.path().join("a.incomplete")).unwrap().ino(), other.metadata().unwrap().ino());
    drop(other);
    assert_eq!(run(&[text(&path)], 0)["a"]["status"], "done");
    // within a batch, it comes again
    let dir = scratch();
    let path = manifest(dir.path(), &jobs);
    let other = File::create(dir.path().join("a.incomplete")).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let batch =
        command(&[text(&path), "--retries", "20"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let journal = dir.path().join("m.ndjson.journal");
    while !fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"status\":\"retryable\"")) {
        sleep(Duration::from_millis(10));
    }
    drop(other);
    let out = batch.wait_with_output().unwrap();
    let ended = &results(&out.stdout)["a"];
    assert!(ended["status"] == "done" && ended["attempts"].as_u64() > Some(1), "{ended}");
    // the same run alone keeps its exit status
    let other = File::create(dir.path().join("b.incomplete")).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let out = dir.path().join("b");
    assert_eq!(gdump(&["-f", "--atomic", text(small()), text(&out)]).status.code(), Some(1));
}

/// A journal is one batch's at a time, and a batch is over when its last job is.
#[test]
fn two_batches_are_kept_apart() {
    let dir = scratch();
    let path = manifest(dir.path(), &[json!({"input": "in", "output": "out"})]);
    let journal = File::create(dir.path().join("m.ndjson.journal")).unwrap();
    flock(&journal, FlockOperation::LockExclusive).unwrap();
    assert!(refused(&[text(&path)], 75).contains("another batch"));
}

/// A batch whose one job waits for an input that never comes, and its manifest.
fn stuck(dir: &Path) -> (Child, PathBuf) {
    mknodat(CWD, dir.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let path = manifest(dir, &[json!({"id": "a", "input": "pipe", "output": "a"})]);
    let batch = command(&[text(&path)]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (batch, path)
}

/// The process of the job of a batch, once it is there.
fn job_of(batch: &Child) -> u32 {
    loop {
        let threads = fs::read_dir(format!("/proc/{}/task", batch.id())).unwrap().flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let pid = lists.filter_map(|list| list.split_whitespace().next()?.parse().ok()).next();
        let is_gdump = |pid: &u32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.windows(8).any(|part| part == b"--job-of")
        };
        if let Some(pid) = pid.filter(is_gdump) {
            return pid;
        }
        sleep(Duration::from_millis(10));
    }
}

fn is_there(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn jobs_end_with_their_batch() {
    if is_emulated("jobs_end_with_their_batch") {
        return;
    }
    let dir = scratch();
    let (batch, _) = stuck(dir.path());
    let job = job_of(&batch);
    crate::outputs::signal(&batch, "TERM");
    let out = batch.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(75), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(results(&out.stdout)["a"]["status"], "retryable");
    assert!(!is_there(job));
    let dir = scratch();
    let (mut batch, path) = stuck(dir.path());
    let job = job_of(&batch);
    batch.kill().unwrap();
    batch.wait().unwrap();
    // the next one waits for the job to go before it does anything
    fs::remove_file(dir.path().join("pipe")).unwrap();
    fs::copy(small(), dir.path().join("pipe")).unwrap();
    assert_eq!(run(&[text(&path)], 0)["a"]["status"], "done");
    assert!(!is_there(job));
}

/// Killed after an output got its name and before its checksums were there, a batch makes these alone.
#[test]
fn checksums_that_a_kill_left_out_are_made_up_for() {
    if is_emulated("checksums_that_a_kill_left_out_are_made_up_for") {
        return;
    }
    let dir = scratch();
    let path =
        manifest(dir.path(), &[json!({"id": "a", "input": text(small()), "output": "a", "options": ["--checksum"]})]);
    run(&[text(&path)], 0);
    let [out, sums, journal] = ["a", "a.sum", "m.ndjson.journal"].map(|name| dir.path().join(name));
    let (made, whole, lines) = (inode(&out), fs::read(&sums).unwrap(), fs::read_to_string(&journal).unwrap());
    let begun = &lines[..lines.find("{\"ended\"").unwrap()];
    for left in [None, Some(0), Some(50), Some(whole.len() - 1), Some(whole.len())] {
        fs::write(&journal, begun).unwrap();
        match left {
            Some(len) => fs::write(&sums, &whole[..len]).unwrap(),
            None => fs::remove_file(&sums).unwrap(),
        }
        let again = &run(&[text(&path)], 0)["a"];
        assert_eq!((again["before"].as_bool(), again["status"].as_str()), (Some(true), Some("done")), "{left:?}");
        assert!(inode(&out) == made && fs::read(&sums).unwrap() == whole, "{left:?}");
    }
}

/// Killed again and again, a batch comes to the same end, and no output that was there is made anew.
#[test]
fn a_killed_batch_goes_on_where_it_was() {
    if is_emulated("a_killed_batch_goes_on_where_it_was") {
        return;
    }
    let dir = scratch();
    let job = |n: usize| {
        let codec = ["-c", "-l", "-z", "-p"][n % 4];
        json!({"id": n.to_string(), "input": text(small()), "output": format!("o{n}"), "options": [codec]})
    };
    let path = manifest(dir.path(), &(0..12).map(job).collect::<Vec<_>>());
    let mut seen: BTreeMap<PathBuf, (u64, i64)> = BTreeMap::new();
    let mut note = |dir: &Path| {
        for n in 0..12 {
            let path = dir.join(format!("o{n}"));
            let Ok(meta) = fs::metadata(&path) else { continue };
            let found = (meta.ino(), meta.mtime_nsec());
            let first = *seen.entry(path.clone()).or_insert(found);
            assert_eq!(first, found, "{} was made anew", path.display());
        }
        seen.len()
    };
    for round in 0..40 {
        let args = [text(&path), "--results", "/dev/null"];
        let mut batch = command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(40 * (1 + round % 9)));
        batch.kill().unwrap();
        batch.wait().unwrap();
        if note(dir.path()) == 12 {
            break;
        }
    }
    let end = run(&[text(&path)], 0);
    note(dir.path());
    assert!(end.len() == 12 && end.values().all(|result| result["status"] == "done"), "{end:?}");
    for n in 0..4 {
        let single = dir.path().join("single");
        gdump_ok(&["-f", job(n)["options"][0].as_str().unwrap(), text(small()), text(&single)]);
        let single = fs::read(&single).unwrap();
        for like in (n..12).step_by(4) {
            assert!(fs::read(dir.path().join(format!("o{like}"))).unwrap() == single, "{like}");
        }
    }
    assert!(
        fs::read_dir(dir.path()).unwrap().all(|e| e.unwrap().path().extension().is_none_or(|end| end != "incomplete"))
    );
}

#[test]
fn one_dump_is_split_over_machines_and_joined() {
    if is_emulated("one_dump_is_split_over_machines_and_joined") {
        return;
    }
    let dir = scratch();
    let name = |name: &str| dir.path().join(name);
    let (vmcore, out) = (text(&tiny().vmcore), dir.path().to_owned());
    let args = [
        "--split-one",
        vmcore,
        "--parts",
        "3",
        "--output-dir",
        text(&out),
        "--",
        "-l",
        "-d",
        "31",
        "--splitblock-size",
        "1024",
    ];
    let listed = command(&args).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let schema = schema("batch-manifest.json");
    let lines: Vec<Value> =
        String::from_utf8(listed.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| schema.is_valid(line)), "{lines:?}");
    let path = manifest(dir.path(), &lines);
    for shard in ["1/2", "2/2"] {
        run(&[text(&path), "--shard", shard], 0);
    }
    let parts: Vec<String> = lines.iter().map(|line| line["output"].as_str().unwrap().to_owned()).collect();
    // they are what --split writes
    let split = [name("s1"), name("s2"), name("s3")];
    let mut args = vec!["--split", "-l", "-d", "31", "--splitblock-size", "1024", vmcore];
    args.extend(split.iter().map(|path| text(path)));
    gdump_ok(&args);
    for (part, split) in parts.iter().zip(&split) {
        assert!(fs::read(part).unwrap() == fs::read(split).unwrap(), "{part}");
    }
    let (joined, whole) = (name("joined"), name("whole"));
    let mut args = vec!["--reassemble"];
    args.extend(parts.iter().map(String::as_str));
    args.push(text(&joined));
    gdump_ok(&args);
    gdump_ok(&["-l", "-d", "31", vmcore, text(&whole)]);
    gdump_ok(&["diff", "--strict", text(&whole), text(&joined)]);
    let lengths: Vec<u64> = parts.iter().map(|part| fs::metadata(part).unwrap().len()).collect();
    let (least, most) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
    assert!(most < &(least * 2), "{lengths:?}");
}
