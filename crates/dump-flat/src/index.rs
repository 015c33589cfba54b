//! A flattened file, read as the image that it stands for.

use crate::pieces::{Fragment, Pieces};
use crate::scan::{End, Scan};
use dump_core::{Buffer, ByteReader, Error, ErrorKind, NoWatch, Phase, ReadAt, Result, Stretch, Watch};

/// How often the watch hears of progress (bytes of the file).
const BYTES_PER_REPORT: u64 = 16 << 20;

/// The image of a flattened file, by offset.
///
/// Building it reads the header of each record once; it then holds 24 bytes for each row of equal records, and refuses
/// a file of which that would be more than a sixteenth. A read is a binary search and one read of the file for each
/// record that it touches; a view within one record is borrowed from the file.
pub struct FlatIndex<R> {
    input: R,
    pieces: Pieces,
    records: u64,
    end: End,
}

impl<R: ReadAt> FlatIndex<R> {
    /// Reads the headers of all records.
    ///
    /// A file that was cut off, or in which a record makes no sense, can be read as far as it goes: see
    /// [`truncation`](FlatIndex::truncation).
    ///
    /// # Errors
    /// `BadMagic` if it is not flattened, `Corrupt` if its first record makes no sense, `Truncated` if there is no
    /// byte of any record, `Unsupported` if it has more records than can be indexed or is of another type or
    /// version.
    pub fn read(input: R) -> Result<FlatIndex<R>> {
        FlatIndex::read_watched(input, &NoWatch)
    }

    /// As [`read`](FlatIndex::read), telling `watch` how many bytes of the file are behind.
    ///
    /// # Errors
    /// As [`read`](FlatIndex::read); `Interrupted` if the watch asks to stop.
    pub fn read_watched(input: R, watch: &dyn Watch) -> Result<FlatIndex<R>> {
        let mut scan = Scan::new(&input)?;
        let len = input.len()?;
        let mut pieces = Pieces::new(len);
        watch.begin(Phase::Spool, len);
        let records = collect(&mut scan, &mut pieces, watch);
        watch.end();
        let records = records?;
        pieces.resolve()?;
        let end = scan.end.unwrap_or(End::Marker); // always set once there are no more records
        match end.damage() {
            Some(damage) if records == 0 => Err(damage),
            _ => Ok(FlatIndex { input, pieces, records, end }),
        }
    }

    /// How many records there are, those included that later ones hide.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many bytes of the image are in a record; the others are zeros.
    pub fn covered(&self) -> u64 {
        self.pieces.covered()
    }

    /// Where and how the file was cut off, if it was: it ends without an end marker, or goes on with what is no record.
    /// What its records say can be read all the same; whatever they would have said further on is not in the image, or reads as zeros.
    pub fn truncation(&self) -> Option<Error> {
        self.end.damage()
    }

    /// The flattened file itself.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn check(&self, offset: u64, len: usize) -> Result<u64> {
        let end = offset.saturating_add(len as u64);
        let image = self.pieces.end();
        if end > image { Err(Error::truncated("a read of the flattened image", end, image)) } else { Ok(end) }
    }
}

/// Appends all records to `pieces`; returns their number.
fn collect(scan: &mut Scan<'_>, pieces: &mut Pieces, watch: &dyn Watch) -> Result<u64> {
    let (mut records, mut reported) = (0, 0);
    while let Some(data) = scan.next()? {
        let position = scan.position();
        pieces.push(data).map_err(|e| e.within(format_args!("offset {position:#x}")))?;
        records += 1;
        if position - reported >= BYTES_PER_REPORT {
            watch.advance(position - reported);
            reported = position;
            if watch.stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
        }
    }
    watch.advance(scan.position() - reported);
    Ok(records)
}

impl<R: ReadAt> ReadAt for FlatIndex<R> {
    fn len(&self) -> Result<u64> {
        Ok(self.pieces.end())
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = self.check(offset, buf.len())?;
        let mut rest = buf;
        for fragment in self.pieces.fragments(offset..end) {
            let (now, later) = rest.split_at_mut(usize::try_from(fragment.len).unwrap_or(rest.len()));
            match fragment.pos {
                Some(pos) => self.input.read_exact_at(pos, now)?,
                None => now.fill(0),
            }
            rest = later;
        }
        Ok(())
    }

    /// What no record covers is a hole.
    fn stretch_at(&self, offset: u64) -> Stretch {
        match self.pieces.fragments(offset..self.pieces.end()).next() {
            Some(Fragment { pos: None, len }) => Stretch::Hole(len),
            Some(Fragment { len, .. }) => Stretch::Data(len),
            None => Stretch::Data(u64::MAX - offset), // whoever reads there learns that it ends
        }
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        Box::new(FlatReader { index: self, input: self.input.reader(), buffer: Buffer::default() })
    }
}

/// A worker's half: borrows what lies within one record from the file, copies the rest.
struct FlatReader<'a, R> {
    index: &'a FlatIndex<R>,
    input: Box<dyn ByteReader + 'a>,
    buffer: Buffer,
}

impl<R: ReadAt> ByteReader for FlatReader<'_, R> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let end = self.index.check(offset, len)?;
        let whole = self.index.pieces.fragments(offset..end).next().filter(|fragment| fragment.len == len as u64);
        if let Some(pos) = whole.and_then(|fragment| fragment.pos) {
            return self.input.view(pos, len);
        }
        let bytes = self.buffer.take(len);
        self.index.read_exact_at(offset, bytes)?;
        Ok(bytes)
    }
}
