//! ELF cores as sources of physical pages.

#![forbid(unsafe_code)]
