//! Runs a subject's commands with each program and takes digests of what they write.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::subject::Subject;

/// What one command wrote to one file.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// SHA-256, `-` where the command wrote none.
    pub digest: String,
    /// The exit status; -1 after a signal.
    pub status: i32,
    /// The command, after its subject.
    pub command: String,
    /// The output.
    pub output: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<64} {:>2} {} => {}", self.digest, self.status, self.command, self.output)
    }
}

/// A folder for each program, and one with the inputs, which both see as `in`.
pub struct Stage<'a> {
    inputs: PathBuf,
    programs: Vec<(&'a Path, PathBuf)>,
}

/// A command taken apart.
struct Parts<'a> {
    args: Vec<&'a str>,
    stdin: Option<&'a str>,
    stdout: Option<&'a str>,
}

impl<'a> Stage<'a> {
    /// Makes the folders in `dir`.
    pub fn new(dir: &Path, programs: &'a [PathBuf]) -> Result<Self> {
        let inputs = dir.join("in");
        std::fs::create_dir(&inputs)?;
        let mut made = Vec::new();
        for (number, program) in programs.iter().enumerate() {
            let home = dir.join(number.to_string());
            std::fs::create_dir(&home)?;
            std::os::unix::fs::symlink("../in", home.join("in"))?;
            made.push((program.as_path(), home));
        }
        Ok(Self { inputs, programs: made })
    }

    /// Runs all commands of `subject`: the lines, each once for each program.
    pub fn play(&self, subject: &Subject) -> Result<Vec<Vec<Line>>> {
        (subject.make)(&self.inputs)?;
        let mut all = Vec::new();
        for command in &subject.commands {
            let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
            let runs = self.programs.iter().map(|(program, home)| one(program, home, &subject.name, &command));
            all.extend(transposed(runs.collect::<Result<_>>().with_context(|| command.clone())?));
            self.keep()?;
        }
        Ok(all)
    }

    /// Moves what the first program left in `kept` to the inputs, for all.
    fn keep(&self) -> Result<()> {
        let Some((_, home)) = self.programs.first() else { return Ok(()) };
        for entry in std::fs::read_dir(home.join("kept"))? {
            let entry = entry?;
            std::fs::rename(entry.path(), self.inputs.join(entry.file_name()))?;
        }
        Ok(())
    }
}

/// Lines by output instead of by program. All programs run the same command and so have the same outputs.
fn transposed(runs: Vec<Vec<Line>>) -> Vec<Vec<Line>> {
    let mut runs: Vec<_> = runs.into_iter().map(Vec::into_iter).collect();
    std::iter::from_fn(|| runs.iter_mut().map(Iterator::next).collect()).collect()
}

fn one(program: &Path, home: &Path, subject: &str, command: &str) -> Result<Vec<Line>> {
    for name in ["out", "kept"] {
        let dir = home.join(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir(&dir)?;
    }
    let parts = Parts::of(command);
    let status = parts.start(program, home)?;
    let outputs = parts.outputs();
    // A command without output has its status.
    let outputs = if outputs.is_empty() { vec!["status"] } else { outputs };
    let line = |output: &str| {
        let digest = digest(&home.join(output))?;
        Ok(Line { digest, status, command: format!("{subject}: {command}"), output: output.to_owned() })
    };
    outputs.into_iter().map(line).collect()
}

impl<'a> Parts<'a> {
    fn of(command: &'a str) -> Self {
        let mut parts = Self { args: Vec::new(), stdin: None, stdout: None };
        let mut words = command.split(' ');
        while let Some(word) = words.next() {
            match word {
                "<" => parts.stdin = words.next(),
                ">" => parts.stdout = words.next(),
                _ => parts.args.push(word),
            }
        }
        parts
    }

    /// The files that the command is to write.
    fn outputs(&self) -> Vec<&'a str> {
        let args = self.args.iter().copied().chain(self.stdout);
        args.filter(|word| word.starts_with("out/") || word.starts_with("kept/")).collect()
    }

    fn start(&self, program: &Path, home: &Path) -> Result<i32> {
        let stdin = self.stdin.map(|name| File::open(home.join(name)).with_context(|| name.to_owned())).transpose()?;
        let stdout = self.stdout.map(|name| File::create(home.join(name))).transpose()?;
        let mut command = Command::new(program);
        command.args(&self.args).current_dir(home).stderr(Stdio::null());
        command.stdin(stdin.map_or(Stdio::null(), Stdio::from)).stdout(stdout.map_or(Stdio::null(), Stdio::from));
        let status = command.status().with_context(|| program.display().to_string())?;
        Ok(status.code().unwrap_or(-1))
    }
}

/// The digest of a file, `-` where there is none.
fn digest(path: &Path) -> Result<String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok("-".to_owned()),
        file => file?,
    };
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that copies its last but one argument to its last, and adds `tail`.
    fn copier(dir: &Path, name: &str, tail: &str) -> PathBuf {
        let path = dir.join(name);
        let script = format!("#!/bin/sh\n[ $# = 1 ] && {{ cat $1; exit 3; }}\n{{ cat $1; printf '{tail}'; }} > $2\n");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn outputs_are_told_apart_and_kept_for_later() {
        let dir = tempfile::tempdir().unwrap();
        let programs = [copier(dir.path(), "one", ""), copier(dir.path(), "two", "2")];
        let commands = ["in/vmcore kept/a", "in/a  out/b", "in/a > out/c", "in/none"].map(String::from).to_vec();
        let subject = Subject::of_bytes("test".to_owned(), || b"abc".to_vec(), commands);
        let lines = Stage::new(dir.path(), &programs).unwrap().play(&subject).unwrap();
        let shown: Vec<_> =
            lines.iter().map(|pair| (pair[0].output.as_str(), pair[0].digest == pair[1].digest)).collect();
        // What the first program kept is the input of both.
        assert_eq!(shown, [("kept/a", false), ("out/b", false), ("out/c", true), ("status", true)]);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!([&lines[0][0].digest, &lines[1][0].digest], [abc, abc]);
        assert_eq!(lines[2][0].to_string(), format!("{abc}  3 test: in/a > out/c => out/c"));
        assert_eq!((lines[3][0].digest.as_str(), lines[3][0].status), ("-", 3));
    }
}
