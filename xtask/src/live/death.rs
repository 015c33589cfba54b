//! QEMU dies while its guest is captured: gdump ends, in time, with an error.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::gdump::Gdump;
use super::monitor::Monitor;
use super::trouble::{end_of, signal};
use crate::faults::Dice;
use crate::report::Report;

/// A machine without a kernel is there at once; what is in its memory does not matter.
const MACHINE: &[&str] = &["-machine", "q35", "-accel", "tcg", "-m", "1024", "-display", "none"];

const WAYS: &[&[&str]] = &[&["-E"], &["-c", "-d", "1"], &["--via", "dump", "-E"], &["--via", "dump", "-c"]];

/// Times that QEMU is killed, each way.
const TIMES: u32 = 5;

/// How long gdump may go on.
const IN_TIME: Duration = Duration::from_secs(10);

/// Lines of errors at most.
const MOST: usize = 4;

/// Kills QEMU at random moments.
pub fn check(seed: u64, gdump: &Gdump, report: &mut Report) -> Result<()> {
    crate::program::need(&["qemu-system-x86_64"])?;
    for way in WAYS {
        let (mut done, mut failed, mut longest) = (0, 0, Duration::ZERO);
        let took = once(way, None, gdump)?.1;
        for round in 0..TIMES {
            let moment = Dice::of(seed, &way.join(" "), round).within(0, took.as_micros() as u64);
            match once(way, Some(Duration::from_micros(moment)), gdump) {
                Ok((true, _)) => done += 1,
                Ok((false, after)) => (failed, longest) = (failed + 1, longest.max(after)),
                Err(error) => report.differs(format!("capture {}, round {round}: {error:#}", way.join(" "))),
            }
        }
        report.note(format!(
            "  capture {}: {done} done before QEMU died, {failed} ended with an error, {:.2} s after it at most",
            way.join(" "),
            longest.as_secs_f64()
        ));
    }
    Ok(())
}

/// One capture, in which QEMU dies after `moment`: whether it was done, and how long it took, or took from there on.
fn once(way: &[&str], moment: Option<Duration>, gdump: &Gdump) -> Result<(bool, Duration)> {
    let dir = tempfile::Builder::new().prefix("gdump-live-").tempdir()?;
    let [socket, output] = ["qmp", "out"].map(|name| dir.path().join(name).display().to_string());
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(MACHINE).args(["-qmp", &format!("unix:{socket},server=on,wait=off")]).stdin(Stdio::null());
    let mut qemu = Ends(qemu.spawn()?);
    let until = Instant::now() + Duration::from_secs(30);
    while Monitor::connect(socket.as_ref()).is_err() {
        ensure!(Instant::now() < until, "QEMU does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let source = format!("qmp:{socket}");
    let start = Instant::now();
    let child = gdump.start(&[&["capture"], way, &[&source, &output]].concat())?;
    let died = match moment {
        Some(moment) => {
            std::thread::sleep(moment);
            signal("KILL", qemu.0.id())?;
            qemu.0.wait()?;
            Instant::now()
        }
        None => start,
    };
    let ended = end_of(child, start)?;
    let after = died.elapsed();
    let said = ended.said.0.trim();
    match ended.status.code() {
        Some(0) => return Ok((true, after)),
        Some(1) if moment.is_some() => {}
        _ => anyhow::bail!("{}: {said}", ended.status),
    }
    // what could not be read, what that leaves of the dump, and that the guest may stand still: each once
    let mut errors: Vec<&str> = said.lines().filter(|line| line.starts_with("gdump: ")).collect();
    let lines = errors.len();
    errors.sort_unstable();
    errors.dedup();
    ensure!(lines != 0 && !said.contains("panicked"), "no error is said: {said}");
    ensure!(lines == errors.len() && lines <= MOST, "{lines} lines of errors: {said}");
    ensure!(after < IN_TIME, "it ended {:.1} s after QEMU: {said}", after.as_secs_f64());
    Ok((false, after))
}

/// A process that ends when this is dropped.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
