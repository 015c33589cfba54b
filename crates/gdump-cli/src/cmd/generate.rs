//! `gdump -g`: a text of vmcoreinfo from a kernel's ELF file.

use crate::exit::Exit;
use crate::output_path::OutputOptions;
use crate::plan::GeneratePlan;
use crate::target;
use dump::{Result, WriteAt, generate_vmcoreinfo, generate_xen_vmcoreinfo};

/// Does what `plan` says. A file that is there is overwritten, as makedumpfile does.
///
/// # Errors
/// One line: why the file of the kernel cannot be read, or the other not written.
pub fn run(plan: &GeneratePlan) -> Result<Exit> {
    let inputs = target::identities(&plan.files());
    target::check_path(&plan.output, &inputs, true)?;
    let text = match plan.xen {
        true => generate_xen_vmcoreinfo(&plan.vmlinux)?,
        false => generate_vmcoreinfo(&plan.vmlinux)?,
    };
    let options = OutputOptions { force: true, own_name: true, ..OutputOptions::default() };
    let mut file = target::open_one(&plan.output, &inputs, options)?;
    file.begin()?;
    let written = file.output().write_at(0, text.as_bytes()).and_then(|()| file.output().sync());
    written.map_err(|e| e.within(file.path(false).display()))?;
    file.finish()?;
    plan.messages.outcome(&format!("The vmcoreinfo is saved to {}.", plan.output.display()));
    Ok(Exit::Completed)
}
