//! A file or a device to be written, by its path.

use crate::checksum;
use dump::{Error, ErrorKind, OutputFile, Result, WriteAt};
use rustix::fs::{FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a file is called until it is whole, where its format has no flag for incomplete dumps, or with `--atomic`.
const SUFFIX: &str = ".incomplete";

/// More links than any path leads through (MAXSYMLINKS of the kernel).
const LINKS: usize = 40;

/// How outputs are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputOptions {
    /// Whether what exists is overwritten.
    pub force: bool,
    /// Whether the file has a name of its own until it is whole.
    pub own_name: bool,
    /// Whether nothing waits until it is stored.
    pub unsynced: bool,
}

/// What two names of one file have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity(u64, u64);

impl Identity {
    /// Of the file that `meta` describes; a device's is that of the device, whatever its node is called.
    pub fn of(meta: &Metadata) -> Identity {
        match meta.rdev() {
            0 => Identity(meta.dev(), meta.ino()),
            device => Identity(u64::MAX, device),
        }
    }
}

/// What is left of an output that holds nothing that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// What was written: of a device or a pipe, nothing can be taken back.
    AsIs,
    /// An empty file, which was there before.
    Empty,
    /// Nothing.
    Nothing,
}

/// An output, open; nothing in it is changed before [`begin`](OutputPath::begin).
pub struct OutputPath {
    /// Where it is to be.
    path: PathBuf,
    /// Where it is until it is whole.
    current: PathBuf,
    output: OutputFile,
    meta: Metadata,
    options: OutputOptions,
    /// Whether this run made it.
    created: bool,
}

impl OutputPath {
    /// Opens or makes it. Only its owner may read a new file, for a dump holds what its machine held; what is
    /// overwritten keeps its mode.
    ///
    /// # Errors
    /// If it cannot be opened, exists although it must not, or another process is writing it.
    pub fn open(path: &Path, options: OutputOptions) -> Result<OutputPath> {
        let own_name = options.own_name && can_be_renamed(path);
        let options = OutputOptions { own_name, ..options };
        if own_name && !options.force && path.symlink_metadata().is_ok() {
            return Err(exists().within(path.display()));
        }
        // the file that a link leads to is replaced, not the link
        let current = until_whole(path, options);
        let path = if own_name { destination(path) } else { path.to_owned() };
        OutputPath::open_at(path, current, options)
    }

    fn open_at(path: PathBuf, current: PathBuf, options: OutputOptions) -> Result<OutputPath> {
        let named = |e: Error| e.within(current.display());
        let (file, created) = open_or_create(&current, options).map_err(named)?;
        let meta = file.metadata().map_err(|e| {
            if created {
                let _ = fs::remove_file(&current); // the error says where it is
            }
            named(e.into())
        })?;
        let output = output_file(file, options);
        Ok(OutputPath { path, current, output, meta, options, created })
    }

    /// Keeps other runs away: two that write one file would make neither dump of it.
    ///
    /// # Errors
    /// If another process writes it, or it was replaced meanwhile.
    pub fn lock(&self) -> Result<()> {
        if !self.meta.is_file() {
            return Ok(());
        }
        self.lock_file().map_err(|e| e.within(self.current.display()))
    }

    fn lock_file(&self) -> Result<()> {
        match flock(self.output.file(), FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::new(ErrorKind::Io, "another process is writing it").temporary())
            }
            // file systems without locks can be written all the same
            _ => check_place(&self.current, &self.meta).inspect_err(|_| self.discard_if_made()),
        }
    }

    /// The file itself.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.meta)
    }

    /// Whether it can only be written once, and what other names have is the same: `/dev/null`.
    pub fn is_character_device(&self) -> bool {
        !self.meta.is_file() && self.meta.rdev() != 0 && !is_block_device(&self.meta)
    }

    /// Where it is until it is whole, or where it is then.
    pub fn path(&self, whole: bool) -> &Path {
        if whole { &self.path } else { &self.current }
    }

    /// Whether it keeps a name of its own until it is whole.
    pub fn has_own_name(&self) -> bool {
        self.options.own_name
    }

    /// Where bytes are written.
    pub fn output(&self) -> &OutputFile {
        &self.output
    }

    /// Empties a file; checksums of what it held go too. Where that is impossible, one that this run made is removed.
    ///
    /// # Errors
    /// If that is impossible.
    pub fn begin(&mut self) -> Result<()> {
        if !self.meta.is_file() {
            return Ok(());
        }
        let is_left_over = self.options.own_name && !self.created;
        let begun = if is_left_over { self.make_anew() } else { self.output.file().set_len(0).map_err(Error::from) };
        begun.map_err(|e| {
            self.discard_if_made();
            e.within(self.current.display())
        })?;
        checksum::forget(&self.current);
        Ok(())
    }

    /// Puts a new file in the place of one that another run left under a name of its own: that one may be another
    /// user's, who could read what is written to it.
    fn make_anew(&mut self) -> Result<()> {
        check_place(&self.current, &self.meta)?;
        fs::remove_file(&self.current)?;
        let file = to_create().open(&self.current)?;
        self.created = true;
        self.meta = file.metadata()?;
        self.output = output_file(file, self.options);
        self.lock_file()
    }

    /// Gives a whole file its name, and waits until the name is stored too.
    ///
    /// # Errors
    /// If it was removed or replaced meanwhile, or cannot have the name.
    pub fn finish(&self) -> Result<()> {
        if !self.meta.is_file() {
            return Ok(());
        }
        self.take_name().map_err(|e| e.within(self.current.display()))
    }

    fn take_name(&self) -> Result<()> {
        check_place(&self.current, &self.meta)?;
        if self.options.own_name {
            self.rename().map_err(|e| e.hint("it is whole, and keeps this name"))?;
            checksum::forget(&self.path);
        }
        if self.options.unsynced {
            return Ok(());
        }
        // a directory that cannot be opened cannot be synced either
        let Ok(parent) = File::open(parent(&self.path)) else { return Ok(()) };
        let synced = OutputFile::new(parent).sync();
        synced.map_err(|e| e.within("its directory").hint("it is whole, but a loss of power may take it"))
    }

    fn rename(&self) -> Result<()> {
        if let Ok(old) = fs::metadata(&self.path) {
            if !self.options.force {
                return Err(exists());
            }
            let mode = Permissions::from_mode(old.mode() & 0o7777);
            self.output.file().set_permissions(mode)?;
            return Ok(fs::rename(&self.current, &self.path)?);
        }
        let here = rustix::fs::CWD;
        match renameat_with(here, &self.current, here, &self.path, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => Err(exists()),
            // not every file system can look and rename in one step
            Err(_) => Ok(fs::rename(&self.current, &self.path)?),
            Ok(()) => Ok(()),
        }
    }

    /// Removes a file that this run made and wrote nothing to.
    pub fn discard_if_made(&self) {
        if self.created {
            self.discard();
        }
    }

    /// Removes a file of which nothing can be read, if this run made it; empties one that was there before.
    pub fn discard(&self) -> Left {
        if !self.meta.is_file() || check_place(&self.current, &self.meta).is_err() {
            return Left::AsIs;
        }
        let (discarded, left) = match self.created {
            true => (fs::remove_file(&self.current), Left::Nothing),
            false => (self.output.file().set_len(0), Left::Empty),
        };
        discarded.map_or(Left::AsIs, |()| left)
    }
}

fn output_file(file: File, options: OutputOptions) -> OutputFile {
    if options.unsynced { OutputFile::unsynced(file) } else { OutputFile::new(file) }
}

/// How a file is made that is not there yet.
fn to_create() -> OpenOptions {
    let mut open = File::options();
    open.read(true).write(true).create_new(true).mode(0o600);
    open
}

/// Opens what is there, if that is allowed, or makes it; and whether it was made.
fn open_or_create(path: &Path, options: OutputOptions) -> Result<(File, bool)> {
    let mut open = File::options();
    open.write(true);
    if options.own_name {
        // what an attacker may have put where a name is made up is neither followed nor waited for
        open.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
        if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::new(ErrorKind::Io, "is in the way, and no regular file"));
        }
    } else if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Ok((open.open(path)?, false));
    }
    match to_create().open(path) {
        Ok(file) => Ok((file, true)),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && options.force => {
            let mut open = open.read(true).clone();
            if !options.own_name {
                // a link may lead to nothing yet
                open.create(true).truncate(false).mode(0o600);
            }
            Ok((open.open(path)?, false))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(exists()),
        Err(e) => Err(e.into()),
    }
}

/// Whether `path` is still the name of the open file that `meta` describes.
fn check_place(path: &Path, meta: &Metadata) -> Result<()> {
    let gone = |what: &str| Error::new(ErrorKind::Io, format!("{what} while it was being written"));
    match fs::metadata(path) {
        Ok(now) if Identity::of(&now) == Identity::of(meta) => Ok(()),
        Ok(_) => Err(gone("was replaced by another file")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(gone("was removed")),
        Err(e) => Err(Error::from(e).within("looking for it by its name")),
    }
}

/// Whether what is at `path` can be replaced by another file; a device cannot.
fn can_be_renamed(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |meta| meta.is_file())
}

/// Where an output is until it is whole.
pub fn until_whole(path: &Path, options: OutputOptions) -> PathBuf {
    if !options.own_name || !can_be_renamed(path) {
        return path.to_owned();
    }
    let mut name = OsString::from(destination(path));
    name.push(SUFFIX);
    name.into()
}

/// Where the file is, or will be, that `path` names: links are followed, even one that leads to nothing.
pub fn destination(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = fs::read_link(&path) else { break };
        path = parent(&path).join(next);
    }
    path
}

/// The directory that `path` is in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_block_device(meta: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    meta.file_type().is_block_device()
}

fn exists() -> Error {
    Error::new(ErrorKind::Io, "File exists").hint("-f overwrites it")
}
