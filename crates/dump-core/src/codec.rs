//! Names of the per-page codecs; their code, and the table of them, lives with the container that uses them.

use std::fmt;
use std::hash::{Hash, Hasher};

/// How one page is compressed on its own.
#[derive(Clone, Copy)]
pub struct CodecId {
    index: u8,
    name: &'static str,
}

impl CodecId {
    /// A codec: its place in the table of codecs, below 32, and its usual name.
    pub const fn new(index: u8, name: &'static str) -> CodecId {
        CodecId { index: index & 31, name }
    }

    /// Its place in the table of codecs.
    pub fn index(self) -> usize {
        usize::from(self.index)
    }

    /// The codec's usual name.
    pub fn name(self) -> &'static str {
        self.name
    }
}

/// By place in the table alone.
impl PartialEq for CodecId {
    fn eq(&self, other: &CodecId) -> bool {
        self.index == other.index
    }
}

impl Eq for CodecId {}

impl Hash for CodecId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl fmt::Debug for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A set of codecs, such as those whose compressed pages a writer takes as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodecSet(u32);

impl CodecSet {
    /// The empty set: every page decompressed.
    pub const NONE: CodecSet = CodecSet(0);

    /// The set with `codec` in it too.
    #[must_use]
    pub const fn with(self, codec: CodecId) -> CodecSet {
        CodecSet(self.0 | 1 << codec.index)
    }

    /// Whether `codec` is in the set.
    pub const fn contains(self, codec: CodecId) -> bool {
        self.0 & (1 << codec.index) != 0
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
        let codecs = [CodecId::new(0, "a"), CodecId::new(1, "b"), CodecId::new(31, "c")];
        let set = CodecSet::from(codecs[1]).with(codecs[2]);
        assert_eq!(codecs.map(|codec| set.contains(codec)), [false, true, true]);
    }
}
