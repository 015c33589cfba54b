//! The dump to be filtered, as the memory it stands for.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::elf::Elf;
use crate::kdump::{Kdump, Page};

/// A dump whose pages can be asked for.
pub enum Memory {
    /// An ELF vmcore.
    Elf(Elf),
    /// A kdump-compressed dump, to be filtered again.
    Kdump(Box<Kdump>),
}

impl Memory {
    /// Opens the dump at `path`.
    ///
    /// # Errors
    /// If it is of neither format, or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let mut start = Vec::new();
        let file = File::open(path).with_context(|| path.display().to_string())?;
        file.take(8).read_to_end(&mut start)?;
        if Elf::probe(&start) {
            return Ok(Self::Elf(Elf::open(path)?));
        }
        if Kdump::probe(&start) {
            return Ok(Self::Kdump(Box::new(Kdump::open(path)?)));
        }
        bail!("{}: neither ELF nor kdump-compressed (is it flattened? `makedumpfile -R` first)", path.display())
    }

    /// The same where page frame 0 is physical address `start`, which kdump files have anyway.
    #[must_use]
    pub fn counted_from(self, start: u64) -> Self {
        match self {
            Self::Elf(elf) => Self::Elf(elf.counted_from(start)),
            kdump @ Self::Kdump(_) => kdump,
        }
    }

    /// The bytes of `pfn`; `None` for a page that the dump names but does not have.
    ///
    /// # Errors
    /// If its bytes cannot be read.
    pub fn page(&self, pfn: u64, page_size: u64) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Elf(elf) => elf.physical(pfn * page_size, page_size).map(Some),
            Self::Kdump(kdump) => Ok(match kdump.page(pfn)? {
                Page::Held(page, _) => Some(page),
                Page::Excluded | Page::Lost => None,
            }),
        }
    }

    /// The kernel release the dump is of, empty if it does not say.
    pub fn release(&self) -> &str {
        match self {
            Self::Elf(elf) => value(&elf.vmcoreinfo, "OSRELEASE").unwrap_or(""),
            Self::Kdump(kdump) => &kdump.header.release,
        }
    }
}

/// The value of `key` in a vmcoreinfo text.
pub fn value<'a>(vmcoreinfo: &'a str, key: &str) -> Option<&'a str> {
    vmcoreinfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_matched_whole() {
        let text = "SIZE(page)=64\nSIZE(page_ext)=8\nOSRELEASE=6.1.0\n";
        assert_eq!(value(text, "SIZE(page)"), Some("64"));
        assert_eq!(value(text, "SIZE"), None);
        assert_eq!(value(text, "OSRELEASE"), Some("6.1.0"));
    }
}
