//! What a command took in the capture kernel, as the console tells of it.

/// A command of one program, all rounds of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The program's folder.
    pub folder: String,
    /// The command.
    pub run: String,
    /// The worst exit status.
    pub status: u32,
    /// The least time from start to end, in seconds.
    pub seconds: f64,
    /// The least CPU time, in seconds.
    pub cpu: f64,
    /// Most memory resident, in KiB: that of its largest process, program text included.
    pub peak: u64,
    /// What of that was no file's, and page tables, in KiB: what a process takes of an initramfs' machine.
    pub own: u64,
    /// Processes.
    pub processes: u64,
    /// Bytes of its output.
    pub bytes: u64,
}

impl Measured {
    /// All commands that a console tells of, in the order of their first rounds.
    pub fn all(console: &str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for row in console.lines().filter_map(parse) {
            match all.iter_mut().find(|other| other.folder == row.folder && other.run == row.run) {
                Some(other) => other.again(&row),
                None => all.push(row),
            }
        }
        all
    }

    /// One more round of it.
    fn again(&mut self, row: &Self) {
        self.status = self.status.max(row.status);
        self.seconds = self.seconds.min(row.seconds);
        self.cpu = self.cpu.min(row.cpu);
        self.peak = self.peak.max(row.peak);
        self.own = self.own.max(row.own);
        self.processes = self.processes.max(row.processes);
        self.bytes = row.bytes;
    }
}

fn parse(line: &str) -> Option<Measured> {
    // the kernel may have begun the line
    let words: Vec<&str> = line.split_once("ROW|")?.1.trim_end().split('|').collect();
    let [folder, run, took, bytes] = words.try_into().ok()?;
    let took: Vec<&str> = took.split(' ').collect();
    let [status, seconds, cpu, peak, memory, tables, processes] = took.try_into().ok()?;
    Some(Measured {
        folder: folder.to_owned(),
        run: run.to_owned(),
        status: status.parse().ok()?,
        seconds: seconds.parse().ok()?,
        cpu: cpu.parse().ok()?,
        peak: peak.parse().ok()?,
        own: memory.parse::<u64>().ok()? + tables.parse::<u64>().ok()?,
        processes: processes.parse().ok()?,
        bytes: bytes.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_read_from_a_console() {
        let console = "[    2.1] x\r\nROW|peer0|-l -d 31|0 1.25 1.20 9000 500 40 1|12345\r\nROW|gdump|broken\r\n\
            ROW|gdump|-c|1 0.5 0.4 8 1 1 1|9\nROW|peer0|-l -d 31|0 1.05 1.30 9100 400 40 1|12345";
        let rows = Measured::all(console);
        assert_eq!(rows.len(), 2);
        let first = &rows[0];
        assert_eq!((first.seconds, first.cpu, first.peak, first.own), (1.05, 1.20, 9100, 540));
        assert_eq!((rows[1].folder.as_str(), rows[1].run.as_str(), rows[1].status), ("gdump", "-c", 1));
    }
}
