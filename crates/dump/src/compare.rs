//! Whether two dumps hold the same memory, whatever their containers.
//!
//! | one has the page | the other | |
//! |---|---|---|
//! | its bytes | its bytes | must be equal |
//! | its bytes | excluded it, or has no such memory | counted: dump levels do that, and containers without marks |
//! | zeros | the same | equal, for filters leave out zero pages and readers take what is missing for zeros |
//! | its bytes | lost it, or cannot read it | a difference |
//! | lost it, or cannot read it | no bytes either | counted: nobody can tell |
//!
//! Whoever asks strictly takes everything but equal bytes for a difference.

use crate::bitmaps::bitmaps;
use crate::claims;
use dump_core::{
    Absence, CodecSet, Content, PageBitmap, PageReader, PageSize, PageSource, Pfn, PfnRange, Repaged, Result, is_zero,
    share_out,
};

/// Pages that a worker takes at a time, and that it reads at once.
const PAGES_PER_TURN: u64 = 1 << 12;
const PAGES_PER_READ: u64 = 32;

/// Pages by how they compare; of pairs, the first is for the left dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Both have them, with the same bytes.
    pub equal: u64,
    /// One has them, all zero, and the other has not.
    pub zero: u64,
    /// Both have them, with different bytes.
    pub differ: u64,
    /// The other dump has them, and they are not zero.
    pub only_other: [u64; 2],
    /// Lost or unreadable here, in the other dump they are not.
    pub damaged: [u64; 2],
    /// Lost or unreadable in one, and not to be had from the other either.
    pub neither: u64,
    /// The first page frame that differs or is damaged.
    pub first: Option<Pfn>,
}

impl Comparison {
    /// Pages that only one dump has, and that are not zero.
    pub fn only_one(&self) -> u64 {
        self.only_other[0] + self.only_other[1]
    }

    /// Whether no page of the two could be compared although there are pages.
    pub fn nothing_in_common(&self) -> bool {
        self.equal + self.zero == 0 && self.only_one() + self.neither != 0
    }

    /// Whether the dumps hold the same memory; `strict`: a page that only one has is a difference, or that none has
    /// although it should.
    pub fn is_same(&self, strict: bool) -> bool {
        let differ = self.differ + self.damaged[0] + self.damaged[1];
        let untold = self.only_one() + self.zero + self.neither;
        differ == 0 && !self.nothing_in_common() && (untold == 0 || !strict)
    }

    fn merge(mut self, other: Comparison) -> Comparison {
        self.equal += other.equal;
        self.zero += other.zero;
        self.neither += other.neither;
        self.differ += other.differ;
        for side in 0..2 {
            self.only_other[side] += other.only_other[side];
            self.damaged[side] += other.damaged[side];
        }
        self.first = [self.first, other.first].into_iter().flatten().min();
        self
    }
}

/// Compares two sources, on all workers of the current rayon pool.
///
/// # Errors
/// `Corrupt` if headers claim pages of which the file has next to none; a failure that touches more than pages.
pub fn compare(left: &dyn PageSource, right: &dyn PageSource) -> Result<Comparison> {
    claims::check(left).map_err(|e| e.within("the first dump"))?;
    claims::check(right).map_err(|e| e.within("the second dump"))?;
    let (left, right) = to_one_page_size(Box::new(left), Box::new(right));
    compare_pages(left.as_ref(), right.as_ref())
}

type Source<'a> = Box<dyn PageSource + 'a>;

/// The sources with pages of one size, the smaller.
fn to_one_page_size<'a, 'b>(a: Source<'a>, b: Source<'b>) -> (Source<'a>, Source<'b>) {
    let (size_a, size_b) = (a.meta().page_size, b.meta().page_size);
    (cut(a, size_b), cut(b, size_a))
}

fn cut(source: Source<'_>, size: PageSize) -> Source<'_> {
    match Repaged::new(source, size) {
        Ok(cut) => Box::new(cut),
        Err(source) => source,
    }
}

fn compare_pages(left: &dyn PageSource, right: &dyn PageSource) -> Result<Comparison> {
    let ((ram_a, held_a), (ram_b, held_b)) = (bitmaps(left)?, bitmaps(right)?);
    let end = ram_a.span().end.max(ram_b.span().end);
    let Some(mut union) = PageBitmap::new(end) else { return Ok(Comparison::default()) };
    for bits in [&held_a, &held_b] {
        bits.runs(bits.span()).for_each(|run| union.set(run));
    }
    let windows = (0..end.0.div_ceil(PAGES_PER_TURN)).map(|i| PfnRange::at(Pfn(i * PAGES_PER_TURN), PAGES_PER_TURN));
    let windows = windows.filter(|window| union.count(*window) != 0);
    let sides = || (Side::new(left), Side::new(right));
    let parts: Vec<Result<Comparison>> = share_out(windows, sides, |(a, b), window| {
        let mut counts = Comparison::default();
        for run in union.runs(window) {
            let mut at = run.start;
            while at < run.end {
                let piece = PfnRange::new(at, run.end.min(at + PAGES_PER_READ));
                a.read(piece)?;
                b.read(piece)?;
                (0..piece.len() as usize)
                    .for_each(|i| judge(piece.start + i as u64, a.page(i), b.page(i), &mut counts));
                at = piece.end;
            }
        }
        Ok(counts)
    });
    parts.into_iter().try_fold(Comparison::default(), |sum, part| part.map(|part| sum.merge(part)))
}

/// A page as one dump has it.
type Page<'a> = std::result::Result<&'a [u8], Absence>;

fn judge(pfn: Pfn, a: Page<'_>, b: Page<'_>, counts: &mut Comparison) {
    let mut differ = |counts: &mut Comparison| counts.first = Some(counts.first.map_or(pfn, |first| first.min(pfn)));
    match (a, b) {
        (Ok(a), Ok(b)) if a == b => counts.equal += 1,
        (Ok(_), Ok(_)) => {
            counts.differ += 1;
            differ(counts);
        }
        (Err(why), Ok(page)) => absent(0, why, page, counts, &mut differ),
        (Ok(page), Err(why)) => absent(1, why, page, counts, &mut differ),
        (Err(a), Err(b)) if is_damaged(a) || is_damaged(b) => {
            counts.neither += 1;
            differ(counts);
        }
        (Err(_), Err(_)) => {}
    }
}

fn is_damaged(why: Absence) -> bool {
    matches!(why, Absence::Lost | Absence::Unreadable)
}

fn absent(side: usize, why: Absence, page: &[u8], counts: &mut Comparison, differ: &mut dyn FnMut(&mut Comparison)) {
    match why {
        Absence::Excluded | Absence::Hole if is_zero(page) => counts.zero += 1,
        Absence::Excluded | Absence::Hole => counts.only_other[side] += 1,
        Absence::Lost | Absence::Unreadable => {
            counts.damaged[side] += 1;
            differ(counts);
        }
    }
}

/// A run of pages as one dump has them.
struct Side<'a> {
    reader: Box<dyn PageReader + 'a>,
    size: usize,
    bytes: Vec<u8>,
    absences: Vec<Option<Absence>>,
}

impl<'a> Side<'a> {
    fn new(source: &'a dyn PageSource) -> Side<'a> {
        let size = source.meta().page_size.bytes();
        Side { reader: source.reader(), size, bytes: Vec::new(), absences: Vec::new() }
    }

    fn read(&mut self, run: PfnRange) -> Result<()> {
        self.bytes.clear();
        self.bytes.resize(run.len() as usize * self.size, 0);
        self.absences.clear();
        self.absences.resize(run.len() as usize, None);
        let (bytes, absences, size) = (&mut self.bytes, &mut self.absences, self.size);
        self.reader.visit(run, CodecSet::NONE, &mut |span| {
            let first = (span.pages.start - run.start) as usize;
            let pages = first..first + span.pages.len() as usize;
            match span.content {
                Content::Bytes(from) => bytes[pages.start * size..pages.end * size].copy_from_slice(from),
                Content::Absent(why) => absences[pages].fill(Some(why)),
                Content::Zero | Content::Compressed { .. } => {}
            }
            Ok(())
        })
    }

    fn page(&self, i: usize) -> Page<'_> {
        match self.absences[i] {
            Some(why) => Err(why),
            None => Ok(&self.bytes[i * self.size..(i + 1) * self.size]),
        }
    }
}
