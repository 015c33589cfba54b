//! makedumpfile's options that this program takes and does not act on.

use std::ffi::OsString;

/// Options that are refused, each with its reason.
#[derive(Debug, clap::Args)]
pub struct RefusedArgs {
    /// Erase what FILE names (refused: not built yet)
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    config: Option<OsString>,
    /// Run an eppic program (refused: it needs makedumpfile's own shared object)
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    eppic: Option<OsString>,
    /// Load a plug-in (refused: it needs makedumpfile's own memory)
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    extension: Vec<OsString>,
}

impl RefusedArgs {
    /// Why the command line is refused, if it is: what these options ask for would silently not be done.
    pub fn reason(&self) -> Option<&'static str> {
        let options = [
            (self.config.is_some(), "--config: data cannot be erased yet; a dump that was to be erased is not written"),
            (
                self.eppic.is_some(),
                "--eppic: eppic programs run in makedumpfile's own shared object (eppic_makedumpfile.so), which this \
                 program cannot load",
            ),
            (
                !self.extension.is_empty(),
                "--extension: plug-ins are shared objects that use makedumpfile's own functions and memory, which \
                 this program does not have",
            ),
        ];
        options.into_iter().find_map(|(given, reason)| given.then_some(reason))
    }
}
