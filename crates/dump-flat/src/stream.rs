//! Bytes by offset, written as a flattened stream: in one pass, to anything that takes bytes.

use crate::header::{self, RECORD_LEN, Record};
use dump_core::{Error, ErrorKind, Result, WriteAt};
use std::io::{self, IoSlice, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The longest record written: a GiB. makedumpfile -R counts the bytes of a record in a C int, and never ends one of 2
/// GiB.
const MAX_RECORD: usize = 1 << 30;

/// An output whose bytes go to a pipe, as records.
///
/// What one [`write_at`](WriteAt::write_at) brings is one record, neither joined with its neighbours nor cut (up to a
/// GiB): hotkdump expects the main header of a kdump file as a record of 464 bytes, and the sub header at the start of
/// another. A record's header and data go out in one call where the output takes both, so there is no buffer to lose or
/// to bound; the output needs none either (std's `Stdout` has one that looks for ends of lines, a `File` over the same
/// descriptor has not).
///
/// An output that failed may hold half a record. Nothing may follow that, so every later call fails too, and the stream
/// has no end marker: who reads it knows that it was cut off.
pub struct FlatStream<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    phase: Phase,
    /// Bytes of the stream so far.
    written: u64,
    /// Where the record that reaches furthest ends in the image.
    reached: u64,
    /// How far zeros were asked for.
    asked: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing is written, not even the header.
    New,
    Open,
    Finished,
    Broken(ErrorKind),
}

impl<W: Write + Send> FlatStream<W> {
    /// A stream to `out`. Its header goes out with the first record: a run that fails before it has anything to say
    /// leaves the output untouched.
    pub fn new(out: W) -> FlatStream<W> {
        FlatStream { state: Mutex::new(State { out, phase: Phase::New, written: 0, reached: 0, asked: 0 }) }
    }

    /// Bytes of the stream so far, headers included.
    pub fn written(&self) -> u64 {
        self.lock().written
    }

    /// Makes the image reach as far as zeros were asked for, writes the end marker and flushes. To be called once all
    /// is written; again does nothing.
    ///
    /// # Errors
    /// `NoSpace` or `Io` if the output fails now or failed before.
    pub fn finish(&self) -> Result<()> {
        let mut state = self.lock();
        if state.phase == Phase::Finished {
            return Ok(());
        }
        if state.asked > state.reached {
            // Only a record makes an image longer. One byte does, and readers want something at the end: crash looks
            // past its index for what lies behind the last record.
            let last = state.asked - 1;
            state.record(last, &[0])?;
        }
        state.send(&Record::End.encode(), &[])?;
        state.flush()?;
        state.phase = Phase::Finished;
        Ok(())
    }

    /// The output. Unless the stream is finished, it has no end marker.
    pub fn into_inner(self) -> W {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).out
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> WriteAt for FlatStream<W> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.lock().records(offset, bytes, MAX_RECORD)
    }

    fn can_rewrite(&self) -> bool {
        false
    }

    /// Writes nothing: what no record covers is zeros. Only the image's end is remembered.
    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let end = end(offset, len)?;
        let mut state = self.lock();
        state.asked = state.asked.max(end);
        Ok(())
    }
}

impl<W: Write> State<W> {
    /// Writes `bytes` as records of at most `max` bytes. No bytes are no record: a size of 0 is not one that readers
    /// take.
    fn records(&mut self, offset: u64, bytes: &[u8], max: usize) -> Result<()> {
        end(offset, bytes.len() as u64)?;
        bytes.chunks(max).enumerate().try_for_each(|(i, piece)| self.record(offset + i as u64 * max as u64, piece))
    }

    fn record(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let len = bytes.len() as u64;
        self.send(&Record::Data { offset, len }.encode(), bytes)?;
        self.reached = self.reached.max(offset + len);
        Ok(())
    }

    /// Writes a record's header and data, and the stream's header before the first.
    fn send(&mut self, record: &[u8; RECORD_LEN], data: &[u8]) -> Result<()> {
        let header = match self.phase {
            Phase::New => header::encode(),
            Phase::Open => Vec::new(),
            Phase::Finished => return Err(Error::corrupt("flattened output: written to after its end")),
            Phase::Broken(kind) => {
                let what = format!("flattened output: cut off at offset {:#x} by an earlier failure", self.written);
                return Err(Error::new(kind, what));
            }
        };
        self.phase = Phase::Open;
        let parts = &mut [IoSlice::new(&header), IoSlice::new(record), IoSlice::new(data)];
        let sent = write_all(&mut self.out, parts, &mut self.written);
        sent.map_err(|e| self.broken(e))
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| self.broken(e))
    }

    fn broken(&mut self, e: io::Error) -> Error {
        let e = Error::from(e).within(format_args!("flattened output: offset {:#x} of the stream", self.written));
        self.phase = Phase::Broken(e.kind());
        e
    }
}

/// Where `len` bytes at `offset` end.
fn end(offset: u64, len: u64) -> Result<u64> {
    let end = offset.checked_add(len).filter(|end| *end <= i64::MAX as u64);
    end.ok_or_else(|| Error::unsupported(format!("flattened output: {len:#x} bytes at {offset:#x} exceed 2^63")))
}

/// Writes all of `parts`, adding to `written` what got through. std's own `write_all_vectored` is not stable yet.
fn write_all(out: &mut impl Write, mut parts: &mut [IoSlice<'_>], written: &mut u64) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0); // passes over empty ones
    while !parts.is_empty() {
        match out.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                *written += n as u64;
                IoSlice::advance_slices(&mut parts, n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most `step` bytes a call and `room` in all; is interrupted now and then.
    struct Narrow {
        taken: Vec<u8>,
        step: usize,
        room: usize,
        calls: usize,
        full: io::ErrorKind,
    }

    impl Narrow {
        fn new(step: usize, room: usize) -> Narrow {
            Narrow { taken: Vec::new(), step, room, calls: 0, full: io::ErrorKind::StorageFull }
        }
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls % 5 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.room == 0 {
                return Err(self.full.into());
            }
            let n = bytes.len().min(self.step).min(self.room);
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Counts calls and takes everything.
    #[derive(Default)]
    struct Counting(Vec<u8>, usize);

    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            self.1 += 1;
            parts.iter().for_each(|part| self.0.extend_from_slice(part));
            Ok(parts.iter().map(|part| part.len()).sum())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(offset: u64, bytes: &[u8]) -> Vec<u8> {
        [&Record::Data { offset, len: bytes.len() as u64 }.encode(), bytes].concat()
    }

    #[test]
    fn a_call_is_a_record() {
        let stream = FlatStream::new(Counting::default());
        stream.write_at(0, &[1; 464]).unwrap();
        stream.write_at(4096, &[2; 104]).unwrap();
        stream.write_at(464, b"").unwrap();
        stream.write_at(4200, b"notes").unwrap();
        stream.zeros(50, 50).unwrap();
        stream.finish().unwrap();
        stream.finish().unwrap();
        let want = [
            header::encode(),
            record(0, &[1; 464]),
            record(4096, &[2; 104]),
            record(4200, b"notes"),
            Record::End.encode().to_vec(),
        ]
        .concat();
        assert_eq!(stream.written(), want.len() as u64);
        let Counting(taken, calls) = stream.into_inner();
        assert!(taken == want);
        assert_eq!(calls, 4, "one for each record and one for the end");
    }

    #[test]
    fn long_pieces_become_several_records() {
        let stream = FlatStream::new(Vec::new());
        stream.lock().records(7, b"0123456789", 4).unwrap();
        let out = stream.into_inner();
        assert!(out[header::HEADER_LEN..] == [record(7, b"0123"), record(11, b"4567"), record(15, b"89")].concat());
    }

    #[test]
    fn the_length_asked_for_is_reached() {
        for (written, asked, last) in
            [(0, 0, None), (10, 10, None), (10, 11, Some(10)), (0, 1 << 40, Some((1 << 40) - 1))]
        {
            let stream = FlatStream::new(Vec::new());
            stream.write_at(0, &vec![7; written]).unwrap();
            stream.zeros(asked / 2, asked - asked / 2).unwrap();
            stream.zeros(0, asked / 2).unwrap();
            stream.finish().unwrap();
            let tail = last.map(|at| record(at, &[0])).unwrap_or_default();
            assert!(stream.into_inner().ends_with(&[tail, vec![0xff; 16]].concat()), "{written} {asked}");
        }
    }

    #[test]
    fn nothing_is_written_before_there_is_something_to_say() {
        let stream = FlatStream::new(Vec::new());
        stream.zeros(0, 5).unwrap();
        assert!(stream.into_inner().is_empty());
        let stream = FlatStream::new(Vec::new());
        stream.finish().unwrap();
        assert_eq!(stream.into_inner().len(), 4096 + 16);
    }

    #[test]
    fn short_writes_go_on() {
        let whole = FlatStream::new(Vec::new());
        let narrow = FlatStream::new(Narrow::new(7, usize::MAX));
        for (offset, bytes) in [(0, &b"head"[..]), (9000, &[5; 300]), (4, b"x")] {
            whole.write_at(offset, bytes).unwrap();
            narrow.write_at(offset, bytes).unwrap();
        }
        whole.finish().unwrap();
        narrow.finish().unwrap();
        assert_eq!(narrow.written(), whole.written());
        assert!(narrow.into_inner().taken == whole.into_inner());
    }

    #[test]
    fn a_failure_is_final() {
        let whole = 4096 + 16 + 100 + 16;
        for room in [0, 10, 4096, 4100, 4112, 4150, whole - 1] {
            let stream = FlatStream::new(Narrow::new(50, room));
            let first = stream.write_at(0, &[1; 100]).and_then(|()| stream.finish()).unwrap_err();
            assert_eq!(first.kind(), ErrorKind::NoSpace, "{room}");
            assert!(first.to_string().contains(&format!("offset {room:#x}")), "{first}");
            for again in [stream.write_at(100, b"more"), stream.finish()] {
                let again = again.unwrap_err();
                assert_eq!(again.kind(), ErrorKind::NoSpace);
                assert!(again.to_string().contains("earlier failure"), "{again}");
            }
            assert_eq!(stream.into_inner().taken.len(), room);
        }
        let mut pipe = Narrow::new(50, 4200);
        pipe.full = io::ErrorKind::BrokenPipe;
        let stream = FlatStream::new(pipe);
        assert_eq!(stream.write_at(0, &[1; 100]).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(FlatStream::new(Narrow::new(0, 9)).finish().unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn offsets_beyond_reason_and_writes_after_the_end() {
        let stream = FlatStream::new(Vec::new());
        for offset in [u64::MAX, i64::MAX as u64] {
            assert_eq!(stream.write_at(offset, b"x").unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert_eq!(stream.zeros(1, i64::MAX as u64).unwrap_err().kind(), ErrorKind::Unsupported);
        stream.write_at(i64::MAX as u64 - 1, b"x").unwrap();
        stream.finish().unwrap();
        assert_eq!(stream.write_at(0, b"x").unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
