//! A guest that stays until it is dropped, under `lab.py`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::monitor::Monitor;
use crate::{lab, workspace};

/// What to boot.
pub struct Boot<'a> {
    /// The unpacked kernel.
    pub root: &'a Path,
    /// Debian's name of the architecture.
    pub arch: &'a str,
    /// The busybox of that architecture.
    pub busybox: PathBuf,
    /// Memory at boot (MiB).
    pub mem: u32,
    /// Words for the kernel, by which init knows what to fill memory with.
    pub append: String,
    /// More words for `lab.py`,
    pub lab: Vec<String>,
    /// and for QEMU.
    pub qemu: String,
    /// Seconds it may take.
    pub timeout: u32,
}

/// A guest that runs. It ends when this is dropped.
pub struct Guest {
    lab: Child,
    dir: tempfile::TempDir,
    /// What watches the guest, on a socket of its own.
    pub monitor: Monitor,
}

impl Guest {
    /// Boots, in `dir`, which QEMU's words may name: its sockets and what it shares are there.
    pub fn boot(boot: &Boot<'_>, dir: tempfile::TempDir) -> Result<Guest> {
        let at = |name: &str| dir.path().join(name);
        let shown = dir.path().display();
        let sockets = ["watch", "gdump"].map(|name| format!("-qmp unix:{shown}/{name},server=on,wait=off"));
        let hold = format!(
            "touch {shown}/booted; while [ ! -e {shown}/stop ] && kill -0 {}; do sleep 0.3; done",
            std::process::id()
        );
        let mut script = Command::new("python3");
        script.arg(workspace::root()?.join("xtask/lab/lab.py")).arg(boot.root).arg(at("lab"));
        script.args(["--arch", boot.arch, "--mem", &boot.mem.to_string(), "--timeout", &boot.timeout.to_string()]);
        script.args(["--append", &boot.append, "--kept", "--run", &hold]).arg("--busybox").arg(&boot.busybox);
        script.args(&boot.lab).arg(format!("--qemu={} {}", sockets.join(" "), boot.qemu));
        let mut lab = script.stdin(Stdio::null()).spawn()?;
        let until = Instant::now() + Duration::from_secs(u64::from(boot.timeout) + 60);
        while !at("booted").exists() {
            if let Some(status) = lab.try_wait()? {
                bail!("the guest did not boot: {status}; what it said last is above");
            }
            if Instant::now() > until {
                lab.kill()?;
                bail!("the guest did not boot in {} s", boot.timeout);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let monitor = Monitor::connect(&at("watch"))?;
        Ok(Guest { lab, dir, monitor })
    }

    /// The folder with what QEMU shares.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How gdump is told where the guest is.
    pub fn source(&self) -> String {
        format!("qmp:{}", self.dir.path().join("gdump").display())
    }

    /// Has QEMU write its own dump.
    pub fn dump(&mut self, path: &Path, format: &str) -> Result<()> {
        let arguments = json!({ "paging": false, "protocol": format!("file:{}", path.display()), "format": format });
        self.monitor.run("dump-guest-memory", arguments).map(drop)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // one that cannot be told to end is not waited for
        let told = std::fs::write(self.dir.path().join("stop"), "").is_ok();
        let until = Instant::now() + Duration::from_secs(30);
        while told && Instant::now() < until && matches!(self.lab.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.lab.kill();
        let _ = self.lab.wait();
    }
}

/// A kernel and what it is booted on.
pub struct Kernel {
    pub arch: &'static str,
    pub root: PathBuf,
    pub busybox: PathBuf,
}

impl Kernel {
    /// That of an architecture; it is downloaded unless `keep` has it.
    pub fn get(arch: &str, keep: &Path) -> Result<Kernel> {
        match arch {
            "amd64" => {
                let root = lab::kernel("6.1", keep)?;
                let busybox = crate::program::find("busybox").context("no busybox")?;
                Ok(Kernel { arch: "amd64", root, busybox })
            }
            _ => {
                let (root, busybox) = crate::guests::kernel_of("arm64-6.1", keep)?;
                Ok(Kernel { arch: "arm64", root, busybox })
            }
        }
    }
}
