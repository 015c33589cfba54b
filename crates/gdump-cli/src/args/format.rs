//! Formats of the output.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use dump::{Format, GuestFormat};

/// A format by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FormatName {
    /// One that gdump writes.
    Ours(&'static Format),
    /// One that QEMU writes of its guest.
    Guest(GuestFormat),
}

/// Takes the names of the formats that are written, and of those that QEMU writes.
pub fn parser() -> impl TypedValueParser<Value = FormatName> {
    PossibleValuesParser::new(dump::output_formats().chain(GuestFormat::ALL.iter().map(|format| format.name)))
        .try_map(|name| named(&name).ok_or("not a format of this build"))
}

fn named(name: &str) -> Option<FormatName> {
    dump::format(name).map(FormatName::Ours).or(GuestFormat::named(name).map(FormatName::Guest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_offered_is_a_format() {
        assert!(dump::output_formats().all(|name| matches!(named(name), Some(FormatName::Ours(_)))));
        assert!(GuestFormat::ALL.iter().all(|format| named(format.name) == Some(FormatName::Guest(*format))));
    }
}
