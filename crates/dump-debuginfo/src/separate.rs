//! Debug information that lies in a file of its own: named by `.gnu_debuglink`, or by the build ID.

use crate::elf::{Elf, open_file};
use dump_core::{InputFile, ReadAt};
use std::path::{Path, PathBuf};

/// Where distributions put debug files.
const DEBUG_ROOT: &str = "/usr/lib/debug";

/// The debug file of `elf`, which is at `path`: the first that there is, of the same build.
pub(crate) fn debug_file<R: ReadAt>(elf: &Elf<R>, path: &Path) -> Option<Elf<InputFile>> {
    let id = elf.build_id();
    candidates(elf, path, id.as_deref(), Path::new(DEBUG_ROOT)).into_iter().find_map(|(candidate, checksum)| {
        let other = Elf::new(open_file(&candidate).ok()?).ok().filter(|other| other.has(".debug_info"))?;
        let same = match (&id, other.build_id()) {
            (Some(id), Some(other)) => *id == other,
            _ => checksum.is_some_and(|sum| crc32(&candidate) == Some(sum)),
        };
        same.then_some(other)
    })
}

/// The files that debug information of the ELF file at `path` may be taken from, beside itself; there or not. None where
/// `path` is no such file.
pub fn debug_paths(path: impl AsRef<Path>) -> Vec<PathBuf> {
    let path = path.as_ref();
    let file = path.is_file().then(|| open_file(path).ok()).flatten(); // a pipe is not opened for this
    let Some(elf) = file.and_then(|file| Elf::new(file).ok()) else { return Vec::new() };
    let found = candidates(&elf, path, elf.build_id().as_deref(), Path::new(DEBUG_ROOT));
    found.into_iter().map(|(candidate, _)| candidate).collect()
}

/// Paths where it may be, in the order of gdb, each with the checksum that `.gnu_debuglink` gives of it.
fn candidates<R: ReadAt>(elf: &Elf<R>, path: &Path, id: Option<&[u8]>, root: &Path) -> Vec<(PathBuf, Option<u32>)> {
    let mut found = Vec::new();
    if let Some((first, rest)) = id.and_then(<[u8]>::split_first) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        found.push((root.join(format!(".build-id/{first:02x}/{}.debug", hex(rest))), None));
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().unwrap_or(Path::new("/"));
    if let Some((name, sum)) = debuglink(elf) {
        let under_root = root.join(dir.strip_prefix("/").unwrap_or(dir));
        for place in [dir.join(&name), dir.join(".debug").join(&name), under_root.join(&name)] {
            found.push((place, Some(sum)));
        }
    }
    found.retain(|(candidate, _)| *candidate != path);
    found
}

/// The name and the checksum in `.gnu_debuglink`: text, NUL, up to four bytes' alignment, four bytes.
fn debuglink<R: ReadAt>(elf: &Elf<R>) -> Option<(PathBuf, u32)> {
    let section = elf.section(".gnu_debuglink").ok()?;
    let end = section.iter().position(|byte| *byte == 0).filter(|end| *end != 0)?;
    let name = std::str::from_utf8(section.get(..end)?).ok()?;
    let sum = *section.get((end + 1).next_multiple_of(4)..)?.first_chunk()?;
    let sum = match elf.order {
        dump_core::ByteOrder::Little => u32::from_le_bytes(sum),
        dump_core::ByteOrder::Big => u32::from_be_bytes(sum),
    };
    // a name, not a path
    (Path::new(name).file_name() == Some(name.as_ref())).then(|| (name.into(), sum))
}

fn crc32(path: &Path) -> Option<u32> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut sum = flate2::CrcWriter::new(std::io::sink());
    std::io::copy(&mut file, &mut sum).ok()?;
    Some(sum.crc().sum())
}
