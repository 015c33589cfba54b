//! Text within SVG and HTML: what a dump says of itself is never markup.

use std::borrow::Cow;

/// `text` with what markup begins with as entities, and without what XML cannot hold.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| matches!(c, '<' | '>' | '&' | '"' | '\'') || is_refused(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_refused(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Controls, and what turns the direction of what follows.
fn is_refused(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

/// `text` as a string of JavaScript or JSON within a script, which no text can end.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            ' ' | '!' | '#'..='%' | '('..=';' | '=' | '?'..='[' | ']'..='~' => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(escaped("6.1 & <b>'\"\u{7}\u{202e}"), "6.1 &amp; &lt;b&gt;&#39;&quot;\u{fffd}\u{fffd}");
        assert!(matches!(escaped("vmcore"), Cow::Borrowed(_)));
        assert_eq!(quoted("a</script>\"\\ü\u{1f600}"), r#""a\u003c/script\u003e\u0022\u005c\u00fc\ud83d\ude00""#);
    }
}
