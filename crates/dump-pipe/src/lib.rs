//! The page pipeline: read, encode in parallel, place in order, write; knows no format.

#![forbid(unsafe_code)]
