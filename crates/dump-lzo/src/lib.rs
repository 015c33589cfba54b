//! An LZO1X encoder for memory pages: one page in, one raw block out.
#![forbid(unsafe_code)]

mod encoder;
mod matcher;
mod stream;
mod window;

pub use encoder::{MAX_PAGE, PageLzo};
