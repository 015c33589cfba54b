//! File names.

use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Takes any name. An empty one, as of a script's variable that is not set, is refused by [`check`], which can say which
/// it is; clap would say that the option lacks a value.
pub fn any() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Takes the name of a file to write, which is no command (`|`).
pub fn output() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name| match name.as_bytes().first() {
        Some(b'|') => Err("a file is written, not to a command (./ before the name makes | part of it)"),
        _ => Ok(PathBuf::from(name)),
    })
}

/// Takes what a file's name can begin with.
pub fn prefix() -> impl TypedValueParser<Value = OsString> {
    let is_part = |name: &OsString| !name.is_empty() && !name.as_bytes().contains(&b'/');
    OsStringValueParser::new().try_map(move |name| match is_part(&name) {
        true => Ok(name),
        false => Err("expected a part of a file's name, which is not empty and has no /"),
    })
}

/// That none of `names`, in the order of the command line, is empty.
///
/// # Errors
/// One line.
pub fn check(names: &[&Path]) -> Result<(), String> {
    match names.iter().position(|name| name.as_os_str().is_empty()) {
        Some(at) => Err(format!("file name {} of {} is empty", at + 1, names.len())),
        None => Ok(()),
    }
}
