//! `gdump capture`.

use super::convert::ConvertArgs;
use super::number::seconds;
use clap::Command;
use dump::GivenRange;
use std::time::Duration;

const USAGE: &str = "\
gdump capture [-c|-l|-p|-z|-E] [-d LEVEL[,LEVEL...]] [OPTIONS] qmp:SOCKET DUMPFILE
       gdump capture -F [OPTIONS] qmp:tcp:HOST:PORT | ssh HOST gdump -R DUMPFILE
       gdump capture --ram RANGE[,RANGE...] [OPTIONS] pid:N DUMPFILE
       gdump capture --ask [--json] qmp:SOCKET
       gdump capture --resume-guest qmp:SOCKET";

/// Arguments of a conversion that mean nothing for a guest's memory.
const WITHOUT_SENSE: [&str; 11] = [
    "rearrange",
    "reassemble",
    "dump_dmesg",
    "partial_dmesg",
    "generate",
    "base",
    "map",
    "non_mmap",
    "qvm_env",
    "version",
    "diskset",
];

/// The command without them in its help.
pub(super) fn without_the_senseless(command: Command) -> Command {
    WITHOUT_SENSE.iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.hide(true)))
}

/// Options of `gdump capture`: those of a conversion, and what concerns a guest.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE)]
pub struct CaptureArgs {
    /// Read the guest's memory where it lies (direct), or have QEMU write a dump (dump)
    /// [default: direct where that is allowed]
    ///
    /// QEMU's dump comes through a pipe and is copied to a temporary file before it is filtered. It takes many times as
    /// long. With --format and one of QEMU's own (kdump-zlib, kdump-lzo, kdump-snappy, kdump-raw-zlib, kdump-raw-lzo,
    /// kdump-raw-snappy, win-dmp), QEMU writes DUMPFILE itself, and nothing is filtered.
    #[arg(long, verbatim_doc_comment, value_name = "WAY", hide_possible_values = true)]
    pub via: Option<Via>,
    /// Leave the guest as it stands at the end
    #[arg(long)]
    pub keep_stopped: bool,
    /// Wait until the guest's kernel has panicked
    ///
    /// The guest then stays stopped rather than shut down or restarted (QEMU 6.0 and later), and is left so. It needs a
    /// pvpanic device, or what stands for it on other machines.
    #[arg(long)]
    pub on_panic: bool,
    /// Do not stop the guest: pages that it changes meanwhile do not fit each other
    ///
    /// A note in the dump says that it is not consistent, and gdump info shows it.
    #[arg(long, conflicts_with_all = ["keep_stopped", "on_panic"])]
    pub live: bool,
    /// Only show what QEMU says of its guest and of dumps, and write nothing
    #[arg(long)]
    pub ask: bool,
    /// With --ask, print one JSON object
    #[arg(long, requires = "ask")]
    pub json: bool,
    /// Only let a guest run again, which a capture that was killed left stopped
    #[arg(long, conflicts_with = "ask")]
    pub resume_guest: bool,
    /// With pid:N, where the guest has RAM: FIRST-END, hexadecimal, END not included
    ///
    /// Where the process has a stretch is found by its size; where several mappings have that size, FIRST-END@ADDRESS says
    /// at which of the process's addresses it begins.
    #[arg(long, value_name = "RANGE[,RANGE...]", value_delimiter = ',')]
    pub ram: Vec<GivenRange>,
    /// The process that runs the guest [default: the one that listens]
    ///
    /// It cannot be told over TCP, or where the socket was opened for QEMU by another program, as by libvirt.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub qemu_pid: Option<i32>,
    /// Wait as long for each of QEMU's answers [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub convert: ConvertArgs,
}

/// How a guest's memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// Where it lies.
    Direct,
    /// By QEMU's own dump.
    Dump,
}
