//! gdump: reads, filters and converts kernel crash dumps.
//!
//! `args` is the command line, `plan` what it asks for, `cmd` does it. The rest is what they need of the outside:
//! `target` for outputs, `progress`, `messages` and `report` for people, `interrupt` for signals, `sandbox` for the
//! rights that a run keeps. All knowledge of formats and kernels is in the library `dump`; terminals, paths and exit
//! statuses are here.

#![deny(unsafe_code)]

mod args;
mod checksum;
mod cmd;
mod escape;
mod exit;
mod interrupt;
mod messages;
mod output_path;
mod plan;
mod progress;
mod report;
mod sandbox;
mod target;

use args::Parsed;
use exit::Exit;
use messages::Messages;
use plan::Plan;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match args::parse(std::env::args_os()) {
        Err(refusal) => fail(Messages::default(), &refusal),
        Ok(Parsed::Help(text)) => messages::print(&text),
        Ok(Parsed::Version) => messages::print(&args::version()),
        Ok(Parsed::Verb { verb, sandboxed }) => run(&Plan::from(verb), sandboxed),
        Ok(Parsed::Convert { args, sandboxed }) => match Plan::new(&args) {
            Ok(plan) => run(&plan, sandboxed),
            Err(refusal) => fail(Messages::default(), &args::see_help(&refusal)),
        },
    };
    exit.into()
}

fn run(plan: &Plan, sandboxed: bool) -> Exit {
    let _sandbox = sandboxed.then(|| sandbox::enter(plan));
    let done = match plan {
        Plan::Convert(plan) => cmd::convert::run(plan),
        Plan::Rearrange(plan) => cmd::rearrange::run(plan),
        Plan::Generate(plan) => cmd::generate::run(plan),
        Plan::Info(plan) => cmd::info::run(plan),
        Plan::Check(plan) => cmd::check::run(plan),
        Plan::Diff(plan) => cmd::diff::run(plan),
        Plan::Repair(plan) => cmd::repair::run(plan),
    };
    done.unwrap_or_else(|e| {
        fail(plan.messages(), &e.to_string());
        Exit::from(&e)
    })
}

fn fail(messages: Messages, message: &str) -> Exit {
    messages.error(message);
    Exit::Failed
}
