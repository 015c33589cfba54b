//! Inconsistencies of a dump's headers, which may be why another tool does not open it.

use crate::guest::{LIVE_SAID, is_live};
use crate::identity::windows_guest;
use crate::open::Dump;
use dump_core::DumpMeta;
use dump_kernel::{KernelSymbols, Vmcoreinfo};

impl Dump {
    /// Where the container's headers contradict vmcoreinfo, and what else a reader should know first, a line each.
    pub fn oddities(&self) -> Vec<String> {
        let live = is_live(self.meta()).then(|| LIVE_SAID.to_owned());
        let remarks = self.container().remarks().iter().map(ToString::to_string);
        live.into_iter().chain(remarks).chain(self.contradicted()).collect()
    }

    fn contradicted(&self) -> Vec<String> {
        if windows_guest(&self.meta().notes).is_some() {
            return Vec::new(); // it has no vmcoreinfo that could say otherwise
        }
        let Some(info) = self.vmcoreinfo() else {
            return vec![
                "no VMCOREINFO: drgn cannot open it; gdump searches memory for it when it converts".to_owned(),
            ];
        };
        let mut odd = Vec::new();
        // containers without headers of their own state nothing that could be wrong
        if self.container().states_page_size() {
            odd = contradictions(self.meta(), &info);
        }
        let notes = &self.meta().notes;
        let texts: Vec<_> = notes.vmcoreinfo_texts().into_iter().map(|at| notes.as_bytes().get(at)).collect();
        if texts.iter().any(|text| *text != texts[0]) {
            let n = texts.len();
            odd.push(format!(
                "{n} different notes VMCOREINFO, this is the first: a conversion takes what holds in memory"
            ));
        }
        odd
    }
}

fn contradictions(meta: &DumpMeta, info: &Vmcoreinfo) -> Vec<String> {
    let mut odd = Vec::new();
    let (stated, release) = (meta.release().unwrap_or_default(), info.release().unwrap_or_default());
    if stated != release {
        odd.push(format!("release is {stated:?} in the header, {release:?} in VMCOREINFO"));
    }
    let phys_base = info.number("phys_base").or_else(|| info.number("PHYS_OFFSET")).map(|value| value as u64);
    let stated = meta.phys_base.unwrap_or(0);
    if let Some(phys_base) = phys_base.filter(|value| *value != stated) {
        odd.push(format!("phys_base is {stated:#x} in the header, {phys_base:#x} in VMCOREINFO"));
    }
    if let Some(size) = info.page_size().filter(|size| *size != meta.page_size) {
        odd.push(format!("page size is {} in the header, {} in VMCOREINFO", meta.page_size.bytes(), size.bytes()));
    }
    odd
}
