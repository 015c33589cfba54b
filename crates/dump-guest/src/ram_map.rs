//! Which guest physical addresses are RAM, and where the process that runs the guest has them.

use crate::monitor;
use crate::qmp::Qmp;
use dump_core::{Error, Result};
use std::ops::Range;
use std::str::FromStr;

/// A stretch of the guest's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RamRange {
    /// Guest physical addresses.
    pub guest: Range<u64>,
    /// Where the process has the first; `None` where that is not known.
    pub host: Option<u64>,
    /// What QEMU calls the memory that it is a part of: `pc.ram`.
    pub name: String,
    /// Where in that memory it begins (bytes).
    pub offset: u64,
}

/// The guest's memory, by ascending addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RamMap {
    /// Its stretches, none of which overlap.
    pub ranges: Vec<RamRange>,
}

impl RamMap {
    /// That of a guest of QEMU, without the process's addresses: the RAM and ROM that its own dumps have.
    ///
    /// # Errors
    /// As [`Qmp::run`]; `Corrupt` if the answer has no RAM.
    pub fn of(qmp: &Qmp) -> Result<RamMap> {
        let text = monitor::ask(qmp, "info mtree -f")?;
        RamMap::parse(&text).map_err(|e| e.within(qmp.address()))
    }

    /// Adds where QEMU's process has each stretch.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn locate(&mut self, qmp: &Qmp) -> Result<()> {
        for range in &mut self.ranges {
            range.host = Some(monitor::host_address(qmp, range.guest.start)?);
        }
        Ok(())
    }

    /// From the answer to `info mtree -f`, of which the view named memory counts.
    ///
    /// QEMU's dumps have what is RAM by `memory_region_is_ram`, ROM included, but not a device's own memory (`ramd`):
    /// system/memory_mapping.c, `guest_phys_block_add_section`. That leaves out what is not volatile, too, but asks the
    /// memory of an NVDIMM, which is as any other, and not the place where it is seen, which `nv-` is said of.
    ///
    /// # Errors
    /// `Corrupt` if it has no RAM, or ranges overlap.
    pub fn parse(text: &str) -> Result<RamMap> {
        let view = text.split("FlatView #").find(|view| view.lines().any(is_of_memory));
        let lines = view.unwrap_or_default().lines();
        let mut ranges: Vec<RamRange> = lines.filter_map(flat_range).collect();
        ranges.sort_by_key(|range| range.guest.start);
        match ranges.windows(2).find(|pair| pair[0].guest.end > pair[1].guest.start) {
            Some([a, b]) => {
                let text = format!("info mtree -f: {:#x?} and {:#x?} overlap", a.guest, b.guest);
                Err(Error::corrupt(text))
            }
            _ if ranges.is_empty() => Err(Error::corrupt("info mtree -f: no RAM in it")),
            _ => Ok(RamMap { ranges: joined(ranges) }),
        }
    }

    /// All of it (bytes).
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.guest.end - range.guest.start).sum()
    }
}

/// Ranges that go on where another ends, with the guest and in QEMU's memory, as one: firmware may make parts of RAM
/// read-only. QEMU's dumps have them so, too.
fn joined(ranges: Vec<RamRange>) -> Vec<RamRange> {
    let mut joined: Vec<RamRange> = Vec::new();
    for range in ranges {
        let goes_on = |last: &RamRange| {
            let end = last.offset.checked_add(last.guest.end - last.guest.start);
            last.guest.end == range.guest.start && last.name == range.name && end == Some(range.offset)
        };
        match joined.last_mut().filter(|last| goes_on(last)) {
            Some(last) => last.guest.end = range.guest.end,
            None => joined.push(range),
        }
    }
    joined
}

/// Whether a line of a view says that it is what CPUs see as memory.
fn is_of_memory(line: &str) -> bool {
    line.trim_start().starts_with("AS \"memory\"")
}

/// `0000000000100000-000000001fffffff (prio 0, ram): pc.ram @0000000000100000 KVM`, if it is RAM or ROM.
fn flat_range(line: &str) -> Option<RamRange> {
    let (addresses, rest) = line.trim().split_once(' ')?;
    let (first, last) = addresses.split_once('-')?;
    let (first, last) = (hex(first)?, hex(last)?);
    let (kind, named) = rest.split_once("): ")?;
    let kind = kind.rsplit_once(' ')?.1;
    let (name, offset) = match named.rsplit_once(" @") {
        Some((name, offset)) => (name, hex(offset.split(' ').next()?)?),
        // which accelerator maps it
        None => (named.strip_suffix(" KVM").unwrap_or(named), 0),
    };
    let is_dumped = matches!(kind, "ram" | "rom" | "nv-ram" | "nv-rom") && first < last;
    is_dumped.then(|| RamRange { guest: first..last.saturating_add(1), host: None, name: name.to_owned(), offset })
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))
}

/// A stretch of memory that the user states: guest physical addresses and, where several places could be meant, the
/// process's address of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenRange {
    /// Guest physical addresses.
    pub guest: Range<u64>,
    /// Where the process has the first.
    pub host: Option<u64>,
}

impl FromStr for GivenRange {
    type Err = Error;

    /// `0x100000000-0x180000000`, the second address being that after the last, or the same and `@0x7f0000000000`.
    fn from_str(text: &str) -> Result<GivenRange> {
        let wrong = || Error::unsupported(format!("{text}: expected FIRST-END or FIRST-END@ADDRESS, all hexadecimal"));
        let number = |text: &str| hex(text.strip_prefix("0x").unwrap_or(text)).ok_or_else(wrong);
        let (guest, host) = match text.split_once('@') {
            Some((guest, host)) => (guest, Some(number(host)?)),
            None => (text, None),
        };
        let (first, end) = guest.split_once('-').ok_or_else(wrong)?;
        let guest = number(first)?..number(end)?;
        if guest.is_empty() || guest.start % PAGE != 0 || guest.end % PAGE != 0 {
            return Err(Error::unsupported(format!("{text}: expected whole pages, and the end after the beginning")));
        }
        Ok(GivenRange { guest, host })
    }
}

/// Memory comes in pages of at least that many bytes.
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// By QEMU 7.2, cut short: `-machine q35 -m 512`.
    const Q35: &str = r#"FlatView #0
 AS "I/O", root: io
 Root memory region: io
  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan

FlatView #1
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 Root memory region: system
  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM
  00000000000a0000-00000000000affff (prio 2, ram): vga.vram KVM
  00000000000b0000-00000000000bffff (prio 1, i/o): vga-lowmem @0000000000010000
  00000000000c0000-00000000000dffff (prio 0, rom): pc.ram @00000000000c0000 KVM
  0000000000100000-00000000001fffff (prio 0, rom): pc.ram @0000000000100000 KVM
  0000000000200000-000000001fffffff (prio 0, ram): pc.ram @0000000000200000 KVM
  00000000e0000000-00000000e0000fff (prio 0, ramd): 0000:00:02.0 BAR 0 mmaps[0] KVM
  00000000f0000000-00000000f0000fff (prio 0, nv-ram): nvdimm @0000000000000000
  00000000fffc0000-00000000ffffffff (prio 0, romd): system.flash0

FlatView #2
 AS "piix3-ide", root: bus master container
 Root memory region: (none)
  No rendered FlatView
"#;

    #[test]
    fn ram_and_rom_of_the_memory_view() {
        let map = RamMap::parse(Q35).unwrap();
        let got: Vec<(u64, u64, &str, u64)> =
            map.ranges.iter().map(|r| (r.guest.start, r.guest.end, r.name.as_str(), r.offset)).collect();
        assert_eq!(
            got,
            [
                (0, 0xa_0000, "pc.ram", 0),
                (0xa_0000, 0xb_0000, "vga.vram", 0),
                (0xc_0000, 0xe_0000, "pc.ram", 0xc_0000),
                (0x10_0000, 0x2000_0000, "pc.ram", 0x10_0000),
                (0xf000_0000, 0xf000_1000, "nvdimm", 0),
            ]
        );
        assert_eq!(map.bytes(), 0x1ff1_0000 + 0xc_0000 + 0x1000);
    }

    #[test]
    fn answers_without_sense_are_refused() {
        let overlapping = Q35.replace("00000000000c0000-00000000000dffff", "0000000000090000-00000000000dffff");
        for text in
            ["", "FlatView #1\n", "unknown command: 'info mtree'", &Q35.replace("\"memory\"", "\"m\""), &overlapping]
        {
            assert!(RamMap::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_as_users_write_them() {
        let range = |text: &str| text.parse::<GivenRange>().ok();
        assert_eq!(range("0-0x80000000"), Some(GivenRange { guest: 0..0x8000_0000, host: None }));
        let high = GivenRange { guest: 0x1_0000_0000..0x1_8000_0000, host: Some(0x7f00_0000_0000) };
        assert_eq!(range("0x100000000-0x180000000@0x7f0000000000"), Some(high));
        for text in
            ["", "0", "0-0", "1-0x1000", "0-0x1001", "0x2000-0x1000", "0-x", "0-0x1000@", "-0x1000", "+0-0x1000"]
        {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
