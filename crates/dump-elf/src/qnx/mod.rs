//! Dumps of the QNX hypervisor's guests (`.gcore`), and of QNX itself.
//!
//! ```text
//! ELF header, PT_LOADs: RAM, and again what is of interest of it (procnto, the system page, the kernel's log)
//! PT_NOTE, the last one: no notes but a record of the CPUs
//! ```
//!
//! Known from public sources of 2007 and 2008: sys/kdump.h, its writer (service/kdumper) and its reader (kdserver). What
//! today's qvm writes is said to be described by that header. Where the guest is not QNX, only RAM and the record mean
//! anything.
//!
//! A dump that is opened has the record, the log and the places of those segments as [notes of our own](OwnNote), and the
//! registers as those that Linux's tools know; so every container that keeps notes keeps them.
//!
//! [OwnNote]: dump_core::OwnNote

mod dump_info;
mod guest;
mod prstatus;
mod record;
mod registers;
mod segments;

pub use guest::QnxGuest;
pub use record::{QnxCpu, QnxNote};

pub(crate) use guest::take_over;
pub(crate) use prstatus::{is_prstatus, prstatus};
pub(crate) use record::of_notes;
pub(crate) use segments::Segments;
