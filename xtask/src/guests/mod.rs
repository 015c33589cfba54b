//! `cargo xtask guests`: kernels of every architecture under QEMU, dumped while they run. gdump's choice of pages is held
//! against what each guest said of its own, in /proc/kpageflags just before: no reader of dumps has a part in that.

mod choice;
mod flags;
mod kinds;
mod tasks;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::report::Report;
use crate::{lab, program, workspace};
use kinds::{KINDS, Kind, MACHINES};

/// What booting a guest needs beside its emulator and its compiler.
const PROGRAMS: &[&str] = &["apt-get", "bash", "cpio", "dpkg-deb", "mkfs.ext4", "python3", "zstd"];

/// What `cargo xtask guests` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The guests to boot, whose names begin with one of these [default: all]
    #[arg(value_name = "GUEST")]
    guests: Vec<String>,
    /// Name the guests there are, and no more
    #[arg(long)]
    list: bool,
    /// Take dumps again that are kept
    #[arg(long)]
    again: bool,
    /// Where kernels and dumps go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The gdump to check [default: this repository's, built for release]
    #[arg(long, value_name = "FILE")]
    gdump: Option<PathBuf>,
    /// Have drgn list the tasks of each dump too, by the kernel's debug symbols: packages of up to 1 GB
    #[arg(long)]
    symbols: bool,
    /// Seconds that a guest may take to boot; emulation is slow
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u32,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let wanted = |kind: &&Kind| args.guests.is_empty() || args.guests.iter().any(|name| kind.name.starts_with(name));
    let kinds: Vec<&Kind> = KINDS.iter().filter(wanted).collect();
    if args.list {
        kinds.iter().for_each(|kind| println!("{}", kind.name));
        return Ok(());
    }
    if kinds.is_empty() {
        bail!("no such guest; --list names them");
    }
    program::need(PROGRAMS)?;
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let keep = lab::keep(args.keep.as_deref())?;
    let mut report = Report::default();
    for kind in kinds {
        report.start(kind.name);
        let taken = Taken::in_folder(&keep, kind);
        if args.again || !taken.is_there() {
            if let Err(error) = take(kind, &keep, args.timeout) {
                report.left_out(format!("{}: {error:#}", kind.name));
                continue;
            }
        }
        if let Err(error) = choice::check(&taken, kind.first(), &gdump, &mut report) {
            report.left_out(format!("{}: {error:#}", kind.name));
        }
        if args.symbols {
            if let Err(error) = tasks::check(&taken, kind, &keep, &gdump, &mut report) {
                report.left_out(format!("{}: tasks: {error:#}", kind.name));
            }
        }
    }
    report.finish()
}

/// What a guest left.
pub struct Taken {
    /// Its memory, as QEMU wrote it.
    pub dump: PathBuf,
    /// /proc/kpageflags.
    pub flags: PathBuf,
    /// Its console.
    pub console: PathBuf,
}

impl Taken {
    fn in_folder(keep: &Path, kind: &Kind) -> Taken {
        let [dump, flags, console] =
            ["elf", "kpageflags", "serial"].map(|ending| keep.join(format!("{}.{ending}", kind.name)));
        Taken { dump, flags, console }
    }

    fn is_there(&self) -> bool {
        [&self.dump, &self.flags, &self.console].iter().all(|file| file.is_file())
    }
}

/// Gets a kernel, boots it, dumps it.
fn take(kind: &Kind, keep: &Path, timeout: u32) -> Result<()> {
    let machine = MACHINES.iter().find(|machine| machine.0 == kind.arch).context("no machine for it")?;
    program::need(&[machine.1, machine.2])?;
    let scripts = workspace::root()?.join("xtask/lab");
    let root = kernel(kind, keep, &scripts)?;
    let mut script = Command::new("python3");
    script.arg(scripts.join("lab.py")).arg(&root).arg(keep).args(["--arch", kind.arch, "--name", kind.name]);
    script.args(["--mem", &kind.mem.to_string(), "--timeout", &timeout.to_string()]);
    script.args(["--append", "WORKLOAD_MB=4 FILES=1", "--busybox"]).arg(busybox(&root)?);
    program::run(script.args(kind.options))
}

/// Where a kernel goes: one may serve several guests.
fn folder(kind: &Kind, keep: &Path) -> PathBuf {
    let same = |other: &&Kind| (other.suite, other.arch, other.package) == (kind.suite, kind.arch, kind.package);
    let name = KINDS.iter().find(same).map_or(kind.name, |first| first.name);
    keep.join(format!("guest-{name}"))
}

/// Where a kernel is, with a busybox; both are downloaded unless they are there.
fn kernel(kind: &Kind, keep: &Path, scripts: &Path) -> Result<PathBuf> {
    let root = folder(kind, keep);
    if !lab::complete(&root) {
        if root.exists() {
            std::fs::remove_dir_all(&root).with_context(|| root.display().to_string())?;
        }
        let mut script = Command::new("bash");
        script.arg(scripts.join("get-kernel.sh")).args([kind.suite, kind.arch, kind.package]).arg(&root);
        program::run(script.arg("--busybox"))?;
        std::fs::write(root.join(lab::COMPLETE), "")?;
    }
    Ok(root)
}

/// Where the kernel of the guest `name` is, and its busybox, downloaded unless they are there.
pub fn kernel_of(name: &str, keep: &Path) -> Result<(PathBuf, PathBuf)> {
    let kind = KINDS.iter().find(|kind| kind.name == name).context("no such guest")?;
    let root = kernel(kind, keep, &workspace::root()?.join("xtask/lab"))?;
    let busybox = busybox(&root)?;
    Ok((root, busybox))
}

fn busybox(root: &Path) -> Result<PathBuf> {
    let paths = ["bin/busybox", "usr/bin/busybox"].map(|path| root.join(path));
    paths.into_iter().find(|path| path.is_file()).context("no busybox")
}
