//! QEMU's monitor, by a client that shares nothing with gdump's.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// Longer than the slowest command takes, a dump of an emulated guest.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to QEMU.
pub struct Monitor {
    stream: BufReader<UnixStream>,
    events: Vec<Event>,
}

/// What QEMU said unasked, and when (seconds, by QEMU's clock).
#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    pub at: f64,
}

impl Monitor {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Monitor> {
        let stream = UnixStream::connect(path).with_context(|| path.display().to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut monitor = Monitor { stream: BufReader::new(stream), events: Vec::new() };
        ensure!(monitor.message()?.get("QMP").is_some(), "{}: no QMP server", path.display());
        monitor.run("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Runs a command, and gives what it returns.
    pub fn run(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).context(command.to_owned())?;
        loop {
            let message = self.message().with_context(|| command.to_owned())?;
            if let Some(name) = message.get("event").and_then(Value::as_str) {
                self.events.push(Event { name: name.to_owned(), at: time_of(&message) });
            } else if let Some(value) = message.get("return") {
                return Ok(value.clone());
            } else {
                bail!("{command}: {}", message["error"]["desc"]);
            }
        }
    }

    /// Whether the guest runs, and what QEMU calls that.
    pub fn status(&mut self) -> Result<String> {
        let answer = self.run("query-status", json!({}))?;
        Ok(answer["status"].as_str().context("query-status: no status")?.to_owned())
    }

    /// What came since the last call.
    pub fn events(&mut self) -> Result<Vec<Event>> {
        self.status()?; // what came before its answer is there then
        Ok(std::mem::take(&mut self.events))
    }

    fn message(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? != 0, "QEMU closed the connection");
        Ok(serde_json::from_str(&line)?)
    }
}

fn time_of(event: &Value) -> f64 {
    let number = |name: &str| event["timestamp"][name].as_f64().unwrap_or(0.0);
    number("seconds") + number("microseconds") / 1e6
}

/// How long the guest stood still, by the events of that time (seconds): from the first STOP to the last RESUME.
pub fn pause(events: &[Event]) -> Result<f64> {
    let of = |name: &'static str| events.iter().filter(move |event| event.name == name);
    let (stop, resume) = (of("STOP").next(), of("RESUME").next_back());
    let (stop, resume) = (stop.context("no STOP")?, resume.context("no RESUME")?);
    ensure!(resume.at >= stop.at, "RESUME came before STOP");
    Ok(resume.at - stop.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_from_stop_to_resume() {
        let event = |name: &str, seconds: u64, microseconds: u64| {
            let said = json!({ "event": name, "timestamp": { "seconds": seconds, "microseconds": microseconds } });
            Event { name: name.to_owned(), at: time_of(&said) }
        };
        let (stop, resume) = (event("STOP", 7, 500_000), event("RESUME", 9, 250_000));
        assert!((pause(&[stop.clone(), resume.clone()]).unwrap() - 1.75).abs() < 1e-6);
        assert!(pause(std::slice::from_ref(&stop)).is_err());
        assert!(pause(&[]).is_err());
    }
}
