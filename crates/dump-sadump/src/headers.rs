//! Headers by offset.

use dump_core::{Error, ErrorKind, PageSize, ReadAt, Result};

/// What a partition begins with.
pub(crate) const PARTITION: &[u8; 8] = b"sadump\0\0";
/// What a dump header begins with: the same.
const DUMP: &[u8; 8] = PARTITION;

/// The size of a block, and sizes that others may have.
const USUAL_BLOCK: u64 = 4096;
const BLOCKS: [u64; 6] = [8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10];

/// Bytes of headers that are looked at.
const LOOKED_AT: usize = 4096;

/// Members of a disk set.
const MOST_DISKS: u32 = 16;

/// How a dump is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Partition,
    /// A member of a disk set, by its number from 1 on.
    Disk(u32),
    Backup,
}

/// A header's bytes.
struct Block(Vec<u8>);

impl Block {
    fn read(input: &dyn ReadAt, at: u64, what: &str) -> Result<Block> {
        let mut bytes = vec![0; LOOKED_AT];
        let len = input.len()?;
        if at.saturating_add(LOOKED_AT as u64) > len {
            return Err(Error::truncated(what, at.saturating_add(LOOKED_AT as u64), len));
        }
        input.read_exact_at(at, &mut bytes)?;
        Ok(Block(bytes))
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}

/// A partition's header.
pub(crate) struct Partition {
    pub media: Media,
    /// Where it is (bytes).
    pub at: u64,
    pub sadump_id: [u8; 16],
    pub disk_set_id: [u8; 16],
    /// Bytes that were saved to this disk.
    pub used: u64,
    /// Whether what fills it is what the firmware fills it with.
    pub is_sound: bool,
}

impl Partition {
    /// Of `input`, with blocks of `block` bytes.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(input: &dyn ReadAt, block: u64) -> Result<Partition> {
        let backup = is_media_backup(input);
        let at = if backup { block } else { 0 };
        let head = Block::read(input, at, "the partition header")?;
        if head.bytes(0) != *PARTITION {
            return Err(Error::new(ErrorKind::BadMagic, "not a sadump dump"));
        }
        let media = match head.u32(152) {
            _ if backup => Media::Backup,
            0 => Media::Partition,
            number @ 1..=MOST_DISKS => Media::Disk(number),
            other => return Err(Error::corrupt(format!("disk {other} of a disk set, which has {MOST_DISKS} at most"))),
        };
        // each number follows from the one before
        let fill: Vec<u32> = (168..LOOKED_AT).step_by(4).map(|at| head.u32(at)).collect();
        let is_sound = fill.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(7).wrapping_mul(11));
        let (sadump_id, disk_set_id) = (head.bytes(88), head.bytes(104));
        Ok(Partition { media, at, sadump_id, disk_set_id, used: head.u64(160), is_sound })
    }
}

/// Whether the second block is a partition's header that has the identifiers of the first block.
pub(crate) fn is_media_backup(input: &dyn ReadAt) -> bool {
    let head = |at| Block::read(input, at, "a header");
    let Ok(media) = head(0) else { return false };
    let Ok(partition) = head(USUAL_BLOCK) else { return false };
    media.bytes(0) != *PARTITION
        && partition.bytes(0) == *PARTITION
        && media.bytes::<32>(0) == partition.bytes::<32>(88)
}

/// The dump header, and where what comes behind it begins.
pub(crate) struct Header {
    pub version: u32,
    pub status: u32,
    pub compress: u32,
    pub page: PageSize,
    /// The page frame after the last.
    pub end: u64,
    pub current_cpu: u32,
    pub cpus: u32,
    /// Seconds since 1970.
    pub time: Option<u64>,
    /// Disks of a disk set.
    pub disks: Option<u32>,
    /// Where the registers are, and their bytes.
    pub sub: (u64, u64),
    /// Where the bitmap of RAM is, and its bytes.
    pub ram: (u64, u64),
    /// Where the bitmap of pages is, and its bytes.
    pub dumped: (u64, u64),
    /// Where pages begin.
    pub data: u64,
}

impl Header {
    /// Of `input`, a partition or the first of a disk set, and its partition header.
    ///
    /// # Errors
    /// If there is none, or it contradicts itself.
    pub fn read(input: &dyn ReadAt) -> Result<(Partition, Header)> {
        let usual = Header::read_with(input, USUAL_BLOCK);
        if usual.is_ok() {
            return usual;
        }
        // headers are as far apart as blocks are long, which the dump header alone says
        let others = BLOCKS.into_iter().find_map(|block| Header::read_with(input, block).ok());
        others.map_or(usual, Ok)
    }

    fn read_with(input: &dyn ReadAt, block: u64) -> Result<(Partition, Header)> {
        let partition = Partition::read(input, block)?;
        let mut at = partition.at + block;
        let mut disks = None;
        if partition.media == Media::Disk(1) {
            let set = Block::read(input, at, "the disk set header")?;
            let (blocks, count) = (u64::from(set.u32(0)), set.u32(4));
            if blocks == 0 || !(1..=MOST_DISKS).contains(&count) {
                return Err(Error::corrupt(format!("a disk set header of {blocks} blocks and {count} disks")));
            }
            disks = Some(count);
            at = at.saturating_add(blocks * block);
        }
        let head = Block::read(input, at, "the dump header")?;
        if head.bytes(0) != *DUMP {
            return Err(Error::corrupt(format!("no dump header at {at:#x}")));
        }
        let size = u64::from(head.u32(40));
        let page = PageSize::from_bytes(size).filter(|_| size == block);
        let page = page.ok_or_else(|| Error::corrupt(format!("blocks of {size} bytes, by a header at {at:#x}")))?;
        let version = head.u32(8);
        let (short, long) = (u64::from(head.u32(60)), head.u64(88));
        let end = if version == 0 { short } else { long };
        let sub = (at.saturating_add(block), u64::from(head.u32(48)) * size);
        let ram = (sub.0.saturating_add(sub.1), u64::from(head.u32(52)) * size);
        let dumped = (ram.0.saturating_add(ram.1), u64::from(head.u32(56)) * size);
        let header = Header {
            version,
            status: head.u32(32),
            compress: head.u32(36),
            page,
            end,
            current_cpu: head.u32(76),
            cpus: head.u32(80),
            time: time(&head, 16),
            disks,
            sub,
            ram,
            dumped,
            data: dumped.0.saturating_add(dumped.1),
        };
        Ok((partition, header))
    }
}

/// An EFI time, in seconds since 1970.
fn time(head: &Block, at: usize) -> Option<u64> {
    let [month, day, hour, minute, second, ..] = head.bytes::<8>(at + 2).map(u64::from);
    let (year, zone) = (u64::from(head.u16(at)), i64::from(head.u16(at + 12) as i16));
    if !(1970..10000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour >= 24 {
        return None;
    }
    let days = |year: u64| year * 365 + year / 4 - year / 100 + year / 400;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before: u64 = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30].iter().take(month as usize).sum();
    let days = (days(year - 1) - days(1969)) + before + u64::from(is_leap && month > 2) + day - 1;
    let seconds = i64::try_from(days * 86400 + hour * 3600 + minute * 60 + second).ok()?;
    // minutes that local time is behind, unless that is not known
    let zone = if (-1440..=1440).contains(&zone) { zone * 60 } else { 0 };
    u64::try_from(seconds + zone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_firmware() {
        let at = |year: u16, rest: [u8; 5], zone: i16| {
            let mut bytes = vec![0; LOOKED_AT];
            bytes[..2].copy_from_slice(&year.to_le_bytes());
            bytes[2..7].copy_from_slice(&rest);
            bytes[12..14].copy_from_slice(&zone.to_le_bytes());
            time(&Block(bytes), 0)
        };
        assert_eq!(at(2024, [2, 29, 12, 30, 15], 2047), Some(1_709_209_815));
        assert_eq!(at(2024, [3, 1, 0, 0, 0], 2047), Some(1_709_251_200));
        assert_eq!(at(2023, [12, 31, 23, 59, 59], -540), Some(1_704_067_199 - 540 * 60));
        assert_eq!(at(1970, [1, 1, 0, 0, 0], 0), Some(0));
        assert_eq!(
            (at(0, [1, 1, 0, 0, 0], 0), at(2024, [13, 1, 0, 0, 0], 0), at(2024, [0, 1, 0, 0, 0], 0)),
            (None, None, None)
        );
    }
}
