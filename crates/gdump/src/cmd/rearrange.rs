//! `gdump -R`: a flattened stream becomes the file that it describes.

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::plan::Rearrangement;
use crate::progress::Progress;
use crate::target;
use dump::{Error, ErrorKind, InputFile, OutputFile, PageSize, Result, WriteAt, rearrange, unpacked};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

/// No dump is larger; an offset beyond is damage, and a file of that length helps nobody.
const MAX_LEN: u64 = 1 << 56;

/// Does what `plan` says. A stream that ends early leaves what arrived, flagged incomplete if it is a dump.
///
/// # Errors
/// One line, if nothing was written.
pub fn run(plan: &Rearrangement) -> Result<Exit> {
    let inputs: Vec<PathBuf> = plan.input.iter().cloned().collect();
    target::check_path(&plan.output, &inputs, plan.force)?;
    let name = plan.input.as_ref().map_or("stdin".to_owned(), |path| path.display().to_string());
    let packed: Box<dyn Read> = match &plan.input {
        Some(path) => Box::new(File::open(path).map_err(|e| Error::from(e).within(&name))?),
        None => Box::new(std::io::stdin()),
    };
    let mut input = unpacked(packed).map_err(|e| e.within(&name))?;
    let progress = Progress::new(plan.messages, PageSize::K4, Interrupt::listen());
    let output = Lazy { plan, file: OnceLock::new() };
    let done = rearrange(input.as_mut(), &output, MAX_LEN, &progress).map_err(|e| match e.kind() {
        ErrorKind::NoSpace => e.within(plan.output.display()),
        _ => e.within(&name),
    });
    match (done, output.file.into_inner()) {
        (Err(e), None) => Err(e),
        (Err(e), Some(file)) => {
            plan.messages.error(&e.to_string());
            Ok(give_up(plan, file))
        }
        (Ok(_), file) => {
            file.map_or(Ok(()), |file| OutputFile::new(file).sync()).map_err(|e| e.within(plan.output.display()))?;
            plan.messages.common(&format!("The dumpfile is saved to {}.\n", plan.output.display()));
            Ok(Exit::Completed)
        }
    }
}

/// Flags what arrived of a dump as incomplete; what cannot be flagged is removed, for it would look complete.
fn give_up(plan: &Rearrangement, file: File) -> Exit {
    let output = plan.output.display();
    match flag(&file) {
        Ok(()) => plan.messages.error(&format!("{output}: flagged incomplete; what it holds can be read")),
        Err(e) => {
            target::remove(std::slice::from_ref(&plan.output));
            plan.messages.error(&format!("{output}: removed, because it could not be flagged incomplete: {e}"));
        }
    }
    Exit::Failed
}

/// Flags the dump that `file` begins with.
fn flag(file: &File) -> Result<()> {
    let input = InputFile::new(file.try_clone()?, file.metadata()?.len());
    dump::flag_incomplete(&input, &OutputFile::new(file.try_clone()?))
}

/// The output file, made when the first byte is to be written: what is no stream leaves nothing behind.
struct Lazy<'a> {
    plan: &'a Rearrangement,
    file: OnceLock<File>,
}

impl Lazy<'_> {
    fn output(&self) -> Result<OutputFile> {
        if self.file.get().is_none() {
            let _ = self.file.set(target::create(&self.plan.output, self.plan.force)?);
        }
        let file = self.file.get().ok_or_else(|| Error::bug("no output"))?;
        Ok(OutputFile::new(file.try_clone()?))
    }
}

impl WriteAt for Lazy<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.output()?.write_at(offset, bytes)
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        self.output()?.zeros(offset, len)
    }
}
