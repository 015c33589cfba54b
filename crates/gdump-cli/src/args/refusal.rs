//! What is wrong with a command line, in one line: the option, its value, what was expected.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use std::error::Error as _;

/// The line. What clap prints has several, of which the further ones repeat the usage.
pub fn one_line(e: &Error, command: &Command) -> String {
    let argument = context(e, ContextKind::InvalidArg).unwrap_or_default();
    let option = argument.split(' ').next().unwrap_or_default();
    match (e.kind(), context(e, ContextKind::InvalidValue)) {
        (ErrorKind::InvalidValue, None) => format!("{option} needs a value"),
        (ErrorKind::InvalidValue, Some(value)) if value.is_empty() => format!("{option} needs a value"),
        (ErrorKind::InvalidValue, Some(value)) => format!("{option} {value}: expected {}", expected(e)),
        (ErrorKind::ValueValidation, Some(value)) => match e.source() {
            Some(why) => format!("{option} {value}: {why}"),
            None => format!("{option} {value}: not valid"),
        },
        (ErrorKind::MissingRequiredArgument, _) => format!("missing {}", argument.replace(['<', '>'], "")),
        (ErrorKind::UnknownArgument, _) => unknown(option, command),
        _ => first_line(e),
    }
}

fn context(e: &Error, kind: ContextKind) -> Option<String> {
    match e.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" ")),
        _ => None,
    }
}

/// The values that an option takes.
fn expected(e: &Error) -> String {
    match e.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => values.join(", "),
        _ => "another value".to_owned(),
    }
}

/// An option that does not exist, or one that was abbreviated too much.
fn unknown(argument: &str, command: &Command) -> String {
    if !argument.starts_with('-') {
        return format!("{argument}: one file name too many");
    }
    let start = argument.trim_start_matches("--").split('=').next().unwrap_or_default();
    let options = command.get_arguments().filter_map(|arg| arg.get_long());
    let meant: Vec<_> = options.filter(|long| long.starts_with(start)).map(|long| format!("--{long}")).collect();
    match meant.len() {
        0 => format!("{argument}: unknown option"),
        _ => format!("{argument} is ambiguous: {}", meant.join(", ")),
    }
}

fn first_line(e: &Error) -> String {
    let text = e.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
