//! A flattened stream, written out as the file that it stands for: what makedumpfile's `-R` does.
//!
//! The stream comes from a pipe or a device, once and in order. One thread reads, another writes, in the same order, so
//! that later records overwrite earlier ones by themselves. A handful of buffers go round between them:
//!
//! ```text
//! reads ── full ──> writes       BUFFERS blocks of BYTES_PER_BLOCK bytes in all
//!   ^──── empty ──────┘
//! ```

use crate::header::{self, HEADER_LEN, PREFIX_LEN, RECORD_LEN, Record};
use crate::written::Written;
use dump_core::{Error, ErrorKind, Phase, Result, Watch, WriteAt};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes read and written at a time. Most records are shorter (makedumpfile's are 64 KiB, QEMU's 16 KiB), so this only
/// bounds the memory that a long one takes.
const BYTES_PER_BLOCK: usize = 256 << 10;

/// Pieces between reading and writing.
const BUFFERS: usize = 6;

/// What a stream turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearranged {
    /// Length of the image (bytes).
    pub len: u64,
    /// Number of records.
    pub records: u64,
    /// Bytes taken from the input, the end marker included. What follows is not read.
    pub stream_len: u64,
    /// What no record wrote below the image's end, where it begins and how long it is (bytes); none of an image in
    /// thousands of pieces. It reads as zeros, which is what a writer that leaves zeros out means by it.
    pub holes: Vec<(u64, u64)>,
}

/// Writes the image of the flattened stream `input` to `output`.
///
/// Nothing is written before the header and the first record's header have been checked: whatever else a device may
/// hold, it is refused at its first bytes. The stream ends at its marker; what follows is not looked at (a device goes
/// on). An input that ends is at its end: there is no waiting for more, for which makedumpfile takes ten minutes.
///
/// `len` is how long the input is (bytes), where that is known, for `watch`. `max_len` bounds the image (bytes): an offset is a number in the input, and a sparse file of 2^62 bytes helps
/// nobody.
///
/// # Errors
/// `BadMagic` if the input is not flattened, `Unsupported` if it is of another type or version, `Truncated` if
/// it ends before its end marker, `Corrupt` if a record makes no sense, `NoSpace` if the output is full or the
/// image would pass `max_len`, `Interrupted` if `watch` asks to stop, `Io` otherwise. All but the first two may come
/// after output was written, which is then incomplete. Messages name the offset of the stream.
pub fn rearrange(
    input: &mut dyn Read,
    len: Option<u64>,
    output: &dyn WriteAt,
    max_len: u64,
    watch: &dyn Watch,
) -> Result<Rearranged> {
    let mut stream = Stream { input, at: 0, watch };
    watch.begin(Phase::Rearrange, len.unwrap_or(0));
    let done = stream.header().and_then(|()| copy(&mut stream, output, max_len));
    watch.end();
    done
}

fn copy(stream: &mut Stream<'_>, output: &dyn WriteAt, max_len: u64) -> Result<Rearranged> {
    std::thread::scope(|scope| {
        let (full, to_write) = sync_channel(BUFFERS);
        let (emptied, empty) = channel();
        (0..BUFFERS).for_each(|_| drop(emptied.send(Vec::new()))); // the other end is still in this hand
        let writer = std::thread::Builder::new().spawn_scoped(scope, move || write(output, &to_write, &emptied));
        let Ok(writer) = writer else { return copy_alone(stream, output, max_len) };
        let mut blocks = Channels { full, empty };
        let read = read(stream, max_len, &mut blocks);
        drop(blocks);
        // what could not be written is why reading stopped, if both failed
        let image = writer.join().unwrap_or_else(|_| Err(Error::corrupt("the writing thread failed unexpectedly")))?;
        Ok(image.rearranged(read?, stream.at))
    })
}

/// The same where no thread can be started: that costs time, and not the dump.
fn copy_alone(stream: &mut Stream<'_>, output: &dyn WriteAt, max_len: u64) -> Result<Rearranged> {
    let mut alone = Alone { image: Image::on(output), spare: Vec::new() };
    let records = read(stream, max_len, &mut alone)?;
    Ok(alone.image.rearranged(records, stream.at))
}

/// Where blocks come from and go to.
trait Blocks {
    /// A buffer to fill.
    fn empty(&mut self) -> Result<Vec<u8>>;
    /// Passes a block on to be written.
    fn full(&mut self, block: Block) -> Result<()>;
}

/// To the thread that writes.
struct Channels {
    full: SyncSender<Block>,
    empty: Receiver<Vec<u8>>,
}

impl Channels {
    /// The writer's own failure is what is reported.
    fn gone() -> Error {
        Error::corrupt("the writing thread has ended")
    }
}

impl Blocks for Channels {
    fn empty(&mut self) -> Result<Vec<u8>> {
        self.empty.recv().map_err(|_| Channels::gone())
    }

    fn full(&mut self, block: Block) -> Result<()> {
        self.full.send(block).map_err(|_| Channels::gone())
    }
}

/// To the output, with one buffer.
struct Alone<'a> {
    image: Image<'a>,
    spare: Vec<u8>,
}

impl Blocks for Alone<'_> {
    fn empty(&mut self) -> Result<Vec<u8>> {
        Ok(std::mem::take(&mut self.spare))
    }

    fn full(&mut self, block: Block) -> Result<()> {
        self.image.write(block.at, &block.bytes).map_err(|e| located(block.stream_at, e))?;
        self.spare = block.bytes;
        Ok(())
    }
}

/// Bytes on their way from the stream to the image.
struct Block {
    /// Where they go.
    at: u64,
    bytes: Vec<u8>,
    /// Where in the stream they end, for messages.
    stream_at: u64,
}

/// Reads all records; returns how many.
fn read(stream: &mut Stream<'_>, max_len: u64, blocks: &mut dyn Blocks) -> Result<u64> {
    let mut records = 0;
    while let Record::Data { offset, len } = stream.record()? {
        let end = offset + len; // decoding checked that it is below 2^63
        if end > max_len {
            let what =
                format!("record of offset {offset:#x} and size {len:#x} exceeds the limit of {max_len:#x} bytes");
            return Err(located(stream.at, Error::new(ErrorKind::NoSpace, what)));
        }
        let mut at = offset;
        while at < end {
            let mut bytes = blocks.empty()?;
            let want = usize::try_from(end - at).unwrap_or(BYTES_PER_BLOCK).min(BYTES_PER_BLOCK);
            let (got, damage) = stream.data(&mut bytes, want);
            bytes.truncate(got);
            blocks.full(Block { at, bytes, stream_at: stream.at })?;
            if let Some(damage) = damage {
                return Err(damage);
            }
            at += got as u64;
        }
        records += 1;
    }
    Ok(records)
}

/// Writes what comes.
fn write<'a>(output: &'a dyn WriteAt, to_write: &Receiver<Block>, emptied: &Sender<Vec<u8>>) -> Result<Image<'a>> {
    let mut image = Image::on(output);
    for block in to_write {
        image.write(block.at, &block.bytes).map_err(|e| located(block.stream_at, e))?;
        let _ = emptied.send(block.bytes); // nobody reads any more: the last blocks
    }
    Ok(image)
}

fn located(stream_at: u64, e: Error) -> Error {
    e.within(format_args!("flattened dump: offset {stream_at:#x} of the stream"))
}

/// The output and the image on it so far.
struct Image<'a> {
    output: &'a dyn WriteAt,
    len: u64,
    written: Written,
}

impl<'a> Image<'a> {
    fn on(output: &'a dyn WriteAt) -> Image<'a> {
        Image { output, len: 0, written: Written::default() }
    }

    fn rearranged(&self, records: u64, stream_len: u64) -> Rearranged {
        Rearranged { len: self.len, records, stream_len, holes: self.written.holes() }
    }

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
        self.written.add(at, bytes.len() as u64);
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
    fn data(&mut self, buf: &mut Vec<u8>, want: usize) -> (usize, Option<Error>) {
        let from = self.at;
        buf.resize(want, 0);
        let full = self.fill(buf);
        let got = usize::try_from(self.at - from).unwrap_or(want);
        let damage = match full {
            Ok(n) if n == want => None,
            Ok(_) => Some(self.cut("within the data of a record")),
            Err(e) => Some(e),
        };
        (got, damage)
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
                Err(e) => return Err(located(self.at, e.into())),
            }
        }
        Ok(n)
    }
}
