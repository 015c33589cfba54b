//! A flattened stream, written out as the file that it stands for: what makedumpfile's `-R` does.
//!
//! The stream comes from a pipe or a device, once and in order; each piece of data goes to its place at once, so the
//! memory needed is one buffer, and later records overwrite earlier ones by themselves.

use crate::header::{self, HEADER_LEN, PREFIX_LEN, RECORD_LEN, Record};
use dump_core::{Error, ErrorKind, Phase, Result, Watch, WriteAt};
use std::io::{self, Read};

/// Bytes read and written at a time. Most records are shorter (makedumpfile's are 64 KiB, QEMU's 16 KiB), so this only
/// bounds the memory that a long one takes.
const PIECE: usize = 1 << 20;

/// What a stream turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rearranged {
    /// Length of the image (bytes).
    pub len: u64,
    /// Number of records.
    pub records: u64,
    /// Bytes taken from the input, the end marker included. What follows is not read.
    pub stream_len: u64,
}

/// Writes the image of the flattened stream `input` to `output`.
///
/// Nothing is written before the header and the first record's header have been checked: whatever else a device may
/// hold, it is refused at its first bytes. The stream ends at its marker; what follows is not looked at (a device goes
/// on). An input that ends is at its end: there is no waiting for more, for which makedumpfile takes ten minutes.
///
/// `max_len` bounds the image (bytes): an offset is a number in the input, and a sparse file of 2^62 bytes helps
/// nobody.
///
/// # Errors
/// `BadMagic` where the input is not flattened, `Unsupported` where it is of another type or version, `Truncated` where
/// it ends before its end marker, `Corrupt` where a record makes no sense, `NoSpace` where the output is full or the
/// image would pass `max_len`, `Interrupted` where `watch` asks to stop, `Io` otherwise. All but the first two may come
/// after output was written, which is then incomplete. Messages name the offset of the stream.
pub fn rearrange(input: &mut dyn Read, output: &dyn WriteAt, max_len: u64, watch: &dyn Watch) -> Result<Rearranged> {
    let mut stream = Stream { input, at: 0, watch };
    watch.begin(Phase::Unpack, 0);
    let done = stream.header().and_then(|()| copy(&mut stream, output, max_len));
    watch.end();
    done
}

fn copy(stream: &mut Stream<'_>, output: &dyn WriteAt, max_len: u64) -> Result<Rearranged> {
    let mut buf = vec![0; PIECE];
    let mut image = Image { output, len: 0 };
    let mut records = 0;
    while let Record::Data { offset, len } = stream.record()? {
        let end = offset + len; // decoding checked that it is below 2^63
        if end > max_len {
            let what = format!("record of offset {offset:#x} and size {len:#x} passes the limit of {max_len:#x} bytes");
            return Err(stream.located(Error::new(ErrorKind::NoSpace, what)));
        }
        let mut at = offset;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let (got, damage) = stream.data(&mut buf, want);
            image.write(at, buf.get(..got).unwrap_or_default()).map_err(|e| stream.located(e))?;
            if let Some(damage) = damage {
                return Err(damage);
            }
            at += got as u64;
        }
        records += 1;
    }
    Ok(Rearranged { len: image.len, records, stream_len: stream.at })
}

/// The output and how long the image on it is so far.
struct Image<'a> {
    output: &'a dyn WriteAt,
    len: u64,
}

impl Image<'_> {
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if at > self.len {
            // No record may ever come for what lies between, and a device would keep what it held.
            self.output.zeros(self.len, at - self.len)?;
        }
        self.output.write_at(at, bytes)?;
        self.len = self.len.max(at + bytes.len() as u64);
        Ok(())
    }
}

/// The input and how much of it was read.
struct Stream<'a> {
    input: &'a mut dyn Read,
    at: u64,
    watch: &'a dyn Watch,
}

impl Stream<'_> {
    /// Reads the stream's header; its first bytes first, so that a pipe that brings something else need not bring 4096.
    fn header(&mut self) -> Result<()> {
        let mut header = [0; HEADER_LEN];
        let (prefix, rest) = header.split_at_mut(PREFIX_LEN);
        let n = self.fill(prefix)?;
        header::check(prefix.get(..n).unwrap_or_default())?;
        if self.fill(rest)? < rest.len() {
            return Err(Error::truncated("flattened dump: header", HEADER_LEN as u64, self.at));
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Record> {
        let at = self.at;
        let mut header = [0; RECORD_LEN];
        match self.fill(&mut header)? {
            RECORD_LEN => Record::decode(&header, at),
            0 => Err(self.cut("without an end marker")),
            _ => Err(self.cut("within the header of a record")),
        }
    }

    /// Reads `want` bytes of data; fewer where the stream fails or ends, and then why.
    fn data(&mut self, buf: &mut [u8], want: usize) -> (usize, Option<Error>) {
        let from = self.at;
        let buf = buf.get_mut(..want).unwrap_or_default();
        let full = self.fill(buf);
        let got = usize::try_from(self.at - from).unwrap_or(want);
        let damage = match full {
            Ok(n) if n == want => None,
            Ok(_) => Some(self.cut("within the data of a record")),
            Err(e) => Some(e),
        };
        (got, damage)
    }

    fn located(&self, e: Error) -> Error {
        e.within(format_args!("flattened dump: offset {:#x} of the stream", self.at))
    }

    fn cut(&self, how: &str) -> Error {
        let what = format!("flattened dump: the stream ends at offset {:#x}, {how}", self.at);
        Error::new(ErrorKind::Truncated, what)
    }

    /// Reads until `buf` is full or the input ends; returns how much there was.
    fn fill(&mut self, buf: &mut [u8]) -> Result<usize> {
        let mut n = 0;
        while let Some(rest) = buf.get_mut(n..).filter(|rest| !rest.is_empty()) {
            if self.watch.stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(more) => {
                    n += more;
                    self.at += more as u64;
                    self.watch.advance(more as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.located(e.into())),
            }
        }
        Ok(n)
    }
}
