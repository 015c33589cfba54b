//! Memory of the process that ran where the kernel crashed: user addresses mean what its page tables say.
//!
//! ```text
//! crashing_cpu ──> __per_cpu_offset[cpu] + current_task ──> task_struct.mm ──> mm_struct.pgd
//! ```

use crate::arch::Space;
use crate::kernel::Kernel;
use crate::memory::PhysMemory;
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use crate::xlat::{TableCache, Translate};
use dump_core::{Error, ErrorKind, PhysAddr, Result, VirtAddr};

/// Variables with the number of the CPU that crashed, -1 on a machine that did not: x86's, and since 4.5 everybody's
/// (1717f2096b54).
const CRASHED: [&str; 2] = ["crashing_cpu", "panic_cpu"];

/// Variables of each CPU whose member, or they themselves, point at the task that it runs:
///
/// | variable | where |
/// |---|---|
/// | `pcpu_hot` | x86, 6.2 to 6.14 (e57ef2ed97c1) |
/// | `current_task` | x86, before and after |
/// | `__entry_task` | arm64, since 4.10 (c02433dd6de3) |
/// | `runqueues` | everywhere (kernel/sched/core.c) |
const CURRENT: [(&str, Option<&str>); 4] = [
    ("pcpu_hot", Some("pcpu_hot.current_task")),
    ("current_task", None),
    ("__entry_task", None),
    ("runqueues", Some("rq.curr")),
];

/// CPUs that a kernel can have, and more (Linux arch/x86/Kconfig: NR_CPUS).
const MAX_CPUS: u32 = 1 << 16;

impl Kernel {
    /// The physical address of `at`, kernel memory or memory of the process that ran where the kernel crashed.
    ///
    /// # Errors
    /// As [`Translate::translate`]; for a user address `MissingInfo` if no CPU crashed, it ran no process, or nothing
    /// says where that is found, which vmcoreinfo does not: kallsyms and BTF do, or a vmlinux.
    pub fn phys_of(&self, phys: &dyn PhysMemory, at: VirtAddr) -> Result<PhysAddr> {
        let mut memory = self.memory(phys);
        let space = self.arch().space_of(at);
        if space != Space::Process {
            match memory.translate(at) {
                Err(e) if e.kind() == ErrorKind::NoMemory && space == Space::Either => {}
                found => return found.map(|mapping| mapping.phys),
            }
        }
        let tables = self.with_symbols(phys, |symbols| self.process(symbols, &mut memory));
        let tables = tables.map_err(|e| match space {
            Space::Either => e.within(format_args!("{at} is not mapped by the kernel; of the process that crashed")),
            _ => e.within(format_args!("user address {at}, of the process that crashed")),
        })?;
        let mapping = tables.translate(phys.reader().as_mut(), &mut TableCache::default(), at);
        mapping.map(|mapping| mapping.phys).map_err(|e| e.within("the process that crashed"))
    }

    /// The walk of the page tables of the process that crashed.
    fn process(&self, symbols: &dyn KernelSymbols, memory: &mut KernelMemory<'_>) -> Result<Box<dyn Translate>> {
        let at = |from: VirtAddr, into: u64| VirtAddr(from.0.wrapping_add(into));
        let cpu = crashed_cpu(symbols, memory)?;
        let table = symbol(symbols, "__per_cpu_offset")?;
        let own = memory.read_word(at(table, u64::from(cpu) * self.words().bytes() as u64))?;
        let current = CURRENT.iter().find_map(|(name, member)| {
            let into = member.map_or(Some(0), |member| symbols.offset_of(member))?;
            Some(at(symbols.symbol(name)?, into))
        });
        let current = current.ok_or_else(|| lacking("SYMBOL(current_task)"))?;
        let task = memory.read_pointer(at(current, own))?;
        let mm = memory.read_pointer(at(task, offset(symbols, "task_struct.mm")?))?;
        if mm.0 == 0 {
            return Err(Error::missing("a task of the kernel's, without user memory, ran where it crashed"));
        }
        let root = memory.read_pointer(at(mm, offset(symbols, "mm_struct.pgd")?))?;
        let root = memory.translate(root)?.phys;
        self.arch().page_tables_at(self.facts(symbols), root).ok_or_else(|| {
            Error::unsupported(format!("page tables of processes of {} are not supported yet", self.arch().name()))
        })
    }
}

fn crashed_cpu(symbols: &dyn KernelSymbols, memory: &mut KernelMemory<'_>) -> Result<u32> {
    let mut known = CRASHED.iter().filter_map(|name| symbols.symbol(name)).peekable();
    known.peek().ok_or_else(|| lacking("SYMBOL(crashing_cpu)"))?;
    let mut numbers = known.map(|at| memory.read_u32(at));
    let found = numbers.find(|number| number.as_ref().map_or(true, |number| *number < MAX_CPUS));
    found.unwrap_or_else(|| Err(Error::missing("no CPU crashed")))
}

fn symbol(symbols: &dyn KernelSymbols, name: &str) -> Result<VirtAddr> {
    symbols.symbol(name).ok_or_else(|| lacking(&format!("SYMBOL({name})")))
}

fn offset(symbols: &dyn KernelSymbols, member: &str) -> Result<u64> {
    symbols.offset_of(member).ok_or_else(|| lacking(&format!("OFFSET({member})")))
}

fn lacking(key: &str) -> Error {
    Error::missing(format!("the kernel's memory does not say {key}")).hint("-x VMLINUX does")
}
