//! gdump: reads, filters and converts kernel crash dumps.
//!
//! `args` is what was typed, `plan` what it means, `cmd` does it; the rest is what they need of the outside: `open` and
//! `unpack` for inputs, `target` for outputs, `progress`, `messages` and `report` for people, `interrupt` for signals. All
//! that is known of formats and kernels is in the libraries; terminals, paths and exit statuses are here and nowhere else.

#![forbid(unsafe_code)]

mod args;
mod cmd;
mod exit;
mod interrupt;
mod messages;
mod open;
mod plan;
mod probe;
mod progress;
mod report;
mod target;
mod unpack;

use args::{Args, Parsed};
use exit::Exit;
use messages::Messages;
use std::process::ExitCode;

fn main() -> ExitCode {
    let parsed = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(message) => return fail(&Messages::default(), &message),
    };
    match parsed {
        Parsed::Help(text) => messages::print(&text).into(),
        Parsed::Version => messages::print(&args::version()).into(),
        Parsed::Run(args) => run(&args).into(),
    }
}

fn run(args: &Args) -> Exit {
    let plan = match plan::Plan::new(args) {
        Ok(plan) => plan,
        Err(e) => {
            Messages::default().error(&format!("{e} (see gdump --help)"));
            return Exit::Failed;
        }
    };
    match cmd::convert::run(&plan) {
        Ok(exit) => exit,
        Err(e) => {
            plan.messages.error(&e.to_string());
            Exit::Failed
        }
    }
}

fn fail(messages: &Messages, message: &str) -> ExitCode {
    messages.error(message);
    Exit::Failed.into()
}
