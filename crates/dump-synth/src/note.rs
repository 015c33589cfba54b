//! ELF notes: the stream in a PT_NOTE segment and after the kdump sub header.
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 4 | namesz, with the NUL |
//! | 4 | 4 | descsz |
//! | 8 | 4 | type |
//! | 12 | namesz, padded to 4 | name |
//! | then | descsz, padded to 4 | descriptor |
//!
//! Both ELF classes pad to 4 in vmcores (formats.md, "Note stream").

use crate::bytes::{Endian, Sink, Width, round_up};

/// Number of registers in an x86_64 NT_PRSTATUS, `r15` first, `gs` last.
pub const X86_64_REGISTERS: usize = 27;

/// Size of the NT_PRSTATUS descriptor of x86_64 (bytes): `struct elf_prstatus`.
pub const X86_64_PRSTATUS: usize = 336;

/// Builds a note stream.
#[derive(Clone, Debug)]
pub struct Notes {
    endian: Endian,
    bytes: Vec<u8>,
}

impl Notes {
    /// An empty stream.
    #[must_use]
    pub fn new(endian: Endian) -> Self {
        Notes { endian, bytes: Vec::new() }
    }

    /// Any note; `name` without its NUL.
    #[must_use]
    pub fn note(mut self, name: &str, kind: u32, desc: &[u8]) -> Self {
        let mut sink = Sink::new(self.endian, Width::W64);
        sink.u32(name.len() as u32 + 1);
        sink.u32(desc.len() as u32);
        sink.u32(kind);
        sink.text(name, round_up(name.len() as u64 + 1, 4) as usize);
        sink.raw(desc);
        sink.pad_to(round_up(sink.len(), 4));
        self.bytes.extend(sink.into_bytes());
        self
    }

    /// The NT_PRSTATUS of one x86_64 CPU: `pid` at 32, the registers at 112, 336 bytes in all.
    #[must_use]
    pub fn prstatus_x86_64(self, pid: u32, registers: &[u64; X86_64_REGISTERS]) -> Self {
        let words: Vec<u64> = registers.to_vec();
        self.prstatus(Width::W64, X86_64_PRSTATUS, pid, &words)
    }

    /// The NT_PRSTATUS of one CPU of any architecture: `size` bytes, the pid at 32 (64 bit) or 24 (32 bit), `words`
    /// registers from 112 or 72 on.
    #[must_use]
    pub fn prstatus(self, width: Width, size: usize, pid: u32, words: &[u64]) -> Self {
        let (pid_at, registers_at) = match width {
            Width::W32 => (24, 72),
            Width::W64 => (32, 112),
        };
        let mut sink = Sink::new(self.endian, width);
        sink.pad_to(pid_at);
        sink.u32(pid);
        sink.pad_to(registers_at);
        for word in words {
            sink.word(*word);
        }
        sink.pad_to(size as u64);
        self.note("CORE", 1, &sink.into_bytes())
    }

    /// The VMCOREINFO note of `text`.
    #[must_use]
    pub fn vmcoreinfo(self, text: &str) -> Self {
        self.note("VMCOREINFO", 0, text.as_bytes())
    }

    /// Bytes that need not be notes at all.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Length so far (bytes): where the next note will start.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The stream.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_padded_to_four() {
        let bytes = Notes::new(Endian::Little).note("VMCOREINFO", 0, b"A=1\n!").into_bytes();
        let mut want = vec![11, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        want.extend(b"VMCOREINFO\0\0A=1\n!\0\0\0");
        assert_eq!(bytes, want);
    }

    #[test]
    fn big_endian_lengths() {
        let bytes = Notes::new(Endian::Big).note("CORE", 1, &[]).into_bytes();
        assert_eq!(bytes[..12], [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn prstatus_of_x86_64() {
        let mut registers = [0u64; X86_64_REGISTERS];
        registers[16] = 0xffff_ffff_8100_1234; // rip
        let bytes = Notes::new(Endian::Little).prstatus_x86_64(77, &registers).into_bytes();
        assert_eq!(bytes.len(), 12 + 8 + 336);
        let desc = &bytes[20..];
        assert_eq!(desc[32..36], [77, 0, 0, 0]);
        assert_eq!(desc[112 + 16 * 8..112 + 17 * 8], 0xffff_ffff_8100_1234u64.to_le_bytes());
    }
}
