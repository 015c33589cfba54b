//! `gdump VMCORE DUMPFILE`: from any container to any, filtered and packed.

use crate::budget::{self, Budget};
use crate::dumpable::{Criteria, Dumpable, OnUnknown};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::Messages;
use crate::open;
use crate::plan::{Conversion, Format};
use crate::progress::Progress;
use crate::ram::Ram;
use crate::report::Report;
use crate::subject::{KernelView, Subject};
use crate::target::{self, Target};
use dump_core::{DumpMeta, DumpWriter, Error, ErrorKind, PageSet, PageSize, PfnRange, Result};
use dump_elf::ElfWriter;
use dump_filter::DumpLevel;
use dump_kdump::{KdumpWriter, Options, split_evenly};
use dump_kernel::PhysMemory;
use dump_pipe::{Job, Outcome, Weights, convert};
use dump_raw::{LimeWriter, RawWriter};

/// Pages of RAM (256 GiB of 4 KiB pages) above which a dump must hold some of it to be believed: struct pages alone, which no
/// filter leaves out, are a 64th. A header out of thin air would otherwise size the bitmaps that are written.
const PLAUSIBLE_RAM: u64 = 1 << 26;

/// PT_LOADs up to which an ELF dump leaves every single page out that is not dumped. crash looks through all of them for every
/// read; a thousand cost nothing that can be felt.
const EXACT_LOADS: usize = 1024;

/// Does what `plan` says, on as many threads.
///
/// # Errors
/// One line, where nothing was written; what went wrong later was printed, and is in the exit status.
pub fn run(plan: &Conversion) -> Result<Exit> {
    target::check(plan)?;
    let interrupt = Interrupt::listen();
    let budget = Budget::new(plan.max_memory);
    if budget.bytes() < Budget::least() {
        let (given, least) = (budget.bytes() >> 10, Budget::least().div_ceil(1024));
        plan.messages.warning(&format!("{given} KiB of memory are too little: working with {least} KiB"));
    }
    let threads = budget.threads(plan.threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::new(ErrorKind::Io, format!("{threads} threads cannot be started: {e}")))?;
    pool.install(|| {
        let progress = Progress::new(plan.messages, PageSize::K4, interrupt.clone());
        let dump = open::open(&plan.inputs, &progress)?;
        let subject = Subject::new(dump, &plan.inputs, &progress)?;
        convert_subject(plan, &subject, budget, &interrupt)
    })
}

fn convert_subject(plan: &Conversion, subject: &Subject, budget: Budget, interrupt: &Interrupt) -> Result<Exit> {
    if let Some(pages) = subject.lone_part {
        let text = format!("one part of a split dump, with page frames {pages}; the others were not given");
        if plan.keep_codec {
            return Err(Error::missing(text).within(&subject.name));
        }
        plan.messages.warning(&format!("{}: {text}", subject.name));
    }
    let memory = subject.memory();
    let highest = plan.levels.iter().max().copied().unwrap_or_default();
    let view = view(plan, subject, highest, &memory).map_err(|e| match &subject.damage {
        Some(damage) => e.within(damage).within(&subject.name),
        None => e.within(&subject.name),
    })?;
    if let Some(damage) = &subject.damage {
        let text = format!("{}: {damage}; what is missing counts as unreadable", subject.name);
        plan.messages.warning(&text);
    }
    print_debug(plan.messages, view.as_ref(), subject);
    let attempt = Attempt { plan, subject, budget, memory: &memory, view: view.as_ref(), interrupt };
    let mut levels = plan.levels.iter().peekable();
    while let Some(level) = levels.next() {
        match attempt.run(*level, levels.peek().copied())? {
            Next::Done(exit) => return Ok(exit),
            Next::TryNext => {}
        }
    }
    Ok(Exit::Failed)
}

/// The kernel, if the dump level needs it or it can tell of pages that are always left out.
fn view(
    plan: &Conversion,
    subject: &Subject,
    highest: DumpLevel,
    memory: &dyn PhysMemory,
) -> Result<Option<KernelView>> {
    // a dump level that the source was made with already has nothing left to leave out
    let needed = highest.bits() & !subject.meta.dump_level & !DumpLevel::ZERO.bits() != 0;
    let Some(info) = &subject.info else {
        let level = highest.bits();
        let e = Error::missing(format!("no VMCOREINFO note, and dump level {level} needs one to tell pages apart"));
        return if needed { Err(e.hint("-d 1 or -d 0 does without")) } else { Ok(None) };
    };
    match KernelView::new(info, &subject.meta, memory) {
        Ok(view) => Ok(Some(view)),
        Err(e) if needed => Err(e.hint("-d 1 or -d 0 does without")),
        Err(e) if plan.strict => Err(e),
        Err(e) => {
            plan.messages
                .warning(&format!("{}: broken and offline pages cannot be told and are kept: {e}", subject.name));
            Ok(None)
        }
    }
}

/// What comes after an attempt at one dump level.
enum Next {
    Done(Exit),
    TryNext,
}

/// All that the attempts share.
struct Attempt<'a> {
    plan: &'a Conversion,
    subject: &'a Subject,
    budget: Budget,
    memory: &'a dyn PhysMemory,
    view: Option<&'a KernelView>,
    interrupt: &'a Interrupt,
}

impl Attempt<'_> {
    fn run(&self, level: DumpLevel, next: Option<&DumpLevel>) -> Result<Next> {
        let progress = Progress::new(self.plan.messages, self.subject.meta.page_size, self.interrupt.clone());
        let unknown = |class: &str, why: &str| self.unknown(class, why);
        let meta = self.meta(level);
        let ram = self.ram()?;
        let dumpable = self.dumpable(level, &meta, &unknown, &progress)?;
        let parts = self.parts(&meta, &dumpable, &progress)?;
        let mut writer = self.writer(level, parts)?;
        // all that the report asks of the source, for once there are outputs nothing may fail without a word about them
        let (all_ram, held) = (ram.count(ram.span())?, ram.count_held()?);
        let targets = Target::create_all(self.plan)?;
        let outputs: Vec<_> = targets.iter().map(Target::output).collect();
        let all = dumpable.span();
        let job = Job {
            source: self.subject.source.as_ref(),
            meta: &meta,
            ram: &ram,
            dumpable: &dumpable,
            pages: self.plan.pfn_range.map_or(all, |range| range.intersect(all)),
            outputs: &outputs,
            watch: &progress,
        };
        let outcome = convert(&job, writer.as_mut()).map(|outcome| finish(&targets, outcome));
        let retry = next.filter(|_| !self.plan.to_stdout()); // a stream cannot be begun anew
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(e) => return self.nothing_written(e, retry),
        };
        if let (Some(e), Some(_)) = (outcome.stopped.as_ref().filter(|e| e.kind() == ErrorKind::NoSpace), retry) {
            self.plan.messages.error(&format!("{}: {e}", self.output_name()));
            target::remove(&self.plan.outputs);
            return Ok(self.retry(retry));
        }
        let findings = dumpable.findings();
        let mut counts = outcome.counts;
        counts.zero += findings.zero;
        let report = Report {
            meta: &meta,
            total: meta.end_pfn.0,
            ram: all_ram,
            not_held: all_ram - held.min(all_ram),
            tally: &findings.tally,
            counts,
            zero_excluded: meta.dump_level & DumpLevel::ZERO.bits() != 0,
            dumpable: dumpable.count_known(job.pages) + findings.zero,
            file_len: outcome.lengths.iter().sum::<u64>().min(outcome.written), // holes take no room
            written: outcome.written,
        };
        let exit = self.conclude(&outcome, &report);
        self.print_memory(&dumpable);
        Ok(Next::Done(exit))
    }

    /// What the output says of the machine: a level is added to the source's.
    fn meta(&self, level: DumpLevel) -> DumpMeta {
        let source = self.subject.meta.dump_level;
        let both = source | level.bits();
        if source != 0 && both != level.bits() {
            let name = &self.subject.name;
            let text =
                format!("dump_level is changed to {both}, because {name} was created by dump_level({source}).\n");
            self.plan.messages.common(&text);
        }
        DumpMeta { dump_level: both, ..self.subject.meta.clone() }
    }

    /// The pages to dump, as many at a time as the memory budget allows.
    fn dumpable<'b>(
        &'b self,
        level: DumpLevel,
        meta: &DumpMeta,
        unknown: OnUnknown<'b>,
        progress: &'b Progress,
    ) -> Result<Dumpable<'b>> {
        // LiME has the lengths of ranges before their pages, for which its writer keeps a set of its own
        let bitmaps = if self.plan.format == Format::Lime { 2 } else { 1 };
        let most = self.plan.bitmap_bytes.unwrap_or(u64::MAX);
        let window = self.budget.window(budget::taken(), rayon::current_num_threads(), bitmaps, most, meta.end_pfn.0);
        // the containers that have no word for zero pages but to leave them out
        let cannot_say_zero = matches!(self.plan.format, Format::Elf | Format::Lime);
        let without_zeros = cannot_say_zero && meta.dump_level & DumpLevel::ZERO.bits() != 0;
        let criteria = Criteria { subject: self.subject, memory: self.memory, view: self.view, level, without_zeros };
        let made = Dumpable::new(criteria, meta.end_pfn, window, unknown, progress);
        made.map_err(|e| e.within(&self.subject.name))
    }

    /// The page frames that each file of a split dump holds; none for a dump that is not split.
    fn parts(&self, meta: &DumpMeta, dumpable: &Dumpable<'_>, progress: &Progress) -> Result<Vec<PfnRange>> {
        if let Some(range) = self.plan.pfn_range {
            return Ok(vec![range]);
        }
        if self.plan.outputs.len() < 2 {
            return Ok(Vec::new());
        }
        // pages that cost bytes are what is shared out
        let weights = Weights::new(self.subject.source.as_ref(), dumpable, progress)?;
        let block = self.plan.split_block.div_ceil(meta.page_size.bytes() as u64);
        Ok(split_evenly(&|run| weights.of(run), meta.end_pfn, self.plan.outputs.len(), block))
    }

    fn writer(&self, level: DumpLevel, parts: Vec<PfnRange>) -> Result<Box<dyn DumpWriter>> {
        let codec = self.plan.codec.or(self.subject.codec.filter(|_| self.plan.keep_codec));
        let options = Options { codec, dump_level: level.bits(), parts };
        Ok(match self.plan.format {
            Format::Kdump => Box::new(KdumpWriter::new(options)?),
            Format::Elf => Box::new(ElfWriter::exact(EXACT_LOADS)),
            Format::Raw => Box::new(RawWriter::new()),
            Format::Lime => Box::new(LimeWriter::new()),
        })
    }

    /// Not even the headers were written: tries the next level, where there is one and room is what was missing.
    fn nothing_written(&self, e: Error, retry: Option<&DumpLevel>) -> Result<Next> {
        target::remove(&self.plan.outputs);
        let e = e.within(self.output_name());
        if e.kind() != ErrorKind::NoSpace {
            return Err(e);
        }
        if retry.is_none() {
            return Err(e.hint("not even the headers fit, so nothing was left behind"));
        }
        self.plan.messages.error(&e.to_string());
        Ok(self.retry(retry))
    }

    fn retry(&self, next: Option<&DumpLevel>) -> Next {
        if let Some(level) = next {
            self.plan.messages.common(&format!("Retry to create a dumpfile by dump_level({}).\n", level.bits()));
        }
        Next::TryNext
    }

    fn output_name(&self) -> String {
        let names: Vec<String> = self.plan.outputs.iter().map(|path| path.display().to_string()).collect();
        if names.is_empty() { "STDOUT".to_owned() } else { names.join(", ") }
    }

    /// RAM, where it is to be believed.
    fn ram(&self) -> Result<Ram<'_>> {
        let ram = Ram::new(self.subject.source.as_ref(), self.subject.meta.end_pfn)?;
        let claimed = ram.count(ram.span())?;
        if claimed > PLAUSIBLE_RAM {
            let there = ram.count_held()?;
            if there < claimed >> 16 {
                let text = format!("headers claim {claimed} pages of RAM, of which the dump holds {there}");
                return Err(Error::corrupt(text).within(&self.subject.name));
            }
        }
        Ok(ram)
    }

    /// A class that cannot be told: its pages are kept, unless that is an error.
    fn unknown(&self, class: &str, why: &str) -> Result<()> {
        let text = format!("{class} cannot be told and are kept: {why}");
        if self.plan.strict {
            return Err(Error::missing(text).hint("--strict"));
        }
        self.plan.messages.warning(&format!("{}: {text}", self.subject.name));
        Ok(())
    }

    /// What memory it took, for people who size a capture kernel.
    fn print_memory(&self, dumpable: &Dumpable<'_>) {
        let Some(peak) = budget::peak().filter(|_| self.plan.messages.has(Messages::DEBUG)) else { return };
        let windows = match dumpable.window_pages() {
            pages if pages < dumpable.span().len() => format!(", windows of {pages} pages"),
            _ => String::new(),
        };
        let text = format!(
            "peak memory      : {} KiB, of a budget of {} KiB, {} threads{windows}\n",
            peak >> 10,
            self.budget.bytes() >> 10,
            rayon::current_num_threads()
        );
        self.plan.messages.debug(&text);
    }

    /// Says how it went.
    fn conclude(&self, outcome: &Outcome, report: &Report<'_>) -> Exit {
        let messages = self.plan.messages;
        let (input, output) = (&self.subject.name, self.output_name());
        if let Some(e) = &outcome.stopped {
            messages.error(&format!("{output}: {e}"));
        }
        if outcome.counts.unreadable != 0 {
            messages.error(&format!("{input}: {} pages cannot be read", outcome.counts.unreadable));
        }
        if outcome.counts.lost != 0 {
            messages.error(&format!("{input}: {} pages are missing, it is incomplete itself", outcome.counts.lost));
        }
        messages.report(&report.stats());
        messages.common(&report.table());
        let complete = outcome.is_complete() && self.subject.damage.is_none();
        match &outcome.unflagged {
            Some(e) => messages.error(&format!("{output}: cut off, and not flagged incomplete: {e}")),
            None if outcome.is_complete() || self.plan.dry_run => {}
            None => messages.error(&format!("{output}: flagged incomplete; what it holds can be read")),
        }
        if !self.plan.dry_run {
            let plural = if self.plan.outputs.len() > 1 { "dumpfiles are" } else { "dumpfile is" };
            messages.common(&format!("The {plural} saved to {output}.\n"));
        }
        if complete { Exit::Completed } else { Exit::Failed }
    }
}

/// Ends all outputs; what they only say now stops the conversion after all.
fn finish(targets: &[Target], mut outcome: Outcome) -> Outcome {
    for target in targets {
        if let Err(e) = target.finish() {
            outcome.stopped.get_or_insert(e);
        }
    }
    outcome
}

/// What the dump tells of its kernel, in the form in which makedumpfile's debug messages have it where scripts read them.
fn print_debug(messages: Messages, view: Option<&KernelView>, subject: &Subject) {
    if !messages.has(Messages::DEBUG) {
        return;
    }
    let meta = &subject.meta;
    for (key, value) in subject.info.iter().flat_map(|info| info.lines()) {
        messages.debug(&format!("  {key}={value}\n"));
    }
    if let Some(pfn) = subject.found_at {
        messages.debug(&format!("vmcoreinfo       : found in memory, page frame {pfn}\n"));
    }
    messages.debug(&format!(
        "page size        : {}\ndump_level       : {}\nphys_base        : {:#x}\nmax_mapnr        : {}\n",
        meta.page_size.bytes(),
        meta.dump_level,
        meta.phys_base,
        meta.end_pfn,
    ));
    let Some(KernelView { map, rules, .. }) = view else { return };
    messages.debug(&format!(
        "memory model     : {:?}, {} runs of struct pages of {} bytes\ntail pages       : {:?}\ncompound pages   : {:?}\n\
         free pages       : {:?}\n",
        map.model(),
        map.runs().len(),
        rules.struct_page_size(),
        rules.tail(),
        rules.compound(),
        rules.buddy(),
    ));
}
