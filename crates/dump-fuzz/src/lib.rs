#![forbid(unsafe_code)]
// An input that breaks a promise ends the process: that is how a fuzzer learns of it. Fakes fit any host.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

//! What the fuzz targets do with an input, and the inputs they begin with.
//!
//! libFuzzer calls these functions by way of `fuzz/`, with sanitizers, limits on time and memory, and a nightly compiler;
//! `tests/inputs.rs` calls them with all seeds and with every input that once broke something, on any compiler. So each
//! must be deterministic, and each asserts more than that nothing panics:
//!
//! | targets | what is promised |
//! |---|---|
//! | `elf`, `kdump`, `descriptors`, `split`, `lime`, `avml`, `dmp`, `migration`, `sadump`, `vmware` | spans ascend without gaps; pages read in any pieces are the same; a check names each page that cannot be read, and no other |
//! | `salvage` | the same of what is left of damaged files |
//! | `sums` | checksums name each byte that is not as it was |
//! | `flat`, `flat_stream` | an index and `-R` make one image; what was written is what is read |
//! | `notes`, `vmcoreinfo` | places lie in the text; a text put in is found again; the first line of a key counts; fewer keys leave out no more |
//! | `page_tables`, `walks` | a second walk, written here, comes to the same place |
//! | `mem_map`, `free_lists`, `filter` | runs ascend; a struct page and its pfn name each other; counts add up; windows of any size keep the same pages |
//! | `log` | what is given of a kernel log is bounded by its buffers; a part is no more than all |
//! | `btf`, `kallsyms`, `vmlinux` | tables take no more work than they have bytes; what is asked twice is answered the same |
//! | `deflate`, `zlib`, `lzo`, `snappy`, `zstd` | what comes back is the page; what was compressed before does not show |
//! | `pdb` | whatever a PDB holds, there is a header of a Windows crash dump or an error |
//! | `packed` | a file compressed in several members unpacks to all that was put in |
//! | `monitor` | messages of QMP are the same in any pieces; a map of RAM ascends and is read again as it was |
//! | `xen` | frames of a host are shown once, in order; domain 0's frames and the machine's name each other |
//! | `whole` | what was converted holds the same pages and passes a check |

mod codec;
mod deflate;
mod descriptors;
mod fakes;
mod filter;
mod flat;
mod free_lists;
mod input;
mod log;
mod look;
mod mem_map;
mod monitor;
mod notes;
mod opened;
mod packed;
mod page_tables;
mod patch;
mod salvage;
mod samples;
mod split;
mod sums;
mod symbols;
mod vmcoreinfo;
mod walks;
mod whole;
mod windows;
mod xen;

/// An input to begin with, and its name.
pub type Seed = (String, Vec<u8>);

/// A fuzz target: a row of [`TARGETS`].
pub struct Target {
    /// Its name, and that of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Does what it does with an input; panics where a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to begin with, small ones: a fuzzer changes bytes at random.
    pub seeds: fn() -> Vec<Seed>,
}

/// Every target.
#[rustfmt::skip] // a row a target
pub const TARGETS: &[Target] = &[
    Target { name: "elf", run: opened::elf, seeds: samples::elf },
    Target { name: "notes", run: notes::run, seeds: notes::seeds },
    Target { name: "kdump", run: opened::kdump, seeds: samples::kdump },
    Target { name: "descriptors", run: descriptors::run, seeds: descriptors::seeds },
    Target { name: "split", run: split::run, seeds: split::seeds },
    Target { name: "flat", run: flat::read, seeds: samples::flat },
    Target { name: "flat_stream", run: flat::write, seeds: flat::seeds },
    Target { name: "lime", run: opened::lime, seeds: samples::lime },
    Target { name: "avml", run: opened::avml, seeds: samples::avml },
    Target { name: "dmp", run: opened::dmp, seeds: samples::dmp },
    Target { name: "pdb", run: windows::pdb, seeds: windows::seeds },
    Target { name: "migration", run: opened::migration, seeds: samples::migration },
    Target { name: "sadump", run: opened::sadump, seeds: samples::sadump },
    Target { name: "vmware", run: opened::vmware, seeds: samples::vmware },
    Target { name: "vmcoreinfo", run: vmcoreinfo::run, seeds: vmcoreinfo::seeds },
    Target { name: "page_tables", run: page_tables::run, seeds: page_tables::seeds },
    Target { name: "walks", run: walks::run, seeds: walks::seeds },
    Target { name: "mem_map", run: mem_map::run, seeds: fakes::seeds },
    Target { name: "free_lists", run: free_lists::run, seeds: fakes::seeds },
    Target { name: "filter", run: filter::run, seeds: filter::seeds },
    Target { name: "log", run: log::run, seeds: log::seeds },
    Target { name: "deflate", run: deflate::run, seeds: samples::pages },
    Target { name: "zlib", run: codec::zlib, seeds: codec::seeds },
    Target { name: "lzo", run: codec::lzo, seeds: codec::seeds },
    Target { name: "snappy", run: codec::snappy, seeds: codec::seeds },
    Target { name: "zstd", run: codec::zstd, seeds: codec::seeds },
    Target { name: "salvage", run: salvage::run, seeds: salvage::seeds },
    Target { name: "sums", run: sums::run, seeds: sums::seeds },
    Target { name: "packed", run: packed::run, seeds: packed::seeds },
    Target { name: "btf", run: symbols::btf, seeds: symbols::btf_seeds },
    Target { name: "kallsyms", run: symbols::kallsyms, seeds: symbols::kallsyms_seeds },
    Target { name: "vmlinux", run: symbols::vmlinux, seeds: symbols::vmlinux_seeds },
    Target { name: "monitor", run: monitor::run, seeds: monitor::seeds },
    Target { name: "xen", run: xen::run, seeds: xen::seeds },
    Target { name: "whole", run: whole::run, seeds: whole::seeds },
];

/// Runs the target of that name.
///
/// # Panics
/// Where there is none, or the input breaks a promise.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).run)(data);
}

/// Does `work` on a pool of this thread alone, so that an input takes the same way every time.
fn alone<R>(work: impl FnOnce() -> R + Send) -> R
where
    R: Send,
{
    thread_local! {
        static POOL: rayon::ThreadPool =
            rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().expect("a pool of one");
    }
    POOL.with(|pool| pool.install(work))
}
