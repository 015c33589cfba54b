//! `gdump [OPTIONS] VMCORE DUMPFILE`.

use super::codec::{self, Codec};
use super::file_name;
use super::format;
use super::format::FormatName;
use super::levels::DumpLevels;
use super::message_level::message_level;
use super::number::virtual_address;
use super::pfn_range::pfn_range;
use super::raw::RawArgs;
use super::refused::RefusedArgs;
use super::size;
use super::threads::Threads;
use super::xen::XenArgs;
use crate::messages::MessageLevel;
use dump::{PfnRange, VirtAddr};
use std::ffi::OsString;
use std::path::PathBuf;

/// Options of everything but the verbs; makedumpfile's, where it has them.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// Compress each page with zlib, which every reader supports
    #[arg(short = 'c', overrides_with_all = ["lzo", "snappy", "zstd", "codec"])]
    zlib: bool,
    /// Compress each page with lzo, which is faster than zlib and compresses less
    #[arg(short = 'l', overrides_with_all = ["zlib", "snappy", "zstd", "codec"])]
    lzo: bool,
    /// Compress each page with snappy
    #[arg(short = 'p', overrides_with_all = ["zlib", "lzo", "zstd", "codec"])]
    snappy: bool,
    /// Compress each page with zstd (crash 8.0 or later)
    #[arg(short = 'z', overrides_with_all = ["zlib", "lzo", "snappy", "codec"])]
    zstd: bool,
    /// Compress each page with NAME: zlib, lzo, snappy, zstd or none
    /// [default: none, or with --reassemble as the parts are]
    ///
    /// The first four are the same as the letters above.
    #[arg(
        long,
        verbatim_doc_comment,
        hide_possible_values = true,
        value_name = "NAME",
        value_parser = codec::parser(),
        overrides_with_all = ["zlib", "lzo", "snappy", "zstd"]
    )]
    codec: Option<Codec>,
    /// Exclude pages: the sum of 1 (zero pages), 2 (page cache),
    /// 4 (page cache with private data as well), 8 (user data) and 16 (free pages);
    /// if the dump does not fit at one LEVEL, the next is tried [default: 0]
    ///
    /// Level 31 excludes all of them. Levels above 1 need vmcoreinfo. The file of a dump that does not fit is emptied
    /// before the dump is written at the next level. Zero pages stay in the bitmap of the dump and share one page of data.
    #[arg(
        short = 'd',
        verbatim_doc_comment,
        value_name = "LEVEL[,LEVEL...]",
        default_value = "0",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    pub levels: DumpLevels,
    /// Exclude pages of the vmemmap that hold struct pages of excluded pages alone
    ///
    /// They are a 64th of what is excluded, or more. Readers find no struct page of an excluded page then. It has no
    /// effect on kernels without a vmemmap. Called as makedumpfile, it needs --work-dir.
    #[arg(short = 'e')]
    pub exclude_vmemmap: bool,
    /// Keep what the dump holds beyond the kernel's last section of memory
    ///
    /// QEMU writes the memory of graphics cards too, which may lie far above all RAM. The kernel has no struct pages for
    /// it, and it is left out at every level: whole stretches of pages that lie beyond the last section with struct pages,
    /// if nothing is mapped where theirs would be, the dump is sound, and its kernel has sections (SPARSEMEM, VMEMMAP). The parts of a split dump (--reassemble) keep what
    /// they hold.
    #[arg(long)]
    pub keep_mmio: bool,
    /// Take what the dump's vmcoreinfo lacks from VMLINUX, its kernel's ELF file
    ///
    /// VMLINUX has the kernel's symbols, and its types as DWARF or BTF, which may be in a separate debug file that
    /// .gnu_debuglink or the build ID names. It is asked after the dump's own vmcoreinfo, kallsyms and BTF, which are
    /// enough for most dumps. The VMLINUX of another kernel is refused, with exit status 2.
    #[arg(short = 'x', value_name = "VMLINUX")]
    pub vmlinux: Option<PathBuf>,
    /// Take what the dump's vmcoreinfo lacks from VMCOREINFO, a text file
    ///
    /// That of another kernel is refused, with exit status 2.
    #[arg(short = 'i', value_name = "VMCOREINFO")]
    pub vmcoreinfo: Option<PathBuf>,
    /// Take what a Windows guest did not publish from FILE, its kernel's PDB
    ///
    /// For --format dmp: a guest without virtio-win's fwcfg driver has no header in its notes. Without FILE, or with
    /// another kernel's, gdump says where on Microsoft's symbol server the one is that is needed.
    #[arg(long, value_name = "FILE")]
    pub pdb: Option<PathBuf>,
    /// Keep FILE, what qvm says of the virtual machine, in the notes of DUMPFILE
    /// [default: NAME.gcore.env, NAME.env or env beside a QNX guest's NAME.gcore]
    ///
    /// It is qvm's env file (/dev/qvm/GUEST/env), JSON of at most 1 MiB. gdump info shows it, of all formats that have
    /// notes: kdump, elf and gcore.
    #[arg(long, verbatim_doc_comment, value_name = "FILE", value_parser = file_name::any())]
    pub qvm_env: Option<PathBuf>,
    /// Write vmcoreinfo of VMLINUX (-x) to FILE, for -i, and no dump
    #[arg(short = 'g', value_name = "FILE")]
    pub generate: Option<PathBuf>,
    /// Write an ELF core; the same as --format elf
    #[arg(short = 'E')]
    pub elf: bool,
    /// Write FORMAT: kdump, elf, gcore (an ELF core of the QNX hypervisor), dmp (a
    /// Windows crash dump), raw (memory from address 0) or lime [default: kdump]
    ///
    /// Only kdump dumps have compressed pages and can be split. A gcore dump is ELF64 whatever the machine is; its last
    /// PT_NOTE has the registers as sys/kdump.h describes them, for kdserver, gdb and use -i. They are those of the
    /// .gcore that was read or, of another dump, come from its notes; x86, x86-64 and AArch64 have a form for them.
    /// dmp is of Windows guests alone: a full dump where RAM has at most 42 runs and no page is left out, else one with a
    /// bitmap. Its header is that of the Windows dump or of the note in which the guest published it; see --pdb.
    #[arg(long, verbatim_doc_comment, value_name = "FORMAT", hide_possible_values = true, value_parser = format::parser())]
    pub format: Option<FormatName>,
    /// Write the dump to stdout in the flattened format, for a pipe
    ///
    /// It is written in one pass that never seeks. Messages go to stderr.
    #[arg(short = 'F')]
    pub flattened: bool,
    /// Turn a flattened dump, from FILE or stdin, into a regular one
    ///
    /// What follows its end marker is ignored. If it ends early, the part of the dump that arrived is kept and
    /// flagged incomplete. If the input is not a flattened dump, nothing is written.
    #[arg(short = 'R')]
    pub rearrange: bool,
    /// Split the dump into several files of about the same size
    #[arg(long)]
    pub split: bool,
    /// Split at multiples of KB KiB of memory [default: 16384]
    #[arg(long, value_name = "KB", value_parser = size::kib)]
    pub splitblock_size: Option<u64>,
    /// Write only the part of a split dump with page frames A up to, not including, B
    ///
    /// A is a multiple of 64. Either number may be omitted. Parts written with the same options, even on different
    /// machines, can be joined with --reassemble.
    #[arg(long, value_name = "A..B", value_parser = pfn_range)]
    pub pfn_range: Option<PfnRange>,
    /// Join the parts of a split dump
    ///
    /// They may be given in any order. Pages stay compressed as they are unless a codec is given.
    #[arg(long)]
    pub reassemble: bool,
    /// Write the log of the dumped kernel to DUMPFILE, as text
    ///
    /// A line has the seconds since boot and which thread (T) or CPU (C) logged it; the further lines of a message are
    /// indented. Bytes that are not printable ASCII are written as \x and two digits. What is sound of a damaged log is
    /// written, and the exit status is 1. With -F, it goes to stdout as it is.
    #[arg(long)]
    pub dump_dmesg: bool,
    /// With --dump-dmesg, write only what was logged after the last dmesg -c
    #[arg(long)]
    pub partial_dmesg: bool,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Read FILE as a disk of a sadump disk set, once for each disk, without VMCORE
    ///
    /// The disks may be given in any order, and as several VMCOREs as well.
    #[arg(long, value_name = "FILE", value_parser = file_name::any())]
    pub diskset: Vec<PathBuf>,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed VMCORE or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    ///
    /// A compressed file and what comes from a pipe are copied to a temporary file without a name, for their pages are
    /// not read in their order. SIZE counts zeros, which take no room there; the default does not.
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// Use read(2), not mmap(2), on /proc/vmcore
    ///
    /// This is slower. Other files are never mapped.
    #[arg(long)]
    pub non_mmap: bool,
    /// Write to a new file PREFIX-YYYYMMDD-hhmmss.FORMAT in DIR, without DUMPFILE
    ///
    /// The ending is the name of the format: gcore, elf, kdump, dmp, lime or raw. The file is made before anything is read, and
    /// none is ever overwritten: where one of that name is there, -1 to -9 comes before the ending, and where all ten are
    /// there, nothing is written, as the QNX hypervisor does it. The time is that of the start, in the time zone of the
    /// machine (TZ, /etc/localtime; UTC without them). The time of SOURCE_DATE_EPOCH, in seconds since 1970, is taken
    /// instead if it is set, and named in UTC.
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Begin the name in DIR (--output-dir) with PREFIX [default: qvm-guest]
    #[arg(long, value_name = "PREFIX", value_parser = file_name::prefix())]
    pub prefix: Option<OsString>,
    /// Overwrite DUMPFILE
    #[arg(short = 'f')]
    pub force: bool,
    /// Give DUMPFILE its name only when it is whole
    ///
    /// It is DUMPFILE.incomplete until then, and stays so if anything goes wrong. With -f, the file that is overwritten
    /// is there until then. Raw, LiME and Windows dumps, which have no flag for
    /// incomplete ones, are always written so.
    #[arg(long)]
    pub atomic: bool,
    /// Do not wait until the dump is stored on its disk
    ///
    /// Without this option, success is reported only when even a loss of power would not take the dump.
    #[arg(long)]
    pub no_sync: bool,
    /// Print debug messages about the crashed kernel (adds 8 to the message level)
    #[arg(short = 'D')]
    pub debug: bool,
    /// Use N threads; the output is the same for any N [default: the number of CPUs]
    ///
    /// Only CPUs that the process may use count. A number far above theirs is lowered, with a warning.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// Use at most SIZE bytes of memory (64M, 1G); the output is the same for any SIZE
    /// [default: half of the available memory]
    ///
    /// K, M, G and T stand for units of 1024. Available is what the machine has left, or what the control group of the
    /// process still allows, if that is less. gdump needs one bit for each page of the machine (32 MiB for 1 TiB) and
    /// 288 KiB for each thread. If the bits of all pages do not fit, fewer threads are used, and struct pages are read
    /// two or three times, one part of memory after the other. About 7 MiB are used in any case.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "SIZE",
        value_parser = size::memory,
    )]
    pub max_memory: Option<u64>,
    /// Hold at most KB KiB of page bitmap, rereading struct pages for each part of memory
    ///
    /// A KiB covers 32 MiB of memory in pages of 4 KiB; the minimum is 4 KiB. The output is the same for any KB. This
    /// is for compatibility: memory is limited by --max-memory and by what is available.
    #[arg(long, value_name = "KB", value_parser = size::kib)]
    pub cyclic_buffer: Option<u64>,
    /// Print the sum of 1 (progress), 2 (common messages), 4 (errors), 8 (debug messages)
    /// and 16 (page report) [default: 7]
    ///
    /// Progress goes to stderr, drawn anew on a terminal and in lines elsewhere; errors and warnings go there, too. With 0 there is only the
    /// exit status.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "N",
        value_parser = message_level,
    )]
    message_level: Option<MessageLevel>,
    /// Print makedumpfile's page report (adds 16 to the message level)
    ///
    /// Its counts are hexadecimal.
    #[arg(long)]
    show_stats: bool,
    /// Write checksums of DUMPFILE to DUMPFILE.sum
    ///
    /// gdump check compares the dump with them where they are there, and names what is damaged.
    #[arg(long)]
    pub checksum: bool,
    /// Do everything but write DUMPFILE
    #[arg(long)]
    pub dry_run: bool,
    /// Fail if pages of a class in LEVEL cannot be identified, rather than keep them
    ///
    /// Without this option they are kept, and a warning names the class and what is missing.
    #[arg(long)]
    pub strict: bool,
    /// Print the physical address of virtual address ADDR, then write the dump
    ///
    /// A user address is one of the process that ran where the kernel crashed. One that is not mapped is printed as all
    /// ones, with a warning.
    #[arg(long, value_name = "ADDR", value_parser = virtual_address)]
    pub vtop: Option<VirtAddr>,
    /// Write at most SIZE bytes (64M, 1G) to each DUMPFILE
    ///
    /// What does not fit is a full disk: the next LEVEL is tried, or the dump ends, flagged incomplete.
    #[arg(short = 'L', value_name = "SIZE", value_parser = size::limit)]
    pub limit: Option<u64>,
    /// Print how many pages of each class VMCORE has, and write nothing
    ///
    /// The dump levels of the classes are added to exclude them; see -d. VMCORE may be /proc/kcore.
    #[arg(long)]
    pub mem_usage: bool,
    /// Only check the options, print what is wrong with them, and exit
    #[arg(long)]
    pub check_params: bool,
    /// Put temporary files into DIR [default: TMPDIR, or /tmp]
    ///
    /// gdump needs none but for a compressed VMCORE or a pipe. If there is no such directory, the default is used.
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// No effect: buffers have the size that suits them (makedumpfile: 2^ORDER pages)
    #[arg(short = 'b', hide_short_help = true, value_name = "ORDER", allow_negative_numbers = true)]
    pub buffer_order: Option<i128>,
    /// Print the version and the codecs
    #[arg(short = 'v')]
    pub version: bool,
    #[command(flatten)]
    pub xen: XenArgs,
    #[command(flatten)]
    refused: RefusedArgs,
    /// VMCORE and DUMPFILE, or what the mode takes.
    #[arg(value_name = "FILES", hide = true, value_parser = file_name::any())]
    pub files: Vec<PathBuf>,
}

impl ConvertArgs {
    /// The codec, by whichever option was given last.
    pub fn codec(&self) -> Option<Codec> {
        let letters = [(self.zlib, "zlib"), (self.lzo, "lzo"), (self.snappy, "snappy"), (self.zstd, "zstd")];
        let letter = letters.into_iter().find_map(|(given, name)| given.then(|| codec::named(name)));
        letter.or(self.codec)
    }

    /// Why what is asked for is refused, if an option asks for what is not done.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused.reason()
    }

    /// Which messages are printed.
    pub fn messages(&self) -> MessageLevel {
        let mut level = self.message_level.unwrap_or_default();
        level.set(MessageLevel::DEBUG, self.debug || level.contains(MessageLevel::DEBUG));
        level.set(MessageLevel::REPORT, self.show_stats || level.contains(MessageLevel::REPORT));
        level
    }
}
