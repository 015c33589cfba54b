//! System calls that fail, by strace.

use anyhow::Result;

use super::Round;
use super::command::{self, Command};
use super::trial::{Expect, Trial};

pub static COMMANDS: &[&Command] = &[
    &command::ZLIB,
    &command::ELF,
    &command::FLAT,
    &command::LIME,
    &command::SPLIT,
    &command::JOIN,
    &command::REARRANGE,
    &command::REPAIR,
    &command::CHECKSUM,
    &command::ATOMIC,
    &command::LADDER,
    &command::AGAIN,
    &command::PACKED,
];

/// A system call, an error of it, how often it is called at most before, and how the run must end.
///
/// strace counts each thread's calls. `rename` is `renameat2` where the kernel has it.
const ERRORS: &[(&str, &str, u64, Expect)] = &[
    ("pread64", "EIO", 400, Expect::Either),
    ("pread64", "EINTR", 400, Expect::Success),
    ("read", "EIO", 60, Expect::Either),
    ("read", "EINTR", 60, Expect::Either),
    ("pwrite64", "EIO", 300, Expect::Either),
    ("pwrite64", "ENOSPC", 300, Expect::Either),
    ("pwrite64", "EDQUOT", 300, Expect::Either),
    ("pwrite64", "EINTR", 300, Expect::Success),
    ("write", "EIO", 200, Expect::Either),
    ("write", "ENOSPC", 200, Expect::Either),
    ("write", "EINTR", 200, Expect::Success),
    ("fdatasync,fsync", "EIO", 4, Expect::Either),
    ("fdatasync,fsync", "EINTR", 4, Expect::Either),
    ("ftruncate", "EIO", 3, Expect::Either),
    ("clone3,clone", "EAGAIN", 4, Expect::Success),
    ("mmap", "ENOMEM", 60, Expect::Either),
    ("openat", "EMFILE", 40, Expect::Either),
    ("statx,newfstatat,fstat", "EIO", 40, Expect::Either),
    ("lseek", "EIO", 60, Expect::Either),
    ("flock", "ENOLCK", 2, Expect::Either),
    ("unlink,unlinkat,rename,renameat,renameat2", "EIO", 3, Expect::Either),
    ("unlink,unlinkat,rename,renameat,renameat2", "EACCES", 3, Expect::Either),
];

/// One call fails, or all from then on.
pub fn calls(round: &mut Round<'_>) -> Result<Trial> {
    let (names, error, most, expect) = *round.dice.one_of(ERRORS);
    // half of the times among the first, for most commands make few calls of most kinds
    let most = if round.dice.within(0, 2) == 0 { most } else { most.min(12) };
    // the loader maps libraries, and the standard library its signal stack, before gdump begins
    let first = if names == "mmap" { 18 } else { 1 };
    let at = round.dice.within(first, first.max(most) + 1);
    // what is interrupted for ever may wait for ever
    let on = if error != "EINTR" && round.dice.within(0, 3) == 0 { "+" } else { "" };
    let inject = format!("inject={names}:error={error}:when={at}{on}");
    let trace = format!("trace={names}");
    let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "--"];
    Ok(Trial { wrapper: words.map(str::to_owned).to_vec(), expect, ..Trial::of(round.command) })
}
