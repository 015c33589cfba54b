//! What the driver's header lacks, completed from memory, as QEMU does it for its own dumps.
//!
//! The header of a dump needs none of it: it is told apart by the first parameter of the bug check, which in the
//! driver's points to the debugger's data.

use super::cpu::Cpu;
use super::debugger_data::DebuggerData;
use super::memory::{Memory, Space, pieces};
use crate::header::Header;
use crate::patched::Patches;
use dump_core::{Error, PageSource, Result, WordSize};

/// LIVE_SYSTEM_DUMP: the bug check of a system that ran.
pub(crate) const LIVE: u32 = 0x161;

const X86_64: u32 = 0x8664;

/// A header that is complete, and what goes into memory with it.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The header.
    pub header: Header,
    /// What the dump's memory has besides what was there.
    pub patches: Patches,
    /// What could not be completed, and why, a line each.
    pub remarks: Vec<Error>,
}

/// Completes `header` from the memory of its guest and the registers of its CPUs, of which there may be none.
pub fn complete(header: Header, source: &dyn PageSource, cpus: &[Cpu]) -> Completion {
    let mut done = Completion { header, patches: Patches::default(), remarks: Vec::new() };
    let is_ours = done.header.word() == WordSize::Bits64 && done.header.machine_number() == X86_64;
    let Some(root) = done.header.page_table().filter(|_| is_ours) else { return done };
    let space = Space::of(root, cpus.first().is_some_and(|cpu| cpu.five_levels));
    let mut memory = Memory::new(source);
    let drivers = Some(done.header.bugcheck_parameters()[0]).filter(|at| *at != 0);
    let drivers = drivers.and_then(|at| DebuggerData::read(&mut memory, space, at));
    let stated = done.header.debugger_data().and_then(|at| DebuggerData::read(&mut memory, space, at));
    match (&stated, &drivers) {
        (stated, Some(drivers)) => {
            let data = stated.as_ref().unwrap_or(drivers);
            done.header.put(done.header.layout().debugger_data, &data.at.to_le_bytes());
            done.fill(data, &mut memory, space);
            done.put_contexts(data, &mut memory, space, cpus);
        }
        (Some(data), None) => done.put_contexts(data, &mut memory, space, cpus),
        (None, None) if !cpus.is_empty() => {
            let at = done.header.debugger_data().unwrap_or(0);
            let text =
                format!("no debugger's data (KDBG) in clear at {at:#x}: registers of CPUs are left out of the dump");
            done.remarks.push(Error::missing(text));
        }
        (None, None) => {}
    }
    done
}

impl Completion {
    /// Puts in what the driver does not know.
    fn fill(&mut self, data: &DebuggerData, memory: &mut Memory<'_>, space: Space) {
        let layout = self.header.layout();
        self.header.put(layout.pfn_database, &data.pfn_database().to_le_bytes());
        match data.bugcheck(memory, space) {
            Ok([code, parameters @ ..]) => self.put_bugcheck(code as u32, parameters),
            Err(e) => {
                self.put_bugcheck(0, [0; 4]);
                self.remarks.push(e.within("the bug check cannot be read"));
            }
        }
    }

    fn put_bugcheck(&mut self, code: u32, parameters: [u64; 4]) {
        let layout = self.header.layout();
        let code = if code == 0 { LIVE } else { code };
        self.header.put(layout.bugcheck_code, &code.to_le_bytes());
        let bytes: Vec<u8> = parameters.iter().flat_map(|parameter| parameter.to_le_bytes()).collect();
        self.header.put(layout.bugcheck_parameters, &bytes);
    }

    /// Puts the registers of CPUs where each CPU's own data keep them, and those of the first into the header if it has
    /// none.
    pub(crate) fn put_contexts(&mut self, data: &DebuggerData, memory: &mut Memory<'_>, space: Space, cpus: &[Cpu]) {
        for (number, cpu) in cpus.iter().enumerate() {
            let context = cpu.context();
            if let Err(e) = self.put_context(data, memory, space, number, &context) {
                self.remarks.push(e.within(format_args!("registers of CPU {number} are left out of the dump")));
            }
            let at = self.header.layout().context;
            if number == 0 && !self.header.is_set(at, context.len()) {
                self.header.put(at, &context);
            }
        }
    }

    fn put_context(
        &mut self,
        data: &DebuggerData,
        memory: &mut Memory<'_>,
        space: Space,
        cpu: usize,
        context: &[u8],
    ) -> Result<()> {
        let at = data.context_of(memory, space, cpu)?;
        let mut placed = Vec::new();
        let mut done = 0;
        for (at, len) in pieces(at, context.len()) {
            placed.push((memory.translate(space, at)?, &context[done..done + len]));
            done += len;
        }
        placed.into_iter().for_each(|(at, bytes)| self.patches.put(at, bytes));
        Ok(())
    }
}
