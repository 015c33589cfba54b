//! gdump: reads, filters and converts kernel crash dumps. The program, for those that are made of it: `gdump` itself, and
//! `gdump-fleet`, which reads over the network too.
//!
//! `args` is the command line, `makedumpfile` the one that its callers know, `called` which of them it is; `plan` is
//! what it asks for, `cmd` does it. The rest is what they need of the outside: `target` and `stdout` for outputs,
//! `progress`, `board`, `messages` and `report` for people, `interrupt` for signals, `job` for a run that is one of a
//! batch's, `sandbox` for the rights that a run keeps, `network` for files on servers.
//! All knowledge of formats and kernels is in the library `dump`; terminals, paths and exit statuses are here.

#![deny(unsafe_code)]

mod all_read;
mod args;
mod board;
mod called;
mod checksum;
mod cmd;
mod command;
mod escape;
mod exit;
mod interrupt;
mod job;
mod limited;
mod makedumpfile;
mod messages;
mod naming;
mod network;
mod output_path;
mod plan;
mod progress;
mod qvm_env;
mod report;
mod sandbox;
mod stdout;
mod target;

use args::Parsed;
use called::Called;
use cmd::capture::Session;
use dump::{Error, Opener, Taken};
use exit::Exit;
use makedumpfile::Asked;
use messages::{Messages, Voice};
use plan::Plan;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use target::Early;

/// Address space that opening a dump takes and saying why it cannot be (bytes); what is allocated beyond the limit aborts
/// a process.
const LEAST_SPACE: u64 = 1 << 20;

/// A program.
#[derive(Debug)]
pub struct Program {
    /// What it is called, unless by a name of another that it stands for.
    pub name: &'static str,
    /// Opens dumps by URLs, if it can.
    pub opener: Option<Arc<dyn Opener>>,
}

/// Runs a program with the words that it was called with; its exit status.
pub fn main(program: Program) -> ExitCode {
    let called = Called::by(std::env::args_os());
    let Program { name, opener } = program;
    messages::begin_with(if matches!(called, Called::Gdump(_)) { name } else { called.name() });
    network::begin_with(opener);
    interrupt::outlive_limits();
    let exit = match called {
        Called::Gdump(words) => gdump(words, name),
        Called::Makedumpfile(words) => makedumpfile(words),
        Called::Rearrange(words) => rearrange(words),
        Called::Dmesg(words) => gdump(["gdump".into(), "dmesg".into()].into_iter().chain(words).collect(), name),
    };
    exit.into()
}

fn gdump(words: Vec<OsString>, name: &str) -> Exit {
    match args::parse(words.into_iter()) {
        Err(refusal) => fail(Messages::default(), &refusal),
        Ok(Parsed::Help(text)) => messages::print(&text),
        Ok(Parsed::Version) => messages::print(&args::version(name)),
        Ok(Parsed::Verb { verb, sandboxed }) => {
            let checks_params = verb.checks_params();
            match Plan::try_from(verb) {
                Ok(_) if checks_params => Exit::Completed,
                Ok(plan) => run(&plan, sandboxed),
                Err(refusal) => fail(Messages::default(), &refusal),
            }
        }
        Ok(Parsed::Convert { args, sandboxed, batch }) => {
            if let Err(e) = batch.map_or(Ok(()), job::begin) {
                fail(Messages::default(), &e.to_string());
                return Exit::from(&e);
            }
            match Plan::new(&args, Voice::Gdump) {
                Ok(_) if args.check_params => Exit::Completed,
                Ok(plan) => run(&plan, sandboxed),
                Err(refusal) => fail(Messages::default(), &args::see_help(&refusal)),
            }
        }
    }
}

fn makedumpfile(words: Vec<OsString>) -> Exit {
    match makedumpfile::parse(words) {
        Err(refusal) => {
            refusal.print();
            Exit::Failed
        }
        Ok(Asked::Text(text)) => messages::print(&text),
        Ok(Asked::Nothing) => Exit::Completed,
        Ok(Asked::Plan { plan, sandboxed }) => {
            let exit = run(&plan, sandboxed);
            let last = if exit == Exit::Completed { makedumpfile::COMPLETED } else { makedumpfile::FAILED };
            // there is none where the answer is a table
            if exit != Exit::Completed || !matches!(&*plan, Plan::Convert(plan) if plan.mem_usage) {
                plan.messages().outcome(last);
            }
            exit
        }
    }
}

/// makedumpfile-R.pl: `-R` of stdin over whatever DUMPFILE is, and nothing else.
fn rearrange(words: Vec<OsString>) -> Exit {
    match <[OsString; 1]>::try_from(words) {
        Ok([output]) => makedumpfile(vec!["-R".into(), "-f".into(), "--".into(), output]),
        Err(words) => {
            let text = format!("expected the file name DUMPFILE, found {}", words.len());
            fail(Messages::default(), &text)
        }
    }
}

fn run(plan: &Plan, sandboxed: bool) -> Exit {
    if stdout::stderr_is_read_by(plan) {
        messages::close_stderr();
        let said = format!("{}: stderr: input and output are the same file\n", messages::name());
        if !plan.streams() && stdout::check(plan).is_ok() {
            messages::print(&said);
        }
        return Exit::Failed;
    }
    if let Err(e) = stdout::check(plan).and_then(|()| Taken::now().leaves(LEAST_SPACE)) {
        return fail(plan.messages(), &e.to_string());
    }
    let session = match plan {
        Plan::Capture(plan) => Session::open(plan).map(Some),
        _ => Ok(None),
    };
    let reached = session.and_then(|session| {
        let early = plan.conversion().map_or(Ok(Early::Nothing), Early::of)?;
        Ok((session, early, network::prepare(plan)?))
    });
    let (session, early, reach) = match reached {
        Ok(reached) => reached,
        Err(e) => return fail(plan.messages(), &e.to_string()),
    };
    // a batch reads no dump, and its jobs, which do, have their own
    let _sandbox = (sandboxed && !matches!(plan, Plan::Batch(_))).then(|| sandbox::enter(plan, reach));
    let done = match plan {
        Plan::Batch(plan) => cmd::batch::run(plan, sandboxed),
        Plan::SplitOne(plan) => cmd::split_one::run(plan),
        Plan::Capture(plan) => {
            session.map_or_else(|| Err(Error::bug("no guest")), |guest| cmd::capture::run(plan, guest, early))
        }
        Plan::Convert(plan) => cmd::convert::run(plan, early),
        Plan::Rearrange(plan) => cmd::rearrange::run(plan),
        Plan::Dmesg(plan) => cmd::dmesg::run(plan),
        Plan::Generate(plan) => cmd::generate::run(plan),
        Plan::Info(plan) => cmd::info::run(plan),
        Plan::Check(plan) => cmd::check::run(plan),
        Plan::Estimate(plan) => cmd::estimate::run(plan),
        Plan::Map(plan) => cmd::map::run(plan),
        Plan::Diff(plan) => cmd::diff::run(plan),
        Plan::Repair(plan) => cmd::repair::run(plan),
    };
    let exit = done.unwrap_or_else(|e| {
        fail(plan.messages(), &e.to_string());
        Exit::from(&e)
    });
    // what could not be read may have been taken for what is not there
    let exit = network::failure().filter(|_| exit == Exit::Completed).map_or(exit, |e| {
        fail(plan.messages(), &e.to_string());
        Exit::from(&e)
    });
    match messages::lost() {
        Some(why) if exit == Exit::Completed && plan.prints() => fail(plan.messages(), why),
        _ if matches!(plan, Plan::Batch(_)) => exit,
        _ => job::end(exit),
    }
}

fn fail(messages: Messages, message: &str) -> Exit {
    messages.error(message);
    Exit::Failed
}
