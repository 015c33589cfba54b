//! Packing one page on its own, a file for each codec.
//!
//! A codec object belongs to one worker and keeps its tables from page to page: setting them up anew would cost more
//! than packing does (zlib clears a quarter of a megabyte). Nothing else is kept, so equal pages pack to equal bytes.

#[cfg(feature = "lzo")]
mod lzo;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zlib")]
mod zlib;
#[cfg(feature = "zstd")]
mod zstd;

use dump_core::{CodecId, CodecSet, Error, Result};

/// Packs and unpacks pages.
pub trait PageCodec: Send {
    /// Bytes that [`pack`](PageCodec::pack) wants of `out` for a page of `page` bytes, a page at least.
    fn room(&self, page: usize) -> usize {
        page
    }

    /// Packs `page` into the front of `out` and returns how many bytes it became; `None` where they are not strictly
    /// fewer than the page has, which is then to be stored as it is.
    ///
    /// # Errors
    /// `Unsupported` where the codec itself fails, for want of memory say.
    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>>;

    /// Unpacks `packed` to exactly as many bytes as `page` has, writing nowhere else whatever `packed` claims.
    ///
    /// # Errors
    /// `Corrupt` where `packed` is no such page; `page` holds anything then.
    fn unpack(&mut self, packed: &[u8], page: &mut [u8]) -> Result<()>;
}

/// A codec for one worker; `None` where this build leaves it out.
pub fn create(codec: CodecId) -> Option<Box<dyn PageCodec>> {
    match codec {
        #[cfg(feature = "zlib")]
        CodecId::Zlib => Some(Box::new(zlib::Zlib::default())),
        #[cfg(feature = "lzo")]
        CodecId::Lzo => Some(Box::new(lzo::Lzo::default())),
        #[cfg(feature = "snappy")]
        CodecId::Snappy => Some(Box::new(snappy::Snappy::new())),
        #[cfg(feature = "zstd")]
        CodecId::Zstd => Some(Box::new(zstd::Zstd::default())),
        #[allow(unreachable_patterns)] // with every feature on
        _ => None,
    }
}

/// The codecs of this build.
pub fn supported() -> CodecSet {
    let here = [
        (CodecId::Zlib, cfg!(feature = "zlib")),
        (CodecId::Lzo, cfg!(feature = "lzo")),
        (CodecId::Snappy, cfg!(feature = "snappy")),
        (CodecId::Zstd, cfg!(feature = "zstd")),
    ];
    here.iter().filter(|(_, on)| *on).fold(CodecSet::NONE, |set, (codec, _)| set.with(*codec))
}

/// What to say where a codec is left out.
pub(crate) fn left_out(codec: CodecId) -> Error {
    Error::unsupported(format!("pages packed with {0}: built without the feature \"{0}\"", codec.name()))
}

/// What to say where packed bytes are not a page.
#[cfg(any(feature = "zlib", feature = "lzo", feature = "snappy", feature = "zstd"))]
fn not_a_page(codec: CodecId, packed: &[u8], why: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("{} bytes of {}: {why}", packed.len(), codec.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codecs() -> Vec<(CodecId, Box<dyn PageCodec>)> {
        CodecId::ALL.into_iter().filter_map(|id| Some((id, create(id)?))).collect()
    }

    fn packed(codec: &mut dyn PageCodec, page: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0xaa; codec.room(page.len())];
        let len = codec.pack(page, &mut out).unwrap()?;
        assert!(len < page.len());
        out.truncate(len);
        Some(out)
    }

    /// Bytes without a pattern, the same every time.
    fn noise(len: usize) -> Vec<u8> {
        let mut x = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|i| if i % 7 == 0 { (i / 64) as u8 } else { b'a' + (i % 11) as u8 }).collect()
    }

    #[test]
    fn the_set_is_what_can_be_created() {
        for id in CodecId::ALL {
            assert_eq!(supported().contains(id), create(id).is_some(), "{id:?}");
        }
    }

    #[test]
    fn pages_come_back() {
        for (id, mut codec) in codecs() {
            for size in [4096, 16384, 65536, 262144] {
                for (name, page) in [("zero", vec![0; size]), ("text", text(size))] {
                    let bytes = packed(codec.as_mut(), &page).unwrap();
                    assert_eq!(packed(codec.as_mut(), &page), Some(bytes.clone()), "{id:?} {name}: keeps state");
                    let mut back = vec![0x55; size];
                    codec.unpack(&bytes, &mut back).unwrap();
                    assert!(back == page, "{id:?} {name} {size}");
                }
                assert_eq!(packed(codec.as_mut(), &noise(size)), None, "{id:?} {size}");
            }
        }
    }

    #[test]
    fn a_page_is_exactly_a_page() {
        for (id, mut codec) in codecs() {
            for wrong in [0, 1, 4095, 4097, 8192, 1 << 20] {
                let mut out = vec![0; codec.room(wrong).max(64)];
                // A bomb (1 MiB for a page) among them; shorter ones must not leave the rest of the page unset.
                let Some(len) = codec.pack(&vec![0; wrong], &mut out).unwrap() else { continue };
                let mut page = vec![0; 4096];
                assert!(codec.unpack(&out[..len], &mut page).is_err(), "{id:?} {wrong}");
            }
        }
    }

    #[test]
    fn every_prefix_is_refused() {
        for (id, mut codec) in codecs() {
            let page = text(4096);
            let bytes = packed(codec.as_mut(), &page).unwrap();
            let mut back = vec![0; 4096];
            for cut in 0..bytes.len() {
                assert!(codec.unpack(&bytes[..cut], &mut back).is_err(), "{id:?} {cut} of {}", bytes.len());
            }
            codec.unpack(&bytes, &mut back).unwrap();
            assert!(back == page, "{id:?} after failures");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..300), flip in 0usize..2000, bit in 0u8..8,
        ) {
            for (_, mut codec) in codecs() {
                let mut page = vec![0; 4096];
                let _ = codec.unpack(&bytes, &mut page);
                let mut damaged = packed(codec.as_mut(), &text(4096)).unwrap();
                let at = flip % damaged.len();
                damaged[at] ^= 1 << bit;
                let _ = codec.unpack(&damaged, &mut page);
            }
        }
    }
}
