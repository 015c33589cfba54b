//! `cargo xtask lab`: real kernels under QEMU, real panics, and [`differ`] on what their capture kernels saw.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::report::Report;
use crate::{differ, program, workspace};

/// A kernel to be had: version, Debian suite, pattern of package names.
pub type Release = (&'static str, &'static str, &'static str);

/// The kernels of the lab.
pub const KERNELS: &[Release] = &[
    ("5.10", "bullseye", r"^linux-image-5\.10\.0-[0-9]+-cloud-amd64$"),
    ("6.1", "bookworm", r"^linux-image-6\.1\.0-[0-9]+-cloud-amd64$"),
    ("6.12", "trixie", r"^linux-image-6\.12\.[0-9]+\+deb13-cloud-amd64$"),
    ("7.2", "sid", r"^linux-image-7\.2\.[0-9]+\+deb14-cloud-amd64$"),
];
/// What taking a dump needs beside the peer.
pub const PROGRAMS: &[&str] = &[
    "apt-get",
    "bash",
    "busybox",
    "cpio",
    "dpkg-deb",
    "gcc",
    "kexec",
    "mkfs.ext4",
    "python3",
    "qemu-system-x86_64",
    "zstd",
];
/// An emulated capture kernel dies now and then, through no fault of ours.
const TRIES: u32 = 3;

/// What `cargo xtask lab` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Kernel to boot; may be given more than once [default: all]
    #[arg(long, value_name = "VERSION", value_delimiter = ',', value_parser = ["5.10", "6.1", "6.12", "7.2"])]
    kernel: Vec<String>,
    /// Memory of the guest in MiB
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(384..))]
    mem: u32,
    /// MiB of it to fill with data that compresses to about a third, as memory in use does
    #[arg(long, value_name = "MB")]
    rich: Option<u32>,
    /// Where kernels and dumps go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Compare also what crash shows; downloads the kernel's DWARF (up to 600 MB each)
    #[arg(long)]
    crash: bool,
    #[command(flatten)]
    options: differ::Options,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(PROGRAMS)?;
    program::need(&[&args.options.peer])?;
    if args.crash {
        program::need(&["crash"])?;
    }
    ensure!(args.rich.is_none_or(|rich| rich + 256 <= args.mem), "--rich wants {} MiB less than --mem", 256);
    let gdump = workspace::gdump(args.options.gdump.as_deref())?;
    let guest = Guest { mem: args.mem, rich: args.rich, debug: args.crash };
    let lab = Lab { guest, keep: keep(args.keep.as_deref())?, scripts: workspace::root()?.join("xtask/lab") };
    let mut report = Report::default();
    let wanted = |version| args.kernel.is_empty() || args.kernel.iter().any(|wanted| wanted == version);
    for kernel in KERNELS.iter().filter(|kernel| wanted(kernel.0)) {
        let taken = lab.take(kernel).with_context(|| format!("kernel {}", kernel.0))?;
        differ::compare(&taken.vmcore, taken.vmlinux.as_deref(), &args.options, &gdump, &mut report)?;
    }
    report.finish()
}

/// A large dump to measure on: 6.1, 4 GiB, 1500 MiB of it in use. Taken once, and found again in target/lab.
pub fn bench_vmcore() -> Result<PathBuf> {
    let guest = Guest { mem: 4096, rich: Some(1500), debug: false };
    let lab = Lab { guest, keep: keep(None)?, scripts: workspace::root()?.join("xtask/lab") };
    let kernel = KERNELS.iter().find(|kernel| kernel.0 == "6.1").context("no kernel 6.1")?;
    let vmcore = lab.vmcore(&lab.name(kernel.0));
    if vmcore.exists() {
        return Ok(vmcore);
    }
    program::need(PROGRAMS)?;
    println!("taking a dump of 4 GiB; the guest is emulated where there is no KVM, which takes some minutes");
    Ok(lab.take(kernel)?.vmcore)
}

/// What a capture kernel left.
pub struct Captured {
    /// What it printed.
    pub console: String,
    /// The file system on the disk that it had.
    pub disk: PathBuf,
}

/// Crashes a kernel and runs, in its capture kernel, `script` with `files` (where each is, and where it goes).
pub fn capture(
    release: &Release,
    (mem, rich): (u32, Option<u32>),
    kept: Option<&Path>,
    script: &str,
    files: &[(PathBuf, String)],
) -> Result<Captured> {
    let guest = Guest { mem, rich, debug: false };
    let lab = Lab { guest, keep: keep(kept)?, scripts: workspace::root()?.join("xtask/lab") };
    let (root, name) = (lab.kernel(release)?, lab.name(release.0));
    let [disk, serial] = ["capture", "serial"].map(|end| lab.keep.join(format!("{name}.{end}")));
    // a dozen dumps, one after the other, by an emulated CPU
    let mut words = ["--capture-fs", "--timeout", "1800"].map(str::to_owned).to_vec();
    for (from, to) in files.iter().cloned().chain([(lab.scripts.join(script), "/capture.sh".to_owned())]) {
        words.extend(["--capture".to_owned(), format!("{}:{to}", from.display())]);
    }
    lab.until_made(&disk, || {
        let mut command = lab.lab_py(&root, &name);
        command.args(&words);
        command
    })?;
    let console = String::from_utf8_lossy(&std::fs::read(&serial)?).into_owned();
    Ok(Captured { console, disk })
}

/// Where a kernel of the lab is, downloaded unless it is there.
pub fn kernel(version: &str, keep: &Path) -> Result<PathBuf> {
    let release = KERNELS.iter().find(|release| release.0 == version).context("no such kernel")?;
    let guest = Guest { mem: 0, rich: None, debug: false };
    Lab { guest, keep: keep.to_owned(), scripts: workspace::root()?.join("xtask/lab") }.kernel(release)
}

/// The folder for what is kept, made if need be.
pub fn keep(given: Option<&Path>) -> Result<PathBuf> {
    let dir =
        given.map_or_else(|| Ok(workspace::target()?.join("lab")), |dir| Ok::<_, anyhow::Error>(dir.to_path_buf()))?;
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    dir.canonicalize().with_context(|| dir.display().to_string())
}

/// The machine to be crashed.
struct Guest {
    /// Its memory in MiB,
    mem: u32,
    /// and how much of it is filled.
    rich: Option<u32>,
    /// Whether its kernel's DWARF is wanted.
    debug: bool,
}

/// The lab of one run.
struct Lab {
    guest: Guest,
    keep: PathBuf,
    scripts: PathBuf,
}

/// A dump taken.
struct Taken {
    vmcore: PathBuf,
    vmlinux: Option<PathBuf>,
}

impl Lab {
    /// Gets a kernel, boots it, crashes it.
    fn take(&self, release: &Release) -> Result<Taken> {
        let root = self.kernel(release)?;
        let vmlinux = if self.guest.debug { Some(find_vmlinux(&self.debug(release))?) } else { None };
        Ok(Taken { vmcore: self.boot(&root, &self.name(release.0))?, vmlinux })
    }

    /// Where a kernel is; it is downloaded unless it is there.
    fn kernel(&self, release: &Release) -> Result<PathBuf> {
        let root = self.keep.join(format!("kernel-{}", release.0));
        self.get(release.1, release.2, &root, &self.debug(release))?;
        Ok(root)
    }

    /// Where its DWARF is, if it is wanted.
    fn debug(&self, release: &Release) -> PathBuf {
        self.keep.join(format!("kernel-{}-debug", release.0))
    }

    /// What the dump of a kernel is called.
    fn name(&self, version: &str) -> String {
        match self.guest.rich {
            Some(rich) => format!("{version}-{}M-rich{rich}", self.guest.mem),
            None => format!("{version}-{}M", self.guest.mem),
        }
    }

    /// Where the dump of that name goes.
    fn vmcore(&self, name: &str) -> PathBuf {
        self.keep.join(format!("{name}.vmcore"))
    }

    /// Downloads a kernel unless it is there. With its DWARF it comes anew: both must be of one build.
    fn get(&self, suite: &str, pattern: &str, root: &Path, debug: &Path) -> Result<()> {
        if complete(root) && (!self.guest.debug || complete(debug)) {
            return Ok(());
        }
        for dir in [root, debug].into_iter().filter(|dir| dir.exists()) {
            std::fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        let mut script = Command::new("bash");
        script.arg(self.scripts.join("get-kernel.sh")).args([suite, "amd64", pattern]).arg(root);
        script.args(self.guest.debug.then_some("--debug"));
        program::run(&mut script)?;
        for dir in [root, debug].into_iter().filter(|dir| dir.exists()) {
            std::fs::write(dir.join(COMPLETE), "")?;
        }
        Ok(())
    }

    /// Boots the kernel in `root` and returns the vmcore of its panic.
    fn boot(&self, root: &Path, name: &str) -> Result<PathBuf> {
        let vmcore = self.vmcore(name);
        self.until_made(&vmcore, || self.lab_py(root, name))?;
        Ok(vmcore)
    }

    /// Runs a command, several times if need be, until it has made `file`.
    fn until_made(&self, file: &Path, command: impl Fn() -> Command) -> Result<()> {
        if file.exists() {
            std::fs::remove_file(file).with_context(|| file.display().to_string())?;
        }
        for attempt in 1..=TRIES {
            match program::run(&mut command()) {
                Ok(()) if file.exists() => return Ok(()),
                Ok(()) => println!("attempt {attempt}: the capture kernel left no {}", program::base(file)),
                Err(error) => println!("attempt {attempt}: {error:#}"),
            }
        }
        bail!("no {} in {TRIES} attempts; the guest's console is above", program::base(file))
    }

    fn lab_py(&self, root: &Path, name: &str) -> Command {
        let mut script = Command::new("python3");
        script.arg(self.scripts.join("lab.py")).arg(root).arg(&self.keep);
        script.args(["--kdump", "--formats", "", "--name", name, "--mem", &self.guest.mem.to_string()]);
        // Copying the memory out takes the emulated capture kernel about a minute for each 4 GiB.
        script.args(["--timeout", &(240 + self.guest.mem / 16).to_string()]);
        if let Some(rich) = self.guest.rich {
            script.args(["--append", &format!("WORKLOAD_MB={rich} WORKLOAD_KIND=rich")]);
        }
        script
    }
}

/// Marks a folder whose download came to its end.
pub const COMPLETE: &str = ".complete";

/// Whether a download into `dir` came to its end.
pub fn complete(dir: &Path) -> bool {
    dir.join(COMPLETE).exists()
}

/// The kernel with DWARF in an unpacked debug package.
pub fn find_vmlinux(debug: &Path) -> Result<PathBuf> {
    // Older packages have boot/vmlinux-VERSION, newer ones only lib/modules/VERSION/vmlinux.
    let base = debug.join("usr/lib/debug");
    let in_modules = entries(&base.join("lib/modules")).into_iter().map(|dir| dir.join("vmlinux"));
    let mut found = entries(&base.join("boot")).into_iter().chain(in_modules).filter(|path| path.is_file());
    found
        .find(|path| program::base(path).starts_with("vmlinux"))
        .with_context(|| format!("no vmlinux in {}", debug.display()))
}

/// What is in `dir`; nothing if there is no such folder.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmlinux_is_found_in_both_layouts() {
        for place in ["usr/lib/debug/boot/vmlinux-6.1", "usr/lib/debug/lib/modules/6.12/vmlinux"] {
            let dir = tempfile::tempdir().unwrap();
            assert!(find_vmlinux(dir.path()).is_err());
            let path = dir.path().join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            assert_eq!(find_vmlinux(dir.path()).unwrap(), path);
        }
    }
}
