//! What no program could do a row in less than: the codec alone, and the copy alone, on all CPUs.
//!
//! Both are measured in turn with the programs, so that a machine that slows down slows them too. The codec compresses
//! the very pages that the row compresses, out of memory and to nowhere. The copy reads as many bytes as the row has to
//! read, and writes as many as gdump wrote, in blocks of 256 KiB, on the same file systems.
//!
//! The limit of a row is their sum. Copying is the CPUs' work as compressing is: while a CPU copies it compresses
//! nothing, so even a program that keeps every CPU busy takes both times. (A program that maps its input saves a part
//! of the copy, and pays for it in page faults.) Left out is what depends on how a program works: judging struct pages,
//! zero tests, decompressing the struct pages of an input that is compressed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use dump_witness::{Kdump, Page};

use super::machine;
use super::row::{Input, Output, Row};
use super::sample::median;
use super::stage::{Stage, Task, quiet, remove};

/// What the hardware and the codec allow a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Seconds of the codec alone; `None` where no page is compressed.
    pub codec_s: Option<f64>,
    /// Seconds of the copy alone.
    pub copy_s: f64,
}

impl Limit {
    /// Both together.
    pub fn seconds(&self) -> f64 {
        self.codec_s.unwrap_or(0.0) + self.copy_s
    }

    /// The medians of several.
    pub fn median(limits: &[Self]) -> Result<Self> {
        let codec: Option<Vec<f64>> = limits.iter().map(|limit| limit.codec_s).collect();
        let codec_s = codec.map(median).transpose()?;
        Ok(Self { codec_s, copy_s: median(limits.iter().map(|limit| limit.copy_s).collect())? })
    }
}

/// The pages that a level keeps.
pub struct Pages {
    /// The level.
    pub level: u32,
    /// Those that are not zero, one after the other.
    path: PathBuf,
    /// How many are kept, zero pages with them.
    kept: u64,
    /// How many page frames there are.
    ram: u64,
    /// Bytes of a page.
    size: u64,
}

/// Bytes of a struct page on every kernel so far that gdump knows to filter.
const STRUCT_PAGE: u64 = 64;

impl Pages {
    /// Finds them, with gdump.
    pub fn take(stage: &Stage<'_>, level: u32) -> Result<Self> {
        let (dump, path) = (stage.path("pages.kdump"), stage.path("pages"));
        let mut command = Command::new(&stage.setup.gdump);
        command.args(["-f", "--message-level", "4", "-d", &level.to_string()]).arg(&stage.setup.vmcore).arg(&dump);
        quiet(&mut command)?;
        let kdump = Kdump::open(&dump)?;
        extract(&kdump, &path)?;
        remove(&[dump])?;
        stage.go_on()?;
        Ok(Self { level, path, kept: kdump.kept.count(), ram: kdump.ram.count(), size: kdump.header.page_size })
    }

    /// Gives their memory back.
    pub fn clear(&self) -> Result<()> {
        remove(std::slice::from_ref(&self.path))
    }

    /// Bytes that must be read to filter to this level: every page that is kept, and, where struct pages are asked,
    /// those.
    fn to_read(&self) -> u64 {
        self.kept * self.size + if self.level > 1 { self.ram * STRUCT_PAGE } else { 0 }
    }
}

/// Writes the pages of `kdump` that are not zero to `path`.
fn extract(kdump: &Kdump, path: &Path) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for pfn in kdump.kept.ones() {
        let Page::Held(page, _) = kdump.page(pfn)? else { bail!("a kept page has no descriptor") };
        if page.iter().any(|byte| *byte != 0) {
            out.write_all(&page)?;
        }
    }
    Ok(out.flush()?)
}

/// Whether the limit of `row` can be had only with the pages of its level.
pub fn needs_pages(row: &Row) -> bool {
    row.input == Input::Vmcore && (row.codec.is_some() || row.level > 1)
}

/// Measures the limit of `task` once; `written` is what gdump writes. `pages` are those of its level, where it needs
/// them.
pub fn measure(stage: &Stage<'_>, task: &Task<'_>, written: u64, pages: Option<&Pages>) -> Result<Limit> {
    let codec_s = match (task.row.codec, pages, &stage.setup.peer) {
        (Some(codec), Some(pages), Some(peer)) => Some(compress(&peer.codec_limit, codec, pages)?),
        _ => None,
    };
    let read = match task.row.input {
        Input::Vmcore => pages.filter(|_| task.row.level > 1).map_or(u64::MAX, Pages::to_read),
        // Compressed pages pass as they are: those that are kept are read.
        Input::Level1 => written,
        Input::Flat | Input::Parts => u64::MAX,
    };
    let written = if task.row.output == Output::Stdout { 0 } else { written };
    let outputs = stage.outputs(task.row);
    remove(&outputs)?;
    let source = blocks(&task.inputs, read)?;
    let mut copy_s = f64::INFINITY;
    for threads in [1, machine::cpus()] {
        copy_s = copy_s.min(copy(&source, &outputs, written, threads)?);
        remove(&outputs)?;
    }
    stage.go_on()?;
    Ok(Limit { codec_s, copy_s })
}

/// Seconds that `codec` takes for `pages` on all CPUs.
fn compress(program: &Path, codec: &str, pages: &Pages) -> Result<f64> {
    let mut command = Command::new(program);
    command.arg(codec).arg(&pages.path).args([pages.size, machine::cpus().into()].map(|number| number.to_string()));
    let text = quiet(&mut command)?;
    text.trim().parse().with_context(|| format!("codec_limit printed {text:?}"))
}

/// Bytes that are read or written at a time.
const BLOCK: u64 = 256 << 10;

/// A piece of a file.
#[derive(Debug, PartialEq)]
struct Block {
    file: usize,
    offset: u64,
    len: usize,
}

/// Files and the blocks of them to read.
struct Source {
    files: Vec<File>,
    blocks: Vec<Block>,
}

/// The first `limit` bytes of `paths`.
fn blocks(paths: &[PathBuf], limit: u64) -> Result<Source> {
    let files: Vec<File> = paths.iter().map(File::open).collect::<Result<_, _>>()?;
    let (mut blocks, mut left) = (Vec::new(), limit);
    for (file, handle) in files.iter().enumerate() {
        let len = handle.metadata()?.len().min(left);
        left -= len;
        cut(file, len, &mut blocks);
    }
    Ok(Source { files, blocks })
}

/// Adds the blocks of the first `len` bytes of a file.
fn cut(file: usize, len: u64, blocks: &mut Vec<Block>) {
    let starts = (0..len.div_ceil(BLOCK)).map(|number| number * BLOCK);
    blocks.extend(starts.map(|offset| Block { file, offset, len: (len - offset).min(BLOCK) as usize }));
}

/// Reads `source` and writes `written` bytes to `outputs`, in equal parts, both at the same time; seconds.
fn copy(source: &Source, outputs: &[PathBuf], written: u64, threads: u32) -> Result<f64> {
    let files: Vec<File> = outputs.iter().map(File::create).collect::<Result<_, _>>()?;
    let mut target = Vec::new();
    for file in 0..files.len() {
        cut(file, written / files.len() as u64, &mut target);
    }
    // Two files are written in turn, as two parts of a dump are: a file takes one writer at a time.
    target.sort_by_key(|block| (block.offset, block.file));
    let steps = source.blocks.len().max(target.len());
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut buffer = vec![1; BLOCK as usize];
        loop {
            let step = next.fetch_add(1, Ordering::Relaxed);
            if step >= steps {
                return Ok(());
            }
            for block in share(&source.blocks, step, steps) {
                source.files[block.file].read_exact_at(&mut buffer[..block.len], block.offset)?;
            }
            for block in share(&target, step, steps) {
                files[block.file].write_all_at(&buffer[..block.len], block.offset)?;
            }
        }
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a copying thread panicked"))?)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(steps > 0, "nothing to copy");
    Ok(seconds)
}

/// Part `step` of `steps` of `blocks`.
fn share(blocks: &[Block], step: usize, steps: usize) -> &[Block] {
    &blocks[blocks.len() * step / steps..blocks.len() * (step + 1) / steps]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_its_step() {
        let mut blocks = Vec::new();
        cut(0, BLOCK * 7 + 5, &mut blocks);
        assert_eq!(blocks.last(), Some(&Block { file: 0, offset: BLOCK * 7, len: 5 }));
        for steps in [8, 9, 23] {
            let shared: usize = (0..steps).map(|step| share(&blocks, step, steps).len()).sum();
            assert_eq!(shared, 8, "{steps}");
        }
    }

    #[test]
    fn copies_as_much_as_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["in1", "in2", "out1", "out2"].map(|name| dir.path().join(name));
        std::fs::write(&paths[0], vec![7; BLOCK as usize + 9]).unwrap();
        std::fs::write(&paths[1], vec![7; 100]).unwrap();
        let source = blocks(&paths[..2], BLOCK + 50).unwrap();
        let read: usize = source.blocks.iter().map(|block| block.len).sum();
        assert_eq!(read as u64, BLOCK + 50);
        copy(&source, &paths[2..], 3 * BLOCK, 2).unwrap();
        let written = paths[2..].iter().map(|path| std::fs::metadata(path).unwrap().len());
        assert!(written.eq([BLOCK * 3 / 2; 2]));
    }

    #[test]
    fn a_limit_is_the_sum_of_its_medians() {
        let limit = |codec_s, copy_s| Limit { codec_s, copy_s };
        let both = [limit(Some(3.0), 0.5), limit(Some(1.0), 0.25), limit(Some(2.0), 1.0)];
        assert_eq!(Limit::median(&both).unwrap().seconds(), 2.5);
        assert_eq!(Limit::median(&[limit(None, 0.5)]).unwrap(), limit(None, 0.5));
    }
}
