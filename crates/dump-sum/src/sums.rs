//! Checksums of a file.

use blake3::{Hash, Hasher};
use dump_core::{ByteReader, Error, ErrorKind, ReadAt, Result};
use std::fmt::Write;
use std::ops::Range;
use std::str::Lines;

/// First line of a file of checksums.
const TITLE: &str = "gdump checksums, version 1";

/// What the first line begins with in every version.
const ANY_TITLE: &str = "gdump checksums, version ";

/// The lines before those of the blocks are shorter (bytes).
const HEAD: u64 = 512;

/// A block's line: 64 digits and the end of the line (bytes).
const LINE: u64 = 65;

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

/// The hash of all bytes of `file`: what `b3sum` prints for it.
///
/// # Errors
/// If it cannot be read.
pub fn file_hash(file: &dyn ReadAt) -> Result<Hash> {
    let (len, mut reader, mut hasher) = (file.len()?, file.reader(), Hasher::new());
    for at in (0..len).step_by(BLOCK as usize) {
        hasher.update(reader.view(at, (len - at).min(BLOCK) as usize)?);
    }
    Ok(hasher.finalize())
}

impl Sums {
    pub(crate) fn new(len: u64, hashes: Vec<Hash>) -> Sums {
        Sums { block: BLOCK, len, hashes }
    }

    /// Those of `file` as it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(file: &dyn ReadAt) -> Result<Sums> {
        let (len, mut reader) = (file.len()?, file.reader());
        let mut hash = |at: u64| Ok(block_hash(reader.view(at, (len - at).min(BLOCK) as usize)?));
        let hashes = (0..len).step_by(BLOCK as usize).map(&mut hash).collect::<Result<_>>()?;
        Ok(Sums::new(len, hashes))
    }

    /// As text, in the form that [`parse`](Sums::parse) reads.
    pub fn to_text(&self) -> String {
        let body = self.body();
        let whole = blake3::hash(body.as_bytes());
        let (facts, hashes) = body.split_at(self.facts().len());
        format!("{TITLE}\nhash blake3\n{facts}whole {whole}\n{hashes}")
    }

    /// Whether a file that begins with `head` has checksums of any version, or is what is left of one: nothing, say.
    pub fn are_begun(head: &[u8]) -> bool {
        head.starts_with(ANY_TITLE.as_bytes()) || ANY_TITLE.as_bytes().starts_with(head)
    }

    /// Reads the checksums in `file`. Of a file that has none, or is not as long as its first lines say, no more than
    /// those are read.
    ///
    /// # Errors
    /// As [`parse`](Sums::parse); if it cannot be read.
    pub fn read(file: &dyn ReadAt) -> Result<Sums> {
        let len = file.len()?;
        let mut head = vec![0; len.min(HEAD) as usize];
        file.read_exact_at(0, &mut head)?;
        let expected = Facts::parse(&mut String::from_utf8_lossy(&head).lines())?.text_len();
        if expected != len {
            return Err(Error::corrupt(format!("checksums: a file of {len} bytes, expected {expected}")));
        }
        let mut text = vec![0; len as usize];
        file.read_exact_at(0, &mut text)?;
        Sums::parse(&String::from_utf8_lossy(&text))
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// `BadMagic` if it is none, `Unsupported` if it is of another version, `Corrupt` if it is damaged itself.
    pub fn parse(text: &str) -> Result<Sums> {
        let mut lines = text.lines();
        let Facts { block, len, whole } = Facts::parse(&mut lines)?;
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

/// What stands before the blocks' lines.
struct Facts {
    block: u64,
    len: u64,
    whole: Hash,
}

impl Facts {
    fn parse(lines: &mut Lines<'_>) -> Result<Facts> {
        let title = lines.next().ok_or_else(|| Error::corrupt("checksums: an empty file, expected their title"))?;
        let is_all = lines.clone().next().is_none();
        match title {
            TITLE => {}
            begun if is_all && !begun.is_empty() && TITLE.starts_with(begun) => {
                return Err(Error::corrupt("checksums: their title is cut off"));
            }
            other if other.starts_with(ANY_TITLE) => {
                return Err(Error::unsupported(format!("{other:?}, expected {TITLE:?}")));
            }
            _ => return Err(Error::new(ErrorKind::BadMagic, "not a file of checksums")),
        }
        let mut value = |key: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(key)?.strip_prefix(' '));
            line.ok_or_else(|| Error::corrupt(format!("checksums: no line \"{key}\"")))
        };
        let kind = value("hash")?;
        if kind != "blake3" {
            return Err(Error::unsupported(format!("checksums of kind {kind:?}, expected \"blake3\"")));
        }
        let (block, len) = (number(value("block")?)?, number(value("length")?)?);
        let whole = hash(value("whole")?)?;
        if !BLOCKS.contains(&block) {
            return Err(Error::corrupt(format!("checksums: blocks of {block} bytes")));
        }
        Ok(Facts { block, len, whole })
    }

    /// How long the whole text is (bytes).
    fn text_len(&self) -> u64 {
        let none = Sums { block: self.block, len: self.len, hashes: Vec::new() };
        none.to_text().len() as u64 + self.len.div_ceil(self.block).saturating_mul(LINE)
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::corrupt(format!("checksums: {text:?} is no number")))
}

fn hash(text: &str) -> Result<Hash> {
    Hash::from_hex(text).map_err(|_| Error::corrupt(format!("checksums: {text:?} is no hash")))
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
    fn a_file_is_hashed_as_b3sum_does() {
        for len in [0, 1, BLOCK as usize, 2 * BLOCK as usize + 7] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            assert_eq!(file_hash(&bytes).unwrap(), blake3::hash(&bytes), "{len}");
            let sums = Sums::of(&bytes).unwrap();
            assert_eq!((sums.file_len(), sums.damaged(&bytes).unwrap()), (len as u64, vec![]), "{len}");
            assert_eq!(Sums::parse(&sums.to_text()).unwrap(), sums, "{len}");
        }
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

    /// What is there of a file that is cut off at any byte is known for what it is.
    #[test]
    fn cut_off_checksums_are_known() {
        let text = sums().to_text().into_bytes();
        assert_eq!(Sums::read(&text).unwrap(), sums());
        for len in 0..text.len() {
            let cut = text[..len].to_vec();
            assert!(Sums::are_begun(&cut), "{len}");
            assert_ne!(Sums::read(&cut).unwrap_err().kind(), ErrorKind::BadMagic, "{len}: nobody else's");
        }
        let other = b"d41d8cd98f00b204e9800998ecf8427e  vmcore\n".to_vec();
        assert!(!Sums::are_begun(&other));
        assert_eq!(Sums::read(&other).unwrap_err().kind(), ErrorKind::BadMagic);
    }
}
