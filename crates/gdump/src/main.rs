//! gdump: reads, filters and converts kernel crash dumps.
//!
//! `args` is what was typed, `plan` what it means, `cmd` does it; the rest is what they need of the outside: `open` and
//! `unpack` for inputs, `ram` and `dumpable` for what is in a dump, `budget` for memory, `target` for outputs, `progress`, `messages` and `report` for people, `interrupt` for signals. All
//! that is known of formats and kernels is in the libraries; terminals, paths and exit statuses are here and nowhere else.

#![forbid(unsafe_code)]

mod args;
mod budget;
mod cmd;
mod dumpable;
mod exit;
mod interrupt;
mod messages;
mod open;
mod plan;
mod probe;
mod progress;
mod ram;
mod report;
mod subject;
mod target;
mod unpack;

use args::Parsed;
use exit::Exit;
use messages::Messages;
use plan::Plan;
use std::process::ExitCode;

fn main() -> ExitCode {
    let parsed = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(message) => return fail(Messages::default(), &message).into(),
    };
    match parsed {
        Parsed::Help(text) => messages::print(&text).into(),
        Parsed::Version => messages::print(&args::version()).into(),
        Parsed::Run(args) => run(Plan::new(&args)).into(),
        Parsed::Look(verb, args) => run(Plan::look(verb, &args)).into(),
    }
}

fn run(plan: Result<Plan, String>) -> Exit {
    let plan = match plan {
        Ok(plan) => plan,
        Err(e) => return fail(Messages::default(), &format!("{e} (see gdump --help)")),
    };
    let (messages, done) = match &plan {
        Plan::Convert(plan) => (plan.messages, cmd::convert::run(plan)),
        Plan::Rearrange(plan) => (plan.messages, cmd::rearrange::run(plan)),
        Plan::Look(look) => (Messages::default(), cmd::look(look)),
    };
    done.unwrap_or_else(|e| fail(messages, &e.to_string()))
}

fn fail(messages: Messages, message: &str) -> Exit {
    messages.error(message);
    Exit::Failed
}
