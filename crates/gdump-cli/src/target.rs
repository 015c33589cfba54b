//! Where the dump goes: files, a stream to stdout, or a command.

use crate::checksum;
use crate::command::Command;
use crate::naming;
use crate::output_path::{Identity, Left, OutputOptions, OutputPath, destination, parent, until_whole};
use crate::plan::{Conversion, Output, is_stdin};
use dump::{Abilities, Error, ErrorKind, FlatStream, ForwardStream, NullOutput, OutputFile, Result, WriteAt};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Refuses outputs that cannot be written, before any work. What can change until they are opened is checked again
/// then.
///
/// # Errors
/// If one exists and `-f` is not given, is an input or another output, or has no directory to be in; if there is to be
/// a file of checksums beside a device.
pub fn check(plan: &Conversion) -> Result<()> {
    check_beside(plan, &[])
}

/// The same, where `others` are inputs too.
///
/// # Errors
/// As [`check`].
pub fn check_beside(plan: &Conversion, others: &[PathBuf]) -> Result<()> {
    let inputs = [identities(&plan.inputs.files()), identities(others)].concat();
    for path in plan.outputs().iter().filter(|_| plan.checksum) {
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
            let beside = checksum::path_of(path);
            let text = format!("is no file, --checksum would write {} beside it", beside.display());
            return Err(refused(&text).within(path.display()));
        }
    }
    let mut places = Vec::new();
    for path in plan.outputs().iter().flat_map(|path| names(path, plan)) {
        let place = Place::of(&path);
        if places.contains(&place) {
            return Err(refused("given as output twice").within(path.display()));
        }
        places.push(place);
        check_path(&path, &inputs, plan.force)?;
    }
    Ok(())
}

/// All files that are written for the output at `path`.
fn names(path: &Path, plan: &Conversion) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    let current = until_whole(path, options(plan));
    if current != path {
        names.push(current);
    }
    let checksums = names.iter().filter(|_| plan.checksum).map(|path| checksum::path_of(path));
    let checksums: Vec<PathBuf> = checksums.collect();
    names.extend(checksums);
    names
}

fn options(plan: &Conversion) -> OutputOptions {
    let flagged = plan.format.abilities().contains(Abilities::FLAGS_INCOMPLETE);
    OutputOptions { force: plan.force, own_name: plan.atomic || !flagged, unsynced: plan.unsynced }
}

/// What names of one file have in common that is not there yet: its directory and its last name.
#[derive(PartialEq, Eq, Hash)]
pub struct Place(Option<Identity>, OsString);

impl Place {
    /// Of the file that is, or will be, at `path`.
    pub fn of(path: &Path) -> Place {
        let path = destination(path);
        let directory = fs::metadata(parent(&path)).ok().map(|meta| Identity::of(&meta));
        Place(directory, path.file_name().unwrap_or(path.as_os_str()).to_owned())
    }
}

/// Refuses an output that cannot be written.
///
/// # Errors
/// As [`check`].
pub fn check_path(path: &Path, inputs: &[Identity], force: bool) -> Result<()> {
    match fs::metadata(path) {
        Ok(meta) => check_existing(&meta, inputs, force),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => check_parent(path),
        Err(e) => Err(e.into()),
    }
    .map_err(|e| e.within(path.display()))
}

/// What the files at `paths` are, those that can be told.
pub fn identities(paths: &[PathBuf]) -> Vec<Identity> {
    let meta = |path: &PathBuf| if is_stdin(path) { descriptor(std::io::stdin()) } else { fs::metadata(path).ok() };
    paths.iter().filter_map(meta).map(|meta| Identity::of(&meta)).collect()
}

/// What is open as `stream`.
pub fn descriptor(stream: impl AsFd) -> Option<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

fn check_existing(output: &Metadata, inputs: &[Identity], force: bool) -> Result<()> {
    let kind = output.file_type();
    if kind.is_dir() {
        return Err(refused("Is a directory"));
    }
    if kind.is_fifo() || kind.is_socket() {
        return Err(refused("is a pipe").hint("-F writes a dump to stdout in a form that pipes can take"));
    }
    // nothing on a character device (/dev/null) can be overwritten
    if kind.is_char_device() {
        return Ok(());
    }
    if inputs.contains(&Identity::of(output)) {
        return Err(refused("input and output are the same file"));
    }
    if force { Ok(()) } else { Err(refused("File exists").hint("-f overwrites it")) }
}

fn check_parent(path: &Path) -> Result<()> {
    let parent = parent(path);
    fs::metadata(parent).map(drop).map_err(|e| Error::from(e).within(parent.display()))
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Io, what)
}

/// What is made of an output before the process gives up rights: afterwards no command can be started, and no time zone
/// be looked up.
pub enum Early {
    /// Nothing.
    Nothing,
    /// The shell that will run a command.
    Command(Command),
    /// A file under a name that is nobody else's, until it is taken.
    File(Reserved),
}

/// A file that goes unless something is written to it.
pub struct Reserved(Option<Box<OutputPath>>);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.iter().for_each(|file| file.discard_if_made());
    }
}

impl Early {
    /// Of `plan`; nothing where it writes nothing.
    ///
    /// # Errors
    /// If the file or the shell cannot be had.
    pub fn of(plan: &Conversion) -> Result<Early> {
        match &plan.output {
            _ if plan.dry_run => Ok(Early::Nothing),
            Output::Command { text, .. } => Command::prepare(text).map(Early::Command),
            Output::Directory(naming) => {
                let file = naming::claim(naming, plan.format.name, options(plan))?;
                Ok(Early::File(Reserved(Some(Box::new(file)))))
            }
            Output::Files(_) | Output::Stdout => Ok(Early::Nothing),
        }
    }

    /// The command, if it is one.
    pub fn command(&self) -> Option<Command> {
        match self {
            Early::Command(command) => Some(command.clone()),
            _ => None,
        }
    }
}

/// A stream to a command.
pub enum Stream {
    /// In the flattened form.
    Flat(FlatStream<Command>),
    /// As a file would have it.
    Plain(ForwardStream<Command>),
}

/// The outputs of a conversion.
pub enum Targets {
    /// Files or devices.
    Files(Vec<OutputPath>),
    /// The flattened form, to stdout.
    Stream(FlatStream<File>, OutputFile),
    /// To the standard input of a command.
    Command(Stream, Command),
    /// Nothing: a dry run.
    Null(Vec<NullOutput>),
}

impl Targets {
    /// Opens all outputs of a conversion, and changes nothing in any before all are known to be possible; what was made
    /// `early` is taken.
    ///
    /// # Errors
    /// If one cannot be opened or made, exists by now, is an input or another output, or another process writes it.
    pub fn open(plan: &Conversion, early: &mut Early) -> Result<Targets> {
        if plan.dry_run {
            return Ok(Targets::Null((0..plan.outputs().len().max(1)).map(|_| NullOutput).collect()));
        }
        match early {
            Early::File(file) => {
                let file = file.0.take().ok_or_else(|| Error::bug("an output is opened twice"))?;
                return Ok(Targets::Files(vec![*file]));
            }
            Early::Command(command) => {
                let stream = match plan.is_flattened() {
                    true => Stream::Flat(FlatStream::new(command.clone())),
                    false => Stream::Plain(ForwardStream::new(command.clone())),
                };
                return Ok(Targets::Command(stream, command.clone()));
            }
            Early::Nothing => {}
        }
        if plan.to_stdout() {
            // the descriptor itself: Stdout would look for the ends of lines
            let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
            let file = stdout.try_clone()?;
            let file = if plan.unsynced { OutputFile::unsynced(file) } else { OutputFile::new(file) };
            return Ok(Targets::Stream(FlatStream::new(stdout), file));
        }
        open_all(plan.outputs(), &identities(&plan.inputs.files()), options(plan)).map(Targets::Files)
    }

    /// The outputs, as the pipeline writes to them.
    pub fn outputs(&self) -> Vec<&dyn WriteAt> {
        match self {
            Targets::Files(files) => files.iter().map(|file| file.output() as &dyn WriteAt).collect(),
            Targets::Stream(stream, _) => vec![stream],
            Targets::Command(Stream::Flat(stream), _) => vec![stream],
            Targets::Command(Stream::Plain(stream), _) => vec![stream],
            Targets::Null(nulls) => nulls.iter().map(|null| null as &dyn WriteAt).collect(),
        }
    }

    /// Empties files that hold something.
    ///
    /// # Errors
    /// If that is impossible.
    pub fn begin(&mut self) -> Result<()> {
        match self {
            Targets::Files(files) => files.iter_mut().try_for_each(OutputPath::begin).inspect_err(|_| {
                // none is left that holds nothing
                files.iter().for_each(OutputPath::discard_if_made);
            }),
            Targets::Command(_, command) => command.begin(),
            Targets::Stream(..) | Targets::Null(_) => Ok(()),
        }
    }

    /// Ends the outputs: gives files that are `whole` their names, a stream its end, whose dump says itself whether it
    /// is whole, and waits until that is stored, or until the command that it goes to has ended.
    ///
    /// # Errors
    /// If a file was removed or replaced meanwhile, something cannot be written, or a command failed.
    pub fn finish(&self, whole: bool) -> Result<()> {
        match self {
            Targets::Files(files) if whole => files.iter().try_for_each(OutputPath::finish),
            Targets::Files(_) => Ok(()),
            Targets::Stream(stream, file) => stream.finish().and_then(|()| file.sync()),
            Targets::Command(stream, command) => {
                let finished = match stream {
                    Stream::Flat(stream) => stream.finish(),
                    Stream::Plain(stream) => stream.finish(whole),
                };
                // what the command says is nearer to the cause
                command.end().and(if whole { finished } else { Ok(()) })
            }
            Targets::Null(_) => Ok(()),
        }
    }

    /// Removes outputs of which nothing can be read, and says what is left: the most of any of them.
    pub fn discard(&self) -> Left {
        match self {
            Targets::Files(files) => files.iter().map(OutputPath::discard).min().unwrap_or(Left::Nothing),
            Targets::Stream(..) | Targets::Command(..) | Targets::Null(_) => Left::AsIs,
        }
    }

    /// Where files are, which are `whole` or not.
    pub fn paths(&self, whole: bool) -> Vec<&Path> {
        match self {
            Targets::Files(files) => files.iter().map(|file| file.path(whole)).collect(),
            Targets::Stream(..) | Targets::Command(..) | Targets::Null(_) => Vec::new(),
        }
    }

    /// The names of the outputs, which are `whole` or not.
    pub fn names(&self, whole: bool) -> String {
        match self {
            Targets::Files(_) => {
                let names: Vec<String> = self.paths(whole).iter().map(|path| path.display().to_string()).collect();
                match names.as_slice() {
                    // as makedumpfile has it
                    [others @ .., last] if !others.is_empty() => format!("{}, and {last}", others.join(", ")),
                    _ => names.join(""),
                }
            }
            Targets::Stream(..) => "STDOUT".to_owned(),
            Targets::Command(_, command) => command.name(),
            Targets::Null(_) => "nowhere".to_owned(),
        }
    }

    /// Whether a command is what failed, where the dump is `whole` but for that, or not.
    pub fn blames_command(&self, whole: bool) -> bool {
        matches!(self, Targets::Command(_, command) if command.is_to_blame(whole))
    }

    /// Whether what is incomplete can be told by its name.
    pub fn have_own_names(&self) -> bool {
        matches!(self, Targets::Files(files) if files.iter().all(OutputPath::has_own_name))
    }
}

/// Opens an output that is no input.
///
/// # Errors
/// As [`Targets::open`].
pub fn open_one(path: &Path, inputs: &[Identity], options: OutputOptions) -> Result<OutputPath> {
    let files = open_all(&[path.to_owned()], inputs, options)?;
    files.into_iter().next().ok_or_else(|| Error::bug("no output"))
}

/// Opens outputs that are neither an input nor each other. If one cannot be opened, none is left behind.
fn open_all(paths: &[PathBuf], inputs: &[Identity], options: OutputOptions) -> Result<Vec<OutputPath>> {
    let mut files = Vec::new();
    let opened = paths.iter().try_for_each(|path| open_next(path, &mut files, inputs, options));
    match opened {
        Ok(()) => Ok(files),
        Err(e) => {
            files.iter().for_each(OutputPath::discard_if_made);
            Err(e)
        }
    }
}

/// Opens one more output and locks it; one that another process writes is not for us to remove.
fn open_next(path: &Path, files: &mut Vec<OutputPath>, inputs: &[Identity], options: OutputOptions) -> Result<()> {
    let file = OutputPath::open(path, options)?;
    if let Err(e) = distinct(&file, files, inputs) {
        file.discard_if_made();
        return Err(e.within(path.display()));
    }
    file.lock()?;
    files.push(file);
    Ok(())
}

fn distinct(file: &OutputPath, others: &[OutputPath], inputs: &[Identity]) -> Result<()> {
    let identity = file.identity();
    match identity {
        _ if file.is_character_device() => Ok(()),
        _ if inputs.contains(&identity) => Err(refused("input and output are the same file")),
        _ if others.iter().any(|other| other.identity() == identity) => Err(refused("given as output twice")),
        _ => Ok(()),
    }
}
