//! What of a batch is begun and done, on disk.
//!
//! ```text
//! {"journal":"gdump batch","version":1}
//! {"begun":{"output":"b","ask":{...},"before":null,"ours":false}}
//! {"ended":{"output":"b","status":"done","made":{...},"digest":"blake3:...",...}}
//! ```
//!
//! That a job begins is stored before it does, so that whatever ends the batch, the output of a job that was under way is
//! known for what it is: an output gets its name when it is whole, and what has that name and was not there when the job
//! was begun is what the job made. How it ended is stored with the next line, or at the end: what a loss of power takes
//! of that, the output tells.
//!
//! The file is locked, by the batch and by the jobs that it has begun, which share its description: the lock is free
//! when the last of them is gone.

use super::job::Ask;
use super::outcome::Status;
use super::stamp::Stamp;
use crate::messages::Messages;
use crate::output_path::parent;
use dump::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first line.
const HEAD: &str = "{\"journal\":\"gdump batch\",\"version\":1}\n";

/// A line is shorter (bytes); a journal that has a longer one is none.
const LONGEST: u64 = 8 << 20;

/// How long the jobs of a batch that was killed may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// A line but the first.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Begun(Begun),
    Ended(Ended),
}

/// A job begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// The output, as the job names it.
    pub output: String,
    /// What is asked for.
    pub ask: Ask,
    /// What is in the output's place.
    pub before: Option<Stamp>,
    /// Whether a job of this batch made that.
    pub ours: bool,
}

/// A job has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// The output, as the job names it.
    pub output: String,
    /// How.
    pub status: Status,
    /// What is in the output's place, if a job of this batch made it.
    pub made: Option<Stamp>,
    /// What is in the output's place, whoever made it.
    pub there: Option<Stamp>,
    /// The digest of the output.
    pub digest: Option<String>,
    /// Why it failed.
    pub errors: Vec<String>,
    /// What else was said.
    pub warnings: Vec<String>,
    /// The version of the program.
    pub gdump: String,
}

/// The last that the journal says of an output.
#[derive(Clone, Debug)]
pub struct Known {
    /// How it was begun.
    pub begun: Begun,
    /// How that ended, if it did.
    pub ended: Option<Ended>,
}

impl Known {
    /// Whether what is in the output's place, `there`, was made by a job of this batch.
    pub fn is_ours(&self, there: &Stamp) -> bool {
        match &self.ended {
            Some(ended) => ended.made.as_ref() == Some(there),
            None if self.begun.before.as_ref() == Some(there) => self.begun.ours,
            None => true,
        }
    }

    /// Whether what is in the output's place, `there`, appeared there while the job was under way, whose end nobody saw.
    pub fn appeared(&self, there: Option<&Stamp>) -> bool {
        self.ended.is_none() && there.is_some() && there != self.begun.before.as_ref()
    }
}

/// A journal, open and locked.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Held while a line is written.
    writing: Mutex<()>,
    known: HashMap<String, Known>,
    others: HashMap<String, Known>,
}

impl Journal {
    /// Opens the one at `path`, or makes it; those of other shards, whose whole would be at `whole`, are read.
    ///
    /// # Errors
    /// If it cannot be opened, is another kind of file, or another batch has it.
    pub fn open(path: &Path, whole: &Path, messages: Messages) -> Result<Journal> {
        let open = || {
            let file = File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
            lock(&file)?;
            let known = read(&file, path, messages)?;
            cut_torn(&file)?;
            if file.metadata()?.len() == 0 {
                append(&file, HEAD.as_bytes())?;
                file.sync_data()?;
                // its name, too
                File::open(parent(path)).and_then(|directory| directory.sync_all()).or_else(|_| file.sync_all())?;
            }
            Ok((file, known))
        };
        let (file, known) = open().map_err(|e: Error| e.within(path.display()))?;
        let mut others = HashMap::new();
        for other in siblings(whole).into_iter().filter(|other| other != path) {
            let read = File::open(&other).map_err(Error::from).and_then(|file| read(&file, &other, messages));
            others.extend(read.map_err(|e| e.within(other.display()))?);
        }
        Ok(Journal { path: path.to_owned(), file, writing: Mutex::new(()), known, others })
    }

    /// The last that it says of `output`.
    pub fn known(&self, output: &str) -> Option<&Known> {
        self.known.get(output)
    }

    /// What another shard's says of `output`, if it is done.
    pub fn done_elsewhere(&self, output: &str) -> Option<&Known> {
        let is_done = |known: &&Known| known.ended.as_ref().is_some_and(|ended| ended.status == Status::Done);
        self.others.get(output).filter(is_done)
    }

    /// Writes down that a job begins, and waits until that is stored.
    ///
    /// # Errors
    /// If that is impossible.
    pub fn begin(&self, begun: Begun) -> Result<()> {
        self.write(&Entry::Begun(begun)).and_then(|()| self.store())
    }

    /// Writes down that a job has ended.
    ///
    /// # Errors
    /// If that is impossible.
    pub fn end(&self, ended: Ended) -> Result<()> {
        self.write(&Entry::Ended(ended))
    }

    /// The open file, whose lock lasts as long as anybody has it.
    ///
    /// # Errors
    /// If descriptors are short.
    pub fn share(&self) -> Result<File> {
        Ok(self.file.try_clone()?)
    }

    /// Waits until all is stored that is written.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn store(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::from(e).within(self.path.display()))
    }

    fn write(&self, entry: &Entry) -> Result<()> {
        let line = serde_json::to_string(entry).map_err(|e| Error::bug(e.to_string()))? + "\n";
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        append(&self.file, line.as_bytes()).map_err(|e| e.within(self.path.display()))
    }
}

/// Appends; where that fails, nothing is left of it.
fn append(mut file: &File, bytes: &[u8]) -> Result<()> {
    let before = file.metadata()?.len();
    file.write_all(bytes).map_err(|e| {
        let _ = file.set_len(before); // what stays is torn, and cut off by the next batch
        e.into()
    })
}

/// Waits for jobs of a batch that was killed, which end by themselves.
fn lock(file: &File) -> Result<()> {
    let since = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if since.elapsed() < PATIENCE => {
                std::thread::sleep(PATIENCE / 250);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::new(ErrorKind::Io, "another batch has this journal").temporary());
            }
            // file systems without locks can be written all the same
            _ => return Ok(()),
        }
    }
}

/// What it says of each output. A line that makes no sense, as a disk may leave it that lost power, is passed over: the
/// worst that comes of it is that something is done again.
fn read(file: &File, path: &Path, messages: Messages) -> Result<HashMap<String, Known>> {
    let mut known: HashMap<String, Known> = HashMap::new();
    let mut lines = BufReader::new(file);
    lines.seek(SeekFrom::Start(0))?;
    for number in 1u64.. {
        let mut line = Vec::new();
        lines.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if number == 1 && line != HEAD.as_bytes() && !HEAD.as_bytes().starts_with(&line) {
            return Err(Error::new(ErrorKind::BadMagic, "is no journal of gdump batch"));
        }
        // the last line may be torn
        if line.last() != Some(&b'\n') {
            break;
        }
        match serde_json::from_slice(&line) {
            _ if number == 1 => {}
            Ok(Entry::Begun(begun)) => {
                known.insert(begun.output.clone(), Known { begun, ended: None });
            }
            Ok(Entry::Ended(ended)) => {
                known.entry(ended.output.clone()).and_modify(|known| known.ended = Some(ended));
            }
            Err(e) => messages.warning(&format!("{}:{number}: passed over: {e}", path.display())),
        }
    }
    Ok(known)
}

/// Cuts off what a batch that was killed has not written to the end.
fn cut_torn(file: &File) -> Result<()> {
    let (mut reader, mut whole, mut line) = (BufReader::new(file), 0, Vec::new());
    reader.seek(SeekFrom::Start(0))?;
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? as u64;
        if line.last() != Some(&b'\n') {
            return if read == 0 { Ok(()) } else { Ok(file.set_len(whole)?) };
        }
        whole += read;
    }
}

/// Journals of the same batch: `m.journal`, `m.2-of-8.journal`.
fn siblings(whole: &Path) -> Vec<PathBuf> {
    let stem = whole.file_stem().unwrap_or_default();
    let is_one = |path: &PathBuf| {
        if path == whole {
            return true;
        }
        let name = path.file_stem().filter(|_| path.extension() == whole.extension());
        let rest = name.and_then(|name| name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes()));
        let shard = rest.and_then(|rest| std::str::from_utf8(rest).ok()?.strip_prefix('.')?.split_once("-of-"));
        let is_number = |text: &str| text.parse::<u64>().is_ok();
        shard.is_some_and(|(number, of)| is_number(number) && is_number(of))
    };
    let entries = fs::read_dir(parent(whole)).into_iter().flatten().flatten();
    // as it was named: the directory's name may be left out
    let mut paths: Vec<PathBuf> = entries.map(|entry| whole.with_file_name(entry.file_name())).filter(is_one).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(inode: u64) -> Stamp {
        Stamp { bytes: 1, mtime: "1.000000000".to_owned(), inode }
    }

    fn begun(output: &str, before: Option<Stamp>, ours: bool) -> Begun {
        let ask = Ask { inputs: Vec::new(), options: vec!["-c".to_owned()] };
        Begun { output: output.to_owned(), ask, before, ours }
    }

    fn ended(output: &str, status: Status, made: Option<Stamp>) -> Ended {
        let there = made.clone();
        let (errors, warnings, gdump) = (Vec::new(), Vec::new(), String::new());
        Ended { output: output.to_owned(), status, made, there, digest: None, errors, warnings, gdump }
    }

    fn open(path: &Path) -> Result<Journal> {
        Journal::open(path, path, Messages::default())
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.journal");
        let journal = open(&path).unwrap();
        journal.begin(begun("a", None, false)).unwrap();
        journal.end(ended("a", Status::Done, Some(stamp(1)))).unwrap();
        journal.begin(begun("b", Some(stamp(2)), false)).unwrap();
        drop(journal);
        let text = fs::read_to_string(&path).unwrap();
        let last = text.lines().last().unwrap().len() + 1;
        for cut in 0..=text.len() {
            fs::write(&path, &text[..cut]).unwrap();
            let journal = open(&path).unwrap();
            let b = journal.known("b").is_some();
            assert_eq!(b, cut == text.len(), "{cut}");
            let whole = cut >= text.len() - last;
            assert_eq!(journal.known("a").is_some_and(|a| a.ended.is_some()), whole, "{cut}");
            journal.begin(begun("c", None, false)).unwrap();
            drop(journal);
            assert!(open(&path).unwrap().known("c").is_some(), "{cut}");
        }
        fs::write(&path, text.replace("\"begun\"", "\"begum\"")).unwrap();
        assert!(open(&path).unwrap().known("b").is_none());
    }

    #[test]
    fn other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        for text in ["text", "text\n", "{\"input\":\"a\",\"output\":\"b\"}\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(open(&path).err().unwrap().kind(), ErrorKind::BadMagic, "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn it_is_locked_as_long_as_a_job_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.journal");
        let journal = open(&path).unwrap();
        let job = journal.share().unwrap();
        drop(journal);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(PATIENCE / 50);
                drop(job);
            });
            assert!(open(&path).is_ok());
        });
        let _held = open(&path).unwrap();
        assert!(open(&path).err().unwrap().is_temporary());
    }

    #[test]
    fn what_is_ours() {
        let known = |begun, ended| Known { begun, ended };
        let fresh = known(begun("a", None, false), None);
        assert!(fresh.is_ours(&stamp(1)) && fresh.appeared(Some(&stamp(1))) && !fresh.appeared(None));
        let over = known(begun("a", Some(stamp(1)), false), None);
        assert!(!over.is_ours(&stamp(1)) && !over.appeared(Some(&stamp(1))) && over.appeared(Some(&stamp(2))));
        let again = known(begun("a", Some(stamp(1)), true), None);
        assert!(again.is_ours(&stamp(1)) && !again.appeared(Some(&stamp(1))));
        let done = known(begun("a", None, false), Some(ended("a", Status::Done, Some(stamp(1)))));
        assert!(done.is_ours(&stamp(1)) && !done.is_ours(&stamp(2)) && !done.appeared(Some(&stamp(2))));
    }

    #[test]
    fn journals_of_other_shards_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let name = |name: &str| dir.path().join(name);
        for other in ["m.journal", "m.1-of-2.journal", "m.2-of-2.journal", "m.x-of-2.journal", "mm.journal", "m.ndjson"]
        {
            fs::write(name(other), HEAD).unwrap();
        }
        let found = siblings(&name("m.journal"));
        assert_eq!(found, ["m.1-of-2.journal", "m.2-of-2.journal", "m.journal"].map(name));
    }
}
