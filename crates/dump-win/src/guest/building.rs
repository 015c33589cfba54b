//! A header for a guest that published none, from its memory and its kernel's PDB, as elf2dmp makes one.
//!
//! The debugger's data may be encoded, word by word: `bswap(rol(word ^ KiWaitNever, KiWaitNever) ^ the address of
//! KdpDataBlockEncoded) ^ KiWaitAlways` is what they were. A dump has them in clear, which goes into the output alone.

use super::completion::{Completion, LIVE};
use super::cpu::Cpu;
use super::debugger_data::{DebuggerData, LEN};
use super::kernel_image::{KernelImage, SHARED};
use super::memory::{Memory, Space, pieces};
use super::symbols::Symbols;
use crate::header::Header;
use crate::patched::Patches;
use dump_core::{Error, PageSource, ReadAt, Result};

/// Where KUSER_SHARED_DATA has the time since the start, the time, the product type and the suite mask.
const UP_TIME: u64 = 0x8;
const TIME: u64 = 0x14;
const PRODUCT_TYPE: u64 = 0x264;
const SUITE_MASK: u64 = 0x2d0;

/// The most that the debugger's data are believed to have (bytes).
const MOST: usize = 4096;

/// Finds the kernel in the memory of `source`, whose CPUs have these registers.
///
/// # Errors
/// `MissingInfo` if none is there.
pub fn find_kernel(source: &dyn PageSource, cpus: &[Cpu]) -> Result<KernelImage> {
    KernelImage::find(&mut Memory::new(source), cpus)
}

/// A header for the memory of `source` with `kernel`, whose PDB is `pdb`.
///
/// # Errors
/// `OtherKernel` if it is another's PDB; `Corrupt` or `MissingInfo` if it does not say where the debugger's data are, or
/// they are not there.
pub fn build(source: &dyn PageSource, cpus: &[Cpu], kernel: &KernelImage, pdb: Box<dyn ReadAt>) -> Result<Completion> {
    let symbols = Symbols::read(pdb, &kernel.pdb)?;
    let at = |name: &str| Ok::<u64, Error>(kernel.base.wrapping_add(symbols.get(name)?));
    let (mut memory, space) = (Memory::new(source), kernel.space);
    let mut done = Completion { header: Header::unset(), patches: Patches::default(), remarks: Vec::new() };
    let data_at = at("KdDebuggerDataBlock")?;
    let data = match DebuggerData::read(&mut memory, space, data_at) {
        Some(data) => data,
        None => {
            let flag = at("KdpDataBlockEncoded")?;
            let keys = [memory.word(space, at("KiWaitNever")?)?, memory.word(space, at("KiWaitAlways")?)?, flag];
            let bytes = decoded(&mut memory, space, data_at, keys)?;
            done.put(&mut memory, space, data_at, &bytes)?;
            done.put(&mut memory, space, flag, &[0])?;
            let bytes: Vec<u8> = bytes.into_iter().take(LEN).collect();
            DebuggerData::of(data_at, bytes).ok_or_else(|| Error::bug("decoded, but not KDBG"))?
        }
    };
    done.fill_in(&data, &mut memory, space, cpus, at("KdVersionBlock")?)?;
    done.put_contexts(&data, &mut memory, space, cpus);
    Ok(done)
}

/// The debugger's data at `at`, in clear.
fn decoded(memory: &mut Memory<'_>, space: Space, at: u64, keys: [u64; 3]) -> Result<Vec<u8>> {
    let [never, always, flag] = keys;
    let mut read = |len: usize| {
        let mut bytes = vec![0; len];
        memory.read_virt(space, at, &mut bytes)?;
        for word in bytes.chunks_exact_mut(8) {
            let stored = word.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            let mixed = (stored ^ never).rotate_left((never & 63) as u32) ^ flag;
            word.copy_from_slice(&(mixed.swap_bytes() ^ always).to_le_bytes());
        }
        Ok::<_, Error>(bytes)
    };
    let head = read(0x18)?;
    let len = head.get(0x14..0x18).map_or(0, |size| size.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte)));
    if head.get(0x10..0x14) != Some(b"KDBG") || !(LEN..=MOST).contains(&len) {
        let text = format!("the debugger's data at {at:#x} cannot be decoded: expected KDBG of {LEN:#x} bytes or more");
        return Err(Error::missing(text));
    }
    read(len.next_multiple_of(8))
}

impl Completion {
    /// Has the dump's memory hold `bytes` at virtual address `at`.
    fn put(&mut self, memory: &mut Memory<'_>, space: Space, at: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        for (at, len) in pieces(at, bytes.len()) {
            self.patches.put(memory.translate(space, at)?, &bytes[done..done + len]);
            done += len;
        }
        Ok(())
    }

    fn fill_in(
        &mut self,
        data: &DebuggerData,
        memory: &mut Memory<'_>,
        space: Space,
        cpus: &[Cpu],
        version: u64,
    ) -> Result<()> {
        let layout = self.header.layout();
        let mut block = [0; 10];
        memory.read_virt(space, version, &mut block).map_err(|e| e.within("KdVersionBlock"))?;
        let [a, b, c, d, _, secondary, _, _, e, f] = block;
        let number = |low, high| u32::from(u16::from_le_bytes([low, high]));
        let shared = |memory: &mut Memory<'_>, at: u64| memory.word(space, SHARED + at);
        let (product, suite) = (shared(memory, PRODUCT_TYPE)? as u32, shared(memory, SUITE_MASK)? as u32);
        let (time, up_time) = (shared(memory, TIME)?, shared(memory, UP_TIME)?);
        let [code, parameters @ ..] = data.bugcheck(memory, space).unwrap_or_else(|e| {
            self.remarks.push(e.within("the bug check cannot be read"));
            [0; 5]
        });
        let code = if code == 0 { LIVE } else { code as u32 };
        for (at, value) in [
            (layout.major, number(a, b)),
            (layout.minor, number(c, d)),
            (layout.machine, number(e, f)),
            (layout.cpus, cpus.len() as u32),
            (layout.bugcheck_code, code),
            (layout.product_type, product),
            (layout.suite_mask, suite),
            (layout.writer_status, 0),
        ] {
            self.header.put(at, &value.to_le_bytes());
        }
        for (at, value) in [
            (layout.page_table, space.root),
            (layout.pfn_database, data.pfn_database()),
            (layout.modules, data.modules()),
            (layout.processes, data.processes()),
            (layout.debugger_data, data.at),
            (layout.system_time, time),
            (layout.up_time, up_time),
        ] {
            self.header.put(at, &value.to_le_bytes());
        }
        let parameters: Vec<u8> = parameters.iter().flat_map(|parameter| parameter.to_le_bytes()).collect();
        self.header.put(layout.bugcheck_parameters, &parameters);
        self.header.put(layout.secondary_version, &[secondary]);
        self.header.put(layout.comment, b"made by gdump of a guest without the driver\0");
        Ok(())
    }
}
