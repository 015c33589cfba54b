//! The kernel's types as debug information has them, BTF or DWARF, and the numbers of vmcoreinfo by its enumerations.

/// Types of the dumped kernel. `None` means that the debug information lacks what is asked for, or has it twice and
/// differently.
pub trait KernelTypes: Send + Sync {
    /// The size of a structure, a union, an enumeration or a typedef (bytes).
    fn size_of(&self, ty: &str) -> Option<u64>;
    /// The offset of a member, named `type.member`, which may be one of an unnamed structure in it (bytes).
    fn offset_of(&self, member: &str) -> Option<u64>;
    /// The number of elements of an array: of a member, named `type.member`, or a variable.
    fn length_of(&self, array: &str) -> Option<u64>;
    /// The value of an enumerator of `enumeration`.
    fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64>;
    /// Whether there is an enumeration of that name.
    fn has_enum(&self, enumeration: &str) -> bool;
}

/// Arrays to which vmcoreinfo gives names of their own (Linux, kernel/printk/printk.c).
const ARRAYS: [(&str, &str); 2] =
    [("printk_info_subsystem", "dev_printk_info.subsystem"), ("printk_info_device", "dev_printk_info.device")];

/// Enumerators and their enumerations.
const ENUMERATORS: [(&str, &str); 3] =
    [("NR_FREE_PAGES", "zone_stat_item"), ("N_ONLINE", "node_states"), ("HUGETLB_PAGE_DTOR", "compound_dtor_id")];

/// Page types: the number's name, the enumerators since 6.12 (the type's top byte) and before (bits that a page of the
/// type lacks), the bits that macros had before there was an enumeration, and since when.
struct PageType {
    number: &'static str,
    top_byte: &'static str,
    bits: &'static str,
    macros: Option<(i64, (u32, u32))>,
    /// Since when vmcoreinfo has it: a kernel older than that is to be filtered as with its own vmcoreinfo.
    exported: (u32, u32),
}

const PAGE_TYPES: [PageType; 5] = [
    PageType {
        number: "PAGE_BUDDY_MAPCOUNT_VALUE",
        top_byte: "PGTY_buddy",
        bits: "PG_buddy",
        macros: Some((0x80, (4, 18))),
        exported: (3, 9),
    },
    PageType {
        number: "PAGE_OFFLINE_MAPCOUNT_VALUE",
        top_byte: "PGTY_offline",
        bits: "PG_offline",
        macros: Some((0x100, (5, 1))),
        exported: (5, 1),
    },
    PageType {
        number: "PAGE_SLAB_MAPCOUNT_VALUE",
        top_byte: "PGTY_slab",
        bits: "PG_slab",
        macros: None,
        exported: (6, 10),
    },
    PageType {
        number: "PAGE_HUGETLB_MAPCOUNT_VALUE",
        top_byte: "PGTY_hugetlb",
        bits: "PG_hugetlb",
        macros: None,
        exported: (6, 6),
    },
    PageType {
        number: "PAGE_UNACCEPTED_MAPCOUNT_VALUE",
        top_byte: "PGTY_unaccepted",
        bits: "PG_unaccepted",
        macros: None,
        exported: crate::keys::UNACCEPTED_EXPORTED,
    },
];

/// Numbers that only kernels with a function have, because one option of their configuration brings both.
pub(crate) const BUILT_WITH: [(&str, &str); 2] = [
    ("PG_hwpoison", "memory_failure"), // CONFIG_MEMORY_FAILURE; the function is 2.6.32's (6a46079cf57a), and exported
    ("HUGETLB_PAGE_DTOR", "hugetlb_fault"), // CONFIG_HUGETLB_PAGE; the function is 2.6.6's and of no file alone
];

/// When page types became an enumeration, at the latest.
const ENUMERATED: (u32, u32) = (6, 10);

/// The array that vmcoreinfo names `array`: a member of a type, `type.member`, or a variable.
pub fn member_of_array(array: &str) -> &str {
    ARRAYS.iter().find(|(name, _)| *name == array).map_or(array, |(_, member)| member)
}

/// The function without which a kernel does not have the number `name`.
pub(crate) fn built_with(name: &str) -> Option<&'static str> {
    BUILT_WITH.iter().find(|(number, _)| *number == name).map(|(_, function)| *function)
}

/// Whether the kernel's enumerations tell that it has no number `name`.
pub fn lacks_number_by_types(types: &dyn KernelTypes, name: &str) -> bool {
    name.starts_with("PG_") && types.has_enum("pageflags") && types.enumerator("pageflags", name).is_none()
}

/// A number that vmcoreinfo of a kernel of release `version` has, by its enumerations; `None` where a kernel as old
/// exports none of that name.
pub fn number_by_types(types: &dyn KernelTypes, version: Option<(u32, u32)>, name: &str) -> Option<i64> {
    let flag = |name: &str| types.enumerator("pageflags", name).filter(|bit| (0..64).contains(bit));
    if let Some((_, enumeration)) = ENUMERATORS.iter().find(|(own, _)| *own == name) {
        return types.enumerator(enumeration, name);
    }
    match name {
        "PG_head_mask" => flag("PG_head").map(|bit| 1u64.wrapping_shl(bit as u32) as i64),
        _ if name.starts_with("PG_") => flag(name),
        _ => {
            let ty = PAGE_TYPES.iter().find(|ty| ty.number == name)?;
            page_type(types, version, ty)
        }
    }
}

/// As the kernel's `int` has it.
fn page_type(types: &dyn KernelTypes, version: Option<(u32, u32)>, ty: &PageType) -> Option<i64> {
    if version.is_some_and(|version| version < ty.exported) {
        return None;
    }
    let as_int = |value: i64| i64::from(value as u32 as i32);
    if types.has_enum("pagetype") {
        let top = types.enumerator("pagetype", ty.top_byte).map(|byte| as_int(byte << 24));
        return top.or_else(|| types.enumerator("pagetype", ty.bits).map(|bits| as_int(!bits)));
    }
    let (bits, since) = ty.macros?;
    let known = version.is_some_and(|version| (since..ENUMERATED).contains(&version));
    (known && types.offset_of("page.page_type").is_some()).then(|| as_int(!bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enumerators of `pageflags` and `pagetype`, the latter where there are any.
    struct Enums(&'static [(&'static str, i64)], &'static [(&'static str, i64)]);

    impl KernelTypes for Enums {
        fn size_of(&self, _: &str) -> Option<u64> {
            None
        }

        fn offset_of(&self, member: &str) -> Option<u64> {
            (member == "page.page_type").then_some(48)
        }

        fn length_of(&self, _: &str) -> Option<u64> {
            None
        }

        fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64> {
            let all = if enumeration == "pageflags" { self.0 } else { self.1 };
            all.iter().find(|(own, _)| *own == name).map(|(_, value)| *value)
        }

        fn has_enum(&self, enumeration: &str) -> bool {
            enumeration == "pageflags" || !self.1.is_empty()
        }
    }

    #[test]
    fn flags_are_bits_and_types_are_what_vmcoreinfo_prints() {
        let of = |types: &Enums, version, name: &str| number_by_types(types, Some(version), name);
        let macros = Enums(&[("PG_lru", 4), ("PG_head", 16), ("PG_odd", 64)], &[]);
        assert_eq!(of(&macros, (6, 1), "PG_lru"), Some(4));
        assert_eq!(of(&macros, (6, 1), "PG_head_mask"), Some(65536));
        assert_eq!((of(&macros, (6, 1), "PG_odd"), of(&macros, (6, 1), "PG_none")), (None, None));
        assert_eq!(of(&macros, (6, 1), "PAGE_BUDDY_MAPCOUNT_VALUE"), Some(-129));
        assert_eq!(of(&macros, (6, 1), "PAGE_OFFLINE_MAPCOUNT_VALUE"), Some(-257));
        assert_eq!(of(&macros, (5, 0), "PAGE_OFFLINE_MAPCOUNT_VALUE"), None, "a balloon's");
        assert_eq!(of(&macros, (6, 12), "PAGE_BUDDY_MAPCOUNT_VALUE"), None);
        assert_eq!(number_by_types(&macros, None, "PAGE_BUDDY_MAPCOUNT_VALUE"), None);
        let bits = Enums(&[], &[("PG_buddy", 0x4000_0000), ("PG_hugetlb", 0x0400_0000)]);
        assert_eq!(of(&bits, (6, 11), "PAGE_BUDDY_MAPCOUNT_VALUE"), Some(-0x4000_0001));
        assert_eq!(of(&bits, (6, 11), "PAGE_HUGETLB_MAPCOUNT_VALUE"), Some(-0x0400_0001));
        assert_eq!(of(&bits, (6, 11), "PG_hugetlb"), None, "a type is no flag");
        let bytes = Enums(&[], &[("PGTY_buddy", 0xf0), ("PGTY_offline", 0xf1), ("PGTY_unaccepted", 0xf7)]);
        assert_eq!(of(&bytes, (6, 12), "PAGE_BUDDY_MAPCOUNT_VALUE"), Some(-268435456));
        assert_eq!(of(&bytes, (6, 12), "PAGE_OFFLINE_MAPCOUNT_VALUE"), Some(-251658240));
        assert_eq!(of(&bytes, (6, 14), "PAGE_UNACCEPTED_MAPCOUNT_VALUE"), None, "not yet exported");
        assert_eq!(of(&bytes, (7, 2), "PAGE_UNACCEPTED_MAPCOUNT_VALUE"), Some(-150994944));
    }
}
