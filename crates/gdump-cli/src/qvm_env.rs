//! What qvm says of a virtual machine: its env file (`/dev/qvm/NAME/env`), which is JSON.

use dump::{Error, ErrorKind, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More bytes than any has.
const MOST: u64 = 1 << 20;

/// The file, read.
#[derive(Clone, Debug)]
pub struct QvmEnv {
    /// Its bytes.
    pub text: Vec<u8>,
    /// What they say.
    pub value: Value,
}

impl QvmEnv {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, is longer than any is, or is not JSON.
    pub fn read(path: &Path) -> Result<QvmEnv> {
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut text));
        let env = read.map_err(Error::from).and_then(|_| QvmEnv::of(text));
        env.map_err(|e| e.within(format_args!("qvm env {}", path.display())))
    }

    /// Of the file's bytes.
    ///
    /// # Errors
    /// As [`read`](QvmEnv::read).
    pub fn of(text: Vec<u8>) -> Result<QvmEnv> {
        if text.len() as u64 > MOST {
            return Err(Error::corrupt(format!("more than {MOST} bytes")));
        }
        let value =
            serde_json::from_slice(&text).map_err(|e| Error::new(ErrorKind::Corrupt, format!("not JSON: {e}")))?;
        Ok(QvmEnv { text, value })
    }

    /// The file that is `given` or, for the guest dump at `dump`, the first that is beside it.
    ///
    /// # Errors
    /// As [`read`](QvmEnv::read).
    pub fn find(given: Option<&Path>, dump: Option<&PathBuf>) -> Result<Option<QvmEnv>> {
        let beside = dump.map_or(Vec::new(), |dump| beside(dump)).into_iter().find(|path| path.is_file());
        given.map(Path::to_owned).or(beside).map(|path| QvmEnv::read(&path)).transpose()
    }

    /// Its values, a line each: `path = value`.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        flatten("", &self.value, &mut lines);
        lines
    }
}

/// Where a dump's env file may be: of its name, with and without the dump's ending, or as qvm calls it.
pub fn beside(dump: &Path) -> Vec<PathBuf> {
    let mut whole = OsString::from(dump);
    whole.push(".env");
    vec![whole.into(), dump.with_extension("env"), dump.with_file_name("env")]
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let dot = if path.is_empty() { "" } else { "." };
            map.iter().for_each(|(key, value)| flatten(&format!("{path}{dot}{key}"), value, lines));
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().for_each(|(i, value)| flatten(&format!("{path}[{i}]"), value, lines));
        }
        Value::String(text) => lines.push(format!("{path} = {text}")),
        value => lines.push(format!("{path} = {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lines_and_what_is_no_json_is_refused() {
        let env = QvmEnv::of(br#"{"name": "linux1", "ram": [{"start": 0}, 7], "none": {}}"#.to_vec()).unwrap();
        assert_eq!(env.lines(), ["name = linux1", "none = {}", "ram[0].start = 0", "ram[1] = 7"]);
        let e = QvmEnv::of(b"name linux1".to_vec()).unwrap_err().to_string();
        assert!(e.contains("not JSON"), "{e}");
        assert!(QvmEnv::of(vec![b' '; MOST as usize + 1]).is_err());
    }

    #[test]
    fn names_beside_a_dump() {
        let names = beside(Path::new("d/linux1-20170821-120619.gcore"));
        let want = ["d/linux1-20170821-120619.gcore.env", "d/linux1-20170821-120619.env", "d/env"];
        assert_eq!(names, want.map(PathBuf::from));
    }
}
