//! Notes of this library's own: what a container or its hypervisor says that is in no note, so that every container that
//! keeps notes can have it. Their owner is GDUMP.
//!
//! | type | descriptor |
//! |---|---|
//! | 1 | the QNX hypervisor's record of a guest's CPUs (`struct kdump_note` of sys/kdump.h), as it was |
//! | 2 | its segment with the guest kernel's log (`struct kdump`), as it was |
//! | 3 | where memory had PT_LOADs of their own beside RAM: physical address and length (bytes, u64 each) of procnto's code, |
//! | | its data, and the system page; zeros for none |
//! | 4 | what qvm says of a virtual machine, its env file: JSON |

use crate::error::Result;
use crate::notes::{Note, Notes};

const OWNER: &[u8] = b"GDUMP";

/// What a note of this library's own holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum OwnNote {
    /// The QNX hypervisor's record of a guest's CPUs.
    QnxRecord = 1,
    /// Its segment with the guest kernel's log.
    QnxDumpInfo = 2,
    /// Where memory had segments of its own beside RAM.
    QnxSegments = 3,
    /// What qvm says of a virtual machine.
    QvmEnv = 4,
    /// That the machine ran while its memory was read: pages do not fit each other.
    Live = 5,
}

impl OwnNote {
    /// Whether `note` is one.
    pub fn is(self, note: &Note<'_>) -> bool {
        note.name == OWNER && note.kind == self as u32
    }
}

impl Notes {
    /// The descriptor of the last note of our own that holds `what`.
    pub fn own(&self, what: OwnNote) -> Option<&[u8]> {
        self.iter().filter(|note| what.is(note)).last().and_then(|note| self.desc(&note))
    }

    /// The same notes with one more of our own; one that holds the same already is enough. It comes after the last note,
    /// ahead of what is no note.
    ///
    /// # Errors
    /// `Unsupported` if `desc` is longer than a note can be.
    pub fn with_own(&self, what: OwnNote, desc: &[u8]) -> Result<Notes> {
        match self.own(what) {
            Some(there) if there == desc => Ok(self.clone()),
            _ => self.with_note(OWNER, what as u32, desc),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ByteOrder;

    #[test]
    fn the_last_one_counts_and_none_is_there_twice() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut notes = Notes::empty(order);
            notes.push(b"VMCOREINFO", b"OSRELEASE=6.1\n").unwrap();
            let zeros = [notes.as_bytes(), &[0; 24]].concat();
            let notes = Notes::new(zeros, order);
            let with = notes.with_own(OwnNote::QvmEnv, b"{}").unwrap();
            assert_eq!((with.own(OwnNote::QvmEnv), with.own(OwnNote::QnxRecord)), (Some(&b"{}"[..]), None));
            assert_eq!(with.vmcoreinfo(), Some(&b"OSRELEASE=6.1\n"[..]));
            assert!(with.as_bytes().ends_with(&[0; 24]));
            assert_eq!(with.with_own(OwnNote::QvmEnv, b"{}").unwrap(), with);
            let other = with.with_own(OwnNote::QvmEnv, b"{\"a\": 1}").unwrap();
            assert_eq!((other.own(OwnNote::QvmEnv), other.iter().count()), (Some(&b"{\"a\": 1}"[..]), 3));
        }
    }

    /// A vmcoreinfo that is believed though no walk comes to it moves with the bytes.
    #[test]
    fn what_is_believed_stays_so() {
        let mut notes = Notes::new(vec![0xff; 20], ByteOrder::Little);
        notes.push(b"VMCOREINFO", b"OSRELEASE=6.1\n").unwrap();
        let with = notes.with_own(OwnNote::QvmEnv, b"{}").unwrap();
        assert_eq!(with.vmcoreinfo(), Some(&b"OSRELEASE=6.1\n"[..]));
        assert_eq!(with.own(OwnNote::QvmEnv), Some(&b"{}"[..]));
    }
}
