//! What a server says of the bytes that it sends, and whether they are those that were asked for.

use dump_core::{Error, ErrorKind, Result};
use std::ops::Range;
use ureq::http::{HeaderMap, HeaderName, Response, StatusCode, header};

/// What must stay as it is while a file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its length (bytes).
    pub len: u64,
    pub etag: Option<String>,
    pub modified: Option<String>,
}

impl Identity {
    fn of(headers: &HeaderMap, len: u64) -> Identity {
        Identity { len, etag: text(headers, header::ETAG), modified: text(headers, header::LAST_MODIFIED) }
    }

    /// The ETag, where it is one that `If-Match` takes: a weak one matches nothing (RFC 9110, 13.1.1).
    pub fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }

    /// That the file of an answer is the one that was opened.
    ///
    /// # Errors
    /// `Unreachable`, with what is other than it was.
    pub fn check(&self, now: &Identity) -> Result<()> {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let (what, was, is) = match self {
            _ if self.len != now.len => ("length", self.len.to_string(), now.len.to_string()),
            _ if self.etag != now.etag => ("ETag", shown(&self.etag), shown(&now.etag)),
            _ if self.modified != now.modified => ("Last-Modified", shown(&self.modified), shown(&now.modified)),
            _ => return Ok(()),
        };
        Err(replaced(&format!("its {what} was {was} and is {is}")))
    }
}

/// The error of a file that is not the one that was opened any more.
pub(crate) fn replaced(how: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("another file is there since it was opened: {how}"))
}

/// What the head of an answer says.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Bytes of this range follow.
    Part { range: Range<u64>, identity: Identity },
    /// The whole file follows, of this length where that is said: the server knows no ranges.
    Whole(Option<u64>),
    /// The file has no byte in the range; its length, where that is said.
    Past(Option<u64>),
    /// Something else.
    Other,
}

impl Answer {
    /// Of a response to a request for `asked`.
    ///
    /// # Errors
    /// `Corrupt` if it contradicts the request or itself, `Unsupported` if bytes are encoded or not all is said.
    pub fn of<B>(response: &Response<B>, asked: &Range<u64>) -> Result<Answer> {
        let headers = response.headers();
        match response.status() {
            StatusCode::PARTIAL_CONTENT => part(headers, asked),
            StatusCode::OK => {
                check_encoding(headers)?;
                Ok(Answer::Whole(content_length(headers)))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let text = text(headers, header::CONTENT_RANGE).unwrap_or_default();
                Ok(Answer::Past(text.strip_prefix("bytes */").and_then(|len| len.trim().parse().ok())))
            }
            _ => Ok(Answer::Other),
        }
    }
}

fn part(headers: &HeaderMap, asked: &Range<u64>) -> Result<Answer> {
    check_encoding(headers)?;
    let said = text(headers, header::CONTENT_RANGE);
    let said = said.ok_or_else(|| Error::unsupported("the server sends a part of a file without saying which"))?;
    let (range, len) = content_range(&said).ok_or_else(|| {
        let text = format!("the server says \"{said}\" of what it sends, expected \"bytes FIRST-LAST/LENGTH\"");
        Error::unsupported(text)
    })?;
    let fits = range.start == asked.start && range.end <= asked.end && range.end <= len;
    if !fits {
        let text = format!("asked for bytes {}-{}, the server sends \"{said}\"", asked.start, asked.end - 1);
        return Err(Error::corrupt(text));
    }
    match content_length(headers) {
        Some(length) if length != range.end - range.start => {
            Err(Error::corrupt(format!("the server sends \"{said}\" in {length} bytes")))
        }
        _ => Ok(Answer::Part { range, identity: Identity::of(headers, len) }),
    }
}

/// Range and length that a Content-Range states.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, len) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
    let end = last.checked_add(1).filter(|end| *end > first)?;
    Some((first..end, len.trim().parse().ok()?))
}

/// That bytes are those of the file: of an encoded one, no offset is what it seems.
fn check_encoding(headers: &HeaderMap) -> Result<()> {
    match text(headers, header::CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        Some(encoding) => {
            let text = format!("the server encodes the file ({encoding}), whose offsets are lost by that");
            Err(Error::unsupported(text).hint("have it sent as it is"))
        }
        None => Ok(()),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.trim().parse().ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Response<()> {
        let response =
            headers.iter().fold(Response::builder().status(status), |r, (name, value)| r.header(*name, *value));
        response.body(()).unwrap()
    }

    fn of(headers: &[(&str, &str)]) -> Result<Answer> {
        Answer::of(&response(206, headers), &(100..200))
    }

    #[test]
    fn what_was_asked_for_or_its_beginning() {
        for (said, end) in [("bytes 100-199/1000", 200), ("bytes 100-149/150", 150), ("bytes 100-100/101", 101)] {
            let answer = of(&[("content-range", said), ("etag", "\"a\"")]).unwrap();
            let Answer::Part { range, identity } = answer else { panic!("{said}") };
            assert_eq!((range, identity.strong_etag()), (100..end, Some("\"a\"")), "{said}");
        }
    }

    #[test]
    fn other_parts_are_refused() {
        for (said, words) in [
            ("bytes 0-99/1000", "asked for bytes 100-199, the server sends"),
            ("bytes 100-200/1000", "asked for bytes 100-199"),
            ("bytes 100-199/150", "asked for bytes 100-199"),
            ("bytes 199-100/1000", "expected"),
            ("bytes 100-199/*", "expected"),
            ("bytes 100-18446744073709551615/2", "expected"),
            ("octets 100-199/1000", "expected"),
        ] {
            let e = of(&[("content-range", said)]).unwrap_err().to_string();
            assert!(e.contains(words), "{said}: {e}");
        }
        assert!(of(&[]).unwrap_err().to_string().contains("without saying which"));
        let e = of(&[("content-range", "bytes 100-199/1000"), ("content-length", "99")]).unwrap_err();
        assert!(e.to_string().contains("in 99 bytes"), "{e}");
        let e = of(&[("content-range", "bytes 100-199/1000"), ("content-encoding", "gzip")]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn answers_without_a_range() {
        let of = |status, headers: &[(&str, &str)]| Answer::of(&response(status, headers), &(0..10)).unwrap();
        assert!(matches!(of(200, &[("content-length", "7")]), Answer::Whole(Some(7))));
        assert!(matches!(of(200, &[]), Answer::Whole(None)));
        assert!(matches!(of(416, &[("content-range", "bytes */0")]), Answer::Past(Some(0))));
        assert!(matches!(of(416, &[]), Answer::Past(None)));
        assert!(matches!(of(404, &[]), Answer::Other));
    }

    #[test]
    fn a_file_that_is_another() {
        let was = Identity { len: 9, etag: Some("W/\"a\"".into()), modified: None };
        assert_eq!((was.check(&was.clone()).is_ok(), was.strong_etag()), (true, None));
        for (now, words) in [
            (Identity { len: 8, ..was.clone() }, "its length was 9 and is 8"),
            (Identity { etag: None, ..was.clone() }, "its ETag was W/\"a\" and is none"),
            (Identity { modified: Some("today".into()), ..was.clone() }, "its Last-Modified was none and is today"),
        ] {
            let e = was.check(&now).unwrap_err();
            assert!(e.kind() == ErrorKind::Unreachable && e.to_string().contains(words), "{e}");
        }
    }
}
