//! Records as lines, in the form of `makedumpfile --dump-dmesg`:
//!
//! ```text
//! [    5.176846] [    T256] Kernel panic - not syncing: sysrq triggered crash
//! ```
//!
//! A record of several lines has the others indented by as much as the first begins with. What is not printable ASCII is
//! `\x` and two digits, byte for byte, so that nothing in a log is lost or obeyed by a terminal. (makedumpfile prints
//! bytes past 127 with eight digits, `\xffffffe2`, where `char` is signed, and with two elsewhere.)

use dump_core::Result;
use std::io::Write;

/// Bytes that are gathered before they are written.
const GATHERED: usize = 64 << 10;

/// Set in the id of a caller that was no thread: the rest is a CPU.
const CPU: u32 = 1 << 31;

/// One record.
pub struct Record<'t> {
    /// When it was logged (nanoseconds since boot).
    pub nanoseconds: u64,
    /// Who logged it, if that is known: a thread, or a CPU and bit 31.
    pub caller: Option<u32>,
    /// What it says.
    pub text: &'t [u8],
}

/// Writes lines.
pub struct Lines<'w> {
    out: &'w mut dyn Write,
    gathered: Vec<u8>,
    callers: bool,
    written: u64,
}

impl<'w> Lines<'w> {
    /// Lines to `out`, with `callers` or without.
    pub fn new(out: &'w mut dyn Write, callers: bool) -> Lines<'w> {
        Lines { out, gathered: Vec::new(), callers, written: 0 }
    }

    /// Writes a record.
    pub fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let start = self.gathered.len();
        let Record { nanoseconds, caller, text } = record;
        let (seconds, micros) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000 / 1000);
        write!(self.gathered, "[{seconds:5}.{micros:06}] ")?;
        if let Some(id) = caller.filter(|_| self.callers) {
            let who = if id & CPU == 0 { 'T' } else { 'C' };
            write!(self.gathered, "[{:>8}] ", format!("{who}{}", id & !CPU))?;
        }
        let indent = self.gathered.len() - start;
        for byte in *text {
            self.byte(*byte, indent)?;
        }
        self.gathered.push(b'\n');
        self.written += 1;
        self.flush_from(GATHERED)
    }

    fn byte(&mut self, byte: u8, indent: usize) -> Result<()> {
        match byte {
            b'\n' => {
                self.gathered.push(b'\n');
                self.gathered.resize(self.gathered.len() + indent, b' ');
                self.flush_from(GATHERED)?;
            }
            b'\t' | 0x0b | 0x0c | b'\r' | b' '..=b'~' => self.gathered.push(byte),
            _ => write!(self.gathered, "\\x{byte:02x}")?,
        }
        Ok(())
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        self.flush_from(GATHERED)
    }

    /// Writes what is gathered, if that is `least` bytes or more.
    fn flush_from(&mut self, least: usize) -> Result<()> {
        if self.gathered.len() >= least {
            self.out.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    /// Writes the rest; how many records, or bytes, were written.
    pub fn finish(&mut self) -> Result<u64> {
        self.flush_from(0)?;
        self.out.flush()?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(nanoseconds: u64, caller: Option<u32>, text: &[u8]) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, true);
        lines.record(&Record { nanoseconds, caller, text }).unwrap();
        assert_eq!(lines.finish().unwrap(), 1);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_form_of_makedumpfile() {
        assert_eq!(line(4_686_999, None, b"e820"), "[    0.004686] e820\n");
        assert_eq!(line(123_456_000_000_000, Some(7), b"a\nb"), format!("[123456.000000] [      T7] a\n{:27}b\n", ""));
        assert_eq!(line(0, Some(1 << 31 | 12), b""), "[    0.000000] [     C12] \n");
        assert_eq!(line(0, Some(123_456_789), b"x\n"), format!("[    0.000000] [T123456789] x\n{:28}\n", ""));
    }

    #[test]
    fn every_byte_survives() {
        assert_eq!(
            line(0, None, b"\x1b[2J \t\r~\x7f\0\xe2\x80\x99"),
            "[    0.000000] \\x1b[2J \t\r~\\x7f\\x00\\xe2\\x80\\x99\n"
        );
    }
}
