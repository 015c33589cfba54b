//! Which pages a dump level leaves out.

#![forbid(unsafe_code)]
