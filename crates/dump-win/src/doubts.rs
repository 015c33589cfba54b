//! What a header says that is not so, or not to be relied on, for people.

use crate::header::Header;
use dump_core::WordSize;

/// The builds of Windows so far have five digits at most.
const MOST_BUILD: u32 = 99_999;

/// Seconds since 1970 between which dumps were taken: 1993, 2100.
const TIMES: std::ops::Range<u64> = 725_846_400..4_102_444_800;

impl Header {
    /// Why fields are doubtful, a line each; none where nothing speaks against them.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let mut doubt = |text: Option<String>| doubts.extend(text);
        doubt(match self.build() {
            None => Some("build: not set".to_owned()),
            Some(build) if build == 0 || build > MOST_BUILD => Some(format!("build: {build} is none")),
            _ => None,
        });
        doubt(match self.cpus() {
            None => Some("processors: not set".to_owned()),
            Some(0) => Some("processors: none".to_owned()),
            _ => None,
        });
        doubt(self.bugcheck_doubt());
        doubt(match self.page_table() {
            None | Some(0) => Some("page table: not set; no virtual address can be read".to_owned()),
            _ => None,
        });
        doubt(self.debugger_data_doubt());
        let time = self.system_time();
        doubt(match time {
            None => Some("time: not set".to_owned()),
            Some(time) if !TIMES.contains(&time) => {
                Some(format!("time: {time} s since 1970 is when no dump was taken"))
            }
            _ => None,
        });
        doubt(match self.memory() {
            Err(e) => Some(format!("memory: {e}")),
            Ok(None) => Some("memory: PhysicalMemoryBlock is not set".to_owned()),
            Ok(Some(block)) if !block.is_exact() => {
                let (pages, runs) = (block.pages, block.pages_of_runs());
                Some(format!("memory: PhysicalMemoryBlock has {pages} pages, its runs {runs}"))
            }
            Ok(Some(_)) => None,
        });
        doubts
    }

    fn bugcheck_doubt(&self) -> Option<String> {
        let layout = self.layout();
        let word = layout.word.bytes();
        if self.bugcheck_code().is_none() {
            return Some("bug check: not set".to_owned());
        }
        let rest = layout.bugcheck_parameters + word..layout.bugcheck_parameters + 4 * word;
        let unset = rest.step_by(word).all(|at| !self.is_set(at, word));
        let text = "bug check: as the guest's driver published it, before anything went wrong; --format dmp takes it from \
                    memory";
        unset.then(|| text.to_owned())
    }

    fn debugger_data_doubt(&self) -> Option<String> {
        let at = self.debugger_data();
        let high = match self.word() {
            WordSize::Bits64 => at.is_some_and(|at| at >> 47 == (1 << 17) - 1 || at >> 56 == 0xff),
            WordSize::Bits32 => at.is_some_and(|at| at >> 31 == 1),
        };
        match at {
            None => Some("debugger data: not set; debuggers find nothing".to_owned()),
            Some(at) if !high => Some(format!("debugger data: {at:#x} is no address of a kernel")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_synth::{DmpFile, DmpKind};

    #[test]
    fn a_sound_header_and_one_that_nobody_filled_in() {
        let file = DmpFile::new(DmpKind::Full, &[1..2, 5..9]);
        for file in [file.clone(), file.narrow()] {
            assert_eq!(Header::new(&file.header()).unwrap().doubts(), Vec::<String>::new());
        }
        let doubts = Header::unset().doubts();
        let of = ["build: ", "processors: ", "bug check: ", "page table: ", "debugger data: ", "time: ", "memory: "];
        assert!(
            doubts.iter().zip(of).all(|(doubt, of)| doubt.starts_with(of)) && doubts.len() == of.len(),
            "{doubts:?}"
        );
    }

    #[test]
    fn what_the_driver_left() {
        let mut header = Header::new(&DmpFile::new(DmpKind::Full, &[1..2, 5..9]).header()).unwrap();
        header.put(0x48, &b"PAGE".repeat(6));
        assert!(header.doubts()[0].contains("before anything went wrong"), "{:?}", header.doubts());
        header.put(0x80, &5u64.to_le_bytes());
        assert_eq!(header.doubts()[1], "debugger data: 0x5 is no address of a kernel");
    }
}
