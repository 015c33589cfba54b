//! Notes in the other byte order: QEMU states big endian for a PowerPC guest whose kernel is little endian, and so writes
//! its notes.

use crate::machine::ByteOrder;
use crate::notes::Notes;

/// Integers of a descriptor: how many there are, of how many bytes each.
type Integers = &'static [(usize, usize)];

/// Stands for as many as there is room for.
const REST: usize = usize::MAX;

/// Descriptors of the owner CORE on 64-bit machines, by type (QEMU, target/ppc/arch_dump.c; Linux,
/// include/linux/elfcore.h). NT_PRSTATUS: signal numbers, pids and times, then registers; the integer behind those has
/// as much room as two.
const CORE: &[(u32, Integers)] = &[
    (1, &[(3, 4), (1, 2), (2, 1), (2, 8), (4, 4), (REST, 8)]),
    (2, &[(REST, 8)]),
    (0x100, &[(REST, 16)]),
    (0x101, &[(32, 4), (1, 8), (REST, 4)]),
    (0x102, &[(REST, 8)]),
];

impl Notes {
    /// The same notes with all integers in `order`: their headers, and the registers of 64-bit machines. Descriptors that
    /// nothing is known of stay as they are, and so does what follows the last note. Large ones, which QEMU never writes,
    /// are left out.
    #[must_use]
    pub fn in_order(&self, order: ByteOrder) -> Notes {
        if order == self.order() {
            return self.clone();
        }
        let (mut bytes, mut at) = (self.as_bytes().to_vec(), 0);
        for note in self.iter() {
            let header = bytes.get_mut(at..at + 12).unwrap_or_default();
            header.chunks_exact_mut(4).for_each(<[u8]>::reverse);
            let known = CORE.iter().find(|(kind, _)| note.name == b"CORE" && note.kind == *kind);
            if let (Some((_, integers)), Some(desc)) = (known, bytes.get_mut(note.desc.clone())) {
                swap(desc, integers);
            }
            at = note.desc.end.next_multiple_of(4);
        }
        Notes::new(bytes, order)
    }
}

fn swap(desc: &mut [u8], integers: Integers) {
    let mut rest = desc;
    for (count, size) in integers {
        let len = rest.len().min(count.saturating_mul(*size));
        let (these, others) = std::mem::take(&mut rest).split_at_mut(len);
        these.chunks_exact_mut(*size).for_each(<[u8]>::reverse);
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with the NT_PRSTATUS of a 64-bit machine, by its fields.
    fn stream(order: ByteOrder) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |value: u64, size: usize| {
            let bytes = value.to_be_bytes();
            let mut bytes = bytes[8 - size..].to_vec();
            if order == ByteOrder::Little {
                bytes.reverse();
            }
            out.extend(bytes);
        };
        [5, 504, 1].into_iter().for_each(|n| put(n, 4));
        "CORE\0\0\0\0".bytes().for_each(|c| put(u64::from(c), 1));
        (1..4).for_each(|n| put(n, 4));
        put(4, 2);
        [0, 0].into_iter().for_each(|n| put(n, 1));
        (5..7).for_each(|n| put(n, 8));
        (7..11).for_each(|n| put(n, 4));
        (11..67).for_each(|n| put(n << 32 | 1, 8));
        put(0, 8);
        [11, 3, 0].into_iter().for_each(|n| put(n, 4));
        "VMCOREINFO\0\0A=1\0".bytes().for_each(|c| put(u64::from(c), 1));
        [0xff; 20].into_iter().for_each(|n| put(n, 1));
        out
    }

    #[test]
    fn both_ways() {
        let (big, little) = (stream(ByteOrder::Big), stream(ByteOrder::Little));
        let notes = Notes::new(big.clone(), ByteOrder::Big);
        assert_eq!((notes.cpus(), notes.vmcoreinfo()), (1, Some(&b"A=1"[..])));
        let turned = notes.in_order(ByteOrder::Little);
        assert!(turned.as_bytes() == little, "headers, registers, and nothing else");
        assert_eq!((turned.cpus(), turned.vmcoreinfo(), turned.order()), (1, Some(&b"A=1"[..]), ByteOrder::Little));
        assert!(turned.in_order(ByteOrder::Big).as_bytes() == big);
    }
}
