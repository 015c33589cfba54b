//! A dump written to a file of its own.

use crate::conversion::{Conversion, ConvertOptions, Converted};
use crate::image::Image;
use dump_core::{Error, NoWatch, OutputFile, Result};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a dump to a new file at `path`, which only its owner may read, for a dump holds what its machine held. Page
/// classes that cannot be identified are kept.
///
/// # Errors
/// If the conversion cannot begin, the file exists or cannot be created, or the dump could not be completed: it is then
/// flagged incomplete, if its format has such a flag, and readable as far as it goes.
pub fn convert_to_file(image: &Image, options: &ConvertOptions<'_>, path: impl AsRef<Path>) -> Result<Converted> {
    let path = path.as_ref();
    let memory = image.memory();
    let view = match image.kernel_view() {
        Ok(view) => Some(view),
        Err(e) if options.level.needs_kernel() => return Err(e.within(image.name())),
        Err(_) => None,
    };
    let conversion = Conversion::new(image, &memory, view.as_ref(), options, &|_| Ok(()), &NoWatch)?;
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
    let output = OutputFile::new(file.map_err(|e| Error::from(e).within(path.display()))?);
    let mut converted = conversion.run(&[&output])?;
    match converted.outcome.stopped.take() {
        Some(e) => Err(e.within(path.display())),
        None => Ok(converted),
    }
}
