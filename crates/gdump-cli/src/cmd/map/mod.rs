//! `gdump map FILE`: what all of memory is used for, as a picture, a page, or JSON.

mod drawing;
mod report;

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages, print, print_drawn};
use crate::output_path::OutputOptions;
use crate::plan::{MapFormat, MapOutput, MapPlan};
use crate::progress::Progress;
use crate::target;
use dump::{Budget, ClassMap, Dump, Error, Image, KernelView, MapOptions, PageSize, Result, Unidentified, WriteAt};
use dump_picture::Terminal;
use rustix::termios::tcgetwinsize;
use std::io::IsTerminal;

/// What was looked at.
pub(super) struct Seen {
    map: ClassMap,
    /// The kernel's release and the machine's name, where they are known.
    system: String,
    /// Whether struct pages were read.
    classified: bool,
}

/// Draws the map.
///
/// # Errors
/// If the dump cannot be opened, or its kernel not be read; if the output cannot be written.
pub fn run(plan: &MapPlan) -> Result<Exit> {
    if let Some(output) = &plan.output {
        target::check_path(&output.path, &target::identities(&plan.inputs.files()), output.force)?;
    }
    let seen = look(plan)?;
    match &plan.output {
        Some(output) => write(plan, output, &text(plan, &seen, output.format)),
        None if plan.json => Ok(print(&report::json(plan, &seen))),
        None => Ok(print_drawn(&dump_picture::terminal(&drawing::picture(plan, &seen), shown_on()))),
    }
}

fn look(plan: &MapPlan) -> Result<Seen> {
    let messages = Messages::new(MessageLevel::default(), true);
    let interrupt = Interrupt::listen(messages);
    let budget = Budget::new(plan.max_memory);
    super::on_threads(budget.threads(plan.threads), || {
        let progress = Progress::new(messages, PageSize::K4, interrupt.clone());
        let dump = Dump::open_all(&plan.inputs.paths, &plan.inputs.opening(), &progress)?;
        let (name, files) = (dump.name().to_owned(), plan.inputs.kernel.open()?);
        let image = dump.into_image_with(&files, &progress).map_err(|e| e.within(name))?;
        super::convert::say_what_is_odd(messages, &image);
        let view = view(messages, plan, &image)?;
        let unknown = |class: Unidentified<'_>| {
            messages.warning(&format!("cannot identify {}, taking them for the kernel's: {}", class.class, class.why));
            Ok(())
        };
        let options = MapOptions { level: plan.level, codec: plan.codec, zeros: plan.zeros };
        let map = ClassMap::new(&image, &image.memory(), view.as_ref(), &options, &unknown, &progress);
        let map = map.map_err(|e| e.within(image.name()))?;
        Ok(Seen { map, system: system(&image), classified: view.is_some() })
    })
}

/// The kernel. Without one there are no classes; where a dump level needs it, that is an error.
fn view(messages: Messages, plan: &MapPlan, image: &Image) -> Result<Option<KernelView>> {
    let known = match image.vmcoreinfo() {
        Some(_) => image.kernel_view(),
        None => Err(Error::missing("no VMCOREINFO note, which is needed to identify pages")),
    };
    match known {
        Ok(view) => Ok(Some(view)),
        Err(e) if !plan.level.needs_kernel() => {
            messages.warning(&format!("{}: {e}; the map shows RAM and holes", image.name()));
            Ok(None)
        }
        Err(e) => Err(e.within(image.name())),
    }
}

fn system(image: &Image) -> String {
    let release = image.meta().release().map_or("unknown kernel".to_owned(), |release| format!("Linux {release}"));
    match image.meta().machine.name() {
        Some(machine) => format!("{release}, {machine}"),
        None => release,
    }
}

fn text(plan: &MapPlan, seen: &Seen, format: MapFormat) -> String {
    let picture = || drawing::picture(plan, seen);
    match format {
        MapFormat::Svg => dump_picture::svg(&picture()),
        MapFormat::Html => dump_picture::html(&picture()),
        MapFormat::Json => report::json(plan, seen),
        MapFormat::Text => {
            dump_picture::terminal(&picture(), Terminal { width: WIDE, colours: false, unicode: is_utf8() })
        }
    }
}

/// Writes a file, which has its name when it is whole.
fn write(plan: &MapPlan, output: &MapOutput, text: &str) -> Result<Exit> {
    let options = OutputOptions { force: output.force, own_name: true, ..OutputOptions::default() };
    let mut file = target::open_one(&output.path, &target::identities(&plan.inputs.files()), options)?;
    file.begin()?;
    let written = file.output().write_at(0, text.as_bytes()).and_then(|()| file.output().sync());
    written.map_err(|e| {
        file.discard();
        e.within(file.path(false).display())
    })?;
    file.finish()?;
    Ok(Exit::Completed)
}

/// Columns of what is no terminal: all cells fit.
const WIDE: usize = 160;

/// Columns of a terminal that does not say.
const USUAL: usize = 80;

/// What stdout can show.
fn shown_on() -> Terminal {
    let stdout = std::io::stdout();
    let is_terminal = stdout.is_terminal();
    let asked = tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width != 0);
    let stated = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|width| *width != 0);
    let width = stated.or(asked).unwrap_or(if is_terminal { USUAL } else { WIDE });
    Terminal { width, colours: is_terminal && has_colours(), unicode: is_utf8() }
}

/// Whether colours are wanted, by <https://no-color.org>, and there are any.
fn has_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty())
}

/// Whether the locale is one of Unicode.
fn is_utf8() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
