//! The memory of a running guest, read from the process that runs it.
//!
//! ```text
//! QMP socket ── Qmp ──┬─ Standstill     stop, and cont whatever happens
//!                     ├─ notes          registers of all CPUs, from a dump of one page
//!                     └─ RamMap         guest physical addresses → the process's addresses
//! process ── Process ──> GuestMemory    pages, read where they lie: a container like any other
//! ```
//!
//! QEMU's own dump takes pages one by one, on one thread, with the guest standing still all the while. Here the guest's
//! memory is read by as many threads as there are, and only where something is wanted of it.
//!
//! Nothing here knows a format of dumps or a kernel; notes are handed over as the bytes that QEMU wrote.

#![forbid(unsafe_code)]

mod access;
mod address;
mod backing;
mod capabilities;
mod memory;
mod monitor;
mod notes;
mod process;
mod qmp;
mod ram_map;
mod received;
mod run_state;
mod standstill;
mod suspension;
mod whole_dump;

pub use access::Access;
pub use address::Address;
pub use backing::guest_files;
pub use capabilities::{Asked, DumpState, GuestFormat, ask};
pub use memory::GuestMemory;
pub use notes::{part, part_at};
pub use process::Process;
pub use qmp::{Event, Patience, Qmp};
pub use ram_map::{GivenRange, RamMap, RamRange};
pub use received::Received;
pub use run_state::RunState;
pub use standstill::{Others, Standstill};
pub use suspension::Suspension;
pub use whole_dump::WholeDump;
