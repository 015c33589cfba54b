//! A program that is taken into the capture kernel.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::program;

/// What any initramfs has: the C library and its loader are no program's own.
const COMMON: &[&str] = &["libc.so", "ld-linux"];

/// A program under makedumpfile's name, with the libraries that it loads.
pub struct Player {
    /// Its folder below /capture, and the start of its outputs' names.
    pub folder: String,
    /// What the table calls it.
    pub name: String,
    path: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Player {
    /// The makedumpfile at `path`, number `n` of those that run.
    pub fn peer(n: usize, path: &Path) -> Result<Self> {
        let said = program::output(Command::new(path).arg("-v"))?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
        let version = version.with_context(|| format!("{} -v names no version", path.display()))?;
        let libraries = libraries(path)?;
        Ok(Self { folder: format!("peer{n}"), name: format!("makedumpfile {version}"), path: path.into(), libraries })
    }

    /// The static gdump at `path`.
    pub fn gdump(path: &Path) -> Result<Self> {
        Ok(Self { folder: "gdump".into(), name: "gdump".into(), path: path.into(), libraries: Vec::new() })
    }

    /// Whether it is a makedumpfile.
    pub fn is_peer(&self) -> bool {
        self.folder != "gdump"
    }

    /// The makedumpfile on this machine that puts together what came in pieces.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, and where they go.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        let program = (self.path.clone(), format!("/capture/{}/makedumpfile", self.folder));
        let libraries = self.libraries.iter().map(|path| (path.clone(), path.display().to_string()));
        std::iter::once(program).chain(libraries).collect()
    }

    /// Bytes of all its files but those that are there in any case.
    fn bytes(&self) -> u64 {
        let own = |path: &&PathBuf| !COMMON.iter().any(|start| program::base(path).starts_with(start));
        let files = std::iter::once(&self.path).chain(self.libraries.iter().filter(own));
        files.filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum()
    }
}

impl fmt::Display for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let libraries = match self.libraries.len() {
            0 => "static".to_owned(),
            n => format!("{n} libraries, of which the C library is not counted"),
        };
        write!(f, "{}: {} bytes in the initramfs ({libraries})", self.name, self.bytes())
    }
}

/// The libraries that a program loads.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let text = program::quiet(Command::new("ldd").arg(program))?;
    let words = text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    let mut paths: Vec<PathBuf> = words.map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}
