//! `gdump check FILE`: reads everything and prints what is wrong with it, a line for each kind of damage.

use crate::escape::escaped_line;
use crate::exit::Exit;
use crate::messages::print;
use crate::plan::CheckPlan;
use dump::Result;

/// Checks the dump; a set of parts is one dump.
///
/// # Errors
/// If it cannot even be opened.
pub fn run(plan: &CheckPlan) -> Result<Exit> {
    let dump = super::open(&plan.inputs)?;
    let lines = super::on_threads(plan.threads, || dump.check())?;
    let name = dump.name();
    if lines.is_empty() {
        return Ok(print(&format!("{name}: no damage found\n")));
    }
    print(&lines.iter().map(|line| format!("{name}: {}\n", escaped_line(line))).collect::<String>());
    Ok(Exit::Failed)
}
