//! Names for a header whose dump has none.

use dump_core::{DumpMeta, UtsName};

/// The dump's names, with those that are empty filled from what else it states.
///
/// An ELF dump has no names, unless someone read them from the kernel's memory. The release is in VMCOREINFO. crash
/// compares the machine with the one it was built for; libkdumpfile takes the architecture from it, but only if system,
/// release and version are there too (`uts_looks_sane`), and without an architecture drgn opens nothing. Hence a
/// version that says it is none.
pub(crate) fn completed(meta: &DumpMeta) -> UtsName {
    let mut names = meta.utsname.unwrap_or_default();
    let text = meta.vmcoreinfo().unwrap_or_default();
    let release = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"OSRELEASE="));
    let machine = meta.machine.name().unwrap_or_default();
    if let Some(release) = release {
        fill(&mut names, 0, b"Linux");
        fill(&mut names, 2, release);
        fill(&mut names, 3, b"unknown");
    }
    fill(&mut names, 4, machine.as_bytes());
    names
}

/// Sets an empty field to `text`, cut so that a NUL follows.
fn fill(names: &mut UtsName, field: usize, text: &[u8]) {
    if let Some(field) = names.fields.get_mut(field).filter(|field| field[0] == 0) {
        let len = text.len().min(64);
        field[..len].copy_from_slice(&text[..len]);
    }
}
