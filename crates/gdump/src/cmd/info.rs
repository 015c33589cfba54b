//! `gdump info FILE`: what a dump is, from its headers alone.

use crate::exit::Exit;
use crate::messages::print;
use crate::open::{Container, Dump};
use crate::plan::InfoPlan;
use crate::subject::machine_name;
use dump_core::{ByteOrder, DumpMeta, Result, WordSize};
use dump_kernel::{KernelSymbols, Vmcoreinfo};
use serde::Serialize;
use std::fmt::Write;

/// Version of the JSON below; fields may be added to it without a new one (docs/info.md).
const SCHEMA_VERSION: u32 = 1;

/// What `gdump info --json` prints.
#[derive(Serialize)]
struct Info {
    schema_version: u32,
    files: Vec<String>,
    layers: Vec<&'static str>,
    container: &'static str,
    flavor: Option<&'static str>,
    header_version: Option<i32>,
    codec: Option<&'static str>,
    machine: MachineInfo,
    page_size: usize,
    end_pfn: u64,
    ram_pages: u64,
    held_pages: u64,
    dump_level: u32,
    incomplete: bool,
    excluded_vmemmap: bool,
    split: Option<[u64; 2]>,
    kernel: KernelInfo,
    cpus: u32,
    phys_base: u64,
    notes: Vec<NoteInfo>,
    erase_info: Vec<String>,
    odd: Vec<String>,
}

#[derive(Serialize)]
struct MachineInfo {
    elf_machine: u16,
    name: String,
    bits: u8,
    byte_order: &'static str,
}

#[derive(Serialize)]
struct KernelInfo {
    release: Option<String>,
    version: Option<String>,
    build_id: Option<String>,
    crash_time: Option<u64>,
    kaslr_offset: Option<String>,
}

#[derive(Serialize)]
struct NoteInfo {
    owner: String,
    r#type: u32,
    name: Option<&'static str>,
    size: usize,
}

/// Prints what the dump is; a set of parts is one dump.
///
/// # Errors
/// Where it cannot be opened.
pub fn run(plan: &InfoPlan) -> Result<Exit> {
    let dump = super::open(&plan.inputs)?;
    let files = plan.inputs.paths.iter().map(|path| path.display().to_string()).collect();
    let info = Info::new(files, &dump)?;
    if plan.json {
        let json = serde_json::to_string_pretty(&info).unwrap_or_default();
        return Ok(print(&format!("{json}\n")));
    }
    Ok(print(&info.text()))
}

impl Info {
    fn new(files: Vec<String>, dump: &Dump) -> Result<Info> {
        let meta = dump.source().meta();
        let (ram, held) = super::bitmaps(dump.source())?;
        let told = meta.vmcoreinfo_text().map(Vmcoreinfo::parse);
        let mut odd: Vec<String> = dump.damage.iter().map(|damage| damage.to_string()).collect();
        oddities(dump, meta, told.as_ref(), &mut odd);
        let (container, header_version, codec, split) = container(&dump.container);
        Ok(Info {
            schema_version: SCHEMA_VERSION,
            files,
            layers: dump.layers.clone(),
            container,
            flavor: dump.flavor,
            header_version,
            codec,
            machine: machine(meta),
            page_size: meta.page_size.bytes(),
            end_pfn: meta.end_pfn.0,
            ram_pages: ram.count(ram.span()),
            held_pages: held.count(held.span()),
            dump_level: meta.dump_level,
            incomplete: meta.incomplete,
            excluded_vmemmap: meta.excluded_vmemmap,
            split,
            kernel: kernel(meta, told.as_ref()),
            cpus: meta.cpus,
            phys_base: meta.phys_base,
            notes: notes(meta),
            erase_info: String::from_utf8_lossy(&meta.erase_info).lines().map(str::to_owned).collect(),
            odd,
        })
    }

    /// For people.
    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: String| {
            if !text.is_empty() {
                let _ = writeln!(out, "{label:<12} {text}");
            }
        };
        line("file", self.files.join(", "));
        let version = self.header_version.map_or(String::new(), |version| format!(" version {version}"));
        let layers: String = self.layers.iter().rev().map(|layer| format!(", {layer}")).collect();
        let flavor = self.flavor.map_or(String::new(), |flavor| format!(", {flavor}"));
        line("container", format!("{}{version}{flavor}{layers}", self.container));
        line("codec", self.codec.unwrap_or_default().to_owned());
        let m = &self.machine;
        line("machine", format!("{}, {} bit, {} endian", m.name, m.bits, m.byte_order));
        line("kernel", self.kernel.release.clone().unwrap_or_default());
        line("version", self.kernel.version.clone().unwrap_or_default());
        line("build id", self.kernel.build_id.clone().unwrap_or_default());
        line("crash time", self.kernel.crash_time.map_or(String::new(), |time| format!("{time} s since 1970")));
        line("dump level", self.dump_level.to_string());
        let flags = [(self.incomplete, "incomplete"), (self.excluded_vmemmap, "vmemmap excluded")];
        let flags: Vec<&str> = flags.into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        line("flags", flags.join(", "));
        line("split", self.split.map_or(String::new(), |[start, end]| format!("page frames {start:#x}..{end:#x}")));
        line("pages", format!("{} of RAM, {} held, of {} bytes", self.ram_pages, self.held_pages, self.page_size));
        line("cpus", self.cpus.to_string());
        line("phys_base", format!("{:#x}", self.phys_base));
        for note in &self.notes {
            let name = note.name.map_or(String::new(), |name| format!(", {name}"));
            line("note", format!("{} type {:#x}{name}, {} bytes", note.owner, note.r#type, note.size));
        }
        self.erase_info.iter().for_each(|erased| line("erased", erased.clone()));
        self.odd.iter().for_each(|odd| line("odd", odd.clone()));
        out
    }
}

fn container(container: &Container) -> (&'static str, Option<i32>, Option<&'static str>, Option<[u64; 2]>) {
    match container {
        Container::Elf(_) => ("elf", None, None, None),
        Container::Kdump(file) => {
            let split = file.split_range().map(|range| [range.start.0, range.end.0]);
            ("kdump", Some(file.header().main.version), codec(file.header().main.status), split)
        }
        Container::Split(set) => {
            let main = set.parts().first().map(|part| &part.header().main);
            ("kdump", main.map(|m| m.version), main.and_then(|m| codec(m.status)), None)
        }
        Container::Lime(_) => ("lime", None, None, None),
        Container::Avml(_) => ("avml", None, None, None),
        Container::Raw(_) => ("raw", None, None, None),
    }
}

fn codec(status: u32) -> Option<&'static str> {
    let of = |codec: &dump_core::CodecId| status & dump_kdump::desc::flags_of(Some(*codec)) != 0;
    dump_core::CodecId::ALL.iter().find(|codec| of(codec)).map(|codec| codec.name())
}

fn machine(meta: &DumpMeta) -> MachineInfo {
    let m = meta.machine;
    let name = match (machine_name(m), meta.utsname.machine()) {
        ("", name) if name.is_empty() && m.elf_machine == 0 => "unknown".to_owned(),
        ("", name) if name.is_empty() => format!("e_machine {}", m.elf_machine),
        ("", name) => name,
        (name, _) => name.to_owned(),
    };
    MachineInfo {
        elf_machine: m.elf_machine,
        name,
        bits: if m.word == WordSize::Bits64 { 64 } else { 32 },
        byte_order: if m.order == ByteOrder::Little { "little" } else { "big" },
    }
}

fn kernel(meta: &DumpMeta, told: Option<&Vmcoreinfo>) -> KernelInfo {
    let uts = |text: String| Some(text).filter(|text| !text.is_empty());
    let get = |key| told.and_then(|info| info.get(key)).map(str::to_owned);
    KernelInfo {
        release: get("OSRELEASE").or_else(|| uts(meta.utsname.release())),
        version: uts(meta.utsname.version()),
        build_id: get("BUILD-ID"),
        crash_time: told.and_then(Vmcoreinfo::crash_time).or(Some(meta.crash_time)).filter(|time| *time != 0),
        kaslr_offset: get("KERNELOFFSET"),
    }
}

fn notes(meta: &DumpMeta) -> Vec<NoteInfo> {
    let described = dump_elf::describe_notes(&meta.notes, meta.machine.order);
    described.into_iter().map(|n| NoteInfo { owner: n.owner, r#type: n.kind, name: n.name, size: n.size }).collect()
}

/// What somebody should know who wonders why a tool does not open the file.
fn oddities(dump: &Dump, meta: &DumpMeta, told: Option<&Vmcoreinfo>, odd: &mut Vec<String>) {
    let Some(info) = told else {
        odd.push("no VMCOREINFO: drgn cannot open it; gdump looks for it in memory when it converts".to_owned());
        return;
    };
    let in_header = matches!(dump.container, Container::Kdump(_) | Container::Split(_));
    let release = meta.utsname.release();
    if in_header && Some(release.as_str()) != info.release() {
        odd.push(format!("utsname says release {release:?}, VMCOREINFO {:?}", info.release().unwrap_or_default()));
    }
    let phys_base = info.number("phys_base").or_else(|| info.number("PHYS_OFFSET")).map(|value| value as u64);
    if let Some(phys_base) = phys_base.filter(|value| in_header && *value != meta.phys_base) {
        odd.push(format!("phys_base is {:#x} in the header, {phys_base:#x} in VMCOREINFO", meta.phys_base));
    }
    if let Some(size) = info.page_size().filter(|size| in_header && *size != meta.page_size) {
        odd.push(format!("pages of {} bytes, the kernel's have {}", meta.page_size.bytes(), size.bytes()));
    }
}
