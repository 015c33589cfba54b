//! Numbers and addresses.

use dump::{PhysAddr, VirtAddr};
use rustix::process::Pid;
use std::time::Duration;

/// A number, decimal, or hexadecimal after 0x. No sign: `from_str_radix` and `parse` would take a `+`.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => digits(hex, 16),
        None => digits(text, 10),
    }
}

fn digits(text: &str, radix: u32) -> Option<u64> {
    u64::from_str_radix(text, radix).ok().filter(|_| !text.starts_with('+'))
}

/// The number of a process.
///
/// # Errors
/// One line, for the value of an option.
pub fn process(text: &str) -> Result<Pid, String> {
    let pid = text.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
    pid.ok_or_else(|| "expected the number of a process".to_owned())
}

/// A physical address.
///
/// # Errors
/// One line, for the value of an option.
pub fn address(text: &str) -> Result<PhysAddr, String> {
    number(text).map(PhysAddr).ok_or_else(|| "expected an address, such as 0x100000".to_owned())
}

/// A virtual address of the kernel.
///
/// # Errors
/// One line, for the value of an option.
pub fn virtual_address(text: &str) -> Result<VirtAddr, String> {
    number(text).map(VirtAddr).ok_or_else(|| "expected an address, such as 0xffffffff81000000".to_owned())
}

/// A time in seconds, above 0.
///
/// # Errors
/// One line, for the value of an option.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| (LEAST..=LONGEST).contains(time)).ok_or_else(|| "expected seconds, 0.1 to 86400".to_owned())
}

const LEAST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_and_hexadecimal() {
        for (text, value) in [("0", 0), ("10", 10), ("0x10", 16), ("0xfFfF", 0xffff)] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("0xffffffffffffffff"), Some(u64::MAX));
        for bad in ["", "x", "0x", "-1", "+1", "0x+1", "1 ", "ff", "0x10000000000000000"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(address("0x40000000"), Ok(PhysAddr(1 << 30)));
        assert!(address("here").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(["", "0", "-1", "nan", "1e9", "5s"].iter().all(|text| seconds(text).is_err()));
    }
}
