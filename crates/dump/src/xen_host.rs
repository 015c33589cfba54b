//! The hypervisor of a dumped Xen host.

use crate::xen_files::XenFiles;
use dump_core::{Error, PageBitmap, PageSource, Pfn, PfnRange, Result};
use dump_kernel::SourceMemory;
use dump_xen::{CrashInfo, Knowledge, P2m, SymbolOf, XenHost, is_host, vmcoreinfo};

/// Ranges of memory that are looked at: a machine has some dozens.
const MAX_RANGES: usize = 1 << 12;

/// Frames of domain 0 that are looked at to see whether they are its own by the frame table.
const PROBED: usize = 256;

/// The hypervisor of the host that `source` is the dump of.
///
/// # Errors
/// `Unsupported` if it is none; as [`XenHost::new`]; `OtherKernel` if files are of another.
pub(crate) fn host(source: &dyn PageSource, files: &XenFiles) -> Result<XenHost> {
    let notes = &source.meta().notes;
    if !is_host(notes) {
        return Err(Error::unsupported("no dump of a Xen host: it has no note of Xen's"));
    }
    let info = files.vmcoreinfo(vmcoreinfo(notes))?;
    let memory = SourceMemory::new(source);
    let ram = ram(source)?;
    let symbols = files.symbols();
    let knowledge = Knowledge {
        vmcoreinfo: info.as_deref(),
        phys_start: files.phys_start(),
        symbol: symbols.as_ref().map(|symbol| symbol as SymbolOf<'_>),
        ram: &ram,
    };
    let mut host = XenHost::new(notes, &knowledge, &memory)?;
    // domain 0 says itself which frames it has: the table must say the same
    if let Ok(p2m) = p2m(source, host.crash()) {
        host.probe(&p2m.spread(PROBED), &memory);
    }
    Ok(host)
}

/// The frames of domain 0, as it says itself.
///
/// # Errors
/// `MissingInfo` if the crash note does not say where they are listed; as [`P2m::read`].
pub(crate) fn p2m(source: &dyn PageSource, crash: Option<&CrashInfo>) -> Result<P2m> {
    use dump_kernel::PhysMemory;
    let top = crash.and_then(|crash| crash.frame_list_list).ok_or_else(|| {
        let text = "Xen's crash note names no list of domain 0's page frames";
        Error::missing(text).hint("a domain 0 that is no PV guest (PVH) has none")
    })?;
    let memory = SourceMemory::new(source);
    // a list may name a page again and again
    P2m::read(top, held(source)?, memory.reader().as_mut())
}

/// How many pages the dump has.
fn held(source: &dyn PageSource) -> Result<u64> {
    let mut bits = bitmap(source)?;
    source.mark_held(&mut bits)?;
    Ok(bits.count(bits.span()))
}

fn bitmap(source: &dyn PageSource) -> Result<PageBitmap> {
    let end = source.meta().end_pfn;
    let too_far = || Error::corrupt(format!("memory up to page frame {end}, more than any machine has"));
    PageBitmap::windowed(PfnRange::new(Pfn(0), end)).ok_or_else(too_far)
}

/// Memory, as ranges.
fn ram(source: &dyn PageSource) -> Result<Vec<PfnRange>> {
    let mut bits = bitmap(source)?;
    source.mark_ram(&mut bits)?;
    Ok(bits.runs(bits.span()).take(MAX_RANGES).collect())
}
