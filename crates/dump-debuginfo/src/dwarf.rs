//! Types by DWARF (DWARF Debugging Information Format, versions 2 to 5).
//!
//! Every compilation unit has the types that its source file sees, each the same. Units are looked at in turn, until what
//! is asked for was found: the first units of a kernel have most of it.

use crate::elf::Elf;
use dump_core::{ByteOrder, Error, ReadAt, Result};
use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, RunTimeEndian, SectionId, Unit, UnitType};
use std::collections::HashMap;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
type Entry<'a, 'u> = DebuggingInformationEntry<'u, 'u, Slice<'a>>;

/// How deep types refer to others and unnamed ones are nested, and how many members are looked at to find one.
const MAX_DEPTH: u32 = 32;
const MAX_NESTING: u32 = 8;
const MAX_VISITS: u32 = 1 << 12;

/// Sections that say where types are that `.debug_info` refers to, and what that means.
const ELSEWHERE: [(&str, &str); 2] = [
    (".gnu_debugaltlink", "a part of which dwz put into a file that it shares with others (.gnu_debugaltlink)"),
    (".debug_types", "in type units, which are not read (.debug_types)"),
];

/// The sections of debug information, and what was found in them so far.
pub(crate) struct DebugInfo {
    sections: Vec<(SectionId, Vec<u8>)>,
    endian: RunTimeEndian,
    index: Index,
}

/// Definitions by kind and name.
#[derive(Default)]
struct Index {
    found: HashMap<(Class, Vec<u8>), Place>,
    /// Units that were looked at.
    seen: usize,
    /// Where each unit is in `.debug_info`.
    units: Vec<usize>,
}

/// What a name is asked for as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Compound,
    Typedef,
    Enum,
    Variable,
}

/// An entry: its unit's number, and where it is in that.
#[derive(Clone, Copy, Debug)]
struct Place {
    unit: usize,
    entry: gimli::UnitOffset,
}

impl DebugInfo {
    /// Reads the sections of `elf`; `None` where it has none.
    ///
    /// # Errors
    /// If one cannot be read; `Unsupported` where a part of the types is somewhere else, so that members would seem to
    /// have no name or no type. No distribution's kernel has that: SUSE's went through dwz, one file at a time.
    pub(crate) fn read<R: ReadAt>(elf: &Elf<R>) -> Result<Option<DebugInfo>> {
        if !elf.has(".debug_info") || !elf.has(".debug_abbrev") {
            return Ok(None);
        }
        if let Some((_, what)) = ELSEWHERE.iter().find(|(section, _)| elf.has(section)) {
            return Err(Error::unsupported(format!("debug information {what}")));
        }
        let wanted = [
            SectionId::DebugInfo,
            SectionId::DebugAbbrev,
            SectionId::DebugStr,
            SectionId::DebugLineStr,
            SectionId::DebugStrOffsets,
            // a unit is not read without what its own entry refers to
            SectionId::DebugLine,
            SectionId::DebugAddr,
        ];
        let sections = wanted.into_iter().map(|id| Ok((id, elf.section(id.name())?)));
        let endian = if elf.order == ByteOrder::Little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let sections = sections.collect::<Result<Vec<_>>>()?;
        let mut info = DebugInfo { sections, endian, index: Index::default() };
        info.index.units = info.unit_places()?;
        Ok(Some(info))
    }

    fn dwarf(&self) -> Dwarf<Slice<'_>> {
        let bytes = |id| self.sections.iter().find(|(own, _)| *own == id).map_or(&[][..], |(_, bytes)| bytes);
        let section = |id| Ok::<_, gimli::Error>(EndianSlice::new(bytes(id), self.endian));
        Dwarf::load(section).unwrap_or_default()
    }

    fn unit_places(&self) -> Result<Vec<usize>> {
        let dwarf = self.dwarf();
        let (mut units, mut places) = (dwarf.units(), Vec::new());
        // what comes after a unit that makes no sense cannot be found
        while let Ok(Some(header)) = units.next() {
            if let UnitType::Type { .. } = header.type_() {
                return Err(Error::unsupported("debug information in type units, which are not read"));
            }
            places.extend(header.offset().as_debug_info_offset().map(|at| at.0));
        }
        Ok(places)
    }

    /// The definition of that name.
    fn find(&mut self, class: Class, name: &str) -> Option<Place> {
        let key = (class, name.as_bytes().to_vec());
        loop {
            if let Some(place) = self.index.found.get(&key) {
                return Some(*place);
            }
            let unit = self.index.seen;
            let found = self.definitions(unit, *self.index.units.get(unit)?);
            self.index.seen += 1;
            for (key, place) in found {
                self.index.found.entry(key).or_insert(place);
            }
        }
    }

    /// The named types and variables of a unit.
    fn definitions(&self, number: usize, at: usize) -> Vec<((Class, Vec<u8>), Place)> {
        let (dwarf, mut found) = (self.dwarf(), Vec::new());
        let Some(unit) = unit_at(&dwarf, at) else { return found };
        let mut entries = unit.entries();
        // the unit's own entry, then the first below it
        let mut next = matches!(entries.next_dfs(), Ok(Some(_))) && matches!(entries.next_dfs(), Ok(Some(_)));
        while next {
            let Some(entry) = entries.current() else { break };
            let class = match entry.tag() {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_class_type => {
                    Some(Class::Compound)
                }
                gimli::DW_TAG_typedef => Some(Class::Typedef),
                gimli::DW_TAG_enumeration_type => Some(Class::Enum),
                gimli::DW_TAG_variable => Some(Class::Variable),
                _ => None,
            };
            let defined = class.filter(|_| {
                // a variable's declaration has its type too, and an array's may lack its length
                !matches!(entry.attr_value(gimli::DW_AT_declaration), Ok(Some(_)))
            });
            if let (Some(class), Some(name)) = (defined, name_of(&dwarf, &unit, entry)) {
                let place = Place { unit: number, entry: entry.offset() };
                found.push(((class, name.to_vec()), place));
            }
            next = matches!(entries.next_sibling(), Ok(Some(_)));
        }
        found
    }

    /// What `of` makes of the entry at `place`.
    fn with<T>(&self, place: Place, of: impl FnOnce(&View<'_, '_>, &Entry<'_, '_>) -> Option<T>) -> Option<T> {
        let dwarf = self.dwarf();
        let unit = unit_at(&dwarf, *self.index.units.get(place.unit)?)?;
        let entry = unit.entry(place.entry).ok()?;
        let view = View { dwarf: &dwarf, unit: &unit, info: self, number: place.unit };
        of(&view, &entry)
    }

    /// The type that an entry refers to, typedefs and qualifiers taken off.
    fn resolved(&self, mut place: Place) -> Option<Place> {
        for _ in 0..MAX_DEPTH {
            let onward = self.with(place, |view, entry| {
                Some(match entry.tag() {
                    gimli::DW_TAG_typedef
                    | gimli::DW_TAG_const_type
                    | gimli::DW_TAG_volatile_type
                    | gimli::DW_TAG_restrict_type
                    | gimli::DW_TAG_atomic_type => Some(view.type_of(entry)?),
                    _ => None,
                })
            })?;
            match onward {
                Some(next) => place = next,
                None => return Some(place),
            }
        }
        None
    }

    fn size(&self, place: Place) -> Option<u64> {
        self.with(self.resolved(place)?, |_, entry| unsigned(entry, gimli::DW_AT_byte_size))
    }

    /// A member of a structure or union, or of an unnamed one in it: its offset (bytes) and its type.
    fn member(&self, of: Place, name: &str, depth: u32, visits: &mut u32) -> Option<(u64, Place)> {
        let depth = depth.checked_sub(1)?;
        let mut unnamed = Vec::new();
        let found = self.with(of, |view, _| {
            let mut tree = view.unit.entries_tree(Some(of.entry)).ok()?;
            let mut children = tree.root().ok()?.children();
            while let Ok(Some(child)) = children.next() {
                let entry = child.entry();
                *visits = visits.checked_sub(1)?;
                if entry.tag() != gimli::DW_TAG_member {
                    continue;
                }
                let (own, ty) = (name_of(view.dwarf, view.unit, entry), view.type_of(entry));
                let (Some(ty), Some(offset)) = (ty, member_offset(entry)) else { continue };
                match own {
                    Some(own) if own == name.as_bytes() => return Some((offset, ty)),
                    Some(_) => {}
                    None => unnamed.push((offset, ty)),
                }
            }
            None
        });
        if found.is_some() {
            return found;
        }
        unnamed.into_iter().find_map(|(offset, ty)| {
            let inner = self.resolved(ty)?;
            let (into, ty) = self.member(inner, name, depth, visits)?;
            Some((offset.checked_add(into)?, ty))
        })
    }

    fn compound(&mut self, name: &str) -> Option<Place> {
        self.find(Class::Compound, name).or_else(|| {
            let place = self.find(Class::Typedef, name)?;
            self.resolved(place)
        })
    }

    fn path(&mut self, path: &str) -> Option<(u64, Place)> {
        let (ty, member) = path.split_once('.')?;
        let place = self.compound(ty)?;
        let mut visits = MAX_VISITS;
        self.member(place, member, MAX_NESTING, &mut visits)
    }

    /// The size of a type of that name (bytes).
    pub(crate) fn size_of(&mut self, ty: &str) -> Option<u64> {
        let place =
            [Class::Compound, Class::Enum, Class::Typedef].into_iter().find_map(|class| self.find(class, ty))?;
        self.size(place)
    }

    /// The offset of a member, named `type.member` (bytes).
    pub(crate) fn offset_of(&mut self, member: &str) -> Option<u64> {
        self.path(member).map(|(offset, _)| offset)
    }

    /// The number of elements of an array: of a member, or a variable.
    pub(crate) fn length_of(&mut self, array: &str) -> Option<u64> {
        let ty = match array.contains('.') {
            true => self.path(array)?.1,
            false => {
                let place = self.find(Class::Variable, array)?;
                self.with(place, |view, entry| view.type_of(entry))?
            }
        };
        let ty = self.resolved(ty)?;
        self.with(ty, |view, entry| {
            if entry.tag() != gimli::DW_TAG_array_type {
                return None;
            }
            let mut tree = view.unit.entries_tree(Some(ty.entry)).ok()?;
            let mut children = tree.root().ok()?.children();
            while let Ok(Some(child)) = children.next() {
                let entry = child.entry();
                if entry.tag() == gimli::DW_TAG_subrange_type {
                    let last = unsigned(entry, gimli::DW_AT_upper_bound);
                    return unsigned(entry, gimli::DW_AT_count).or_else(|| last?.checked_add(1));
                }
            }
            None
        })
    }

    /// The value of an enumerator.
    pub(crate) fn enumerator(&mut self, enumeration: &str, name: &str) -> Option<i64> {
        let place = self.find(Class::Enum, enumeration)?;
        self.with(place, |view, _| {
            let mut tree = view.unit.entries_tree(Some(place.entry)).ok()?;
            let mut children = tree.root().ok()?.children();
            while let Ok(Some(child)) = children.next() {
                let entry = child.entry();
                if name_of(view.dwarf, view.unit, entry) == Some(name.as_bytes()) {
                    return signed(entry.attr_value(gimli::DW_AT_const_value).ok()??);
                }
            }
            None
        })
    }

    /// The source file that declares a typedef, as the compiler was given it.
    pub(crate) fn declared_in(&mut self, typedef: &str) -> Option<String> {
        let place = self.find(Class::Typedef, typedef)?;
        self.with(place, |view, entry| {
            let number = unsigned(entry, gimli::DW_AT_decl_file)?;
            let header = view.unit.line_program.as_ref()?.header();
            let file = header.file(number)?;
            let text = |value| Some(view.dwarf.attr_string(view.unit, value).ok()?.to_string_lossy().into_owned());
            let (folder, name) = (file.directory(header).and_then(text), text(file.path_name())?);
            Some(folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}")))
        })
    }

    /// Whether there is an enumeration of that name.
    pub(crate) fn has_enum(&mut self, enumeration: &str) -> bool {
        self.find(Class::Enum, enumeration).is_some()
    }
}

/// A unit, while an entry of it is looked at.
struct View<'a, 'u> {
    dwarf: &'u Dwarf<Slice<'a>>,
    unit: &'u Unit<Slice<'a>>,
    info: &'u DebugInfo,
    number: usize,
}

impl View<'_, '_> {
    fn type_of(&self, entry: &Entry<'_, '_>) -> Option<Place> {
        match entry.attr_value(gimli::DW_AT_type).ok()?? {
            AttributeValue::UnitRef(entry) => Some(Place { unit: self.number, entry }),
            AttributeValue::DebugInfoRef(at) => {
                let units = &self.info.index.units;
                let unit = units.partition_point(|start| *start <= at.0).checked_sub(1)?;
                Some(Place { unit, entry: gimli::UnitOffset(at.0 - units.get(unit)?) })
            }
            _ => None,
        }
    }
}

fn unit_at<'a>(dwarf: &Dwarf<Slice<'a>>, at: usize) -> Option<Unit<Slice<'a>>> {
    let header = dwarf.debug_info.header_from_offset(gimli::DebugInfoOffset(at)).ok()?;
    dwarf.unit(header).ok()
}

fn name_of<'a>(dwarf: &Dwarf<Slice<'a>>, unit: &Unit<Slice<'a>>, entry: &Entry<'a, '_>) -> Option<&'a [u8]> {
    let name = entry.attr_value(gimli::DW_AT_name).ok()??;
    dwarf.attr_string(unit, name).ok().map(|name| name.slice())
}

/// The offset of a member (bytes): of the byte that a bit field begins in.
fn member_offset(entry: &Entry<'_, '_>) -> Option<u64> {
    match entry.attr_value(gimli::DW_AT_data_member_location) {
        Ok(Some(AttributeValue::Exprloc(expression))) => {
            // up to DWARF 3: DW_OP_plus_uconst
            let (op, rest) = expression.0.slice().split_first()?;
            (*op == gimli::DW_OP_plus_uconst.0).then(|| uleb(rest))?
        }
        Ok(Some(value)) => value.udata_value(),
        // a member of a union has none
        _ => Some(unsigned(entry, gimli::DW_AT_data_bit_offset).map_or(0, |bits| bits / 8)),
    }
}

fn uleb(bytes: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn unsigned(entry: &Entry<'_, '_>, name: gimli::DwAt) -> Option<u64> {
    match entry.attr_value(name).ok()?? {
        AttributeValue::FileIndex(number) => Some(number),
        value => value.udata_value(),
    }
}

/// A constant: of a fixed size it is unsigned, for compilers write what is negative as a number of any length.
fn signed(value: AttributeValue<Slice<'_>>) -> Option<i64> {
    match value {
        AttributeValue::Data1(value) => Some(i64::from(value)),
        AttributeValue::Data2(value) => Some(i64::from(value)),
        AttributeValue::Data4(value) => Some(i64::from(value)),
        AttributeValue::Data8(value) | AttributeValue::Udata(value) => Some(value as i64),
        AttributeValue::Sdata(value) => Some(value),
        _ => None,
    }
}
