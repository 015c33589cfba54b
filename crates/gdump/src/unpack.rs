//! Inputs that cannot be read at random, made so: what is packed or comes from a pipe goes to a temporary file without a name.

use dump_core::{Error, ErrorKind, Phase, Result, Watch, is_zero};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Bytes unpacked at a time; a stretch of zeros as long is left a hole.
const PIECE: usize = 256 << 10;

/// How a file as a whole is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// gzip, one member or several.
    Gzip,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// lz4 frames.
    Lz4,
    /// zstd.
    Zstd,
}

impl Packing {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Bzip2 => "bzip2",
            Packing::Lz4 => "lz4",
            Packing::Zstd => "zstd",
        }
    }

    fn decoder<'a>(self, packed: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            // 256 MiB is more than xz -9 needs (65 MiB); what asks for more is not unpacked
            Packing::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(256 << 20, liblzma::stream::CONCATENATED);
                let stream = stream.map_err(|e| Error::new(ErrorKind::Io, format!("xz: {e}")))?;
                Box::new(liblzma::read::XzDecoder::new_stream(io::BufReader::new(packed), stream))
            }
            Packing::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(packed)),
            Packing::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
            // the window is bounded by the decoder's own limit, 128 MiB (--long=27)
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(packed)?),
        })
    }
}

/// What became of an input.
pub struct Spooled {
    /// Its bytes, in a file that goes with the process.
    pub file: File,
    /// How many.
    pub len: u64,
    /// Why they end early, if they do: what was unpacked before can be used.
    pub damage: Option<Error>,
}

/// Copies a stream, unpacked if it is packed, to a temporary file. `total` is how much of it there is, 0 if that is not known.
///
/// # Errors
/// Where nothing can be unpacked, or the temporary file cannot hold it.
pub fn spool(stream: impl Read, packing: Option<Packing>, total: u64, watch: &dyn Watch) -> Result<Spooled> {
    let file = tempfile::tempfile().map_err(|e| spool_error(e.into()))?;
    watch.begin(Phase::Unpack, total);
    let counted = Counted { stream, watch };
    let copied = match packing {
        Some(packing) => packing.decoder(counted).and_then(|decoder| copy(decoder, packing.name(), &file, watch)),
        None => copy(Box::new(counted), "reading", &file, watch),
    };
    watch.end();
    let (len, damage) = copied?;
    file.set_len(len).map_err(|e| spool_error(e.into()))?;
    match damage {
        Some(e) if len == 0 => Err(e),
        damage => Ok(Spooled { file, len, damage }),
    }
}

/// A stream that tells how much of it was read.
struct Counted<'a, R> {
    stream: R,
    watch: &'a dyn Watch,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.watch.advance(n as u64);
        Ok(n)
    }
}

fn copy(mut stream: Box<dyn Read + '_>, name: &str, to: &File, watch: &dyn Watch) -> Result<(u64, Option<Error>)> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let (n, damage) = fill(&mut stream, &mut piece);
        if !is_zero(&piece[..n]) {
            to.write_all_at(&piece[..n], at).map_err(|e| spool_error(e.into()))?;
        }
        at += n as u64;
        if watch.stopped() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted while the input was unpacked"));
        }
        if damage.is_some() || n < piece.len() {
            return Ok((at, damage.map(|e| Error::from(e).within(name))));
        }
    }
}

/// Reads until `piece` is full or the stream ends; says why, where it ends in an error.
pub fn fill(stream: &mut dyn Read, piece: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut n = 0;
    while n < piece.len() {
        match stream.read(&mut piece[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (n, Some(e)),
        }
    }
    (n, None)
}

fn spool_error(e: Error) -> Error {
    let dir = std::env::temp_dir();
    e.within(format_args!("unpacking to {}", dir.display()))
        .hint("set TMPDIR to a directory with room for the unpacked dump")
}
