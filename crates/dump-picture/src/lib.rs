//! Pictures of memory: a map of cells, a treemap of bytes, tables; as SVG, as HTML, and for a terminal.
//!
//! ```text
//! Picture ─┬─ map, treemap ──> svg    one file, titles for pointers that rest
//!          ├─ map, treemap ──> html   one file without network: tooltips, keys, tables
//!          └─ terminal                blocks and colours, or letters
//! ```
//!
//! Nothing here knows a dump: a cell is a block of page frames with so many of each class, and what classes are called
//! and painted with is in the [`Picture`]. What is drawn takes no more bytes where memory is larger: cells are as many as
//! they are, and neighbours that are alike are one stroke.

#![forbid(unsafe_code)]

mod html;
mod map;
mod markup;
mod picture;
mod shares;
mod svg;
mod terminal;
mod treemap;
mod units;

pub use html::html;
pub use picture::{Bytes, Class, Mark, Paint, Picture, Row, Stretch};
pub use svg::svg;
pub use terminal::{Terminal, terminal};
pub use units::bytes;
