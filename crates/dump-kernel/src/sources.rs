//! Where answers about the dumped kernel come from, in this order: its vmcoreinfo; a file of vmcoreinfo; its own
//! kallsyms and BTF, read from its memory; a vmlinux.
//!
//! Nothing but vmcoreinfo is asked where that is enough: reading the others takes time and memory. What is asked, and
//! which of them answered, is recorded.

use crate::own::Own;
use crate::symbols::KernelSymbols;
use crate::vmcoreinfo::Vmcoreinfo;
use dump_core::{Error, VirtAddr};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The dump's vmcoreinfo.
    Vmcoreinfo,
    /// A file with a text of vmcoreinfo.
    File,
    /// The kernel's table of symbols, in its memory.
    Kallsyms,
    /// The kernel's types, in its memory.
    Btf,
    /// The kernel's ELF file, with debug information.
    Vmlinux,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Vmcoreinfo => "vmcoreinfo",
            Source::File => "the file of vmcoreinfo",
            Source::Kallsyms => "kallsyms",
            Source::Btf => "BTF",
            Source::Vmlinux => "vmlinux",
        })
    }
}

/// An answer, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for, as vmcoreinfo writes it: `OFFSET(page.flags)`.
    pub key: String,
    /// The value, as vmcoreinfo writes it.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// What there is beside a kernel's vmcoreinfo, and what was answered so far. Of one dump's kernel: what is read of its
/// memory is kept.
#[derive(Default)]
pub struct Sources {
    file: Option<Box<dyn KernelSymbols>>,
    vmlinux: Option<Box<dyn KernelSymbols>>,
    pub(crate) own: OnceLock<Own>,
    answers: Mutex<BTreeMap<String, (u64, Source)>>,
}

impl Sources {
    /// With a file of vmcoreinfo and a vmlinux, each with KASLR in its addresses.
    pub fn new(file: Option<Box<dyn KernelSymbols>>, vmlinux: Option<Box<dyn KernelSymbols>>) -> Sources {
        Sources { file, vmlinux, ..Sources::default() }
    }

    /// What was asked and answered so far, by key.
    pub fn answers(&self) -> Vec<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = answers.iter().map(|(key, (value, source))| Answer {
            key: key.clone(),
            value: if key.starts_with("SYMBOL") { format!("{value:x}") } else { (*value as i64).to_string() },
            source: *source,
        });
        answers.collect()
    }

    /// Why the kernel's own kallsyms or BTF cannot be read, if that was tried.
    pub fn own_failures(&self) -> Vec<Error> {
        self.own.get().map(Own::failures).unwrap_or_default()
    }

    /// The files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &dyn KernelSymbols> {
        [&self.file, &self.vmlinux].into_iter().flatten().map(|symbols| &**symbols)
    }

    fn recorded(&self, key: &str) -> Option<(u64, Source)> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn record(&self, key: String, value: u64, source: Source) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (value, source));
    }
}

/// A question that [`KernelSymbols`] answers.
#[derive(Clone, Copy)]
enum Question<'a> {
    Symbol(&'a str),
    Size(&'a str),
    Offset(&'a str),
    Length(&'a str),
    Number(&'a str),
}

impl Question<'_> {
    fn key(self) -> String {
        match self {
            Question::Symbol(name) => format!("SYMBOL({name})"),
            Question::Size(name) => format!("SIZE({name})"),
            Question::Offset(name) => format!("OFFSET({name})"),
            Question::Length(name) => format!("LENGTH({name})"),
            Question::Number(name) => format!("NUMBER({name})"),
        }
    }

    /// Numbers as the bits that they are.
    fn put(self, symbols: &dyn KernelSymbols) -> Option<u64> {
        match self {
            Question::Symbol(name) => symbols.symbol(name).map(|at| at.0),
            Question::Size(name) => symbols.size_of(name),
            Question::Offset(name) => symbols.offset_of(name),
            Question::Length(name) => symbols.length_of(name),
            Question::Number(name) => symbols.number(name).map(|number| number as u64),
        }
    }
}

/// How far a question goes.
#[derive(Clone, Copy)]
pub(crate) enum Reach<'a> {
    /// To vmcoreinfo; that the kernel was built without something, its memory may tell.
    Note(&'a dyn KernelSymbols),
    /// To files too, before memory can be read.
    Files,
    /// To all: with what the kernel has in its memory.
    All(&'a dyn KernelSymbols),
}

/// All that is known of a kernel's symbols: asks one source after the other.
pub struct Symbols<'a> {
    info: &'a Vmcoreinfo,
    sources: Option<&'a Sources>,
    reach: Reach<'a>,
}

impl<'a> Symbols<'a> {
    pub(crate) fn new(info: &'a Vmcoreinfo, sources: Option<&'a Sources>, reach: Reach<'a>) -> Symbols<'a> {
        Symbols { info, sources, reach }
    }

    fn ask(&self, question: Question<'_>) -> Option<u64> {
        let stated = question.put(self.info);
        let Some(sources) = self.sources else { return stated };
        let key = question.key();
        if let Some(value) = stated {
            sources.record(key, value, Source::Vmcoreinfo);
            return Some(value);
        }
        let own = match self.reach {
            Reach::Note(_) => return None,
            Reach::Files => None,
            Reach::All(own) => Some(own),
        };
        if let Some((value, _)) = sources.recorded(&key) {
            return Some(value);
        }
        let own_source = if matches!(question, Question::Symbol(_)) { Source::Kallsyms } else { Source::Btf };
        let all =
            [(sources.file.as_deref(), Source::File), (own, own_source), (sources.vmlinux.as_deref(), Source::Vmlinux)];
        let asked = all.into_iter().filter_map(|(symbols, source)| Some((symbols?, source)));
        let (value, source) = asked.filter_map(|(symbols, source)| Some((question.put(symbols)?, source))).next()?;
        sources.record(key, value, source);
        Some(value)
    }
}

impl KernelSymbols for Symbols<'_> {
    fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.ask(Question::Symbol(name)).map(VirtAddr)
    }

    fn size_of(&self, ty: &str) -> Option<u64> {
        self.ask(Question::Size(ty))
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.ask(Question::Offset(member))
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        self.ask(Question::Length(array))
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.ask(Question::Number(name)).map(|number| number as i64)
    }

    fn key(&self, name: &str) -> Option<u64> {
        let file = self.sources.and_then(|sources| sources.file.as_ref());
        self.info.key(name).or_else(|| file?.key(name))
    }

    fn lacks_number(&self, name: &str) -> bool {
        let Some(sources) = self.sources else { return false };
        match self.reach {
            Reach::Note(own) => own.lacks_number(name),
            Reach::Files => false,
            Reach::All(own) => {
                own.lacks_number(name) || sources.vmlinux.as_ref().is_some_and(|vmlinux| vmlinux.lacks_number(name))
            }
        }
    }

    fn version(&self) -> Option<(u32, u32)> {
        let sources = self.sources.filter(|_| !matches!(self.reach, Reach::Note(_)));
        let files = sources.iter().flat_map(|sources| [&sources.file, &sources.vmlinux]).flatten();
        self.info.version().or_else(|| files.filter_map(|file| file.version()).next())
    }
}
