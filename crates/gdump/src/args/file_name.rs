//! File names.

use clap::builder::{OsStringValueParser, TypedValueParser};
use std::path::{Path, PathBuf};

/// Takes any name. An empty one, as of a script's variable that is not set, is refused by [`check`], which can say which
/// it is; clap would say that the option lacks a value.
pub fn any() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
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
