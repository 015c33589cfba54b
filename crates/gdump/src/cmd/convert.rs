//! `gdump VMCORE DUMPFILE`: filter and compress.

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::Messages;
use crate::open::{self, Input};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::Report;
use crate::target::{self, Target};
use dump_core::{DumpMeta, Error, ErrorKind, InputFile, PageBitmap, PageSet, PageSize, PageSource, Result, UtsName};
use dump_elf::{ElfCore, ElfSource};
use dump_filter::{DumpLevel, Exclusion, Reason, Tally, exclude};
use dump_kdump::{KdumpWriter, Options};
use dump_kernel::{BuddyMark, Kernel, MemMap, PageRules, PhysMemory, SourceMemory, Vmcoreinfo};
use dump_pipe::{Job, Outcome, convert};

/// Does what `plan` says, on as many threads.
///
/// # Errors
/// One line, where nothing was written; what went wrong later was printed, and is in the exit status.
pub fn run(plan: &Plan) -> Result<Exit> {
    target::check(plan)?;
    let interrupt = Interrupt::listen();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(plan.threads).build();
    let pool =
        pool.map_err(|e| Error::new(ErrorKind::Io, format!("{} threads cannot be started: {e}", plan.threads)))?;
    pool.install(|| {
        let dump = Dump::open(plan, &interrupt).map_err(|e| e.within(plan.input.display()))?;
        dump.convert(plan, &interrupt)
    })
}

/// An opened dump.
struct Dump {
    source: ElfSource<InputFile>,
    info: Option<Vmcoreinfo>,
    /// Why the input ends early, where it does.
    damage: Option<Error>,
}

impl Dump {
    fn open(plan: &Plan, interrupt: &Interrupt) -> Result<Dump> {
        let progress = Progress::new(plan.messages, PageSize::K4, interrupt.clone());
        let Input { bytes, damage } = open::open(&plan.input, &progress)?;
        let core = ElfCore::open(bytes)?;
        let info = core.vmcoreinfo().map(Vmcoreinfo::parse);
        let page_size = info.as_ref().and_then(Vmcoreinfo::page_size).unwrap_or(PageSize::K4);
        let cut = core.truncation().map(|(end, len)| Error::truncated("its memory", end, len));
        Ok(Dump { source: core.into_source(page_size), info, damage: damage.or(cut) })
    }

    fn convert(&self, plan: &Plan, interrupt: &Interrupt) -> Result<Exit> {
        let input = plan.input.display();
        let memory = SourceMemory::new(&self.source);
        let highest = plan.levels.iter().max().copied().unwrap_or_default();
        let view = self.view(plan, highest, &memory).map_err(|e| match &self.damage {
            Some(damage) => e.within(damage).within(input),
            None => e.within(input),
        })?;
        if let Some(damage) = &self.damage {
            plan.messages.warning(&format!("{}: {damage}; what is missing counts as unreadable", plan.input.display()));
        }
        let meta = self.complete_meta(view.as_ref(), &memory);
        print_debug(plan.messages, view.as_ref(), &meta);
        let attempt = Attempt { plan, dump: self, memory: &memory, view: view.as_ref(), meta, interrupt };
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
    fn view(&self, plan: &Plan, highest: DumpLevel, memory: &dyn PhysMemory) -> Result<Option<KernelView>> {
        let needed = highest.needs_kernel();
        let Some(info) = &self.info else {
            let e = Error::missing(format!(
                "no VMCOREINFO note, and dump level {} needs one to tell pages apart",
                highest.bits()
            ));
            return if needed { Err(e.hint("-d 1 or -d 0 does without")) } else { Ok(None) };
        };
        match KernelView::new(info, self.source.meta(), memory) {
            Ok(view) => Ok(Some(view)),
            Err(e) if needed => Err(e.hint("-d 1 or -d 0 does without")),
            Err(e) if plan.strict => Err(e),
            Err(e) => {
                let text =
                    format!("{}: broken and offline pages cannot be told and are kept: {e}", plan.input.display());
                plan.messages.warning(&text);
                Ok(None)
            }
        }
    }

    /// The source's metadata with what only the kernel's memory tells.
    fn complete_meta(&self, view: Option<&KernelView>, memory: &dyn PhysMemory) -> DumpMeta {
        let mut meta = self.source.meta().clone();
        if let Some(info) = &self.info {
            meta.crash_time = info.crash_time().unwrap_or(0);
        }
        if let Some(view) = view {
            meta.phys_base = view.kernel.phys_base();
            let named = UtsName::named(view.kernel.info().release().unwrap_or_default(), "x86_64");
            meta.utsname = view.kernel.utsname(memory).unwrap_or(named);
        }
        meta
    }
}

/// What the kernel tells of its pages.
struct KernelView {
    kernel: Kernel,
    map: MemMap,
    rules: PageRules,
}

impl KernelView {
    fn new(info: &Vmcoreinfo, meta: &DumpMeta, memory: &dyn PhysMemory) -> Result<KernelView> {
        let kernel = Kernel::new(info.clone(), meta.machine, meta.page_size, &meta.segments)?;
        let rules = kernel.page_rules()?;
        let map = kernel.mem_map(memory, meta.end_pfn).map_err(|e| e.within("mem_map cannot be found"))?;
        Ok(KernelView { kernel, map, rules })
    }
}

/// What comes after an attempt at one dump level.
enum Next {
    Done(Exit),
    TryNext,
}

/// All that the attempts share.
struct Attempt<'a> {
    plan: &'a Plan,
    dump: &'a Dump,
    memory: &'a dyn PhysMemory,
    view: Option<&'a KernelView>,
    meta: DumpMeta,
    interrupt: &'a Interrupt,
}

impl Attempt<'_> {
    fn run(&self, level: DumpLevel, next: Option<&DumpLevel>) -> Result<Next> {
        let progress = Progress::new(self.plan.messages, self.meta.page_size, self.interrupt.clone());
        let (ram, held) = self.bitmaps()?;
        let mut dumpable = held.clone();
        let tally = self.exclude(level, &mut dumpable, &progress).map_err(|e| e.within(self.plan.input.display()))?;
        let meta = DumpMeta { dump_level: level.bits(), ..self.meta.clone() };
        let options = Options { codec: self.plan.codec, dump_level: level.bits(), ..Options::default() };
        let mut writer = KdumpWriter::new(options)?;
        let target = Target::create(self.plan)?;
        let outputs = [target.output()];
        let job = Job {
            source: &self.dump.source,
            meta: &meta,
            ram: &ram,
            dumpable: &dumpable,
            outputs: &outputs,
            watch: &progress,
        };
        let outcome = convert(&job, &mut writer).and_then(|outcome| match target.sync() {
            Ok(()) => Ok(outcome),
            Err(e) => Ok(Outcome { stopped: outcome.stopped.or(Some(e)), ..outcome }),
        });
        let outcome = match (outcome, next) {
            (Ok(outcome), _) => outcome,
            (Err(e), next) => {
                target::remove(self.plan);
                let e = e.within(self.plan.output.display());
                return if e.kind() == ErrorKind::NoSpace { self.retry(e, next) } else { Err(e) };
            }
        };
        if let (Some(e), Some(_)) = (outcome.stopped.as_ref().filter(|e| e.kind() == ErrorKind::NoSpace), next) {
            self.plan.messages.error(&format!("{}: {e}", self.plan.output.display()));
            target::remove(self.plan);
            return self.retry_next(next);
        }
        let report = Report {
            meta: &meta,
            total: meta.end_pfn.0,
            ram: ram.count(ram.span()),
            not_held: ram.count(ram.span()) - held.count(held.span()),
            tally: &tally,
            counts: outcome.counts,
            zero_excluded: level.any(DumpLevel::ZERO),
            dumpable: dumpable.count(dumpable.span()),
            file_len: writer.written_len(0),
            written: outcome.written,
        };
        Ok(Next::Done(self.conclude(&outcome, &report)))
    }

    /// Tries the next level, where there is one; otherwise the failure is final.
    fn retry(&self, e: Error, next: Option<&DumpLevel>) -> Result<Next> {
        if next.is_none() {
            return Err(e.hint("not even the headers fit, so nothing was left behind"));
        }
        self.plan.messages.error(&e.to_string());
        self.retry_next(next)
    }

    fn retry_next(&self, next: Option<&DumpLevel>) -> Result<Next> {
        if let Some(level) = next {
            self.plan.messages.common(&format!("Retry to create a dumpfile by dump_level({}).\n", level.bits()));
        }
        Ok(Next::TryNext)
    }

    /// RAM, and what of it the source holds.
    fn bitmaps(&self) -> Result<(PageBitmap, PageBitmap)> {
        let source = &self.dump.source;
        let end = source.meta().end_pfn;
        let too_far = || Error::corrupt(format!("memory up to page frame {end}, more than any machine has"));
        let mut ram = PageBitmap::new(end).ok_or_else(too_far)?;
        let mut held = PageBitmap::new(end).ok_or_else(too_far)?;
        source.mark_ram(&mut ram)?;
        source.mark_held(&mut held)?;
        Ok((ram, held))
    }

    /// Clears the pages that `level` leaves out.
    fn exclude(&self, level: DumpLevel, dumpable: &mut PageBitmap, progress: &Progress) -> Result<Tally> {
        let Some(KernelView { kernel, map, rules }) = self.view else { return Ok(Tally::default()) };
        if !level.needs_kernel() && !rules.finds_always_excluded() {
            return Ok(Tally::default());
        }
        for unknown in level.unknown(rules) {
            self.unknown(unknown.class, &format!("vmcoreinfo has no {}", unknown.key))?;
        }
        let job = Exclusion { kernel, memory: self.memory, map, rules, level };
        let mut tally = exclude(&job, dumpable, progress)?;
        if level.any(DumpLevel::FREE) && rules.buddy() == BuddyMark::Lists {
            self.exclude_free_lists(kernel, map, dumpable, &mut tally)?;
        }
        if tally.unread != 0 {
            self.unknown("some pages", &format!("the struct pages of {} pages cannot be read", tally.unread))?;
        }
        if let Some(pfn) = tally.first_bad_order {
            let text =
                format!("{} pages call themselves free with an impossible order, the first {pfn}", tally.bad_orders);
            self.unknown("some free pages", &text)?;
        }
        Ok(tally)
    }

    fn exclude_free_lists(
        &self,
        kernel: &Kernel,
        map: &MemMap,
        dumpable: &mut PageBitmap,
        tally: &mut Tally,
    ) -> Result<()> {
        let limit = self.meta.end_pfn.0;
        // twice: a broken list may lead anywhere, so that nothing is believed before all of them were seen to be whole
        let walked = kernel.free_lists(self.memory).and_then(|lists| {
            lists.walk(&mut kernel.memory(self.memory), map, limit, &mut |_| {})?;
            let mut free = |run| tally.add(Reason::Free, dumpable.clear(run));
            lists.walk(&mut kernel.memory(self.memory), map, limit, &mut free)
        });
        walked.or_else(|e| self.unknown("free pages", &e.to_string()))
    }

    /// A class that cannot be told: its pages are kept, unless that is an error.
    fn unknown(&self, class: &str, why: &str) -> Result<()> {
        let text = format!("{class} cannot be told and are kept: {why}");
        if self.plan.strict {
            return Err(Error::missing(text).hint("--strict"));
        }
        self.plan.messages.warning(&format!("{}: {text}", self.plan.input.display()));
        Ok(())
    }

    /// Says how it went.
    fn conclude(&self, outcome: &Outcome, report: &Report<'_>) -> Exit {
        let messages = self.plan.messages;
        let output = self.plan.output.display();
        if let Some(e) = &outcome.stopped {
            messages.error(&format!("{output}: {e}"));
        }
        if outcome.counts.unreadable != 0 {
            messages.error(&format!(
                "{}: {} pages cannot be read",
                self.plan.input.display(),
                outcome.counts.unreadable
            ));
        }
        messages.report(&report.stats());
        messages.common(&report.table());
        let complete = outcome.is_complete() && self.dump.damage.is_none();
        if !outcome.is_complete() && !self.plan.dry_run {
            messages.error(&format!("{output}: flagged incomplete; what it holds can be read"));
        }
        if !self.plan.dry_run {
            messages.common(&format!("The dumpfile is saved to {output}.\n"));
        }
        if complete { Exit::Completed } else { Exit::Failed }
    }
}

/// What the dump tells of its kernel, in the form in which makedumpfile's debug messages have it where scripts read them.
fn print_debug(messages: Messages, view: Option<&KernelView>, meta: &DumpMeta) {
    if !messages.has(Messages::DEBUG) {
        return;
    }
    let Some(KernelView { kernel, map, rules }) = view else { return };
    for (key, value) in kernel.info().lines() {
        messages.debug(&format!("  {key}={value}\n"));
    }
    messages.debug(&format!(
        "page size        : {}\nphys_base        : {:#x}\nmemory model     : {:?}, {} runs of struct pages of {} bytes\n\
         tail pages       : {:?}\ncompound pages   : {:?}\nfree pages       : {:?}\nmax_mapnr        : {}\n",
        meta.page_size.bytes(),
        kernel.phys_base(),
        map.model(),
        map.runs().len(),
        rules.struct_page_size(),
        rules.tail(),
        rules.compound(),
        rules.buddy(),
        meta.end_pfn,
    ));
}
