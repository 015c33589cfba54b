//! A kernel's PDB: where its symbols are in the image.

use super::kernel_image::PdbId;
use super::msf;
use dump_core::{Error, ErrorKind, ReadAt, Result};
use pdb::{FallibleIterator, PDB, Source, SourceSlice, SourceView, SymbolData};
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// The symbols that are looked for.
pub(crate) const WANTED: [&str; 5] =
    ["KdDebuggerDataBlock", "KdVersionBlock", "KiWaitNever", "KiWaitAlways", "KdpDataBlockEncoded"];

/// Symbols by name: where they are, from the start of the image on (bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbols(BTreeMap<String, u32>);

impl Symbols {
    /// Reads those that are wanted from `file`, the PDB that is called `wanted`.
    ///
    /// # Errors
    /// `OtherKernel` if it is another; `Corrupt` if it makes no sense.
    pub fn read(file: Box<dyn ReadAt>, wanted: &PdbId) -> Result<Symbols> {
        let len = file.len()?;
        msf::check(file.as_ref(), len)?;
        let bad = |e: pdb::Error| Error::corrupt(format!("PDB: {e}"));
        let mut pdb = PDB::open(Bytes { file, len }).map_err(bad)?;
        let info = pdb.pdb_information().map_err(bad)?;
        let age = pdb.debug_information().map_err(bad)?.age();
        let found = PdbId { guid: info.guid.to_bytes_le(), age: age.unwrap_or(info.age), ..wanted.clone() };
        if found != *wanted {
            let text = format!("the PDB of another kernel, {}", found.key());
            return Err(Error::new(ErrorKind::OtherKernel, text));
        }
        let map = pdb.address_map().map_err(bad)?;
        let table = pdb.global_symbols().map_err(bad)?;
        let (mut symbols, mut found) = (table.iter(), BTreeMap::new());
        while let Some(symbol) = symbols.next().map_err(bad)? {
            let Ok(SymbolData::Public(public)) = symbol.parse() else { continue };
            let name = public.name.to_string();
            if let Some(rva) = public.offset.to_rva(&map).filter(|_| WANTED.contains(&name.as_ref())) {
                found.insert(name.into_owned(), rva.0);
            }
        }
        Ok(Symbols(found))
    }

    /// Where `name` is.
    ///
    /// # Errors
    /// `MissingInfo` if it is not there.
    pub fn get(&self, name: &str) -> Result<u64> {
        let at = self.0.get(name).ok_or_else(|| Error::missing(format!("the PDB has no symbol {name}")))?;
        Ok(u64::from(*at))
    }
}

/// A file as the PDB's reader takes it: no more is read at once than it is long.
struct Bytes {
    file: Box<dyn ReadAt>,
    len: u64,
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

#[derive(Debug)]
struct View(Vec<u8>);

impl SourceView<'_> for View {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<'s> Source<'s> for Bytes {
    fn view(&mut self, slices: &[SourceSlice]) -> io::Result<Box<dyn SourceView<'s>>> {
        let total = slices.iter().fold(0u64, |total, slice| total.saturating_add(slice.size as u64));
        if total > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; total as usize];
        let mut rest = bytes.as_mut_slice();
        for slice in slices {
            let (here, next) = rest.split_at_mut(slice.size);
            self.file.read_exact_at(slice.offset, here).map_err(|e| io::Error::other(e.to_string()))?;
            rest = next;
        }
        Ok(Box::new(View(bytes)))
    }
}
