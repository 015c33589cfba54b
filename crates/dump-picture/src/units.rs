//! Numbers as people read them.

/// Bytes in the unit that suits them; whole numbers of a unit without a fraction.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    while unit + 1 < UNITS.len() && n >> (10 * (unit + 1)) != 0 {
        unit += 1;
    }
    let (name, size) = (UNITS.get(unit).copied().unwrap_or_default(), 1u64 << (10 * unit));
    if n % size == 0 { format!("{} {name}", n / size) } else { format!("{:.1} {name}", n as f64 / size as f64) }
}

/// A number with its thousands set off.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i != 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_read_them() {
        for (n, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5 GiB"), (1 << 63, "8 EiB")] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(["1", "1,000", "1,234,567"], [1, 1000, 1_234_567].map(grouped).each_ref().map(String::as_str));
    }
}
