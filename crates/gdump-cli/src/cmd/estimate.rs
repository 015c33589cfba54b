//! `gdump estimate FILE`: how large a kdump file would be at each dump level with each codec, and what making it takes.

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages, print};
use crate::plan::{EstimatePlan, Room};
use crate::progress::Progress;
use crate::report::bytes;
use dump::{
    Budget, CodecId, Dump, Error, Estimate, FileEstimate, Fitting, Image, KernelView, PageSize, Result, Unidentified,
};
use rustix::fs::{CWD, Mode, OFlags, fstatvfs, openat};
use serde::Serialize;
use std::fmt::Write;

/// Version of the JSON below; fields may be added to it without a new one (docs/estimate.md).
const SCHEMA_VERSION: u32 = 1;

/// How much longer than estimated a file may be that is said to fit: 1/20.
const DOUBT: u64 = 20;

/// What `gdump estimate --json` prints.
#[derive(Serialize)]
struct Report {
    schema_version: u32,
    files: Vec<String>,
    page_size: usize,
    pages: u64,
    sampled_pages: u64,
    threads: usize,
    levels: Vec<LevelReport>,
    room: Option<RoomReport>,
}

#[derive(Serialize)]
struct LevelReport {
    dump_level: u32,
    pages: u64,
    dumps: Vec<FileReport>,
}

#[derive(Serialize)]
struct FileReport {
    codec: Option<&'static str>,
    bytes: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct RoomReport {
    bytes: u64,
    fitting: Vec<FittingReport>,
}

#[derive(Serialize)]
struct FittingReport {
    codec: Option<&'static str>,
    dump_level: Option<u32>,
    bytes: Option<u64>,
}

/// Estimates.
///
/// # Errors
/// If the dump cannot be opened, or its kernel not be read.
pub fn run(plan: &EstimatePlan) -> Result<Exit> {
    let room = plan.room.as_ref().map(free).transpose()?;
    let messages = Messages::new(MessageLevel::default(), true);
    let interrupt = Interrupt::listen(messages);
    let budget = Budget::new(plan.max_memory);
    let estimate = super::on_threads(budget.threads(plan.threads), || {
        let progress = Progress::new(messages, PageSize::K4, interrupt.clone());
        let dump = Dump::open_all(&plan.inputs.paths, &plan.inputs.opening(), &progress)?;
        let (name, files) = (dump.name().to_owned(), plan.inputs.kernel.open()?);
        let image = dump.into_image_with(&files, &progress).map_err(|e| e.within(name))?;
        super::convert::say_what_is_odd(messages, &image);
        let view = view(messages, plan, &image)?;
        let unknown = |class: Unidentified<'_>| {
            messages.warning(&format!("cannot identify {}, keeping them: {}", class.class, class.why));
            Ok(())
        };
        Estimate::new(&image, &image.memory(), view.as_ref(), budget, &unknown, &progress)
            .map_err(|e| e.within(image.name()))
    })?;
    Ok(print(&if plan.json { json(plan, &estimate, room) } else { text(plan, &estimate, room) }))
}

/// The kernel. Without one there is an estimate for levels 0 and 1; where others were asked for, that is an error.
fn view(messages: Messages, plan: &EstimatePlan, image: &Image) -> Result<Option<KernelView>> {
    let known = match image.vmcoreinfo() {
        Some(_) => image.kernel_view(),
        None => Err(Error::missing("no VMCOREINFO note, which dump levels above 1 need to identify pages")),
    };
    match known {
        Ok(view) => Ok(Some(view)),
        Err(e) if plan.levels.iter().any(|level| !level.needs_kernel()) => {
            messages.warning(&format!("{}: {e}; the estimate is for dump levels 0 and 1", image.name()));
            Ok(None)
        }
        Err(e) => Err(e.within(image.name())),
    }
}

/// Bytes that a dump may take.
fn free(room: &Room) -> Result<u64> {
    match room {
        Room::Bytes(bytes) => Ok(*bytes),
        Room::At(path) => {
            let there = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).and_then(fstatvfs);
            let there = there.map_err(|e| Error::from(std::io::Error::from(e)).within(path.display()))?;
            Ok(there.f_bavail.saturating_mul(there.f_frsize))
        }
    }
}

/// What fits for certain, as far as a sample tells.
fn fitting(estimate: &Estimate, room: u64) -> Vec<Fitting> {
    estimate.fitting(room - room / (DOUBT + 1))
}

fn name(codec: Option<CodecId>) -> &'static str {
    codec.map_or("no codec", CodecId::name)
}

fn text(plan: &EstimatePlan, estimate: &Estimate, room: Option<u64>) -> String {
    let mut out = format!(
        "{} pages of {} KiB, {} of them compressed; threads: {}\n{:<6}{:>14}",
        estimate.pages,
        estimate.page_size >> 10,
        estimate.sampled,
        plan.threads,
        "level",
        "pages"
    );
    let shown = || estimate.levels.iter().filter(|level| plan.levels.contains(&level.level));
    for file in shown().next().iter().flat_map(|level| &level.files) {
        let _ = write!(out, "{:>20}", name(file.codec));
    }
    out.push('\n');
    for level in shown() {
        let _ = write!(out, "{:<6}{:>14}", level.level.bits(), level.pages);
        for file in &level.files {
            let _ = write!(out, "{:>11}{:>7.1} s", bytes(file.bytes), file.time.as_secs_f64());
        }
        out.push('\n');
    }
    if let Some(room) = room {
        let _ = writeln!(out, "\n{} are free, into which fit:", bytes(room));
        for Fitting { codec, file } in fitting(estimate, room) {
            let what = file.map_or_else(
                || "no dump".to_owned(),
                |(level, file)| format!("dump level {}, {}", level.bits(), bytes(file.bytes)),
            );
            let _ = writeln!(out, "{:<10}{what}", name(codec));
        }
    }
    out
}

fn json(plan: &EstimatePlan, estimate: &Estimate, room: Option<u64>) -> String {
    let file = |file: &FileEstimate| FileReport {
        codec: file.codec.map(CodecId::name),
        bytes: file.bytes,
        seconds: file.time.as_secs_f64(),
    };
    let levels = estimate.levels.iter().filter(|level| plan.levels.contains(&level.level));
    let levels = levels.map(|level| LevelReport {
        dump_level: level.level.bits(),
        pages: level.pages,
        dumps: level.files.iter().map(file).collect(),
    });
    let room = room.map(|room| RoomReport {
        bytes: room,
        fitting: fitting(estimate, room)
            .into_iter()
            .map(|Fitting { codec, file }| FittingReport {
                codec: codec.map(CodecId::name),
                dump_level: file.map(|(level, _)| level.bits()),
                bytes: file.map(|(_, file)| file.bytes),
            })
            .collect(),
    });
    let report = Report {
        schema_version: SCHEMA_VERSION,
        files: plan.inputs.paths.iter().map(|path| path.display().to_string()).collect(),
        page_size: estimate.page_size,
        pages: estimate.pages,
        sampled_pages: estimate.sampled,
        threads: plan.threads,
        levels: levels.collect(),
        room,
    };
    format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default())
}
