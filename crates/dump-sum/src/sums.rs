//! Checksums of a file.

use blake3::{Hash, Hasher};
use dump_core::{ByteReader, Error, ErrorKind, ReadAt, Result};
use std::fmt::Write;
use std::ops::Range;

/// First line of a file of checksums.
const TITLE: &str = "gdump checksums, version 1";

/// Bytes of a block: few enough to name damage closely, and of a TiB the checksums are 65 MiB.
pub(crate) const BLOCK: u64 = 1 << 20;

/// Bytes of a block that are accepted in a file of checksums.
const BLOCKS: Range<u64> = 4096..(1 << 30) + 1;

/// Checksums of a file's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    block: u64,
    len: u64,
    hashes: Vec<Hash>,
}

/// The hash of a block's bytes.
pub fn block_hash(bytes: &[u8]) -> Hash {
    blake3::hash(bytes)
}

impl Sums {
    pub(crate) fn new(len: u64, hashes: Vec<Hash>) -> Sums {
        Sums { block: BLOCK, len, hashes }
    }

    /// As text, in the form that [`parse`](Sums::parse) reads.
    pub fn to_text(&self) -> String {
        let body = self.body();
        let whole = blake3::hash(body.as_bytes());
        let (facts, hashes) = body.split_at(self.facts().len());
        format!("{TITLE}\nhash blake3\n{facts}whole {whole}\n{hashes}")
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// `BadMagic` if it is none, `Unsupported` if it is of another version, `Corrupt` if it is damaged itself.
    pub fn parse(text: &str) -> Result<Sums> {
        let mut lines = text.lines();
        match lines.next() {
            Some(TITLE) => {}
            Some(other) if other.starts_with("gdump checksums, version ") => {
                return Err(Error::unsupported(format!("{other:?}, expected {TITLE:?}")));
            }
            _ => return Err(Error::new(ErrorKind::BadMagic, "not a file of checksums")),
        }
        let mut value = |key: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(key)?.strip_prefix(' '));
            line.ok_or_else(|| Error::corrupt(format!("checksums: no line \"{key}\"")))
        };
        let number = |text: &str| text.parse().map_err(|_| Error::corrupt(format!("checksums: {text:?} is no number")));
        let hash =
            |text: &str| Hash::from_hex(text).map_err(|_| Error::corrupt(format!("checksums: {text:?} is no hash")));
        let kind = value("hash")?;
        if kind != "blake3" {
            return Err(Error::unsupported(format!("checksums of kind {kind:?}, expected \"blake3\"")));
        }
        let (block, len): (u64, u64) = (number(value("block")?)?, number(value("length")?)?);
        let whole = hash(value("whole")?)?;
        if !BLOCKS.contains(&block) {
            return Err(Error::corrupt(format!("checksums: blocks of {block} bytes")));
        }
        let hashes: Vec<Hash> = lines.map(hash).collect::<Result<_>>()?;
        let sums = Sums { block, len, hashes };
        if sums.hashes.len() as u64 != len.div_ceil(block) || blake3::hash(sums.body().as_bytes()) != whole {
            return Err(Error::corrupt("the checksums are damaged themselves: they do not give the hash of the whole"));
        }
        Ok(sums)
    }

    /// How long the file is (bytes).
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// The blocks, as ranges of the file (bytes), with what their bytes hash to.
    pub fn blocks(&self) -> impl Iterator<Item = (Range<u64>, &Hash)> + Send {
        let (block, len) = (self.block, self.len);
        (0..).zip(&self.hashes).map(move |(i, hash): (u64, _)| (i * block..((i + 1) * block).min(len), hash))
    }

    /// Whether the bytes of one of the [`blocks`](Sums::blocks) are those of `input`; not, where they cannot be read.
    pub fn holds(input: &mut dyn ByteReader, (range, hash): (Range<u64>, &Hash)) -> bool {
        let bytes = input.view(range.start, (range.end - range.start) as usize);
        bytes.is_ok_and(|bytes| block_hash(bytes) == *hash)
    }

    /// Ranges of `input` that are not as they were when the checksums were made, one after the other.
    ///
    /// # Errors
    /// If its length cannot be had.
    pub fn damaged(&self, input: &dyn ReadAt) -> Result<Vec<Range<u64>>> {
        let mut reader = input.reader();
        let mut damaged: Vec<Range<u64>> = Vec::new();
        for (range, hash) in self.blocks() {
            if Sums::holds(reader.as_mut(), (range.clone(), hash)) {
                continue;
            }
            match damaged.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => damaged.push(range),
            }
        }
        let len = input.len()?;
        if len > self.len {
            damaged.push(self.len..len);
        }
        Ok(damaged)
    }

    fn facts(&self) -> String {
        format!("block {}\nlength {}\n", self.block, self.len)
    }

    fn body(&self) -> String {
        let mut text = self.facts();
        for hash in &self.hashes {
            let _ = writeln!(text, "{hash}");
        }
        text
    }
}

/// Hashes a block a piece at a time.
pub(crate) type BlockHasher = Hasher;

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> Sums {
        Sums::new(BLOCK + 5, vec![block_hash(&[1]), block_hash(&[2])])
    }

    #[test]
    fn text_and_back() {
        assert_eq!(Sums::parse(&sums().to_text()).unwrap(), sums());
        assert_eq!(Sums::parse(&Sums::new(0, Vec::new()).to_text()).unwrap().file_len(), 0);
    }

    #[test]
    fn damaged_checksums_are_said_to_be() {
        let text = sums().to_text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(other) = String::from_utf8(bytes) {
                assert!(Sums::parse(&other).is_err(), "{at}: {other}");
            }
        }
        assert!(Sums::parse(&text[..text.len() - 65]).is_err());
    }
}
