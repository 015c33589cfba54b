//! What the programs left on the capture kernel's disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use dump_witness::Kdump;

use super::player::Player;
use crate::program;
use crate::report::Report;

/// Dumps as they are on the disk.
const DUMPS: &[(&str, &str)] = &[("-l -d 31", "l31"), ("-c -d 31", "c31"), ("-c -d 1", "c1")];
/// A dump that has to be put together: flattened, in parts.
const FLAT: &str = "-F -c -d 31, into a pipe";
const SPLIT: &str = "--split -c -d 31";
const LOG: &str = "--dump-dmesg";

/// Dumps and logs, by the program's folder and the command.
pub struct Outputs {
    dumps: HashMap<(String, &'static str), Kdump>,
    logs: HashMap<String, Vec<u8>>,
}

impl Outputs {
    /// Takes all off the disk; what a program did not write is left out.
    pub fn get(disk: &Path, players: &[Player]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let peer = players.iter().rfind(|player| player.is_peer()).context("no makedumpfile")?;
        let (mut dumps, mut logs) = (HashMap::new(), HashMap::new());
        for folder in players.iter().map(|player| &player.folder) {
            let disk = Disk { disk, into: dir.path(), folder };
            let mut found = Vec::new();
            for &(run, name) in DUMPS {
                found.push((run, disk.file(name)?.and_then(|path| Kdump::open(&path).ok())));
            }
            found.extend([(FLAT, disk.rearranged(peer)?), (SPLIT, disk.reassembled(peer)?)]);
            for (run, dump) in found {
                dumps.extend(dump.map(|dump| ((folder.clone(), run), dump)));
            }
            if let Some(path) = disk.file("dmesg")? {
                logs.insert(folder.clone(), std::fs::read(path)?);
            }
        }
        Ok(Self { dumps, logs })
    }

    /// Pages in the dump that a command of a program wrote.
    pub fn pages(&self, folder: &str, run: &str) -> Option<u64> {
        let found = self.dumps.iter().find(|((of, by), _)| of == folder && *by == run);
        found.map(|(_, dump)| dump.kept.count())
    }

    /// Says whether two programs wrote the same.
    pub fn compare(&self, peer: &Player, ours: &Player, report: &mut Report) {
        for run in DUMPS.iter().map(|dump| dump.0).chain([FLAT, SPLIT]) {
            let both = [peer, ours].map(|who| self.dumps.get(&(who.folder.clone(), run)));
            let [Some(theirs), Some(ours)] = both else { continue };
            let differences = theirs.kept.differences(&ours.kept);
            let count = |first| differences.iter().filter(|run| run.in_first == first).map(|run| run.pages()).sum();
            match (count(true), count(false)) {
                (0u64, 0u64) => report.note(format!("{run}: the same {} pages as {}", ours.kept.count(), peer.name)),
                (theirs, ours) => report
                    .differs(format!("{run}: {theirs} pages are kept by {} alone, {ours} by gdump alone", peer.name)),
            }
        }
        match [peer, ours].map(|who| self.logs.get(&who.folder)) {
            [Some(theirs), Some(ours)] if theirs == ours => {
                report.note(format!("{LOG}: the same {} bytes as {}", ours.len(), peer.name));
            }
            [Some(theirs), Some(ours)] => {
                report.differs(format!("{LOG}: {} bytes, those of {} are {}", ours.len(), peer.name, theirs.len()))
            }
            _ => {}
        }
    }
}

/// A program's files on the disk.
struct Disk<'a> {
    disk: &'a Path,
    into: &'a Path,
    folder: &'a str,
}

impl Disk<'_> {
    /// A file of that name, if there is one and anything in it.
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        let name = format!("{}.{name}", self.folder);
        let to = self.into.join(&name);
        let request = format!("dump /{name} {}", to.display());
        program::quiet(Command::new("debugfs").args(["-R", &request]).arg(self.disk))?;
        Ok(to.metadata().is_ok_and(|meta| meta.len() > 0).then_some(to))
    }

    /// The dump that came as a flattened stream, rearranged by makedumpfile.
    fn rearranged(&self, peer: &Player) -> Result<Option<Kdump>> {
        let Some(flat) = self.file("flat")? else { return Ok(None) };
        let to = self.into.join(format!("{}.rearranged", self.folder));
        let mut command = Command::new(peer.path());
        let output = command.arg("-R").arg(&to).stdin(std::fs::File::open(flat)?).stdout(Stdio::null()).output()?;
        Ok(output.status.success().then(|| Kdump::open(&to).ok()).flatten())
    }

    /// The dump that came in parts, joined by makedumpfile.
    fn reassembled(&self, peer: &Player) -> Result<Option<Kdump>> {
        let [Some(first), Some(second)] = [self.file("split0")?, self.file("split1")?] else { return Ok(None) };
        let to = self.into.join(format!("{}.reassembled", self.folder));
        let output = program::output(Command::new(peer.path()).arg("--reassemble").args([&first, &second, &to]))?;
        Ok(output.status.success().then(|| Kdump::open(&to).ok()).flatten())
    }
}
