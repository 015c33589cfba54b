//! The Xen hypervisor in a host's dump: whose each page frame is, and where domain 0 has its memory.
//!
//! ```text
//! notes ──> CrashInfo, VMCOREINFO_XEN ──> XenSpace: virtual → machine addresses
//!                                            │
//!             domain list ──> Domains        ├──> FrameTable: the page_info of each machine frame ──> Owner and state
//!             frame list list ──> P2m        └──> Flags: where this Xen has the state, by evidence
//! ```
//!
//! Nothing here knows a container. What differs between versions of Xen is not in its vmcoreinfo: where `count_info` has
//! its bits is told by what they say of free pages, and believed only if that makes sense in one way alone.
//!
//! x86_64 alone: Xen makes crash notes there and on nothing else that is built today.

#![forbid(unsafe_code)]

mod crash_info;
mod domains;
mod flags;
mod frame_table;
mod host;
mod p2m;
mod page_tables;
mod pdx;
mod registers;
mod space;

pub use crash_info::{CrashInfo, FIRST_CRASH_NOTE, LAST_CRASH_NOTE, is_host, vmcoreinfo};
pub use domains::{Domain, DomainKind, Domains};
pub use flags::Flags;
pub use frame_table::{Frame, FrameReader, FrameTable};
pub use host::{Knowledge, Owner, PageClass, SymbolOf, XenHost};
pub use p2m::{P2m, P2mRun};
pub use page_tables::{TableKinds, frames as table_frames, rewrite};
pub use pdx::Pdx;
pub use registers::GuestRegisters;
pub use space::{XenReader, XenSpace};
