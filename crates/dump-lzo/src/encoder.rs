//! From a page to its block.

use crate::matcher::Table;
use crate::stream::Stream;
use crate::window::{POSITIONS, Window, copy};

/// The longest page that is compressed, in bytes.
pub const MAX_PAGE: usize = POSITIONS;

/// Compresses pages, each on its own: what comes out depends on the page alone.
///
/// It has 800 KiB of addresses on the heap, for pages of 256 KiB, of which pages of 4 KiB touch 20. One per thread.
pub struct PageLzo {
    window: Window,
    table: Box<Table>,
    stream: Stream,
}

impl Default for PageLzo {
    fn default() -> PageLzo {
        PageLzo::new()
    }
}

impl PageLzo {
    /// A compressor, ready for any page.
    pub fn new() -> PageLzo {
        PageLzo { window: Window::new(), table: Box::new(Table::new()), stream: Stream::new() }
    }

    /// Writes `page` to `out` as an LZO1X block and returns its length in bytes.
    ///
    /// `None` where `out` is too short for it, or the page longer than [`MAX_PAGE`]; what `out` then holds is of no
    /// use. Whoever wants to keep pages that do not become smaller as they are gives `page.len() - 1` bytes. Room for
    /// every page is 6 bytes more than it has, and one for each 255.
    pub fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Option<usize> {
        if page.len() > MAX_PAGE {
            return None;
        }
        self.window.fill(page);
        let end = self.table.compress(&self.window, page.len(), out.len(), &mut self.stream)?;
        let block = self.stream.finish(end);
        copy(block, out.get_mut(..block.len())?);
        Some(block.len())
    }
}
