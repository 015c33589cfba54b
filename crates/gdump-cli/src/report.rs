//! What was left out, what was kept, and what that saved.

use crate::escape::escaped_line;
use dump::{Converted, Counts, DumpLevel, DumpMeta, HostTally, PageSize, Reason, Tally};
use std::fmt::Write;

/// The numbers of one dump. Pages unless said otherwise.
pub struct Report<'a> {
    meta: &'a DumpMeta,
    /// Page frames that are RAM.
    ram: u64,
    /// Page frames that the source itself holds nothing of.
    not_held: u64,
    /// Left out by struct page.
    tally: &'a Tally,
    /// Pages of a Xen host.
    host: &'a HostTally,
    /// Page frames beyond memory left out, which are none of the RAM.
    mmio: u64,
    /// Page frames of the vmemmap left out, of which makedumpfile's numbers know nothing.
    struct_pages: u64,
    /// What became of the rest.
    counts: Counts,
    /// Whether zero pages count as left out.
    zero_excluded: bool,
    /// Pages that were to be written.
    dumpable: u64,
    /// Size of the dump file (bytes).
    file_len: u64,
    /// Bytes written to it.
    written: u64,
}

impl<'a> Report<'a> {
    /// Of a conversion that was done.
    pub fn new(done: &'a Converted) -> Report<'a> {
        let (meta, outcome) = (&done.meta, &done.outcome);
        Report {
            meta,
            ram: done.ram_pages,
            not_held: done.ram_pages - done.held_pages.min(done.ram_pages),
            tally: &done.findings.tally,
            host: &done.findings.host,
            mmio: done.mmio.map_or(0, |mmio| mmio.pages),
            struct_pages: done.findings.struct_pages,
            counts: outcome.counts,
            zero_excluded: meta.dump_level & DumpLevel::ZERO.bits() != 0,
            dumpable: done.dumpable,
            file_len: outcome.lengths.iter().sum::<u64>().min(outcome.written), // holes take no room
            written: outcome.written,
        }
    }

    /// Page frames below the end of memory.
    fn total(&self) -> u64 {
        self.meta.end_pfn.0
    }

    fn zero(&self) -> u64 {
        if self.zero_excluded { self.counts.zero } else { 0 }
    }

    fn excluded(&self) -> u64 {
        self.tally.total() + self.host.excluded() + self.zero()
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let size = self.meta.page_size;
        let mut out = String::new();
        let kernel = self.meta.release().map_or("unknown kernel".to_owned(), |release| format!("Linux {release}"));
        let mut line = |label: &str, pages: u64| {
            let _ = writeln!(out, "  {label:<24} {pages:>12} pages  {:>10}", bytes(size.bytes_of(pages)));
        };
        line("memory", self.ram);
        let rows = [
            ("zero", self.zero()),
            ("cache", self.tally.count(Reason::Cache)),
            ("cache, private", self.tally.count(Reason::CachePrivate)),
            ("user", self.tally.count(Reason::User)),
            ("free", self.tally.count(Reason::Free)),
            ("hwpoison", self.tally.count(Reason::Hwpoison)),
            ("offline", self.tally.count(Reason::Offline)),
            ("unaccepted", self.tally.count(Reason::Unaccepted)),
            ("vmemmap", self.struct_pages),
            ("Xen: guests", self.host.guests),
            ("Xen: free", self.host.free),
            ("Xen: free, not scrubbed", self.host.dirty),
            ("Xen: broken, offline", self.host.broken),
            ("not in the source", self.not_held),
        ];
        rows.into_iter().filter(|(_, pages)| *pages != 0).for_each(|(label, pages)| line(&format!("- {label}"), pages));
        // what proves nothing may be zero, and is in that row then
        let unproven = self.tally.total_doubtful() + self.host.unknown;
        let zeros = self.zero() != 0;
        if unproven != 0 && zeros {
            line("zero or kept, unproven", unproven);
        }
        line("kept", self.dumpable - self.zero().min(self.dumpable));
        for (label, pages) in [
            ("Xen's, or no domain's", self.host.xen),
            ("domain 0's", self.host.domain0),
            ("of unknown domains", self.host.strangers),
            ("for lack of proof", if zeros { 0 } else { unproven }),
            ("unreadable", self.counts.unreadable),
            ("lost in the source", self.counts.lost),
            ("not reached", self.not_reached()),
        ] {
            if pages != 0 {
                line(&format!("- {label}"), pages);
            }
        }
        if self.mmio != 0 {
            line("beyond memory, left out", self.mmio);
        }
        let memory = size.bytes_of(self.ram);
        let saved = memory.saturating_sub(self.file_len);
        let percent = if memory == 0 { 0.0 } else { self.file_len as f64 * 100.0 / memory as f64 };
        format!(
            "{}, {}\n{out}  dump file {} ({percent:.1} % of memory), {} saved\n",
            escaped_line(&kernel),
            page_text(size),
            bytes(self.file_len),
            bytes(saved)
        )
    }

    /// Pages that a dump which ended early never came to.
    fn not_reached(&self) -> u64 {
        let c = &self.counts;
        self.dumpable.saturating_sub(c.compressed + c.raw + c.zero + c.unreadable + c.lost)
    }

    /// makedumpfile's report, whose lines scripts read.
    pub fn stats(&self) -> String {
        let mut out = String::from("\n");
        let mut line = |label: &str, pages: u64| {
            let _ = writeln!(out, "{label}: {pages:#018x}");
        };
        line("Original pages  ", self.ram);
        line("  Excluded pages   ", self.excluded());
        line("    Pages filled with zero  ", self.zero());
        line("    Non-private cache pages ", self.tally.count(Reason::Cache));
        line("    Private cache pages     ", self.tally.count(Reason::CachePrivate));
        line("    User process data pages ", self.tally.count(Reason::User));
        line("    Free pages              ", self.tally.count(Reason::Free));
        line("    Hwpoison pages          ", self.tally.count(Reason::Hwpoison));
        line("    Offline pages           ", self.tally.count(Reason::Offline));
        line("    Unaccepted pages        ", self.tally.count(Reason::Unaccepted));
        let remaining = self.ram.saturating_sub(self.excluded());
        line("  Remaining pages  ", remaining);
        let percent = (remaining * 100).checked_div(self.ram).unwrap_or(0);
        let _ = writeln!(out, "  (The number of pages is reduced to {percent}%.)");
        let mut line = |label: &str, pages: u64| {
            let _ = writeln!(out, "{label}: {pages:#018x}");
        };
        line("Memory Hole     ", self.total() - self.ram.min(self.total()));
        out.push_str("--------------------------------------------------\n");
        let _ = writeln!(out, "Total pages     : {:#018x}", self.total());
        let _ = writeln!(out, "Write bytes     : {}", self.written);
        out
    }

    /// What the table of [`usage`](Report::usage) does not count, if there is such.
    pub fn unused(&self) -> Option<String> {
        let level = self.meta.dump_level & !DumpLevel::ZERO.bits();
        let why = if level == 0 { String::new() } else { format!(" (dump level {})", self.meta.dump_level) };
        let text =
            format!("does not hold {} of {} pages{why}: the table counts them in no row", self.not_held, self.ram);
        (self.not_held != 0).then_some(text)
    }

    /// makedumpfile's table of what memory is used for, whose rows scripts read.
    pub fn usage(&self) -> String {
        let count = |reason| self.tally.count(reason);
        let kernel = self.ram.saturating_sub(self.excluded() + self.not_held);
        let rows = [
            ("ZERO\t", self.zero(), "yes", "Pages filled with zero"),
            ("NON_PRI_CACHE", count(Reason::Cache), "yes", "Cache pages without private flag"),
            ("PRI_CACHE", count(Reason::CachePrivate), "yes", "Cache pages with private flag"),
            ("USER\t", count(Reason::User), "yes", "User process pages"),
            ("FREE\t", count(Reason::Free) + count(Reason::Unaccepted), "yes", "Free pages"),
            ("KERN_DATA", kernel, "no", "Dumpable kernel data "),
        ];
        let mut out = String::from("\nTYPE\t\tPAGES\t\t\tEXCLUDABLE\tDESCRIPTION\n");
        let _ = writeln!(out, "{:-<70}", "");
        for (class, pages, excludable, what) in rows {
            let _ = writeln!(out, "{class}\t{pages:<16}\t{excludable}\t\t{what}");
        }
        let page = self.meta.page_size.bytes() as u64;
        let _ = writeln!(out, "\npage size:\t\t{page:<16}");
        let _ = writeln!(out, "Total pages on system:\t{:<16}", self.ram);
        let _ = writeln!(out, "Total size on system:\t{:<16} Byte", self.ram.saturating_mul(page));
        out
    }
}

fn page_text(size: PageSize) -> String {
    format!("pages of {} KiB", size.bytes() >> 10)
}

/// Bytes in the unit that suits them.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stays for lack of proof and then goes for being zero is not counted among what is kept.
    #[test]
    fn what_is_unproven_may_be_zero() {
        let machine = dump::Machine::by_name("x86_64").unwrap();
        let meta = DumpMeta { end_pfn: dump::Pfn(100), ..DumpMeta::new(machine, PageSize::K4) };
        let mut tally = Tally::default();
        tally.keep(dump::Doubt::Unread, dump::Pfn(7), 60);
        let counts = |zero| Counts { zero, raw: 100 - zero, ..Counts::default() };
        let report = |zero| {
            let (meta, tally) = (&meta, &tally);
            let (counts, host) = (counts(zero), HostTally::default());
            Report {
                meta,
                ram: 100,
                not_held: 0,
                tally,
                host: &host,
                mmio: 0,
                struct_pages: 0,
                counts,
                zero_excluded: true,
                dumpable: 100,
                file_len: 0,
                written: 0,
            }
            .table()
        };
        let rows = |table: &str| {
            let rows = table.lines().skip(1).filter_map(|line| line.split_once(" pages"));
            let rows = rows.map(|(row, _)| row.split_whitespace().collect::<Vec<_>>().join(" "));
            rows.collect::<Vec<_>>()
        };
        assert_eq!(rows(&report(0)), ["memory 100", "kept 100", "- for lack of proof 60"]);
        assert_eq!(rows(&report(80)), ["memory 100", "- zero 80", "zero or kept, unproven 60", "kept 20"]);
    }

    #[test]
    fn units() {
        for (n, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(n), text);
        }
    }
}
