//! `cargo xtask xen`: a real host. Xen boots with a kernel as its domain 0, that panics, and what gdump makes of Xen's
//! `/proc/vmcore` is held against Xen's own structures, read by a script that shares nothing with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dump_witness::{Elf, Kdump, Page};

use crate::report::Report;
use crate::{crash, drgn, lab, program, workspace};

const PROGRAMS: &[&str] =
    &["apt-get", "bash", "busybox", "cpio", "dpkg-deb", "kexec", "python3", "qemu-system-x86_64", "zstd"];

/// Its domain 0: a full kernel, for cloud kernels are no PV guests.
const KERNEL: &str = r"^linux-image-6\.1\.0-[0-9]+-amd64$";

/// Pages of the dump of domain 0 that are compared: one of so many.
const STEP: usize = 7;

const PAGE: u64 = 4096;

/// What `cargo xtask xen` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Where kernels and dumps go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// A host's vmcore that was taken before
    #[arg(long, value_name = "VMCORE")]
    vmcore: Option<PathBuf>,
    /// The kernel of domain 0 with its symbols; crash and drgn are asked with it alone
    #[arg(long, value_name = "VMLINUX")]
    vmlinux: Option<PathBuf>,
    /// The gdump to run [default: the one of this tree, built for release]
    #[arg(long, value_name = "GDUMP")]
    gdump: Option<PathBuf>,
}

/// What Xen's structures say.
struct Host {
    present: u64,
    free: u64,
    domain0: u64,
    /// Domain 0's page frames: the machine's, and whether it is a page table.
    frames: BTreeMap<u64, (u64, bool)>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let vmcore = match &args.vmcore {
        Some(vmcore) => vmcore.clone(),
        None => take(&lab::keep(args.keep.as_deref())?)?,
    };
    program::need(&["python3"])?;
    let host = Host::read(&vmcore)?;
    let mut report = Report::default();
    report.note(format!(
        "{}: {} page frames, {} free, {} of domain 0",
        vmcore.display(),
        host.present,
        host.free,
        host.domain0
    ));
    let scratch = tempfile::Builder::new().prefix("xen").tempdir_in(workspace::target()?)?;
    let out = |name: &str| scratch.path().join(name);
    let memory = Elf::open(&vmcore)?;
    let without = Kdump::open(&convert(&gdump, &["-X", "-l"], &vmcore, &out("without"))?)?;
    let left_out = host.present - without.kept.ones().count() as u64;
    report.note(format!("  -X leaves out {left_out} page frames"));
    if left_out != host.free {
        report.differs(format!("-X leaves out {left_out} page frames, {} are free", host.free));
    }
    let all = Kdump::open(&convert(&gdump, &["--dom0", "-l"], &vmcore, &out("dom0"))?)?;
    domain0(&host, &memory, &all, &mut report)?;
    let filtered = convert(&gdump, &["--dom0", "-c", "-d", "31"], &vmcore, &out("filtered"))?;
    report.note(format!("  --dom0 -d 31 keeps {} pages", Kdump::open(&filtered)?.kept.ones().count()));
    let Some(vmlinux) = &args.vmlinux else {
        report.left_out("crash and drgn: --vmlinux VMLINUX");
        return report.finish();
    };
    tasks(&filtered, vmlinux, &vmcore, &mut report)?;
    if program::find("crash").is_some() {
        let text = crash::text(vmlinux, &filtered)?;
        let shown = ["PANIC: ", "sysrq_handle_crash"].iter().all(|word| text.contains(word));
        if !shown {
            report.differs(format!("crash shows no panic:\n{text}"));
        }
        report.note("  crash shows the panic and its stack".to_owned());
    }
    report.finish()
}

/// Boots the host and panics its domain 0, unless its vmcore is there.
fn take(keep: &Path) -> Result<PathBuf> {
    let (dir, kernel) = (keep.join("xen-4.17"), keep.join("xen-dom0"));
    let vmcore = dir.join("xen.vmcore");
    if vmcore.exists() {
        return Ok(vmcore);
    }
    program::need(PROGRAMS)?;
    let scripts = workspace::root()?.join("xtask/lab");
    if !kernel.join("boot").exists() {
        let mut script = Command::new("bash");
        program::run(script.arg(scripts.join("get-kernel.sh")).args(["bookworm", "amd64", KERNEL]).arg(&kernel))?;
    }
    let mut script = Command::new("bash");
    program::run(script.arg(scripts.join("xen.sh")).arg(&kernel).arg(&dir))?;
    Ok(vmcore)
}

impl Host {
    fn read(vmcore: &Path) -> Result<Host> {
        let mut script = Command::new("python3");
        let output = program::output(script.arg(workspace::root()?.join("xtask/lab/xen_frames.py")).arg(vmcore))?;
        program::checked(&script, &output)?;
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines().map(|line| line.split(' ').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>());
        let first = lines.next().context("no numbers")??;
        let [present, free, domain0] = first[..] else { anyhow::bail!("three numbers expected: {first:?}") };
        let mut frames = BTreeMap::new();
        for line in lines {
            let line = line?;
            let [pfn, machine, table] = line[..] else { anyhow::bail!("three numbers expected: {line:?}") };
            frames.insert(pfn, (machine, table != 0));
        }
        Ok(Host { present, free, domain0, frames })
    }
}

fn convert(gdump: &Path, options: &[&str], from: &Path, to: &Path) -> Result<PathBuf> {
    let mut command = Command::new(gdump);
    command.args(options).arg("-f").arg(from).arg(to);
    let output = program::output(&mut command)?;
    program::checked(&command, &output)?;
    Ok(to.to_owned())
}

/// Domain 0 has the page frames that it lists, with what the machine has in them; in page tables, entries alone differ, and
/// only in the page frame.
fn domain0(host: &Host, memory: &Elf, dump: &Kdump, report: &mut Report) -> Result<()> {
    ensure!(host.frames.len() as u64 <= host.present, "more frames than the machine has");
    if !dump.kept.ones().eq(host.frames.keys().copied()) {
        report.differs("--dom0 has other page frames than domain 0 lists");
    }
    let (mut same, mut tables, mut pointers) = (0, 0, 0);
    for (pfn, (machine, is_table)) in host.frames.iter().filter(|(pfn, (_, table))| *table || *pfn % STEP as u64 == 0) {
        let Page::Held(page, _) = dump.page(*pfn)? else { continue };
        let was = memory.page(*machine, PAGE).context("no such page")?;
        let differ = page.chunks(8).zip(was.chunks(8)).filter(|(now, was)| now != was);
        let differ: Vec<(u64, u64)> = differ.map(|(now, was)| (word(now), word(was))).collect();
        let renumbered = |now: u64, was: u64| {
            let frame = |entry: u64| entry >> 12 & 0xff_ffff_ffff;
            let flags = |entry: u64| entry & !(0xff_ffff_ffff << 12);
            was & 1 != 0
                && (now == 0
                    || flags(now) == flags(was) && host.frames.get(&frame(now)).is_some_and(|(m, _)| *m == frame(was)))
        };
        match differ[..] {
            [] => same += 1,
            _ if *is_table && differ.iter().all(|(now, was)| renumbered(*now, *was)) => tables += 1,
            [(0, _)] if pointers == 0 => pointers += 1,
            _ => report.differs(format!("page frame {pfn:#x} of domain 0 is not the machine's {machine:#x}")),
        }
    }
    report.note(format!(
        "  of {} page frames of domain 0, {same} compared are the same, {tables} page tables are renumbered, {pointers} pointer is 0",
        host.frames.len()
    ));
    Ok(())
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// drgn lists as many tasks as there were.
fn tasks(dump: &Path, vmlinux: &Path, vmcore: &Path, report: &mut Report) -> Result<()> {
    if !drgn::installed() {
        report.left_out("tasks: pip install drgn");
        return Ok(());
    }
    let mut script = Command::new("python3");
    let output = program::output(script.arg(workspace::root()?.join("xtask/lab/drgn_tasks.py")).args([dump, vmlinux]))?;
    program::checked(&script, &output)?;
    let listed = String::from_utf8_lossy(&output.stdout).lines().count();
    let console = std::fs::read(vmcore.with_file_name("serial.log")).unwrap_or_default();
    let console = String::from_utf8_lossy(&console).into_owned();
    let said = console.lines().rev().find_map(|line| line.trim().split("Tasks: ").nth(1)?.parse::<usize>().ok());
    report.note(format!("  drgn lists {listed} tasks; domain 0 had {said:?}"));
    if listed == 0 || said.is_some_and(|said| said.abs_diff(listed) > 2) {
        report.differs(format!("drgn lists {listed} tasks; domain 0 had {said:?}"));
    }
    Ok(())
}
