//! Compressing one page on its own: the table of codecs, and a file for each.
//!
//! A codec object belongs to one worker and keeps its tables from page to page: setting them up anew would cost more
//! than compressing does (zlib clears a quarter of a megabyte). Nothing else is kept, so equal pages become equal
//! bytes.
//!
//! A new codec is its file and its row in [`CODECS`]; all else looks it up there. Files compressed with a codec that a
//! build leaves out still open, so its row is there in every build.

mod lzo;
mod snappy;
mod zlib;
mod zstd;

use dump_core::{CodecId, Error, Result};

/// A codec that kdump files can have: a row of the table.
pub struct Codec {
    /// Its place in the table, and its name.
    pub id: CodecId,
    /// Its bit in the status of the main header.
    pub status_bit: u32,
    /// The flags of the descriptor of a page that is compressed with it.
    pub desc_flag: u32,
    /// The checksum that every compressed page carries, if it does. The content size of a zstd frame is none: it says
    /// no more than that a page decompresses to a page.
    pub checksum: Option<&'static str>,
    /// The feature of this crate that builds it.
    pub feature: &'static str,
    /// Makes one for a worker; `None` where this build leaves it out.
    pub create: Option<CreateCodec>,
}

/// Makes a codec for one worker.
pub type CreateCodec = fn() -> Box<dyn PageCodec>;

/// `Some` of what a module has where its feature is on, else `None`.
macro_rules! built {
    ($feature:literal, $create:path) => {{
        #[cfg(feature = $feature)]
        {
            Some($create as CreateCodec)
        }
        #[cfg(not(feature = $feature))]
        {
            None
        }
    }};
}

/// zlib, as makedumpfile -c.
pub const ZLIB: CodecId = CodecId::new(0, "zlib");
/// LZO, as makedumpfile -l.
pub const LZO: CodecId = CodecId::new(1, "lzo");
/// snappy, as makedumpfile -p.
pub const SNAPPY: CodecId = CodecId::new(2, "snappy");
/// zstd, as makedumpfile -z; since its version 1.7.0.
pub const ZSTD: CodecId = CodecId::new(3, "zstd");

/// Every codec that kdump files can have, built or not, each in the place that its id has. Source: makedumpfile
/// diskdump_mod.h.
#[rustfmt::skip] // a row a codec
pub const CODECS: &[Codec] = &[
    Codec { id: ZLIB, status_bit: 0x1, desc_flag: 0x1, checksum: Some("adler32"), feature: "zlib", create: built!("zlib", zlib::create) },
    Codec { id: LZO, status_bit: 0x2, desc_flag: 0x2, checksum: None, feature: "lzo", create: built!("lzo", lzo::create) },
    Codec { id: SNAPPY, status_bit: 0x4, desc_flag: 0x4, checksum: None, feature: "snappy", create: built!("snappy", snappy::create) },
    Codec { id: ZSTD, status_bit: 0x20, desc_flag: 0x20, checksum: None, feature: "zstd", create: built!("zstd", zstd::create) },
];

impl Codec {
    /// The codec of that id; `None` where no kdump file can have it.
    pub fn of(id: CodecId) -> Option<&'static Codec> {
        CODECS.get(id.index())
    }

    /// The codec of that name, built or not.
    pub fn by_name(name: &str) -> Option<&'static Codec> {
        CODECS.iter().find(|codec| codec.id.name() == name)
    }

    /// The codec that a file's status names; of several the first, for each page's own flags decide.
    pub fn of_status(status: u32) -> Option<&'static Codec> {
        CODECS.iter().find(|codec| status & codec.status_bit != 0)
    }

    /// The codec of a page whose descriptor has these flags.
    pub fn of_flags(flags: u32) -> Option<&'static Codec> {
        CODECS.iter().find(|codec| flags == codec.desc_flag)
    }

    /// The codecs of this build.
    pub fn built() -> impl Iterator<Item = &'static Codec> {
        CODECS.iter().filter(|codec| codec.create.is_some())
    }

    /// What makes one for a worker.
    ///
    /// # Errors
    /// `Unsupported`, with the name of the feature, if this build leaves it out.
    pub fn creator(&self) -> Result<CreateCodec> {
        self.create.ok_or_else(|| {
            let (name, feature) = (self.id.name(), self.feature);
            Error::unsupported(format!("pages compressed with {name}: built without the feature \"{feature}\""))
        })
    }
}

/// Compresses and decompresses pages.
pub trait PageCodec: Send {
    /// Bytes that [`compress`](PageCodec::compress) wants of `out` for a page of `page` bytes, a page at least.
    fn room(&self, page: usize) -> usize {
        page
    }

    /// Compresses `page` into the front of `out` and returns how many bytes it became; `None` where they are not
    /// strictly fewer than the page has, which is then to be stored as it is.
    ///
    /// # Errors
    /// `Unsupported` if the codec itself fails, for want of memory say.
    fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>>;

    /// Decompresses `compressed` to exactly as many bytes as `page` has, writing nowhere else whatever `compressed`
    /// claims.
    ///
    /// # Errors
    /// `Corrupt` if `compressed` is no such page; `page` holds anything then.
    fn decompress(&mut self, compressed: &[u8], page: &mut [u8]) -> Result<()>;

    /// Whether it shows, without decompressing it, that `compressed` decompresses to exactly `len` bytes. Where it does not
    /// show, [`decompress`](PageCodec::decompress) tells.
    fn shows_page(&self, compressed: &[u8], len: usize) -> bool {
        let _ = (compressed, len);
        false
    }

    /// How many bytes the compressed page takes that `bytes` begin with, where that decompresses to exactly as many as
    /// `page` has. `None` where they begin with no page, or the codec's pages do not show where they end.
    fn page_len(&mut self, bytes: &[u8], page: &mut [u8]) -> Option<usize> {
        let _ = (bytes, page);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codecs() -> Vec<(CodecId, Box<dyn PageCodec>)> {
        Codec::built().map(|codec| (codec.id, codec.creator().unwrap()())).collect()
    }

    fn compressed(codec: &mut dyn PageCodec, page: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0xaa; codec.room(page.len())];
        let len = codec.compress(page, &mut out).unwrap()?;
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
    fn rows_are_where_their_ids_say_and_are_told_apart() {
        for (i, codec) in CODECS.iter().enumerate() {
            let same = |found: Option<&'static Codec>| found.is_some_and(|found| found.id == codec.id);
            assert_eq!(codec.id.index(), i);
            assert!(same(Codec::of(codec.id)) && same(Codec::by_name(codec.id.name())), "{:?}", codec.id);
            assert!(same(Codec::of_status(codec.status_bit)) && same(Codec::of_flags(codec.desc_flag)));
            assert_eq!(codec.status_bit.count_ones(), 1);
        }
        assert!(Codec::of(CodecId::new(31, "zlib")).is_none() && Codec::by_name("none").is_none());
        assert!(Codec::of_status(0x18).is_none() && Codec::of_flags(0).is_none() && Codec::of_flags(3).is_none());
    }

    #[test]
    fn a_codec_left_out_names_its_feature() {
        for codec in CODECS {
            match codec.creator() {
                Ok(_) => assert!(codec.create.is_some()),
                Err(e) => assert!(e.to_string().contains(&format!("feature \"{}\"", codec.feature)), "{e}"),
            }
        }
        let on = [cfg!(feature = "zlib"), cfg!(feature = "lzo"), cfg!(feature = "snappy"), cfg!(feature = "zstd")];
        assert_eq!(Codec::built().count(), on.into_iter().filter(|on| *on).count());
    }

    #[test]
    fn pages_come_back() {
        for (id, mut codec) in codecs() {
            for size in [4096, 16384, 65536, 262144] {
                for (name, page) in [("zero", vec![0; size]), ("text", text(size))] {
                    let bytes = compressed(codec.as_mut(), &page).unwrap();
                    assert_eq!(compressed(codec.as_mut(), &page), Some(bytes.clone()), "{id:?} {name}: keeps state");
                    let mut back = vec![0x55; size];
                    codec.decompress(&bytes, &mut back).unwrap();
                    assert!(back == page, "{id:?} {name} {size}");
                }
                assert_eq!(compressed(codec.as_mut(), &noise(size)), None, "{id:?} {size}");
            }
        }
    }

    #[test]
    fn a_page_is_exactly_a_page() {
        for (id, mut codec) in codecs() {
            for wrong in [0, 1, 4095, 4097, 8192, 1 << 20] {
                let mut out = vec![0; codec.room(wrong).max(64)];
                // A bomb (1 MiB for a page) among them; shorter ones must not leave the rest of the page unset.
                let Some(len) = codec.compress(&vec![0; wrong], &mut out).unwrap() else { continue };
                let mut page = vec![0; 4096];
                assert!(codec.decompress(&out[..len], &mut page).is_err(), "{id:?} {wrong}");
            }
        }
    }

    #[test]
    fn every_prefix_is_refused() {
        for (id, mut codec) in codecs() {
            let page = text(4096);
            let bytes = compressed(codec.as_mut(), &page).unwrap();
            let mut back = vec![0; 4096];
            for cut in 0..bytes.len() {
                assert!(codec.decompress(&bytes[..cut], &mut back).is_err(), "{id:?} {cut} of {}", bytes.len());
            }
            codec.decompress(&bytes, &mut back).unwrap();
            assert!(back == page, "{id:?} after failures");
        }
    }

    /// What shows to be a page is one, and lzo's and snappy's pages show.
    fn check_shown(id: CodecId, codec: &mut dyn PageCodec, bytes: &[u8], len: usize) {
        let decompresses = codec.decompress(bytes, &mut vec![0; len]).is_ok();
        let shows = codec.shows_page(bytes, len);
        assert!(!shows || decompresses, "{id:?}: {bytes:x?} is no page of {len} bytes");
        assert_eq!(shows, decompresses && [LZO, SNAPPY].contains(&id), "{id:?}: {bytes:x?}");
    }

    #[test]
    fn pages_show_without_being_decompressed() {
        for (id, mut codec) in codecs() {
            for size in [4096, 65536] {
                let mixed = [&noise(size / 2)[..], &text(size / 2)].concat();
                for page in [vec![0; size], text(size), mixed] {
                    let bytes = compressed(codec.as_mut(), &page).unwrap();
                    for len in [size, size - 1, size + 1, 0] {
                        check_shown(id, codec.as_mut(), &bytes, len);
                    }
                    let step = bytes.len().div_ceil(200);
                    (0..bytes.len()).step_by(step).for_each(|cut| check_shown(id, codec.as_mut(), &bytes[..cut], size));
                    check_shown(id, codec.as_mut(), &[&bytes[..], &[0]].concat(), size);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_shows_to_be_a_page_decompresses(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), mixed in any::<bool>(),
        ) {
            let page = if mixed { [&noise(1024)[..], &text(3072)].concat() } else { text(4096) };
            for (id, mut codec) in codecs() {
                let mut bytes = compressed(codec.as_mut(), &page).unwrap();
                for (at, byte) in &flips {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                    check_shown(id, codec.as_mut(), &bytes, 4096);
                }
            }
        }

        #[test]
        fn what_shows_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40), len in 0usize..300) {
            for (id, mut codec) in codecs() {
                check_shown(id, codec.as_mut(), &bytes, len);
            }
        }

        #[test]
        fn any_bytes_are_taken_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..300), flip in 0usize..2000, bit in 0u8..8,
        ) {
            for (_, mut codec) in codecs() {
                let mut page = vec![0; 4096];
                let _ = codec.decompress(&bytes, &mut page);
                let mut damaged = compressed(codec.as_mut(), &text(4096)).unwrap();
                let at = flip % damaged.len();
                damaged[at] ^= 1 << bit;
                let _ = codec.decompress(&damaged, &mut page);
            }
        }
    }
}
