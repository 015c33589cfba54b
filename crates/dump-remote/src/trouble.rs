//! Why a request was in vain, and whether another may not be.

use dump_core::{Error, ErrorKind, system_text};
use std::io;
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};

/// What a request gives.
pub(crate) type Tried<T> = Result<T, Trouble>;

/// Why a request was in vain.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub error: Error,
    /// Whether it may pass.
    pub passes: bool,
    /// How long the server asks to be left alone.
    pub wait: Option<Duration>,
}

impl Trouble {
    /// What may pass.
    pub fn passing(error: Error) -> Trouble {
        Trouble { error: error.temporary(), passes: true, wait: None }
    }

    /// What stays.
    pub fn lasting(error: Error) -> Trouble {
        Trouble { error, passes: false, wait: None }
    }

    /// Of a request that got no answer. A host that is not found, or has no server, may be back later, but is first of
    /// all a wrong name: `opened` is whether it was right before.
    pub fn without_answer(e: &ureq::Error, opened: bool) -> Trouble {
        let error = |text: String| Error::new(ErrorKind::Io, text);
        match e {
            ureq::Error::Io(e) => Trouble::of_stream(e, opened),
            ureq::Error::HostNotFound => {
                Trouble { passes: opened, ..Trouble::passing(error("no such host".to_owned())) }
            }
            ureq::Error::Timeout(_) => Trouble::passing(error("no answer in time".to_owned())),
            ureq::Error::ConnectionFailed => Trouble::passing(error("no connection".to_owned())),
            ureq::Error::Protocol(e) => Trouble::passing(error(format!("no answer in HTTP: {e}"))),
            ureq::Error::RequireHttpsOnly(_) => {
                Trouble::lasting(error("the server sends on from https to http, which is not followed".to_owned()))
            }
            e => Trouble::lasting(error(system_text(e))),
        }
    }

    /// Of a connection. TLS calls what it does not believe invalid data.
    pub fn of_stream(e: &io::Error, opened: bool) -> Trouble {
        let error = Error::new(ErrorKind::Io, system_text(e));
        match e.kind() {
            io::ErrorKind::ConnectionRefused => Trouble { passes: opened, ..Trouble::passing(error) },
            io::ErrorKind::PermissionDenied => {
                Trouble::lasting(error.hint("a redirect to another port, or a proxy: --no-sandbox permits it"))
            }
            io::ErrorKind::InvalidData => {
                Trouble::lasting(error.hint("SSL_CERT_FILE names certificates to be trusted instead of the system's"))
            }
            _ => Trouble::passing(error),
        }
    }

    /// Of an answer without what was asked for.
    pub fn refused(answer: &Response<ureq::Body>, hint: &str) -> Trouble {
        let status = answer.status();
        let error = Error::new(ErrorKind::Io, format!("the server says {status}"));
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !hint.is_empty() => error.hint(hint),
            _ => error,
        };
        let passes = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502..=504);
        let error = if passes { error.temporary() } else { error };
        Trouble { error, passes, wait: retry_after(answer) }
    }
}

/// What `Retry-After` asks for in seconds; of a date, nothing.
fn retry_after(answer: &Response<ureq::Body>) -> Option<Duration> {
    let text = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
