//! Decompresses one page as the flags of its descriptor say.

use anyhow::{Result, anyhow, bail, ensure};

/// What `flags` say the page is compressed with.
pub fn name(flags: u32) -> &'static str {
    match flags {
        0 => "none",
        1 => "zlib",
        2 => "lzo",
        4 => "snappy",
        0x20 => "zstd",
        _ => "unknown",
    }
}

/// The `page_size` bytes that `stored` stands for.
///
/// # Errors
/// If they are not of that codec, or not a page.
pub fn decompress(flags: u32, stored: &[u8], page_size: usize) -> Result<Vec<u8>> {
    let page = match flags {
        0 => stored.to_vec(),
        1 => miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(stored, page_size)
            .map_err(|error| anyhow!("zlib: {error}"))?,
        2 => lzo(stored, page_size)?,
        4 => snappy(stored, page_size)?,
        0x20 => zstd::bulk::decompress(stored, page_size)?,
        _ => bail!("descriptor flags {flags:#x} name no codec"),
    };
    ensure!(page.len() == page_size, "{} page decompresses to {} bytes", name(flags), page.len());
    Ok(page)
}

fn lzo(stored: &[u8], page_size: usize) -> Result<Vec<u8>> {
    let mut page = vec![0; page_size];
    let len = lzokay::decompress::decompress(stored, &mut page).map_err(|error| anyhow!("lzo: {error}"))?;
    page.truncate(len);
    Ok(page)
}

fn snappy(stored: &[u8], page_size: usize) -> Result<Vec<u8>> {
    // The length is the file's word: checked before it sizes anything.
    ensure!(snap::raw::decompress_len(stored)? == page_size, "snappy page states another length");
    Ok(snap::raw::Decoder::new().decompress_vec(stored)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_compressed() {
        let page = vec![7u8; 4096];
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&page, 1);
        let snappy = snap::raw::Encoder::new().compress_vec(&page).unwrap();
        let zstd = zstd::bulk::compress(&page, 1).unwrap();
        for (flags, stored) in [(0, &page), (1, &zlib), (4, &snappy), (0x20, &zstd)] {
            assert_eq!(decompress(flags, stored, 4096).unwrap(), page, "{}", name(flags));
        }
    }

    #[test]
    fn wrong_lengths_and_codecs_are_errors() {
        let snappy = snap::raw::Encoder::new().compress_vec(&[1; 100]).unwrap();
        assert!(decompress(4, &snappy, 4096).is_err());
        assert!(decompress(0, &[0; 100], 4096).is_err());
        assert!(decompress(2, &[0x11, 0, 0], 4096).is_err());
        assert!(decompress(8, &[0; 4096], 4096).is_err());
    }
}
