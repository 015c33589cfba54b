//! kdump-compressed files ("KDUMP   "), reading and writing.
//!
//! ```text
//! block 0                   main header                        header.rs
//! block 1                   sub header, notes, erase text      header.rs
//! block 1 + sub_hdr_size    1st bitmap: the page frame is RAM
//!                           2nd bitmap: the page is dumped     Ranked
//! next block                a descriptor for each dumped page  desc.rs
//! after the table           page data, compressed page by page codec/
//!
//! reading   head.rs (all but pages) ─> source.rs, split.rs ─> reader.rs ─> fate.rs ─> stored.rs
//! writing   writer.rs ─> preamble.rs (all but pages) ─> page_writer.rs ─> block_share.rs; encoder.rs
//! ```
//!
//! Every integer is in the byte order and word size of the dumped machine, and nothing in the file names either;
//! [`header`] infers them. [`KdumpWriter`] writes one file, or several that share the pages between them;
//! [`KdumpFile`] reads one, [`KdumpSet`] such a group.
//!
//! The codecs are features of this crate (`zlib`, `lzo`, `snappy`, `zstd`). Without one, files that use it still open;
//! reading a page compressed with it names the feature that is missing. `lzo` pulls in a GPL-2.0 library.

#![forbid(unsafe_code)]

mod areas;
mod beside;
mod block_share;
pub mod codec;
mod compression;
mod decompress;
pub mod desc;
mod encoder;
mod fate;
mod format;
mod frames;
mod head;
pub mod header;
mod header_faults;
mod layout;
mod new_header;
mod own_address;
mod page_writer;
mod parts;
mod preamble;
mod reader;
mod rebuild;
mod retable;
mod salvage;
mod sinks;
mod source;
mod split;
mod stored;
mod survey;
mod table;
mod utsname;
mod writer;

pub use format::FORMAT;
pub use layout::Layout;
pub use salvage::salvage;
pub use source::KdumpFile;
pub use split::KdumpSet;
pub use writer::KdumpWriter;
