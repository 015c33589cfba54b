//! Sections. Few cores have sections: QEMU's since 7.2, and those of Xen domains, which have nothing else.
//!
//! They help to identify a core's maker and are needed for nothing more, so whatever is wrong with them means that
//! there are none. (QEMU writes the header of the name table in the wrong byte order where guest and host differ in
//! theirs.)

use crate::header::{FileHeader, SectionHeader, Sizes};
use dump_core::ReadAt;

/// More sections than any dump has.
const MAX_SECTIONS: u16 = 256;

/// More bytes of names than they need.
const MAX_NAMES: u64 = 64 << 10;

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub name: Vec<u8>,
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is (bytes).
    pub size: u64,
}

/// All sections; none where there are none, or their names make no sense.
pub(crate) fn all(input: &dyn ReadAt, header: &FileHeader) -> Vec<Section> {
    read(input, header).unwrap_or_default()
}

/// The names of all sections.
pub(crate) fn names(input: &dyn ReadAt, header: &FileHeader) -> Vec<Vec<u8>> {
    all(input, header).into_iter().map(|section| section.name).collect()
}

fn read(input: &dyn ReadAt, header: &FileHeader) -> Option<Vec<Section>> {
    let sane = header.shoff != 0
        && (1..=MAX_SECTIONS).contains(&header.shnum)
        && header.shentsize >= Sizes::of(header.machine.word).section;
    if !sane {
        return None;
    }
    let step = usize::from(header.shentsize);
    let mut reader = input.reader();
    let table = reader.view(header.shoff, usize::from(header.shnum) * step).ok()?;
    let sections: Vec<_> =
        table.chunks_exact(step).map_while(|bytes| SectionHeader::decode(bytes, header.machine).ok()).collect();
    let names = sections.get(usize::from(header.shstrndx)).filter(|s| s.size <= MAX_NAMES)?;
    let text = reader.view(names.offset, usize::try_from(names.size).ok()?).ok()?;
    let named = |section: &SectionHeader| {
        let rest = text.get(usize::try_from(section.name).ok()?..)?;
        let name = rest.split(|b| *b == 0).next()?.to_vec();
        Some(Section { name, offset: section.offset, size: section.size })
    };
    Some(sections.iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_synth::elf::{ElfCore, Load};

    #[test]
    fn names_and_nonsense() {
        let file = ElfCore::x86_64().load(Load::new(0, 0, vec![1; 4096])).like_qemu().to_bytes();
        let header = FileHeader::read(&file).unwrap();
        assert_eq!(names(&file, &header), [b"".to_vec(), b".shstrtab".to_vec()]);
        for at in 0..file.len().min(64 + 128) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = file.clone();
                bad[at] = value;
                if let Ok(header) = FileHeader::read(&bad) {
                    assert!(names(&bad, &header).len() <= usize::from(MAX_SECTIONS));
                }
            }
        }
        assert!(names(&file[..file.len() - 1].to_vec(), &header).is_empty());
    }
}
