//! The log of kernels before 3.5: a ring of bytes, `log_buf`, as the console had them.
//!
//! `log_end` counts all bytes that were ever logged, `logged_chars` those since the log was cleared (Linux 3.4,
//! kernel/printk.c). Before 2.6.25, `log_end` was an `unsigned long`; its lower half is what counts.

use crate::memory::{Memory, plus};
use crate::{Found, Keys, not_partial};
use dump_core::{Error, Result};
use dump_kernel::KernelSymbols;

pub fn read(
    symbols: &dyn KernelSymbols,
    memory: &mut Memory<'_>,
    held: u64,
    partial: bool,
    found: &mut Found<'_>,
) -> Result<()> {
    let keys = Keys(symbols);
    let buf = memory.pointer(keys.symbol("log_buf")?, "log_buf")?;
    let size = buffer_size(keys, memory, held)?;
    let end = u64::from(memory.u32(keys.symbol("log_end")?).map_err(|e| e.within("log_end"))?);
    let mut wanted = end.min(size);
    if partial {
        match symbols.symbol("logged_chars") {
            Some(at) => wanted = wanted.min(memory.u32(at).map_err(|e| e.within("logged_chars"))?.into()),
            None => found.whole = Some(not_partial("logged_chars")),
        }
    }
    let mut bytes = Vec::new();
    let mut at = end - wanted;
    while at < end {
        let index = at & (size - 1);
        let from = plus(buf, index)?;
        let here = (end - at).min(size - index).min(memory.to_page_end(from));
        bytes.resize(here as usize, 0);
        match memory.read(from, &mut bytes) {
            Ok(()) => found.lines.bytes(&bytes)?,
            Err(e) => found.faults.add(e.within(format_args!("{here} bytes of the log"))),
        }
        at += here;
    }
    Ok(())
}

/// `log_buf_len`.
pub fn buffer_size(keys: Keys<'_>, memory: &mut Memory<'_>, held: u64) -> Result<u64> {
    let size = u64::from(memory.u32(keys.symbol("log_buf_len")?).map_err(|e| e.within("log_buf_len"))?);
    match size {
        _ if !size.is_power_of_two() => Err(Error::corrupt(format!("log_buf_len is {size}, not a power of 2"))),
        _ if size > held => Err(Error::corrupt(format!("log_buf_len is {size}, but the dump holds {held} bytes"))),
        _ => Ok(size),
    }
}
