//! What a QMP server says of dumps: which formats it writes, and how far it is with one.

use crate::qmp::Qmp;
use crate::run_state::RunState;
use dump_core::{ErrorKind, Result};
use serde_json::{Value, json};

/// A format that QEMU writes itself, under its own name (qapi/dump.json, `DumpGuestMemoryFormat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFormat {
    /// Its name.
    pub name: &'static str,
    /// Whether it is written out of order, into a file alone (QEMU 8.2).
    pub seeks: bool,
}

impl GuestFormat {
    /// All that QEMU 10 has but `elf`, which gdump reads and writes itself.
    pub const ALL: &[GuestFormat] = &[
        GuestFormat { name: "kdump-zlib", seeks: false },
        GuestFormat { name: "kdump-lzo", seeks: false },
        GuestFormat { name: "kdump-snappy", seeks: false },
        GuestFormat { name: "kdump-raw-zlib", seeks: true },
        GuestFormat { name: "kdump-raw-lzo", seeks: true },
        GuestFormat { name: "kdump-raw-snappy", seeks: true },
        GuestFormat { name: "win-dmp", seeks: true },
    ];

    /// The one with that name.
    pub fn named(name: &str) -> Option<GuestFormat> {
        GuestFormat::ALL.iter().copied().find(|format| format.name == name)
    }
}

/// What a QMP server says of its guest and of dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// QEMU's version.
    pub version: String,
    /// The guest's name, where it has one.
    pub name: Option<String>,
    /// How the guest is.
    pub state: RunState,
    /// The formats that this build writes, where it says.
    pub formats: Vec<String>,
    /// The last dump, or the one that is being written.
    pub dump: Option<DumpState>,
    /// The process, where the socket tells.
    pub pid: Option<i32>,
}

/// How far a dump is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpState {
    /// `none`, `active`, `completed`, `failed`.
    pub status: String,
    /// How much of the guest's memory is written (bytes).
    pub completed: u64,
    /// All of it (bytes).
    pub total: u64,
}

/// Asks for all of it.
///
/// # Errors
/// As [`Qmp::run`]; what an old QEMU does not know is left out.
pub fn ask(qmp: &Qmp) -> Result<Asked> {
    let state = RunState::of(qmp)?;
    let optional = |command| match qmp.run(command, json!({})) {
        Ok(value) => Ok(value),
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported) => Ok(Value::Null),
        Err(e) => Err(e),
    };
    let (version, name) = (optional("query-version")?, optional("query-name")?);
    // a machine that is not made yet (-preconfig) is asked in vain
    let made = |command| optional(command).or_else(|e| if state.running { Err(e) } else { Ok(Value::Null) });
    let (formats, dump) = (made("query-dump-guest-memory-capability")?, made("query-dump")?);
    let part = |name: &str| version.pointer(&format!("/qemu/{name}")).and_then(Value::as_u64).unwrap_or(0);
    let package = version.get("package").and_then(Value::as_str).unwrap_or_default();
    let package = if package.is_empty() { String::new() } else { format!(" ({package})") };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let formats = formats.get("formats").and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |key| dump.get(key).and_then(Value::as_u64).unwrap_or(0);
    Ok(Asked {
        version: format!("{}.{}.{}{package}", part("major"), part("minor"), part("micro")),
        name: name.get("name").and_then(text),
        state,
        formats: formats.iter().filter_map(text).collect(),
        dump: dump.get("status").and_then(text).map(|status| DumpState {
            status,
            completed: number("completed"),
            total: number("total"),
        }),
        pid: qmp.peer(),
    })
}
