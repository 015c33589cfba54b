//! The note that Xen leaves when it ends (xen/include/public/elfnote.h, XEN_ELFNOTE_CRASH_INFO; filled in
//! xen/common/kexec.c and xen/arch/x86/crash.c), and its own vmcoreinfo.
//!
//! | offset | | since |
//! |---|---|---|
//! | 0, 8 | major and minor version | v0 |
//! | 16 to 48 | machine addresses of texts: extra version, changeset, compiler, compile date and time | v0 |
//! | 56 | tainted | v0 |
//! | 64 | where Xen's image begins in machine memory | v1 |
//! | 72 | the frame that lists the lists of domain 0's p2m frames | v2 |

use dump_core::{ByteOrder, Fields, Notes, PhysAddr, WordSize};
use dump_kernel::PhysReader;

/// Types of Xen's crash notes: CRASH_INFO, and CRASH_REGS after it.
pub const FIRST_CRASH_NOTE: u32 = 0x100_0001;
/// The last of them.
pub const LAST_CRASH_NOTE: u32 = 0x100_0002;

const VMCOREINFO_XEN: &[u8] = b"VMCOREINFO_XEN";

/// The longest text that is shown (bytes).
const MAX_TEXT: usize = 128;

/// What Xen says of itself when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashInfo {
    /// Major version.
    pub major: u64,
    /// Minor version.
    pub minor: u64,
    /// Where the text of what follows the minor version lies.
    pub extra_version: PhysAddr,
    /// Where the text of the changeset lies.
    pub changeset: PhysAddr,
    /// Where its image begins, where the note is new enough to say it.
    pub phys_start: Option<PhysAddr>,
    /// The frame that lists the lists of domain 0's p2m frames; `None` where domain 0 has none.
    pub frame_list_list: Option<u64>,
}

impl CrashInfo {
    /// That of the notes, where there is one.
    pub fn of(notes: &Notes) -> Option<CrashInfo> {
        let note = notes.iter().find(|note| note.name == b"Xen" && note.kind == FIRST_CRASH_NOTE)?;
        CrashInfo::decode(notes.desc(&note)?)
    }

    /// A note's descriptor; `None` if it is too short to be one.
    pub fn decode(desc: &[u8]) -> Option<CrashInfo> {
        let mut f = Fields::new(desc, ByteOrder::Little, WordSize::Bits64);
        let mut words = [0; 8];
        for word in &mut words {
            *word = f.u64("crash info").ok()?;
        }
        let [major, minor, extra, changeset, ..] = words;
        let phys_start = f.u64("xen_phys_start").ok().map(PhysAddr);
        let list = f.u64("dom0_pfn_to_mfn_frame_list_list").ok();
        let frame_list_list = list.filter(|mfn| *mfn != 0 && *mfn != u64::MAX);
        let (extra_version, changeset) = (PhysAddr(extra), PhysAddr(changeset));
        Some(CrashInfo { major, minor, extra_version, changeset, phys_start, frame_list_list })
    }

    /// The version in full, as Xen prints it: "4.17.5-pre".
    pub fn version(&self, memory: &mut dyn PhysReader) -> String {
        let extra = text(memory, self.extra_version).unwrap_or_default();
        format!("{}.{}{extra}", self.major, self.minor)
    }

    /// Whether it is of this version or a later one.
    pub fn is_since(&self, major: u64, minor: u64) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

/// Printable text that ends in a NUL; `None` where there is something else.
fn text(memory: &mut dyn PhysReader, at: PhysAddr) -> Option<String> {
    let mut bytes = [0; MAX_TEXT];
    // it may end just before memory that is not there
    let page = 4096 - (at.0 % 4096) as usize;
    let (first, rest) = bytes.split_at_mut(page.min(MAX_TEXT));
    memory.read(at, first).ok()?;
    if !first.contains(&0) && !rest.is_empty() {
        memory.read(PhysAddr(at.0.checked_add(page as u64)?), rest).ok()?;
    }
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = bytes.get(..end)?;
    text.iter().all(|byte| (b' '..=b'~').contains(byte)).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Whether the notes are those of a Xen hypervisor that ended: with its own vmcoreinfo, or the registers that it saved.
pub fn is_host(notes: &Notes) -> bool {
    notes.iter().any(|note| {
        note.name == VMCOREINFO_XEN
            || (note.name == b"Xen" && (FIRST_CRASH_NOTE..=LAST_CRASH_NOTE).contains(&note.kind))
    })
}

/// The text of Xen's own vmcoreinfo, where the notes have it.
pub fn vmcoreinfo(notes: &Notes) -> Option<&[u8]> {
    let desc = notes.find(VMCOREINFO_XEN)?;
    let end = desc.iter().position(|byte| *byte == 0).unwrap_or(desc.len());
    desc.get(..end).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn three_versions_of_the_note() {
        let words = [4, 17, 0x1000, 0x2000, 3, 4, 5, 0, 0x3fa0_0000, 0x2c410];
        let v = |words: &[u64]| CrashInfo::decode(&note(words)).map(|info| (info.phys_start, info.frame_list_list));
        assert_eq!(v(&words[..8]), Some((None, None)));
        assert_eq!(v(&words[..9]), Some((Some(PhysAddr(0x3fa0_0000)), None)));
        assert_eq!(v(&words), Some((Some(PhysAddr(0x3fa0_0000)), Some(0x2c410))));
        assert_eq!(v(&words[..7]), None);
        for none in [0, u64::MAX] {
            let pvh = [&words[..9], &[none][..]].concat();
            assert_eq!(v(&pvh), Some((Some(PhysAddr(0x3fa0_0000)), None)), "a domain 0 that is no PV guest");
        }
    }

    #[test]
    fn texts_end_before_what_is_not_there() {
        struct Page(Vec<u8>);
        impl PhysReader for Page {
            fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> dump_core::Result<()> {
                let from = self.0.get(at.0 as usize..at.0 as usize + buf.len());
                buf.copy_from_slice(from.ok_or_else(|| dump_core::Error::missing("beyond"))?);
                Ok(())
            }
        }
        let mut page = Page(vec![0; 4096]);
        page.0[4090..4094].copy_from_slice(b".5-x");
        assert_eq!(text(&mut page, PhysAddr(4090)).as_deref(), Some(".5-x"));
        page.0[4090..].fill(b'x');
        assert_eq!(text(&mut page, PhysAddr(4090)), None);
        page.0[0] = 7;
        assert_eq!(text(&mut page, PhysAddr(0)), None, "not printable");
    }
}
