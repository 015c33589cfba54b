//! The sections of a stream, as far as the last that has RAM.
//!
//! ```text
//! "QEVM" │ u32 3 │ 7: configuration │ 1: start of "ram" │ 2: a part of it │ ... │ 3: its end │ 4: devices ...
//! ```
//!
//! Only sections of RAM say how long they are, by what is in them. Of others the end is found by the footer that each
//! section has since QEMU 2.4: 0x7e and the section's number, before what can begin a section.

use crate::cursor::Cursor;
use crate::records::{Ram, Setup, multifd};
use dump_core::{Error, ErrorKind, MemoryMap, PageSize, Result};

pub(crate) const MAGIC: &[u8; 4] = b"QEVM";
const VERSION: u32 = 3;

/// Kinds of sections (migration/savevm.h).
mod kind {
    pub const EOF: u8 = 0;
    pub const START: u8 = 1;
    pub const PART: u8 = 2;
    pub const END: u8 = 3;
    pub const FULL: u8 = 4;
    pub const SUBSECTION: u8 = 5;
    pub const VMDESCRIPTION: u8 = 6;
    pub const CONFIGURATION: u8 = 7;
    pub const COMMAND: u8 = 8;
    pub const FOOTER: u8 = 0x7e;
}

/// The longest name of a machine type that is believed.
const LONGEST_NAME: u32 = 256;

/// What is known of a stream once its RAM has been read.
pub(crate) struct Stream {
    pub ram: Ram,
    pub setup: Setup,
    /// Why it ends early, if it does.
    pub damage: Option<Error>,
}

/// Reads the stream at the cursor. `machine` is the machine type by another source, for streams that do not state it.
///
/// # Errors
/// If it is none, or ends before its RAM blocks are known; as [`Ram::read`].
pub(crate) fn read(cursor: &mut Cursor<'_>, machine: Option<String>, map: Option<MemoryMap>) -> Result<Stream> {
    if cursor.peek(4)? != MAGIC {
        return Err(Error::new(ErrorKind::BadMagic, "not a migration stream"));
    }
    cursor.skip(4);
    let version = cursor.u32()?;
    if version != VERSION {
        return Err(Error::unsupported(format!("a migration stream of version {version}, only {VERSION} is known")));
    }
    let mut setup = Setup { machine, page: PageSize::K4, ignore_shared: false, mapped: false, map };
    if cursor.peek(1)? == [kind::CONFIGURATION] {
        cursor.skip(1);
        configuration(cursor, &mut setup).map_err(|e| e.within("configuration"))?;
    }
    let mut sections = Sections { ram: Ram::new(setup.clone(), cursor.len()), number: None, passed: false };
    let damage = match sections.read(cursor, &setup) {
        Ok(()) => None,
        // what was sent so far can be read
        Err(e) if is_damage(&e) && !sections.ram.segments.is_empty() => Some(e),
        Err(e) => return Err(e),
    };
    if sections.ram.blocks.is_empty() {
        return Err(Error::corrupt("a migration stream without RAM"));
    }
    if !setup.mapped && sections.ram.sent == 0 && damage.is_none() {
        return Err(multifd());
    }
    Ok(Stream { ram: sections.ram, setup, damage })
}

fn is_damage(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Truncated | ErrorKind::Corrupt | ErrorKind::Io)
}

/// The machine type, and subsections: size of pages, capabilities, UUID.
fn configuration(cursor: &mut Cursor<'_>, setup: &mut Setup) -> Result<()> {
    let len = cursor.u32()?;
    if len > LONGEST_NAME {
        return Err(Error::corrupt(format!("a machine type whose name has {len} bytes")));
    }
    setup.machine = Some(cursor.text(len as usize)?);
    while cursor.peek(1)? == [kind::SUBSECTION] {
        cursor.skip(1);
        let name = cursor.name()?;
        cursor.u32()?; // its version
        match name.as_str() {
            "configuration/target-page-bits" => {
                let bits = cursor.u32()?;
                let size = 1u64.checked_shl(bits).and_then(PageSize::from_bytes);
                setup.page = size.ok_or_else(|| Error::corrupt(format!("pages of 2^{bits} bytes")))?;
            }
            "configuration/capabilities" => {
                for _ in 0..cursor.u32()?.min(256) {
                    match cursor.name()?.as_str() {
                        "x-ignore-shared" => setup.ignore_shared = true,
                        "mapped-ram" | "fixed-ram" => setup.mapped = true,
                        _ => {}
                    }
                }
            }
            "configuration/uuid" => cursor.skip(16),
            _ => return Err(Error::unsupported(format!("subsection {name:?}, whose length is not known"))),
        }
    }
    Ok(())
}

struct Sections {
    ram: Ram,
    /// The number of the section of RAM.
    number: Option<u32>,
    /// Whether RAM has ended.
    passed: bool,
}

impl Sections {
    fn read(&mut self, cursor: &mut Cursor<'_>, setup: &Setup) -> Result<()> {
        while !self.passed {
            let at = cursor.at();
            match cursor.u8()? {
                kind::EOF | kind::VMDESCRIPTION => return Ok(()),
                kind::COMMAND => {
                    cursor.u16()?;
                    let len = cursor.u16()?;
                    cursor.skip(len.into());
                }
                kind @ (kind::START | kind::FULL) => {
                    let (number, name) = (cursor.u32()?, cursor.name()?);
                    cursor.skip(8); // instance and version
                    if name == "ram" && kind == kind::START {
                        self.number = Some(number);
                        self.ram.read(cursor)?;
                        self.passed = setup.mapped;
                        pass_footer(cursor, number)?;
                    } else {
                        pass_section(cursor, number).map_err(|e| e.within(format!("section {name:?} at {at:#x}")))?;
                    }
                }
                kind @ (kind::PART | kind::END) => {
                    let number = cursor.u32()?;
                    if self.number == Some(number) {
                        self.ram.read(cursor)?;
                        self.passed = kind == kind::END;
                        pass_footer(cursor, number)?;
                    } else {
                        pass_section(cursor, number).map_err(|e| e.within(format!("section {number} at {at:#x}")))?;
                    }
                }
                other => return Err(Error::corrupt(format!("section at {at:#x} of unknown kind {other:#x}"))),
            }
        }
        Ok(())
    }
}

/// Passes the footer of a section, where there is one: machine types before 2.4 have none.
fn pass_footer(cursor: &mut Cursor<'_>, number: u32) -> Result<()> {
    if cursor.peek(1).is_ok_and(|byte| byte == [kind::FOOTER]) {
        let at = cursor.at();
        cursor.skip(1);
        let found = cursor.u32()?;
        if found != number {
            return Err(Error::corrupt(format!("footer of section {found} at {at:#x}, where section {number} ends")));
        }
    }
    Ok(())
}

/// Passes what is left of a section of unknown form.
fn pass_section(cursor: &mut Cursor<'_>, number: u32) -> Result<()> {
    let [a, b, c, d] = number.to_be_bytes();
    if cursor.find(&[kind::FOOTER, a, b, c, d], HEAD, &begins_section)? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Truncated, "it has no end"))
}

/// Bytes that are looked at to say whether a section begins.
const HEAD: usize = 16;

/// Whether `bytes` can begin a section.
fn begins_section(bytes: &[u8]) -> bool {
    let byte = |i: usize| bytes.get(i).copied();
    match byte(0) {
        None => false,
        Some(kind::EOF | kind::VMDESCRIPTION | kind::COMMAND) => true,
        // numbers are given out from 0 on; a name has letters
        Some(kind::PART | kind::END) => (byte(1), byte(2)) == (Some(0), Some(0)),
        Some(kind::START | kind::FULL) => {
            let named = byte(5).is_some_and(|len| len > 0) && byte(6).is_some_and(|c| c.is_ascii_graphic());
            (byte(1), byte(2)) == (Some(0), Some(0)) && named
        }
        _ => false,
    }
}
