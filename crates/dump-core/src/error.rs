//! What can go wrong, and where it did.

use std::fmt;
use std::io;

/// Result of everything in gdump's libraries.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure an [`Error`] is; decides exit statuses and retries, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input ends before something that it announces.
    Truncated,
    /// The input is not of the kind it was taken for.
    BadMagic,
    /// A value in the input contradicts the format or another value.
    Corrupt,
    /// The input is understood to be something that this version does not handle.
    Unsupported,
    /// The dump lacks something that was asked for (a vmcoreinfo key, say).
    MissingInfo,
    /// A file that says something of a kernel is of another than the one in the dump.
    OtherKernel,
    /// There is no memory at an address: the dumped kernel maps nothing there, or the machine has no RAM there.
    NoMemory,
    /// The output has no room left: the device is full, or a size limit was reached.
    NoSpace,
    /// The operating system refused a read or a write.
    Io,
    /// The input is out of reach: a server that had it does not answer any more, or has another file by now. No part of
    /// it can be read from now on.
    Unreachable,
    /// A signal asked us to stop.
    Interrupted,
    /// A part of this library broke a promise that it made to another: never the input's fault.
    Bug,
}

/// A failure: what and where, found and expected, in one line.
///
/// The text reads `context: message`, the outermost context first, as in
/// `vmcore: program header 3 at offset 0xe8: p_filesz 0x2000 exceeds p_memsz 0x1000`.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    temporary: bool,
}

impl Error {
    /// A failure of `kind` that reads `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None, temporary: false }
    }

    /// [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, message)
    }

    /// [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// [`ErrorKind::MissingInfo`].
    pub fn missing(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::MissingInfo, message)
    }

    /// [`ErrorKind::Bug`].
    pub fn bug(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Bug, message).hint("a bug in gdump, please report it")
    }

    /// [`ErrorKind::Truncated`]: `what` needs bytes up to `end`, the input has `len`.
    pub fn truncated(what: &str, end: u64, len: u64) -> Error {
        Error::new(ErrorKind::Truncated, format!("{what} ends at offset {end:#x}, but the input ends at {len:#x}"))
    }

    /// The same failure with `context: ` before it.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Error {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same failure with a way round it, shown after the message.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, of which nothing lies in what was asked for: the same may succeed another time.
    #[must_use]
    pub fn temporary(mut self) -> Error {
        self.temporary = true;
        self
    }

    /// Whether the same may succeed another time: the disk was full or failed, memory was short, another process was in
    /// the way, a signal came.
    pub fn is_temporary(&self) -> bool {
        self.temporary || self.kind == ErrorKind::Interrupted
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Error {
        let kind = match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
                ErrorKind::NoSpace
            }
            io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
            _ => ErrorKind::Io,
        };
        Error { temporary: is_temporary(&e), ..Error::new(kind, system_text(&e)) }
    }
}

/// Whether what the system refused is no answer to what it was asked for: the name, the rights, the kind of file.
fn is_temporary(e: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let of_the_request = matches!(
        e.kind(),
        Kind::NotFound
            | Kind::PermissionDenied
            | Kind::AlreadyExists
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::ReadOnlyFilesystem
            | Kind::InvalidInput
            | Kind::InvalidData
            | Kind::Unsupported
            | Kind::UnexpectedEof
            | Kind::FileTooLarge
            // no error of the system: a decoder's
            | Kind::Other
    );
    !of_the_request && !e.raw_os_error().is_some_and(|number| [ELOOP, EBADF, ENAMETOOLONG].contains(&number))
}

/// Numbers of errors that the standard library has no stable name for.
const ELOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();
const EBADF: i32 = rustix::io::Errno::BADF.raw_os_error();
const ENAMETOOLONG: i32 = rustix::io::Errno::NAMETOOLONG.raw_os_error();

/// What `e` says, without the numbers that [`io::Error`] adds to the words of the operating system: they tell people
/// nothing that the words do not.
pub fn system_text(e: &(impl fmt::Display + ?Sized)) -> String {
    const NUMBER: &str = " (os error ";
    let text = e.to_string();
    let mut parts = text.split(NUMBER);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_the_outside_in() {
        let e = Error::corrupt("size 5120 exceeds 4096")
            .within("descriptor of pfn 0x1a")
            .within("kdump")
            .hint("run gdump check");
        assert_eq!(e.to_string(), "kdump: descriptor of pfn 0x1a: size 5120 exceeds 4096 (run gdump check)");
        assert_eq!(e.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn numbers_of_system_errors_are_left_out() {
        let e = io::Error::from_raw_os_error(2);
        assert_eq!(system_text(&e), "No such file or directory");
        let nested = io::Error::other(format!("{e} at path \"/tmp/x\""));
        assert_eq!(Error::from(nested).to_string(), "No such file or directory at path \"/tmp/x\"");
        assert_eq!(system_text("frame (of 2) is damaged"), "frame (of 2) is damaged");
    }

    #[test]
    fn what_may_succeed_another_time() {
        // ENOSPC, EIO, ENOMEM, EMFILE, ESTALE, EAGAIN; ENOENT, EACCES, EEXIST, EISDIR, EINVAL, ELOOP, EFBIG, EROFS, ENAMETOOLONG
        for (numbers, temporary) in
            [(&[28, 5, 12, 24, 116, 11][..], true), (&[2, 13, 17, 21, 22, 40, 27, 30, 36], false)]
        {
            for number in numbers {
                let e = Error::from(io::Error::from_raw_os_error(*number)).within("a file").hint("a way round it");
                assert_eq!(e.is_temporary(), temporary, "{number}: {e}");
            }
        }
        assert!(!Error::from(io::Error::other("a broken frame")).is_temporary());
        assert!(!Error::new(ErrorKind::NoSpace, "a limit").is_temporary());
        assert!(Error::new(ErrorKind::Interrupted, "a signal").is_temporary());
        assert!(Error::new(ErrorKind::Io, "locked").temporary().is_temporary());
    }

    #[test]
    fn a_full_device_is_no_space() {
        let e = Error::from(io::Error::from_raw_os_error(28));
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::NoSpace, "No space left on device"));
    }
}
