//! Sizes in bytes.

use super::number::number;

/// Nobody means less memory than this (bytes).
const LEAST: u64 = 1 << 20;

/// A number of KiB, in bytes; 0 stands for the default.
///
/// # Errors
/// One line, for the value of an option.
pub fn kib(text: &str) -> Result<u64, String> {
    let bytes = number(text).and_then(|kib| kib.checked_mul(1024));
    bytes.ok_or_else(|| "expected a number of KiB, below 2^54".to_owned())
}

/// A size of memory: bytes, or with K, M, G or T after it units of 1024 bytes and so on; in bytes. Below 1 MiB it is
/// refused: the kernel's own `crashkernel=` takes a suffix too, and it is easily forgotten.
///
/// # Errors
/// One line, for the value of an option.
pub fn memory(text: &str) -> Result<u64, String> {
    let (digits, shift) = suffix(text);
    let bytes = number(digits).and_then(|n| n.checked_mul(1 << shift));
    match bytes {
        None => Err("expected a size such as 64M (K, M, G or T)".to_owned()),
        Some(bytes) if bytes < LEAST => Err(format!("{bytes} bytes is too little, expected a size such as 64M")),
        Some(bytes) => Ok(bytes),
    }
}

/// A size of a file: bytes above 0, as for [`memory`], or with P or E after it.
///
/// # Errors
/// One line, for the value of an option.
pub fn limit(text: &str) -> Result<u64, String> {
    let (digits, shift) = suffix(text);
    let bytes = number(digits).and_then(|n| n.checked_mul(1 << shift)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "expected a size such as 64M (K, M, G, T, P or E)".to_owned())
}

/// What is before the suffix, and the suffix as a power of 2.
fn suffix(text: &str) -> (&str, u32) {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40), ('P', 50), ('E', 60)];
    let unit = |(letter, shift): &(char, u32)| {
        text.strip_suffix([*letter, letter.to_ascii_lowercase()]).map(|digits| (digits, *shift))
    };
    units.iter().find_map(unit).unwrap_or((text, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_memory() {
        let cases = [
            ("64M", 64 << 20),
            ("64m", 64 << 20),
            ("1G", 1 << 30),
            ("2T", 2 << 40),
            ("20480K", 20 << 20),
            ("0x40M", 64 << 20),
            ("67108864", 64 << 20),
        ];
        for (text, bytes) in cases {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for bad in ["", "M", "64", "64X", "-1M", "64MB", "99999999999T", "1 G", "1023K"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_of_files() {
        for (text, bytes) in [("2M", 2 << 20), ("1", 1), ("1e", 1 << 60), ("0x10K", 16384)] {
            assert_eq!(limit(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "0K", "-1", "M", "1MB", "16E"] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_of_kib() {
        assert_eq!(kib("4"), Ok(4096));
        assert_eq!(kib("0x10"), Ok(16384));
        assert_eq!(kib("0"), Ok(0));
        for bad in ["", "-4", "4K", "18014398509481984"] {
            assert!(kib(bad).is_err(), "{bad}");
        }
    }
}
