//! What a kernel says of itself in its own memory: kallsyms and BTF.

use crate::btf::{self, Btf};
use crate::kallsyms::Kallsyms;
use crate::kernel::Kernel;
use crate::memory::PhysMemory;
use crate::symbols::KernelSymbols;
use crate::types::{KernelTypes, built_with, lacks_number_by_types, member_of_array, number_by_types};
use crate::vmcoreinfo::Vmcoreinfo;
use dump_core::{Error, Result, VirtAddr};
use std::sync::OnceLock;

/// No kernel before has BTF in its memory (341dfcf8d78e, of 5.4, which distributions took back to 4.18).
const BTF_SINCE: (u32, u32) = (4, 18);

/// Where BTF is looked for: as far from `_stext` as a kernel's read-only data may be, and in how large steps (bytes).
const MAX_IMAGE: u64 = 256 << 20;
const STEP: usize = 1 << 16;

/// Where the linker may put BTF: at a multiple of this.
const ALIGNMENT: usize = 4;

/// Beginnings of BTF that are tried.
const MAX_TRIED: u32 = 16;

/// What was read, once it was asked for; why it could not be.
#[derive(Default)]
pub(crate) struct Own {
    kallsyms: OnceLock<Result<Kallsyms>>,
    btf: OnceLock<Result<OwnBtf>>,
}

/// BTF as it was read, and what of it vmcoreinfo says differently.
struct OwnBtf {
    types: Btf,
    odd: Vec<Contradiction>,
}

/// What vmcoreinfo and the kernel's types say differently of struct page.
struct Contradiction {
    key: String,
    stated: u64,
    read: u64,
}

impl Contradiction {
    fn to_error(&self) -> Error {
        let Contradiction { key, stated, read } = self;
        Error::corrupt(format!("BTF: {key}={read}, and vmcoreinfo has {stated}; it is not used"))
    }
}

impl Own {
    pub(crate) fn failures(&self) -> Vec<Error> {
        let kallsyms = self.kallsyms.get().and_then(|read| read.as_ref().err().cloned());
        let btf = self.btf.get().and_then(|read| match read {
            Ok(own) => own.odd.first().map(Contradiction::to_error),
            Err(e) => Some(e.clone()),
        });
        kallsyms.into_iter().chain(btf).collect()
    }
}

/// The same for a kernel, whose memory `phys` is.
pub(crate) struct OwnSymbols<'a> {
    pub(crate) own: &'a Own,
    pub(crate) kernel: &'a Kernel,
    pub(crate) phys: &'a dyn PhysMemory,
}

impl OwnSymbols<'_> {
    fn kallsyms(&self) -> Option<&Kallsyms> {
        let read = || Kallsyms::read(self.kernel.info(), &mut self.kernel.memory(self.phys));
        self.own.kallsyms.get_or_init(read).as_ref().ok()
    }

    /// The types, whatever vmcoreinfo says.
    fn btf_as_read(&self) -> Option<&OwnBtf> {
        self.own.btf.get_or_init(|| self.read_btf()).as_ref().ok()
    }

    /// The types, if they agree with vmcoreinfo.
    fn btf(&self) -> Option<&Btf> {
        self.btf_as_read().filter(|own| own.odd.is_empty()).map(|own| &own.types)
    }

    fn read_btf(&self) -> Result<OwnBtf> {
        let types = self.place_btf()?;
        let odd = contradictions(self.kernel.info(), &types);
        Ok(OwnBtf { types, odd })
    }

    /// What the kernel says of a number, whatever else vmcoreinfo says differently: for proof, not for use.
    pub(crate) fn number_as_read(&self, name: &str) -> Option<i64> {
        number_by_types(&self.btf_as_read()?.types, self.version(), name)
    }

    /// As [`lacks_number`](KernelSymbols::lacks_number), whatever else vmcoreinfo says differently.
    pub(crate) fn lacks_number_as_read(&self, name: &str) -> bool {
        let by_types = || self.btf_as_read().is_some_and(|own| lacks_number_by_types(&own.types, name));
        self.lacks_number(name) || by_types()
    }

    /// Whether the kernel's types and vmcoreinfo differ on one of these, sizes or offsets.
    pub(crate) fn differ_on(&self, keys: &[&str]) -> bool {
        self.btf_as_read().is_some_and(|own| own.odd.iter().any(|odd| keys.contains(&&*odd.key)))
    }

    /// Whether the kernel is as new as BTF is.
    fn has_btf(&self) -> bool {
        self.kernel.info().version().is_none_or(|version| version >= BTF_SINCE)
    }

    /// By the symbols that the linker puts around it; where they are not known, by its first bytes.
    fn place_btf(&self) -> Result<Btf> {
        if !self.has_btf() {
            return Err(Error::missing("a kernel as old has no BTF"));
        }
        let Some(from) = self.symbol("__start_BTF") else {
            return self.find_btf();
        };
        let end = self.symbol("__stop_BTF").filter(|end| *end > from);
        let end = end.ok_or_else(|| Error::missing("BTF: kallsyms has its start and not its end"))?;
        self.btf_at(from, Some(end.0 - from.0))
    }

    /// The BTF that begins at `at`, of at most `most` bytes.
    fn btf_at(&self, at: VirtAddr, most: Option<u64>) -> Result<Btf> {
        let mut memory = self.kernel.memory(self.phys);
        let mut bytes = vec![0; btf::HEADER];
        memory.read(at, &mut bytes).map_err(|e| e.within("BTF"))?;
        let length = btf::length(&bytes, self.kernel.words().order);
        let length = length.filter(|length| most.is_none_or(|most| *length <= most));
        let length = length.ok_or_else(|| Error::corrupt(format!("BTF: none begins at {at}")))? as usize;
        while bytes.len() < length {
            // grows as it is read: the length is the dump's
            let here = at.checked_add(bytes.len() as u64);
            let here = here.ok_or_else(|| Error::corrupt(format!("BTF: the one at {at} exceeds 2^64")))?;
            let from = bytes.len();
            bytes.resize(length.min(from + STEP), 0);
            memory.read(here, &mut bytes[from..]).map_err(|e| e.within("BTF"))?;
        }
        Btf::parse(bytes, self.kernel.words())
    }

    /// The first in the kernel's image that has struct page.
    fn find_btf(&self) -> Result<Btf> {
        self.search_btf(|at, _| self.btf_at(at, None).ok().filter(|found| found.size_of("page").is_some()))
    }

    /// Whether the names in the kernel's BTF have `name`, of which no more than a piece is held; `None` where there is no
    /// BTF. What is no name there is no enumerator.
    fn btf_names(&self, name: &str) -> Option<bool> {
        let found = self.search_btf(|at, head| {
            let (from, len) = btf::strings(head, self.kernel.words().order)?;
            let [page, flags, wanted] = self.find_names(at.checked_add(from)?, len, ["page", "pageflags", name])?;
            (page && flags).then_some(wanted)
        });
        found.ok()
    }

    /// Which of `names` are among the strings, each with a NUL, in `len` bytes from `from` on.
    fn find_names(&self, from: VirtAddr, len: u64, names: [&str; 3]) -> Option<[bool; 3]> {
        let (mut memory, mut found, mut bytes) = (self.kernel.memory(self.phys), [false; 3], Vec::new());
        let mut done = 0;
        while done < len {
            let left_over = bytes.len();
            bytes.resize(left_over + STEP.min((len - done) as usize), 0);
            memory.read(from.checked_add(done)?, &mut bytes[left_over..]).ok()?;
            done += (bytes.len() - left_over) as u64;
            let end = bytes.iter().rposition(|byte| *byte == 0)?;
            for string in bytes[..end].split(|byte| *byte == 0) {
                found.iter_mut().zip(names).for_each(|(found, name)| *found |= string == name.as_bytes());
            }
            bytes.drain(..=end);
        }
        Some(found)
    }

    /// What `of` makes of the first beginning of BTF in the kernel's image of which it makes something, given its place
    /// and its header.
    fn search_btf<T>(&self, of: impl Fn(VirtAddr, &[u8]) -> Option<T>) -> Result<T> {
        let none = || Error::missing("the kernel's image has no BTF, or it is not in the dump");
        let start = self.kernel.info().symbol("_stext").ok_or_else(none)?;
        let order = self.kernel.words().order;
        let (mut memory, mut bytes) = (self.kernel.memory(self.phys), vec![0; STEP]);
        let (mut into, mut tried) = (0, 0);
        while into < MAX_IMAGE {
            let at = start.0.checked_add(into).ok_or_else(none)?;
            into += (STEP - btf::HEADER) as u64;
            // the image has gaps, where text ends and data begins
            if memory.read(VirtAddr(at), &mut bytes).is_err() {
                continue;
            }
            for place in (0..=STEP - btf::HEADER).step_by(ALIGNMENT) {
                let head = &bytes[place..place + btf::HEADER];
                if btf::length(head, order).is_none() {
                    continue;
                }
                tried += 1;
                if let Some(found) = of(VirtAddr(at + place as u64), head) {
                    return Ok(found);
                }
                if tried == MAX_TRIED {
                    return Err(none());
                }
            }
        }
        Err(none())
    }
}

/// Members of which all kernels' vmcoreinfo and BTF say where they are.
const KNOWN_MEMBERS: [&str; 8] = [
    "page.flags",
    "page._refcount",
    "page.mapping",
    "page.lru",
    "page._mapcount",
    "page.private",
    "list_head.next",
    "list_head.prev",
];

/// What types and vmcoreinfo say differently.
fn contradictions(info: &Vmcoreinfo, types: &dyn KernelTypes) -> Vec<Contradiction> {
    let sizes = ["page", "list_head"].map(|ty| (format!("SIZE({ty})"), info.size_of(ty), types.size_of(ty)));
    let offsets =
        KNOWN_MEMBERS.map(|member| (format!("OFFSET({member})"), info.offset_of(member), types.offset_of(member)));
    let both = sizes.into_iter().chain(offsets).filter_map(|(key, stated, read)| Some((key, stated?, read?)));
    let odd = both.filter(|(_, stated, read)| stated != read);
    odd.map(|(key, stated, read)| Contradiction { key, stated, read }).collect()
}

impl KernelSymbols for OwnSymbols<'_> {
    fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.kallsyms()?.symbol(&mut self.kernel.memory(self.phys), name)
    }

    fn size_of(&self, ty: &str) -> Option<u64> {
        self.btf()?.size_of(ty)
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.btf()?.offset_of(member)
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        self.btf()?.length_of(member_of_array(array))
    }

    fn number(&self, name: &str) -> Option<i64> {
        number_by_types(self.btf()?, self.version(), name)
    }

    /// By kallsyms; where that cannot be read, by BTF: if it was read already, by that, or by its names alone.
    fn lacks_number(&self, name: &str) -> bool {
        let kallsyms = self.kallsyms();
        match (kallsyms, self.own.btf.get(), built_with(name)) {
            (Some(kallsyms), _, Some(function)) => kallsyms.lacks(function),
            (None, Some(_), _) => self.btf().is_some_and(|btf| lacks_number_by_types(btf, name)),
            (None, None, Some(_)) => self.has_btf() && self.btf_names(name) == Some(false),
            _ => false,
        }
    }

    fn version(&self) -> Option<(u32, u32)> {
        self.kernel.info().version()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types in which struct page has this size, and its `lru` this offset.
    struct Page(u64, u64);

    impl KernelTypes for Page {
        fn size_of(&self, ty: &str) -> Option<u64> {
            (ty == "page").then_some(self.0)
        }

        fn offset_of(&self, member: &str) -> Option<u64> {
            (member == "page.lru").then_some(self.1)
        }

        fn length_of(&self, _: &str) -> Option<u64> {
            None
        }

        fn enumerator(&self, _: &str, _: &str) -> Option<i64> {
            None
        }

        fn has_enum(&self, _: &str) -> bool {
            false
        }
    }

    #[test]
    fn types_that_contradict_vmcoreinfo() {
        let info = Vmcoreinfo::parse(b"SIZE(page)=64\nOFFSET(page.lru)=8\nOFFSET(page.flags)=0\n");
        let said = |size, lru| -> Vec<String> {
            contradictions(&info, &Page(size, lru)).iter().map(|odd| odd.to_error().to_string()).collect()
        };
        assert!(said(64, 8).is_empty());
        assert!(said(56, 8)[0].contains("SIZE(page)=56, and vmcoreinfo has 64"));
        assert!(said(56, 16)[1].contains("OFFSET(page.lru)=16, and vmcoreinfo has 8"));
    }
}
