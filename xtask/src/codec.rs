//! Unpacks one page as the flags of its descriptor say.

use anyhow::{Result, anyhow, bail, ensure};

/// What `flags` say the page is packed with.
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

/// The `page_size` bytes that `packed` stands for.
pub fn unpack(flags: u32, packed: &[u8], page_size: usize) -> Result<Vec<u8>> {
    let page = match flags {
        0 => packed.to_vec(),
        1 => miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, page_size)
            .map_err(|error| anyhow!("zlib: {error}"))?,
        2 => unpack_lzo(packed, page_size)?,
        4 => unpack_snappy(packed, page_size)?,
        0x20 => zstd::bulk::decompress(packed, page_size)?,
        _ => bail!("descriptor flags {flags:#x} name no codec"),
    };
    ensure!(page.len() == page_size, "{} page unpacks to {} bytes", name(flags), page.len());
    Ok(page)
}

fn unpack_lzo(packed: &[u8], page_size: usize) -> Result<Vec<u8>> {
    let mut page = vec![0; page_size];
    let len = lzokay::decompress::decompress(packed, &mut page).map_err(|error| anyhow!("lzo: {error}"))?;
    page.truncate(len);
    Ok(page)
}

fn unpack_snappy(packed: &[u8], page_size: usize) -> Result<Vec<u8>> {
    // The length is the file's word: checked before it sizes anything.
    ensure!(snap::raw::decompress_len(packed)? == page_size, "snappy page states another length");
    Ok(snap::raw::Decoder::new().decompress_vec(packed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_what_others_packed() {
        let page = vec![7u8; 4096];
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&page, 1);
        let snappy = snap::raw::Encoder::new().compress_vec(&page).unwrap();
        let zstd = zstd::bulk::compress(&page, 1).unwrap();
        for (flags, packed) in [(0, &page), (1, &zlib), (4, &snappy), (0x20, &zstd)] {
            assert_eq!(unpack(flags, packed, 4096).unwrap(), page, "{}", name(flags));
        }
    }

    #[test]
    fn wrong_lengths_and_codecs_are_errors() {
        let snappy = snap::raw::Encoder::new().compress_vec(&[1; 100]).unwrap();
        assert!(unpack(4, &snappy, 4096).is_err());
        assert!(unpack(0, &[0; 100], 4096).is_err());
        assert!(unpack(2, &[0x11, 0, 0], 4096).is_err());
        assert!(unpack(8, &[0; 4096], 4096).is_err());
    }
}
