//! Opening a dump in any container.

use crate::claims;
use crate::formats::{Recognised, companions, is_text, probe, probe_file, recognised};
use crate::image::Image;
use crate::kernel_files::KernelFiles;
use crate::layers::{self, Layers};
use crate::salvage::{self, SharedBytes};
use dump_core::{
    Container, Depth, Description, Detail, DumpMeta, Error, ErrorKind, Format, NoWatch, OpenOptions, Opener,
    PageSource, Part, ReadAt, Result, Watch,
};
use dump_kernel::Vmcoreinfo;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The format of files that say nothing of themselves.
const BARE: &str = "raw";

/// An opened dump: its container, before anything is read from its memory.
pub struct Dump {
    container: Box<dyn Container>,
    layers: Vec<&'static str>,
    damage: Option<Error>,
    name: String,
}

/// How inputs are opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What the user states about them.
    pub options: OpenOptions,
    /// Whether `/proc/vmcore` may be mapped rather than read.
    pub mapped: bool,
    /// How long a compressed file, or what comes from a pipe, may be when it is unpacked (bytes); `None` for as long as
    /// it leaves room where temporary files are.
    pub max_unpacked: Option<u64>,
    /// The directory of temporary files; `None`, or one that is not there, stands for `TMPDIR`.
    pub directory: Option<PathBuf>,
    /// Whether a dump that is damaged is opened to read what is certain of it, and nothing else.
    pub salvage: bool,
    /// Opens what is named otherwise than by a path, if that is wanted.
    pub opener: Option<Arc<dyn Opener>>,
}

impl Default for Opening {
    fn default() -> Opening {
        let (options, mapped, salvage) = (OpenOptions::default(), true, false);
        Opening { options, mapped, max_unpacked: None, directory: None, salvage, opener: None }
    }
}

impl Opening {
    /// The file that `path` names, where that is no path but a name for the opener.
    pub(crate) fn elsewhere(&self, path: &Path) -> Option<Result<Arc<dyn ReadAt>>> {
        let (opener, name) = (self.opener.as_ref()?, path.to_str()?);
        opener.takes(name).then(|| opener.open(name))
    }

    /// Whether there is a file at `path`, as far as is known without opening it.
    fn has(&self, path: &Path) -> bool {
        let taken = |opener: &Arc<dyn Opener>| path.to_str().is_some_and(|name| opener.takes(name));
        path.is_file() || self.opener.as_ref().is_some_and(taken)
    }
}

impl Dump {
    /// Opens the dump at `path`, in any container, compressed as a whole or not, flattened or not.
    ///
    /// # Errors
    /// One line that names the file and what it is, if it is not a dump that can be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Dump> {
        Dump::open_all(&[path.as_ref().to_owned()], &Opening::default(), &NoWatch)
    }

    /// Opens a dump, or all the files of one that is spread over several; `-` is stdin.
    ///
    /// # Errors
    /// As [`open`](Dump::open); if the files are not parts of one dump.
    pub fn open_all(paths: &[PathBuf], opening: &Opening, watch: &dyn Watch) -> Result<Dump> {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        if opening.salvage {
            return salvaged(paths, &names, opening, watch);
        }
        if let Some(files) = beside(paths, opening, watch)? {
            return parts(files, opening).map(|dump| Dump { name: names.join(", "), ..dump });
        }
        let mut files = Vec::new();
        for (path, name) in paths.iter().zip(&names) {
            let file = File::open(path, opening, watch).map_err(|e| e.within(name))?;
            files.push((name.clone(), file));
        }
        let dump = match files.len() {
            0 => Err(Error::new(ErrorKind::BadMagic, "no file given")),
            1 => one(files, opening),
            _ => parts(files, opening),
        };
        dump.map(|dump| Dump { name: names.join(", "), ..dump })
    }

    /// A dump from a container that was opened elsewhere: a format of the caller's own, a live machine. `name` is for
    /// messages.
    pub fn from_container(container: Box<dyn Container>, name: impl Into<String>) -> Dump {
        Dump { container: with_page_size(container), layers: Vec::new(), damage: None, name: name.into() }
    }

    /// The same under another name, for messages.
    #[must_use]
    pub fn renamed(self, name: impl Into<String>) -> Dump {
        Dump { name: name.into(), ..self }
    }

    /// What the container is.
    pub fn describe(&self) -> Description {
        self.container.describe()
    }

    /// What the container was wrapped in, the outermost first: "zstd", "flattened".
    pub fn layers(&self) -> &[&'static str] {
        &self.layers
    }

    /// Why it ends early, if it does; what comes before can be read.
    pub fn damage(&self) -> Option<&Error> {
        self.damage.as_ref().or_else(|| self.container.damage())
    }

    /// What is wrong with its headers although it can be read, as far as that was noticed when it was opened.
    pub fn header_faults(&self) -> &[Error] {
        self.container.header_faults()
    }

    /// What else its headers say, for people.
    pub fn details(&self) -> Vec<Detail> {
        self.container.details()
    }

    /// Contradictions that leave in doubt which pages there are, or what they hold, after a look at all that says so;
    /// among them, of kind [`Io`](ErrorKind::Io), what of that the system could not read.
    pub fn doubts(&self) -> Vec<Error> {
        let found = self.container.survey(Depth::Index).map_or_else(|e| vec![e], |survey| survey.wrong);
        self.header_faults().iter().filter(|fault| self.doubts_by(fault)).cloned().chain(found).collect()
    }

    /// What is wrong with its headers and leaves no doubt of its pages.
    pub(crate) fn labels(&self) -> Vec<Error> {
        self.header_faults().iter().filter(|fault| !self.doubts_by(fault)).cloned().collect()
    }

    fn doubts_by(&self, fault: &Error) -> bool {
        self.container.doubts_pages() || fault.kind() == ErrorKind::Io
    }

    /// What the container states about the machine.
    pub fn meta(&self) -> &DumpMeta {
        self.container.meta()
    }

    /// Its pages.
    pub fn source(&self) -> &dyn PageSource {
        &self.container
    }

    /// Its container.
    pub fn container(&self) -> &dyn Container {
        self.container.as_ref()
    }

    /// Its names, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its vmcoreinfo, if the container has it.
    pub fn vmcoreinfo(&self) -> Option<Vmcoreinfo> {
        self.meta().vmcoreinfo().map(Vmcoreinfo::parse)
    }

    /// The memory of the dumped machine, with what is known about its kernel: from the notes, or else from vmcoreinfo
    /// that memory is searched for, on all workers of the current rayon pool.
    ///
    /// # Errors
    /// If its pages cannot be read at all; `Corrupt` if headers claim pages of which the file has next to none,
    /// or if pages have the bytes of others.
    pub fn into_image(self, watch: &dyn Watch) -> Result<Image> {
        self.into_image_with(&KernelFiles::default(), watch)
    }

    /// The same, where files say what the dump's own vmcoreinfo lacks, or all of it.
    ///
    /// # Errors
    /// As [`into_image`](Dump::into_image); `OtherKernel` if a file is not of the kernel in the dump.
    pub fn into_image_with(self, files: &KernelFiles, watch: &dyn Watch) -> Result<Image> {
        claims::check(self.source())?;
        if let Some(damage) = self.damage().filter(|_| self.container.mixes_pages_up()) {
            return Err(damage.clone().hint("gdump repair saves what is certain of it"));
        }
        Image::new(self, files, watch)
    }

    /// The container, taken.
    pub(crate) fn into_container(self) -> Box<dyn Container> {
        self.container
    }
}

/// A file without its layers, and the format of what they held.
struct File {
    layers: Layers,
    format: &'static Format,
}

impl File {
    fn open(path: &Path, opening: &Opening, watch: &dyn Watch) -> Result<File> {
        let layers = Layers::open(path, opening, watch)?;
        if let Some(inner) = layers.inner_layer() {
            return Err(Error::unsupported(layers::within(inner, &layers.names)));
        }
        let prefix = layers.prefix.as_slice();
        let known = probe(prefix, &OpenOptions { raw_maps: Vec::new(), ..opening.options.clone() });
        let format = known.or_else(|| probe_file(&layers.bytes)).or_else(|| probe(prefix, &opening.options));
        match format {
            Some(format) if !prefix.is_empty() => Ok(File { layers, format }),
            _ => Err(unknown(&layers)),
        }
    }
}

/// A guest's memory, and what beside it says where it lies, in either of which there is no more than a part of a dump.
fn beside(paths: &[PathBuf], opening: &Opening, watch: &dyn Watch) -> Result<Option<Vec<(String, File)>>> {
    let (path, others): (_, Vec<PathBuf>) = match paths {
        _ if !opening.options.raw_maps.is_empty() => return Ok(None),
        [path] => (path, companions(path).into_iter().filter(|other| other.is_file()).collect()),
        [path, other] => (path, companions(path).into_iter().filter(|found| found == other).collect()),
        _ => return Ok(None),
    };
    for other in others.into_iter().filter(|other| opening.has(other) && opening.has(path)) {
        let mut files = Vec::new();
        for path in [path, &other] {
            let name = path.display().to_string();
            files.push((name.clone(), Layers::open(path, opening, watch).map_err(|e| e.within(name))?));
        }
        let format = files.iter().find_map(|(_, layers)| probe(&layers.prefix, &opening.options));
        if let Some(format) = format.filter(|format| format.open_parts.is_some()) {
            return Ok(Some(files.into_iter().map(|(name, layers)| (name, File { layers, format })).collect()));
        }
    }
    Ok(None)
}

/// What is left of a dump.
fn salvaged(paths: &[PathBuf], names: &[String], opening: &Opening, watch: &dyn Watch) -> Result<Dump> {
    let (mut files, mut layers, mut damage, mut format) = (Vec::new(), Vec::new(), None, None);
    for (path, name) in paths.iter().zip(names) {
        let opened = Layers::open(path, opening, watch).map_err(|e| e.within(name))?;
        if opened.prefix.is_empty() {
            return Err(unknown(&opened).within(name));
        }
        let (mut bytes, mut prefix, mut cut) = (SharedBytes::new(opened.bytes), opened.prefix, opened.damage);
        layers = opened.names;
        if let Some(stream) =
            probe(&prefix, &opening.options).is_none().then(|| salvage::beheaded(bytes.clone(), watch))
        {
            if let Some(image) = stream.transpose().map_err(|e| e.within(name))? {
                layers.push("flattened");
                cut = cut.or(image.truncation());
                bytes = SharedBytes::new(Box::new(image));
                prefix = layers::prefix(&bytes.to_bytes())?;
            }
        }
        format = format.or(probe(&prefix, &opening.options));
        damage = damage.or(cut);
        files.push((name.clone(), bytes));
    }
    let name = names.join(", ");
    let container = match (salvage::open(&files, format.map(|format| format.name)), format, files.as_slice()) {
        (Some(container), ..) => container,
        (None, Some(format), [(_, bytes)]) => (format.open)(bytes.to_bytes(), &opening.options),
        _ => Err(Error::unsupported("several files of a format of which only one can be saved")),
    };
    let container = with_page_size(container.map_err(|e| e.within(&name))?);
    Ok(Dump { container, layers, damage, name })
}

/// The error for a file that cannot be opened as a dump.
fn unknown(layers: &Layers) -> Error {
    let prefix = layers.prefix.as_slice();
    match recognised(prefix) {
        Some(Recognised { name, hint, .. }) => {
            let e = Error::unsupported(format!("{name}, which this version does not read"));
            match hint {
                Some(hint) => e.hint(*hint),
                None => e,
            }
        }
        None if is_text(prefix) => inside(&layers.names, "a text file, not a dump"),
        None if prefix.is_empty() => inside(&layers.names, "an empty file, not a dump"),
        None => {
            let e = inside(&layers.names, "not a dump of a known format");
            if can_be_memory(prefix) { e.hint("--raw-base ADDR and --raw-map RANGES read bare memory") } else { e }
        }
    }
}

/// Whether a file that begins with `prefix` can be memory from its first page on: x86 firmware has zeros or interrupt
/// vectors there, other machines a kernel's code or nothing. Bytes that look like noise are packed or encrypted.
fn can_be_memory(prefix: &[u8]) -> bool {
    let mut seen = [false; 256];
    prefix.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let different = seen.iter().filter(|seen| **seen).count();
    different * 4 < prefix.len() * 3
}

fn inside(layers: &[&str], what: &str) -> Error {
    match layers {
        [] => Error::new(ErrorKind::BadMagic, what),
        layers => Error::new(ErrorKind::BadMagic, format!("inside {}: {what}", layers.join(", "))),
    }
}

fn one(files: Vec<(String, File)>, opening: &Opening) -> Result<Dump> {
    let mut dumps = files.into_iter().map(|(name, File { layers, format })| {
        let container = (format.open)(layers.bytes, &opening.options).map_err(|e| e.within(&name))?;
        Ok(Dump { container: with_page_size(container), layers: layers.names, damage: layers.damage, name })
    });
    dumps.next().unwrap_or_else(|| Err(Error::bug("no file to open")))
}

/// One dump from several files, all of one format that can be split. Where one of them is bare memory, all are: memory
/// can begin with anything.
fn parts(mut files: Vec<(String, File)>, opening: &Opening) -> Result<Dump> {
    if let Some(bare) = files.iter().map(|(_, file)| file.format).find(|format| format.name == BARE) {
        files.iter_mut().for_each(|(_, file)| file.format = bare);
    }
    let (mut parts, mut damage, mut layers, mut open_parts) = (Vec::new(), None, Vec::new(), None);
    let mut first: Option<&'static str> = None;
    for (name, file) in files {
        let open = file.format.open_parts.filter(|_| first.is_none_or(|first| first == file.format.name));
        let Some(open) = open else {
            let text = format!("{} format, and no part of one dump with the other files", file.format.name);
            let hint = "only the parts of a split dump are read together";
            return Err(Error::unsupported(text).hint(hint).within(name));
        };
        if first.is_none() {
            layers = file.layers.names;
        }
        (first, open_parts) = (Some(file.format.name), Some(open));
        damage = damage.or(file.layers.damage);
        parts.push(Part { name, bytes: file.layers.bytes });
    }
    let open = open_parts.ok_or_else(|| Error::bug("no parts to open"))?;
    Ok(Dump { container: open(parts, &opening.options)?, layers, damage, name: String::new() })
}

/// The container with pages as the kernel's notes say, where it does not state their size itself. 4 KiB, with which it
/// opened, divides every other page size.
fn with_page_size(mut container: Box<dyn Container>) -> Box<dyn Container> {
    if !container.states_page_size() {
        let size = container.meta().vmcoreinfo().map(Vmcoreinfo::parse).and_then(|info| info.page_size());
        if let Some(size) = size {
            container.set_page_size(size);
        }
    }
    container
}
