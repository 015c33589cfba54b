//! By what a file is known again.

use serde::{Deserialize, Serialize};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a file has that another, or the same with other bytes, has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Its length.
    pub bytes: u64,
    /// When it was written last: seconds and nanoseconds, as text, for nanoseconds are more digits than JSON's numbers have.
    pub mtime: String,
    /// Its inode. Of the device nothing is kept: its number need not be the same when the machine has started anew.
    pub inode: u64,
}

impl Stamp {
    fn new(meta: &Metadata) -> Stamp {
        Stamp { bytes: meta.len(), mtime: format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()), inode: meta.ino() }
    }

    /// Of what is at `path`, if anything is.
    pub fn of(path: &Path) -> Option<Stamp> {
        fs::metadata(path).ok().map(|meta| Stamp::new(&meta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn another_file_and_other_bytes_have_another() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        assert_eq!(Stamp::of(&a), None);
        for path in [&a, &b] {
            fs::write(path, "text").unwrap();
        }
        let first = Stamp::of(&a);
        assert!(first.is_some() && first == Stamp::of(&a) && first != Stamp::of(&b));
        fs::File::options().append(true).open(&a).unwrap().set_modified(UNIX_EPOCH + Duration::new(7, 80)).unwrap();
        assert_eq!(Stamp::of(&a).unwrap().mtime, "7.000000080");
        assert_ne!(Stamp::of(&a), first);
    }
}
