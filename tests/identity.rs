//! Which kernel a dump holds: notes and texts in memory are checked on the kernel that they describe.

use crate::support::{gdump, gdump_ok, gdump_refuses, open, scratch, text};
use dump_synth::{Content, ElfCore, Endian, Era, FakeKernel, FakeMemory, KernelBuilder, Load, Machine, Notes, Width};
use std::path::{Path, PathBuf};

/// An ELF core of `memory` as QEMU writes it, without virtual addresses.
fn core(memory: &FakeMemory, notes: Notes) -> Vec<u8> {
    with_memory(ElfCore::x86_64().note(notes.into_bytes()), memory)
}

fn with_memory(core: ElfCore, memory: &FakeMemory) -> Vec<u8> {
    let load = |core: ElfCore, run: &std::ops::Range<u64>| {
        let (at, bytes) = (run.start * 4096, (run.end - run.start) * 4096);
        core.load(Load::new(at, 0, memory.bytes(at, bytes)))
    };
    memory.ram().iter().fold(core, load).to_bytes()
}

fn notes() -> Notes {
    Notes::new(Endian::Little).prstatus_x86_64(1, &[0; 27])
}

/// QEMU's note of a CPU whose top page table is at `cr3`.
fn cpu(cr3: u64) -> Notes {
    let mut desc = vec![0; 440];
    desc[0] = 1;
    desc[4..8].copy_from_slice(&440u32.to_le_bytes());
    desc[392..400].copy_from_slice(&0x8000_0001u64.to_le_bytes());
    desc[416..424].copy_from_slice(&cr3.to_le_bytes());
    notes().note("QEMU", 0, &desc)
}

/// A kernel with the image of an older boot in pages that it has free, or that its recipe does not name.
fn two_kernels(is_free: bool) -> (FakeKernel, FakeKernel, FakeMemory) {
    let old = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x100").release("6.1.0-old").build();
    let free = "free 0x200 order=9\nfree 0x400 order=10\nfree 0x800 order=10\nfree 0xc00 order=10\n";
    let ram = "ram 0..0x1000\nanon 0x100..0x110\ncache 0x120..0x140\n";
    let recipe = if is_free { format!("{ram}{free}") } else { ram.to_owned() };
    let live = KernelBuilder::new(Era::V6_1).recipe(&recipe).release("6.1.0-live").build();
    let mut memory = live.memory().clone();
    assert!(old.own_pages().end <= 0x1000);
    old.memory().written(old.own_pages()).for_each(|(pfn, bytes)| memory.write(pfn * 4096, bytes));
    (live, old, memory)
}

struct Dumps {
    dir: tempfile::TempDir,
}

impl Dumps {
    fn new() -> Dumps {
        Dumps { dir: scratch() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Release, and page frames kept, of a conversion that says nothing on stderr.
    fn convert(&self, level: &str, vmcore: &Path) -> (String, Vec<u64>) {
        gdump_ok(&["-f", "-d", level, text(vmcore), text(&self.out())]);
        self.result()
    }

    fn result(&self) -> (String, Vec<u64>) {
        let kdump = open(&self.out());
        (kdump.header.release.clone(), kdump.kept.ones().collect())
    }

    /// The same for one that warns: the warnings come with it.
    fn convert_warned(&self, level: &str, vmcore: &Path) -> (String, Vec<u64>, String) {
        let run = gdump(&["-f", "-d", level, text(vmcore), text(&self.out())]);
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success(), "{said}");
        let (release, kept) = self.result();
        (release, kept, said)
    }
}

#[test]
fn an_older_boot_in_free_memory_is_not_the_kernel() {
    let (live, _, memory) = two_kernels(true);
    let dumps = Dumps::new();
    let noted = dumps.put("noted", &core(&memory, notes().vmcoreinfo(live.vmcoreinfo())));
    let want = dumps.convert("31", &noted);
    assert_eq!(want.0, "6.1.0-live");
    let bare = dumps.put("bare", &core(&memory, notes()));
    assert_eq!(dumps.convert("31", &bare), want, "by the struct pages");
    let lime = dumps.put("lime", &dump_synth::lime_of(&memory));
    assert_eq!(dumps.convert("31", &lime), want, "in another container");
}

#[test]
fn what_nothing_decides_is_refused_above_level_1() {
    let (live, old, memory) = two_kernels(false);
    let dumps = Dumps::new();
    let bare = dumps.put("bare", &core(&memory, notes()));
    let line = gdump_refuses(&["-d", "31", text(&bare), text(&dumps.out())]);
    for name in ["6.1.0-old", "6.1.0-live", "nothing says which one ran", "-d 0 and -d 1 do not need it"] {
        assert!(line.contains(name), "{line}");
    }
    assert!(!dumps.out().exists());
    for level in ["0", "1"] {
        let (release, kept, said) = dumps.convert_warned(level, &bare);
        assert!(said.contains("6.1.0-old") && said.contains("6.1.0-live"), "{said}");
        assert!(release.is_empty() && !kept.is_empty(), "{release}");
    }
    // what ran is in the registers
    for (kernel, release) in [(&live, "6.1.0-live"), (&old, "6.1.0-old")] {
        let ran = dumps.put("ran", &core(&memory, cpu(kernel.page_table_root())));
        assert_eq!(dumps.convert("31", &ran).0, release);
    }
    // where both are noted, they are as good as found
    let both = notes().vmcoreinfo(old.vmcoreinfo()).vmcoreinfo(live.vmcoreinfo());
    let line = gdump_refuses(&["-f", "-d", "31", text(&dumps.put("both", &core(&memory, both))), text(&dumps.out())]);
    assert!(line.contains("6.1.0-old (a note)") && line.contains("6.1.0-live (a note)"), "{line}");
}

#[test]
fn what_the_cpus_did_not_run_is_not_believed() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x200").build();
    let mut memory = kernel.memory().clone();
    // tables that map the kernel's names elsewhere: a copy of its top one, and of all below, one page on
    let names = kernel.symbol("init_uts_ns").unwrap();
    for level in 0..4u64 {
        let index = names >> (39 - 9 * level) & 511;
        let next = if level < 3 { (0x11 + level) << 12 } else { 0x20 << 12 };
        memory.write(((0x10 + level) << 12) + 8 * index, &(next | 1).to_le_bytes());
    }
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &core(&memory, cpu(0x10 << 12)));
    let line = gdump_refuses(&["-d", "31", text(&vmcore), text(&dumps.out())]);
    assert!(line.contains("6.1.0-synth") && line.contains("its CPUs ran something else"), "{line}");
}

#[test]
fn notes_that_do_not_hold_are_passed_over() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x400\nanon 0x100..0x110\nfree 0x200 order=9\n").build();
    let (right, memory) = (kernel.vmcoreinfo(), kernel.memory());
    let wrong = right.replace("6.1.0-synth", "5.14.0-old");
    let elsewhere = wrong.replace("NUMBER(phys_base)=", "NUMBER(phys_base)=1610612736\nNUMBER(x)=");
    let dumps = Dumps::new();
    let want = dumps.convert("31", &dumps.put("right", &core(memory, notes().vmcoreinfo(right))));
    let cases = [
        ("empty", notes().vmcoreinfo(""), "VMCOREINFO of 0 bytes"),
        ("empty-then-right", notes().vmcoreinfo("").vmcoreinfo(right), "VMCOREINFO of 0 bytes"),
        ("wrong", notes().vmcoreinfo(&wrong), "5.14.0-old"),
        ("wrong-then-right", notes().vmcoreinfo(&wrong).vmcoreinfo(right), "5.14.0-old"),
        ("right-then-wrong", notes().vmcoreinfo(right).vmcoreinfo(&elsewhere), "5.14.0-old"),
        ("elsewhere", notes().vmcoreinfo(&elsewhere), "5.14.0-old"),
        ("too-long", notes().vmcoreinfo(&format!("{right}{}", "A=1\n".repeat(1 << 18))), "holds no text"),
    ];
    for (name, notes, warning) in cases {
        let vmcore = dumps.put(name, &core(memory, notes));
        let (release, kept, said) = dumps.convert_warned("31", &vmcore);
        assert_eq!((release, kept), want, "{name}");
        assert!(said.lines().count() == 1 && said.contains("warning") && said.contains(warning), "{name}: {said}");
        // no reader of the output takes it for the kernel's
        assert!(!String::from_utf8_lossy(&std::fs::read(dumps.out()).unwrap()).contains("5.14.0-old"), "{name}");
        let again = dumps.dir.path().join("again");
        std::fs::rename(dumps.out(), &again).unwrap();
        assert_eq!(dumps.convert("0", &again).0, "6.1.0-synth", "{name}: the output again");
    }
}

#[test]
fn a_note_alone_that_does_not_hold_is_written_nowhere() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x400").build();
    let wrong = kernel.vmcoreinfo().replace("6.1.0-synth", "5.14.0-old");
    let mut memory = kernel.memory().clone();
    let at = memory.written(kernel.own_pages()).find(|(_, page)| page.starts_with(b"OSRELEASE=")).unwrap().0;
    memory.write(at * 4096, b"X");
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &core(&memory, notes().vmcoreinfo(&wrong)));
    let line = gdump_refuses(&["-d", "31", text(&vmcore), text(&dumps.out())]);
    assert!(line.contains("5.14.0-old") && line.contains("6.1.0-synth"), "{line}");
    for level in ["0", "1"] {
        let (release, _, said) = dumps.convert_warned(level, &vmcore);
        assert!(release.is_empty() && said.contains("5.14.0-old"), "{release}: {said}");
    }
}

/// A process of the guest's fills its pages with texts that are the kernel's own but for what they say of struct pages.
#[test]
fn planned_texts_do_not_win() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x400\nanon 0x100..0x300\n").build();
    let dumps = Dumps::new();
    let want = dumps.convert("31", &dumps.put("right", &core(kernel.memory(), notes())));
    let planned = |texts: u64| {
        let mut memory = kernel.memory().clone();
        for n in 0..texts {
            let text = kernel
                .vmcoreinfo()
                .replace("OFFSET(page.private)=40", &format!("NUMBER(x{n})=1\nOFFSET(page.private)=48"));
            memory.write((0x100 + n) * 4096, text.as_bytes());
        }
        core(&memory, notes())
    };
    assert_eq!(dumps.convert("31", &dumps.put("few", &planned(20))), want);
    let line = gdump_refuses(&["-f", "-d", "31", text(&dumps.put("many", &planned(500))), text(&dumps.out())]);
    assert!(line.contains("more than 64 texts"), "{line}");
}

/// Memory full of texts of no kernel: as many as there are pages, each another.
#[test]
fn fake_texts_cost_little() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x2000\nanon 0x100..0x1f00\n").build();
    let mut memory = kernel.memory().clone();
    let filler = "SYMBOL(x)=ffffffff81000000\n".repeat(140);
    for pfn in 0x100..0x1f00u64 {
        let text = format!(
            "OSRELEASE=6.1.{pfn}\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff81000000\nNUMBER(phys_base)={}\n\
             SYMBOL(init_top_pgt)=ffffffff82000000\n{filler}",
            pfn * 4096
        );
        memory.write(pfn * 4096, text.as_bytes());
    }
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &core(&memory, notes()));
    let said =
        gdump_ok(&["-f", "-d", "31", "--message-level", "10", "--num-threads", "2", text(&vmcore), text(&dumps.out())]);
    assert_eq!(dumps.result().0, "6.1.0-synth");
    let peak =
        said.lines().find_map(|line| line.strip_prefix("peak memory      : ")?.split(' ').next()?.parse::<u64>().ok());
    assert!(peak.unwrap() < 40 << 10, "{said}");
}

#[test]
fn a_windows_guest_is_said_to_be_one() {
    let header = [&b"PAGEDU64\x0f\0\0\0\x61\x4a\0\0"[..], &[0; 0x1ff0]].concat();
    // its memory has the image of a Linux that was there before
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x200").build();
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore", &core(kernel.memory(), cpu(0x1000).note("VMCOREINFO", 0, &header)));
    let info = gdump_ok(&["info", text(&vmcore)]);
    assert!(info.contains("\nwindows      build 19041, 0 processors") && !info.contains("kernel"), "{info}");
    let line = gdump_refuses(&["-d", "31", text(&vmcore), text(&dumps.out())]);
    assert!(line.contains("a Windows guest") && line.contains("-d 0 and -d 1 do not need it"), "{line}");
    for level in ["0", "1"] {
        let (release, kept, said) = dumps.convert_warned(level, &vmcore);
        assert!(release.is_empty() && !kept.is_empty() && said.contains("a Windows guest"), "{release}: {said}");
    }
}

#[test]
fn a_xen_host_is_not_filtered_by_the_struct_pages_of_dom0() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x200\nanon 0x100..0x110\n").build();
    let dumps = Dumps::new();
    for notes in [notes().note("VMCOREINFO_XEN", 0, b"PAGESIZE=4096\n"), notes().note("Xen", 0x100_0002, &[0; 32])] {
        let vmcore = dumps.put("vmcore", &core(kernel.memory(), notes));
        let line = gdump_refuses(&["-f", "-d", "31", text(&vmcore), text(&dumps.out())]);
        assert!(line.contains("a Xen host's dump"), "{line}");
        let (_, kept, said) = dumps.convert_warned("1", &vmcore);
        assert!(!kept.is_empty() && said.contains("a Xen host's dump"), "{said}");
    }
}

/// QEMU states big endian for every PowerPC guest that took its interrupts so; what the kernel calls its machine has the
/// order in which it can be read.
#[test]
fn power_is_as_its_kernel_says() {
    for name in ["ppc64le", "ppc64"] {
        let machine = Machine::REAL.iter().find(|machine| machine.name == name && machine.page_size == 4096).unwrap();
        let kernel = KernelBuilder::new(Era::V6_12).machine(*machine).recipe("ram 0..0x100").build();
        let registers = Notes::new(Endian::Big).prstatus(Width::W64, 504, 0, &[0x1122; 48]);
        let core = ElfCore::new(Width::W64, Endian::Big, 21).note(registers.into_bytes());
        let dumps = Dumps::new();
        dumps.convert("0", &dumps.put("vmcore", &with_memory(core, kernel.memory())));
        let info: serde_json::Value = serde_json::from_str(&gdump_ok(&["info", "--json", text(&dumps.out())])).unwrap();
        assert_eq!(info["machine"]["name"], name);
        assert_eq!((&info["kernel"]["release"], &info["cpus"]), (&"6.12.0-synth".into(), &1.into()), "{name}");
        let header = std::fs::read(dumps.out()).unwrap()[8..12].to_vec();
        assert_eq!(header[0] == 6, name == "ppc64le", "{header:?}");
    }
}

/// Whether text could move a cursor or end a line: all that a terminal obeys but the ends of our own lines.
fn is_quiet(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}'))
}

#[test]
fn what_a_dump_says_of_itself_is_shown_not_obeyed() {
    let evil = "6.1\x1b]0;PWNED\x07\u{9b}31m\r\u{202e}FAKE: no damage found";
    let info = format!("OSRELEASE={evil}\nBUILD-ID=\x1b[5m\nPAGESIZE=4096\nX\x1b[1m=\x1b[2J\n");
    let notes = notes().vmcoreinfo(&info).note("\x1b[41mOWNER", 5, b"abcd").note("ERASEINFO", 0, b"erased \x1b[7m\nb");
    let dumps = Dumps::new();
    let vmcore = dumps.put("vmcore\x1b[2J", &core(&FakeMemory::new(&[0..2, 2..4]), notes));
    for args in [
        vec!["info", text(&vmcore)],
        vec!["info", "--json", text(&vmcore)],
        vec!["check", text(&vmcore)],
        vec!["diff", text(&vmcore), text(&vmcore)],
        vec!["-f", "-d", "0", "--message-level", "31", text(&vmcore), text(&dumps.out())],
        vec!["-f", "-d", "31", "--message-level", "31", text(&vmcore), text(&dumps.out())],
        vec!["--reassemble", text(&vmcore), text(&vmcore), text(&dumps.out())],
    ] {
        let run = gdump(&args);
        for said in [run.stdout, run.stderr] {
            assert!(is_quiet(&said), "{args:?}: {:?}", String::from_utf8_lossy(&said));
        }
    }
    let json: serde_json::Value = serde_json::from_str(&gdump_ok(&["info", "--json", text(&vmcore)])).unwrap();
    assert_eq!(json["kernel"]["release"], evil);
    assert!(gdump_ok(&["info", text(&vmcore)]).contains("6.1\\u001b]0;PWNED\\u0007"));
}

/// What cannot be walked is said in one line, whatever level is asked for, and levels 0 and 1 need none of it.
fn cannot_be_walked(dump: &[u8], said: &str) {
    let dir = scratch();
    let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
    std::fs::write(&vmcore, dump).unwrap();
    let e = gdump_refuses(&["-d", "31", text(&vmcore), text(&out)]);
    assert!(e.contains(said) && e.contains("-d 0 and -d 1"), "{e}");
    for level in ["0", "1"] {
        let run = gdump(&["-f", "-d", level, text(&vmcore), text(&out)]);
        let warned = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success() && warned.lines().count() == 1 && warned.contains(said), "-d {level}: {warned}");
        assert!(open(&out).kept.count() > 0);
    }
}

/// Page tables of a Xen PV guest hold page frames of the machine, here those from 64 GiB on.
#[test]
fn page_tables_of_a_xen_pv_guest() {
    let recipe = "anon 0x100..0x110";
    let guest = KernelBuilder::new(Era::V6_1).recipe(recipe).sme_mask(1 << 36).omit("NUMBER(sme_mask)").build();
    cannot_be_walked(&guest.vmcore(), "a Xen PV guest");
}

/// A host reads of an encrypted guest what the memory holds: nothing that it could make out.
#[test]
fn memory_of_an_sev_guest() {
    let guest = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x400").sme_mask(1 << 51).build();
    let mut core = guest.qemu();
    let mut pfn = 0;
    for load in &mut core.loads {
        for page in load.data.chunks_mut(4096) {
            Content::Noise.fill(pfn, page);
            pfn += 1;
        }
    }
    cannot_be_walked(&core.to_bytes(), "encrypted (SEV: bit 51 of cr3)");
}

#[test]
fn a_header_of_another_machine() {
    let kernel = KernelBuilder::new(Era::V6_1).recipe("anon 0x100..0x110").build();
    let core = ElfCore { machine: 183, ..kernel.elf() };
    cannot_be_walked(
        &core.to_bytes(),
        "keys of x86_64 (e_machine 62), and the dump's header says aarch64 (e_machine 183)",
    );
}
