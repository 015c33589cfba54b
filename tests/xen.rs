//! Dumps of Xen hosts: what a host's dump does without, and domain 0 of it.

use crate::support::{gdump, gdump_ok, gdump_refuses, open, page, scratch, text};
use dump_synth::{ElfCore, Era, FakeKernel, FakeXen, KernelBuilder, Leaf, XenFlags, XenPdx};
use dump_witness::kdump::{Kdump, Page};
use std::fs;
use std::path::PathBuf;

const RECIPE: &str = "ram 0..0x1000\nanon 0x100..0x180\ncache 0x200..0x210\nfree 0x400 order=9\nfree 0x800 order=10\n\
                      slab 0x300..0x310\nzero 0x340..0x350";

/// Where the kernel's image has its pointer xen_start_info.
const POINTER: u64 = 0x1ff0;

struct Host {
    dir: tempfile::TempDir,
    kernel: FakeKernel,
    xen: FakeXen,
}

impl Host {
    fn new(flags: XenFlags, pdx: XenPdx, big: bool) -> Host {
        let kernel = || KernelBuilder::new(Era::V6_1).recipe(RECIPE).direct_leaf(Leaf::K4);
        let at = kernel().build().image_virt() + POINTER;
        let mut kernel = kernel().extra(&format!("SYMBOL(xen_start_info)={at:x}")).build();
        kernel.overwrite(kernel.image().start + POINTER, &0xffff_ffff_8200_0000_u64.to_le_bytes());
        let xen = FakeXen::new(&kernel, flags, pdx, big);
        let host = Host { dir: scratch(), kernel, xen };
        host.put("xen.vmcore", &host.xen.vmcore());
        host
    }

    fn usual() -> Host {
        Host::new(XenFlags::Since, XenPdx::Same, false)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with `options`, then the host's dump and an output of `name`.
    fn run(&self, options: &[&str], name: &str) -> String {
        let (from, to) = (self.path("xen.vmcore"), self.path(name));
        let run = gdump(&[options, &["-f", text(&from), text(&to)]].concat());
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success(), "{options:?}: {said}");
        String::from_utf8(run.stdout).unwrap() + &said
    }

    fn refuses(&self, options: &[&str]) -> String {
        let (from, to) = (self.path("xen.vmcore"), self.path("refused"));
        gdump_refuses(&[options, &["-f", text(&from), text(&to)]].concat())
    }

    /// What -X kept is what it must keep, page for page.
    fn is_filtered(&self, name: &str) {
        let kept = open(&self.path(name));
        assert!(kept.kept.ones().eq(self.xen.kept.iter().copied()));
        for pfn in self.xen.kept.iter().step_by(97) {
            assert!(holds(&kept, *pfn, self.xen.memory.page(*pfn).unwrap()), "{pfn:#x}");
        }
    }
}

fn holds(dump: &Kdump, pfn: u64, bytes: Vec<u8>) -> bool {
    matches!(page(dump, pfn), Page::Held(held, _) if held == bytes)
}

#[test]
fn guests_and_free_memory_are_left_out_of_every_layout() {
    for flags in XenFlags::ALL {
        for big in [false, true] {
            let host = Host::new(flags, XenPdx::Same, big);
            let said = host.run(&["-X", "-c"], "out");
            host.is_filtered("out");
            let [guests, free, dirty, broken] = host.xen.excluded;
            for (what, pages) in [
                ("Xen: guests", guests),
                ("Xen: free", free),
                ("Xen: free, not scrubbed", dirty),
                ("Xen: broken, offline", broken),
                ("of unknown domains", 1),
            ] {
                let row = said.lines().find(|line| line.contains(&format!("- {what} "))).unwrap_or_default();
                assert!(row.contains(&format!(" {pages} pages")), "{flags:?} {what} {pages}: {said}");
            }
            assert!(!said.contains("cannot identify"), "{said}");
        }
    }
}

#[test]
fn the_same_bytes_from_any_number_of_threads_and_with_little_memory() {
    let host = Host::usual();
    host.run(&["-X", "-c", "-d", "1", "--num-threads", "1"], "one");
    host.run(&["-X", "-c", "-d", "1", "--num-threads", "5", "--cyclic-buffer", "4"], "many");
    assert_eq!(fs::read(host.path("one")).unwrap(), fs::read(host.path("many")).unwrap());
    host.run(&["--dom0", "-c", "-d", "31", "--num-threads", "1"], "one");
    host.run(&["--dom0", "-c", "-d", "31", "--num-threads", "5", "--cyclic-buffer", "4"], "many");
    assert_eq!(fs::read(host.path("one")).unwrap(), fs::read(host.path("many")).unwrap());
}

#[test]
fn compressed_numbers_need_symbols() {
    for pdx in [XenPdx::Mask, XenPdx::Offset] {
        let host = Host::new(XenFlags::Since, pdx, false);
        let said = host.run(&["-X"], "all");
        assert!(said.contains("keeping them") && said.contains("--xen-syms"), "{said}");
        assert!(open(&host.path("all")).kept.ones().eq(host.xen.memory.pfns()), "{pdx:?}: all is kept");
        let syms = host.put("xen-syms", &host.xen.syms());
        let said = host.run(&["-X", "--xen-syms", text(&syms)], "out");
        assert!(!said.contains("keeping them"), "{pdx:?}: {said}");
        host.is_filtered("out");
        assert!(host.refuses(&["--dom0"]).contains("--xen-syms"));
        host.run(&["--dom0", "-d", "31", "--xen-syms", text(&syms)], "dom0");
    }
}

/// What domain 0's own machine would leave, its pages are as its memory was.
#[test]
fn domain_0_is_a_machine_like_others() {
    for (flags, pdx) in [(XenFlags::Since, XenPdx::Same), (XenFlags::Before, XenPdx::Same)] {
        let host = Host::new(flags, pdx, false);
        let said = host.run(&["--dom0", "-c", "-d", "31"], "dom0");
        assert!(said.contains("page tables hold its own page frames"), "{said}");
        let (dump, want) = (open(&host.path("dom0")), host.kernel.expected(31));
        assert!(dump.kept.ones().eq(want.kept.iter().copied()), "{flags:?}");
        assert_eq!(dump.header.release, open(&own(&host)).header.release);
        for pfn in &want.kept {
            let mut bytes = host.kernel.page(*pfn).unwrap();
            let pointer = host.kernel.image().start + POINTER;
            if *pfn == pointer / 4096 {
                bytes[(pointer % 4096) as usize..][..8].fill(0);
            }
            assert!(holds(&dump, *pfn, bytes), "{pfn:#x}");
        }
    }
}

/// The dump of the kernel without Xen.
fn own(host: &Host) -> PathBuf {
    let (from, to) = (host.put("vmcore", &host.kernel.vmcore()), host.path("own"));
    gdump_ok(&["-f", "-c", "-d", "31", text(&from), text(&to)]);
    to
}

#[test]
fn what_is_asked_of_no_host_or_without_domain_0() {
    let host = Host::usual();
    let said = host.refuses(&["-X", "-d", "31"]);
    assert!(said.contains("--dom0") && said.lines().count() == 1, "{said}");
    let plain = host.put("plain", &host.kernel.vmcore());
    let out = host.path("none");
    for option in ["-X", "--dom0"] {
        let said = gdump_refuses(&[option, text(&plain), text(&out)]);
        assert!(said.contains("no dump of a Xen host"), "{said}");
    }
    let said = gdump(&["--xen-syms", "x", "-f", text(&plain), text(&out)]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("--xen-syms: no effect without -X or --dom0"));
}

#[test]
fn notes_that_say_less() {
    let host = Host::usual();
    let with = |notes: Vec<u8>| ElfCore { notes: vec![notes], ..host.xen.elf() }.to_bytes();
    host.put("xen.vmcore", &with(host.xen.notes(10, false)));
    let said = host.refuses(&["-X"]);
    assert!(said.contains("--xen-syms") && said.contains("--xen-vmcoreinfo"), "{said}");
    let info = host.put("xen.vmcoreinfo", host.xen.vmcoreinfo.as_bytes());
    host.run(&["-X", "--xen-vmcoreinfo", text(&info)], "out");
    host.is_filtered("out");
    // a domain 0 that lists no frames, and a note that does not say where Xen is
    host.put("xen.vmcore", &with(host.xen.notes(9, true)));
    host.run(&["-X"], "out");
    host.is_filtered("out");
    assert!(host.refuses(&["--dom0"]).contains("PVH"));
    host.put("xen.vmcore", &with(host.xen.notes(8, true)));
    assert!(host.refuses(&["-X"]).contains("--xen_phys_start"));
    host.run(&["-X", "--xen_phys_start", "0x100000"], "out");
    host.is_filtered("out");
    assert!(host.refuses(&["-X", "--xen_phys_start", "0x200000"]).contains("xen_phys_start"));
    let other = host.xen.vmcoreinfo.replace("SYMBOL(max_page)=ffff82d040", "SYMBOL(max_page)=ffff82d041");
    let other = host.put("other", other.as_bytes());
    host.put("xen.vmcore", &host.xen.vmcore());
    let run = gdump(&["-X", "--xen-vmcoreinfo", text(&other), text(&host.path("xen.vmcore")), text(&host.path("no"))]);
    assert_eq!(run.status.code(), Some(2), "as the vmlinux of another kernel");
    assert!(String::from_utf8_lossy(&run.stderr).contains("another Xen"));
}

impl Host {
    /// The same with 8 bytes of the machine's memory changed.
    fn with(&self, at: u64, value: u64) {
        let mut xen = self.xen.clone();
        xen.memory.write(at, &value.to_le_bytes());
        self.put("xen.vmcore", &xen.vmcore());
    }
}

/// Frames of a fake host: Xen's variables, domain 0 and a guest behind it, the list of domain 0's lists.
const VARIABLES: u64 = 0x100 * 4096;
const GUEST: u64 = 0x181 * 4096;
const LISTS: u64 = 0x800 * 4096;
const NEXT: u64 = 136;
/// Where a `page_info` has its count_info.
const COUNT: u64 = 8;

#[test]
fn what_makes_no_sense_is_said_and_ends() {
    let host = Host::usual();
    let zero = 0xffff_8300_0018_0000;
    host.with(GUEST + NEXT, zero);
    let said = host.run(&["-X"], "out");
    assert!(said.contains("list of domains is broken: number 0 comes again"), "{said}");
    host.is_filtered("out");
    host.with(VARIABLES + 16, 1 << 60);
    host.run(&["-X"], "out");
    host.is_filtered("out");
    for table in [0xffff_ffff_ffff_fff0, 0xffff_8300_0000_0000, 0] {
        host.with(VARIABLES + 8, table);
        let said = host.run(&["-X"], "out");
        assert!(said.contains("keeping them"), "{table:#x}: {said}");
        assert!(open(&host.path("out")).kept.ones().eq(host.xen.memory.pfns()), "{table:#x}: all is kept");
    }
    host.with(VARIABLES, 0);
    assert!(host.refuses(&["-X"]).contains("list of domains is empty"));
    // lists of lists that name themselves name few frames of domain 0's, if any
    host.with(LISTS, 0x800);
    let said = host.refuses(&["--dom0"]);
    assert!(said.lines().count() == 1, "{said}");
}

/// What says that a page goes must not be contradicted: a free page that somebody has stays, and without a domain 0 nobody
/// knows whose a guest's page is.
#[test]
fn what_contradicts_itself_stays() {
    let host = Host::usual();
    let held = *host.xen.kept.iter().find(|pfn| host.xen.p2m.values().any(|mfn| mfn == *pfn)).unwrap();
    let info = host.xen.page_info(held);
    let count = host.xen.memory.number(info + COUNT, 8);
    // in use, and with the bits of what is free or off line
    for state in [2, 3] {
        host.with(info + COUNT, count | state << 58);
        let said = host.run(&["-X"], "out");
        host.is_filtered("out");
        assert!(said.lines().any(|line| line.contains("- for lack of proof") && line.contains(" 1 pages")), "{said}");
    }
    let zero = 0x180 * 4096;
    host.with(zero, host.xen.memory.number(zero, 8) | 5);
    let said = host.run(&["-X"], "out");
    assert!(said.contains("list of domains"), "{said}");
    let kept = open(&host.path("out"));
    assert!(host.xen.kept.iter().all(|pfn| kept.kept.get(*pfn)), "domain 0's pages stay");
}

/// A domain 0 that says that a guest's page is its own does not get it.
#[test]
fn pages_of_others_are_not_domain_0s() {
    let host = Host::usual();
    host.with(LISTS + 2 * 4096 + 8 * 0x345, 0x900);
    let said = host.run(&["--dom0", "-c"], "dom0");
    assert!(said.contains("1 page frames that domain 0 lists are not its own"), "{said}");
    assert!(!open(&host.path("dom0")).kept.ones().any(|pfn| pfn == 0x345));
}

/// What -X left is a host's dump like the one before.
#[test]
fn domain_0_of_a_filtered_host() {
    let host = Host::usual();
    host.run(&["--dom0", "-c", "-d", "31"], "first");
    host.run(&["-X", "-c"], "less");
    fs::rename(host.path("less"), host.path("xen.vmcore")).unwrap();
    host.run(&["--dom0", "-c", "-d", "31"], "second");
    assert!(fs::read(host.path("first")).unwrap() == fs::read(host.path("second")).unwrap());
}
