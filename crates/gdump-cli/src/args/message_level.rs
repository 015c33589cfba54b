//! Message levels.

use crate::messages::MessageLevel;

/// The sum of the kinds of messages that are printed.
///
/// # Errors
/// One line, for the value of an option.
pub fn message_level(text: &str) -> Result<MessageLevel, String> {
    let level = text.parse().ok().and_then(MessageLevel::from_bits);
    level.ok_or_else(|| "expected a number from 0 to 31".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        assert_eq!(message_level("0"), Ok(MessageLevel::empty()));
        assert_eq!(message_level("7"), Ok(MessageLevel::default()));
        assert_eq!(message_level("24"), Ok(MessageLevel::DEBUG | MessageLevel::REPORT));
        assert_eq!(message_level("31"), Ok(MessageLevel::all()));
        for bad in ["", "32", "-1", "x", "0x7"] {
            assert!(message_level(bad).is_err(), "{bad}");
        }
    }
}
