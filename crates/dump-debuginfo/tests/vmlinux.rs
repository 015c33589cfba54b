//! Files made here, byte by byte and by gimli's writer: of each word size and byte order, packed and not, with separate
//! debug files, and damaged.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use dump_core::{ByteOrder, ErrorKind, WordSize};
use dump_debuginfo::Vmlinux;
use gimli::write::{AttributeValue, DwarfUnit, EndianVec, Sections, UnitEntryId};
use gimli::{Encoding, Format, RunTimeEndian};
use std::io::Write;
use std::path::Path;

const KINDS: [(ByteOrder, WordSize); 4] = [
    (ByteOrder::Little, WordSize::Bits64),
    (ByteOrder::Big, WordSize::Bits64),
    (ByteOrder::Little, WordSize::Bits32),
    (ByteOrder::Big, WordSize::Bits32),
];

const NOTE: u32 = 7;
const ALLOCATED: u64 = 2;
const COMPRESSED: u64 = 1 << 11;

/// A section: name, kind, flags, address, content.
struct Section(&'static str, u32, u64, u64, Vec<u8>);

/// An ELF file of sections.
#[derive(Clone, Copy)]
struct Elf {
    order: ByteOrder,
    word: WordSize,
}

impl Elf {
    fn put(&self, value: u64, bytes: usize) -> Vec<u8> {
        match self.order {
            ByteOrder::Little => value.to_le_bytes()[..bytes].to_vec(),
            ByteOrder::Big => value.to_be_bytes()[8 - bytes..].to_vec(),
        }
    }

    fn all(&self, fields: &[(u64, usize)]) -> Vec<u8> {
        fields.iter().flat_map(|(value, bytes)| self.put(*value, *bytes)).collect()
    }

    fn wide(&self) -> usize {
        if self.word == WordSize::Bits64 { 8 } else { 4 }
    }

    fn file(&self, mut sections: Vec<Section>) -> Vec<u8> {
        let w = self.wide();
        let (head, entry) = if w == 8 { (64, 64) } else { (52, 40) };
        sections.insert(0, Section("", 0, 0, 0, Vec::new()));
        sections.push(Section(".shstrtab", 3, 0, 0, Vec::new()));
        let mut names = Vec::new();
        let places: Vec<u64> = sections
            .iter()
            .map(|section| {
                names.extend([section.0.as_bytes(), &[0]].concat());
                (names.len() - section.0.len() - 1) as u64
            })
            .collect();
        sections.last_mut().unwrap().4 = names;
        let mut body = vec![0; head];
        let mut headers = Vec::new();
        for (section, name) in sections.iter().zip(places) {
            let Section(_, kind, flags, addr, bytes) = section;
            let fields = [
                (name, 4),
                (u64::from(*kind), 4),
                (*flags, w),
                (*addr, w),
                (body.len() as u64, w),
                (bytes.len() as u64, w),
                (0, 8),
                (0, w),
                (0, w),
            ];
            headers.extend(self.all(&fields));
            body.extend(bytes);
        }
        let (at, count) = (body.len() as u64, sections.len() as u64);
        body.extend(headers);
        let class = if w == 8 { 2 } else { 1 };
        let order = if self.order == ByteOrder::Little { 1 } else { 2 };
        let mut start = vec![0x7f, b'E', b'L', b'F', class, order, 1];
        start.resize(16, 0);
        let fields = [(2, 2), (62, 2), (1, 4), (0, w), (0, w), (at, w), (0, 4), (head as u64, 2), (0, 4)];
        start.extend(self.all(&fields));
        start.extend(self.all(&[(entry, 2), (count, 2), (count - 1, 2)]));
        body[..head].copy_from_slice(&start);
        body
    }

    fn symbols(&self, symbols: &[(&str, u64, bool)]) -> [Section; 2] {
        let (mut table, mut strings) = (Vec::new(), vec![0]);
        for (name, value, global) in symbols {
            let (at, info) = (strings.len() as u64, u64::from(*global) << 4);
            strings.extend([name.as_bytes(), &[0]].concat());
            let fields: &[_] = match self.word {
                WordSize::Bits64 => &[(at, 4), (info, 1), (0, 1), (1, 2), (*value, 8), (0, 8)],
                WordSize::Bits32 => &[(at, 4), (*value, 4), (0, 4), (info, 1), (0, 1), (1, 2)],
            };
            table.extend(self.all(fields));
        }
        [Section(".symtab", 2, 0, 0, table), Section(".strtab", 3, 0, 0, strings)]
    }

    fn build_id(&self, id: &[u8]) -> Section {
        let other = [self.all(&[(5, 4), (2, 4), (1, 4)]), b"Linux\0\0\0ab\0\0".to_vec()].concat();
        let own = [self.all(&[(4, 4), (id.len() as u64, 4), (3, 4)]), b"GNU\0".to_vec(), id.to_vec()].concat();
        Section(".notes", NOTE, ALLOCATED, 0x9000, [other, own].concat())
    }

    /// The same section packed: 1 is zlib, 2 zstd.
    fn packed(&self, section: Section, kind: u64) -> Section {
        let Section(name, ty, flags, addr, bytes) = section;
        let packed = match kind {
            1 => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => zstd::encode_all(&bytes[..], 1).unwrap(),
        };
        let len = bytes.len() as u64;
        let header = match self.word {
            WordSize::Bits64 => self.all(&[(kind, 4), (0, 4), (len, 8), (1, 8)]),
            WordSize::Bits32 => self.all(&[(kind, 4), (len, 4), (1, 4)]),
        };
        Section(name, ty, flags | COMPRESSED, addr, [header, packed].concat())
    }

    fn dwarf(&self, version: u16) -> Vec<Section> {
        let endian = if self.order == ByteOrder::Little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let encoding = Encoding { format: Format::Dwarf32, version, address_size: self.wide() as u8 };
        let mut types = Types(DwarfUnit::new(encoding));
        types.fill();
        let mut sections = Sections::new(EndianVec::new(endian));
        types.0.write(&mut sections).unwrap();
        let mut found = Vec::new();
        sections
            .for_each(|id, data| {
                if !data.slice().is_empty() {
                    found.push(Section(id.name(), 1, 0, 0, data.slice().to_vec()));
                }
                Ok::<_, ()>(())
            })
            .unwrap();
        found
    }
}

/// Types of a kernel, as far as they are asked for.
struct Types(DwarfUnit);

impl Types {
    fn add(
        &mut self,
        parent: UnitEntryId,
        tag: gimli::DwTag,
        name: &str,
        more: &[(gimli::DwAt, AttributeValue)],
    ) -> UnitEntryId {
        let id = self.0.unit.add(parent, tag);
        let entry = self.0.unit.get_mut(id);
        if !name.is_empty() {
            entry.set(gimli::DW_AT_name, AttributeValue::String(name.into()));
        }
        more.iter().for_each(|(name, value)| entry.set(*name, value.clone()));
        id
    }

    fn member(&mut self, of: UnitEntryId, name: &str, ty: UnitEntryId, at: Option<u64>) {
        let mut more = vec![(gimli::DW_AT_type, AttributeValue::UnitRef(ty))];
        more.extend(at.map(|at| (gimli::DW_AT_data_member_location, AttributeValue::Udata(at))));
        self.add(of, gimli::DW_TAG_member, name, &more);
    }

    fn fill(&mut self) {
        use gimli::{DW_AT_byte_size as SIZE, DW_AT_type as TYPE};
        let root = self.0.unit.root();
        let size = |n| (SIZE, AttributeValue::Udata(n));
        let of = |ty| (TYPE, AttributeValue::UnitRef(ty));
        let long = self.add(root, gimli::DW_TAG_base_type, "unsigned long", &[size(8)]);
        let declared = (gimli::DW_AT_declaration, AttributeValue::Flag(true));
        self.add(root, gimli::DW_TAG_structure_type, "page", &[declared]);
        let list = self.add(root, gimli::DW_TAG_structure_type, "list_head", &[size(16)]);
        self.member(list, "next", long, Some(0));
        self.member(list, "prev", long, Some(8));
        let unnamed = self.add(root, gimli::DW_TAG_union_type, "", &[size(16)]);
        self.member(unnamed, "lru", list, None);
        self.member(unnamed, "compound_head", long, None);
        let page = self.add(root, gimli::DW_TAG_structure_type, "page", &[size(64)]);
        self.member(page, "flags", long, Some(0));
        self.member(page, "", unnamed, Some(8));
        self.member(page, "private", long, Some(40));
        let array = |types: &mut Types, ty, (name, n): (gimli::DwAt, u64)| {
            let array = types.add(root, gimli::DW_TAG_array_type, "", &[of(ty)]);
            types.add(array, gimli::DW_TAG_subrange_type, "", &[(name, AttributeValue::Udata(n))]);
            array
        };
        let areas = array(self, list, (gimli::DW_AT_upper_bound, 10));
        let zone = self.add(root, gimli::DW_TAG_structure_type, "zone", &[size(1408)]);
        let constant = self.add(root, gimli::DW_TAG_const_type, "", &[of(areas)]);
        self.member(zone, "free_area", constant, Some(192));
        let nodes = array(self, long, (gimli::DW_AT_count, 64));
        self.add(root, gimli::DW_TAG_variable, "node_data", &[of(nodes)]);
        self.add(root, gimli::DW_TAG_typedef, "nodemask_t", &[of(page)]);
        let flags = self.add(root, gimli::DW_TAG_enumeration_type, "pageflags", &[size(4)]);
        for (name, value) in [
            ("PG_lru", AttributeValue::Data1(5)),
            ("PG_high", AttributeValue::Data1(0xf0)),
            ("PG_minus", AttributeValue::Sdata(-2)),
        ] {
            self.add(flags, gimli::DW_TAG_enumerator, name, &[(gimli::DW_AT_const_value, value)]);
        }
        let own = self.add(root, gimli::DW_TAG_structure_type, "in itself", &[size(8)]);
        self.member(own, "", own, Some(0));
        self.member(own, "", own, Some(0));
        let cycle = self.add(root, gimli::DW_TAG_typedef, "loop", &[]);
        self.0.unit.get_mut(cycle).set(TYPE, AttributeValue::UnitRef(cycle));
    }
}

fn open(dir: &Path, name: &str, bytes: &[u8]) -> dump_core::Result<Vmlinux> {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    Vmlinux::open(path)
}

/// What [`Types::fill`] has.
fn check_types(file: &Vmlinux, what: &str) {
    assert!(file.has_debug_info().unwrap(), "{what}");
    let sizes = ["page", "list_head", "nodemask_t", "pageflags", "loop", "none"].map(|name| file.size_of(name));
    assert_eq!(sizes, [Some(64), Some(16), Some(64), Some(4), None, None], "{what}");
    let members = ["page.flags", "page.lru", "page.compound_head", "page.private", "zone.free_area", "nodemask_t.lru"];
    assert_eq!(members.map(|name| file.offset_of(name)), [0, 8, 8, 40, 192, 8].map(Some), "{what}");
    for none in ["page.none", "none.flags", "page", "page.", ".x", "in itself.none", "loop.x"] {
        assert_eq!(file.offset_of(none), None, "{what}: {none}");
    }
    assert_eq!((file.length_of("zone.free_area"), file.length_of("node_data")), (Some(11), Some(64)), "{what}");
    assert_eq!((file.length_of("page.flags"), file.length_of("none")), (None, None));
    let number = |name| file.enumerator("pageflags", name);
    assert_eq!((number("PG_lru"), number("PG_high"), number("PG_minus")), (Some(5), Some(0xf0), Some(-2)), "{what}");
    assert_eq!((file.has_enum("pageflags"), file.has_enum("pagetype")), (true, false));
}

#[test]
fn each_kind_of_file() {
    let dir = tempfile::tempdir().unwrap();
    for (order, word) in KINDS {
        let elf = Elf { order, word };
        let symbols = [("_stext", 0x8100_0000, true), ("once", 1, false), ("twice", 2, false), ("twice", 3, false)];
        for (version, packing) in [(4, 0), (5, 0), (5, 1), (5, 2)] {
            let mut sections = vec![Section(".rodata", 1, ALLOCATED, 0x1000, b"Linux version 6.1".to_vec())];
            sections.push(elf.build_id(&[7; 20]));
            sections.extend(elf.symbols(&symbols));
            let dwarf = elf.dwarf(version).into_iter();
            sections.extend(dwarf.map(|section| if packing == 0 { section } else { elf.packed(section, packing) }));
            let file = open(dir.path(), "vmlinux", &elf.file(sections)).unwrap();
            let what = format!("{order:?} {word:?} DWARF {version} packed {packing}");
            assert_eq!((file.words(), file.elf_machine()), ((order, word), 62), "{what}");
            assert_eq!(file.build_id(), Some(vec![7; 20]), "{what}");
            let found = ["_stext", "once", "twice", "none"].map(|name| file.symbol(name));
            assert_eq!(found, [Some(0x8100_0000), Some(1), None, None], "{what}");
            assert_eq!(file.bytes_at(0x1006, 7), Some(b"version".to_vec()));
            assert_eq!((file.bytes_at(0x1006, 70), file.bytes_at(0xfff, 1)), (None, None));
            check_types(&file, &what);
        }
    }
}

#[test]
fn debug_information_in_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let elf = Elf { order: ByteOrder::Little, word: WordSize::Bits64 };
    let link = Section(".gnu_debuglink", 1, 0, 0, b"vmlinux.debug\0\0\0\x01\x02\x03\x04".to_vec());
    let stripped = |id: u8| elf.file(vec![elf.build_id(&[id; 20]), Section(link.0, 1, 0, 0, link.4.clone())]);
    let debug = |id: u8| {
        let own = elf.symbols(&[("_stext", 9, true)]);
        elf.file([elf.build_id(&[id; 20])].into_iter().chain(elf.dwarf(5)).chain(own).collect())
    };
    std::fs::create_dir(dir.path().join(".debug")).unwrap();
    for place in ["vmlinux.debug", ".debug/vmlinux.debug"] {
        let other = dir.path().join(place);
        std::fs::write(&other, debug(1)).unwrap();
        let file = open(dir.path(), "vmlinux", &stripped(1)).unwrap();
        check_types(&file, place);
        assert_eq!(file.symbol("_stext"), Some(9), "{place}");
        // of another build, and without a build ID of another checksum
        assert!(!open(dir.path(), "vmlinux", &stripped(2)).unwrap().has_debug_info().unwrap());
        let unnamed = elf.file(vec![Section(link.0, 1, 0, 0, link.4.clone())]);
        assert!(!open(dir.path(), "vmlinux", &unnamed).unwrap().has_debug_info().unwrap());
        let mut sum = flate2::Crc::new();
        sum.update(&debug(1));
        let right = [b"vmlinux.debug\0\0\0", &sum.sum().to_le_bytes()[..]].concat();
        let unnamed = elf.file(vec![Section(link.0, 1, 0, 0, right)]);
        check_types(&open(dir.path(), "vmlinux", &unnamed).unwrap(), "by its checksum");
        std::fs::remove_file(other).unwrap();
    }
    let outside = Section(link.0, 1, 0, 0, b"../../etc/x\0\x01\x02\x03\x04".to_vec());
    assert!(!open(dir.path(), "vmlinux", &elf.file(vec![outside])).unwrap().has_debug_info().unwrap());
}

#[test]
fn types_that_are_somewhere_else_are_not_half_read() {
    let dir = tempfile::tempdir().unwrap();
    let elf = Elf { order: ByteOrder::Little, word: WordSize::Bits64 };
    let refused = |sections: Vec<Section>| {
        let e = open(dir.path(), "vmlinux", &elf.file(sections)).unwrap().has_debug_info().unwrap_err();
        (e.kind(), e.to_string())
    };
    for (name, says) in [(".gnu_debugaltlink", "dwz put into a file that it shares"), (".debug_types", "type units")] {
        let more = Section(name, 1, 0, 0, b"common.debug\0".to_vec());
        let (kind, text) = refused(elf.dwarf(4).into_iter().chain([more]).collect());
        assert!(kind == ErrorKind::Unsupported && text.contains(says) && text.contains("vmlinux: debug"), "{text}");
    }
    let mut sections = elf.dwarf(5);
    let units = sections.iter_mut().find(|section| section.0 == ".debug_info").unwrap();
    assert_eq!(units.4[6], 1, "after the length and the version: DW_UT_compile");
    units.4[6] = 2;
    assert!(refused(sections).1.contains("in type units"));
}

/// All that can be asked, of whatever is left.
fn ask(file: &Vmlinux) {
    let _ = (file.build_id(), file.symbol("_stext"), file.bytes_at(0x1000, 4), file.btf(), file.has_debug_info());
    let _ = (file.size_of("page"), file.offset_of("page.private"), file.length_of("zone.free_area"));
    let _ =
        (file.enumerator("pageflags", "PG_minus"), file.offset_of("in itself.none"), file.declared_in("nodemask_t"));
}

#[test]
fn damage_is_an_error_or_an_answer_less() {
    let dir = tempfile::tempdir().unwrap();
    let elf = Elf { order: ByteOrder::Little, word: WordSize::Bits64 };
    let mut sections = vec![elf.build_id(&[7; 20])];
    sections.extend(elf.symbols(&[("_stext", 1, true)]));
    sections.extend(elf.dwarf(4).into_iter().map(|section| match section.0 {
        ".debug_abbrev" => elf.packed(section, 2),
        _ => section,
    }));
    let whole = elf.file(sections);
    for len in (0..whole.len()).step_by(7) {
        assert!(open(dir.path(), "vmlinux", &whole[..len]).is_err(), "{len}: section headers are at the end");
    }
    let kind = |bytes: &[u8]| open(dir.path(), "vmlinux", bytes).err().map(|e| e.kind());
    assert_eq!(kind(&[0; 64]), Some(ErrorKind::BadMagic));
    assert_eq!(kind(b""), Some(ErrorKind::BadMagic));
    for at in (0..whole.len()).step_by(2) {
        for byte in [0, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            if let Ok(file) = open(dir.path(), "vmlinux", &bytes) {
                ask(&file);
            }
        }
    }
}
