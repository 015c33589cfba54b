//! Codecs by name.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use dump_core::CodecId;

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
    let names = CodecId::ALL.iter().map(|codec| codec.name()).chain([NONE]);
    PossibleValuesParser::new(names).map(|name| named(&name))
}

fn named(name: &str) -> Codec {
    CodecId::ALL.into_iter().find(|codec| codec.name() == name).map_or(Codec::None, Codec::Pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(named("zlib"), Codec::Pages(CodecId::Zlib));
        assert_eq!(named("zstd"), Codec::Pages(CodecId::Zstd));
        assert_eq!(named(NONE), Codec::None);
    }
}
