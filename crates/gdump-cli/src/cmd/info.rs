//! `gdump info FILE`: what a dump is, from its headers alone.

use crate::escape::escaped_line;
use crate::exit::Exit;
use crate::messages::print;
use crate::plan::InfoPlan;
use crate::qvm_env::QvmEnv;
use dump::{
    ByteOrder, Detail, Dump, DumpMeta, OwnNote, QnxCpu, QnxGuest, Result, Vmcoreinfo, WindowsHeader, WordSize,
    windows_header,
};
use serde::Serialize;
use std::collections::BTreeMap;
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
    details: Vec<DetailInfo>,
    notes: Vec<NoteInfo>,
    erase_info: Vec<String>,
    qnx: Option<QnxInfo>,
    windows: Option<WindowsInfo>,
    qvm_env: Option<serde_json::Value>,
    odd: Vec<String>,
    #[serde(skip)]
    env_lines: Vec<String>,
}

/// What else headers say.
#[derive(Serialize)]
struct DetailInfo {
    name: &'static str,
    text: String,
}

/// What the QNX hypervisor says of a guest.
#[derive(Serialize)]
struct QnxInfo {
    signal: u8,
    code: u8,
    fault: u8,
    failed_cpu: u16,
    cpus: Vec<QnxCpuInfo>,
    log: Option<String>,
}

#[derive(Serialize)]
struct QnxCpuInfo {
    number: u32,
    page_table: String,
    process: Option<String>,
    registers: BTreeMap<String, String>,
}

/// What the header of a Windows crash dump says.
#[derive(Serialize)]
struct WindowsInfo {
    build: Option<u32>,
    major_version: u32,
    product_type: Option<u32>,
    dump_type: u32,
    dump_type_name: Option<&'static str>,
    bugcheck_code: Option<String>,
    bugcheck_parameters: [String; 4],
    processors: Option<u32>,
    system_time: Option<u64>,
    up_time: Option<u64>,
    page_table: Option<String>,
    debugger_data: Option<String>,
    pfn_database: Option<String>,
    loaded_modules: Option<String>,
    active_processes: Option<String>,
    comment: String,
    doubtful: Vec<String>,
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
/// If it cannot be opened.
pub fn run(plan: &InfoPlan) -> Result<Exit> {
    let dump = super::open(&plan.inputs)?;
    let files = plan.inputs.paths.iter().map(|path| path.display().to_string()).collect();
    let info = Info::new(plan, files, &dump)?;
    if plan.json {
        let json = serde_json::to_string_pretty(&info).unwrap_or_default();
        return Ok(print(&format!("{json}\n")));
    }
    Ok(print(&info.text()))
}

impl Info {
    fn new(plan: &InfoPlan, files: Vec<String>, dump: &Dump) -> Result<Info> {
        let (meta, what, kernel_info) = (dump.meta(), dump.describe(), dump.vmcoreinfo());
        let (ram, held) = dump::bitmaps(dump.source())?;
        let mut odd: Vec<String> = dump.damage().iter().map(|damage| damage.to_string()).collect();
        odd.extend(dump.header_faults().iter().map(|fault| fault.to_string()));
        odd.extend(dump.oddities());
        let guest = QnxGuest::of(&meta.notes);
        let env = env(plan, meta, guest.is_some(), &mut odd)?;
        Ok(Info {
            schema_version: SCHEMA_VERSION,
            files,
            layers: dump.layers().to_vec(),
            container: what.format,
            flavor: what.producer,
            header_version: what.version,
            codec: what.codec.map(|codec| codec.name()),
            machine: machine(meta),
            page_size: meta.page_size.bytes(),
            end_pfn: meta.end_pfn.0,
            ram_pages: ram.count(ram.span()),
            held_pages: held.count(held.span()),
            dump_level: meta.dump_level,
            incomplete: meta.incomplete,
            excluded_vmemmap: meta.excluded_vmemmap,
            split: what.part.map(|part| [part.start.0, part.end.0]),
            kernel: kernel(meta, kernel_info.as_ref()),
            cpus: meta.cpus(),
            phys_base: meta.phys_base.unwrap_or(0),
            details: dump.details().into_iter().map(|Detail { name, text }| DetailInfo { name, text }).collect(),
            notes: notes(meta),
            erase_info: String::from_utf8_lossy(&meta.erase_info).lines().map(str::to_owned).collect(),
            qnx: guest.map(|guest| qnx(guest, meta)),
            windows: windows_header(&meta.notes).map(|header| WindowsInfo::of(&header)),
            env_lines: env.as_ref().map_or(Vec::new(), QvmEnv::lines),
            qvm_env: env.map(|env| env.value),
            odd,
        })
    }

    /// For people.
    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: String| {
            if !text.is_empty() {
                let _ = writeln!(out, "{label:<12} {}", escaped_line(&text));
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
        self.details.iter().for_each(|detail| line(detail.name, detail.text.clone()));
        for note in &self.notes {
            let name = note.name.map_or(String::new(), |name| format!(", {name}"));
            line("note", format!("{} type {:#x}{name}, {} bytes", note.owner, note.r#type, note.size));
        }
        self.erase_info.iter().for_each(|erased| line("erased", erased.clone()));
        if let Some(qnx) = &self.qnx {
            let QnxInfo { signal, code, fault, failed_cpu, .. } = qnx;
            line("qnx", format!("signal {signal}, code {code}, fault {fault}, cpu {failed_cpu}"));
            qnx.cpus.iter().for_each(|cpu| line("vcpu", cpu.text()));
            qnx.log.iter().flat_map(|log| log.lines()).for_each(|text| line("qnx log", text.to_owned()));
        }
        if let Some(windows) = &self.windows {
            windows.lines().into_iter().for_each(|text| line("windows", text));
            windows.doubtful.iter().for_each(|text| line("doubtful", text.clone()));
        }
        self.env_lines.iter().for_each(|text| line("qvm env", text.clone()));
        self.odd.iter().for_each(|odd| line("odd", odd.clone()));
        out
    }
}

impl WindowsInfo {
    fn of(header: &WindowsHeader) -> WindowsInfo {
        let hex = |value: u64| format!("{value:#x}");
        let kind = header.dump_type();
        WindowsInfo {
            build: header.build(),
            major_version: header.major_version(),
            product_type: header.product_type(),
            dump_type: kind.number(),
            dump_type_name: kind.name(),
            bugcheck_code: header.bugcheck_code().map(|code| hex(code.into())),
            bugcheck_parameters: header.bugcheck_parameters().map(hex),
            processors: header.cpus(),
            system_time: header.system_time(),
            up_time: header.up_time(),
            page_table: header.page_table().map(hex),
            debugger_data: header.debugger_data().map(hex),
            pfn_database: header.pfn_database().map(hex),
            loaded_modules: header.modules().map(hex),
            active_processes: header.processes().map(hex),
            comment: header.comment(),
            doubtful: header.doubts(),
        }
    }

    /// For people.
    fn lines(&self) -> Vec<String> {
        let known = |number: Option<u32>| number.map_or("unknown".to_owned(), |number| number.to_string());
        let product = match self.product_type {
            Some(1) => ", workstation",
            Some(2) => ", domain controller",
            Some(3) => ", server",
            _ => "",
        };
        let name = self.dump_type_name.map_or(String::new(), |name| format!(", {name}"));
        let up = self.up_time.map_or(String::new(), |up| format!(", up {up} s"));
        let time = self.system_time.map(|time| format!("time {time} s since 1970{up}"));
        let place = |name: &str, at: &Option<String>| at.as_ref().map(|at| format!("{name} {at}"));
        let places = [
            place("page table", &self.page_table),
            place("debugger data", &self.debugger_data),
            place("pfn database", &self.pfn_database),
            place("modules", &self.loaded_modules),
            place("processes", &self.active_processes),
        ];
        let code = self.bugcheck_code.as_deref().unwrap_or("unknown");
        let lines = [
            Some(format!("build {}{product}, {} processors", known(self.build), known(self.processors))),
            Some(format!("dump type {:#x}{name}", self.dump_type)),
            Some(format!("bug check {code}, parameters {}", self.bugcheck_parameters.join(" "))),
            time,
            Some(places.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            Some(format!("comment {}", self.comment)).filter(|_| !self.comment.is_empty()),
        ];
        lines.into_iter().flatten().collect()
    }
}

impl QnxCpuInfo {
    fn of(cpu: &QnxCpu, meta: &DumpMeta) -> QnxCpuInfo {
        let named = cpu.named_registers(meta.machine);
        QnxCpuInfo {
            number: cpu.number,
            page_table: format!("{:#x}", cpu.page_table),
            process: Some(cpu.process.clone()).filter(|name| !name.is_empty()),
            registers: named.into_iter().map(|(name, value)| (name, format!("{value:#x}"))).collect(),
        }
    }

    /// The registers that say most.
    fn text(&self) -> String {
        let process = self.process.as_ref().map_or(String::new(), |name| format!(", process {name}"));
        let shown = ["rip", "rsp", "eip", "esp", "pc", "sp"];
        let shown = shown.iter().filter_map(|name| Some((name, self.registers.get(*name)?)));
        let registers: String = shown.map(|(name, value)| format!(", {name} {value}")).collect();
        format!("{}, page table {}{process}{registers}", self.number, self.page_table)
    }
}

fn qnx(guest: QnxGuest, meta: &DumpMeta) -> QnxInfo {
    let [signal, code, fault] = guest.head.cause;
    QnxInfo {
        signal,
        code,
        fault,
        failed_cpu: guest.head.faulting_cpu,
        cpus: guest.cpus.iter().map(|cpu| QnxCpuInfo::of(cpu, meta)).collect(),
        log: guest.log,
    }
}

/// The env file of the virtual machine: the one that was given, or in the dump's notes, or beside it. What nobody asked
/// for and cannot be read is odd.
fn env(plan: &InfoPlan, meta: &DumpMeta, guest: bool, odd: &mut Vec<String>) -> Result<Option<QvmEnv>> {
    let found = match meta.notes.own(OwnNote::QvmEnv).filter(|_| plan.inputs.qvm_env.is_none()) {
        Some(text) => QvmEnv::of(text.to_vec()).map(Some).map_err(|e| e.within("qvm env in the notes")),
        None => plan.inputs.qvm_env(guest),
    };
    match found {
        Err(e) if plan.inputs.qvm_env.is_none() => {
            odd.push(e.to_string());
            Ok(None)
        }
        found => found,
    }
}

fn machine(meta: &DumpMeta) -> MachineInfo {
    let m = meta.machine;
    let stated = meta.utsname.map(|names| names.machine()).filter(|name| !name.is_empty());
    let name = match (m.name(), stated, m.elf_machine) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(name), _) => name,
        (None, None, Some(number)) => format!("e_machine {number}"),
        (None, None, None) => "unknown".to_owned(),
    };
    MachineInfo {
        elf_machine: m.elf_machine.unwrap_or(0),
        name,
        bits: if m.word == WordSize::Bits64 { 64 } else { 32 },
        byte_order: if m.order == ByteOrder::Little { "little" } else { "big" },
    }
}

fn kernel(meta: &DumpMeta, info: Option<&Vmcoreinfo>) -> KernelInfo {
    let get = |key| info.and_then(|info| info.get(key)).map(str::to_owned);
    let version = meta.utsname.map(|names| names.version()).filter(|text| !text.is_empty());
    KernelInfo {
        release: get("OSRELEASE").or_else(|| meta.release()),
        version,
        build_id: get("BUILD-ID"),
        crash_time: info.and_then(Vmcoreinfo::crash_time).or(meta.crash_time).filter(|time| *time != 0),
        kaslr_offset: get("KERNELOFFSET"),
    }
}

fn notes(meta: &DumpMeta) -> Vec<NoteInfo> {
    let described = meta.notes.describe();
    described.into_iter().map(|n| NoteInfo { owner: n.owner, r#type: n.kind, name: n.name, size: n.size }).collect()
}
