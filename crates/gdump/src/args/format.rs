//! Formats of the output.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use dump::Format;

/// Takes the names of the formats that are written.
pub fn parser() -> impl TypedValueParser<Value = &'static Format> {
    PossibleValuesParser::new(dump::output_formats())
        .try_map(|name| dump::format(&name).ok_or("not a format of this build"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_that_is_offered_is_a_format() {
        assert!(dump::output_formats().all(|name| dump::format(name).is_some()));
    }
}
