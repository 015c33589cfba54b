//! DumpType: what a Windows crash dump has of memory.

/// What a dump has of memory, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpType {
    /// All RAM, run by run.
    Full,
    /// The pages of a bitmap: of the kernel, or of all that are in use.
    Bitmap,
    /// The same, of a system that went on running.
    Live,
    /// The kernel's, as the debugger lists them (`.dump /k`).
    Kernel,
    /// The kernel's and processes' (`.dump /ka`).
    KernelAndUser,
    /// All of them (`.dump /f`).
    Complete,
    /// One that has next to no memory, or is not known.
    Other(u32),
}

use DumpType::{Bitmap, Complete, Full, Kernel, KernelAndUser, Live, Other};

/// Number, type, name. Source: kdmp-parser, src/structs.rs (DumpType).
const TYPES: &[(u32, DumpType, &str)] = &[
    (1, Full, "full"),
    (5, Bitmap, "bitmap"),
    (6, Live, "live bitmap"),
    (8, Kernel, "kernel memory (.dump /k)"),
    (9, KernelAndUser, "kernel and user memory (.dump /ka)"),
    (0xa, Complete, "complete memory (.dump /f)"),
    (2, Other(2), "kernel summary"),
    (3, Other(3), "header alone"),
    (4, Other(4), "minidump"),
];

impl DumpType {
    /// The type of that number.
    pub fn of(number: u32) -> DumpType {
        TYPES.iter().find(|row| row.0 == number).map_or(Other(number), |row| row.1)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        match self {
            Other(number) => number,
            known => TYPES.iter().find(|row| row.1 == known).map_or(0, |row| row.0),
        }
    }

    /// What it is called; `None` where nobody knows.
    pub fn name(self) -> Option<&'static str> {
        TYPES.iter().find(|row| row.1 == self).map(|row| row.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_back() {
        for number in 0..20 {
            assert_eq!(DumpType::of(number).number(), number);
        }
        assert_eq!((DumpType::of(6).name(), DumpType::of(7).name()), (Some("live bitmap"), None));
    }
}
