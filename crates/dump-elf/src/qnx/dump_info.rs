//! The segment with the kernel's log.
//!
//! | 32 bit | 64 bit | field (`struct kdump`) |
//! |---|---|---|
//! | 0 | 0 | dump_type, kdebug_wanted, compress, big (4 bytes each) |
//! | 16 | 16 | writer, a pointer |
//! | 20 | 24 | spare (3 × 4) |
//! | 32 | 36 | kp_size (bytes) |
//! | 36 | 40 | kp_idx |
//! | 40 | 44 | kp_buff |
//!
//! In memory the text is a ring; the writer stores it with the oldest byte first, and zeros behind it where it has not come
//! round. The segment ends with it, which tells the two word sizes apart.

use dump_core::{ByteOrder, Fields, WordSize};

/// Where `kp_size` is, for each word size.
const SIZES_AT: [usize; 2] = [32, 36];

/// The text in the segment `bytes`, if it is one.
pub(super) fn text(bytes: &[u8], order: ByteOrder) -> Option<String> {
    let text = SIZES_AT.iter().find_map(|at| {
        let mut f = Fields::new(bytes, order, WordSize::Bits32).at(*at);
        let (size, index) = (f.u32("kp_size").ok()?, f.u32("kp_idx").ok()?);
        let text = bytes.get(at + 8..)?;
        (text.len() == size as usize && index <= size && size != 0).then_some(text)
    })?;
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_tells_the_word_size() {
        for (at, order) in [(32, ByteOrder::Little), (36, ByteOrder::Little), (36, ByteOrder::Big)] {
            let mut bytes = vec![0; at + 8 + 16];
            let number = |n: u32| if order == ByteOrder::Little { n.to_le_bytes() } else { n.to_be_bytes() };
            bytes[at..at + 4].copy_from_slice(&number(16));
            bytes[at + 4..at + 8].copy_from_slice(&number(6));
            bytes[at + 8..at + 14].copy_from_slice(b"hello\n");
            assert_eq!(text(&bytes, order).as_deref(), Some("hello\n"));
            bytes.push(0);
            assert_eq!(text(&bytes, order), None);
        }
        assert_eq!(text(&[0; 44], ByteOrder::Little), None);
        assert_eq!(text(b"", ByteOrder::Little), None);
    }
}
