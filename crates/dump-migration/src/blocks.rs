//! RAM blocks: what QEMU calls the pieces of memory that it migrates, and which of them are the guest's main memory.

use crate::mapped::Place;

/// A RAM block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Its name.
    pub name: String,
    /// Its length (bytes).
    pub len: u64,
    /// Where a mapped-ram file has it.
    pub mapped: Option<Place>,
}

/// What QEMU calls RAM that no `-object memory-backend-*` is for (`default_ram_id` of machine classes).
const DEFAULT: &[&str] = &[
    "pc.ram",
    "mach-virt.ram",
    "riscv_virt_board.ram",
    "s390.ram",
    "ppc_spapr.ram",
    "loongarch.ram",
    "microvm.ram",
    "pnv.ram",
    "m68k_virt.ram",
    "mips_malta.ram",
    "sun4u.ram",
    "ram",
];

/// Ends of the names of what belongs to devices and firmware. Devices on a bus have a path before their name.
const DEVICES: &[&str] = &[".vram", ".bios", ".rom", ".mrom", ".sram", ".prom", ".flash", ".flash0", ".flash1"];

/// What libvirt calls memory that can be plugged in.
const PLUGGED: &[&str] = &["memdimm", "memnvdimm", "memvirtiomem", "memvirtiopmem", "dimm", "nvdimm", "vmem", "shmmem"];

/// The blocks of a guest, as numbers in the order of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Main memory, from its first byte on.
    pub main: Vec<usize>,
    /// Memory that may be plugged in somewhere.
    pub plugged: Vec<usize>,
    /// Whether the order of main memory is that of names, which need not be the guest's.
    pub by_name: bool,
}

impl Roles {
    /// What each of `blocks` is.
    pub fn of(blocks: &[Block]) -> Roles {
        let name = |i: &usize| blocks.get(*i).map_or("", |block| bare(&block.name));
        let all: Vec<usize> = (0..blocks.len()).filter(|i| !is_device(name(i))).collect();
        let some = |is: &dyn Fn(&str) -> bool| all.iter().copied().filter(|i| is(name(i))).collect::<Vec<_>>();
        let default = some(&|name| DEFAULT.contains(&name));
        let nodes = some(&|name| name.starts_with("ram-node"));
        let fixed = some(&|name| !PLUGGED.iter().any(|known| name.starts_with(known)));
        let found = [default, nodes, fixed].into_iter().find(|list| !list.is_empty());
        let mut main = found.unwrap_or_else(|| all.clone());
        main.sort_by_key(|i| natural(name(i)));
        // blocks of a stream come in the order of their sizes, nodes in that of their numbers
        let stem = |i: &usize| natural(name(i)).0.to_owned();
        let by_name = main.windows(2).any(|pair| stem(&pair[0]) != stem(&pair[1]));
        let plugged = all.into_iter().filter(|i| !main.contains(i)).collect();
        Roles { main, plugged, by_name }
    }
}

/// Without what older machine types have before the names of objects.
fn bare(name: &str) -> &str {
    name.strip_prefix("/objects/").unwrap_or(name)
}

fn is_device(name: &str) -> bool {
    name.contains('/') || DEVICES.iter().any(|end| name.ends_with(end))
}

/// A name and the number at its end.
fn natural(name: &str) -> (&str, u64) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem, name.get(stem.len()..).and_then(|digits| digits.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> (Vec<usize>, Vec<usize>, bool) {
        let block = |name: &&str| Block { name: (*name).to_owned(), len: 1, mapped: None };
        let Roles { main, plugged, by_name } = Roles::of(&names.iter().map(block).collect::<Vec<_>>());
        (main, plugged, by_name)
    }

    #[test]
    fn which_blocks_are_the_guests_memory() {
        let pc = ["0000:00:01.0/vga.vram", "pc.ram", "/rom@etc/acpi/tables", "pc.bios", "system.flash0", "dimm0"];
        assert_eq!(roles(&pc), (vec![1], vec![5], false));
        let nodes = ["ram-node10", "ram-node2", "memdimm0", "/objects/ram-node0", "pc.rom"];
        assert_eq!(roles(&nodes), (vec![3, 1, 0], vec![2], false));
        assert_eq!(roles(&["mem", "vga.vram"]), (vec![0], vec![], false));
        assert_eq!(roles(&["m1", "m0"]), (vec![1, 0], vec![], false));
        assert_eq!(roles(&["low", "high"]), (vec![1, 0], vec![], true));
        assert_eq!(roles(&["dimm1"]), (vec![0], vec![], false));
    }
}
