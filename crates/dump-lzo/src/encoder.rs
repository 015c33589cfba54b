//! From a page to its block.

use crate::matcher::Table;
use crate::stream::Stream;
use crate::window::{POSITIONS, Window};

/// The longest page that is compressed, in bytes.
pub const MAX_PAGE: usize = POSITIONS;

/// Compresses pages, each on its own: what comes out depends on the page alone.
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
    pub fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Option<usize> {
        if page.len() > MAX_PAGE {
            return None;
        }
        self.window.fill(page);
        self.table.compress(&self.window, page.len(), out.len(), &mut self.stream)?;
        let block = self.stream.finish();
        out.get_mut(..block.len())?.copy_from_slice(block);
        Some(block.len())
    }
}
