//! The kernel log in an image.

use crate::image::Image;
use dump_core::{Error, PageBitmap, Result};
use dump_log::{Log, LogOptions, write_log};
use std::io::Write;

impl Image {
    /// Writes the log of its kernel to `out`, the oldest record first, as lines in the form of `makedumpfile
    /// --dump-dmesg`. Nothing is held but a few pages. What is damaged is left out, and is in what is returned; nothing
    /// was written where an error is returned, unless writing was what failed.
    ///
    /// # Errors
    /// As [`kernel`](Image::kernel); `MissingInfo` if nothing says what leads to the log; if the variables that
    /// describe it cannot be read, or contradict themselves; if `out` cannot be written.
    pub fn write_log(&self, options: LogOptions, out: &mut dyn Write) -> Result<Log> {
        let kernel = self.kernel()?;
        let (memory, held) = (self.memory(), self.held_bytes()?);
        kernel.with_symbols(&memory, |symbols| write_log(&kernel, symbols, &memory, held, options, out))
    }

    /// How much memory the source holds, by its headers.
    fn held_bytes(&self) -> Result<u64> {
        let meta = self.meta();
        let end = meta.end_pfn;
        let mut held = PageBitmap::new(end).ok_or_else(|| Error::corrupt(format!("memory up to page frame {end}")))?;
        self.source().mark_held(&mut held)?;
        Ok(meta.page_size.bytes_of(held.count(held.span())))
    }
}
