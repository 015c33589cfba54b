//! Files that have names but no paths: on servers.

use crate::bytes::ReadAt;
use crate::error::{Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Opens files by names that are no paths, such as URLs.
pub trait Opener: Send + Sync + fmt::Debug {
    /// Whether `name` is one of these, and no path.
    fn takes(&self, name: &str) -> bool;

    /// Reads what opening `names` takes of the system's files, so that a process may give up its rights before it
    /// opens them.
    ///
    /// # Errors
    /// If a name is none after all, or a file that it takes is damaged.
    fn prepare(&self, names: &[&str]) -> Result<Reach>;

    /// The file called `name`.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if it cannot be had, `Unsupported` if it cannot be read by offset.
    fn open(&self, name: &str) -> Result<Arc<dyn ReadAt>>;

    /// Why a file that was opened cannot be read any more, where one cannot: whatever was made of it is not all there
    /// is.
    fn failure(&self) -> Option<Error>;
}

/// What a process needs besides the files that it is given to read those that an [`Opener`] opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Files of the system that say where servers are.
    pub files: Vec<PathBuf>,
    /// TCP ports that are connected to.
    pub ports: Vec<u16>,
}
