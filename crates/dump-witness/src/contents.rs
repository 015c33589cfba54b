//! Are the pages of a dump the memory it was made of?

use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::codec;
use crate::kdump::{Kdump, Page};
use crate::memory::Memory;

/// Pages a thread checks before it leaves the next ones to another: 4 MiB.
const BLOCK: u64 = 1024;

/// What came out.
#[derive(Default)]
pub struct Tally {
    /// Pages compared.
    pub pages: u64,
    /// Of them, pages that were compressed.
    pub compressed: u64,
    /// One line for each page that is wrong.
    pub wrong: Vec<String>,
}

/// Compares every page kept in `dump` with `memory`. A page may be raw or compressed with the codec of `flags`.
///
/// # Errors
/// If a checking thread panics; wrong pages are counted.
pub fn check(dump: &Kdump, memory: &Memory, flags: u32) -> Result<Tally> {
    let threads = thread::available_parallelism().map_or(1, |number| number.get() as u64);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|mine| scope.spawn(move || share(dump, memory, flags, |pfn| pfn / BLOCK % threads == mine)))
            .collect();
        let mut total = Tally::default();
        for worker in workers {
            let part = worker.join().map_err(|_| anyhow!("a checking thread panicked"))?;
            total.pages += part.pages;
            total.compressed += part.compressed;
            total.wrong.extend(part.wrong);
        }
        Ok(total)
    })
}

/// One thread's part of [`check`].
fn share(dump: &Kdump, memory: &Memory, flags: u32, mine: impl Fn(u64) -> bool) -> Tally {
    let mut tally = Tally::default();
    for pfn in dump.kept.ones().filter(|pfn| mine(*pfn)) {
        tally.pages += 1;
        match check_page(dump, memory, flags, pfn) {
            Ok(found) => tally.compressed += u64::from(found != 0),
            Err(error) => tally.wrong.push(format!("pfn {pfn:#x}: {error:#}")),
        }
    }
    tally
}

/// Compares one page; returns what it was compressed with.
fn check_page(dump: &Kdump, memory: &Memory, flags: u32, pfn: u64) -> Result<u32> {
    let Page::Held(page, found) = dump.page(pfn)? else { bail!("set in the 2nd bitmap, but has no descriptor") };
    let expected = memory.page(pfn, dump.header.page_size)?.context("the dump it was made of has no such page")?;
    if found != 0 && found != flags {
        return Err(anyhow!("compressed with {}, not {}", codec::name(found), codec::name(flags)));
    }
    if let Some(at) = page.iter().zip(&expected).position(|(one, other)| one != other) {
        return Err(anyhow!("differs from the memory it was made of at byte {at}"));
    }
    Ok(found)
}
