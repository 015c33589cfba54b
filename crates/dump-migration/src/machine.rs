//! Where machines of QEMU have their RAM, by the name of the machine type.
//!
//! | machine type | where | source |
//! |---|---|---|
//! | pc-q35-* | below 2.75 GiB at 0; else 2 GiB at 0, the rest from 4 GiB | hw/i386/pc_q35.c |
//! | pc-i440fx-*, pc-* from 2.0 | below 3.5 GiB at 0; else 3 GiB at 0, the rest from 4 GiB | hw/i386/pc_piix.c |
//! | virt of arm and arm64 | 1 GiB | hw/arm/virt.c |
//! | virt of riscv | 2 GiB | hw/riscv/virt.c |
//! | virt of loongarch64 | 256 MiB at 0, the rest from 2 GiB (QEMU 7.2) | include/hw/loongarch/virt.h |
//! | s390-ccw-virtio-*, pseries-*, powernv* | 0 | |
//!
//! On x86, addresses 0xa0000 to 0xbffff are a graphics card's or firmware's: what lies beneath is not the guest's.
//! `max-ram-below-4g`, where it was set, is not in a stream.

use crate::blocks::Block;
use dump_core::{Error, Machine, Result};
use std::ops::Range;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What QEMU leaves to graphics on x86.
const VGA: Range<u64> = 0xa_0000..0xc_0000;

/// Where AMD's HyperTransport begins: RAM that would reach it goes to 1 TiB, on processors of AMD alone.
const AMD_HOLE: u64 = 0xfd_0000_0000;

/// Where a machine has its RAM, as ranges in the order of RAM's offsets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub ranges: Vec<Range<u64>>,
    /// Addresses in them that are not RAM.
    pub hidden: Option<Range<u64>>,
}

impl Layout {
    fn at(base: u64, bytes: u64) -> Result<Layout> {
        Layout::split(base, bytes, base, 0)
    }

    /// `low` bytes from `base` on and `high` from `above` on.
    fn split(base: u64, low: u64, above: u64, high: u64) -> Result<Layout> {
        let range = |start: u64, bytes: u64| start.checked_add(bytes).map(|end| start..end);
        let ranges = range(base, low).zip(range(above, high));
        let (low, high) = ranges.ok_or_else(|| Error::corrupt("RAM passes the end of all addresses"))?;
        let ranges = [low, high].into_iter().filter(|range| !range.is_empty()).collect();
        Ok(Layout { ranges, hidden: None })
    }

    /// Of a PC that has up to `most` bytes below 4 GiB, and `low` of them where it has more.
    fn of_pc(bytes: u64, most: u64, low: u64) -> Result<Layout> {
        let low = if bytes >= most { low } else { bytes };
        if (4 * GIB).saturating_add(bytes - low) > AMD_HOLE {
            let text = "RAM that reaches past 1012 GiB lies elsewhere where the guest's processor is AMD's";
            return Err(Error::missing(text).hint(HINT));
        }
        Ok(Layout { hidden: Some(VGA), ..Layout::split(0, low, 4 * GIB, bytes - low)? })
    }
}

const HINT: &str = "--raw-map RANGES says where it lies";

/// Where the machine that is called `name` has `bytes` of RAM, which `blocks` hold.
///
/// # Errors
/// `MissingInfo` if that is not known.
pub(crate) fn layout(name: Option<&str>, blocks: &[Block], bytes: u64) -> Result<Layout> {
    let Some(name) = name else {
        return Err(Error::missing("the stream does not say of which machine type it is").hint(HINT));
    };
    let has = |block: &str| blocks.iter().any(|known| known.name.starts_with(block));
    let unknown = |why: &str| Error::missing(format!("machine type {name:?}: {why}")).hint(HINT);
    if name.starts_with("pc-q35") || name == "q35" {
        return Layout::of_pc(bytes, 0xb000_0000, 2 * GIB);
    }
    if is_i440fx(name) {
        return Layout::of_pc(bytes, 0xe000_0000, 3 * GIB);
    }
    if name.starts_with("microvm") && bytes <= 3 * GIB {
        return Layout::at(0, bytes);
    }
    if ["s390-ccw-virtio", "pseries", "powernv"].iter().any(|known| name.starts_with(known)) {
        return Layout::at(0, bytes);
    }
    if name == "virt" || name.starts_with("virt-") {
        // arm, riscv, loongarch64 and m68k have a machine of this name
        return match () {
            () if has("riscv_virt_board.") => Layout::at(2 * GIB, bytes),
            () if has("loongarch.") => {
                let low = bytes.min(256 * MIB);
                Layout::split(0, low, 2 * GIB, bytes - low)
            }
            () if has("m68k_virt.") => Layout::at(0, bytes),
            () if has("mach-virt.ram") || has("virt.flash") || name.starts_with("virt-") => Layout::at(GIB, bytes),
            () => Err(unknown("it is that of several architectures")),
        };
    }
    Err(unknown("where it has its RAM is not known"))
}

/// Versions before 2.0 had other limits.
fn is_i440fx(name: &str) -> bool {
    match name.strip_prefix("pc-i440fx") {
        Some(version) => !version.starts_with("-1."),
        None => name == "pc",
    }
}

/// What the machine's processors are, where its name says so.
pub(crate) fn machine(name: Option<&str>) -> Machine {
    let known = |name: &str| Machine::by_name(name).unwrap_or(Machine::UNKNOWN);
    match name {
        Some(name) if name.starts_with("s390") => known("s390x"),
        // ELF cores of QEMU state the big order too, whatever the kernel's is
        Some(name) if name.starts_with("pseries") || name.starts_with("powernv") => known("ppc64"),
        _ => Machine::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, block: &str, mib: u64) -> Vec<(u64, u64)> {
        let blocks = [Block { name: block.to_owned(), len: mib * MIB, mapped: None }];
        let layout = layout(Some(name), &blocks, mib * MIB).unwrap();
        layout.ranges.iter().map(|range| (range.start / MIB, range.end / MIB)).collect()
    }

    #[test]
    fn machines_by_their_names() {
        assert_eq!(at("pc-q35-7.2", "pc.ram", 1024), [(0, 1024)]);
        assert_eq!(at("pc-q35-7.2", "pc.ram", 2815), [(0, 2815)]);
        assert_eq!(at("pc-q35-rhel9.2.0", "pc.ram", 2816), [(0, 2048), (4096, 4864)]);
        assert_eq!(at("pc-i440fx-7.2", "pc.ram", 3583), [(0, 3583)]);
        assert_eq!(at("pc-i440fx-2.0", "pc.ram", 3584), [(0, 3072), (4096, 4608)]);
        assert_eq!(at("virt-7.2", "mach-virt.ram", 512), [(1024, 1536)]);
        assert_eq!(at("virt", "riscv_virt_board.ram", 512), [(2048, 2560)]);
        assert_eq!(at("virt", "loongarch.ram", 512), [(0, 256), (2048, 2304)]);
        assert_eq!(at("s390-ccw-virtio-7.2", "s390.ram", 512), [(0, 512)]);
        let why = |name: Option<&str>, mib: u64| layout(name, &[], mib * MIB).unwrap_err().to_string();
        assert!(why(Some("virt"), 1).contains("several architectures"));
        assert!(why(Some("malta"), 1).contains("\"malta\": where it has its RAM is not known (--raw-map"));
        assert!(why(Some("pc-i440fx-1.4"), 1).contains("not known"));
        assert!(why(None, 1).contains("does not say"));
        assert!(why(Some("pc-q35-7.2"), 2 << 20).contains("AMD"));
        assert_eq!(layout(Some("pc-q35-7.2"), &[], GIB).unwrap().hidden, Some(VGA));
    }
}
