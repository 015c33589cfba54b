//! The program that reads over the network, from end to end, against a server on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test ends by it

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))] // there is none on others
mod https;
#[path = "../../../dump-remote/tests/served/mod.rs"]
mod served;

use dump_synth::{Era, FakeLog, KernelBuilder};
use served::{Content, Manner, Served};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The program, without what the environment says of proxies and accounts.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gdump-fleet"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("SSL_CERT") || name.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

fn ok(args: &[&str]) -> String {
    let out = run(args);
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {}: {stderr}", out.status);
    String::from_utf8(out.stdout).unwrap()
}

/// What was said on stderr by a run that failed.
fn fails(args: &[&str]) -> String {
    let out = run(args);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8(out.stderr).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The dump that ships with the repository, compressed and not.
fn tiny() -> &'static (Vec<u8>, Vec<u8>) {
    static TINY: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    TINY.get_or_init(|| {
        let packed = fs::read(root().join("fixtures/tiny/vmcore.zst")).unwrap();
        let dump = zstd::decode_all(&packed[..]).unwrap();
        (packed, dump)
    })
}

fn serve(bytes: &[u8], manner: Manner) -> Served {
    Served::new(Content::bytes(bytes), manner)
}

#[test]
fn verbs_say_of_a_dump_on_a_server_what_they_say_of_a_file() {
    let dir = scratch();
    let path = dir.path().join("vmcore");
    fs::write(&path, &tiny().1).unwrap();
    let (local, served) = (text(&path), serve(&tiny().1, Manner::Well));
    let url = served.url();
    for verb in ["info", "info --json", "check", "check --json", "estimate --json", "dmesg"] {
        // how long it took is nobody's promise
        let lasting =
            |text: &str| text.lines().filter(|line| !line.contains("\"seconds\"")).collect::<Vec<_>>().join("\n");
        let said = |name: &str| lasting(&ok(&verb.split(' ').chain([name]).collect::<Vec<_>>()).replace(name, "NAME"));
        assert_eq!(said(&url), said(local), "{verb}");
    }
    let other = serve(&tiny().1, Manner::Parts(100_000));
    let said = ok(&["diff", "--strict", &url, &other.url()]);
    assert_eq!(
        said.replace(&url, "A").replace(&other.url(), "B"),
        ok(&["diff", "--strict", local, local]).replacen(local, "A", 1).replace(local, "B")
    );
}

#[test]
fn bytes_of_dumps_do_not_depend_on_where_they_come_from() {
    let dir = scratch();
    let (path, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    fs::write(&path, &tiny().1).unwrap();
    let convert = |options: &str, name: &str, threads: &str| {
        let mut args: Vec<&str> = options.split(' ').collect();
        args.extend(["-f", "--num-threads", threads, name, text(&out)]);
        ok(&args);
        fs::read(&out).unwrap()
    };
    for (options, manner, threads) in [
        ("-c -d 31", Manner::Well, "1"),
        ("-c -d 31", Manner::Well, "8"),
        ("-c -d 31", Manner::Busy(2), "2"),
        ("-c -d 31", Manner::CutAfter(100_000), "3"),
        ("-E -d 31", Manner::SendsOn { forgets: 5 }, "2"),
        ("-l -d 0", Manner::Slow(Duration::from_millis(1)), "2"),
    ] {
        let want = convert(options, text(&path), "2");
        let served = serve(&tiny().1, manner);
        assert!(convert(options, &served.url(), threads) == want, "{options} {manner:?}");
    }
}

#[test]
fn of_a_large_dump_little_is_read() {
    let dir = scratch();
    let path = dir.path().join("vmcore");
    let builder = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x4000\nanon 0x100..0x200");
    let kernel = builder.log(FakeLog::ring(6, 12).line(1_000_000, "hello")).build();
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    kernel.write_sparse(&file).unwrap();
    // its one PT_LOAD goes on to 100 GiB: p_filesz and p_memsz of the second program header
    let len = 100u64 << 30;
    file.write_all_at(&[len.to_le_bytes(), len.to_le_bytes()].concat(), 64 + 56 + 32).unwrap();
    file.set_len(file.metadata().unwrap().len() - (0x4000 << 12) + len).unwrap();
    let served = Served::new(Content::of(File::open(&path).unwrap()), Manner::Well);
    let said = ok(&["info", &served.url()]);
    assert_eq!(said.replace(&served.url(), "NAME"), ok(&["info", text(&path)]).replace(text(&path), "NAME"));
    assert!(served.sent() < 1 << 20, "{} bytes in {} answers", served.sent(), served.answers());
    let (before, said) = (served.sent(), ok(&["dmesg", &served.url()]));
    assert!(said.contains("hello") && said == ok(&["dmesg", text(&path)]), "{said}");
    assert!(served.sent() - before < 1 << 20, "{} bytes for the log", served.sent() - before);
}

#[test]
fn compressed_and_in_parts() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("vmcore"), &tiny().1).unwrap();
    ok(&["-c", "-d", "31", text(&path("vmcore")), text(&path("want"))]);
    let served = serve(&tiny().0, Manner::Well);
    ok(&["-c", "-d", "31", &served.url(), text(&path("out"))]);
    assert!(fs::read(path("out")).unwrap() == fs::read(path("want")).unwrap());
    assert!(served.sent() < tiny().0.len() as u64 + 100_000);

    ok(&["--split", "-c", "-d", "31", text(&path("vmcore")), text(&path("a")), text(&path("b"))]);
    let parts = ["a", "b"].map(|name| serve(&fs::read(path(name)).unwrap(), Manner::Well));
    ok(&["--reassemble", "-f", &parts[0].url(), &parts[1].url(), text(&path("out"))]);
    ok(&["diff", "--strict", text(&path("out")), text(&path("want"))]);

    ok(&["--format", "raw", text(&path("vmcore")), text(&path("raw"))]);
    let served = serve(&fs::read(path("raw")).unwrap(), Manner::Well);
    let said = |name: &str| ok(&["info", &format!("{name}@0")]).replace(name, "NAME");
    assert_eq!(said(&served.url()), said(text(&path("raw"))));
}

#[test]
fn one_line_says_why_a_dump_is_not_to_be_had() {
    for (manner, words) in [
        (Manner::Says(404), "the server says 404 Not Found"),
        (Manner::Encodes, "the server encodes the file"),
        (Manner::WrongRange, "asked for bytes 0-"),
    ] {
        let served = serve(&tiny().1, manner);
        let said = fails(&["info", &served.url()]);
        assert!(said.lines().count() == 1 && said.contains(words), "{manner:?}: {said}");
        assert!(said.starts_with(&format!("gdump-fleet: {}: ", served.url())), "{said}");
    }
    let served = serve(&vec![1; 17 << 20], Manner::NoRanges);
    assert!(fails(&["info", &served.url()]).contains("sends no parts of files"));
    let served = serve(&tiny().1, Manner::Well);
    for args in [["info", "http://"], ["info", "s3://bucket"], ["-R", &served.url()], [&served.url(), "http://h/out"]] {
        let args: Vec<&str> = args.into_iter().chain((args[0] == "-R").then_some("out")).collect();
        assert_eq!(fails(&args).lines().count(), 1, "{args:?}: {}", fails(&args));
    }
    assert_eq!(served.answers(), 0);
}

/// Whatever was not read is not taken for what is not there.
#[test]
fn a_dump_that_changes_ends_the_run() {
    let dir = scratch();
    let out = dir.path().join("out");
    for blindly in [false, true] {
        for args in [vec!["check"], vec!["dmesg"], vec!["-c", "-d", "31", "-f"]] {
            let served = serve(&tiny().1, Manner::Replaced { after: 4, blindly });
            let url = served.url();
            let output = (args[0] == "-c").then_some(text(&out));
            let said = fails(&args.iter().copied().chain([url.as_str()]).chain(output).collect::<Vec<_>>());
            assert!(said.contains("another file is there since it was opened: its ETag"), "{args:?}: {said}");
        }
    }
}

#[test]
fn the_sandbox_lets_servers_be_reached_and_nothing_else() {
    let served = serve(&tiny().1, Manner::Well);
    let said = ok(&["-D", "--dry-run", "-d", "31", &served.url(), "out"]);
    let line = said.lines().find(|line| line.starts_with("sandbox")).unwrap();
    // where it is not in force, the kernel has none: that is said of local files too
    let dir = scratch();
    let path = dir.path().join("vmcore");
    fs::write(&path, &tiny().1).unwrap();
    let local = ok(&["-D", "--dry-run", "-d", "31", text(&path), "out"]);
    assert_eq!(Some(line), local.lines().find(|line| line.starts_with("sandbox")));
}

#[test]
fn objects_of_s3_are_asked_for_with_a_signature() {
    let served = serve(&tiny().1, Manner::Well);
    let endpoint = format!("http://{}", served.address());
    let run = |vars: &[(&str, &str)]| {
        let vars = vars.iter().copied().chain([("AWS_ENDPOINT_URL", endpoint.as_str()), ("HOME", "/no/such")]);
        let out = program().args(["info", "s3://dumps/2026/a b.elf"]).envs(vars).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        served.path()
    };
    let own = [("AWS_ACCESS_KEY_ID", "me"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "eu-west-1")];
    let path = run(&own);
    assert!(path.starts_with("/dumps/2026/a%20b.elf?"), "{path}");
    for part in ["X-Amz-Credential=me%2F", "%2Feu-west-1%2Fs3%2Faws4_request", "X-Amz-Signature="] {
        assert!(path.contains(part), "{path}");
    }
    assert_eq!(run(&[]), "/dumps/2026/a%20b.elf");
}
