//! What a static binary must be: small, free of the machine it was built on, and able to run where there is nothing else.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::target::Target;
use crate::program;

/// The address space that it must start in.
const ADDRESS_SPACE: u64 = 64 << 20;

/// Program header types that a static program lacks or has, `p_type`.
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
/// A library that is needed, `d_tag`.
const DT_NEEDED: u64 = 1;

/// Checks the binary of a target that was built from the tree at `root`, and may have `most` bytes.
pub fn check(target: &Target, binary: &Path, root: &Path, most: usize) -> Result<()> {
    let bytes = std::fs::read(binary).with_context(|| binary.display().to_string())?;
    let name = format!("{} for {}", program::base(binary), target.triple);
    ensure!(bytes.len() <= most, "{name}: {} bytes, more than {most}", bytes.len());
    let needed = needs(&bytes, target.machine).with_context(|| format!("{name}: not an ELF program for it"))?;
    ensure!(needed == 0, "{name}: needs {needed} other files, an interpreter or libraries");
    for path in [Some(root.to_path_buf()), std::env::home_dir()].into_iter().flatten() {
        let path = path.to_string_lossy();
        // a root that is "/" or "/root" alone would be found anywhere
        let found = path.matches('/').count() > 1 && bytes.windows(path.len()).any(|at| at == path.as_bytes());
        ensure!(!found, "{name}: holds the path {path} of this machine");
    }
    println!("{name}: {} bytes, static", bytes.len());
    alone(target, binary)
}

/// How many other files a program asks for; nothing if it is none for `machine`.
fn needs(elf: &[u8], machine: u16) -> Option<usize> {
    let number = |at: usize, len: usize| {
        let bytes = elf.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let index = |at, len| usize::try_from(number(at, len)?).ok();
    // 64 bits, little-endian
    if elf.get(..6)? != b"\x7fELF\x02\x01" || number(18, 2)? != u64::from(machine) {
        return None;
    }
    let (headers, size, count) = (index(32, 8)?, index(54, 2)?, index(56, 2)?);
    let mut needed = 0;
    for header in (0..count).map(|i| headers + i * size) {
        match number(header, 4)? {
            PT_INTERP => needed += 1,
            PT_DYNAMIC => {
                let (at, len) = (index(header + 8, 8)?, index(header + 32, 8)?);
                let tags = (at..at + len).step_by(16).map_while(|entry| number(entry, 8));
                needed += tags.filter(|tag| *tag == DT_NEEDED).count();
            }
            _ => {}
        }
    }
    Some(needed)
}

/// Runs it as makedumpfile, in a directory with nothing else, in little memory and without an environment.
fn alone(target: &Target, binary: &Path) -> Result<()> {
    let native = target.arch == std::env::consts::ARCH;
    let emulator = program::find(target.emulator).filter(|_| !native);
    if !native && emulator.is_none() {
        println!("{}: not run: no {} here (apt-get install qemu-user-static)", target.triple, target.emulator);
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for (from, to) in [(Some(binary), "makedumpfile"), (emulator.as_deref(), "emulator")] {
        let Some(from) = from else { continue };
        std::fs::copy(from, dir.path().join(to))?;
        std::fs::set_permissions(dir.path().join(to), std::fs::Permissions::from_mode(0o755))?;
    }
    // only root may change the root directory
    let can = program::output(Command::new("chroot").args(["/", "true"])).is_ok_and(|out| out.status.success());
    if !can {
        println!("{}: not run in a directory of its own: that takes root", target.triple);
    }
    let at = |file: &str| if can { format!("/{file}") } else { format!("./{file}") };
    let mut words = Vec::new();
    if native {
        words.extend([path_of("prlimit")?, format!("--as={ADDRESS_SPACE}")]);
    }
    if can {
        words.extend([path_of("chroot")?, dir.path().display().to_string()]);
    }
    words.extend(emulator.is_some().then(|| at("emulator")));
    words.extend([at("makedumpfile"), "-v".to_owned()]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(dir.path()).env_clear();
    let said = program::quiet(&mut command)?;
    ensure!(said.starts_with("makedumpfile: version "), "{}: -v says {said:?}", target.triple);
    println!("{}: runs alone", target.triple);
    Ok(())
}

/// Where a program is, for a command without an environment.
fn path_of(name: &str) -> Result<String> {
    Ok(program::find(name).with_context(|| format!("{name} is not installed"))?.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_needs_others() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let machine = u16::from_le_bytes([this[18], this[19]]);
        assert!(needs(&this, machine).unwrap() > 1);
        assert_eq!(needs(&this, machine + 1), None);
        assert_eq!(needs(&this[..40], machine), None);
        assert_eq!(needs(b"#!/bin/sh", machine), None);
    }
}
