//! Windows guests: QEMU's dumps of them become Windows crash dumps and come back, and say what they are.

use crate::schema;
use crate::support::{elf, gdump, gdump_ok, gdump_refuses, limited, scratch, text};
use dump_synth::windows::{COPY, KDBG};
use dump_synth::{DmpFile, DmpKind, Era, KernelBuilder, WindowsGuest};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const BUGCHECK: [u64; 5] = [0xd1, 0x18, 2, 0, 0xffff_f803_1220_5abc];

struct Dumps(TempDir);

impl Dumps {
    fn new() -> Dumps {
        Dumps(scratch())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }

    /// Converts; what is warned of is that the guest runs Windows.
    fn convert(&self, options: &[&str], from: &Path, to: &str) -> PathBuf {
        let to = self.at(to);
        let run = gdump(&[options, &["-f", "-d", "0", text(from), text(&to)]].concat());
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success(), "{said}");
        assert!(said.lines().all(|line| line.contains("a Windows guest")), "{said}");
        to
    }
}

fn json(path: &Path) -> serde_json::Value {
    let json = gdump_ok(&["info", "--json", text(path)]);
    schema::holds("info", &json);
    serde_json::from_str(&json).unwrap()
}

/// QEMU's dump of a guest with the driver.
fn vmcore(guest: &WindowsGuest) -> Vec<u8> {
    guest.core(guest.cpu_notes().note("VMCOREINFO", 0, &guest.driver_header()))
}

/// Page frames whose bytes are not those of the guest.
fn different(guest: &WindowsGuest, dump: &Path) -> Vec<u64> {
    let dump = elf(dump);
    guest.memory.pfns().filter(|pfn| dump.page(*pfn, 4096) != guest.memory.page(*pfn)).collect()
}

/// The pages that CPUs keep their registers in.
fn contexts(guest: &WindowsGuest) -> Vec<u64> {
    let pages = [0, 1].map(|cpu| [0, 0x1000].map(|more| guest.phys(WindowsGuest::context_at(cpu) + more) / 4096));
    let mut pages = pages.concat();
    pages.sort_unstable();
    pages
}

#[test]
fn a_guest_with_the_driver() {
    let guest = WindowsGuest::new(true, BUGCHECK);
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &vmcore(&guest));
    let before = json(&vmcore);
    assert_eq!((&before["windows"]["bugcheck_code"], &before["windows"]["build"]), (&"0x0".into(), &19041.into()));
    assert!(before["windows"]["doubtful"][0].as_str().unwrap().contains("before anything went wrong"));
    let dmp = dumps.convert(&["--format", "dmp"], &vmcore, "dmp");
    let info = json(&dmp);
    let windows = &info["windows"];
    assert_eq!(
        (&info["container"], &info["flavor"], &info["machine"]["name"]),
        (&"dmp".into(), &"full".into(), &"x86_64".into())
    );
    assert_eq!((&windows["bugcheck_code"], &windows["processors"]), (&"0xd1".into(), &2.into()));
    assert_eq!(windows["bugcheck_parameters"], serde_json::json!(["0x18", "0x2", "0x0", "0xfffff80312205abc"]));
    assert_eq!(
        (&windows["debugger_data"], &windows["doubtful"]),
        (&format!("{COPY:#x}").into(), &serde_json::json!([]))
    );
    assert_eq!(
        (&info["ram_pages"], &info["held_pages"], &info["odd"]),
        (&1438.into(), &1438.into(), &serde_json::json!([]))
    );
    let text_of = gdump_ok(&["info", text(&dmp)]);
    for line in [
        "container    dmp, full",
        "machine      x86_64, 64 bit, little endian",
        "windows      build 19041, 2 processors",
        "windows      dump type 0x1, full",
        "windows      bug check 0xd1, parameters 0x18 0x2 0x0 0xfffff80312205abc",
    ] {
        assert!(text_of.lines().any(|found| found == line), "{line}: {text_of}");
    }
    // the registers are in the output alone
    let back = dumps.convert(&["-E"], &dmp, "back");
    assert_eq!(different(&guest, &back), contexts(&guest));
    assert!(different(&guest, &vmcore).is_empty());
    // the header is in every container: from each comes the same dump
    for (name, options) in [("elf", &["-E"][..]), ("kdump", &["-c"]), ("zstd", &["-z"]), ("full", &["--format", "dmp"])]
    {
        let other = dumps.convert(options, &dmp, name);
        let again = dumps.convert(&["--format", "dmp"], &other, "again");
        assert!(fs::read(&again).unwrap() == fs::read(&dmp).unwrap(), "{name}");
    }
    let elf = dumps.convert(&["-E"], &dmp, "elf");
    let again = dumps.convert(&["--format", "dmp"], &elf, "again");
    let back = dumps.convert(&["-E"], &again, "back");
    assert!(fs::read(&back).unwrap() == fs::read(&elf).unwrap());
    let checked = gdump_ok(&["check", text(&dmp)]);
    assert!(checked.contains("no damage found"), "{checked}");
}

/// KDBG in clear needs no copy, and a guest that ran has the bug check of a live dump.
#[test]
fn a_guest_that_ran() {
    let guest = WindowsGuest::new(false, [0; 5]);
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &vmcore(&guest));
    let windows = json(&dumps.convert(&["--format", "dmp"], &vmcore, "dmp"))["windows"].clone();
    assert_eq!((&windows["debugger_data"], &windows["bugcheck_code"]), (&format!("{KDBG:#x}").into(), &"0x161".into()));
}

#[test]
fn zero_pages_are_left_out_and_nothing_else() {
    let guest = WindowsGuest::new(true, BUGCHECK);
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &vmcore(&guest));
    let out = dumps.at("dmp");
    let run = gdump(&["--format", "dmp", "-d", "1", text(&vmcore), text(&out)]);
    assert!(run.status.success());
    let info = json(&out);
    let zeros = guest.memory.pfns().filter(|pfn| guest.memory.is_zero(*pfn)).count() as u64;
    let mut held = 1438 - zeros;
    held += contexts(&guest).iter().filter(|pfn| guest.memory.is_zero(**pfn)).count() as u64;
    assert_eq!(
        (&info["flavor"], &info["ram_pages"], &info["held_pages"]),
        (&"bitmap".into(), &1438.into(), &held.into())
    );
    let dmp = dumps.convert(&["--format", "dmp"], &vmcore, "full");
    let run = gdump(&["diff", text(&dmp), text(&out)]);
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(!said.contains("differ:") && !said.is_empty(), "{said}");
    for from in [&vmcore, &out] {
        let line = gdump_refuses(&["-d", "31", text(from), text(&dumps.at("other"))]);
        assert!(line.contains("a Windows guest") && line.contains("-d 0 and -d 1 do not need it"), "{line}");
        assert!(!dumps.at("other").exists());
    }
}

#[test]
fn linux_has_no_such_dump() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x200").build();
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &kernel.vmcore());
    let line = gdump_refuses(&["--format", "dmp", text(&vmcore), text(&dumps.at("dmp"))]);
    assert!(line.contains("no header of a Windows crash dump in its notes") && !dumps.at("dmp").exists(), "{line}");
}

/// There is no flag for one that is not whole: it has a name of its own until it is.
#[test]
fn one_that_stopped() {
    let guest = WindowsGuest::new(true, BUGCHECK);
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &vmcore(&guest));
    let out = dumps.at("dmp");
    let (status, _, said) = limited(2000, &["--format", "dmp", text(&vmcore), text(&out)]);
    assert!(!status.success() && said.contains("dmp dumps have no flag for that"), "{said}");
    assert!(!out.exists() && dumps.at("dmp.incomplete").exists());
    let info = json(&dumps.at("dmp.incomplete"));
    assert!(info["odd"][0].as_str().unwrap().contains("the last page ends at offset"), "{info}");
}

/// Dumps of each type become others, with the pages that they have.
#[test]
fn dumps_of_each_type() {
    let guest = WindowsGuest::new(true, BUGCHECK);
    let dumps = Dumps::new();
    let left_out = [0x20, 0x21, 0x500];
    let kinds = [DmpKind::Full, DmpKind::Bitmap(5), DmpKind::Bitmap(6), DmpKind::Ranges(8), DmpKind::Ranges(10)];
    for (i, kind) in kinds.into_iter().enumerate() {
        let file = DmpFile::new(kind, &WindowsGuest::RAM);
        let file = if kind == DmpKind::Full { file } else { file.without(left_out) };
        let from = dumps.put(&format!("in{i}"), &file.to_bytes(|pfn| guest.memory.page(pfn).unwrap()));
        for format in ["dmp", "elf", "kdump"] {
            let to = dumps.convert(&["--format", format], &from, &format!("{format}{i}"));
            let said = gdump_ok(&["diff", text(&from), text(&to)]);
            assert!(said.contains("no difference") || said.contains(" 0 "), "{kind:?} {format}: {said}");
            assert_eq!(json(&to)["held_pages"], json(&from)["held_pages"], "{kind:?} {format}");
        }
        let back = elf(&dumps.at(&format!("elf{i}")));
        let wrong = file.held().into_iter().filter(|pfn| back.page(*pfn, 4096) != guest.memory.page(*pfn)).count();
        assert_eq!(wrong, 0, "{kind:?}");
    }
}

/// Without the driver: the PDB says where the debugger's data are, and how they are encoded.
#[test]
fn a_guest_without_the_driver() {
    for encoded in [true, false] {
        let guest = WindowsGuest::new(encoded, BUGCHECK);
        let dumps = Dumps::new();
        let vmcore = dumps.put("vmcore", &guest.core(guest.cpu_notes()));
        let url = format!("https://msdl.microsoft.com/download/symbols/{}", WindowsGuest::pdb_path());
        let line = gdump_refuses(&["--format", "dmp", text(&vmcore), text(&dumps.at("dmp"))]);
        assert!(line.contains(&url) && line.contains("--pdb FILE"), "{line}");
        let other = dumps.put("other.pdb", &WindowsGuest::pdb(Some(3)));
        let out = dumps.at("dmp");
        let run = gdump(&["--format", "dmp", "--pdb", text(&other), text(&vmcore), text(&out)]);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(said.contains("the PDB of another kernel") && said.contains(&url) && !out.exists(), "{said}");
        assert_eq!(run.status.code(), Some(2));
        let pdb = dumps.put("ntkrnlmp.pdb", &WindowsGuest::pdb(None));
        gdump_ok(&["--format", "dmp", "--pdb", text(&pdb), text(&vmcore), text(&out)]);
        let windows = json(&out)["windows"].clone();
        assert_eq!((&windows["build"], &windows["product_type"]), (&19041.into(), &3.into()));
        assert_eq!((&windows["bugcheck_code"], &windows["processors"]), (&"0xd1".into(), &2.into()));
        assert_eq!(
            (&windows["debugger_data"], &windows["page_table"]),
            (&format!("{KDBG:#x}").into(), &"0x1aa000".into())
        );
        assert_eq!(windows["pfn_database"], "0xffffc00000000000");
        let doubts = windows["doubtful"].as_array().unwrap();
        assert!(doubts.len() == 1 && doubts[0] == "time: not set", "{doubts:?}");
        // in the dump, the debugger's data are in clear
        let back = dumps.convert(&["-E"], &out, "back");
        let mut changed = contexts(&guest);
        if encoded {
            changed.extend([KDBG, KDBG + 0x500].map(|at| guest.phys(at) / 4096));
            changed.sort_unstable();
        }
        assert_eq!(different(&guest, &back), changed);
        let clear = elf(&back).physical(guest.phys(KDBG), 0x340).unwrap();
        assert_eq!(clear[..], WindowsGuest::debugger_data()[..0x340]);
        // and what it becomes has the same header
        let again = dumps.convert(&["--format", "dmp"], &back, "again");
        assert!(fs::read(&again).unwrap() == fs::read(&out).unwrap());
    }
}
