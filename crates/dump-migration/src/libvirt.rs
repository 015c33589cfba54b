//! libvirt's save files: a header, the domain's XML (and a cookie), then a migration stream.
//!
//! ```text
//! 0   "LibvirtQemudSave", or "LibvirtQemudPart" until it is whole
//! 16  u32 version 2 │ u32 bytes of XML and cookie │ u32 was running │ u32 format │ u32 offset of the cookie │ u32 × 14
//! 92  XML │ cookie │ stream                               numbers in the order of the host
//! ```

use dump_core::{ByteOrder, Error, ErrorKind, ReadAt, Result};

pub(crate) const WHOLE: &[u8; 16] = b"LibvirtQemudSave";
pub(crate) const PART: &[u8; 16] = b"LibvirtQemudPart";
const HEADER: u64 = 92;
const FORMAT_AT: usize = 28;

/// XML of a domain that is looked at (bytes).
const MOST_XML: u64 = 1 << 20;

/// How streams are stored, by number (`virQEMUSaveFormat`).
const FORMATS: [&str; 7] = ["raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse"];

/// What the header says.
pub(crate) struct Header {
    pub order: ByteOrder,
    /// Where the stream begins (bytes).
    pub stream: u64,
    /// How it is stored.
    pub format: &'static str,
    /// Whether writing it was completed.
    pub whole: bool,
    pub was_running: bool,
    /// The machine type by the XML.
    pub machine: Option<String>,
}

impl Header {
    /// Of `input`.
    ///
    /// # Errors
    /// If it is none, or says what is not there.
    pub fn read(input: &dyn ReadAt) -> Result<Header> {
        let len = input.len()?;
        if len < HEADER {
            return Err(Error::truncated("the header", HEADER, len));
        }
        let mut head = [0; HEADER as usize];
        input.read_exact_at(0, &mut head)?;
        let whole = head.starts_with(WHOLE);
        if !whole && !head.starts_with(PART) {
            return Err(Error::new(ErrorKind::BadMagic, "not a save file of libvirt"));
        }
        let number = |at: usize, order: ByteOrder| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            if order == ByteOrder::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let orders = [ByteOrder::Little, ByteOrder::Big];
        let order = orders.into_iter().find(|order| (1..=2).contains(&number(16, *order)));
        let unknown = || Error::unsupported(format!("version {} of the header", number(16, ByteOrder::Little)));
        let order = order.ok_or_else(unknown)?;
        let data = u64::from(number(20, order));
        let stream = HEADER + data;
        if stream > len {
            return Err(Error::truncated("the domain's XML", stream, len));
        }
        let format = FORMATS.get(number(FORMAT_AT, order) as usize).copied();
        let format = format.ok_or_else(|| Error::unsupported(format!("format {}", number(FORMAT_AT, order))))?;
        let mut xml = vec![0; usize::try_from(data.min(MOST_XML)).unwrap_or(0)];
        input.read_exact_at(HEADER, &mut xml)?;
        let machine = machine(&String::from_utf8_lossy(&xml));
        Ok(Header { order, stream, format, whole, was_running: number(24, order) != 0, machine })
    }
}

/// The attribute `machine` of the element `type`.
fn machine(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("<type ")?;
    let (tag, _) = rest.split_once('>')?;
    let (_, value) = tag.split_once("machine=")?;
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    value.get(1..)?.split(quote).next().map(str::to_owned)
}

/// A save file whose stream is compressed.
pub struct Packed {
    /// What comes before the stream, saying that it is not compressed.
    pub head: Vec<u8>,
    /// Where the compressed stream begins (bytes).
    pub stream: u64,
    /// How it is compressed: gzip, bzip2, xz, lzop or zstd.
    pub format: &'static str,
}

/// What `input` is, if it is a save file whose stream is compressed.
///
/// # Errors
/// If it begins as a save file and says what is not there.
pub fn packed(input: &dyn ReadAt) -> Result<Option<Packed>> {
    let mut magic = [0; 16];
    let there = input.len()? >= 16 && input.read_exact_at(0, &mut magic).is_ok();
    if !there || (magic != *WHOLE && magic != *PART) {
        return Ok(None);
    }
    let Header { stream, format, .. } = Header::read(input)?;
    if matches!(format, "raw" | "sparse") {
        return Ok(None);
    }
    let mut head = vec![0; usize::try_from(stream).map_err(|_| Error::corrupt("XML of 4 GiB"))?];
    input.read_exact_at(0, &mut head)?;
    if let Some(bytes) = head.get_mut(FORMAT_AT..FORMAT_AT + 4) {
        bytes.fill(0);
    }
    Ok(Some(Packed { head, stream, format }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_type_of_a_domain() {
        let xml = "<domain><os>\n <type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>";
        assert_eq!(machine(xml).as_deref(), Some("pc-q35-7.2"));
        for none in ["", "<type>", "<type machine>", "<type machine=x>", "<type arch='x'>hvm</type><a machine='b'>"] {
            assert_eq!(machine(none), None, "{none}");
        }
    }
}
