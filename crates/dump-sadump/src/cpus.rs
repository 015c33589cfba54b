//! Registers of processors as they entered the firmware: their SMRAM state save areas.

use dump_core::{Error, Machine, Notes, ReadAt, Result};

/// Bytes of a state save area.
const STATE: u64 = 1024;

/// Bytes of what stands before for each processor: the numbers of its APIC.
const APIC: u64 = 16;

/// EFER.LMA: the processor ran 64-bit code, or could.
const LONG_MODE: u64 = 1 << 10;

const NT_PRSTATUS: u32 = 1;

/// Where a state has the registers of an NT_PRSTATUS note of x86_64, in the note's order: r15 to r12, rbp, rbx, r11 to r8,
/// rax, rcx, rdx, rsi, rdi, then orig_rax (which it has not), rip, cs, flags, rsp, ss, the bases of fs and gs (which it has
/// not either), ds, es, fs, gs.
const WIDE: [Option<usize>; 27] = [
    Some(796),
    Some(804),
    Some(812),
    Some(820),
    Some(900),
    Some(884),
    Some(828),
    Some(836),
    Some(844),
    Some(852),
    Some(860),
    Some(868),
    Some(876),
    Some(908),
    Some(916),
    None,
    Some(984),
    Some(940),
    Some(1000),
    Some(892),
    Some(944),
    None,
    None,
    Some(948),
    Some(936),
    Some(952),
    Some(956),
];

/// Places of the five that are segment registers, of 32 bits.
const SELECTORS: [usize; 6] = [936, 940, 944, 948, 952, 956];

/// What is known of the processors.
pub(crate) struct Cpus {
    states: Vec<Vec<u8>>,
    pub apic_ids: Vec<u64>,
}

impl Cpus {
    /// Those in the `bytes` of the sub header at `at`, which are `count` by the dump header.
    ///
    /// # Errors
    /// If it cannot hold as many.
    pub fn read(input: &dyn ReadAt, at: u64, bytes: u64, count: u32) -> Result<Cpus> {
        let count = u64::from(count);
        let mut size = [0; 4];
        input.read_exact_at(at, &mut size)?;
        let all = u64::from(u32::from_le_bytes(size));
        let each = all.checked_div(count).unwrap_or(0);
        let need = 4 + count * APIC + all;
        if count == 0 || each < STATE || need > bytes {
            let what = format!("{all} bytes of registers of {count} processors in a sub header of {bytes}");
            return Err(Error::corrupt(what));
        }
        let (mut states, mut apic_ids) = (Vec::new(), Vec::new());
        for i in 0..count {
            let (mut apic, mut state) = ([0; 8], vec![0; STATE as usize]);
            input.read_exact_at(at + 4 + i * APIC, &mut apic)?;
            input.read_exact_at(at + 4 + count * APIC + i * each, &mut state)?;
            states.push(state);
            apic_ids.push(u64::from_le_bytes(apic));
        }
        Ok(Cpus { states, apic_ids })
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// x86_64 if a processor was in long mode, i386 if none was.
    pub fn machine(&self) -> Machine {
        let wide = self.states.iter().any(|state| number(state, 992, 8) & LONG_MODE != 0);
        Machine::by_name(if wide { "x86_64" } else { "i686" }).unwrap_or(Machine::UNKNOWN)
    }

    /// Instruction pointer and page table of each.
    pub fn places(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.states.iter().map(|state| (number(state, 984, 8), number(state, 1008, 8)))
    }

    /// A note NT_PRSTATUS for each, where they are of x86_64: 336 bytes, the registers at 112, as Linux has it.
    ///
    /// # Errors
    /// None that a note of this size can have.
    pub fn notes(&self, machine: Machine) -> Result<Notes> {
        let mut notes = Notes::empty(machine.order);
        if Some(machine) != Machine::by_name("x86_64") {
            return Ok(notes);
        }
        for (state, pid) in self.states.iter().zip(1u32..) {
            let mut desc = vec![0; 32];
            desc.extend(pid.to_le_bytes());
            desc.resize(112, 0);
            for place in WIDE {
                let value = place.map_or(0, |at| number(state, at, if SELECTORS.contains(&at) { 4 } else { 8 }));
                desc.extend(value.to_le_bytes());
            }
            desc.resize(336, 0);
            notes = notes.with_note(b"CORE", NT_PRSTATUS, &desc)?;
        }
        Ok(notes)
    }
}

fn number(state: &[u8], at: usize, bytes: usize) -> u64 {
    let mut value = [0; 8];
    if let (Some(from), Some(to)) = (state.get(at..at + bytes), value.get_mut(..bytes)) {
        to.copy_from_slice(from);
    }
    u64::from_le_bytes(value)
}
