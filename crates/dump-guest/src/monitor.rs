//! The human monitor of QEMU, asked through QMP for what QMP has no command for.

use crate::qmp::Qmp;
use dump_core::{Error, Result};
use serde_json::{Value, json};

/// What the monitor answers to `line`.
///
/// # Errors
/// As [`Qmp::run`].
pub fn ask(qmp: &Qmp, line: &str) -> Result<String> {
    match qmp.run("human-monitor-command", json!({ "command-line": line }))? {
        Value::String(text) => Ok(text),
        other => Err(Error::corrupt(format!("{line}: expected a text, found {other}")).within(qmp.address())),
    }
}

/// Where QEMU has what the guest sees at physical address `addr`, as an address of its own process.
///
/// Source: QEMU, monitor/hmp-cmds-target.c, `hmp_gpa2hva`: "Host virtual address for 0x100000 (pc.ram) is 0x7f86040ff000".
///
/// # Errors
/// As [`ask`]; `Corrupt` for any other answer.
pub fn host_address(qmp: &Qmp, addr: u64) -> Result<u64> {
    let line = format!("gpa2hva {addr:#x}");
    let answer = ask(qmp, &line)?;
    let found = answer.trim_end().rsplit_once(" is 0x").and_then(|(_, hex)| u64::from_str_radix(hex, 16).ok());
    found.ok_or_else(|| Error::corrupt(format!("{line}: {}", answer.trim())).within(qmp.address()))
}
