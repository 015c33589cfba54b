//! Containers: sources of pages that can describe and check themselves.

use crate::addr::{PageSize, PfnRange};
use crate::codec::{CodecId, CodecSet};
use crate::damage::{Damage, Fault};
use crate::error::{Error, Result};
use crate::source::{Absence, Content, PageReader, PageSource};
use std::ops::Range;

/// What a container is, for people and for making another of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// The format's name.
    pub format: &'static str,
    /// Version of the format, where it has versions.
    pub version: Option<i32>,
    /// Who wrote it, where that can be identified.
    pub producer: Option<&'static str>,
    /// How its pages are compressed, if they are.
    pub codec: Option<CodecId>,
    /// The page frames that it holds, where it is one part of a split dump without the others.
    pub part: Option<PfnRange>,
}

impl Description {
    /// A container of `format`, of which there is no more to say.
    pub fn of(format: &'static str) -> Description {
        Description { format, version: None, producer: None, codec: None, part: None }
    }
}

/// Something that headers say, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// What it is about, in a word or two of small letters.
    pub name: &'static str,
    /// What is said.
    pub text: String,
}

impl Detail {
    /// `name: text`.
    pub fn new(name: &'static str, text: impl Into<String>) -> Detail {
        Detail { name, text: text.into() }
    }
}

/// A dump's container: its pages, and what can be said about it.
pub trait Container: PageSource {
    /// What it is.
    fn describe(&self) -> Description;

    /// Why it ends early or cannot be parsed further, noticed when it was opened; what comes before that can be read.
    fn damage(&self) -> Option<&Error> {
        None
    }

    /// Whether the damage is one by which pages are given the bytes of others, for certain.
    fn mixes_pages_up(&self) -> bool {
        false
    }

    /// What is wrong with its headers, noticed when it was opened: they contradict each other or what the file has, and
    /// what is read may not be what it is taken for.
    fn header_faults(&self) -> &[Error] {
        &[]
    }

    /// What whoever reads it should know first, although nothing is wrong: what was left aside, or taken for granted.
    fn remarks(&self) -> &[Error] {
        &[]
    }

    /// What else its headers say that is worth a line.
    fn details(&self) -> Vec<Detail> {
        Vec::new()
    }

    /// Whether any of its [faults](Container::header_faults) leaves in doubt which pages there are, or what they hold.
    fn doubts_pages(&self) -> bool {
        false
    }

    /// What is wrong after a look at all that headers speak of, which may take reading.
    fn check_headers(&self) -> Vec<Error> {
        self.header_faults().to_vec()
    }

    /// Looks at all that is between its headers and its pages, and how far its own bytes vouch for pages.
    ///
    /// # Errors
    /// If it must be read for that, and cannot be.
    fn survey(&self, depth: Depth) -> Result<Survey> {
        let _ = depth;
        Ok(Survey::default())
    }

    /// The pages that bytes `bytes` of the file belong to, ascending; none where that is not known.
    ///
    /// # Errors
    /// If it must be read for that, and cannot be.
    fn pages_in(&self, bytes: Range<u64>) -> Result<Vec<PfnRange>> {
        let _ = bytes;
        Ok(Vec::new())
    }

    /// A worker's half: looks at pages as reading would, and reports those that cannot be read.
    fn checker(&self) -> Box<dyn PageChecker + '_> {
        Box::new(ReadChecker(self.reader()))
    }

    /// Whether it states the size of its pages itself.
    fn states_page_size(&self) -> bool;

    /// The same memory as pages of `size`, for containers that do not state what their pages are; others stay as they
    /// are.
    fn set_page_size(&mut self, size: PageSize);
}

/// How far a survey goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What says where pages are.
    Index,
    /// The rest of the file too, what is behind the last page: on a device, all of the device.
    File,
}

/// What a look at a container as a whole shows.
#[derive(Debug, Default)]
pub struct Survey {
    /// What cannot be right.
    pub wrong: Vec<Error>,
    /// How its pages are stored, and what vouches for them; none where nothing does.
    pub vouched: Vec<Vouched>,
    /// Pages that it leads to no place for where theirs could be. What is wrong with each a check of pages says.
    pub astray: u64,
}

impl Survey {
    /// Of two parts of one container.
    #[must_use]
    pub fn and(mut self, other: Survey) -> Survey {
        self.wrong.extend(other.wrong);
        self.astray += other.astray;
        for more in other.vouched {
            match self.vouched.iter_mut().find(|vouched| vouched.stored == more.stored) {
                Some(vouched) => vouched.pages += more.pages,
                None => self.vouched.push(more),
            }
        }
        self
    }
}

/// Pages that are stored in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// How: a codec's name, or "uncompressed".
    pub stored: &'static str,
    /// The checksum that each of them carries; without one, other bytes may be taken for the page's.
    pub checksum: Option<&'static str>,
    /// How many there are.
    pub pages: u64,
}

/// A worker's half of a check.
pub trait PageChecker: Send {
    /// Looks at the pages of `run`, all of which the container means to hold, and reports each that cannot be read.
    ///
    /// # Errors
    /// A failure that touches more than pages.
    fn check(&mut self, run: PfnRange, fault: &mut dyn FnMut(Fault)) -> Result<()>;
}

/// Checks by reading, for containers that keep no reasons.
struct ReadChecker<'a>(Box<dyn PageReader + 'a>);

impl PageChecker for ReadChecker<'_> {
    fn check(&mut self, run: PfnRange, fault: &mut dyn FnMut(Fault)) -> Result<()> {
        self.0.visit(run, CodecSet::NONE, &mut |span| {
            let damage = match span.content {
                Content::Absent(Absence::Unreadable) => Damage::Unreadable,
                Content::Absent(_) => Damage::Absent,
                _ => return Ok(()),
            };
            fault(Fault { pages: span.pages, damage, error: None });
            Ok(())
        })
    }
}
