//! makedumpfile's options that this program takes and does not act on.

use std::ffi::OsString;

/// Options that are refused, each with its reason, and those for Xen, which a dump without Xen does not need.
#[derive(Debug, clap::Args)]
pub struct RefusedArgs {
    /// Leave out the pages of Xen's guests (refused: dumps of Xen are not read yet)
    #[arg(short = 'X', hide_short_help = true)]
    xen: bool,
    /// Symbols of Xen; no effect on a dump without Xen
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    xen_syms: Option<OsString>,
    /// vmcoreinfo of Xen; no effect on a dump without Xen
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    xen_vmcoreinfo: Option<OsString>,
    /// Where Xen is; no effect on a dump without Xen
    #[arg(long = "xen_phys_start", hide_short_help = true, value_name = "ADDR")]
    xen_phys_start: Option<OsString>,
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
            (self.xen, "'-X' option is disabled: dumps of Xen are not read yet"),
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

    /// The options that have no effect on a dump without Xen.
    pub fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            (self.xen_syms.is_some(), "--xen-syms"),
            (self.xen_vmcoreinfo.is_some(), "--xen-vmcoreinfo"),
            (self.xen_phys_start.is_some(), "--xen_phys_start"),
        ];
        given.into_iter().filter_map(|(given, name)| given.then_some(name))
    }
}
