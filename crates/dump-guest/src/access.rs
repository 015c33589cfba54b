//! How the memory of a guest of QEMU is read: through its process, or through files that it is shared by.

use crate::backing::Backing;
use crate::memory::{GuestMemory, Piece};
use crate::process::{Place, Process};
use crate::qmp::Qmp;
use crate::ram_map::{RamMap, RamRange};
use dump_core::{DumpMeta, Error, Result};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;

/// A way to a guest's memory.
pub enum Access {
    /// As the process has it.
    Process(Process),
    /// By files that QEMU shares it through.
    Files(Vec<Backing>),
}

/// What no shared file has of a guest's memory is small (bytes): firmware, a graphics card's.
const SMALL: u64 = 256 << 20;

impl Access {
    /// The best that there is: to process `pid`, where the user knows it, or else to the one that listens.
    ///
    /// # Errors
    /// Why there is none.
    pub fn to(qmp: &Qmp, pid: Option<i32>) -> Result<Access> {
        if let Some(device) = discarding(qmp)? {
            let text = format!("the guest has a {device} device, which parts of are unplugged only QEMU knows");
            return Err(Error::unsupported(text));
        }
        let why = match pid.or(qmp.peer()) {
            Some(pid) => match Process::open(pid) {
                Ok(process) => return Ok(Access::Process(process)),
                Err(e) => e,
            },
            None if qmp.passes_files() => Error::missing("the process that runs the guest is in another PID namespace"),
            None => Error::missing("which process runs the guest is not known over TCP"),
        };
        let files = if qmp.passes_files() { Backing::all(qmp)? } else { Vec::new() };
        if files.is_empty() { Err(why) } else { Ok(Access::Files(files)) }
    }

    /// The guest's memory; `meta` is what is known of the machine. `other` reads what no file has: all of a range of
    /// guest physical addresses.
    ///
    /// # Errors
    /// As [`Qmp::run`]; `Corrupt` if it is not all there: the process is another one.
    pub fn memory(
        &self,
        qmp: &Qmp,
        mut map: RamMap,
        meta: DumpMeta,
        other: &dyn Fn(&Range<u64>) -> Result<Vec<u8>>,
    ) -> Result<GuestMemory> {
        match self {
            Access::Process(process) => {
                map.locate(qmp)?;
                GuestMemory::of_process(process, &map, meta)
            }
            Access::Files(files) => {
                let piece = |range: &RamRange| Piece::new(range.guest.clone(), place(files, range, other)?);
                GuestMemory::of_pieces(map.ranges.iter().map(piece).collect::<Result<_>>()?, meta)
            }
        }
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Access::Process(process) => format!("the memory of process {}", process.pid()),
            Access::Files(files) => format!("{} shared files", files.len()),
        }
    }
}

fn place(files: &[Backing], range: &RamRange, other: &dyn Fn(&Range<u64>) -> Result<Vec<u8>>) -> Result<Place> {
    let bytes = range.guest.end - range.guest.start;
    match files.iter().find_map(|file| file.place(range)) {
        Some(place) => Ok(place),
        None if bytes <= SMALL => Ok(Place::Copied(Arc::from(other(&range.guest)?))),
        None => {
            let text = format!("{} MiB of memory ({}) are in no shared file", bytes >> 20, range.name);
            Err(Error::missing(text).hint("run as the user of QEMU's process, or --via dump"))
        }
    }
}

/// A device that takes parts of its memory away without unmapping them: what it took reads as zeros, and may be
/// allocated by being read.
fn discarding(qmp: &Qmp) -> Result<Option<&'static str>> {
    const KIND: &str = "virtio-mem";
    // what an old QEMU does not know it does not have
    let devices = qmp.run("query-memory-devices", json!({})).unwrap_or(Value::Null);
    let is_one = |device: &Value| device.get("type").and_then(Value::as_str) == Some(KIND);
    Ok(devices.as_array().is_some_and(|devices| devices.iter().any(is_one)).then_some(KIND))
}
