//! Takes away from the process what its work does not need, before it reads the first byte of an input: a dump may be
//! made to find a bug in a parser, and the bug then reaches no further.
//!
//! Only kernels that can do it do it. The dump comes first: what cannot be set up is passed over.

#[cfg_attr(
    not(all(
        target_endian = "little",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
    )),
    path = "no_calls.rs"
)]
mod calls;
mod files;

use crate::plan::{CapturePlan, GuestSource, Plan};
use dump::{Reach, system_text};
use files::Needs;
use std::error::Error;

/// Whom a run has to do with besides files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contact {
    /// Nobody.
    Nobody,
    /// A server, which is connected to again where the connection is lost.
    Server,
    /// A process, which is told to go on.
    Process(i32),
    /// Servers on the internet, which have dumps.
    Internet,
}

impl Contact {
    fn of(plan: &Plan) -> Contact {
        match plan {
            Plan::Capture(CapturePlan { guest: GuestSource::Qmp { .. }, .. }) => Contact::Server,
            Plan::Capture(CapturePlan { guest: GuestSource::Process { pid, .. }, .. }) => Contact::Process(*pid),
            _ => Contact::Nobody,
        }
    }
}

/// Restricts the calling thread and all threads that it starts from now on; what it returns is kept as long as they
/// work. `reach` is what dumps on servers take.
pub fn enter(plan: &Plan, reach: Option<Reach>) -> impl Sized + use<> {
    let contact = if reach.is_some() { Contact::Internet } else { Contact::of(plan) };
    let files = files::restrict(&Needs::of(plan, reach.unwrap_or_default()));
    let calls = calls::restrict(contact);
    let text = format!("sandbox          : landlock {}, seccomp {}\n", said(&files), said(&calls));
    plan.messages().debug(&text);
    files
}

fn said<T>(done: &Result<T, Box<dyn Error>>) -> String {
    done.as_ref().map_or_else(|e| format!("not in force: {}", system_text(e.as_ref())), |_| "in force".to_owned())
}
