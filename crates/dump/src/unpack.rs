//! A stream without its compression: frame after frame, and what stands behind the last.

use crate::compression::{Compression, skippable};
use crate::decoder::{Decoder, Goes};
use dump_core::{Error, PROBE_BYTES, Result, system_text};
use std::io::{self, Read};

/// Bytes read at a time.
const BYTES_PER_READ: usize = 128 << 10;

/// Zeros behind the last frame that are looked at (bytes): a device goes on, and whatever lies further there belongs to
/// nobody.
const PADDING_LOOKED_AT: u64 = 1 << 30;

/// The bytes that `stream` holds, without its compression if it is compressed. Of damage, [`Read::read`] says what and
/// where once all that could be decoded was read; bytes behind the last frame count as such, unless they are zeros.
/// Of a stream that is not compressed no more is taken than is read.
///
/// # Errors
/// If the start cannot be read, or a decoder cannot be set up.
pub fn unpacked<'a>(stream: impl Read + 'a) -> Result<UnpackedStream<'a>> {
    let mut input = Input::new(stream);
    match Compression::probe(input.peek(PROBE_BYTES)?) {
        Some(row) => Ok(UnpackedStream { inner: Box::new(Unpacked::new(input, row)), was_packed: true }),
        None => Ok(UnpackedStream { inner: Box::new(Plain(input)), was_packed: false }),
    }
}

/// A stream that may have been compressed; see [`unpacked`].
pub struct UnpackedStream<'a> {
    inner: Box<dyn Read + 'a>,
    was_packed: bool,
}

impl UnpackedStream<'_> {
    /// Whether it was compressed, so that it is longer than what it is made of.
    pub fn was_packed(&self) -> bool {
        self.was_packed
    }
}

impl Read for UnpackedStream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.inner.read(out)
    }
}

/// A stream as it is.
struct Plain<'a>(Input<'a>);

impl Read for Plain<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0.start < self.0.buffer.len() { self.0.read(out) } else { self.0.stream.read(out) }
    }
}

/// A stream that can be looked at before it is read.
pub(crate) struct Input<'a> {
    stream: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// Where what was not taken yet begins in the buffer.
    start: usize,
    /// How many bytes were taken in all.
    taken: u64,
    ended: bool,
    ran_dry: bool,
}

impl<'a> Input<'a> {
    pub fn new(stream: impl Read + 'a) -> Input<'a> {
        Input { stream: Box::new(stream), buffer: Vec::new(), start: 0, taken: 0, ended: false, ran_dry: false }
    }

    /// The next bytes, `len` of them unless the stream ends before. They are not taken.
    ///
    /// # Errors
    /// As reading.
    pub fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < len && !self.ended {
            self.more(len - (self.buffer.len() - self.start))?;
        }
        let rest = &self.buffer[self.start..];
        Ok(&rest[..rest.len().min(len)])
    }

    /// Bytes that were read and not taken yet; none only at the end.
    ///
    /// # Errors
    /// As reading.
    pub fn fill(&mut self) -> io::Result<&[u8]> {
        if self.start == self.buffer.len() && !self.ended {
            self.more(BYTES_PER_READ)?;
        }
        Ok(&self.buffer[self.start..])
    }

    /// Takes `len` bytes of those that [`fill`](Input::fill) showed.
    pub fn consume(&mut self, len: usize) {
        let len = len.min(self.buffer.len() - self.start);
        self.start += len;
        self.taken += len as u64;
    }

    /// Whether it was read where it had ended.
    pub fn ran_dry(&self) -> bool {
        self.ran_dry
    }

    /// Reads on, up to `len` bytes behind what was not taken.
    fn more(&mut self, len: usize) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let from = self.buffer.len();
        self.buffer.resize(from + len, 0);
        let read = loop {
            match self.stream.read(&mut self.buffer[from..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(from + read.as_ref().map_or(0, |n| *n));
        self.ended = read? == 0;
        Ok(())
    }

    /// Takes `len` bytes; returns whether there are as many.
    fn pass_over(&mut self, len: u64) -> io::Result<bool> {
        let mut left = len;
        while left > 0 {
            let there = self.fill()?.len();
            if there == 0 {
                return Ok(false);
            }
            let now = there.min(usize::try_from(left).unwrap_or(there));
            self.consume(now);
            left -= now as u64;
        }
        Ok(true)
    }

    /// Takes zeros, as many as there are or are looked at; returns how many.
    fn pass_over_zeros(&mut self) -> io::Result<u64> {
        let mut zeros = 0;
        while zeros < PADDING_LOOKED_AT {
            let bytes = self.fill()?;
            let here = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
            let more = here > 0 && here == bytes.len();
            self.consume(here);
            zeros += here as u64;
            if !more {
                break;
            }
        }
        Ok(zeros)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill()?;
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        self.ran_dry |= n == 0 && !out.is_empty();
        Ok(n)
    }
}

/// What the frames of a stream hold.
pub(crate) struct Unpacked<'a> {
    row: &'static Compression,
    state: State<'a>,
    /// Where the frame begins, or the last one did.
    frame_at: u64,
}

enum State<'a> {
    /// Before a frame, or behind the last.
    Between(Input<'a>),
    Within(Box<dyn Decoder<'a> + 'a>),
    /// Nothing more comes but this, once.
    Damaged(io::Error),
    Ended,
}

impl<'a> Unpacked<'a> {
    /// Of a stream of frames of `row`.
    pub fn new(input: Input<'a>, row: &'static Compression) -> Unpacked<'a> {
        Unpacked { row, state: State::Between(input), frame_at: 0 }
    }

    /// What follows a frame; the first frame as well.
    fn next(&mut self, mut input: Input<'a>) -> io::Result<State<'a>> {
        loop {
            let at = input.taken;
            let prefix = input.peek(PROBE_BYTES)?;
            if prefix.is_empty() {
                return Ok(State::Ended);
            }
            if self.row.begins_frame(prefix) {
                self.frame_at = at;
                let decoder = (self.row.decoder)(input).map_err(io::Error::other)?;
                return Ok(State::Within(decoder));
            }
            match skippable(prefix).filter(|_| self.row.skippable) {
                Some(len) if input.pass_over(len)? => {}
                Some(_) => {
                    self.frame_at = at;
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends early"));
                }
                None => return self.padding(input),
            }
        }
    }

    /// What stands where no frame begins.
    fn padding(&self, mut input: Input<'a>) -> io::Result<State<'a>> {
        let zeros = input.pass_over_zeros()?;
        let at = input.taken;
        let prefix = input.peek(PROBE_BYTES)?;
        if prefix.is_empty() || zeros >= PADDING_LOOKED_AT {
            return Ok(State::Ended);
        }
        if self.row.padded && zeros > 0 && zeros % 4 == 0 && self.row.begins_frame(prefix) {
            return Ok(State::Between(input));
        }
        let what = format!("what follows it, at offset {at:#x}, is neither another frame nor padding");
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// Says where something is wrong.
    fn located(&self, e: &io::Error) -> io::Error {
        let (name, at, text) = (self.row.name, self.frame_at, system_text(e));
        io::Error::new(e.kind(), format!("{name}: frame at offset {at:#x}: {text}"))
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Between(input) => match self.next(input) {
                    Ok(state) => self.state = state,
                    Err(e) => return Err(self.located(&e)),
                },
                State::Within(mut decoder) => {
                    let (made, goes) = decoder.read(out);
                    self.state = match goes {
                        Ok(Goes::On) => State::Within(decoder),
                        Ok(Goes::Ended) => State::Between(decoder.into_input()),
                        Err(e) => State::Damaged(self.located(&e)),
                    };
                    if made > 0 {
                        return Ok(made);
                    }
                }
                State::Damaged(e) => return Err(e),
                State::Ended => return Ok(0),
            }
        }
    }
}

/// A failure of a stream as what it is: damage of the input has kinds of its own.
pub(crate) fn damage(e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::InvalidData => Error::corrupt(e.to_string()),
        _ => e.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const NAMES: [&str; 6] = ["zstd", "gzip", "xz", "bzip2", "lz4", "zlib"];

    fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match name {
            "zstd" => {
                let mut to = zstd::stream::Encoder::new(&mut out, 1).unwrap();
                to.include_checksum(true).unwrap(); // as zstd does
                to.write_all(bytes).unwrap();
                to.finish().unwrap();
            }
            "gzip" => {
                let mut to = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
                to.write_all(bytes).unwrap();
                to.finish().unwrap();
            }
            "zlib" => {
                let mut to = flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::fast());
                to.write_all(bytes).unwrap();
                to.finish().unwrap();
            }
            "xz" => {
                let mut to = liblzma::write::XzEncoder::new(&mut out, 1);
                to.write_all(bytes).unwrap();
                to.finish().unwrap();
            }
            "bzip2" => {
                let mut to = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::fast());
                to.write_all(bytes).unwrap();
                to.finish().unwrap();
            }
            _ => {
                // as lz4 does; in small blocks, for what is not whole is nothing, and how well one is packed depends on the
                // words of the host
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
                let info = info.block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut to = lz4_flex::frame::FrameEncoder::with_frame_info(info, &mut out);
                to.write_all(bytes).unwrap();
                to.finish().unwrap();
            }
        }
        out
    }

    /// Bytes that do not compress to nothing.
    fn bytes(len: u32) -> Vec<u8> {
        (0..len).map(|i| (i.wrapping_mul(0x9e37_79b9) >> (i % 13)) as u8 & 0x3f).collect()
    }

    /// Gives out few bytes at a time, as pipes do.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    /// What can be had of a stream, and what is wrong with it.
    fn unpack(stream: &[u8], step: usize) -> (Vec<u8>, Option<String>) {
        let mut from = unpacked(Dribble(stream, step)).unwrap();
        let (mut out, mut piece) = (Vec::new(), vec![0; 70_000]);
        loop {
            match from.read(&mut piece) {
                Ok(0) => return (out, None),
                Ok(n) => out.extend_from_slice(&piece[..n]),
                Err(e) => {
                    assert_eq!(from.read(&mut piece).unwrap(), 0, "once is enough");
                    return (out, Some(e.to_string()));
                }
            }
        }
    }

    #[test]
    fn frames_one_after_the_other_are_one_stream() {
        let (one, two) = (bytes(150_000), bytes(9));
        for name in NAMES {
            let stream = [packed(name, &one), packed(name, &two), packed(name, b""), packed(name, &one)].concat();
            let want = [&one[..], &two, &one].concat();
            for step in [1 << 20, 1001] {
                assert!(unpack(&stream, step) == (want.clone(), None), "{name}");
            }
        }
    }

    #[test]
    fn frames_to_be_passed_over() {
        let skip = b"\x5a\x2a\x4d\x18\x05\0\0\0hello";
        for name in ["zstd", "lz4"] {
            let frame = packed(name, b"what there is");
            let stream = [&skip[..], &frame, skip, skip, &frame, skip].concat();
            assert_eq!(unpack(&stream, 7), (b"what there iswhat there is".to_vec(), None), "{name}");
            let (bytes, damage) = unpack(&stream[..stream.len() - 1], 1000);
            assert!(bytes.len() == 26 && damage.unwrap().contains("it ends early"), "{name}");
        }
        let (bytes, damage) = unpack(&[&packed("gzip", b"what")[..], skip].concat(), 1000);
        assert!(bytes == b"what" && damage.unwrap().contains("neither another frame nor padding"));
    }

    #[test]
    fn what_stands_behind_the_last_frame() {
        let memory = bytes(300_000);
        for name in NAMES {
            let frame = packed(name, &memory);
            for zeros in [1, 4, 16, 5000, 300_000] {
                let padded = [&frame[..], &vec![0; zeros]].concat();
                assert!(unpack(&padded, 100_000) == (memory.clone(), None), "{name} {zeros}");
                let (found, damage) = unpack(&[&padded[..], b"garbage"].concat(), 100_000);
                let says = format!("{name}: frame at offset 0x0: what follows it, at offset {:#x}", padded.len());
                assert!(found == memory && damage.unwrap().contains(&says), "{name} {zeros}");
                // only xz has padding between streams, of a multiple of four
                let (found, damage) = unpack(&[&padded[..], &frame].concat(), 100_000);
                let both = name == "xz" && zeros % 4 == 0;
                assert_eq!((found.len(), damage.is_none()), (if both { 600_000 } else { 300_000 }, both), "{name}");
            }
            for garbage in [&b"sixteen bytes..."[..], b"\x1f", b"BZ"] {
                let (found, damage) = unpack(&[&frame[..], garbage].concat(), 100_000);
                assert!(found == memory && damage.is_some(), "{name} {garbage:?}");
            }
        }
    }

    /// Cut anywhere, it is said, and what came before is there.
    #[test]
    fn cut_streams() {
        let memory = bytes(20_000);
        for name in NAMES {
            let whole = packed(name, &memory);
            let most = (1..whole.len()).rev().step_by(41).map(|cut| {
                let (found, damage) = unpack(&[&whole[..], &whole[..cut]].concat(), 5000);
                assert!(found[..20_000] == memory && found.len() <= 40_000, "{name} {cut}");
                assert!(found[20_000..] == memory[..found.len() - 20_000], "{name} {cut}");
                assert!(damage.is_some_and(|text| text.contains("offset 0x")), "{name} {cut}");
                found.len()
            });
            assert!(most.max().unwrap() > 20_000 || ["zstd", "bzip2", "lz4"].contains(&name), "{name}");
        }
    }

    /// What the failing call had made is not lost.
    #[test]
    fn what_comes_before_damage_is_given_out() {
        let memory = bytes(400_000);
        for (name, least) in [("gzip", 150_000), ("zlib", 150_000), ("lz4", 64 << 10), ("zstd", 128 << 10)] {
            let mut stream = packed(name, &memory);
            let middle = stream.len() / 2;
            stream[middle..middle + 64].fill(0xff);
            let (found, damage) = unpack(&stream, 1 << 20);
            let same = found.iter().zip(&memory).take_while(|(a, b)| a == b).count();
            assert!(damage.is_some() && same >= least, "{name}: {same} of {}", found.len());
        }
    }

    #[test]
    fn what_is_not_packed_is_passed_on() {
        for text in [&b""[..], b"KDUMP", &bytes(200_000)] {
            assert!(unpack(text, 999) == (text.to_vec(), None));
        }
    }
}
