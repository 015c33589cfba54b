//! What drgn, through libkdumpfile, reads from a dump.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use dump_witness::{Kdump, Memory};

use crate::{program, workspace};

/// Pages read from one dump: 32 MiB of them, taken evenly.
const SAMPLE: u64 = 8192;

/// Whether python3 has drgn.
pub fn installed() -> bool {
    let import = program::output(Command::new("python3").args(["-c", "import drgn"]));
    import.is_ok_and(|output| output.status.success())
}

/// Whether drgn failed because libkdumpfile does not know the machine: loongarch64, mips64.
pub fn has_no_such_machine(error: &anyhow::Error) -> bool {
    error.to_string().contains("KDUMP_ATTR_ARCH_NAME")
}

/// Compares pages of the dump at `path`, which `dump` has open, with `memory`; returns how many.
pub fn check(path: &Path, dump: &Kdump, memory: &Memory) -> Result<usize> {
    let step = usize::try_from(dump.kept.count() / SAMPLE + 1)?;
    let pfns: Vec<u64> = dump.kept.ones().step_by(step).collect();
    let page_size = dump.header.page_size;
    let bytes = read(path, page_size, &pfns)?;
    let pages: Vec<&[u8]> = bytes.chunks(usize::try_from(page_size)?).collect();
    ensure!(pages.len() == pfns.len(), "drgn read {} pages of {}", pages.len(), pfns.len());
    for (page, pfn) in pages.into_iter().zip(&pfns) {
        let expected = memory.page(*pfn, page_size)?.context("no such page")?;
        ensure!(page == expected, "drgn reads other bytes of pfn {pfn:#x}");
    }
    Ok(pfns.len())
}

/// The bytes of `pfns`, one after the other.
fn read(path: &Path, page_size: u64, pfns: &[u64]) -> Result<Vec<u8>> {
    let mut python = Command::new("python3");
    python.arg(workspace::root()?.join("xtask/lab/drgn_pages.py")).arg(path).arg(page_size.to_string());
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let list = pfns.iter().map(u64::to_string).collect::<Vec<_>>().join("\n");
    // The script reads to the end before it writes, so neither side waits for the other. If it died, its stderr says
    // why.
    let sent = child.stdin.take().context("no pipe to python3")?.write_all(list.as_bytes());
    let output = child.wait_with_output()?;
    if !output.status.success() {
        // The traceback above the last line is of our script.
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("drgn: {}", said.trim().lines().next_back().unwrap_or("no reason given"));
    }
    sent?;
    Ok(output.stdout)
}
