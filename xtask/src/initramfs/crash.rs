//! A whole Debian machine that crashes: its own kdump-tools loads the capture kernel, and writes the dump in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{program, workspace};

/// What this needs beside the root.
pub const PROGRAMS: &[&str] = &["debugfs", "mkfs.ext4", "qemu-system-x86_64", "timeout"];
/// For two boots, a panic and a dump by an emulated CPU of a busy machine.
const SECONDS: &str = "1500";
/// MiB of the machine, and how many of them its capture kernel has.
const MEMORY: (&str, &str) = ("1024", "192");

/// Crashes the machine in `root`, and checks what its services wrote.
pub fn run(root: &Path, gdump: &Path, vmlinux: Option<&Path>) -> Result<()> {
    let scratch = tempfile::tempdir_in(root.parent().context("a root has a folder")?)?;
    let image = scratch.path().join("disk");
    let script = workspace::root()?.join("xtask/lab/crash-root.sh");
    program::run(Command::new("bash").arg(script).arg(root).arg(gdump).arg(&image))?;
    let console = boot(root, &image, scratch.path())?;
    let said = console.lines().filter(|line| ["makedumpfile", "kdump-tools"].iter().any(|word| line.contains(word)));
    said.for_each(|line| println!("console: {}", line.trim_end()));
    let kept = root.with_extension("crash");
    let dumps = taken(&image, &kept)?;
    let Some(dump) = dumps.iter().find(|path| program::base(path).starts_with("dump.")) else {
        bail!("kdump-tools left no dump in /var/crash, but {dumps:?}; the console ends:\n{}", end(&console));
    };
    for file in &dumps {
        println!("{}: {} bytes", file.display(), file.metadata()?.len());
    }
    print!("{}", program::quiet(Command::new(gdump).arg("check").arg(dump))?);
    vmlinux.map_or(Ok(()), |vmlinux| opened(gdump, dump, vmlinux))
}

/// Boots the image, and returns what was on the console when the machine stopped.
fn boot(root: &Path, image: &Path, scratch: &Path) -> Result<String> {
    let serial = scratch.join("serial");
    let kernel = only(&root.join("boot"), "vmlinuz-")?;
    let initrd = only(&root.join("boot"), "initrd.img-")?;
    // QEMU ends where kdump-tools restarts the machine
    let mut qemu = Command::new("timeout");
    qemu.args([SECONDS, "qemu-system-x86_64", "-machine", "q35", "-cpu", "max,pku=off,la57=off", "-accel"]);
    qemu.args(["tcg,thread=multi", "-smp", "2", "-m", MEMORY.0, "-display", "none", "-no-reboot"]);
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    let append = format!("root=/dev/vda rw console=ttyS0 panic=5 crashkernel={}M net.ifnames=0", MEMORY.1);
    qemu.args(["-append", &append, "-serial", &format!("file:{}", serial.display())]);
    qemu.args(["-drive", &format!("file={},if=virtio,format=raw", image.display())]);
    println!("a Debian machine is booted, crashed, and dumps itself; that takes minutes");
    let status = qemu.stdin(Stdio::null()).status().context("qemu-system-x86_64")?;
    let console = String::from_utf8_lossy(&std::fs::read(&serial)?).into_owned();
    ensure!(status.success(), "the machine did not stop ({status}); its console ends:\n{}", end(&console));
    Ok(console)
}

/// The files of the machine's /var/crash, which are kept in `kept`.
fn taken(image: &Path, kept: &Path) -> Result<Vec<PathBuf>> {
    if kept.exists() {
        std::fs::remove_dir_all(kept).with_context(|| kept.display().to_string())?;
    }
    std::fs::create_dir_all(kept).with_context(|| kept.display().to_string())?;
    let request = format!("rdump /var/crash {}", kept.display());
    program::quiet(Command::new("debugfs").args(["-R", &request]).arg(image))?;
    let mut files = Vec::new();
    for stamp in std::fs::read_dir(kept.join("crash"))?.flatten().filter(|entry| entry.path().is_dir()) {
        files.extend(std::fs::read_dir(stamp.path())?.flatten().map(|entry| entry.path()));
    }
    files.sort();
    Ok(files)
}

/// Has crash open the dump, which kdump-tools leaves flattened.
fn opened(gdump: &Path, dump: &Path, vmlinux: &Path) -> Result<()> {
    program::need(&["crash"])?;
    let whole = dump.with_extension("rearranged");
    let mut rearrange = Command::new(gdump);
    let rearrange = rearrange.args(["makedumpfile", "-f", "-R"]).arg(&whole).stdin(std::fs::File::open(dump)?);
    let output = rearrange.output().with_context(|| program::shown(rearrange))?;
    program::checked(rearrange, &output)?;
    let script = dump.with_extension("commands");
    std::fs::write(&script, "sys\nbt\nkmem -i\nquit\n")?;
    let mut crash = Command::new("crash");
    let said = program::quiet(crash.args(["-s", "-i"]).arg(&script).arg(vmlinux).arg(&whole))?;
    ensure!(said.contains("PANIC:"), "crash shows no panic:\n{said}");
    print!("{said}");
    Ok(())
}

/// The newest file in `dir` whose name begins with `start`.
fn only(dir: &Path, start: &str) -> Result<PathBuf> {
    let files = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?.flatten().map(|entry| entry.path());
    let newest = files.filter(|path| program::base(path).starts_with(start)).max();
    newest.with_context(|| format!("no {start}* in {}", dir.display()))
}

fn end(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
