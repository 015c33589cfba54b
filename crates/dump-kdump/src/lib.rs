//! kdump-compressed files ("KDUMP   "), reading and writing.
//!
//! ```text
//! block 0                   main header                        header.rs
//! block 1                   sub header, notes, erase text      header.rs note.rs
//! block 1 + sub_hdr_size    1st bitmap: the page frame is RAM
//!                           2nd bitmap: the page is dumped     rank.rs
//! next block                a descriptor for each dumped page  desc.rs
//! after the table           page data, packed page by page     codec/
//! ```
//!
//! Every integer is in the byte order and word size of the dumped machine, and nothing in the file names either;
//! [`header`] finds them out. [`KdumpWriter`] writes one file, or several that share the pages between them;
//! [`KdumpFile`] reads one, [`KdumpSet`] such a group.
//!
//! The codecs are features of this crate (`zlib`, `lzo`, `snappy`, `zstd`). Without one, files that use it still open;
//! reading a page packed with it says which feature is missing. `lzo` pulls in a GPL-2.0 library.

#![forbid(unsafe_code)]

pub mod codec;
mod damage;
pub mod desc;
mod encoder;
pub mod header;
mod layout;
mod machine;
mod note;
mod pages;
mod parts;
mod rank;
mod source;
mod split;
mod utsname;
mod writer;

pub use damage::{Damage, Fault};
pub use layout::Layout;
pub use parts::split_evenly;
pub use source::KdumpFile;
pub use split::KdumpSet;
pub use writer::{KdumpWriter, Options};
