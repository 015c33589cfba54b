//! BTF: the kernel's types, as it keeps them in its read-only data for BPF (Linux,
//! Documentation/bpf/btf.rst, include/uapi/linux/btf.h).
//!
//! ```text
//! header   magic 0xeb9f, version 1, flags, its length; where types and strings are, from its end
//! types    numbered from 1: name, kind and number of parts, size or another type; then the parts
//! strings  each with a NUL, the first of them empty
//! ```

use crate::types::KernelTypes;
use crate::words::{Words, integer};
use dump_core::{ByteOrder, Error, ErrorKind, Result};
use std::cell::Cell;

/// Bytes of a header, as far as all kernels have it.
pub(crate) const HEADER: usize = 24;

/// No kernel's BTF is larger; those of distributions are 5 to 8 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// How deep types refer to others, and how many members are looked at to find one.
const MAX_DEPTH: u32 = 32;
const MAX_VISITS: u32 = 1 << 14;

const MAGIC: u64 = 0xeb9f;

/// A kernel's types.
#[derive(Clone, Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    words: Words,
    /// Where the strings are in `bytes`.
    strings: (usize, usize),
    /// Where each type is in `bytes`, the first that of type 1.
    types: Vec<u32>,
}

/// Kinds of types that something is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Something with a size of its own: an integer, a floating point number.
    Plain,
    Pointer,
    Array,
    Compound,
    Enum,
    Enum64,
    Typedef,
    /// const, volatile, restrict, a tag: as what it refers to.
    Qualified,
    Other,
}

/// A kind's number, what it is, and the bytes that follow its three words: for all, and for each part.
const KINDS: [(Kind, usize, usize); 20] = [
    (Kind::Other, 0, 0),
    (Kind::Plain, 4, 0),
    (Kind::Pointer, 0, 0),
    (Kind::Array, 12, 0),
    (Kind::Compound, 0, 12),
    (Kind::Compound, 0, 12),
    (Kind::Enum, 0, 8),
    (Kind::Other, 0, 0), // a declaration
    (Kind::Typedef, 0, 0),
    (Kind::Qualified, 0, 0),
    (Kind::Qualified, 0, 0),
    (Kind::Qualified, 0, 0),
    (Kind::Other, 0, 0),  // a function
    (Kind::Other, 0, 8),  // its parameters
    (Kind::Other, 4, 0),  // a variable
    (Kind::Other, 0, 12), // a section
    (Kind::Plain, 0, 0),
    (Kind::Other, 4, 0), // a tag of a declaration
    (Kind::Qualified, 0, 0),
    (Kind::Enum64, 0, 12),
];

/// A type, as its three words have it.
#[derive(Clone, Copy)]
struct Type {
    /// Where what follows begins.
    body: usize,
    name: u64,
    kind: Kind,
    /// Whether offsets of members have sizes of bit fields with them; whether enumerators are signed.
    flagged: bool,
    parts: usize,
    /// Its size, or the type that it refers to.
    value: u64,
}

/// The length of a BTF that begins with `head`, of which [`HEADER`] bytes are enough; `None` where none begins.
pub(crate) fn length(head: &[u8], order: ByteOrder) -> Option<u64> {
    let header = Header::parse(head, order)?;
    Some(header.end()).filter(|end| *end <= MAX_BYTES)
}

/// Where the strings of a BTF that begins with `head` are, from its start: offset and length (bytes).
pub(crate) fn strings(head: &[u8], order: ByteOrder) -> Option<(u64, u64)> {
    let header = Header::parse(head, order).filter(|header| header.end() <= MAX_BYTES)?;
    Some((header.len + header.strings.0, header.strings.1))
}

struct Header {
    len: u64,
    types: (u64, u64),
    strings: (u64, u64),
}

impl Header {
    fn parse(head: &[u8], order: ByteOrder) -> Option<Header> {
        let field = |at: usize, bytes: usize| head.get(at..at + bytes).map(|bytes| integer(order, bytes));
        let known = field(0, 2)? == MAGIC && field(2, 1)? == 1;
        let len = field(4, 4)?;
        let (types, strings) = ((field(8, 4)?, field(12, 4)?), (field(16, 4)?, field(20, 4)?));
        let sound = known && (HEADER as u64..=4096).contains(&len) && types.0 + types.1 <= strings.0 && strings.1 > 0;
        sound.then_some(Header { len, types, strings })
    }

    fn end(&self) -> u64 {
        self.len + self.strings.0 + self.strings.1
    }
}

impl Btf {
    /// From bytes of a kernel whose words are `words`: the section `.BTF`, which the kernel has in its memory too. What
    /// comes after its end does not matter.
    ///
    /// # Errors
    /// `BadMagic` if it is none; `Truncated`, `Corrupt` and `Unsupported` for one that cannot be read.
    pub fn parse(bytes: Vec<u8>, words: Words) -> Result<Btf> {
        let none = || Error::new(ErrorKind::BadMagic, "no header of BTF");
        let header = Header::parse(&bytes, words.order).ok_or_else(none)?;
        if header.end() > bytes.len() as u64 {
            return Err(Error::truncated("BTF", header.end(), bytes.len() as u64));
        }
        // all are below the end
        let place = |(from, len): (u64, u64)| ((header.len + from) as usize, (header.len + from + len) as usize);
        let (types, strings) = (place(header.types), place(header.strings));
        let mut btf = Btf { bytes, words, strings, types: Vec::new() };
        let ends = |at: usize| btf.bytes.get(at) == Some(&0);
        if !ends(strings.0) || !ends(strings.1 - 1) {
            return Err(Error::corrupt("BTF: its strings do not begin and end with a NUL"));
        }
        let mut at = types.0;
        let mut places = Vec::new();
        while at < types.1 {
            places.push(at as u32); // below MAX_BYTES, or a file's section, which is checked there
            at = btf.end_of(at).filter(|end| *end <= types.1).ok_or_else(|| {
                Error::corrupt(format!("BTF: type {} at offset {at:#x} is of no known kind or too long", places.len()))
            })?;
        }
        btf.types = places;
        Ok(btf)
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    fn field(&self, at: usize, bytes: usize) -> Option<u64> {
        self.bytes.get(at..at.checked_add(bytes)?).map(|bytes| integer(self.words.order, bytes))
    }

    fn word(&self, at: usize) -> Option<u64> {
        self.field(at, 4)
    }

    fn type_at(&self, at: usize) -> Option<(Type, usize)> {
        let info = self.word(at + 4)?;
        let (kind, fixed, part) = *KINDS.get((info >> 24 & 0x1f) as usize)?;
        let parts = (info & 0xffff) as usize;
        let (name, value) = (self.word(at)?, self.word(at + 8)?);
        let ty = Type { body: at + 12, name, kind, flagged: info >> 31 == 1, parts, value };
        Some((ty, at + 12 + fixed + parts * part))
    }

    fn end_of(&self, at: usize) -> Option<usize> {
        // kind 0 is void, which has no place
        self.type_at(at).filter(|_| self.word(at + 4).is_some_and(|info| info >> 24 & 0x1f != 0)).map(|(_, end)| end)
    }

    fn ty(&self, id: u64) -> Option<Type> {
        let at = *self.types.get(usize::try_from(id).ok()?.checked_sub(1)?)?;
        self.type_at(at as usize).map(|(ty, _)| ty)
    }

    fn is_named(&self, name: u64, text: &str) -> bool {
        let from = usize::try_from(name).ok().and_then(|name| self.strings.0.checked_add(name));
        let end = from.and_then(|from| from.checked_add(text.len())).filter(|end| *end < self.strings.1);
        let (Some(from), Some(end)) = (from, end) else { return false };
        self.bytes.get(from..end) == Some(text.as_bytes()) && self.bytes.get(end) == Some(&0)
    }

    /// All types of that name and one of `kinds`.
    fn named(&self, name: &str, kinds: &'static [Kind]) -> impl Iterator<Item = Type> {
        let all = self.types.iter().filter_map(|at| self.type_at(*at as usize).map(|(ty, _)| ty));
        all.filter(move |ty| kinds.contains(&ty.kind) && self.is_named(ty.name, name))
    }

    /// What `of` says of the types of that name, if it says the same of all of which it says anything.
    fn one<T: PartialEq>(&self, name: &str, kinds: &'static [Kind], of: impl Fn(&Btf, Type) -> Option<T>) -> Option<T> {
        let mut said = self.named(name, kinds).filter_map(|ty| of(self, ty));
        let first = said.next()?;
        said.all(|other| other == first).then_some(first)
    }

    /// What a type refers to, typedefs and qualifiers taken off.
    fn resolved(&self, mut id: u64) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            let ty = self.ty(id)?;
            match ty.kind {
                Kind::Typedef | Kind::Qualified => id = ty.value,
                _ => return Some(ty),
            }
        }
        None
    }

    fn size(&self, ty: Type, depth: u32) -> Option<u64> {
        match ty.kind {
            Kind::Plain | Kind::Compound | Kind::Enum | Kind::Enum64 => Some(ty.value),
            Kind::Pointer => Some(self.words.bytes() as u64),
            Kind::Typedef | Kind::Qualified => self.size(self.resolved(ty.value)?, depth.checked_sub(1)?),
            Kind::Array => {
                let element = self.resolved(self.word(ty.body)?)?;
                self.size(element, depth.checked_sub(1)?)?.checked_mul(self.word(ty.body + 8)?)
            }
            Kind::Other => None,
        }
    }

    /// A member of a structure or union, or of an unnamed one in it: its offset (bits) and its type.
    fn member(&self, of: Type, name: &str, depth: u32, visits: &Cell<u32>) -> Option<(u64, u64)> {
        let (depth, mut unnamed) = (depth.checked_sub(1)?, Vec::new());
        for i in 0..of.parts {
            visits.set(visits.get().checked_sub(1)?);
            let at = of.body + 12 * i;
            let (own, ty, offset) = (self.word(at)?, self.word(at + 4)?, self.word(at + 8)?);
            // a bit field's size is in the upper byte
            let offset = if of.flagged { offset & 0xff_ffff } else { offset };
            match own {
                0 => unnamed.push((ty, offset)),
                own if self.is_named(own, name) => return Some((offset, ty)),
                _ => {}
            }
        }
        unnamed.into_iter().find_map(|(ty, offset)| {
            let inner = self.resolved(ty).filter(|ty| ty.kind == Kind::Compound)?;
            let (into, ty) = self.member(inner, name, depth, visits)?;
            Some((offset + into, ty))
        })
    }

    /// The member `type.member`: its offset (bits) and its type.
    fn path(&self, path: &str) -> Option<(u64, u64)> {
        let (ty, member) = path.split_once('.')?;
        let visits = Cell::new(MAX_VISITS);
        // a type's name may be a structure's or a typedef's of one
        self.one(ty, &[Kind::Compound, Kind::Typedef], |btf, ty| {
            let ty = if ty.kind == Kind::Typedef { btf.resolved(ty.value)? } else { ty };
            (ty.kind == Kind::Compound).then(|| btf.member(ty, member, MAX_DEPTH, &visits))?
        })
    }
}

impl KernelTypes for Btf {
    fn size_of(&self, ty: &str) -> Option<u64> {
        self.one(ty, &[Kind::Compound, Kind::Typedef, Kind::Enum, Kind::Enum64], |btf, ty| btf.size(ty, MAX_DEPTH))
    }

    fn offset_of(&self, member: &str) -> Option<u64> {
        self.path(member).map(|(bits, _)| bits / 8)
    }

    fn length_of(&self, array: &str) -> Option<u64> {
        let ty = self.resolved(self.path(array)?.1).filter(|ty| ty.kind == Kind::Array)?;
        self.word(ty.body + 8)
    }

    fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64> {
        self.one(enumeration, &[Kind::Enum, Kind::Enum64], |btf, ty| {
            (0..ty.parts).find_map(|i| match ty.kind {
                Kind::Enum => {
                    let at = ty.body + 8 * i;
                    let value = btf.word(at + 4).filter(|_| btf.word(at).is_some_and(|own| btf.is_named(own, name)))?;
                    Some(if ty.flagged { i64::from(value as u32 as i32) } else { value as i64 })
                }
                _ => {
                    let at = ty.body + 12 * i;
                    let low = btf.word(at + 4).filter(|_| btf.word(at).is_some_and(|own| btf.is_named(own, name)))?;
                    Some((btf.word(at + 8)? << 32 | low) as i64)
                }
            })
        })
    }

    fn has_enum(&self, enumeration: &str) -> bool {
        self.named(enumeration, &[Kind::Enum, Kind::Enum64]).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::WordSize;

    fn words(order: ByteOrder) -> Words {
        Words { order, size: WordSize::Bits64 }
    }

    /// BTF, type by type.
    struct Made {
        order: ByteOrder,
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Made {
        fn new(order: ByteOrder) -> Made {
            Made { order, types: Vec::new(), strings: vec![0] }
        }

        fn word(&self, value: u32) -> [u8; 4] {
            if self.order == ByteOrder::Big { value.to_be_bytes() } else { value.to_le_bytes() }
        }

        fn name(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend([name.as_bytes(), &[0]].concat());
            at
        }

        /// A type: its kind with bit 7 the flag, its size or reference, and words that follow, of which the first of
        /// each `part` is a name.
        fn add(&mut self, name: &str, kind: u32, value: u32, part: usize, body: &[(&str, &[u32])]) -> &mut Made {
            let name = self.name(name);
            let parts = if part == 0 { 0 } else { body.len() as u32 };
            let info = (kind & 0x7f) << 24 | (kind & 0x80) << 24 | parts;
            let mut words = vec![name, info, value];
            for (name, rest) in body {
                if part != 0 {
                    words.push(self.name(name));
                }
                words.extend(*rest);
            }
            let bytes: Vec<u8> = words.iter().flat_map(|word| self.word(*word)).collect();
            self.types.extend(bytes);
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let mut magic = [0x9f, 0xeb];
            if self.order == ByteOrder::Big {
                magic.reverse();
            }
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            let fields = [24, 0, types, types, strings];
            let fields: Vec<u8> = fields.iter().flat_map(|word| self.word(*word)).collect();
            [&magic[..], &[1, 0], &fields, &self.types, &self.strings].concat()
        }
    }

    const STRUCT: u32 = 4;
    const UNION: u32 = 5;
    const ENUM: u32 = 6;

    fn made(order: ByteOrder) -> Vec<u8> {
        let mut made = Made::new(order);
        made.add("unsigned long", 1, 8, 0, &[("", &[64])]) // 1
            .add("", 2, 0, 0, &[]) // 2: a pointer
            .add("list_head", STRUCT, 16, 3, &[("next", &[2, 0]), ("prev", &[2, 64])]) // 3
            .add("", UNION, 16, 3, &[("lru", &[3, 0]), ("compound_head", &[1, 0])]) // 4
            .add("page", STRUCT, 64, 3, &[("flags", &[1, 0]), ("", &[4, 64]), ("private", &[1, 320])]) // 5
            .add("", 3, 0, 0, &[("", &[6 + 1, 1, 11])]) // 6: 11 free areas
            .add("free_area", STRUCT, 88, 3, &[("free_list", &[8, 0])]) // 7
            .add("", 3, 0, 0, &[("", &[3, 1, 5])]) // 8
            .add("zone", 0x80 | STRUCT, 1408, 3, &[("bits", &[1, 3 << 24 | 17]), ("free_area", &[10, 192 * 8])]) // 9
            .add("", 10, 6, 0, &[]) // 10: const
            .add("pageflags", ENUM, 4, 2, &[("PG_locked", &[0]), ("PG_lru", &[4])]) // 11
            .add("signed", 0x80 | ENUM, 4, 2, &[("MINUS", &[-5i32 as u32])]) // 12
            .add("wide", 19, 8, 3, &[("WIDE", &[1, 2])]) // 13
            .add("nodemask_t", 8, 5, 0, &[]) // 14: a typedef
            .add("loop", 8, 15, 0, &[]) // 15: a typedef of itself
            .add("twice", STRUCT, 8, 3, &[("same", &[1, 0]), ("differs", &[1, 8])]) // 16
            .add("twice", STRUCT, 8, 3, &[("same", &[1, 0]), ("differs", &[1, 16])]) // 17
            .add("in itself", STRUCT, 8, 3, &[("", &[18, 0]), ("", &[18, 0])]) // 18
            .add("page", 7, 0, 0, &[]) // a declaration
            .bytes()
    }

    #[test]
    fn answers_in_either_order() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let btf = Btf::parse(made(order), words(order)).unwrap();
            assert_eq!(btf.len(), 19);
            assert_eq!(length(&made(order)[..HEADER], order), Some(made(order).len() as u64));
            let sizes = ["page", "list_head", "nodemask_t", "pageflags", "loop", "none"].map(|name| btf.size_of(name));
            assert_eq!(sizes, [Some(64), Some(16), Some(64), Some(4), None, None]);
            let members =
                ["page.flags", "page.lru", "page.compound_head", "page.private", "list_head.prev", "zone.bits"];
            assert_eq!(members.map(|name| btf.offset_of(name)), [0, 8, 8, 40, 8, 2].map(Some));
            assert_eq!((btf.offset_of("nodemask_t.private"), btf.offset_of("zone.free_area")), (Some(40), Some(192)));
            for none in ["page.none", "none.flags", "page", "page.", ".flags", "in itself.none", "loop.x"] {
                assert_eq!(btf.offset_of(none), None, "{none}");
            }
            assert_eq!((btf.length_of("zone.free_area"), btf.length_of("free_area.free_list")), (Some(11), Some(5)));
            assert_eq!(btf.length_of("page.flags"), None);
            assert_eq!((btf.enumerator("pageflags", "PG_lru"), btf.enumerator("signed", "MINUS")), (Some(4), Some(-5)));
            assert_eq!(btf.enumerator("wide", "WIDE"), Some(2 << 32 | 1));
            assert_eq!((btf.enumerator("pageflags", "PG_none"), btf.enumerator("page", "PG_lru")), (None, None));
            assert_eq!((btf.has_enum("pageflags"), btf.has_enum("pagetype")), (true, false));
            assert_eq!((btf.offset_of("twice.same"), btf.offset_of("twice.differs")), (Some(0), None));
        }
    }

    #[test]
    fn damage_is_an_error() {
        let order = ByteOrder::Little;
        let whole = made(order);
        let kind = |bytes: Vec<u8>| Btf::parse(bytes, words(order)).err().map(|e| e.kind());
        for len in 0..whole.len() {
            let wanted = if len < HEADER { ErrorKind::BadMagic } else { ErrorKind::Truncated };
            assert_eq!(kind(whole[..len].to_vec()), Some(wanted), "{len}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(kind(with(2, 2)), Some(ErrorKind::BadMagic));
        assert_eq!(kind(with(HEADER + 7, 0x1f)), Some(ErrorKind::Corrupt), "no such kind");
        assert_eq!(kind(with(HEADER + 7, 0)), Some(ErrorKind::Corrupt), "void");
        assert_eq!(kind(with(whole.len() - 1, 1)), Some(ErrorKind::Corrupt));
        assert_eq!(kind(made(ByteOrder::Big)), Some(ErrorKind::BadMagic));
        // any byte changed: whatever is asked, no more
        for at in 0..whole.len() {
            for byte in [0, 0xff] {
                if let Ok(btf) = Btf::parse(with(at, byte), words(order)) {
                    let _ = (btf.size_of("page"), btf.offset_of("page.private"), btf.length_of("zone.free_area"));
                    let _ = (btf.enumerator("pageflags", "PG_lru"), btf.offset_of("in itself.none"));
                }
            }
        }
    }
}
