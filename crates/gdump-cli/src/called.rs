//! Which program this is called as.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A name that others know, and what stands behind it on the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Called {
    /// gdump; all words, the program's name among them.
    Gdump(Vec<OsString>),
    /// makedumpfile, by a link or a copy of that name or as `gdump makedumpfile`; the words after it.
    Makedumpfile(Vec<OsString>),
    /// makedumpfile's Perl script that rearranges a flattened stream; the words after it.
    Rearrange(Vec<OsString>),
    /// kexec-tools' program that prints the kernel log of a vmcore; the words after it.
    Dmesg(Vec<OsString>),
}

impl Called {
    /// The program's name, which its messages begin with.
    pub fn name(&self) -> &'static str {
        match self {
            Called::Gdump(_) => "gdump",
            Called::Makedumpfile(_) => "makedumpfile",
            Called::Rearrange(_) => "makedumpfile-R.pl",
            Called::Dmesg(_) => "vmcore-dmesg",
        }
    }

    /// By a command line.
    pub fn by(words: impl IntoIterator<Item = OsString>) -> Called {
        let mut words: Vec<OsString> = words.into_iter().collect();
        let name = words.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
        let rest = |words: &mut Vec<OsString>, from: usize| words.split_off(from.min(words.len()));
        if name == "makedumpfile" {
            Called::Makedumpfile(rest(&mut words, 1))
        } else if name == "makedumpfile-R.pl" {
            Called::Rearrange(rest(&mut words, 1))
        } else if name == "vmcore-dmesg" {
            Called::Dmesg(rest(&mut words, 1))
        } else if words.get(1).map(OsString::as_os_str) == Some(OsStr::new("makedumpfile")) {
            Called::Makedumpfile(rest(&mut words, 2))
        } else {
            Called::Gdump(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(line: &str) -> Called {
        Called::by(line.split(' ').map(OsString::from))
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    #[test]
    fn by_name_and_by_first_word() {
        for (line, rest) in [
            ("makedumpfile -c a b", "-c a b"),
            ("/sbin/makedumpfile makedumpfile b", "makedumpfile b"),
            ("libexec/gdump/makedumpfile", ""),
            ("gdump makedumpfile -v", "-v"),
            ("./x/gdump-1.0 makedumpfile info b", "info b"),
        ] {
            assert_eq!(called(line), Called::Makedumpfile(words(rest)), "{line}");
        }
        assert_eq!(called("bin/makedumpfile-R.pl out"), Called::Rearrange(words("out")));
        assert_eq!(called("/sbin/vmcore-dmesg /proc/vmcore"), Called::Dmesg(words("/proc/vmcore")));
        for line in ["gdump -c makedumpfile b", "makedumpfile-1.7 a b", "gdump", "makedumpfile/gdump a b"] {
            assert_eq!(called(line), Called::Gdump(words(line)), "{line}");
        }
    }
}
