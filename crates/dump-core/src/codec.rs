//! Names of the per-page codecs; their code lives with the container that uses them.

/// How one page is packed on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodecId {
    /// A zlib stream (RFC 1950).
    Zlib,
    /// A raw LZO1X block.
    Lzo,
    /// A raw (unframed) snappy block.
    Snappy,
    /// A zstd frame.
    Zstd,
}

impl CodecId {
    /// Every codec there is.
    pub const ALL: [CodecId; 4] = [CodecId::Zlib, CodecId::Lzo, CodecId::Snappy, CodecId::Zstd];

    /// The codec's usual name.
    pub fn name(self) -> &'static str {
        match self {
            CodecId::Zlib => "zlib",
            CodecId::Lzo => "lzo",
            CodecId::Snappy => "snappy",
            CodecId::Zstd => "zstd",
        }
    }
}

/// A set of codecs, such as those whose packed pages a writer takes as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodecSet(u8);

impl CodecSet {
    /// The empty set: every page unpacked.
    pub const NONE: CodecSet = CodecSet(0);

    /// The set with `codec` in it too.
    #[must_use]
    pub fn with(self, codec: CodecId) -> CodecSet {
        CodecSet(self.0 | 1 << codec as u8)
    }

    /// Whether `codec` is in the set.
    pub fn contains(self, codec: CodecId) -> bool {
        self.0 & (1 << codec as u8) != 0
    }
}

impl From<CodecId> for CodecSet {
    fn from(codec: CodecId) -> CodecSet {
        CodecSet::NONE.with(codec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let set = CodecSet::from(CodecId::Lzo).with(CodecId::Zstd);
        assert_eq!(CodecId::ALL.map(|c| set.contains(c)), [false, true, false, true]);
    }
}
