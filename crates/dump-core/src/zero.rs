//! The all-zero test.

/// Whether every byte of `page` is zero. An empty slice is.
///
/// Words are ORed 64 bytes at a time, which compilers turn into vector code; the first line that holds a bit ends it,
/// and most pages that are not zero show it in their first line.
pub fn is_zero(page: &[u8]) -> bool {
    let mut lines = page.chunks_exact(64);
    lines.all(|line| line.iter().fold(0, |seen, byte| seen | byte) == 0)
        && lines.remainder().iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_bit_anywhere() {
        for len in [0, 1, 63, 64, 65, 4096] {
            let mut page = vec![0u8; len];
            assert!(is_zero(&page), "{len}");
            for at in [0, len / 2, len.saturating_sub(1)] {
                if at < len {
                    page[at] = 0x80;
                    assert!(!is_zero(&page), "{len} {at}");
                    page[at] = 0;
                }
            }
        }
    }
}
