//! Codecs by name.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use dump::CodecId;

/// How pages are to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// Each page with this codec.
    Pages(CodecId),
}

/// The word for no codec.
const NONE: &str = "none";

/// Takes the names of all codecs, and none.
pub fn parser() -> impl TypedValueParser<Value = Codec> {
    let names = dump::codecs().map(|codec| codec.name()).chain([NONE]);
    PossibleValuesParser::new(names).map(|name| named(&name))
}

/// The codec of that name; none where there is no such codec.
pub fn named(name: &str) -> Codec {
    dump::codec(name).map_or(Codec::None, Codec::Pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["zlib", "lzo", "snappy", "zstd"] {
            assert!(matches!(named(name), Codec::Pages(codec) if codec.name() == name), "{name}");
        }
        assert_eq!(named(NONE), Codec::None);
    }
}
