//! What a codec alone takes: compresses the pages of a file on several threads, to nowhere, and prints seconds.
//!
//! ```text
//! cargo run --release -p dump-kdump --features lzo --example codec_limit -- CODEC FILE PAGE_SIZE THREADS [RUNS]
//! ```
//!
//! FILE holds raw pages, one after the other. A line is printed for each run: the seconds that all threads spent
//! compressing, by their number, so that neither reading nor a last block that one thread still has is counted. Blocks
//! are as large as gdump's, so that pages are as warm in the caches as they are there.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use dump_core::{Error, Result};
use dump_kdump::codec::{Codec, PageCodec};
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a block.
const BLOCK: u64 = 256 << 10;

struct Job {
    codec: &'static Codec,
    file: File,
    len: u64,
    page: usize,
    threads: u32,
    next: AtomicU64,
}

impl Job {
    fn new(words: &[String]) -> Option<Job> {
        let [codec, path, page, threads] = words else { return None };
        let codec = Codec::by_name(codec)?;
        let file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let page = page.parse().ok().filter(|page| (1..=BLOCK as usize).contains(page))?;
        let threads = threads.parse().ok().filter(|threads| *threads > 0)?;
        Some(Job { codec, file, len, page, threads, next: AtomicU64::new(0) })
    }

    /// Seconds that the codec takes.
    fn run(&self) -> Result<f64> {
        self.next.store(0, Ordering::Relaxed);
        let compressing: Duration = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads).map(|_| scope.spawn(|| self.share())).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, Result<Duration>>| {
                worker.join().map_err(|_| Error::unsupported("a thread panicked"))?
            };
            workers.into_iter().map(join).sum::<Result<Duration>>()
        })?;
        Ok(compressing.as_secs_f64() / f64::from(self.threads))
    }

    /// What one thread takes.
    fn share(&self) -> Result<Duration> {
        let mut codec = self.codec.creator()?();
        let mut block = vec![0; BLOCK as usize / self.page * self.page];
        let mut out = vec![0; codec.room(self.page)];
        let mut compressing = Duration::ZERO;
        loop {
            let at = self.next.fetch_add(block.len() as u64, Ordering::Relaxed);
            if at >= self.len {
                return Ok(compressing);
            }
            let bytes = &mut block[..(self.len - at).min(BLOCK / self.page as u64 * self.page as u64) as usize];
            self.file.read_exact_at(bytes, at)?;
            compressing += compress(codec.as_mut(), bytes, self.page, &mut out)?;
        }
    }
}

fn compress(codec: &mut dyn PageCodec, bytes: &[u8], page: usize, out: &mut [u8]) -> Result<Duration> {
    let start = Instant::now();
    for page in bytes.chunks_exact(page) {
        black_box(codec.compress(page, out)?);
    }
    Ok(start.elapsed())
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let runs = if words.len() == 5 { words.pop().and_then(|runs| runs.parse().ok()) } else { Some(1) };
    let (Some(job), Some(runs)) = (Job::new(&words), runs) else {
        eprintln!("usage: codec_limit CODEC FILE PAGE_SIZE THREADS [RUNS]");
        return ExitCode::FAILURE;
    };
    for _ in 0..runs {
        match job.run() {
            Ok(seconds) => println!("{seconds:.6}"),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
