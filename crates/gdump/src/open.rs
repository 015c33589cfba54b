//! Opens an input, whatever it is: layer after layer, each told by its first bytes.
//!
//! ```text
//! path ─> file, or pipe spooled to a file ─> unpacked ─> rearranged ─> ELF, kdump, LiME, AVML, raw
//! ```

use crate::plan::Inputs;
use crate::probe::{Kind, PREFIX, probe};
use crate::unpack::{self, Packing};
use dump_core::{Error, ErrorKind, InputFile, PageSize, PageSource, Pfn, ReadAt, Result, Watch};
use dump_elf::{ElfCore, ElfSource};
use dump_flat::FlatIndex;
use dump_kdump::{KdumpFile, KdumpSet};
use dump_kernel::Vmcoreinfo;
use dump_raw::{AvmlSource, LimeSource, RawSource};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

/// Bytes of an input, whatever lies below.
pub type Bytes = Box<dyn ReadAt>;

/// An opened dump.
pub struct Dump {
    /// What it is in, with its pages.
    pub container: Container,
    /// Who wrote it, where that can be told.
    pub flavor: Option<&'static str>,
    /// What lay around it, the outermost first: "zstd", "flattened".
    pub layers: Vec<&'static str>,
    /// Why it ends early, where it does.
    pub damage: Option<Error>,
}

/// A container with its pages.
pub enum Container {
    /// An ELF core, with what its headers say of who wrote it.
    Elf(Box<ElfSource<Bytes>>),
    /// A kdump file.
    Kdump(Box<KdumpFile<Bytes>>),
    /// The parts of a split kdump file.
    Split(Box<KdumpSet<Bytes>>),
    /// LiME.
    Lime(LimeSource<Bytes>),
    /// AVML.
    Avml(AvmlSource<Bytes>),
    /// Bare memory.
    Raw(RawSource<Bytes>),
}

impl Dump {
    /// Its pages.
    pub fn source(&self) -> &dyn PageSource {
        match &self.container {
            Container::Elf(source) => source.as_ref(),
            Container::Kdump(source) => source.as_ref(),
            Container::Split(source) => source.as_ref(),
            Container::Lime(source) => source,
            Container::Avml(source) => source,
            Container::Raw(source) => source,
        }
    }

    /// The same memory as pages of `size`, for containers that do not say what their pages are.
    pub fn set_page_size(&mut self, size: PageSize) {
        let meta = match &mut self.container {
            Container::Elf(source) => source.meta_mut(),
            Container::Lime(source) => source.meta_mut(),
            Container::Avml(source) => source.meta_mut(),
            Container::Raw(source) => source.meta_mut(),
            Container::Kdump(_) | Container::Split(_) => return,
        };
        let bytes = meta.page_size.bytes_of(meta.end_pfn.0);
        (meta.page_size, meta.end_pfn) = (size, Pfn(size.pages_for(bytes)));
    }

    /// Its pages, taken.
    pub fn into_source(self) -> Box<dyn PageSource> {
        match self.container {
            Container::Elf(source) => source,
            Container::Kdump(source) => source,
            Container::Split(source) => source,
            Container::Lime(source) => Box::new(source),
            Container::Avml(source) => Box::new(source),
            Container::Raw(source) => Box::new(source),
        }
    }
}

/// Opens a dump, or the parts of one.
///
/// # Errors
/// One line that names the file and says what it is, where it is nothing that we read.
pub fn open(inputs: &Inputs, watch: &dyn Watch) -> Result<Dump> {
    let open = |path: &Path| open_one(path, inputs, watch).map_err(|e| e.within(path.display()));
    let [first, others @ ..] = inputs.paths.as_slice() else { return Err(not_a_dump("no file")) };
    let mut dump = open(first)?;
    if others.is_empty() {
        return Ok(dump);
    }
    let mut parts = vec![part(dump.container).map_err(|e| e.within(first.display()))?];
    for path in others {
        let other = open(path)?;
        dump.damage = dump.damage.or(other.damage);
        parts.push(part(other.container).map_err(|e| e.within(path.display()))?);
    }
    let container = Container::Split(Box::new(KdumpSet::new(parts)?));
    Ok(Dump { container, flavor: None, layers: dump.layers, damage: dump.damage })
}

fn part(container: Container) -> Result<KdumpFile<Bytes>> {
    match container {
        Container::Kdump(file) if file.split_range().is_some() => Ok(*file),
        _ => Err(Error::new(
            ErrorKind::BadMagic,
            "not a part of a split dump, so it cannot be read together with others",
        )),
    }
}

fn open_one(path: &Path, inputs: &Inputs, watch: &dyn Watch) -> Result<Dump> {
    let mut layers = Vec::new();
    let (bytes, damage) = open_bytes(path, inputs.mapped, &mut layers, watch)?;
    let (bytes, damage) = rearranged(bytes, damage, &mut layers, watch)?;
    let prefix = prefix(&bytes)?;
    let empty = prefix.is_empty();
    // Until vmcoreinfo is found in memory, nothing tells the page size of such images; 4 KiB divides every other.
    let page_size = PageSize::K4;
    let mut flavor = None;
    let (container, cut) = match (inputs.raw_base, probe(&prefix)) {
        // memory may begin with anything, but what says that it is a dump is one: a comparison has one of each
        (Some(base), Kind::Unknown | Kind::Text | Kind::Known(_)) if !empty => {
            (Container::Raw(RawSource::new(bytes, base, page_size)?), None)
        }
        (_, Kind::Elf) => open_elf(bytes, &mut flavor)?,
        (_, Kind::Kdump) => (Container::Kdump(Box::new(KdumpFile::open(bytes)?)), None),
        (_, Kind::Lime) => {
            let source = LimeSource::open(bytes, page_size)?;
            let cut = source.damage().map(copy_of);
            (Container::Lime(source), cut)
        }
        (_, Kind::Avml) => {
            let source = AvmlSource::open(bytes, page_size)?;
            let cut = source.damage().map(copy_of);
            (Container::Avml(source), cut)
        }
        (_, Kind::Known(name)) => return Err(Error::unsupported(format!("{name}, which this version does not read"))),
        (_, Kind::Text) => return Err(inside(&layers, "a text file, not a dump")),
        (_, Kind::Flattened | Kind::Packed(_)) => {
            return Err(Error::unsupported(format!("{} within {}", probe_name(&prefix), layers.join(" within "))));
        }
        (_, Kind::Unknown) if empty => return Err(inside(&layers, "empty, not a dump")),
        (_, Kind::Unknown) => {
            let e = inside(&layers, "not a dump that is known here");
            return Err(e.hint("--raw-base ADDR reads bare memory"));
        }
    };
    Ok(Dump { container, flavor, layers, damage: damage.or(cut) })
}

fn open_elf(bytes: Bytes, flavor: &mut Option<&'static str>) -> Result<(Container, Option<Error>)> {
    let core = ElfCore::open(bytes)?;
    *flavor = Some(core.flavor().name());
    let told = core.vmcoreinfo().map(Vmcoreinfo::parse).and_then(|info| info.page_size());
    let cut = core.truncation().map(|(end, len)| Error::truncated("its memory", end, len));
    Ok((Container::Elf(Box::new(core.into_source(told.unwrap_or(PageSize::K4)))), cut))
}

/// The bytes of a file, a device or a pipe, unpacked.
fn open_bytes(
    path: &Path,
    mapped: bool,
    layers: &mut Vec<&'static str>,
    watch: &dyn Watch,
) -> Result<(Bytes, Option<Error>)> {
    if path.as_os_str() == "-" {
        return from_pipe(Box::new(std::io::stdin()), layers, watch);
    }
    let file = File::open(path).map_err(Error::from)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(not_a_dump("a directory, not a dump"));
    }
    if kind.is_char_device() {
        return Err(Error::unsupported("a character device; dumps are read from files, block devices and pipes"));
    }
    if kind.is_fifo() || kind.is_socket() {
        return from_pipe(Box::new(file), layers, watch);
    }
    let len = length(&file)?;
    let make = if mapped { InputFile::new } else { InputFile::unmapped };
    let bytes: Bytes = Box::new(make(file.try_clone()?, len));
    match probe(&prefix(&bytes)?) {
        Kind::Packed(packing) => unpacked(Box::new(file), packing, len, layers, watch),
        _ => Ok((bytes, None)),
    }
}

/// What comes from a pipe is spooled: page tables and struct pages are read at random.
fn from_pipe(
    mut pipe: Box<dyn Read>,
    layers: &mut Vec<&'static str>,
    watch: &dyn Watch,
) -> Result<(Bytes, Option<Error>)> {
    let mut start = vec![0; PREFIX];
    let (n, e) = unpack::fill(&mut pipe, &mut start);
    if let Some(e) = e {
        return Err(e.into());
    }
    start.truncate(n);
    let kind = probe(&start);
    let stream: Box<dyn Read> = Box::new(std::io::Cursor::new(start).chain(pipe));
    match kind {
        Kind::Packed(packing) => unpacked(stream, packing, 0, layers, watch),
        Kind::Text => Err(not_a_dump("text, not a dump")),
        _ => {
            let spooled = unpack::spool(stream, None, 0, watch)?;
            Ok((Box::new(InputFile::new(spooled.file, spooled.len)), spooled.damage))
        }
    }
}

fn unpacked(
    stream: Box<dyn Read>,
    packing: Packing,
    len: u64,
    layers: &mut Vec<&'static str>,
    watch: &dyn Watch,
) -> Result<(Bytes, Option<Error>)> {
    let spooled = unpack::spool(stream, Some(packing), len, watch)?;
    layers.push(packing.name());
    Ok((Box::new(InputFile::new(spooled.file, spooled.len)), spooled.damage))
}

/// The file that a flattened stream stands for; anything else as it is.
fn rearranged(
    bytes: Bytes,
    damage: Option<Error>,
    layers: &mut Vec<&'static str>,
    watch: &dyn Watch,
) -> Result<(Bytes, Option<Error>)> {
    if probe(&prefix(&bytes)?) != Kind::Flattened {
        return Ok((bytes, damage));
    }
    layers.push("flattened");
    let index = FlatIndex::read_watched(bytes, watch)?;
    let cut = index.truncation();
    Ok((Box::new(index), damage.or(cut)))
}

fn prefix(bytes: &Bytes) -> Result<Vec<u8>> {
    let len = usize::try_from(bytes.len()?).unwrap_or(PREFIX).min(PREFIX);
    let mut prefix = vec![0; len];
    bytes.read_exact_at(0, &mut prefix)?;
    Ok(prefix)
}

fn probe_name(prefix: &[u8]) -> &'static str {
    match probe(prefix) {
        Kind::Packed(packing) => packing.name(),
        _ => "flattened",
    }
}

fn copy_of(e: &Error) -> Error {
    Error::new(e.kind(), e.to_string())
}

fn not_a_dump(what: &str) -> Error {
    Error::new(ErrorKind::BadMagic, what)
}

fn inside(layers: &[&str], what: &str) -> Error {
    match layers {
        [] => not_a_dump(what),
        layers => not_a_dump(&format!("{}, but inside {what}", layers.join(", "))),
    }
}

/// The length of a file or a device. Some kernels give `/proc/vmcore` none; it is then taken to go on for ever, and reading
/// past its end is what tells.
fn length(file: &File) -> Result<u64> {
    let meta = file.metadata()?;
    if meta.len() != 0 {
        return Ok(meta.len());
    }
    let end = (&*file).seek(SeekFrom::End(0)).unwrap_or(0);
    let endless = end == 0 && matches!(file.read_at(&mut [0], 0), Ok(1));
    Ok(if endless { i64::MAX as u64 } else { end })
}
