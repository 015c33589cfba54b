//! PT_LOADs that claim the same memory with different bytes of the file.
//!
//! kexec gives the kernel's image a PT_LOAD of its own over that of the RAM it lies in, and `/proc/vmcore` then has it
//! twice: the same bytes at two places. Where they differ, somebody's header is wrong. That takes reading to find out:
//! a few pages when the core is opened, all when it is checked. kexec's one overlap is left alone until then, for
//! memory that is read without need can stop the machine, if it is poisoned.

use dump_core::{ByteReader, Error, Extent, Overlap, ReadAt, Segment};

/// Overlaps that are kept to be looked at.
const MOST_KEPT: usize = 64;

/// Bytes of an overlap that are looked at at a time.
const LOOK: u64 = 4096;

/// Where PT_LOADs claim the same memory.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The first of them.
    kept: Vec<Overlap>,
    /// How many there are.
    count: u64,
}

/// How much is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The first, a middle and the last page of each overlap.
    Few,
    /// All, but no more than the file is long.
    All,
}

impl Claims {
    /// Takes note of one more.
    pub fn add(&mut self, overlap: Overlap) {
        self.count += 1;
        if self.kept.len() < MOST_KEPT {
            self.kept.push(overlap);
        }
    }

    /// Whether all there is is what kexec makes: one segment that lies whole within another, both mapped, at places of
    /// their own.
    pub fn are_kexecs(&self, segments: &[Segment]) -> bool {
        let [overlap] = self.kept.as_slice() else { return false };
        let has = |s: &&Segment| s.paddr.0 < overlap.range.end && overlap.range.start < s.paddr.0 + s.bytes;
        let mut both = segments.iter().filter(has);
        let (Some(a), Some(b), None) = (both.next(), both.next(), both.next()) else { return false };
        let inner = if a.bytes < b.bytes { a } else { b };
        let whole = inner.paddr.0 == overlap.range.start && inner.bytes == overlap.range.end - overlap.range.start;
        self.count == 1 && whole && a.vaddr != b.vaddr && inner.paddr.0 != 0
    }

    /// The first overlap whose bytes are found to differ.
    pub fn conflict(&self, input: &dyn ReadAt, look: Look) -> Option<Error> {
        let (mut this, mut that) = (input.reader(), input.reader());
        let mut left = input.len().ok()?;
        let found = self.kept.iter().find(|overlap| differs(overlap, look, &mut left, this.as_mut(), that.as_mut()))?;
        let Overlap { range, winner, loser } = found;
        let others = match self.count - 1 {
            0 => String::new(),
            others => format!("; {others} more claim memory that another has"),
        };
        Some(Error::corrupt(format!(
            "PT_LOADs at offsets {winner:#x} and {loser:#x} both claim memory {:#x}..{:#x} and differ, the first is \
             believed{others}",
            range.start, range.end
        )))
    }
}

/// Whether the two have different bytes; what cannot be read is passed over.
pub(crate) fn differs(
    overlap: &Overlap,
    look: Look,
    left: &mut u64,
    this: &mut dyn ByteReader,
    that: &mut dyn ByteReader,
) -> bool {
    let len = overlap.range.end - overlap.range.start;
    let step = if look == Look::All { LOOK } else { (len.saturating_sub(LOOK) / 2).max(LOOK) };
    let mut at = 0;
    while at < len && *left != 0 {
        let size = LOOK.min(len - at);
        *left = left.saturating_sub(size);
        let places = [overlap.winner, overlap.loser].map(|offset| offset.checked_add(at));
        let [Some(a), Some(b)] = places else { return false };
        match (this.view(a, size as usize), that.view(b, size as usize)) {
            (Ok(a), Ok(b)) if a != b => return true,
            (Ok(_), Ok(_)) => {}
            _ => return false, // past the end of the file
        }
        at += step;
    }
    false
}

/// Whether no segment says where its memory lay: there are several, and all at physical address 0.
pub(crate) fn are_virtual_only(in_file: &[Extent]) -> bool {
    in_file.len() > 1 && in_file.iter().all(|extent| extent.start == 0)
}
