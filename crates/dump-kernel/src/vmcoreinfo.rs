//! VMCOREINFO: `KEY=VALUE` lines that the kernel leaves for tools like this one (Linux, kernel/vmcore_info.c, formerly
//! kernel/crash_core.c; Documentation/admin-guide/kdump/vmcoreinfo.rst).

use crate::arch::elf_machine_of;
use crate::symbols::KernelSymbols;
use dump_core::{PageSize, VirtAddr};
use std::collections::HashMap;

/// The note's text, parsed once.
///
/// If a key occurs twice, the first line counts, as in makedumpfile. A last line without its newline was cut short (the
/// kernel's buffer is one page) and does not count, for half a number is another number; nor does a line without `=`.
#[derive(Clone, Debug, Default)]
pub struct Vmcoreinfo {
    lines: Vec<(String, String)>,
    index: HashMap<String, usize>,
}

/// What is believed of a text, at most (bytes, lines). The kernel's buffer is one page, 256 KiB where those are largest,
/// and it prints some hundred lines; a note claims what it likes.
const MAX_TEXT: usize = 1 << 20;
const MAX_LINES: usize = 1 << 14;

impl Vmcoreinfo {
    /// Parses the text. Nothing in it is an error; what it does not hold is lacking, and so is what it holds past its
    /// first MiB or 16384 lines.
    pub fn parse(text: &[u8]) -> Vmcoreinfo {
        let text = &text[..text.len().min(MAX_TEXT)];
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        let whole = text[..end].iter().rposition(|b| *b == b'\n').unwrap_or(0);
        let mut info = Vmcoreinfo::default();
        for line in text[..whole].split(|b| *b == b'\n').take(MAX_LINES) {
            let line = String::from_utf8_lossy(line);
            if let Some((key, value)) = line.split_once('=') {
                info.index.entry(key.to_owned()).or_insert(info.lines.len());
                info.lines.push((key.to_owned(), value.to_owned()));
            }
        }
        info
    }

    /// The value of a key, unparsed.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.index.get(key).map(|i| self.lines[*i].1.as_str())
    }

    /// All lines, as key and value, in their order.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The kernel release, as `uname -r` prints it.
    pub fn release(&self) -> Option<&str> {
        self.get("OSRELEASE")
    }

    /// The architecture as an ELF `e_machine`, by keys that one alone has; for containers that do not say (QEMU's kdump
    /// files call every machine "Unknown" since 8.2).
    pub fn elf_machine(&self) -> Option<u16> {
        elf_machine_of(|key| self.get(key).is_some())
    }

    /// The page size of the dumped kernel.
    pub fn page_size(&self) -> Option<PageSize> {
        PageSize::from_bytes(self.get("PAGESIZE")?.trim().parse().ok()?)
    }

    /// When it crashed, in seconds since 1970.
    pub fn crash_time(&self) -> Option<u64> {
        self.get("CRASHTIME")?.trim().parse().ok()
    }

    fn unsigned(&self, kind: &str, name: &str) -> Option<u64> {
        self.number_of(kind, name).and_then(|value| u64::try_from(value).ok())
    }

    fn number_of(&self, kind: &str, name: &str) -> Option<i128> {
        parse_number(self.get(&format!("{kind}({name})"))?)
    }
}

/// Decimal, or hexadecimal with `0x`; some architectures print numbers so.
fn parse_number(text: &str) -> Option<i128> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok().or_else(|| i128::from_str_radix(text, 16).ok()),
    }
}

impl KernelSymbols for Vmcoreinfo {
    fn symbol(&self, name: &str) -> Option<VirtAddr> {
        let value = self.get(&format!("SYMBOL({name})"))?.trim();
        let addr = u64::from_str_radix(value.trim_start_matches("0x"), 16).ok()?;
        (addr != 0).then_some(VirtAddr(addr)) // an array that was never allocated: mem_section of an old FLATMEM kernel
    }

    fn size_of(&self, ty: &str) -> Option<u64> {
        self.unsigned("SIZE", ty)
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.unsigned("OFFSET", member)
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        self.unsigned("LENGTH", array)
    }

    fn number(&self, name: &str) -> Option<i64> {
        let value = self.number_of("NUMBER", name)?;
        i64::try_from(value).ok().or_else(|| u64::try_from(value).ok().map(|v| v as i64))
    }

    fn key(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.get(name)?.trim().trim_start_matches("0x"), 16).ok()
    }

    fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.release()?.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"OSRELEASE=6.1.0-50-amd64\nPAGESIZE=4096\nSYMBOL(a)=ffffffff81000000\nSYMBOL(zero)=0\n\
        SIZE(page)=64\nOFFSET(page.flags)=0\nLENGTH(mem_section)=2048\nNUMBER(phys_base)=-809500672\n\
        NUMBER(VMALLOC_START)=0xffffd3ac80000000\n\
        NUMBER(odd)=zz\nPAGESIZE=8192\nno equals sign\nCRASHTIME=1795215508\nOFFSET(page.lru)=1\0SIZE(late)=1\n";

    #[test]
    fn reads_each_kind_of_line() {
        let info = Vmcoreinfo::parse(TEXT);
        assert_eq!(info.release(), Some("6.1.0-50-amd64"));
        assert_eq!(info.version(), Some((6, 1)));
        assert_eq!(info.page_size(), Some(PageSize::K4), "the first line of a key counts");
        assert_eq!(info.crash_time(), Some(1795215508));
        assert_eq!(info.symbol("a"), Some(VirtAddr(0xffff_ffff_8100_0000)));
        assert_eq!(info.symbol("zero"), None);
        assert_eq!(info.size_of("page"), Some(64));
        assert_eq!(info.offset_of("page.flags"), Some(0));
        assert_eq!(info.length_of("mem_section"), Some(2048));
        assert_eq!(info.number("phys_base"), Some(-809500672));
        assert_eq!(info.number("VMALLOC_START"), Some(0xffff_d3ac_8000_0000_u64 as i64));
        assert_eq!(info.number("odd"), None);
        assert_eq!(info.size_of("late"), None, "text ends at a NUL");
        assert_eq!(info.offset_of("page.lru"), None, "a line that is cut short may have been longer");
    }

    #[test]
    fn machines_by_their_keys() {
        let cases = [
            ("NUMBER(kimage_voffset)=1", Some(183)),
            ("SYMBOL(init_top_pgt)=1", Some(62)),
            ("SYMBOL(mmu_vmemmap_psize)=1", Some(21)),
            ("SAMODE31=9f5000", Some(22)),
            ("SIZE(page)=64", None),
        ];
        for (key, machine) in cases {
            assert_eq!(Vmcoreinfo::parse(format!("{key}\n").as_bytes()).elf_machine(), machine, "{key}");
        }
    }

    #[test]
    fn no_more_is_believed_than_a_kernel_writes() {
        let (long, many) = ("x".repeat(MAX_TEXT), "=\n".repeat(MAX_LINES));
        for before in [format!("a={long}\n"), many] {
            let info = Vmcoreinfo::parse(format!("OSRELEASE=6.1\n{before}SIZE(late)=1\n").as_bytes());
            assert_eq!((info.release(), info.size_of("late")), (Some("6.1"), None));
        }
    }

    #[test]
    fn nonsense_holds_nothing() {
        for text in [&b""[..], b"\xff\xfe=\xff\n", b"=====\n\n\n", b"OSRELEASE=x.y\nPAGESIZE=0\n"] {
            let info = Vmcoreinfo::parse(text);
            assert_eq!((info.version(), info.page_size(), info.number("x")), (None, None, None));
        }
    }
}
