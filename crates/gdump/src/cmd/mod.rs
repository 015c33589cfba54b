//! One file for each thing that the program does.

pub mod convert;
