//! `gdump-fleet`: gdump, which reads dumps from HTTP servers and S3-compatible stores too.
//!
//! A program of its own, so that gdump stays as small as an initramfs of a capture kernel wants it.
#![forbid(unsafe_code)]

use dump_remote::Remote;
use gdump_cli::Program;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    gdump_cli::main(Program { name: "gdump-fleet", opener: Some(Arc::new(Remote::default())) })
}
