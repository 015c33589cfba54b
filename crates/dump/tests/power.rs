//! What is left of an output when the power goes, at whatever moment: of the calls since the last sync, any may be
//! missing. A process that is killed is the milder case, in which none is.

#![allow(clippy::unwrap_used)] // a test ends by it

use dump::{Conversion, ConvertOptions, Dump, DumpLevel, NoWatch, Result, WriteAt};
use std::path::Path;
use std::sync::Mutex;

enum Call {
    Write(u64, Vec<u8>),
    Zeros(u64, u64),
    Sync,
}

/// An output that notes what is asked of it.
#[derive(Default)]
struct Journal(Mutex<Vec<Call>>);

impl Journal {
    fn note(&self, call: Call) -> Result<()> {
        self.0.lock().unwrap().push(call);
        Ok(())
    }
}

impl WriteAt for Journal {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.note(Call::Write(offset, bytes.to_vec()))
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        self.note(Call::Zeros(offset, len))
    }

    fn sync(&self) -> Result<()> {
        self.note(Call::Sync)
    }
}

/// The file that comes of `calls`.
fn replay<'a>(calls: impl Iterator<Item = &'a Call>) -> Vec<u8> {
    let mut file = Vec::new();
    for call in calls {
        let (offset, bytes) = match call {
            Call::Write(offset, bytes) => (*offset as usize, bytes.as_slice()),
            Call::Zeros(offset, len) => ((offset + len) as usize, &[][..]),
            Call::Sync => continue,
        };
        let end = offset + bytes.len();
        file.resize(file.len().max(end), 0);
        file[offset..end].copy_from_slice(bytes);
    }
    file
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// Opens what is left; whether it says that it is whole.
fn passes_for_whole(files: &[Vec<u8>], dir: &Path) -> bool {
    let paths: Vec<_> = (0..files.len()).map(|i| dir.join(i.to_string())).collect();
    for (path, bytes) in paths.iter().zip(files) {
        std::fs::write(path, bytes).unwrap();
    }
    let Ok(dump) = Dump::open_all(&paths, &dump::Opening::default(), &NoWatch) else { return false };
    !dump.meta().incomplete && dump.damage().is_none()
}

#[test]
fn no_part_passes_for_a_whole_when_the_power_goes() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny/vmcore.zst");
    let image = Dump::open(fixture).unwrap().into_image(&NoWatch).unwrap();
    let (memory, view) = (image.memory(), image.kernel_view().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(1);
    for (format, codec, files) in [("kdump", Some("zlib"), 1), ("kdump", None, 3), ("elf", None, 1)] {
        let options = ConvertOptions {
            codec: codec.and_then(dump::codec),
            level: DumpLevel::all(),
            files,
            ..ConvertOptions::new(dump::format(format).unwrap())
        };
        let conversion = Conversion::new(&image, &memory, Some(&view), &options, &|_| Ok(()), &NoWatch).unwrap();
        let journals: Vec<Journal> = (0..files).map(|_| Journal::default()).collect();
        let outputs: Vec<&dyn WriteAt> = journals.iter().map(|journal| journal as &dyn WriteAt).collect();
        assert!(conversion.run(&outputs).unwrap().outcome.is_complete());
        let calls: Vec<Vec<Call>> = journals.into_iter().map(|journal| journal.0.into_inner().unwrap()).collect();
        let whole: Vec<Vec<u8>> = calls.iter().map(|calls| replay(calls.iter())).collect();
        assert!(passes_for_whole(&whole, dir.path()), "{format}");
        for round in 0..70 {
            // how far each file got; the first rounds look at the beginning and the end, where the flag is set and cleared
            let cut = |calls: &Vec<Call>, dice: &mut Dice| match round {
                0..10 => round,
                10..20 => calls.len() - (round - 10),
                _ => dice.roll(calls.len()),
            };
            let left = calls.iter().map(|calls| {
                let calls = &calls[..cut(calls, &mut dice).min(calls.len())];
                let synced = calls.iter().rposition(|call| matches!(call, Call::Sync)).unwrap_or(0);
                let kept = |i: usize, dice: &mut Dice| i < synced || round % 2 == 0 || dice.roll(2) == 0;
                let kept: Vec<&Call> = (0..calls.len()).filter(|i| kept(*i, &mut dice)).map(|i| &calls[i]).collect();
                replay(kept.into_iter())
            });
            let left: Vec<Vec<u8>> = left.collect();
            assert!(left == whole || !passes_for_whole(&left, dir.path()), "{format}, {files} files, round {round}");
        }
    }
}
