//! `gdump -g`: a text of vmcoreinfo from a kernel's ELF file.

use crate::exit::Exit;
use crate::plan::GeneratePlan;
use dump::{Error, Result, generate_vmcoreinfo};
use std::fs;

/// Does what `plan` says.
///
/// # Errors
/// One line: why the file of the kernel cannot be read, or the other not written.
pub fn run(plan: &GeneratePlan) -> Result<Exit> {
    let text = generate_vmcoreinfo(&plan.vmlinux)?;
    let output = plan.output.display();
    fs::write(&plan.output, text).map_err(|e| Error::from(e).within(&output))?;
    plan.messages.common(&format!("The vmcoreinfo is saved to {output}.\n"));
    Ok(Exit::Completed)
}
