//! Options for dumps of Xen hosts.

use super::number::address;
use dump::PhysAddr;
use std::path::PathBuf;

/// What is made of the dump of a Xen host, and what is known of its hypervisor.
#[derive(Debug, clap::Args)]
pub struct XenArgs {
    /// Exclude pages of Xen's guests and of its free memory from the dump of a Xen host
    ///
    /// Xen's own pages and those of domain 0 are kept. What Xen has free goes whatever LEVEL is, and so do pages that are
    /// broken or off line. LEVEL can be 0 or 1 then, or with --dom0 any. If Xen's frame table does not say for certain
    /// what a page is, it is kept, and one line says why.
    #[arg(short = 'X')]
    pub exclude: bool,
    /// Write domain 0 of a Xen host's dump, as the dump of an ordinary machine
    ///
    /// Its pages have its own page frame numbers, and every LEVEL excludes pages as on a machine without Xen. Two things
    /// are not as they were in memory, for readers know no Xen: page tables of domain 0 hold its page frames in place of
    /// the machine's, and the pointer xen_start_info is 0. Domain 0 must be a PV guest. The registers in the notes of the
    /// host are Xen's; in their place are those of domain 0, for CPUs that ran its kernel when Xen ended.
    #[arg(long)]
    pub dom0: bool,
    /// Take what the notes of a Xen host lack from FILE, the xen-syms of its Xen
    ///
    /// It has Xen's symbols and, as DWARF, its types. It is needed where the host has large holes in memory (compressed
    /// page frame numbers), which one line says. With -g, the vmcoreinfo of Xen is written. That of another Xen is
    /// refused, with exit status 2.
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub xen_syms: Option<PathBuf>,
    /// Take Xen's vmcoreinfo from FILE, a text that -g made of its xen-syms
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub xen_vmcoreinfo: Option<PathBuf>,
    /// Where Xen's image is in physical memory, for hosts whose notes do not say it (Xen before 3.3)
    #[arg(long = "xen_phys_start", hide_short_help = true, value_name = "ADDR", value_parser = address)]
    pub xen_phys_start: Option<PhysAddr>,
}

impl XenArgs {
    /// Those that are given and say something of a hypervisor.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            (self.xen_syms.is_some(), "--xen-syms"),
            (self.xen_vmcoreinfo.is_some(), "--xen-vmcoreinfo"),
            (self.xen_phys_start.is_some(), "--xen_phys_start"),
        ];
        given.into_iter().filter_map(|(given, name)| given.then_some(name))
    }
}
