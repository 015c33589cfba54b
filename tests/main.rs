//! The program from end to end. What is checked against is never gdump's own code: dumps that others made,
//! makedumpfile's choice of pages for them, crash and drgn where they are installed, and dump-witness, a second reader.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a test ends by it

mod arches;
mod batch;
mod capture;
mod claims;
mod cli;
mod cookbook;
mod corpus;
mod corpus_arch;
mod damage;
mod dmesg;
mod docs;
mod eras;
mod essentials;
mod estimate;
#[path = "../crates/dump-guest/tests/fake/mod.rs"]
mod fake;
mod identity;
mod interrupt;
mod kernel_files;
mod layering;
mod makedumpfile;
mod map;
mod matrix;
mod memory;
mod outputs;
mod packed;
mod qnx;
mod readers;
mod rearrange;
mod repair;
mod sandbox;
mod saved;
mod schema;
mod stdout;
mod support;
mod vmemmap;
mod vouch;
mod windows;
mod xen;
