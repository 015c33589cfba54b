//! `gdump VMCORE DUMPFILE`: from any container to any, filtered and compressed.

use super::capture::Stages;
use super::xen::{self, Opened};
use crate::all_read::AllRead;
use crate::checksum;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::limited::{self, Limited};
use crate::messages::{MessageLevel, Messages, Voice};
use crate::output_path::Left;
use crate::plan::Conversion as Plan;
use crate::progress::Progress;
use crate::qvm_env::QvmEnv;
use crate::report::Report;
use crate::target::{self, Early, Targets};
use dump::{
    Abilities, Budget, Conversion, ConvertOptions, Converted, Dump, DumpLevel, Error, ErrorKind, Image, KernelView,
    Outcome, OwnNote, PageSize, PfnRange, PhysAddr, QnxGuest, Result, Shortcoming, Source, SourceMemory, Summed,
    Unidentified, VirtAddr, WriteAt, XenHost,
};
use std::sync::Arc;

/// What is done around a conversion.
pub(super) struct Around<'a> {
    /// What follows when the last page was read, while outputs are still being stored.
    pub all_read: &'a (dyn Fn() + Sync),
    /// What takes down how long it takes, if anything does.
    pub stages: Option<&'a Arc<Stages>>,
}

impl Around<'_> {
    /// Nothing.
    const NOTHING: Around<'static> = Around { all_read: &|| {}, stages: None };

    /// Does `work`, and takes down how long it takes as a stage, if anything does.
    fn time<T>(&self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        match self.stages {
            Some(stages) => stages.time(stage, 0, work),
            None => work(),
        }
    }
}

/// Does what `plan` says, on as many threads, with what was made `early` of its output.
///
/// # Errors
/// One line, if nothing was written; what went wrong later was printed, and is in the exit status.
pub fn run(plan: &Plan, early: Early) -> Result<Exit> {
    with_command(plan, early, |early| write(plan, early))
}

/// Writes a dump, and takes notice of how the command ends that gets it, if it is one.
///
/// # Errors
/// As `write`.
pub(super) fn with_command(plan: &Plan, early: Early, write: impl FnOnce(Early) -> Result<Exit>) -> Result<Exit> {
    let command = early.command();
    let done = write(early);
    match (done, command.map(|command| (command.end(), command))) {
        // it would not even take the headers
        (Err(e), Some((Err(ended), command))) if command.is_to_blame(false) => {
            plan.messages.error(&e.to_string());
            plan.messages.error(&ended.to_string());
            Ok(Exit::CommandFailed)
        }
        (done, _) => done,
    }
}

/// The page frames of each part that `plan` would split its dump into.
///
/// # Errors
/// If the dump cannot be opened, or what goes into it not be computed.
pub(super) fn parts(plan: &Plan) -> Result<Vec<PfnRange>> {
    let interrupt = Interrupt::listen(plan.messages);
    let budget = Budget::new(plan.max_memory);
    super::on_threads(budget.threads(plan.threads), || {
        let progress = Progress::new(plan.messages, PageSize::K4, interrupt.clone());
        let dump = Dump::open_all(&plan.inputs.paths, &plan.inputs.opening(), &progress)?;
        let name = dump.name().to_owned();
        let opened = xen::open(dump, &plan.inputs, plan.messages, &progress).map_err(|e| e.within(name))?;
        let (image, host) = (as_needed(plan, opened.image)?, opened.host);
        let view = view(plan, &image).map_err(|e| e.within(image.name()))?;
        say_what_is_odd(plan.messages, &image);
        let (memory, around) = (image.memory(), &Around::NOTHING);
        let attempt = Attempt {
            plan,
            image: &image,
            host: host.as_ref(),
            budget,
            memory: &memory,
            view: view.as_ref(),
            interrupt: &interrupt,
            around,
        };
        let options = attempt.options(plan.levels.first().copied().unwrap_or_default());
        let unknown = |unidentified: Unidentified<'_>| attempt.unknown(unidentified);
        let progress = Progress::new(plan.messages, image.meta().page_size, interrupt.clone());
        let conversion = Conversion::new(&image, &memory, view.as_ref(), &options, &unknown, &progress);
        Ok(conversion.map_err(|e| e.within(image.name()))?.parts().to_vec())
    })
}

fn write(plan: &Plan, mut early: Early) -> Result<Exit> {
    target::check(plan)?;
    plan.remarks.iter().for_each(|remark| plan.messages.warning(remark));
    let interrupt = Interrupt::listen(plan.messages);
    let budget = Budget::new(plan.max_memory);
    if budget.bytes() < Budget::least() {
        let (given, least) = (budget.bytes() >> 10, Budget::least().div_ceil(1024));
        plan.messages.warning(&format!("{given} KiB of memory is too little, using {least} KiB"));
    }
    super::on_threads(budget.threads(plan.threads), || {
        let progress = Progress::new(plan.messages, PageSize::K4, interrupt.clone());
        let dump = Dump::open_all(&plan.inputs.paths, &plan.inputs.opening(), &progress)?;
        let name = dump.name().to_owned();
        let guest = QnxGuest::of(&dump.meta().notes).is_some();
        let Opened { image, host } =
            xen::open(dump, &plan.inputs, plan.messages, &progress).map_err(|e| e.within(name))?;
        let image = match env(plan, guest)? {
            Some(env) => image.with_own_note(OwnNote::QvmEnv, &env.text)?,
            None => image,
        };
        convert_image(plan, &as_needed(plan, image)?, host.as_ref(), budget, &interrupt, &mut early, &Around::NOTHING)
    })
}

/// `image` as the format of the output needs it.
///
/// # Errors
/// If it is of a system of which that format has no dumps.
pub(super) fn as_needed(plan: &Plan, image: Image) -> Result<Image> {
    if !plan.format.abilities().contains(Abilities::WINDOWS) {
        return Ok(image);
    }
    let name = image.name().to_owned();
    image.into_windows(plan.inputs.kernel.pdb.as_deref()).map_err(|e| e.within(name))
}

/// The env file of the virtual machine; one that nobody asked for may be something else.
fn env(plan: &Plan, guest: bool) -> Result<Option<QvmEnv>> {
    match plan.inputs.qvm_env(guest) {
        Err(e) if plan.inputs.qvm_env.is_none() => {
            plan.messages.warning(&format!("{e}; it is left out"));
            Ok(None)
        }
        found => found,
    }
}

/// Warns of what was found wrong or odd in the dump as it was opened; what could not be read is a failure.
pub(super) fn say_what_is_odd(messages: Messages, image: &Image) {
    let system = |e: &&Error| e.kind() == ErrorKind::Io;
    let damage = image.damage().filter(|e| !system(e)).map(|e| format!("{e}; what comes of it is incomplete"));
    let remarks = image.remarks().iter().map(Error::to_string);
    let doubts = image.doubts().iter().filter(|e| !system(e)).map(Error::to_string);
    remarks.chain(damage).chain(doubts).for_each(|text| messages.warning(&format!("{}: {text}", image.name())));
    image.unread().for_each(|e| messages.error(&format!("{}: {e}", image.name())));
}

/// Why `output`, which has all pages that were to be had of `image`, is flagged incomplete.
fn flagged(output: &str, image: &Image) -> String {
    let input = image.name();
    let why = match image.shortcoming() {
        Some(Shortcoming::Damaged) => format!("as {input} is damaged"),
        Some(Shortcoming::Part) => format!("as {input} is one part of a dump"),
        Some(Shortcoming::Unread) => format!("as not all of {input} could be read"),
        _ => format!("as {input} is"),
    };
    format!("{output}: flagged incomplete, {why}")
}

/// Writes the dump of `image`.
///
/// # Errors
/// As [`run`].
pub(super) fn convert_image(
    plan: &Plan,
    image: &Image,
    host: Option<&XenHost>,
    budget: Budget,
    interrupt: &Interrupt,
    early: &mut Early,
    around: &Around<'_>,
) -> Result<Exit> {
    if let Some(pages) = image.part() {
        let text = format!("one part of a split dump, with page frames {pages}; the others were not given");
        if plan.reassemble {
            return Err(Error::missing(text).within(image.name()));
        }
        plan.messages.warning(&format!("{}: {text}", image.name()));
    }
    let view = around.time("kernel", || view(plan, image)).map_err(|e| match image.damage() {
        Some(damage) => e.within(damage).within(image.name()),
        None => e.within(image.name()),
    })?;
    say_what_is_odd(plan.messages, image);
    print_debug(plan.messages, view.as_ref(), image);
    if let Some(address) = plan.vtop {
        let translated = image.translate(address);
        if let Err(e) = &translated {
            plan.messages.warning(&format!("{}: --vtop: {e}", image.name()));
        }
        plan.messages.common(&vtop(address, translated.ok()));
    }
    let attempt =
        Attempt { plan, image, host, budget, memory: &image.memory(), view: view.as_ref(), interrupt, around };
    let mut levels = plan.levels.iter().peekable();
    let mut targets = None;
    while let Some(level) = levels.next() {
        match attempt.run(*level, levels.peek().copied(), &mut targets, early)? {
            Next::Done(exit) => return Ok(exit),
            Next::TryNext => {}
        }
    }
    Ok(Exit::Failed)
}

/// The kernel, if a dump level needs it or it can say which pages are always left out.
fn view(plan: &Plan, image: &Image) -> Result<Option<KernelView>> {
    // a dump level that the source was made with already has nothing left to leave out
    let done = DumpLevel::new(image.meta().dump_level).unwrap_or_default() | DumpLevel::ZERO;
    let needed = plan.levels.iter().copied().find(|level| !done.contains(*level));
    match (image.vmcoreinfo(), needed) {
        (None, None) => {
            if let Some(doubt) = image.doubt().filter(|_| !plan.inputs.xen.exclude) {
                plan.messages.warning(&format!("{}: {doubt}", image.name()));
            }
            return Ok(None);
        }
        (None, Some(_)) if image.doubt().is_some() => {}
        (None, Some(level)) => {
            let text = format!("no VMCOREINFO note, which dump level {} needs to identify pages", level.bits());
            return Err(Error::missing(text).hint(WITHOUT_KERNEL));
        }
        (Some(_), _) => {}
    }
    match image.kernel_view() {
        Ok(view) => Ok(Some(view)),
        Err(e) if needed.is_some() => Err(e.hint(WITHOUT_KERNEL)),
        Err(e) => {
            let text = "cannot identify hwpoison and offline pages, keeping them";
            plan.messages.warning(&format!("{}: {text}: {e}", image.name()));
            Ok(None)
        }
    }
}

const WITHOUT_KERNEL: &str = "-d 0 and -d 1 do not need it";

/// What comes after an attempt at one dump level.
enum Next {
    Done(Exit),
    TryNext,
}

/// All that the attempts share.
struct Attempt<'a> {
    plan: &'a Plan,
    image: &'a Image,
    /// The hypervisor of a Xen host, where what it does without is left out.
    host: Option<&'a XenHost>,
    budget: Budget,
    memory: &'a SourceMemory<'a>,
    view: Option<&'a KernelView>,
    interrupt: &'a Interrupt,
    around: &'a Around<'a>,
}

impl Attempt<'_> {
    /// Writes the dump at `level` to `targets`, which are opened once it is known that there is something to write.
    fn run(
        &self,
        level: DumpLevel,
        next: Option<&DumpLevel>,
        targets: &mut Option<Targets>,
        early: &mut Early,
    ) -> Result<Next> {
        let progress = Progress::new(self.plan.messages, self.image.meta().page_size, self.interrupt.clone());
        let progress = self.around.stages.into_iter().fold(progress, Progress::timed);
        let unknown = |unidentified: Unidentified<'_>| self.unknown(unidentified);
        self.announce(level);
        let options = self.options(level);
        let planned = self
            .around
            .time("plan", || Conversion::new(self.image, self.memory, self.view, &options, &unknown, &progress));
        let conversion = planned.map_err(|e| e.within(self.image.name()))?;
        if let Some(mmio) = conversion.mmio().filter(|_| targets.is_none()) {
            let (name, at) = (self.image.name(), self.image.meta().page_size.addr_of(mmio.first));
            let what = "beyond the kernel's last section of memory, left out (--keep-mmio keeps them)";
            self.plan.messages.common(&format!("{name}: {} pages from {at} on are {what}\n", mmio.pages));
        }
        if let Some(e) = conversion.vmemmap_kept() {
            self.plan.messages.warning(&format!("{}: -e has no effect: {e}", self.image.name()));
        }
        let targets = match targets {
            Some(targets) => targets,
            None => targets.insert(self.around.time("open", || Targets::open(self.plan, early))?),
        };
        targets.begin()?;
        let outputs = targets.outputs();
        let limit = self.plan.limit.unwrap_or(u64::MAX);
        let limited: Vec<Limited<'_>> = outputs.iter().map(|output| Limited::new(*output, limit)).collect();
        // while there is another level to try, memory may be read once more when the disk turns out to be full
        let retry = next.filter(|_| !self.plan.output.is_stream()); // a stream cannot be begun anew
        let tell = || {
            if retry.is_none() {
                (self.around.all_read)();
            }
        };
        let telling: Vec<AllRead<'_>> = limited.iter().map(|output| AllRead::new(output, &tell)).collect();
        let outputs: Vec<&dyn WriteAt> = telling.iter().map(|output| output as &dyn WriteAt).collect();
        let summed: Vec<Summed<'_>> =
            if self.sums() { outputs.iter().map(|o| Summed::new(*o)).collect() } else { vec![] };
        let outputs = if self.sums() { summed.iter().map(|o| o as &dyn WriteAt).collect() } else { outputs };
        let run = self.around.time("write", || conversion.run(&outputs));
        let full = |e: &Error| e.kind() == ErrorKind::NoSpace;
        let begins_anew = match &run {
            Ok(converted) => converted.outcome.stopped.as_ref().is_some_and(full),
            Err(e) => full(e),
        };
        if !(begins_anew && retry.is_some()) {
            (self.around.all_read)();
        }
        let converted = match run {
            Ok(converted) => converted,
            Err(e) => return self.nothing_written(e, retry, targets),
        };
        let no_space = converted.outcome.stopped.as_ref().filter(|e| e.kind() == ErrorKind::NoSpace);
        if let (Some(e), Some(_)) = (no_space, retry) {
            self.stopped(&targets.names(false), e);
            return Ok(self.retry(retry));
        }
        let whole = self.is_whole(&converted.outcome);
        let unfinished = targets.finish(whole).err();
        let summed = self.write_sums(summed, targets, whole, unfinished.is_none());
        let exit = self.conclude(&converted, unfinished.as_ref(), targets);
        self.print_memory(converted.window);
        Ok(Next::Done(if summed { exit } else { Exit::Failed }))
    }

    /// Writes checksums beside the outputs that are `finished`, and says where that fails.
    fn write_sums(&self, summed: Vec<Summed<'_>>, targets: &Targets, whole: bool, finished: bool) -> bool {
        if !self.sums() || !finished {
            return true;
        }
        let written = targets.paths(whole).into_iter().zip(summed).map(|(path, summed)| {
            let done = checksum::write(path, summed, self.plan.force);
            done.map_err(|e| self.plan.messages.error(&e.to_string())).is_ok()
        });
        written.filter(|written| !written).count() == 0 // all are tried
    }

    /// Whether checksums are written beside the outputs.
    fn sums(&self) -> bool {
        self.plan.checksum && !self.plan.dry_run
    }

    fn can_flag(&self) -> bool {
        self.plan.format.abilities().contains(Abilities::FLAGS_INCOMPLETE)
    }

    /// Whether the output is all that there was to be had, or says itself that the source was incomplete.
    fn is_whole(&self, outcome: &Outcome) -> bool {
        let source = self.image.is_sound() && (!self.image.meta().incomplete || self.can_flag());
        outcome.is_complete() && source
    }

    fn options(&self, level: DumpLevel) -> ConvertOptions<'_> {
        ConvertOptions {
            format: self.plan.format,
            codec: self.plan.compression.codec(self.image.codec()),
            level,
            without_vmemmap: self.plan.exclude_vmemmap,
            host: self.host,
            keep_mmio: self.plan.keep_mmio,
            files: self.plan.outputs().len(),
            split_block: self.plan.split_block,
            part: self.plan.pfn_range,
            budget: self.budget,
            bitmap_bytes: self.plan.bitmap_bytes.unwrap_or(u64::MAX),
        }
    }

    /// Says that a level is added to the source's.
    fn announce(&self, level: DumpLevel) {
        let source = self.image.meta().dump_level;
        let both = source | level.bits();
        if source != 0 && both != level.bits() && !self.plan.reassemble {
            let name = self.image.name();
            let text =
                format!("dump_level is changed to {both}, because {name} was created by dump_level({source}).\n");
            self.plan.messages.common(&text);
        }
    }

    /// Says what ended an output before it was whole, where callers look for it.
    fn stopped(&self, output: &str, e: &Error) {
        let text = format!("{output}: {e}");
        let at_limit = self.plan.limit.is_some_and(|limit| text.contains(&limited::reached(limit)));
        match self.plan.messages.voice() {
            Voice::Makedumpfile if at_limit => self.plan.messages.common(&format!("\n{text}\n")),
            _ => self.plan.messages.error(&text),
        }
    }

    /// Not even the headers were written: tries the next level, where there is one and room is what was missing.
    fn nothing_written(&self, e: Error, retry: Option<&DumpLevel>, targets: &Targets) -> Result<Next> {
        let e = e.within(targets.names(false));
        let full = e.kind() == ErrorKind::NoSpace;
        if !full || retry.is_none() {
            let left = match targets.discard() {
                Left::AsIs => "",
                Left::Empty => ", so the file was emptied",
                Left::Nothing => ", so the file was removed",
            };
            return Err(if full { e.hint(format!("not even the headers fit{left}")) } else { e });
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

    /// A class that cannot be identified: its pages are kept, unless that is to be an error.
    fn unknown(&self, Unidentified { class, why, asked }: Unidentified<'_>) -> Result<()> {
        let text = format!("cannot identify {class}, keeping them: {why}");
        if self.plan.strict && asked {
            return Err(Error::missing(text).hint("--strict"));
        }
        self.plan.messages.warning(&format!("{}: {text}", self.image.name()));
        Ok(())
    }

    /// What memory it took, for people who size a capture kernel.
    fn print_memory(&self, window: Option<u64>) {
        let Some(peak) = dump::peak().filter(|_| self.plan.messages.has(MessageLevel::DEBUG)) else { return };
        let windows = window.map_or(String::new(), |pages| format!(", windows of {pages} pages"));
        let text = format!(
            "peak memory      : {} KiB, of a budget of {} KiB, {} threads{windows}\n",
            peak >> 10,
            self.budget.bytes() >> 10,
            rayon::current_num_threads()
        );
        self.plan.messages.debug(&text);
    }

    /// Says how it went, and why the outputs are `unfinished` although all that was to be had was written.
    fn conclude(&self, converted: &Converted, unfinished: Option<&Error>, targets: &Targets) -> Exit {
        let Converted { outcome, losses, .. } = converted;
        let messages = self.plan.messages;
        let report = Report::new(converted);
        let whole = self.is_whole(outcome);
        let complete = whole && unfinished.is_none();
        let (input, output) = (self.image.name(), targets.names(complete));
        if let Some(e) = &outcome.stopped {
            self.stopped(&output, e);
        }
        if outcome.counts.unreadable != 0 {
            messages.error(&format!("{input}: {} pages cannot be read", outcome.counts.unreadable));
        }
        if outcome.counts.lost != 0 {
            messages
                .error(&format!("{input}: {} pages are missing, because it is incomplete itself", outcome.counts.lost));
        }
        if losses.pages() != 0 {
            messages.error(&format!("{input}: what is not there: {}", losses.first_few()));
        }
        messages.report(&report.stats());
        if self.plan.mem_usage {
            if let Some(text) = report.unused() {
                messages.warning(&format!("{input}: {text}"));
            }
            messages.common(&report.usage());
            return if complete { Exit::Completed } else { Exit::Failed };
        }
        if messages.voice() == Voice::Gdump {
            messages.common(&report.table());
        }
        // what stopped it before that is said already
        match unfinished.filter(|_| outcome.stopped.is_none() || targets.blames_command(whole)) {
            Some(e) if self.plan.to_stdout() => messages.error(&format!("{output}: incomplete, it has no end: {e}")),
            Some(e) => messages.error(&e.to_string()),
            None => {}
        }
        match &outcome.unflagged {
            _ if whole && unfinished.is_some() => {}
            _ if self.plan.dry_run || (outcome.is_complete() && !self.image.meta().incomplete) => {}
            _ if !self.can_flag() => {
                let name = self.plan.format.name;
                let hint = if targets.have_own_names() { ", which its name says instead" } else { "" };
                messages.error(&format!("{output}: incomplete; {name} dumps have no flag for that{hint}"));
            }
            Some(_) if self.plan.goes_to_command() => {
                messages.error(&format!("{output}: incomplete: what the command got is a part of it"));
            }
            Some(e) => messages.error(&format!("{output}: incomplete, and could not be flagged so: {e}")),
            None if whole => messages.warning(&flagged(&output, self.image)),
            None if outcome.is_complete() => messages.error(&flagged(&output, self.image)),
            None => messages.error(&format!("{output}: flagged incomplete; what it holds can be read")),
        }
        if !self.plan.dry_run && complete {
            let plural = if self.plan.outputs().len() > 1 { "dumpfiles are" } else { "dumpfile is" };
            messages.outcome(&format!("The {plural} saved to {output}."));
        }
        let temporary = outcome.stopped.as_ref().or(unfinished).is_some_and(Error::is_temporary);
        match complete {
            true => Exit::Completed,
            false if targets.blames_command(whole) => Exit::CommandFailed,
            false if temporary => Exit::TryAgain,
            false => Exit::Failed,
        }
    }
}

/// A translated address, as makedumpfile prints it: all ones where it has no physical one.
fn vtop(address: VirtAddr, translated: Option<PhysAddr>) -> String {
    let translated = translated.map_or(u64::MAX, |at| at.0);
    let at = format!("Translating virtual address {:x} to physical address.", address.0);
    format!("{at}\nVIRTUAL           PHYSICAL\n{:16x}  {:x}\n\n", address.0, translated)
}

/// Prints what is known about the kernel, in the form of makedumpfile's debug messages where scripts read those.
pub(super) fn print_debug(messages: Messages, view: Option<&KernelView>, image: &Image) {
    if !messages.has(MessageLevel::DEBUG) {
        return;
    }
    let meta = image.meta();
    for (key, value) in image.vmcoreinfo().iter().flat_map(|info| info.lines()) {
        messages.debug(&format!("  {key}={value}\n"));
    }
    for detail in image.details() {
        messages.debug(&format!("{:<17}: {}\n", detail.name, detail.text));
    }
    if let Some(pfn) = image.vmcoreinfo_found_at() {
        messages.debug(&format!("vmcoreinfo       : found in memory, page frame {pfn}\n"));
    }
    messages.debug(&format!(
        "page size        : {}\ndump_level       : {}\nphys_base        : {:#x}\nmax_mapnr        : {}\n",
        meta.page_size.bytes(),
        meta.dump_level,
        meta.phys_base.unwrap_or(0),
        meta.end_pfn,
    ));
    for answer in image.answers().iter().filter(|answer| answer.source != Source::Vmcoreinfo) {
        messages.debug(&format!("  {}={} ({})\n", answer.key, answer.value, answer.source));
    }
    for failure in image.own_symbol_failures() {
        messages.debug(&format!("symbols          : {failure}\n"));
    }
    let Some(KernelView { map, rules, .. }) = view else { return };
    messages.debug(&format!(
        "memory model     : {:?}, {} runs of struct pages of {} bytes\ntail pages       : {:?}\n\
         compound pages   : {:?}\nfree pages       : {:?}\n",
        map.model(),
        map.runs().len(),
        rules.struct_page_size(),
        rules.tail(),
        rules.compound(),
        rules.buddy(),
    ));
}
