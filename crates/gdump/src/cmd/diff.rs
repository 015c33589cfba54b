//! `gdump diff A B`: whether two dumps hold the same memory, whatever their containers.
//!
//! | one has the page | the other | |
//! |---|---|---|
//! | its bytes | its bytes | must be equal |
//! | its bytes | left it out, or speaks of no such memory | counted: that is what dump levels, and containers that cannot say so, do. A difference with `--strict`, but for zero pages |
//! | its bytes | lost it, or cannot read it | a difference |

use crate::exit::Exit;
use crate::messages::print;
use crate::open::open;
use crate::plan::{DiffPlan, Inputs};
use dump_core::{
    Absence, CodecSet, Content, NoWatch, PageBitmap, PageSource, Pfn, PfnRange, Repaged, Result, Scratch, is_zero,
    share_out,
};

/// Pages that a worker takes at a time, and that are held in memory at once.
const WINDOW: u64 = 1 << 12;
const AT_ONCE: u64 = 32;

/// Compares the dumps; exit status 0 if there is no difference, 1 if there is.
///
/// # Errors
/// Where one cannot be opened.
pub fn run(plan: &DiffPlan) -> Result<Exit> {
    let one = |inputs: &Inputs| open(inputs, &NoWatch).map(crate::open::Dump::into_source);
    let (left, right) = to_one_page_size(one(&plan.left)?, one(&plan.right)?);
    let counts = super::on_threads(plan.threads, || compare(left.as_ref(), right.as_ref()))?;
    let (a, b) = (name(&plan.left), name(&plan.right));
    let mut text = String::new();
    let mut line = |count: u64, what: String| {
        if count != 0 {
            text.push_str(&format!("{count} pages {what}\n"));
        }
    };
    line(counts.equal, "are equal".to_owned());
    line(counts.only[1], format!("are only in {a}"));
    line(counts.only[0], format!("are only in {b}"));
    let first = counts.first.map_or(String::new(), |pfn| format!(", the first difference at pfn {pfn}"));
    line(counts.differ, format!("differ{first}"));
    line(counts.damaged[0], format!("are lost or unreadable in {a}{first}"));
    line(counts.damaged[1], format!("are lost or unreadable in {b}{first}"));
    let only = counts.only[0] + counts.only[1];
    let nothing_shared = counts.equal == 0 && only != 0;
    let same =
        counts.differ + counts.damaged[0] + counts.damaged[1] == 0 && !nothing_shared && (only == 0 || !plan.strict);
    text.push_str(match (same, only) {
        (true, 0) => "no difference\n",
        (true, _) => "no difference in the pages that both hold\n",
        (false, _) if nothing_shared => "the dumps have no page in common\n",
        (false, _) => "the dumps differ\n",
    });
    let exit = print(&text);
    Ok(if same { exit } else { Exit::Failed })
}

fn name(inputs: &Inputs) -> String {
    inputs.paths.iter().map(|path| path.display().to_string()).collect()
}

/// Pages by how they compare; of pairs, the first is for the left dump.
#[derive(Clone, Copy, Default)]
struct Counts {
    equal: u64,
    differ: u64,
    /// The other dump has them.
    only: [u64; 2],
    damaged: [u64; 2],
    first: Option<Pfn>,
}

impl Counts {
    fn merge(mut self, other: Counts) -> Counts {
        self.equal += other.equal;
        self.differ += other.differ;
        for side in 0..2 {
            self.only[side] += other.only[side];
            self.damaged[side] += other.damaged[side];
        }
        self.first = [self.first, other.first].into_iter().flatten().min();
        self
    }
}

/// The sources with pages of one size, the smaller.
fn to_one_page_size(a: Box<dyn PageSource>, b: Box<dyn PageSource>) -> (Box<dyn PageSource>, Box<dyn PageSource>) {
    let (size_a, size_b) = (a.meta().page_size, b.meta().page_size);
    let cut = |source, size| match Repaged::new(source, size) {
        Ok(cut) => Box::new(cut) as Box<dyn PageSource>,
        Err(source) => source,
    };
    (cut(a, size_b), cut(b, size_a))
}

fn compare(left: &dyn PageSource, right: &dyn PageSource) -> Result<Counts> {
    let ((ram_a, held_a), (ram_b, held_b)) = (super::bitmaps(left)?, super::bitmaps(right)?);
    let end = ram_a.span().end.max(ram_b.span().end);
    let Some(mut union) = PageBitmap::new(end) else { return Ok(Counts::default()) };
    for bits in [&held_a, &held_b] {
        bits.runs(bits.span()).for_each(|run| union.set(run));
    }
    let windows = (0..end.0.div_ceil(WINDOW)).map(|i| PfnRange::at(Pfn(i * WINDOW), WINDOW));
    let windows = windows.filter(|window| union.count(*window) != 0);
    let parts: Vec<Result<Counts>> = share_out(windows, Default::default, |(a, b): &mut (Side, Side), window| {
        let mut counts = Counts::default();
        for run in union.runs(window) {
            let mut at = run.start;
            while at < run.end {
                let piece = PfnRange::new(at, run.end.min(at + AT_ONCE));
                a.read(left, piece)?;
                b.read(right, piece)?;
                (0..piece.len() as usize)
                    .for_each(|i| judge(piece.start + i as u64, a.page(i), b.page(i), &mut counts));
                at = piece.end;
            }
        }
        Ok(counts)
    });
    parts.into_iter().try_fold(Counts::default(), |sum, part| part.map(|part| sum.merge(part)))
}

/// A page as one dump has it.
type Page<'a> = std::result::Result<&'a [u8], Absence>;

fn judge(pfn: Pfn, a: Page<'_>, b: Page<'_>, counts: &mut Counts) {
    let mut differ = |counts: &mut Counts| counts.first = Some(counts.first.map_or(pfn, |first| first.min(pfn)));
    match (a, b) {
        (Ok(a), Ok(b)) if a == b => counts.equal += 1,
        (Ok(_), Ok(_)) => {
            counts.differ += 1;
            differ(counts);
        }
        (Err(why), Ok(page)) => absent(0, why, page, counts, &mut differ),
        (Ok(page), Err(why)) => absent(1, why, page, counts, &mut differ),
        (Err(_), Err(_)) => {}
    }
}

fn absent(side: usize, why: Absence, page: &[u8], counts: &mut Counts, differ: &mut dyn FnMut(&mut Counts)) {
    match why {
        Absence::Excluded | Absence::Hole if is_zero(page) => counts.equal += 1,
        Absence::Excluded | Absence::Hole => counts.only[side] += 1,
        Absence::Lost | Absence::Unreadable => {
            counts.damaged[side] += 1;
            differ(counts);
        }
    }
}

/// A run of pages as one dump has them.
#[derive(Default)]
struct Side {
    bytes: Vec<u8>,
    absences: Vec<Option<Absence>>,
    size: usize,
    scratch: Scratch,
}

impl Side {
    fn read(&mut self, source: &dyn PageSource, run: PfnRange) -> Result<()> {
        self.size = source.meta().page_size.bytes();
        self.bytes.clear();
        self.bytes.resize(run.len() as usize * self.size, 0);
        self.absences.clear();
        self.absences.resize(run.len() as usize, None);
        let (bytes, absences, size) = (&mut self.bytes, &mut self.absences, self.size);
        source.visit(run, CodecSet::NONE, &mut self.scratch, &mut |span| {
            let first = (span.pages.start - run.start) as usize;
            let pages = first..first + span.pages.len() as usize;
            match span.content {
                Content::Bytes(from) => bytes[pages.start * size..pages.end * size].copy_from_slice(from),
                Content::Absent(why) => absences[pages].fill(Some(why)),
                Content::Zero | Content::Packed { .. } => {}
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
