//! The kernel in the memory of a guest: its page tables, its image, and which PDB it was built with.
//!
//! Page tables are those that map the page which Windows shares with user space at its fixed place. The image is below
//! what interrupt 0 goes to.

use super::cpu::Cpu;
use super::memory::{Memory, Space};
use dump_core::{Error, Result};
use std::fmt;

/// KUSER_SHARED_DATA, which is nowhere else.
pub(crate) const SHARED: u64 = 0xffff_f780_0000_0000;

/// Where the CPU's own data (KPCR) have the page tables that interrupts are handled with. Source: QEMU,
/// contrib/elf2dmp/main.c (`fix_dtb`).
const INTERRUPT_TABLES: u64 = 0x7000;

/// Pages that are looked at below an interrupt's code: an image of 128 MiB, far more than any.
const MOST_PAGES: u64 = 1 << 15;

const PAGE: u64 = 4096;

/// Entries of a debug directory that are looked at.
const MOST_ENTRIES: u32 = 64;

/// The longest name of a PDB (bytes).
const MOST_NAME: u32 = 260;

/// Which PDB an image was built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PdbId {
    /// The file's name.
    pub name: String,
    /// Its GUID, as it is stored.
    pub guid: [u8; 16],
    /// How often it was changed.
    pub age: u32,
}

impl PdbId {
    /// Its GUID and age, as symbol servers have them.
    pub fn key(&self) -> String {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.guid;
        let rest: String = rest.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{d:02X}{c:02X}{b:02X}{a:02X}{f:02X}{e:02X}{h:02X}{g:02X}{rest}{:x}", self.age)
    }
}

/// The path on a symbol server.
impl fmt::Display for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.name, self.key(), self.name)
    }
}

/// A kernel's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelImage {
    /// Where it begins (a virtual address).
    pub base: u64,
    /// Its PDB.
    pub pdb: PdbId,
    pub(crate) space: Space,
}

impl KernelImage {
    pub(crate) fn find(memory: &mut Memory<'_>, cpus: &[Cpu]) -> Result<KernelImage> {
        let space = space(memory, cpus)?;
        let image = cpus.iter().find_map(|cpu| {
            let handler = handler(memory, space, cpu.idt)?;
            below(memory, space, handler)
        });
        image.ok_or_else(|| Error::missing("page tables of Windows, but no image of its kernel below its interrupts"))
    }
}

/// Page tables that map what Windows shares with user space.
fn space(memory: &mut Memory<'_>, cpus: &[Cpu]) -> Result<Space> {
    let (system, others): (Vec<&Cpu>, Vec<&Cpu>) = cpus.iter().partition(|cpu| cpu.gs[0] >> 63 == 1);
    let mut spaces: Vec<Space> = Vec::new();
    for cpu in system.into_iter().chain(others) {
        spaces.push(Space::of(cpu.cr3, cpu.five_levels));
        let own = Space::of(cpu.cr3, cpu.five_levels);
        for gs in cpu.gs.iter().filter(|gs| *gs >> 63 == 1) {
            let root = memory.word(own, gs.wrapping_add(INTERRUPT_TABLES));
            spaces.extend(root.ok().map(|root| Space::of(root, cpu.five_levels)));
        }
    }
    let found = spaces.into_iter().find(|space| memory.translate(*space, SHARED).is_ok());
    found.ok_or_else(|| {
        let text = format!("no page tables of Windows: none of {} CPUs maps {SHARED:#x}", cpus.len());
        Error::missing(text)
    })
}

/// Where interrupt 0 goes.
fn handler(memory: &mut Memory<'_>, space: Space, idt: u64) -> Option<u64> {
    let mut gate = [0; 12];
    memory.read_virt(space, idt, &mut gate).ok()?;
    let [a, b, _, _, _, _, c, d, high @ ..] = gate;
    Some(u64::from(u32::from_le_bytes([a, b, c, d])) | u64::from(u32::from_le_bytes(high)) << 32)
}

/// The kernel's image that begins at or below `at`.
fn below(memory: &mut Memory<'_>, space: Space, at: u64) -> Option<KernelImage> {
    let pages = (0..MOST_PAGES).map_while(|i| (at & !(PAGE - 1)).checked_sub(i * PAGE)).take_while(|at| *at >= SHARED);
    for base in pages {
        let mut magic = [0; 2];
        if memory.read_virt(space, base, &mut magic).is_err() || magic != *b"MZ" {
            continue;
        }
        if let Some(pdb) = pdb_of(memory, space, base).filter(|pdb| pdb.name.starts_with("ntk")) {
            return Some(KernelImage { base, pdb, space });
        }
    }
    None
}

/// The PDB of the image at `base`.
fn pdb_of(memory: &mut Memory<'_>, space: Space, base: u64) -> Option<PdbId> {
    let mut number = |at: u64, len: usize| {
        let mut bytes = [0; 4];
        memory.read_virt(space, base.checked_add(at)?, bytes.get_mut(..len)?).ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let pe = u64::from(number(0x3c, 4)?);
    let optional = pe + 24;
    if number(pe, 4)? != u32::from_le_bytes(*b"PE\0\0") || number(pe + 4, 2)? != 0x8664 || number(optional, 2)? != 0x20b
    {
        return None;
    }
    let (directory, len) = (number(optional + 160, 4)?, number(optional + 164, 4)?);
    let entries = (0..(len / 28).min(MOST_ENTRIES)).map(|i| u64::from(directory) + 28 * u64::from(i));
    let mut found = None;
    for entry in entries {
        if number(entry + 12, 4)? == 2 {
            found = Some((number(entry + 20, 4)?, number(entry + 16, 4)?));
            break;
        }
    }
    let (at, len) = found?;
    let mut record = vec![0; len.min(24 + MOST_NAME) as usize];
    memory.read_virt(space, base.checked_add(at.into())?, &mut record).ok()?;
    let (head, name) = record.split_at_checked(24)?;
    let name = name.split(|byte| *byte == 0).next()?;
    let is_name =
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/' && *byte != b'\\');
    let (guid, age) = (head.get(4..20)?.try_into().ok()?, head.get(20..24)?.try_into().ok()?);
    let name = String::from_utf8_lossy(name).into_owned();
    (head.starts_with(b"RSDS") && is_name).then_some(PdbId { name, guid, age: u32::from_le_bytes(age) })
}
