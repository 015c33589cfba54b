//! kdump-compressed files: reading and writing.

#![forbid(unsafe_code)]
