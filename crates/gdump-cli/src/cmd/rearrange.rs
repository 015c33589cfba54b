//! `gdump -R`: a flattened stream becomes the file that it describes.

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output_path::{Identity, Left, OutputOptions, OutputPath};
use crate::plan::Rearrangement;
use crate::progress::Progress;
use crate::target;
use dump::{EarlyFlag, Error, ErrorKind, InputFile, OutputFile, PageSize, Result, WriteAt, rearrange, unpacked};
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// No dump is larger; an offset beyond is damage, and a file of that length helps nobody.
const MAX_LEN: u64 = 1 << 56;

/// Does what `plan` says. A stream that ends early leaves what arrived, flagged incomplete if it is a dump. A dump that
/// was cut off before it was sent arrives as it is, and is no success here either.
///
/// # Errors
/// One line, if nothing was written.
pub fn run(plan: &Rearrangement) -> Result<Exit> {
    let name = plan.input.as_ref().map_or("stdin".to_owned(), |path| path.display().to_string());
    let packed = open(plan).map_err(|e| e.within(&name))?;
    let inputs: Vec<Identity> = packed.metadata().iter().map(Identity::of).collect();
    target::check_path(&plan.output, &inputs, plan.force)?;
    let len = packed.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
    let mut input = unpacked(packed).map_err(|e| e.within(&name))?;
    let progress = Progress::new(plan.messages, PageSize::K4, Interrupt::listen(plan.messages));
    let output = Lazy { plan, inputs: &inputs, state: Mutex::new(None) };
    // a file's length is the stream's, but for what may follow it on a device
    let len = len.filter(|_| !input.was_packed());
    let done = rearrange(&mut input, len, &output, MAX_LEN, &progress).map_err(|e| match e.kind() {
        ErrorKind::NoSpace => e.within(plan.output.display()),
        _ => e.within(&name),
    });
    let opened = output.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (done, opened) {
        (Err(e), None) => Err(e),
        (Ok(_), None) => Err(Error::missing("flattened dump: holds no data").within(&name)),
        (Err(e), Some(opened)) => {
            plan.messages.error(&e.to_string());
            Ok(give_up(plan, &opened.file))
        }
        (Ok(rearranged), Some(opened)) => {
            if let Some((at, len)) = opened.missing(&rearranged.holes) {
                let end = rearranged.stream_len;
                let text =
                    format!("flattened dump: records are missing: {len} bytes at {at:#x} of the dump are in none");
                plan.messages.error(&format!("{name}: {text}, up to the end marker at {end:#x}"));
                return Ok(give_up(plan, &opened.file));
            }
            if let Some(troubles) = opened.troubles() {
                troubles.iter().for_each(|what| plan.messages.error(&format!("{}: {what}", plan.output.display())));
                return Ok(give_up(plan, &opened.file));
            }
            if opened.lacks_header(&rearranged.holes) {
                let text = "flattened dump: the record with the dump's first header is missing";
                let left = opened.file.path(false).display();
                plan.messages
                    .error(&format!("{name}: {text}; {left} has the others, gdump repair saves what is certain"));
                return Ok(Exit::Failed);
            }
            if let Err(e) = opened.complete() {
                plan.messages.error(&e.to_string());
                return Ok(give_up(plan, &opened.file));
            }
            let output = plan.output.display();
            if opened.is_flagged() {
                plan.messages.error(&format!("{output}: flagged incomplete, as {name} is; what it holds can be read"));
                return Ok(Exit::Failed);
            }
            plan.messages.outcome(&format!("The dumpfile is saved to {output}."));
            Ok(Exit::Completed)
        }
    }
}

fn open(plan: &Rearrangement) -> Result<File> {
    match &plan.input {
        Some(path) => Ok(File::open(path)?),
        // the descriptor itself, which can say what file it is
        None => Ok(File::from(std::io::stdin().as_fd().try_clone_to_owned()?)),
    }
}

/// Flags what arrived of a dump as incomplete; what cannot be flagged is removed, for it would look complete.
fn give_up(plan: &Rearrangement, file: &OutputPath) -> Exit {
    let output = file.path(false).display();
    match flag(file.output().file()) {
        Ok(()) => plan.messages.error(&format!("{output}: flagged incomplete; what it holds can be read")),
        Err(e) => {
            let left = match file.discard() {
                Left::AsIs => "incomplete, and stays so:",
                Left::Empty => "incomplete, so it was emptied:",
                Left::Nothing => "incomplete, so it was removed:",
            };
            plan.messages.error(&format!("{output}: {left} it could not be flagged: {e}"));
        }
    }
    Exit::Failed
}

/// Flags the dump that `file` begins with.
fn flag(file: &File) -> Result<()> {
    let input = InputFile::new(file.try_clone()?, file.metadata()?.len());
    let output = OutputFile::new(file.try_clone()?);
    dump::flag_incomplete(&input, &output)?;
    output.sync()
}

/// The output file, opened when the first byte is to be written: what is no stream leaves nothing behind.
struct Lazy<'a> {
    plan: &'a Rearrangement,
    /// Files that it must not be.
    inputs: &'a [Identity],
    state: Mutex<Option<Opened>>,
}

struct Opened {
    file: OutputPath,
    /// Set until all is there; `None` if the first bytes do not say where it is: the file has a name of its own then.
    flag: Option<EarlyFlag>,
}

impl Lazy<'_> {
    /// The file, which begins with `bytes` if they are the first.
    fn opened(&self, offset: u64, bytes: &[u8]) -> Result<MutexGuard<'_, Option<Opened>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_none() {
            let flag = if offset == 0 { EarlyFlag::of(bytes) } else { None };
            let Rearrangement { force, unsynced, .. } = *self.plan;
            let options = OutputOptions { force, own_name: self.plan.atomic || flag.is_none(), unsynced };
            let mut file = target::open_one(&self.plan.output, self.inputs, options)?;
            file.begin()?;
            *state = Some(Opened { file, flag });
        }
        Ok(state)
    }
}

impl WriteAt for Lazy<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.opened(offset, bytes)?;
        let Opened { file, flag } = state.as_mut().ok_or_else(|| Error::bug("no output"))?;
        match flag.as_mut().and_then(|flag| flag.set_in(offset, bytes)) {
            Some(flagged) => file.output().write_at(offset, &flagged),
            None => file.output().write_at(offset, bytes),
        }
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let state = self.opened(offset, &[])?;
        state.as_ref().ok_or_else(|| Error::bug("no output"))?.file.output().zeros(offset, len)
    }
}

impl Opened {
    /// The first of `holes` that only a lost record leaves, if there is one: in what is always written, to the byte. A
    /// dump that is flagged incomplete was not written to its end.
    fn missing(&self, holes: &[(u64, u64)]) -> Option<(u64, u64)> {
        let from = self.flag.as_ref().filter(|flag| !flag.is_set())?.dense_from()?;
        let within = holes.iter().map(|(at, len)| (*at.max(&from), (at + len).saturating_sub(*at.max(&from))));
        within.into_iter().find(|(_, len)| *len != 0)
    }

    /// What is wrong with the headers, bitmaps or descriptors of the dump that arrived, if anything: small records may be
    /// missing too, or be damaged. A dump that is flagged incomplete says so itself.
    fn troubles(&self) -> Option<Vec<String>> {
        let flag = self.flag.as_ref().filter(|flag| !flag.is_set())?;
        let troubles = match self.image() {
            Ok(image) => flag.troubles(image),
            Err(e) => vec![e.to_string()],
        };
        (!troubles.is_empty()).then_some(troubles)
    }

    /// Whether the beginning is one of `holes`, and the rest is a dump's.
    fn lacks_header(&self, holes: &[(u64, u64)]) -> bool {
        let begins = holes.iter().any(|(at, _)| *at == 0);
        self.flag.is_none() && begins && self.image().is_ok_and(dump::lacks_header)
    }

    fn image(&self) -> Result<InputFile> {
        let file = self.file.output().file();
        Ok(InputFile::new(file.try_clone()?, file.metadata()?.len()))
    }

    /// Whether the dump says itself that it is incomplete.
    fn is_flagged(&self) -> bool {
        self.flag.as_ref().is_some_and(EarlyFlag::is_set)
    }

    /// Says that the dump is complete, once all of it is stored.
    fn complete(&self) -> Result<()> {
        let output = self.file.output();
        output.sync()?;
        if let Some(flag) = &self.flag {
            flag.clear(output)?;
            output.sync()?;
        }
        self.file.finish()
    }
}
