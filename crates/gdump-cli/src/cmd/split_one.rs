//! `gdump batch --split-one FILE`: a manifest of jobs that write a part of a dump each, and together all of it.

use super::convert;
use crate::exit::Exit;
use crate::messages::print;
use crate::plan::SplitOnePlan;
use dump::{PfnRange, Result};
use serde::Serialize;

/// A line of the manifest.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    input: &'a str,
    output: String,
    options: Vec<String>,
}

/// Prints the manifest, and says how parts are joined.
///
/// # Errors
/// If the dump cannot be opened, or which pages go into it cannot be computed.
pub fn run(plan: &SplitOnePlan) -> Result<Exit> {
    let asked = plan.conversion.outputs();
    // a dump that is smaller than so many blocks has empty parts, which need no job
    let parts: Vec<PfnRange> = convert::parts(&plan.conversion)?.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.len() < asked.len() {
        let (there, asked) = (parts.len(), asked.len());
        plan.conversion
            .messages
            .warning(&format!("{}: {there} parts rather than {asked}, it is too small", plan.input));
    }
    let lines = parts.iter().zip(asked).enumerate().map(|(at, (part, output))| {
        let range = ["--pfn-range".to_owned(), format!("{}..{}", part.start.0, part.end.0)];
        let line = Line {
            id: format!("{} of {}", at + 1, parts.len()),
            input: &plan.input,
            output: output.display().to_string(),
            options: plan.options.iter().cloned().chain(range).collect(),
        };
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    });
    let text: String = lines.collect();
    let names: Vec<String> = asked.iter().take(parts.len()).map(|path| path.display().to_string()).collect();
    let joined = format!("gdump --reassemble {} DUMPFILE joins the parts\n", names.join(" "));
    plan.conversion.messages.common(&joined);
    Ok(print(&text))
}
