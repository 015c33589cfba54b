//! Files of bare memory whose names say where in memory they lie, as crash takes them: `FILE@ADDR[,FILE@ADDR...]`.

use crate::args::RawArgs;
use dump::{MemoryMap, PhysAddr};
use std::path::PathBuf;

/// The files, and the maps of those that have no headers: what options say, or else what names say. A name that is one
/// of a file is nothing else.
pub(super) fn located(paths: Vec<PathBuf>, raw: &RawArgs) -> (Vec<PathBuf>, Vec<MemoryMap>) {
    let mut maps = raw.maps();
    if !maps.is_empty() {
        return (paths, maps);
    }
    let mut files = Vec::new();
    for path in paths {
        match path.to_str().filter(|_| !path.exists()).and_then(files_at) {
            Some(list) => {
                for (file, base) in list {
                    files.push(file.into());
                    maps.push(MemoryMap::from_base(PhysAddr(base)));
                }
            }
            None => files.push(path),
        }
    }
    (files, maps)
}

/// Files and their addresses, which are hexadecimal with 0x before them or without.
fn files_at(text: &str) -> Option<Vec<(&str, u64)>> {
    let one = |text: &'_ str| -> Option<(usize, u64)> {
        let (file, address) = text.rsplit_once('@')?;
        let digits = address.strip_prefix("0x").unwrap_or(address);
        let base = u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+') && is_file(file))?;
        Some((file.len(), base))
    };
    text.split(',').map(|part| one(part).and_then(|(len, base)| Some((part.get(..len)?, base)))).collect()
}

/// Whether `name` can be one of a file: a URL is not that ends within the name of a server, before which may stand that
/// of a user.
fn is_file(name: &str) -> bool {
    !name.is_empty() && name.split_once("://").is_none_or(|(_, rest)| rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_crash_has_them() {
        assert_eq!(files_at("a@0"), Some(vec![("a", 0)]));
        let two = vec![("ddr0.bin", 0x8000_0000), ("x@y/ddr1.bin", 0x1_0000_0000)];
        assert_eq!(files_at("ddr0.bin@0x80000000,x@y/ddr1.bin@100000000"), Some(two));
        assert_eq!(files_at("http://u@h/a@1000"), Some(vec![("http://u@h/a", 0x1000)]));
        for not in ["http://u@cafe", "a", "@0", "a@", "a@x", "a@0,b", "a@+1", "user@host", "a@1,"] {
            assert_eq!(files_at(not), None, "{not}");
        }
    }
}
