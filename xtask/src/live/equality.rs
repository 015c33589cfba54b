//! Captures against QEMU's own dump of the same guest at the same stop.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use dump_witness::{Kdump, Memory};
use serde_json::json;

use super::gdump::{self, Gdump, same};
use super::guest::{Boot, Guest, Kernel};
use super::monitor;
use crate::report::Report;
use crate::{drgn, program};

/// Where QEMU has the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Anonymous,
    /// A file that QEMU shares.
    File,
    Memfd,
    /// Two backends, two NUMA nodes.
    Nodes,
    /// A part was plugged in while the guest ran.
    Plugged,
}

/// A guest to capture.
pub struct Case {
    /// Debian's name of the architecture.
    pub arch: &'static str,
    backend: Backend,
    /// Whether it has a vmcoreinfo device.
    device: bool,
}

/// Memory at boot (MiB), and what is plugged in.
const MEM: u32 = 256;
const PLUGGED: u64 = 128 << 20;

const fn case(arch: &'static str, backend: Backend, device: bool) -> Case {
    Case { arch, backend, device }
}

/// The guests. Memory is plugged into amd64 alone: the other machine needs firmware for that.
pub const CASES: &[Case] = &[
    case("amd64", Backend::Anonymous, true),
    case("amd64", Backend::File, true),
    case("amd64", Backend::Memfd, true),
    case("amd64", Backend::Nodes, true),
    case("amd64", Backend::Plugged, true),
    case("amd64", Backend::Anonymous, false),
    case("amd64", Backend::File, false),
    case("amd64", Backend::Memfd, false),
    case("amd64", Backend::Nodes, false),
    case("amd64", Backend::Plugged, false),
    case("arm64", Backend::Anonymous, true),
    case("arm64", Backend::File, true),
    case("arm64", Backend::Memfd, true),
    case("arm64", Backend::Nodes, true),
    case("arm64", Backend::Anonymous, false),
    case("arm64", Backend::File, false),
    case("arm64", Backend::Memfd, false),
    case("arm64", Backend::Nodes, false),
];

impl Case {
    /// What the check is called.
    pub fn name(&self) -> String {
        let backend = match self.backend {
            Backend::Anonymous => "anonymous",
            Backend::File => "file",
            Backend::Memfd => "memfd",
            Backend::Nodes => "nodes",
            Backend::Plugged => "plugged",
        };
        let device = if self.device { "" } else { "-without-vmcoreinfo" };
        format!("{}-{backend}{device}", self.arch)
    }

    /// QEMU's words for the memory, and for the machine that has it.
    fn memory(&self, dir: &Path) -> (String, Option<&'static str>) {
        let machine =
            if self.arch == "amd64" { "q35,memory-backend=m0" } else { "virt,gic-version=3,memory-backend=m0" };
        let half = MEM / 2;
        match self.backend {
            Backend::Anonymous => (String::new(), None),
            Backend::File => {
                let path = dir.join("ram");
                let object =
                    format!("-object memory-backend-file,id=m0,size={MEM}M,mem-path={},share=on", path.display());
                (object, Some(machine))
            }
            Backend::Memfd => (format!("-object memory-backend-memfd,id=m0,size={MEM}M"), Some(machine)),
            Backend::Nodes => {
                let node = |n: u32| {
                    format!("-object memory-backend-ram,id=m{n},size={half}M -numa node,nodeid={n},memdev=m{n}")
                };
                (format!("{} {}", node(0), node(1)), None)
            }
            Backend::Plugged => (format!("-m {MEM},slots=2,maxmem=1G"), None),
        }
    }

    fn boot(&self, kernel: &Kernel, timeout: u32) -> Result<Guest> {
        // whoever runs gdump may look into it
        let dir = tempfile::Builder::new().prefix("gdump-live-").tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        let (qemu, machine) = self.memory(dir.path());
        let machine = machine.into_iter().flat_map(|machine| ["--machine".to_owned(), machine.to_owned()]);
        let device = (!self.device).then(|| "--no-vmcoreinfo".to_owned());
        let boot = Boot {
            root: &kernel.root,
            arch: kernel.arch,
            busybox: kernel.busybox.clone(),
            mem: MEM,
            append: "memhp_default_state=online WORKLOAD_MB=8 WORKLOAD_KIND=rich FILES=1".to_owned(),
            lab: machine.chain(device).collect(),
            qemu,
            timeout,
        };
        let mut guest = Guest::boot(&boot, dir)?;
        if self.backend == Backend::Plugged {
            let object = json!({ "qom-type": "memory-backend-ram", "id": "h0", "size": PLUGGED });
            guest.monitor.run("object-add", object)?;
            guest.monitor.run("device_add", json!({ "driver": "pc-dimm", "id": "d0", "memdev": "h0" }))?;
            std::thread::sleep(Duration::from_secs(10)); // the guest takes it into use
        }
        Ok(guest)
    }
}

/// Boots the guest of `case`, and captures it in all ways.
pub fn check(case: &Case, kernel: &Kernel, timeout: u32, gdump: &Gdump, report: &mut Report) -> Result<()> {
    let guest = case.boot(kernel, timeout)?;
    let mut bench = Bench { guest, gdump, report };
    let captured = bench.capture("kept", &["-l", "-d", "31", "--keep-stopped"], "paused")?;
    let core = bench.at("core");
    bench.guest.dump(&core, "elf")?;
    bench.is_now("after QEMU's dump", "paused")?;
    let expected = bench.at("expected");
    let [from, to] = [&core, &expected].map(|path| path.display().to_string());
    bench.gdump.run(&["-l", "-d", "31", &from, &to])?;
    bench.compare("-l -d 31", &captured, &expected)?;
    bench.drgn(&captured, &core)?;
    std::fs::remove_file(captured)?;
    // not QEMU's file itself: broken pages (hwpoison) are left out at every level, and headers are laid out otherwise
    let all = ["-d", "0", "-E", "--keep-mmio"];
    let whole = bench.capture("whole", &all, "paused")?;
    let converted = bench.at("converted");
    bench.gdump.run(&[&all[..], &[&from, &converted.display().to_string()]].concat())?;
    bench.compare("-d 0 -E --keep-mmio", &whole, &converted)?;
    std::fs::remove_file(whole)?;
    std::fs::remove_file(converted)?;
    let dumped = bench.capture("dumped", &["--via", "dump", "-l", "-d", "31"], "paused")?;
    bench.compare("--via dump -l -d 31", &dumped, &expected)?;
    bench.without_rights(case, &expected)?;
    bench.runs_on()
}

struct Bench<'a> {
    guest: Guest,
    gdump: &'a Gdump,
    report: &'a mut Report,
}

impl Bench<'_> {
    fn at(&self, name: &str) -> PathBuf {
        self.guest.dir().join(name)
    }

    /// Captures the guest, which is in `state` then.
    fn capture(&mut self, name: &str, words: &[&str], state: &str) -> Result<PathBuf> {
        let output = self.at(name);
        let (source, to) = (self.guest.source(), output.display().to_string());
        let words = [&["capture", "-f"], words, &[&source, &to]].concat();
        self.gdump.run(&words)?;
        self.is_now(&words[2..words.len() - 2].join(" "), state)?;
        Ok(output)
    }

    fn is_now(&mut self, when: &str, expected: &str) -> Result<()> {
        let status = self.guest.monitor.status()?;
        if status != expected {
            self.report.differs(format!("{when}: query-status says {status}, expected {expected}"));
        }
        Ok(())
    }

    /// The same bytes, or, where a header may differ, the same pages.
    fn compare(&mut self, what: &str, one: &Path, other: &Path) -> Result<()> {
        if same(one, other)? {
            self.report.note(format!("  {what}: the same {} bytes", std::fs::metadata(one)?.len()));
            return Ok(());
        }
        let mut diff = self.gdump.command(&["diff", "--strict"]);
        let output = program::output(diff.arg(one).arg(other))?;
        match program::checked(&diff, &output) {
            Ok(()) => self.report.note(format!("  {what}: other bytes, and no difference")),
            Err(error) => self.report.differs(format!("{what}: {error:#}")),
        }
        Ok(())
    }

    fn drgn(&mut self, captured: &Path, core: &Path) -> Result<()> {
        if !drgn::installed() {
            self.report.left_out("what drgn reads: pip install drgn");
            return Ok(());
        }
        match drgn::check(captured, &Kdump::open(captured)?, &Memory::open(core)?) {
            Ok(pages) => self.report.note(format!("  drgn reads the memory's bytes in {pages} pages")),
            Err(error) => self.report.differs(format!("{error:#}")),
        }
        Ok(())
    }

    /// A user who may not read QEMU's process: from shared files where there are some, or else as QEMU writes it.
    fn without_rights(&mut self, case: &Case, expected: &Path) -> Result<()> {
        let root = program::output(Command::new("id").arg("-u"))?.stdout.starts_with(b"0\n");
        if !root || program::find("setpriv").is_none() {
            self.report.left_out("another user than QEMU's: run it as root, with setpriv of util-linux");
            return Ok(());
        }
        let (program, folder) = (self.at("program"), self.at("open"));
        std::fs::copy(&self.gdump.program, &program)?;
        std::fs::create_dir(&folder)?;
        for path in [&folder, &self.at("gdump")] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
        }
        let output = folder.join("out");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["capture", "-D", "-l", "-d", "31", &self.guest.source()]).arg(&output);
        let said = gdump::run(&mut command)?;
        let shared = case.backend == Backend::File;
        let way = if shared { "shared files" } else { "QEMU writes the guest's memory" };
        ensure!(said.0.contains(way), "another user: gdump does not say {way:?}: {}", said.0);
        self.is_now("another user", "paused")?;
        self.compare(&format!("another user ({way})"), &output, expected)
    }

    /// Runs the guest again, and captures it once more.
    fn runs_on(&mut self) -> Result<()> {
        self.guest.monitor.run("cont", json!({}))?;
        self.is_now("after cont", "running")?;
        self.guest.monitor.events()?;
        for words in [&["-l", "-d", "31"][..], &["--via", "dump", "-l", "-d", "31"]] {
            self.capture("last", words, "running")?;
            let pause = monitor::pause(&self.guest.monitor.events()?)?;
            self.report.note(format!("  {}: it stood still for {pause:.2} s, and runs", words.join(" ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = CASES.iter().map(Case::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }
}
