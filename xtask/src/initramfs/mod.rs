//! `cargo xtask initramfs`: the hooks in packaging/ put gdump into kdump's initramfs under makedumpfile's name.
//!
//! They are tried in a Debian root, by kdump-tools' own script and by dracut: `lab/initramfs.sh`. With `--crash` that root
//! is booted and crashed, and its own services write the dump: [`crash`].

mod crash;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{dist, program, workspace};

/// What kdump's initramfs is made with.
const PACKAGES: &str =
    "initramfs-tools,dracut-core,kdump-tools,makedumpfile,linux-image-cloud-amd64,zstd,cpio,systemd-sysv,udev";

/// What `cargo xtask initramfs` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Debian's release
    #[arg(long, value_name = "NAME", default_value = "bookworm")]
    suite: String,
    /// Where the root is, made if need be [default: target/lab/NAME-root]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Then boot that root in an emulated machine, crash it, and check the dump that its own kdump-tools writes
    #[arg(long)]
    crash: bool,
    /// The kernel of the root with DWARF, for crash to open the dump with
    #[arg(long, value_name = "VMLINUX", requires = "crash")]
    vmlinux: Option<PathBuf>,
    /// Another gdump than this repository's static one
    #[arg(long, value_name = "PATH", hide = true)]
    gdump: Option<PathBuf>,
}

/// Runs the command; as root.
pub fn run(args: &Args) -> Result<()> {
    program::need(&["bash", "debootstrap", "unshare", "apt-get"])?;
    if args.crash {
        program::need(crash::PROGRAMS)?;
    }
    let default = || Ok::<_, anyhow::Error>(workspace::target()?.join(format!("lab/{}-root", args.suite)));
    let root = args.root.clone().map_or_else(default, Ok)?;
    if !root.join("usr/sbin/kdump-config").is_file() {
        std::fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        let include = format!("--include={PACKAGES}");
        let mut debootstrap = Command::new(program::find("debootstrap").context("debootstrap was there")?);
        program::run(
            debootstrap.args(["--variant=minbase", &include, &args.suite]).arg(&root).arg(workspace::debian_mirror()?),
        )?;
    }
    let repository = workspace::root()?;
    let scratch = tempfile::tempdir()?;
    let vmcore = scratch.path().join("vmcore");
    let packed = std::fs::read(repository.join("fixtures/tiny/vmcore.zst"))?;
    std::fs::write(&vmcore, zstd::decode_all(&packed[..])?)?;
    let gdump = args.gdump.clone().map_or_else(dist::native, Ok)?;
    let mut script = Command::new("unshare");
    script.args(["--mount", "bash"]).arg(repository.join("xtask/lab/initramfs.sh"));
    program::run(script.arg(&root).arg(&gdump).arg(repository.join("packaging")).arg(vmcore))?;
    if args.crash {
        crash::run(&root, &gdump, args.vmlinux.as_deref())?;
    }
    Ok(())
}
