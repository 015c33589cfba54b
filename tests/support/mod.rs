//! What the tests share.

use dump_witness::{Elf, Kdump, Page};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A kdump-compressed file, opened by the second reader.
pub fn open(path: &Path) -> Kdump {
    Kdump::open(path).unwrap()
}

/// A vmcore, opened by the second reader.
pub fn elf(path: &Path) -> Elf {
    Elf::open(path).unwrap()
}

/// A page of a dump, which must be well-formed.
pub fn page(kdump: &Kdump, pfn: u64) -> Page {
    kdump.page(pfn).unwrap_or_else(|error| panic!("pfn {pfn:#x}: {error:#}"))
}

/// gdump, to be run; by an emulator where the tests are for another host than this one.
pub fn program() -> Command {
    let emulator = std::env::var("GDUMP_EMULATOR").unwrap_or_default();
    let mut words = emulator.split_whitespace().chain([env!("CARGO_BIN_EXE_gdump")]);
    let mut command = Command::new(words.next().expect("the program itself is there"));
    command.args(words);
    command
}

/// gdump with `args`, run to its end.
pub fn gdump(args: &[&str]) -> Output {
    without_progress(program().args(args).output().expect("gdump starts"))
}

/// What a run printed, without the lines of its progress.
pub fn without_progress(run: Output) -> Output {
    let is_progress = |line: &&[u8]| line.windows(3).any(|bytes| bytes == b" %]");
    let stderr =
        run.stderr.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_progress(line)).collect::<Vec<_>>();
    Output { stderr: stderr.concat(), ..run }
}

/// gdump with `args`, which must succeed and say nothing on stderr.
pub fn gdump_ok(args: &[&str]) -> String {
    let out = gdump(args);
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && stderr.is_empty(), "gdump {args:?}: {}: {stderr}", out.status);
    String::from_utf8(out.stdout).unwrap()
}

/// gdump with `args`, which must fail with exit status 1 and one line on stderr: that line.
pub fn gdump_refuses(args: &[&str]) -> String {
    let out = gdump(args);
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "gdump {args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "gdump {args:?}: {stderr}");
    assert!(stderr.starts_with("gdump: "), "{stderr}");
    stderr
}

/// gdump with `args` where files may have `kib` KiB: its status, stdout and stderr. A file size limit stands for a full
/// disk: the write fails in the same way.
pub fn limited(kib: u64, args: &[&str]) -> (ExitStatus, String, String) {
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    let run = Command::new("bash").args(["-c", &script, env!("CARGO_BIN_EXE_gdump")]).args(args).output().unwrap();
    let run = without_progress(run);
    (run.status, String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap())
}

/// A directory that goes when the test ends.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A dump with what makedumpfile makes of it.
pub struct Case {
    pub name: String,
    pub vmcore: PathBuf,
    /// `pages.json` and `bitmaps/dNN.bitmap`.
    pub oracle: PathBuf,
}

impl Case {
    /// makedumpfile's 2nd bitmap at a dump level.
    pub fn bitmap(&self, level: u32) -> Vec<u8> {
        std::fs::read(self.oracle.join(format!("bitmaps/d{level:02}.bitmap"))).unwrap()
    }

    /// makedumpfile's count of a class of pages at a dump level.
    pub fn count(&self, level: u32, class: &str) -> u64 {
        self.pages()["levels"][level.to_string()][class].as_u64().unwrap()
    }

    /// Where makedumpfile takes memory to end (pfn).
    pub fn max_mapnr(&self) -> u64 {
        self.pages()["max_mapnr"].as_u64().unwrap()
    }

    fn pages(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.oracle.join("pages.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// The dump that ships with the repository, decompressed.
pub fn tiny() -> &'static Case {
    static TINY: OnceLock<Case> = OnceLock::new();
    TINY.get_or_init(|| decompressed("tiny", &root().join("fixtures/tiny"), "vmcore.zst"))
}

/// A dump of the corpus of architectures that `GDUMP_CORPUS_ARCH` names; where it names none, `test` is skipped, and
/// says so.
pub fn of_arch(name: &str, test: &str) -> Option<Case> {
    let Some(dir) = std::env::var_os("GDUMP_CORPUS_ARCH").filter(|dir| !dir.is_empty()) else {
        skipped("corpus-arch", test, "GDUMP_CORPUS_ARCH names no corpus");
        return None;
    };
    Some(decompressed(name, &Path::new(&dir).join(name), "dump.elf.zst"))
}

/// The folder that `GDUMP_CORPUS` names, where it is set.
pub fn corpus_dir() -> Option<PathBuf> {
    std::env::var_os("GDUMP_CORPUS").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// The dumps of the corpus.
pub fn corpus() -> &'static [Case] {
    static CORPUS: OnceLock<Vec<Case>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let Some(dir) = corpus_dir() else { return Vec::new() };
        let mut dirs: Vec<PathBuf> =
            std::fs::read_dir(&dir).expect("GDUMP_CORPUS is a directory").map(|e| e.unwrap().path()).collect();
        dirs.sort();
        dirs.retain(|dir| dir.join("vmcore.zst").exists() && dir.join("pages.json").exists());
        assert!(!dirs.is_empty(), "GDUMP_CORPUS holds no dumps");
        let name = |dir: &PathBuf| dir.file_name().unwrap().to_str().unwrap().to_owned();
        dirs.iter().map(|dir| decompressed(&name(dir), dir, "vmcore.zst")).collect()
    })
}

/// Says, where it is seen, that a test was skipped for want of `missing`: the harness keeps what passing tests print,
/// but not what they write to stderr. Where `GDUMP_NEED` names it, as one of a list with commas, the test fails
/// instead.
pub fn skipped(missing: &str, test: &str, why: &str) {
    let needed = std::env::var("GDUMP_NEED").unwrap_or_default();
    assert!(!names(&needed, missing), "{test}: {why}, but GDUMP_NEED={needed}");
    // Not eprintln!, which the harness would keep.
    std::io::stderr().write_all(format!("{test}: skipped: {why}\n").as_bytes()).unwrap();
}

fn names(list: &str, word: &str) -> bool {
    list.split(',').any(|name| name.trim() == word)
}

/// Whether python3 has drgn; says so where it has not.
pub fn has_drgn(test: &str) -> bool {
    let import = Command::new("python3").args(["-c", "import drgn"]).stderr(Stdio::null()).status();
    let has = import.is_ok_and(|status| status.success());
    if !has {
        skipped("drgn", test, "python3 with drgn is not installed (pip install drgn)");
    }
    has
}

#[test]
fn a_need_is_a_whole_word_of_the_list() {
    assert!(names("corpus,crash", "crash") && names(" drgn , crash", "drgn"));
    assert!(!names("", "crash") && !names("corpus-arch", "corpus"));
}

/// Decompresses the dump `file` of `dir` below the build's own folder, once for each length of it.
fn decompressed(name: &str, dir: &Path, file: &str) -> Case {
    let compressed = dir.join(file);
    let stamp = compressed.metadata().unwrap().len();
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{stamp}.vmcore"));
    if !to.exists() {
        let thread = std::thread::current().id();
        let partial = to.with_extension(format!("{}-{thread:?}.partial", std::process::id()));
        let mut from = zstd::Decoder::new(std::fs::File::open(&compressed).unwrap()).unwrap();
        std::io::copy(&mut from, &mut std::fs::File::create(&partial).unwrap()).unwrap();
        std::fs::rename(&partial, &to).unwrap();
    }
    Case { name: name.to_owned(), vmcore: to, oracle: dir.to_owned() }
}

/// Whether a program can be started.
pub fn has(program: &str, arg: &str) -> bool {
    Command::new(program).arg(arg).output().is_ok_and(|out| out.status.success())
}
