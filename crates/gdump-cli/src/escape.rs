//! What a dump says of itself, on a terminal: control characters are shown, not obeyed.
//!
//! Names, notes and vmcoreinfo are whatever somebody put there, and a terminal obeys escape sequences: it moves the
//! cursor, sets its title, erases what was said. The form is JSON's, so that JSON stays what it is.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with its control characters as `\u001b`, but for ends of lines.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_control(c))
}

/// The same for what is one line, or a part of one.
pub fn escaped_line(text: &str) -> Cow<'_, str> {
    escape(text, is_control)
}

/// C0 but for the tabulator, DEL and C1, which terminals obey, and those that turn the direction of what follows.
fn is_control(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_shown() {
        let text = "6.1\x1b]0;own\x07\x7f\u{9b}31m\r\u{202e}\tü\n";
        let shown = "6.1\\u001b]0;own\\u0007\\u007f\\u009b31m\\u000d\\u202e\tü";
        assert_eq!(
            (escaped(text), escaped_line(text)),
            (format!("{shown}\n").into(), format!("{shown}\\u000a").into())
        );
        assert!(matches!(escaped("as it is\n"), Cow::Borrowed(_)));
    }
}
