//! Numbers as C's functions read them: what stands before the first character that is none.

/// What `isspace` calls blank.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// As `atoi`: blanks, a sign, digits; 0 if there are none. What does not fit stops at the ends of an i128.
pub fn atoi(text: &str) -> i128 {
    let text = text.trim_start_matches(BLANKS);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let add = |n: i128, digit: char| n.saturating_mul(10).saturating_add(i128::from(digit.to_digit(10).unwrap_or(0)));
    let number = digits.chars().take_while(char::is_ascii_digit).fold(0, add);
    if negative { -number } else { number }
}

/// Numbers between commas; empty words do not count, as with `strtok`.
pub fn list(text: &str) -> String {
    let words = text.split(',').filter(|word| !word.is_empty());
    words.map(|word| atoi(word).to_string()).collect::<Vec<_>>().join(",")
}

/// As `strtoul` with base 0: hexadecimal after 0x, octal after 0; written so that it is read so by everybody.
pub fn address(text: &str) -> String {
    let text = text.trim_start_matches(BLANKS);
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let value = u64::from_str_radix(&digits[..end], radix);
    match value {
        // what does not fit is the largest number, with either sign
        Ok(value) if negative => format!("{:#x}", value.wrapping_neg()),
        Ok(value) if radix == 10 => value.to_string(),
        Ok(value) => format!("{value:#x}"),
        Err(e) if *e.kind() == std::num::IntErrorKind::PosOverflow => format!("{:#x}", u64::MAX),
        Err(_) => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_c_has_them() {
        for (text, number) in
            [("31", 31), (" \t31x", 31), ("-1", -1), ("+7", 7), ("", 0), ("x", 0), ("- 1", 0), ("0x1f", 0), ("١", 0)]
        {
            assert_eq!(atoi(text), number, "{text:?}");
        }
        assert_eq!(atoi("5223023572093018873"), 5_223_023_572_093_018_873);
        assert_eq!(atoi(&"9".repeat(60)), i128::MAX);
        for (text, read) in [("0X1fg", "0x1f"), ("16", "16"), ("010", "0x8"), ("0", "0"), ("x", "0"), ("0x", "0")] {
            assert_eq!(address(text), read, "{text:?}");
        }
        for (text, read) in
            [("-1", "0xffffffffffffffff"), (" -0x10", "0xfffffffffffffff0"), ("+16", "16"), ("--1", "0")]
        {
            assert_eq!(address(text), read, "{text:?}");
        }
        for text in ["0x10000000000000000", "-0x10000000000000000"] {
            assert_eq!(address(text), "0xffffffffffffffff", "{text:?}");
        }
        assert_eq!(list("11,,31 "), "11,31");
    }
}
