//! The kernel log, read from the memory of a dumped kernel.
//!
//! printk has kept its log in three forms, each a file here (Linux, kernel/printk/):
//!
//! | kernel | form | file |
//! |---|---|---|
//! | before 3.5 | bytes in a ring, as the console had them | `text` |
//! | 3.5 to 5.9 | records in a ring, one behind another | `records` |
//! | since 5.10 | a ring of descriptors beside a ring of text, written without locks | `ring` |
//!
//! Which one it is shows in the symbols that there are, not in the release. Records become lines as
//! `makedumpfile --dump-dmesg` prints them (`lines`). What is sound in a damaged log is given, the rest counted and said
//! ([`Log::faults`]). Nothing is held but a few pages, and no more is read than a ring has room for, which is no more
//! than the dump holds.

#![forbid(unsafe_code)]

mod faults;
mod lines;
mod memory;
mod records;
mod ring;
mod text;

use dump_core::{Error, Result};
use dump_kernel::{Kernel, KernelSymbols, PhysMemory};
use faults::Faults;
use lines::Lines;
use memory::Memory;
use std::io::Write;

/// What is wanted of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Only what was logged after the log was last cleared (`dmesg -c`).
    pub partial: bool,
    /// Whether a line says which thread or CPU logged it, where the kernel keeps that.
    pub callers: bool,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// Bytes (before 3.5).
    Text,
    /// Records one behind another (3.5 to 5.9).
    Records,
    /// Descriptors and text (since 5.10).
    Ring,
}

/// What was found of a log.
#[derive(Clone, Debug)]
pub struct Log {
    form: LogForm,
    records: u64,
    whole: Option<Error>,
    faults: Faults,
}

impl Log {
    /// Its form.
    pub fn form(&self) -> LogForm {
        self.form
    }

    /// Records that were given; bytes, where the log is text.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Why the whole log was given although a part of it was wanted, if it was.
    pub fn not_partial(&self) -> Option<&Error> {
        self.whole.as_ref()
    }

    /// What is damaged in it, the first few faults a line each; empty if all of it was given.
    pub fn faults(&self) -> &[Error] {
        self.faults.first()
    }

    /// Faults beyond those.
    pub fn more_faults(&self) -> u64 {
        self.faults.more()
    }

    /// Whether all that it should hold was given.
    pub fn is_sound(&self) -> bool {
        self.faults.first().is_empty()
    }
}

/// Writes the log of `kernel` to `out`, the oldest record first. `symbols` say where it is; `held` is how much memory the
/// dump holds (bytes), which no ring exceeds.
///
/// # Errors
/// `MissingInfo` if symbols lack what is needed, `Corrupt` if the variables that describe the log contradict themselves;
/// if they cannot be read, or `out` cannot be written.
pub fn write_log(
    kernel: &Kernel,
    symbols: &dyn KernelSymbols,
    phys: &dyn PhysMemory,
    held: u64,
    options: LogOptions,
    out: &mut dyn Write,
) -> Result<Log> {
    let mut memory = Memory::new(kernel.memory(phys), kernel.page_size());
    let mut found = Found { lines: Lines::new(out, options.callers), faults: Faults::default(), whole: None };
    let form = form(symbols)?;
    match form {
        LogForm::Text => text::read(symbols, &mut memory, held, options.partial, &mut found)?,
        LogForm::Records => records::read(symbols, &mut memory, held, options.partial, &mut found)?,
        LogForm::Ring => ring::read(symbols, &mut memory, held, options.partial, &mut found)?,
    }
    let records = found.lines.finish()?;
    Ok(Log { form, records, whole: found.whole, faults: found.faults })
}

fn form(symbols: &dyn KernelSymbols) -> Result<LogForm> {
    let forms = [("prb", LogForm::Ring), ("log_first_idx", LogForm::Records), ("log_end", LogForm::Text)];
    let found = forms.into_iter().find_map(|(symbol, form)| symbols.symbol(symbol).map(|_| form));
    let lacking =
        "vmcoreinfo lacks SYMBOL(prb), SYMBOL(log_first_idx) and SYMBOL(log_end), one of which leads to the log";
    found.ok_or_else(|| Error::missing(lacking))
}

/// What a reader gives, and what it could not.
struct Found<'w> {
    lines: Lines<'w>,
    faults: Faults,
    whole: Option<Error>,
}

/// Asks `symbols`, and says what they lack.
#[derive(Clone, Copy)]
struct Keys<'s>(&'s dyn KernelSymbols);

impl Keys<'_> {
    fn symbol(self, name: &str) -> Result<dump_core::VirtAddr> {
        self.0.symbol(name).ok_or_else(|| lacks("SYMBOL", name))
    }

    fn size(self, name: &str) -> Result<u64> {
        self.0.size_of(name).filter(|size| *size != 0).ok_or_else(|| lacks("SIZE", name))
    }

    fn offset(self, name: &str) -> Result<u64> {
        self.0.offset_of(name).ok_or_else(|| lacks("OFFSET", name))
    }
}

fn lacks(kind: &str, name: &str) -> Error {
    Error::missing(format!("vmcoreinfo lacks {kind}({name}), which leads to the log"))
}

/// Why `partial` is not possible.
fn not_partial(symbol: &str) -> Error {
    Error::missing(format!(
        "vmcoreinfo lacks SYMBOL({symbol}), which says where the log was cleared; all of it is given"
    ))
}
