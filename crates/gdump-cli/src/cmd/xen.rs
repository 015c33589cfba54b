//! Dumps of Xen hosts: what is left out of them, and domain 0 alone.

use crate::messages::Messages;
use crate::plan::Inputs;
use dump::{Domain0, Dump, Error, Image, Result, Watch, XenHost};

/// A dump that was opened, with its hypervisor where pages are left out by it.
pub(super) struct Opened {
    pub image: Image,
    pub host: Option<XenHost>,
}

/// The dump, or domain 0 of it.
///
/// # Errors
/// If a file of its kernel or hypervisor cannot be read; as [`Dump::into_image_with`] and [`Dump::into_domain0`].
pub(super) fn open(dump: Dump, inputs: &Inputs, messages: Messages, watch: &dyn Watch) -> Result<Opened> {
    let (kernel, xen) = (inputs.kernel.open()?, &inputs.xen);
    if xen.dom0 {
        let name = dump.name().to_owned();
        let domain = dump.into_domain0(&xen.open()?, &kernel, watch)?;
        messages.common(&format!("{name}: {}\n", said(&domain)));
        if domain.foreign != 0 {
            let text = "page frames that domain 0 lists are not its own by Xen's frame table, left out";
            messages.warning(&format!("{name}: {} {text}", domain.foreign));
        }
        if domain.start_info.is_none() {
            let text = "the kernel's xen_start_info is not found and stays: crash takes page tables to hold frames of \
                        the machine";
            messages.warning(&format!("{name}: {text}"));
        }
        return Ok(Opened { image: domain.image, host: None });
    }
    if !xen.exclude {
        xen.given.iter().for_each(|name| messages.warning(&format!("{name}: no effect without -X or --dom0")));
    }
    let image = dump.into_image_with(&kernel, watch)?;
    let host = match xen.exclude {
        true => Some(image.xen_host(&xen.open()?).map_err(disabled)?),
        false => None,
    };
    if let Some(host) = &host {
        say(host, &image, messages);
    }
    Ok(Opened { image, host })
}

/// In makedumpfile's words, which scripts know.
fn disabled(e: Error) -> Error {
    e.within("'-X' option is disabled")
}

fn said(domain: &Domain0) -> String {
    let Domain0 { host, pages, page_tables, start_info, cpus, .. } = domain;
    let version = host.version();
    let pointer = if start_info.is_some() { ", and xen_start_info is 0" } else { "" };
    format!(
        "domain 0 of Xen {version}: {pages} pages, of which {page_tables} page tables hold its own page frames in place of \
         the machine's{pointer}; registers of {cpus} CPUs"
    )
}

/// What is kept although it is asked for to be left out, and why.
fn say(host: &XenHost, image: &Image, messages: Messages) {
    let name = image.name();
    let warn = |text: &str, e: &Error| messages.warning(&format!("{name}: {text}: {e}"));
    match (host.misnumbering(), host.flags()) {
        (Some(e), _) => warn("cannot identify pages of guests and Xen's free pages, keeping them", e),
        (None, Err(e)) => warn("cannot identify Xen's free pages, keeping them", &e),
        (None, Ok(_)) => {}
    }
    if let Some(e) = host.domains().broken() {
        warn("cannot identify pages of some guests, keeping them", e);
    }
}
