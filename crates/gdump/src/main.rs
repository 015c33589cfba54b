//! `gdump`.
#![forbid(unsafe_code)]

use gdump_cli::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    gdump_cli::main(Program { name: "gdump", opener: None })
}
