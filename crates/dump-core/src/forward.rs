//! Bytes by offset, written as they are to what cannot seek: a pipe.

use crate::bytes::WriteAt;
use crate::error::{Error, ErrorKind, Result};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Zeros are written so many at a time (bytes).
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// An output for formats whose bytes [come in the order of their offsets](crate::Abilities::FORWARD): what lies between
/// two writes is zeros.
///
/// What is placed behind the end of what was written is refused. An output that failed takes nothing more.
pub struct ForwardStream<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    /// Bytes written.
    at: u64,
    /// How far zeros were asked for.
    asked: u64,
    broken: Option<ErrorKind>,
}

impl<W: Write + Send> ForwardStream<W> {
    /// A stream to `out`.
    pub fn new(out: W) -> ForwardStream<W> {
        ForwardStream { state: Mutex::new(State { out, at: 0, asked: 0, broken: None }) }
    }

    /// Flushes, and makes the stream reach as far as zeros were asked for where it is `whole`: one that is not ends where
    /// its bytes do, so that nobody takes what is missing for zeros.
    ///
    /// # Errors
    /// `NoSpace` or `Io` if the output fails now or failed before.
    pub fn finish(&self, whole: bool) -> Result<()> {
        let mut state = self.lock();
        if whole {
            let asked = state.asked;
            state.fill(asked)?;
        }
        state.attempt(|out| out.flush())
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> WriteAt for ForwardStream<W> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.lock();
        if offset < state.at {
            let text = format!("bytes for offset {offset:#x} of a stream that is at {:#x}", state.at);
            return Err(Error::unsupported(text));
        }
        state.fill(offset)?;
        state.put(bytes)
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let mut state = self.lock();
        state.asked = state.asked.max(offset.saturating_add(len));
        Ok(())
    }

    fn can_rewrite(&self) -> bool {
        false
    }
}

impl<W: Write> State<W> {
    fn fill(&mut self, up_to: u64) -> Result<()> {
        while self.at < up_to {
            let len = (up_to - self.at).min(ZEROS.len() as u64) as usize;
            self.put(&ZEROS[..len])?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.attempt(|out| out.write_all(bytes))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn attempt(&mut self, write: impl FnOnce(&mut W) -> std::io::Result<()>) -> Result<()> {
        if let Some(kind) = self.broken {
            return Err(Error::new(kind, format!("cut off after {:#x} bytes by an earlier failure", self.at)));
        }
        write(&mut self.out).map_err(|e| {
            let e = Error::from(e).within(format_args!("offset {:#x} of the stream", self.at));
            self.broken = Some(e.kind());
            e
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_is_zeros_and_nothing_goes_back() {
        let mut out = Vec::new();
        let stream = ForwardStream::new(&mut out);
        stream.zeros(0, 12).unwrap();
        stream.write_at(1, b"ab").unwrap();
        // a writer may say what was zeros after the data above it
        stream.write_at(5, b"c").unwrap();
        stream.zeros(3, 2).unwrap();
        assert_eq!(stream.write_at(0, b"x").unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(!stream.can_rewrite());
        stream.finish(false).unwrap();
        stream.finish(true).unwrap();
        assert_eq!(out, b"\0ab\0\0c\0\0\0\0\0\0");
    }

    #[test]
    fn a_stream_that_failed_takes_nothing_more() {
        let mut room = [0; 4];
        let stream = ForwardStream::new(&mut room[..]);
        stream.write_at(0, b"ab").unwrap();
        assert!(stream.write_at(2, b"cde").is_err());
        let e = stream.write_at(9, b"f").unwrap_err().to_string();
        assert!(e.contains("cut off after 0x2 bytes"), "{e}");
        assert!(stream.finish(true).is_err());
    }
}
