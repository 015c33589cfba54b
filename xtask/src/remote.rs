//! `cargo xtask remote`: gdump-fleet reads a dump from moto, a store that speaks S3, as it does from a file.
//!
//! moto and the client that fills it, boto3, are in a Python environment of their own.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::report::Report;
use crate::{program, workspace};

const PACKAGES: [&str; 1] = ["moto[server]"];

/// Puts each file that is named into the bucket, in parts of 5 MiB, as large dumps are.
const FILL: &str = "
import boto3, sys
from boto3.s3.transfer import TransferConfig
s3 = boto3.client('s3', endpoint_url=sys.argv[1])
s3.create_bucket(Bucket='dumps')
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
for path in sys.argv[2:]:
    s3.upload_file(path, 'dumps', 'of tests/' + path.rsplit('/', 1)[1], Config=parts)
";

/// The account, which moto has no need of.
const ACCOUNT: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "tests"), ("AWS_SECRET_ACCESS_KEY", "tests"), ("AWS_DEFAULT_REGION", "us-east-1")];

/// What `cargo xtask remote` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Another gdump-fleet than this repository's
    #[arg(long, value_name = "PATH")]
    gdump_fleet: Option<PathBuf>,
    /// A Python that has moto's server [default: one in an environment that is made]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// The store, until it is dropped.
struct Store {
    server: Child,
    endpoint: String,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(&["python3"])?;
    let fleet = workspace::built("gdump-fleet", args.gdump_fleet.as_deref())?;
    std::fs::create_dir_all(workspace::target()?)?;
    let python = args.python.clone().map_or_else(environment, Ok)?;
    let scratch = tempfile::Builder::new().prefix("remote").tempdir_in(workspace::target()?)?;
    let packed = workspace::root()?.join("fixtures/tiny/vmcore.zst");
    let dump = scratch.path().join("vmcore");
    zstd::stream::copy_decode(std::fs::File::open(&packed)?, std::fs::File::create(&dump)?)?;
    let store = Store::start(&python)?;
    store.fill(&python, &[&dump, &packed])?;
    let mut report = Report::default();
    let wanted = convert(&mut command(&fleet, &store), &dump.display().to_string(), scratch.path())?;
    for name in ["vmcore", "vmcore.zst"] {
        let object = format!("s3://dumps/of tests/{name}");
        report.start(&object);
        let found = convert(&mut command(&fleet, &store), &object, scratch.path())?;
        let same = found == wanted;
        if same {
            report.note("the same dump as from the file")
        } else {
            report.differs("the dump made of it")
        }
        let info = |name: &str| program::quiet(command(&fleet, &store).args(["info", name]));
        let (here, there) = (info(&dump.display().to_string())?, info(&object)?);
        let without_names = |text: &str| text.lines().filter(|line| !line.contains("vmcore")).count();
        if without_names(&here) != without_names(&there) {
            report.differs(format!("info says\n{there}"));
        }
    }
    let absent = program::output(command(&fleet, &store).args(["info", "s3://dumps/none"]))?;
    let said = String::from_utf8_lossy(&absent.stderr);
    if absent.status.success() || !said.contains("the server says 404") {
        report.differs(format!("of an object that is not there it says {said}"));
    }
    report.finish()
}

fn command(fleet: &Path, store: &Store) -> Command {
    let mut command = Command::new(fleet);
    command.envs(ACCOUNT).env("AWS_ENDPOINT_URL", &store.endpoint);
    command
}

/// What becomes of a dump at dump level 31.
fn convert(fleet: &mut Command, name: &str, scratch: &Path) -> Result<Vec<u8>> {
    let out = scratch.join("out");
    program::quiet(fleet.args(["-f", "-c", "-d", "31", name]).arg(&out))?;
    std::fs::read(&out).context("the dump that was made")
}

impl Store {
    fn start(python: &Path) -> Result<Store> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut moto = Command::new(python);
        moto.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let server = moto.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut store = Store { server, endpoint: format!("http://127.0.0.1:{port}") };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(store.server.try_wait()?.is_none(), "moto ended");
            ensure!(began.elapsed() < Duration::from_secs(120), "moto does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(store)
    }

    fn fill(&self, python: &Path, files: &[&Path]) -> Result<()> {
        let mut command = Command::new(python);
        command.envs(ACCOUNT).args(["-", &self.endpoint]).args(files).stdin(Stdio::piped());
        let mut python = command.spawn()?;
        python.stdin.take().context("python reads")?.write_all(FILL.as_bytes())?;
        ensure!(python.wait()?.success(), "the store cannot be filled");
        Ok(())
    }
}

/// A Python with the packages.
fn environment() -> Result<PathBuf> {
    let directory = workspace::target()?.join("s3-store");
    let python = directory.join("bin/python");
    if !python.is_file() {
        program::quiet(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    }
    program::quiet(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    Ok(python)
}
