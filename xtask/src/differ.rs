//! `cargo xtask differ`: gdump beside makedumpfile on one dump.
//!
//! 1. At each dump level: the same header facts, the same two bitmaps.
//! 2. At levels 1 and 31, with each codec: the kept pages are the memory's, byte for byte.
//! 3. At level 31, with each codec: drgn reads the same memory.
//! 4. At level 31: crash prints the same text of both programs' dumps.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use dump_witness::{Bitmap, Difference, Kdump, Memory, contents, struct_page};

use crate::report::Report;
use crate::{crash, drgn, program, workspace};

/// Option that chooses a codec, and the descriptor flags of pages compressed with it.
const CODECS: &[(Option<&str>, u32)] =
    &[(None, 0), (Some("-c"), 1), (Some("-l"), 2), (Some("-p"), 4), (Some("-z"), 0x20)];
/// Levels whose page contents are compared: all pages but shared zero pages, and what is commonly kept.
const CONTENT_LEVELS: &[u8] = &[1, 31];
/// Runs of differing pages that are listed before the rest is only counted.
const LISTED: usize = 16;

/// What `cargo xtask differ` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The dump to filter: a 64-bit ELF vmcore or kdump-compressed dump (of QEMU's ELF dumps: after lab/fix_phoff.py)
    vmcore: PathBuf,
    /// The kernel with DWARF; with it, what crash shows is compared too
    #[arg(long, value_name = "PATH")]
    vmlinux: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// What `lab` takes as well.
#[derive(clap::Args)]
pub struct Options {
    /// The makedumpfile to compare with
    #[arg(long, value_name = "PATH", default_value = "makedumpfile")]
    pub peer: String,
    /// Dump levels to compare [default: all 32]
    #[arg(long, value_name = "N,N...", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(0..32))]
    pub levels: Vec<u8>,
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH", hide = true)]
    pub gdump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(&[&args.options.peer])?;
    if args.vmlinux.is_some() {
        program::need(&["crash"])?;
    }
    let gdump = workspace::gdump(args.options.gdump.as_deref())?;
    let mut report = Report::default();
    compare(&args.vmcore, args.vmlinux.as_deref(), &args.options, &gdump, &mut report)?;
    report.finish()
}

/// Compares on one dump; differences go to `report`, an error is a comparison that could not be made.
pub fn compare(
    vmcore: &Path,
    vmlinux: Option<&Path>,
    options: &Options,
    gdump: &Path,
    report: &mut Report,
) -> Result<()> {
    let memory = Memory::open(vmcore)?;
    std::fs::create_dir_all(workspace::target()?)?;
    let scratch = tempfile::Builder::new().prefix("differ").tempdir_in(workspace::target()?)?;
    report.start(&format!("{} of kernel {}", program::base(vmcore), memory.release()));
    let subject = Subject { vmcore, memory, peer: Path::new(&options.peer), gdump, scratch: scratch.path() };
    let all: Vec<u8> = (0..32).collect();
    for level in if options.levels.is_empty() { &all } else { &options.levels } {
        subject.level(*level, report).with_context(|| format!("dump level {level}"))?;
    }
    subject.contents(report)?;
    if let Some(vmlinux) = vmlinux {
        subject.crash(vmlinux, report)?;
    }
    Ok(())
}

/// All that the comparisons share.
struct Subject<'a> {
    vmcore: &'a Path,
    memory: Memory,
    peer: &'a Path,
    gdump: &'a Path,
    scratch: &'a Path,
}

/// One of the two programs.
#[derive(Clone, Copy)]
enum Who {
    Makedumpfile,
    Gdump,
}

/// A dump one of the programs made; removed when dropped.
struct Made {
    path: PathBuf,
}

impl Drop for Made {
    fn drop(&mut self) {
        // Gone or not, the folder around it is removed at the end.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Subject<'_> {
    /// Makes a dump. Each program has one at a time.
    fn make(&self, who: Who, codec: Option<&str>, level: u8) -> Result<Made> {
        let (program, name) = match who {
            Who::Makedumpfile => (self.peer, "makedumpfile"),
            Who::Gdump => (self.gdump, "gdump"),
        };
        let made = Made { path: self.scratch.join(name) };
        let mut command = Command::new(program);
        command.args(codec).args(["-d", &level.to_string(), "--message-level", "4"]).arg(self.vmcore).arg(&made.path);
        program::quiet(&mut command)?;
        Ok(made)
    }

    /// Makes a dump with gdump; that it cannot is a difference.
    fn make_ours(&self, codec: Option<&str>, level: u8, report: &mut Report) -> Option<(Made, Kdump)> {
        let made = self.make(Who::Gdump, codec, level).and_then(|made| Ok((Kdump::open(&made.path)?, made)));
        made.map(|(dump, made)| (made, dump)).map_err(|error| report.differs(format!("{error:#}"))).ok()
    }

    /// Header facts and bitmaps at one level.
    fn level(&self, level: u8, report: &mut Report) -> Result<()> {
        let made = self.make(Who::Makedumpfile, Some("-l"), level)?;
        let peer = Kdump::open(&made.path)?;
        let Some((_made, ours)) = self.make_ours(Some("-l"), level, report) else { return Ok(()) };
        for (name, text) in fact_differences(&peer, &ours) {
            report.differs_once(&format!("level {level}"), format!("{name}: {text}"));
        }
        self.bitmaps(&format!("level {level}: 1st bitmap (RAM)"), &peer.ram, &ours.ram, report);
        if self.bitmaps(&format!("level {level}: 2nd bitmap (kept)"), &peer.kept, &ours.kept, report) {
            report.note(format!("level {level}: the same {} pages of {}", ours.kept.count(), ours.ram.count()));
        }
        Ok(())
    }

    /// Compares two bitmaps; true where they are equal.
    fn bitmaps(&self, what: &str, peer: &Bitmap, ours: &Bitmap, report: &mut Report) -> bool {
        let runs = peer.differences(ours);
        if runs.is_empty() {
            return true;
        }
        let pages: u64 = runs.iter().map(Difference::pages).sum();
        report.differs(format!("{what}: {pages} pages in {} runs", runs.len()));
        for run in runs.iter().take(LISTED) {
            report.note(self.describe(run));
        }
        false
    }

    /// One run of differing pages, with the struct page of its first.
    fn describe(&self, run: &Difference) -> String {
        let who = if run.in_first { "makedumpfile" } else { "gdump" };
        let (first, last) = (run.pfns.start, run.pfns.end - 1);
        let page = match &self.memory {
            Memory::Elf(elf) => struct_page::words(elf, first).unwrap_or_else(|error| format!("not found: {error:#}")),
            Memory::Kdump(_) => "not looked up in a kdump-compressed dump".to_string(),
        };
        format!("  pfn {first:#x}-{last:#x} ({}) only by {who}; struct page of the first: {page}", run.pages())
    }

    /// Page contents with every codec, read by us and by drgn.
    fn contents(&self, report: &mut Report) -> Result<()> {
        let drgn = drgn::installed();
        if !drgn {
            report.left_out("what drgn reads: pip install drgn");
        }
        for level in CONTENT_LEVELS {
            for (codec, flags) in CODECS {
                let Some((made, dump)) = self.make_ours(*codec, *level, report) else { continue };
                let what = format!("{} -d {level}", codec.unwrap_or("no codec,"));
                self.pages(&what, &dump, *flags, report)?;
                if drgn && *level == 31 {
                    match drgn::check(&made.path, &dump, &self.memory) {
                        Ok(pages) => report.note(format!("{what}: drgn reads the memory's bytes in {pages} pages")),
                        Err(error) => report.differs(format!("{what}: {error:#}")),
                    }
                }
            }
        }
        Ok(())
    }

    /// Every page of one dump.
    fn pages(&self, what: &str, dump: &Kdump, flags: u32, report: &mut Report) -> Result<()> {
        let tally = contents::check(dump, &self.memory, flags)?;
        if !tally.wrong.is_empty() {
            report.differs(format!("{what}: {} of {} pages", tally.wrong.len(), tally.pages));
            tally.wrong.iter().take(LISTED).for_each(|line| report.note(format!("  {line}")));
        } else if flags != 0 && tally.compressed == 0 {
            report.differs(format!("{what}: no page is compressed"));
        } else {
            report.note(format!("{what}: {} pages ({} compressed) are the memory's", tally.pages, tally.compressed));
        }
        Ok(())
    }

    /// What crash shows of both programs' dumps.
    fn crash(&self, vmlinux: &Path, report: &mut Report) -> Result<()> {
        let peer = self.make(Who::Makedumpfile, Some("-l"), 31)?;
        let Some((ours, _)) = self.make_ours(Some("-l"), 31, report) else { return Ok(()) };
        let expected = match crash::text(vmlinux, &peer.path) {
            Ok(text) => text,
            // A crash older than the kernel is not gdump's matter.
            Err(error) => {
                report.left_out(format!("what crash shows: it cannot read makedumpfile's dump either: {error:#}"));
                return Ok(());
            }
        };
        match crash::text(vmlinux, &ours.path) {
            Ok(text) if text == expected => {
                report.note(format!("crash prints the same {} lines", text.lines().count()))
            }
            Ok(text) => report.differs(format!("crash:\n{}", crash::differences(&expected, &text).join("\n"))),
            Err(error) => report.differs(format!("crash cannot read gdump's dump: {error:#}")),
        }
        Ok(())
    }
}

/// The header facts in which the dumps differ, with both values.
fn fact_differences(peer: &Kdump, ours: &Kdump) -> Vec<(&'static str, String)> {
    let pairs = peer.header.facts.iter().zip(&ours.header.facts).filter(|(one, other)| one != other);
    pairs.map(|((name, one), (_, other))| (*name, around_difference(one, other))).collect()
}

/// Two differing texts from shortly before they part, so that long ones stay readable.
fn around_difference(one: &str, other: &str) -> String {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let cut = |text: &str| text.chars().skip(same.saturating_sub(16)).take(64).collect::<String>();
    format!("makedumpfile {:?}, gdump {:?} (from character {same} on)", cut(one), cut(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_around_the_difference() {
        let (one, other) = (format!("{}b", "a".repeat(100)), "a".repeat(101));
        let text = around_difference(&one, &other);
        assert!(text.contains(&format!("{:?}", format!("{}b", "a".repeat(16)))), "{text}");
    }
}
