//! From a page to its zlib stream.

use crate::adler::adler32;
use crate::bits::{Bits, Scratch};
use crate::block::{Entries, FIXED};
use crate::header::Header;
use crate::huffman::Code;
use crate::matcher::Matcher;
use crate::symbols::{DISTS, LITLENS};
use crate::window::{BLOCK, Window, zeroed};

/// The longest page that is compressed, in bytes.
pub const MAX_PAGE: usize = 256 << 10;

/// A stream's first two bytes: deflate with a window of 32 KiB, compressed fast.
const MAGIC: [u8; 2] = [0x78, 0x01];
/// Bytes of the checksum at its end.
const CHECKSUM: usize = 4;
/// The longest code of a literal or length: so that four of them and seven waiting bits fit in a word. Few pages of 4
/// KiB want more, since a symbol that occurs once among 1000 gets about 10 bits.
const LITLEN_LIMIT: usize = 13;
/// The longest code of a distance, as the format has it.
const DIST_LIMIT: usize = 15;

/// Compresses pages, each on its own: what comes out depends on the page alone.
///
/// It is 190 KiB on the heap, of which pages of 4 KiB touch 27. Making one takes as long as compressing a few pages;
/// keep it. One per thread.
pub struct PageDeflater(Box<State>);

impl Default for PageDeflater {
    fn default() -> PageDeflater {
        PageDeflater::new()
    }
}

impl PageDeflater {
    /// A compressor, ready for any page.
    pub fn new() -> PageDeflater {
        PageDeflater(Box::new(State {
            window: Window::new(),
            matcher: Matcher::new(),
            litlens: Code::new(),
            dists: Code::new(),
            header: Header::new(),
            entries: Entries::new(),
            bits: Bits::default(),
            scratch: zeroed(),
        }))
    }

    /// Writes `page` to `out` as a zlib stream (RFC 1950) and returns its length in bytes.
    ///
    /// `None` where `out` is too short for it, or the page longer than [`MAX_PAGE`]; what `out` then holds is of no
    /// use. Whoever wants to keep pages that do not become smaller as they are gives `page.len() - 1` bytes: random
    /// pages then cost a sixth of others. Room for every page is 11 bytes more than it has, and 5 for each 16 KiB
    /// after the first.
    pub fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Option<usize> {
        if page.len() > MAX_PAGE {
            return None;
        }
        let room = out.len().checked_sub(CHECKSUM)?;
        let mut stream = Output { to: out.get_mut(..room)?, len: 0 };
        self.0.deflate(page, &mut stream)?;
        let len = stream.len;
        out.get_mut(len..len + CHECKSUM)?.copy_from_slice(&adler32(page).to_be_bytes());
        Some(len + CHECKSUM)
    }
}

/// Bytes on their way to the caller.
struct Output<'a> {
    to: &'a mut [u8],
    len: usize,
}

impl Output<'_> {
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.to.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }

    /// Bits that still fit.
    fn room(&self) -> usize {
        8 * (self.to.len() - self.len)
    }
}

/// The three kinds of blocks, by their number in the format.
#[derive(Clone, Copy)]
enum Form {
    Stored = 0,
    Fixed = 1,
    Dynamic = 2,
}

struct State {
    window: Window,
    matcher: Matcher,
    litlens: Code<512>,
    dists: Code<64>,
    header: Header,
    entries: Entries,
    bits: Bits,
    scratch: Box<Scratch>,
}

impl State {
    fn deflate(&mut self, page: &[u8], out: &mut Output<'_>) -> Option<()> {
        self.window.clear();
        self.matcher.clear();
        self.bits = Bits::default();
        out.push(&MAGIC)?;
        let mut rest = page;
        loop {
            let block;
            (block, rest) = rest.split_at(rest.len().min(BLOCK));
            self.block(block, rest.is_empty(), out)?;
            if rest.is_empty() {
                return Some(());
            }
        }
    }

    fn block(&mut self, block: &[u8], last: bool, out: &mut Output<'_>) -> Option<()> {
        let (start, moved) = self.window.append(block);
        if moved != 0 {
            self.matcher.moved(moved);
        }
        let coded = self.matcher.parse(&self.window, start, start + block.len());
        let room = out.room() - self.bits.waiting();
        let form = if coded { self.choose(block.len(), room)? } else { Form::Stored };
        match form {
            Form::Stored => self.store(block.len(), last),
            Form::Fixed => {
                self.bits.put(u64::from(last) | (form as u64) << 1, 3);
                FIXED.write(&self.matcher, &self.window, start, &mut self.bits, &mut self.scratch);
            }
            Form::Dynamic => {
                self.header.write(last, &mut self.bits, &mut self.scratch);
                self.entries.set(&self.litlens, &self.dists, self.matcher.counts());
                self.entries.write(&self.matcher, &self.window, start, &mut self.bits, &mut self.scratch);
            }
        }
        if last {
            self.bits.align(&mut self.scratch);
        }
        out.push(self.bits.take(&self.scratch))?;
        if let Form::Stored = form { out.push(block) } else { Some(()) }
    }

    /// Picks the smallest form for a block of `len` bytes, by exact sizes. `None` if it does not fit in `room` bits.
    ///
    /// Codes are built before it is known whether they are used: of pages that are not random, those better off with a
    /// fixed block are small and take little time anyway.
    #[inline(never)]
    fn choose(&mut self, len: usize, room: usize) -> Option<Form> {
        let counts = self.matcher.counts();
        let extra = counts.extra_bits();
        let stored = 3 + 32 + 8 * len; // and up to seven bits to reach a whole byte
        let fixed = 3 + (counts.fixed_bits() + extra) as usize;
        let litlens = self.litlens.build(counts.litlens(), LITLENS, LITLEN_LIMIT);
        let dists = self.dists.build(counts.dists(), DISTS, DIST_LIMIT);
        let coded = (litlens + dists + extra) as usize;
        if stored <= fixed.min(coded) {
            return Some(Form::Stored);
        }
        if room < fixed.min(coded) {
            return None; // before the header is made in vain
        }
        let dynamic = coded + self.header.build(&self.litlens, &self.dists) as usize;
        let (form, bits) = if fixed <= dynamic { (Form::Fixed, fixed) } else { (Form::Dynamic, dynamic) };
        if stored <= bits {
            return Some(Form::Stored);
        }
        (bits <= room).then_some(form)
    }

    /// The head of a stored block.
    fn store(&mut self, len: usize, last: bool) {
        let (bits, out) = (&mut self.bits, &mut self.scratch);
        bits.put(u64::from(last) | (Form::Stored as u64) << 1, 3);
        bits.flush(out);
        bits.align(out);
        bits.put(len as u64, 16);
        bits.put(!len as u64 & 0xffff, 16);
        bits.flush(out);
    }
}
