//! Decoders of one frame each. All that was decoded before damage is given out, which readers made of these libraries
//! do not do: they drop what the failing call made.

use crate::unpack::Input;
use dump_core::{Error, ErrorKind, Result};
use std::io::{self, Read};
use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

/// What decodes a frame that `Input` stands at.
pub(crate) trait Decoder<'a> {
    /// Decodes to `out`: how many bytes were made, and whether the frame goes on. Bytes may have been made before what
    /// is wrong.
    fn read(&mut self, out: &mut [u8]) -> (usize, io::Result<Goes>);

    /// The input, which stands behind the frame if that has ended.
    fn into_input(self: Box<Self>) -> Input<'a>;
}

/// Whether a frame goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    On,
    Ended,
}

/// A step of a decoder that does not read by itself: what it took, what it made, and how it goes.
struct Step {
    taken: usize,
    made: usize,
    goes: io::Result<Goes>,
}

/// Steps without any progress after which a frame will not make any more.
const IDLE_STEPS: usize = 3;

/// Steps until something was made.
fn steps(
    input: &mut Input<'_>,
    out: &mut [u8],
    mut step: impl FnMut(&[u8], &mut [u8]) -> Step,
) -> (usize, io::Result<Goes>) {
    let mut idle = 0;
    loop {
        let bytes = match input.fill() {
            Ok(bytes) => bytes,
            Err(e) => return (0, Err(e)),
        };
        let ended = bytes.is_empty();
        let Step { taken, made, goes } = step(bytes, out);
        input.consume(taken);
        idle = if taken == 0 { idle + 1 } else { 0 };
        match goes {
            Ok(Goes::On) if made == 0 && ended => return (0, Err(cut())),
            Ok(Goes::On) if made == 0 && idle < IDLE_STEPS => {}
            Ok(Goes::On) if made == 0 => return (0, Err(invalid("it makes no sense"))),
            goes => return (made, goes),
        }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends early")
}

fn invalid(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// zstd.
pub(crate) struct Zstd<'a> {
    input: Input<'a>,
    decoder: zstd::stream::raw::Decoder<'static>,
}

impl<'a> Zstd<'a> {
    pub fn new(input: Input<'a>) -> Result<Zstd<'a>> {
        Ok(Zstd { input, decoder: zstd::stream::raw::Decoder::new()? })
    }
}

impl<'a> Decoder<'a> for Zstd<'a> {
    fn read(&mut self, out: &mut [u8]) -> (usize, io::Result<Goes>) {
        steps(&mut self.input, out, |bytes, out| {
            let (mut from, mut to) = (InBuffer::around(bytes), OutBuffer::around(out));
            let left = self.decoder.run(&mut from, &mut to);
            let goes = left.map(|left| if left == 0 { Goes::Ended } else { Goes::On }).map_err(invalid);
            Step { taken: from.pos(), made: to.pos(), goes }
        })
    }

    fn into_input(self: Box<Self>) -> Input<'a> {
        self.input
    }
}

/// Deflate, in gzip's wrapping or zlib's.
pub(crate) struct Flate<'a> {
    input: Input<'a>,
    decoder: flate2::Decompress,
}

/// The largest window that deflate has, as a power of 2.
const WINDOW_BITS: u8 = 15;

impl<'a> Flate<'a> {
    pub fn gzip(input: Input<'a>) -> Flate<'a> {
        Flate { input, decoder: flate2::Decompress::new_gzip(WINDOW_BITS) }
    }

    pub fn zlib(input: Input<'a>) -> Flate<'a> {
        Flate { input, decoder: flate2::Decompress::new(true) }
    }

    /// Whether `prefix` begins a zlib stream.
    pub fn is_zlib(prefix: &[u8]) -> bool {
        let mut decoder = flate2::Decompress::new(true);
        let tried = decoder.decompress(prefix, &mut [0; 4096], flate2::FlushDecompress::None);
        tried.is_ok()
    }
}

impl<'a> Decoder<'a> for Flate<'a> {
    fn read(&mut self, out: &mut [u8]) -> (usize, io::Result<Goes>) {
        steps(&mut self.input, out, |bytes, out| {
            let (taken, made) = (self.decoder.total_in(), self.decoder.total_out());
            let status = self.decoder.decompress(bytes, out, flate2::FlushDecompress::None);
            let goes = match status {
                Ok(flate2::Status::StreamEnd) => Ok(Goes::Ended),
                Ok(_) => Ok(Goes::On),
                Err(e) => Err(invalid(e)),
            };
            let taken = difference(self.decoder.total_in(), taken);
            Step { taken, made: difference(self.decoder.total_out(), made), goes }
        })
    }

    fn into_input(self: Box<Self>) -> Input<'a> {
        self.input
    }
}

/// Memory that an xz decoder may take (bytes): more than xz -9 needs (65 MiB); what asks for more is not decompressed.
const XZ_MEMORY: u64 = 256 << 20;

/// xz.
pub(crate) struct Xz<'a> {
    input: Input<'a>,
    decoder: liblzma::stream::Stream,
}

impl<'a> Xz<'a> {
    pub fn new(input: Input<'a>) -> Result<Xz<'a>> {
        let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0);
        let decoder = decoder.map_err(|e| Error::new(ErrorKind::Io, format!("xz: {e}")))?;
        Ok(Xz { input, decoder })
    }
}

impl<'a> Decoder<'a> for Xz<'a> {
    fn read(&mut self, out: &mut [u8]) -> (usize, io::Result<Goes>) {
        steps(&mut self.input, out, |bytes, out| {
            let (taken, made) = (self.decoder.total_in(), self.decoder.total_out());
            let goes = match self.decoder.process(bytes, out, liblzma::stream::Action::Run) {
                Ok(liblzma::stream::Status::StreamEnd) => Ok(Goes::Ended),
                Ok(_) => Ok(Goes::On),
                Err(e) => Err(invalid(e)),
            };
            let taken = difference(self.decoder.total_in(), taken);
            Step { taken, made: difference(self.decoder.total_out(), made), goes }
        })
    }

    fn into_input(self: Box<Self>) -> Input<'a> {
        self.input
    }
}

/// bzip2.
pub(crate) struct Bzip2<'a> {
    input: Input<'a>,
    decoder: bzip2::Decompress,
}

impl<'a> Bzip2<'a> {
    pub fn new(input: Input<'a>) -> Bzip2<'a> {
        Bzip2 { input, decoder: bzip2::Decompress::new(false) }
    }
}

impl<'a> Decoder<'a> for Bzip2<'a> {
    fn read(&mut self, out: &mut [u8]) -> (usize, io::Result<Goes>) {
        steps(&mut self.input, out, |bytes, out| {
            let (taken, made) = (self.decoder.total_in(), self.decoder.total_out());
            let goes = match self.decoder.decompress(bytes, out) {
                Ok(bzip2::Status::StreamEnd) => Ok(Goes::Ended),
                Ok(bzip2::Status::MemNeeded) => Err(io::ErrorKind::OutOfMemory.into()),
                Ok(_) => Ok(Goes::On),
                Err(e) => Err(invalid(e)),
            };
            let taken = difference(self.decoder.total_in(), taken);
            Step { taken, made: difference(self.decoder.total_out(), made), goes }
        })
    }

    fn into_input(self: Box<Self>) -> Input<'a> {
        self.input
    }
}

/// lz4, whose decoder reads by itself. It takes an input that ends where a block should begin for the end of the frame,
/// so that the input must say whether it was asked for more than it had.
pub(crate) struct Lz4<'a> {
    decoder: lz4_flex::frame::FrameDecoder<Input<'a>>,
}

impl<'a> Lz4<'a> {
    pub fn new(input: Input<'a>) -> Lz4<'a> {
        Lz4 { decoder: lz4_flex::frame::FrameDecoder::new(input) }
    }
}

impl<'a> Decoder<'a> for Lz4<'a> {
    fn read(&mut self, out: &mut [u8]) -> (usize, io::Result<Goes>) {
        match self.decoder.read(out) {
            Ok(0) if self.decoder.get_ref().ran_dry() => (0, Err(cut())),
            Ok(0) => (0, Ok(Goes::Ended)),
            Ok(made) => (made, Ok(Goes::On)),
            Err(e) if self.decoder.get_ref().ran_dry() && e.kind() == io::ErrorKind::UnexpectedEof => (0, Err(cut())),
            Err(e) => (0, Err(e)),
        }
    }

    fn into_input(self: Box<Self>) -> Input<'a> {
        self.decoder.into_inner()
    }
}
