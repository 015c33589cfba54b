//! `gdump`.
#![forbid(unsafe_code)]

use gdump::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    gdump::main(Program { name: "gdump", opener: None })
}
