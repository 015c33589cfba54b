//! How many threads a run has.

use crate::args::Threads;
use crate::messages::Messages;

/// Worker threads: as asked for, or as many as there are CPUs that this process may use; and that they are fewer than
/// asked for, if they are.
pub(super) fn threads(asked: Option<Threads>) -> (usize, Option<String>) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = asked.map_or(cpus, |asked| asked.on(cpus));
    let exceeding = asked.filter(|asked| asked.exceed(threads));
    let lowered = |asked| format!("--num-threads {asked}: too many for {cpus} CPUs, using {threads}");
    (threads, exceeding.map(lowered))
}

/// The same for a verb, said at once.
pub(super) fn threads_of_verb(asked: Option<Threads>) -> usize {
    let (threads, lowered) = threads(asked);
    lowered.iter().for_each(|text| Messages::default().warning(text));
    threads
}
