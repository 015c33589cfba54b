//! Bytes that came over a connection, cut into the messages that they are.

use dump_core::{Error, ErrorKind, Result, system_text};
use serde_json::Value;

/// What came and is no whole message yet. Each byte is looked at once before a message is parsed, however many lines one
/// has (`-qmp-pretty`).
#[derive(Default)]
pub struct Received {
    bytes: Vec<u8>,
    /// How many of them were looked at.
    looked: usize,
    /// Of braces and brackets, at that place.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Received {
    /// Adds what came.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes there are that were not taken out.
    pub fn pending(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the next message out, if all of it came.
    ///
    /// # Errors
    /// `BadMagic` if it is not JSON.
    pub fn take(&mut self) -> Result<Option<Value>> {
        while let Some(byte) = self.bytes.get(self.looked).copied() {
            self.looked += 1;
            if byte == b'\n' && (self.depth == 0 || self.in_string) {
                let rest = self.bytes.split_off(self.looked);
                let line = std::mem::replace(self, Received { bytes: rest, ..Received::default() }).bytes;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let read = serde_json::from_slice(&line);
                return read.map(Some).map_err(|e| {
                    Error::new(ErrorKind::BadMagic, format!("what it sends is not JSON: {}", system_text(&e)))
                });
            }
            self.look(byte);
        }
        Ok(None)
    }

    fn look(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_come_in_any_pieces() {
        let stream = b"{\"a\": \"}\\\"\\\\\"}\r\n\n{\n  \"b\": [\n    1,\n    {}\n  ]\n}\n{\"c\":1}\n{\"d\"";
        let want = [json!({"a": "}\"\\"}), json!({"b": [1, {}]}), json!({"c": 1})];
        for piece in [1, 2, 7, stream.len()] {
            let mut received = Received::default();
            let mut got = Vec::new();
            for bytes in stream.chunks(piece) {
                received.add(bytes);
                while let Some(message) = received.take().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!((&got[..], received.pending()), (&want[..], 4), "{piece}");
        }
    }

    #[test]
    fn what_is_not_json_is_known_at_the_end_of_its_line() {
        for text in ["hello\n", "{\"a\": \"b\n", "}\n", "{]\n", "\"\n", "\u{1}\n", "{} {}\n"] {
            let mut received = Received::default();
            received.add(text.as_bytes());
            assert_eq!(received.take().map_err(|e| e.kind()), Err(ErrorKind::BadMagic), "{text:?}");
        }
    }
}
