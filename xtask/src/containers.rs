//! `cargo xtask containers`: what QEMU saves of a guest, held against QEMU's own dump of it at the same stop: migration
//! streams of a guest that ran meanwhile and of one that was stopped, mapped-ram files where QEMU has them, and libvirt's
//! save files made of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use crate::live::gdump::{self, Gdump};
use crate::live::guest::{Boot, Guest, Kernel};
use crate::report::Report;
use crate::{lab, program, workspace};

/// What it takes.
const PROGRAMS: &[&str] = &["bash", "busybox", "cpio", "dpkg-deb", "gzip", "mkfs.ext4", "python3", "zstd"];

/// What `cargo xtask containers` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The guests, whose names begin with one of these [default: all]
    #[arg(value_name = "GUEST")]
    guests: Vec<String>,
    /// Where kernels go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The gdump to check [default: this repository's, built for release]
    #[arg(long, value_name = "BIN")]
    gdump: Option<PathBuf>,
    /// Seconds that a guest may take to boot; emulation is slow
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u32,
}

/// A guest to save. Its QEMU is the first in PATH.
struct Case {
    name: &'static str,
    arch: &'static str,
    machine: &'static str,
    /// Memory (MiB).
    mem: u32,
    /// More words for QEMU.
    qemu: &'static str,
}

const NODES: &str = "-object memory-backend-ram,id=ram-node0,size=3G -object memory-backend-ram,id=ram-node1,size=1536M \
                     -numa node,memdev=ram-node0,cpus=0 -numa node,memdev=ram-node1,cpus=1";

const CASES: &[Case] = &[
    Case { name: "q35", arch: "amd64", machine: "q35", mem: 1024, qemu: "" },
    Case { name: "q35-large", arch: "amd64", machine: "q35", mem: 4608, qemu: "" },
    Case { name: "q35-nodes", arch: "amd64", machine: "q35", mem: 4608, qemu: NODES },
    Case { name: "pc", arch: "amd64", machine: "pc", mem: 1024, qemu: "" },
    Case { name: "pc-large", arch: "amd64", machine: "pc", mem: 4608, qemu: "" },
    Case { name: "pc-nodes", arch: "amd64", machine: "pc", mem: 4608, qemu: NODES },
    Case { name: "arm64", arch: "arm64", machine: "virt,gic-version=3", mem: 512, qemu: "" },
];

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let wanted = |name: &str| args.guests.is_empty() || args.guests.iter().any(|wanted| name.starts_with(wanted));
    let cases: Vec<&Case> = CASES.iter().filter(|case| wanted(case.name)).collect();
    if cases.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        bail!("no such guest; there are {}", names.join(", "));
    }
    program::need(PROGRAMS)?;
    let gdump = Gdump { program: workspace::gdump(args.gdump.as_deref())? };
    let keep = lab::keep(args.keep.as_deref())?;
    let mut report = Report::default();
    for case in cases {
        report.start(case.name);
        let kernel = Kernel::get(case.arch, &keep)?;
        if let Err(error) = check(case, &kernel, args.timeout, &gdump, &mut report) {
            report.differs(format!("{}: {error:#}", case.name));
        }
    }
    report.finish()
}

fn check(case: &Case, kernel: &Kernel, timeout: u32, gdump: &Gdump, report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let boot = Boot {
        root: &kernel.root,
        arch: case.arch,
        busybox: kernel.busybox.clone(),
        mem: case.mem,
        append: String::new(),
        lab: vec!["--machine".to_owned(), case.machine.to_owned()],
        qemu: case.qemu.to_owned(),
        timeout,
    };
    let mut guest = Guest::boot(&boot, dir)?;
    let at = |guest: &Guest, name: &str| guest.dir().join(name);
    // of a running guest pages are sent again; it stands still once all are sent
    let (stream, dump) = (at(&guest, "stream"), at(&guest, "dump"));
    migrate(&mut guest, &format!("exec:cat > {}", stream.display()))?;
    guest.dump(&dump, "kdump-zlib")?;
    same(gdump, "a running guest", &stream, &dump, report)?;
    let head = dump_synth::libvirt_head("pc-q35-0.0", 1, true, 4096);
    let saved = at(&guest, "saved");
    fs::write(&saved, head)?;
    shell(&format!("gzip -1 < {} >> {}", stream.display(), saved.display()))?;
    same(gdump, "a save file, gzip", &saved, &dump, report)?;
    fs::remove_file(&saved)?;
    guest.monitor.run("cont", json!({}))?;
    guest.monitor.run("stop", json!({}))?;
    fs::remove_file(&dump)?;
    guest.dump(&dump, "kdump-zlib")?;
    let mapped = json!({ "capabilities": [{ "capability": "mapped-ram", "state": true }] });
    if guest.monitor.run("migrate-set-capabilities", mapped).is_err() {
        report.left_out("this QEMU has no mapped-ram");
        fs::remove_file(&stream)?;
        migrate(&mut guest, &format!("exec:cat > {}", stream.display()))?;
        return same(gdump, "a stopped guest", &stream, &dump, report);
    }
    migrate(&mut guest, &format!("file:{}", saved.display()))?;
    same(gdump, "mapped-ram", &saved, &dump, report)
}

/// Has QEMU save its guest, and waits until it has.
fn migrate(guest: &mut Guest, uri: &str) -> Result<()> {
    guest.monitor.run("migrate-set-parameters", json!({ "max-bandwidth": 1u64 << 40 }))?;
    guest.monitor.run("migrate", json!({ "uri": uri }))?;
    let until = Instant::now() + Duration::from_secs(600);
    loop {
        let said = guest.monitor.run("query-migrate", json!({}))?;
        match said.get("status").and_then(|status| status.as_str()) {
            Some("completed") => return Ok(()),
            Some("failed") => bail!("{said}"),
            _ if Instant::now() > until => bail!("QEMU is not done with it after 600 s"),
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Whether all pages of RAM are QEMU's own dump's, read as they are and filtered.
fn same(gdump: &Gdump, what: &str, saved: &Path, dump: &Path, report: &mut Report) -> Result<()> {
    let text = |path: &Path| path.display().to_string();
    let said = gdump.command(&["diff", &text(saved), &text(dump)]).output()?;
    let lines = String::from_utf8_lossy(&said.stdout).into_owned();
    report.note(format!("  {what}: {}", lines.lines().collect::<Vec<_>>().join("; ")));
    if !said.status.success() || lines.contains("only in ") && lines.contains(&format!("only in {}", text(saved))) {
        report.differs(format!("{what}: {lines}"));
    }
    let out = [saved.with_extension("out"), dump.with_extension("out")];
    for (from, to) in [saved, dump].into_iter().zip(&out) {
        gdump.run(&["-l", "-d", "31", "-f", &text(from), &text(to)])?;
    }
    if !gdump::same(&out[0], &out[1])? {
        let said = gdump.command(&["diff", &text(&out[0]), &text(&out[1])]).output()?;
        if !said.status.success() {
            report.differs(format!("{what}, filtered: {}", String::from_utf8_lossy(&said.stdout)));
        }
    }
    out.iter().try_for_each(fs::remove_file)?;
    Ok(())
}

fn shell(command: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", command]).status()?;
    if status.success() { Ok(()) } else { bail!("{command}: {status}") }
}
