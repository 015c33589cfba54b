//! The container of a PDB, MSF: whether its streams are no longer than the file.
//!
//! ```text
//! page 0   magic, size of a page, ..., size of the directory, pages that list the directory's pages
//! directory   number of streams │ the size of each │ the pages of each
//! ```
//!
//! The PDB's reader adds these numbers up as they are, in words of the machine that it runs on.
//!
//! Source: the PDB project of Microsoft (microsoft-pdb, PDB/msf/msf.cpp).

use dump_core::{Error, ReadAt, Result};

const MAGIC: &[u8] = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";

/// Where the fields are that are read here (bytes).
const PAGE_SIZE: usize = 32;
const DIRECTORY_SIZE: usize = 44;
const DIRECTORY_MAP: usize = 52;

/// The size of a stream that is not there.
const NO_STREAM: u32 = u32::MAX;

/// Checks what `file`, of `len` bytes, claims.
///
/// # Errors
/// `Corrupt` if it claims more than the file has, as reading it. What is no MSF of version 7 is left to the PDB's reader.
pub(super) fn check(file: &dyn ReadAt, len: u64) -> Result<()> {
    let head = read(file, 0, DIRECTORY_MAP.min(usize::try_from(len).unwrap_or(DIRECTORY_MAP)))?;
    if !head.starts_with(MAGIC) || head.len() < DIRECTORY_MAP {
        return Ok(());
    }
    let (page, size) = (u64::from(number(&head, PAGE_SIZE)), u64::from(number(&head, DIRECTORY_SIZE)));
    if !page.is_power_of_two() || !(512..=1 << 16).contains(&page) || size > len {
        return Err(Error::corrupt(format!("PDB: a directory of {size} bytes in pages of {page}, the file has {len}")));
    }
    let directory = directory(file, page, size)?;
    let mut words = directory.chunks_exact(4).map(|word| number(word, 0));
    let streams = words.next().unwrap_or(0) as usize;
    let pages = |size: u32| if size == NO_STREAM { 0 } else { u64::from(size).div_ceil(page) };
    let claimed: u64 = words.by_ref().take(streams).map(pages).sum();
    if streams as u64 >= size / 4 || claimed > len.div_ceil(page) {
        let what = format!("PDB: {streams} streams of {claimed} pages, the file has {}", len.div_ceil(page));
        return Err(Error::corrupt(what));
    }
    Ok(())
}

/// The directory, of `size` bytes, by the list of its pages.
fn directory(file: &dyn ReadAt, page: u64, size: u64) -> Result<Vec<u8>> {
    let (pages, bytes) = (size.div_ceil(page), usize::try_from(page).unwrap_or(usize::MAX));
    let lists = (pages * 4).div_ceil(page);
    let map = read(file, DIRECTORY_MAP as u64, usize::try_from(lists * 4).unwrap_or(usize::MAX))?;
    let at = |page_number: u32| u64::from(page_number) * page;
    let mut list = Vec::new();
    for word in map.chunks_exact(4) {
        list.extend(read(file, at(number(word, 0)), bytes)?);
    }
    let mut directory = Vec::new();
    for word in list.chunks_exact(4).take(usize::try_from(pages).unwrap_or(usize::MAX)) {
        directory.extend(read(file, at(number(word, 0)), bytes)?);
    }
    directory.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    Ok(directory)
}

fn read(file: &dyn ReadAt, at: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(at, &mut bytes).map_err(|e| e.within("PDB"))?;
    Ok(bytes)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two streams of these sizes, in pages of 512 bytes: header, list, directory, and one page each.
    fn pdb(sizes: [u32; 2]) -> Vec<u8> {
        let mut file = vec![0; 5 * 512];
        file[..MAGIC.len()].copy_from_slice(MAGIC);
        let mut put = |at: usize, number: u32| file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        put(PAGE_SIZE, 512);
        put(DIRECTORY_SIZE, 20);
        put(DIRECTORY_MAP, 1);
        put(512, 2);
        put(1024, 2);
        sizes.iter().enumerate().for_each(|(i, size)| put(1028 + 4 * i, *size));
        file
    }

    #[test]
    fn streams_are_no_longer_than_the_file() {
        let check = |file: Vec<u8>| check(&file.as_slice(), file.len() as u64).is_ok();
        assert!(check(pdb([512, NO_STREAM])));
        assert!(check(b"another file".to_vec()), "not for us to say");
        assert!(!check(pdb([1 << 31, 1 << 31])), "2^23 pages");
        let mut many = pdb([512, 512]);
        many[1024..1028].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(!check(many), "2^32 streams in 20 bytes");
    }
}
