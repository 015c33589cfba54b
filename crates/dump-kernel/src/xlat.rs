//! From kernel virtual to physical addresses: what every architecture's page-table walk is made of.

use crate::memory::PhysReader;
use crate::words::integer;
use dump_core::{ByteOrder, Error, PhysAddr, Result, VirtAddr};

/// Virtual memory that is mapped to consecutive physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The virtual address that was asked for.
    pub virt: VirtAddr,
    /// Where it lies.
    pub phys: PhysAddr,
    /// How far it goes on from there (bytes, at least 1): to the end of the page, however large that is.
    pub bytes: u64,
}

/// The address translation of one dumped machine.
pub trait Translate: Send + Sync {
    /// Where `at` lies. `cache` holds the page tables last walked, so that neighbours cost no reads.
    ///
    /// # Errors
    /// If `at` is not mapped, or a page table on the way cannot be read.
    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping>;

    /// Where the top page table lies; `None` where addresses are not translated by tables.
    fn root(&self) -> Option<PhysAddr> {
        None
    }
}

/// How the entries of a page table lie. Apart from the machine's words: i386 with PAE has entries of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// Number of entries.
    pub entries: usize,
    /// Bytes of an entry: 4 or 8.
    pub entry_bytes: usize,
    /// Their byte order.
    pub order: ByteOrder,
}

/// The page table last used at each level.
#[derive(Default)]
pub struct TableCache {
    tables: Vec<(PhysAddr, Vec<u8>)>,
}

impl TableCache {
    /// Entry `index` of the table at `table`, which is one of `level`.
    ///
    /// # Errors
    /// If the table cannot be read; `Corrupt` if it has no such entry.
    pub fn entry(
        &mut self,
        memory: &mut dyn PhysReader,
        level: usize,
        table: PhysAddr,
        shape: TableShape,
        index: usize,
    ) -> Result<u64> {
        let bytes = shape.entries * shape.entry_bytes;
        if self.tables.len() <= level {
            self.tables.resize(level + 1, (PhysAddr(u64::MAX), Vec::new()));
        }
        let (cached, content) = &mut self.tables[level];
        if *cached != table || content.len() != bytes {
            content.resize(bytes, 0);
            *cached = PhysAddr(u64::MAX); // until it has been read
            memory.read(table, content).map_err(|e| e.within(format_args!("page table at {table}")))?;
            *cached = table;
        }
        let entry = content.chunks_exact(shape.entry_bytes.max(1)).nth(index);
        let entry = entry.ok_or_else(|| Error::corrupt(format!("page table index {index} out of range")))?;
        Ok(integer(shape.order, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl PhysReader for Counting {
        fn read(&mut self, _: PhysAddr, buf: &mut [u8]) -> Result<()> {
            self.0 += 1;
            (0u8..).zip(buf).for_each(|(i, byte)| *byte = i);
            Ok(())
        }
    }

    #[test]
    fn entries_of_either_size_and_order() {
        let (mut memory, mut cache) = (Counting(0), TableCache::default());
        for (entry_bytes, order, want) in [
            (4, ByteOrder::Little, 0x0706_0504),
            (4, ByteOrder::Big, 0x0405_0607),
            (8, ByteOrder::Little, 0x0f0e_0d0c_0b0a_0908),
            (8, ByteOrder::Big, 0x0809_0a0b_0c0d_0e0f),
        ] {
            let shape = TableShape { entries: 4, entry_bytes, order };
            assert_eq!(cache.entry(&mut memory, 1, PhysAddr(0x1000), shape, 1).unwrap(), want);
            assert!(cache.entry(&mut memory, 1, PhysAddr(0x1000), shape, 4).is_err());
        }
        assert_eq!(memory.0, 2, "a table is read once, however often it is asked");
    }
}
