//! Files that a guest's memory is shared through, for readers that may not read the process.

use crate::process::Place;
use crate::qmp::Qmp;
use crate::ram_map::RamRange;
use dump_core::Result;
use serde_json::{Value, json};
use std::fs::File;
use std::sync::Arc;

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
        Ok(names.filter_map(|backend| Backing::open(qmp, backend.get("id")?.as_str()?)).collect())
    }

    fn open(qmp: &Qmp, name: &str) -> Option<Backing> {
        let property = |property: &str| {
            let path = format!("/objects/{name}");
            qmp.run("qom-get", json!({ "path": path, "property": property })).ok()
        };
        let path = property("mem-path")?;
        let file = File::open(path.as_str()?).ok()?;
        // since QEMU 8.2
        let offset = property("offset").and_then(|offset| offset.as_u64()).unwrap_or(0);
        Some(Backing { name: name.to_owned(), offset, file: Arc::new(file) })
    }

    /// Where the file has `range`, if it is of this memory.
    pub(crate) fn place(&self, range: &RamRange) -> Option<Place> {
        let offset = self.offset.checked_add(range.offset)?;
        (range.name == self.name).then(|| Place::File(Arc::clone(&self.file), offset))
    }
}
