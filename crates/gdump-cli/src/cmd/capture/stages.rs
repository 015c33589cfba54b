//! How long each stage of a capture took.

use dump::Phase;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Stages, in the order in which they began first, and what they took.
#[derive(Default)]
pub struct Stages {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    done: Vec<Stage>,
    /// Stages that are under way, the innermost last.
    running: Vec<Running>,
    /// All of the guest's memory (bytes).
    memory: u64,
}

struct Stage {
    name: &'static str,
    time: Duration,
    /// What was worked on (bytes of memory).
    bytes: u64,
}

struct Running {
    name: &'static str,
    begun: Instant,
    bytes: u64,
    /// Taken by stages within.
    within: Duration,
}

impl Stages {
    /// Does `work`, a stage of `bytes` of memory. Phases within are stages of their own.
    pub fn time<T>(&self, name: &'static str, bytes: u64, work: impl FnOnce() -> T) -> T {
        let depth = {
            let mut inner = self.inner();
            inner.begin(name, bytes);
            inner.running.len()
        };
        let done = work();
        let mut inner = self.inner();
        // phases that an error left under way end with it
        while inner.running.len() >= depth {
            inner.end();
        }
        done
    }

    /// All of the guest's memory (bytes): what a scan goes over.
    pub fn set_memory(&self, bytes: u64) {
        self.inner().memory = bytes;
    }

    /// A phase of a conversion begins, of `bytes` of memory.
    pub fn begin(&self, phase: Phase, bytes: u64) {
        let name = match phase {
            Phase::Spool | Phase::Rearrange => "spool",
            Phase::Exclude => "scan",
            Phase::Zero => "zero",
            Phase::Copy => "copy",
        };
        self.inner().begin(name, bytes);
    }

    /// The innermost phase is over.
    pub fn end(&self) {
        self.inner().end();
    }

    /// A line for each.
    pub fn table(&self) -> String {
        let inner = self.inner();
        let lines = inner.done.iter().map(|stage| {
            let seconds = stage.time.as_secs_f64();
            let mut line = format!("{:<16} : {seconds:.3} s", stage.name);
            if stage.bytes != 0 {
                let mib = stage.bytes as f64 / f64::from(1 << 20);
                let _ = write!(line, ", {mib:.1} MiB, {:.0} MiB/s", mib / seconds.max(1e-6));
            }
            line + "\n"
        });
        lines.collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn begin(&mut self, name: &'static str, bytes: u64) {
        self.running.push(Running { name, begun: Instant::now(), bytes, within: Duration::ZERO });
    }

    fn end(&mut self) {
        let Some(Running { name, begun, bytes, within }) = self.running.pop() else { return };
        let time = begun.elapsed();
        if let Some(outer) = self.running.last_mut() {
            outer.within += time;
        }
        self.add(name, time.saturating_sub(within), bytes);
    }

    fn add(&mut self, name: &'static str, time: Duration, bytes: u64) {
        match self.done.iter_mut().find(|stage| stage.name == name) {
            Some(stage) => {
                stage.time += time;
                stage.bytes += bytes;
            }
            None => self.done.push(Stage { name, time, bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_within_do_not_count_twice() {
        let stages = Stages::default();
        assert_eq!(stages.time("stop", 0, || 7), 7);
        stages.begin(Phase::Copy, 2 << 20);
        stages.begin(Phase::Exclude, 1 << 20);
        std::thread::sleep(Duration::from_millis(20));
        stages.end();
        stages.end();
        stages.end();
        let table = stages.table();
        let lines: Vec<&str> = table.lines().collect();
        let names: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["stop", "scan", "copy"], "{table}");
        assert!(lines[1].contains("1.0 MiB") && !lines[0].contains("MiB"), "{table}");
        let time = |line: &str| line.split(" : ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
        assert!(time(lines[1]) >= 0.02 && time(lines[2]) < 0.02, "{table}");
    }

    #[test]
    fn what_an_error_left_under_way_ends_with_its_stage() {
        let stages = Stages::default();
        let pause = || std::thread::sleep(Duration::from_millis(20));
        stages.time("write", 0, || {
            stages.begin(Phase::Copy, 0);
            stages.begin(Phase::Zero, 0);
            pause();
        });
        stages.time("cont", 0, || ());
        let table = stages.table();
        let time = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            line.split(" : ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(time("zero") >= 0.02, "{table}");
        assert!(["write", "copy", "cont"].iter().all(|name| time(name) < 0.02), "{table}");
    }
}
