//! Finding VMCOREINFO in the memory of a kernel whose dump has no note of it: QEMU adds one only for guests with the
//! device.
//!
//! The kernel keeps the text in a page of its own (`vmcoreinfo_data`) and as a finished note in another
//! (`vmcoreinfo_note`), both from the start of the page (Linux, kernel/vmcore_info.c). A page that looks like one
//! proves little: it may be a copy for the capture kernel, what an older boot left behind, or a log. Whoever asks tries
//! the candidates on the kernel itself.

use crate::vmcoreinfo::Vmcoreinfo;
use dump_core::ByteOrder;

/// The note's header before its text: name and descriptor size, type, name.
const NOTE_HEADER: usize = 24;

/// The text is one page, which the kernel cuts it to.
const MAX_TEXT: usize = 4096;

/// What the text begins with, in every kernel since 2.6.24.
const FIRST_KEY: &[u8] = b"OSRELEASE=";

/// The byte order of the note VMCOREINFO at the start of `page`, the kernel's own; `None` where there is none.
pub fn note_order(page: &[u8]) -> Option<ByteOrder> {
    note_text(page)?;
    Some(if page.starts_with(&11u32.to_le_bytes()) { ByteOrder::Little } else { ByteOrder::Big })
}

/// The VMCOREINFO text at the start of `page`, as a note or bare; `None` where there is none.
///
/// What is found has a release and a page size; `page` may be longer than a page, since a note may pass
/// its end.
pub fn vmcoreinfo_at(page: &[u8]) -> Option<&[u8]> {
    let text = note_text(page).or_else(|| page.starts_with(FIRST_KEY).then_some(page))?;
    let text = &text[..text.len().min(MAX_TEXT)];
    let end = text.iter().position(|b| !matches!(b, b'\n' | 0x20..=0x7e)).unwrap_or(text.len());
    let text = &text[..end];
    // memory may be full of such texts, so only the line that counts is parsed
    let page_size = text.split_inclusive(|byte| *byte == b'\n').find(|line| line.starts_with(b"PAGESIZE="))?;
    Vmcoreinfo::parse(page_size).page_size().map(|_| text)
}

/// The descriptor of a VMCOREINFO note: sizes in the kernel's byte order, whichever it is.
fn note_text(page: &[u8]) -> Option<&[u8]> {
    let head = page.get(..NOTE_HEADER)?;
    let text = page.get(NOTE_HEADER..)?;
    let named =
        &head[12..23] == b"VMCOREINFO\0" && (head[..4] == 11u32.to_le_bytes() || head[..4] == 11u32.to_be_bytes());
    (named && text.starts_with(FIRST_KEY)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_text_bare_and_as_a_note() {
        let text = b"OSRELEASE=6.1.0\nBUILD-ID=00\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\n";
        let mut bare = text.to_vec();
        bare.resize(4096, 0);
        assert_eq!(vmcoreinfo_at(&bare), Some(&text[..]));
        for size in [11u32.to_le_bytes(), 11u32.to_be_bytes()] {
            let mut note = [&size[..], &[0x40, 0, 0, 0, 0, 0, 0, 0], b"VMCOREINFO\0\0"].concat();
            note.extend(&bare);
            assert_eq!(vmcoreinfo_at(&note), Some(&text[..]));
            let order = if size[0] == 11 { ByteOrder::Little } else { ByteOrder::Big };
            assert_eq!((note_order(&note), note_order(&bare)), (Some(order), None));
        }
    }

    #[test]
    fn other_pages_are_passed_over() {
        for page in [
            &b""[..],
            b"OSRELEASE=6.1.0\n",
            b"OSRELEASE=\0",
            b"xOSRELEASE=6.1\nPAGESIZE=4096\n",
            &[0; 4096],
            &[11, 0, 0, 0],
        ] {
            assert_eq!(vmcoreinfo_at(page), None);
        }
    }
}
