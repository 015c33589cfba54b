//! `gdump capture --ask`: what QEMU says of its guest and of dumps.

use super::session::Session;
use crate::escape::escaped_line;
use crate::exit::Exit;
use crate::messages::print;
use dump::{Asked, Error, Result};
use serde::Serialize;
use std::fmt::Write;

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    schema_version: u32,
    qemu: &'a str,
    name: Option<&'a str>,
    status: &'a str,
    running: bool,
    pid: Option<i32>,
    formats: &'a [String],
    dump: Option<DumpAnswer<'a>>,
}

#[derive(Serialize)]
struct DumpAnswer<'a> {
    status: &'a str,
    completed: u64,
    total: u64,
}

/// Asks, and prints.
///
/// # Errors
/// If QEMU does not answer.
pub fn run(session: &Session, json: bool) -> Result<Exit> {
    let asked = dump::ask(session.qmp()?)?;
    Ok(print(&if json { as_json(&asked)? } else { as_text(&asked) }))
}

fn as_json(asked: &Asked) -> Result<String> {
    let answer = Answer {
        schema_version: 1,
        qemu: &asked.version,
        name: asked.name.as_deref(),
        status: &asked.state.status,
        running: asked.state.running,
        pid: asked.pid,
        formats: &asked.formats,
        dump: asked.dump.as_ref().map(|dump| DumpAnswer {
            status: &dump.status,
            completed: dump.completed,
            total: dump.total,
        }),
    };
    let text = serde_json::to_string(&answer).map_err(|e| Error::bug(format!("JSON: {e}")))?;
    Ok(text + "\n")
}

fn as_text(asked: &Asked) -> String {
    let mut text = format!("QEMU         {}\n", asked.version);
    if let Some(name) = &asked.name {
        let _ = writeln!(text, "guest        {}", escaped_line(name));
    }
    let _ = writeln!(text, "status       {}", asked.state.status);
    if let Some(pid) = asked.pid {
        let _ = writeln!(text, "process      {pid}");
    }
    let formats = if asked.formats.is_empty() { "it does not say".to_owned() } else { asked.formats.join(", ") };
    let _ = writeln!(text, "QEMU writes  {formats}");
    if let Some(dump) = &asked.dump {
        let (done, total) = (dump.completed >> 20, dump.total >> 20);
        let _ = writeln!(text, "last dump    {}, {done} of {total} MiB", dump.status);
    }
    text
}
