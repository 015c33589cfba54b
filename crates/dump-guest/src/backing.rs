//! Files that a guest's memory is shared through, for readers that may not read the process.

use crate::process::Place;
use crate::qmp::Qmp;
use crate::ram_map::RamRange;
use dump_core::Result;
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// The files that a guest of QEMU has its memory in, shared or not, and its disks: whoever writes to one harms the guest.
///
/// # Errors
/// As [`Qmp::run`], if QEMU does not know what it is asked.
pub fn guest_files(qmp: &Qmp) -> Result<Vec<PathBuf>> {
    let backends = qmp.run("query-memdev", json!({}))?;
    let names = backends.as_array().into_iter().flatten().filter_map(|backend| backend.get("id")?.as_str());
    let memory = names.filter_map(|name| property(qmp, name, "mem-path"));
    let disks = qmp.run("query-block", json!({})).unwrap_or(Value::Null);
    let image = |disk: &Value| disk.pointer("/inserted/file").cloned();
    let files = memory.chain(disks.as_array().into_iter().flatten().filter_map(image));
    // a name that is not absolute begins where QEMU was started
    let start = qmp.peer().map_or(PathBuf::new(), |pid| PathBuf::from(format!("/proc/{pid}/cwd")));
    Ok(files.filter_map(|name| Some(start.join(name.as_str()?))).collect())
}

/// A property of a memory backend, where it has it.
fn property(qmp: &Qmp, name: &str, property: &str) -> Option<Value> {
    let path = format!("/objects/{name}");
    qmp.run("qom-get", json!({ "path": path, "property": property })).ok()
}

/// A file of `memory-backend-file` with `share=on`.
pub struct Backing {
    /// What QEMU calls the memory.
    name: String,
    /// Where in the file it begins (bytes).
    offset: u64,
    file: Arc<File>,
}

impl Backing {
    /// All that can be opened, under the names that QEMU has for them.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn all(qmp: &Qmp) -> Result<Vec<Backing>> {
        let backends = qmp.run("query-memdev", json!({}))?;
        let shared = |backend: &&Value| backend.get("share").and_then(Value::as_bool) == Some(true);
        let names = backends.as_array().into_iter().flatten().filter(shared);
        Ok(names.filter_map(|backend| Backing::open(qmp, backend)).collect())
    }

    fn open(qmp: &Qmp, backend: &Value) -> Option<Backing> {
        let name = backend.get("id")?.as_str()?;
        let size = backend.get("size").and_then(Value::as_u64).unwrap_or(0);
        let file = File::open(property(qmp, name, "mem-path")?.as_str()?).ok()?;
        // since QEMU 8.2
        let offset = property(qmp, name, "offset").and_then(|offset| offset.as_u64()).unwrap_or(0);
        let there = file.metadata().ok()?;
        // mem-path may be a directory, in which QEMU made a file without a name
        let is_it = there.is_file() && there.len() >= offset.checked_add(size)?;
        is_it.then(|| Backing { name: name.to_owned(), offset, file: Arc::new(file) })
    }

    /// Where the file has `range`, if it is of this memory.
    pub(crate) fn place(&self, range: &RamRange) -> Option<Place> {
        let offset = self.offset.checked_add(range.offset)?;
        (range.name == self.name).then(|| Place::File(Arc::clone(&self.file), offset))
    }
}
