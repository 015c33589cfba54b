//! What is written to a stream is what the index reads and what rearranging writes.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use dump_core::{NoWatch, ReadAt, WriteAt};
use dump_flat::{FlatIndex, FlatStream, is_flattened, rearrange};
use proptest::prelude::*;

fn written(writes: &[Write], len: u64) -> Vec<u8> {
    let stream = FlatStream::new(Vec::new());
    writes.iter().for_each(|(offset, bytes)| stream.write_at(*offset, bytes).unwrap());
    stream.zeros(len / 2, len - len / 2).unwrap();
    stream.finish().unwrap();
    stream.into_inner()
}

fn check(writes: &[Write], len: u64) {
    let mut want = model(writes);
    want.resize(want.len().max(len as usize), 0);
    let mut stream = written(writes, len);
    assert!(is_flattened(&stream));
    let stream_len = stream.len() as u64;
    stream.extend(b"what a device holds behind the dump");

    let image = Image::default();
    let mut pipe = Pipe::new(&stream);
    let done = rearrange(&mut pipe, None, &image, 1 << 40, &NoWatch).unwrap();
    assert!(image.bytes() == want);
    assert_eq!((done.len, done.stream_len), (want.len() as u64, stream_len));
    assert_eq!(pipe.rest(), 35, "nothing behind the end marker is taken");

    let device = Image::device(want.len() + 100);
    rearrange(&mut Pipe::new(&stream), None, &device, 1 << 40, &NoWatch).unwrap();
    assert!(device.bytes()[..want.len()] == want, "gaps are zeros on a device too");

    let index = FlatIndex::read(stream).unwrap();
    assert!(index.truncation().is_none());
    assert_eq!((ReadAt::len(&index).unwrap(), index.records()), (want.len() as u64, done.records));
    read_all_ways(&index, &want);
}

/// Reads and views of many lengths, at many offsets.
fn read_all_ways(index: &FlatIndex<Vec<u8>>, want: &[u8]) {
    let mut reader = index.reader();
    for step in [1, 7, 64, 4096, want.len().max(1)] {
        for from in (0..want.len()).step_by(step.max(want.len() / 200)) {
            let part = &want[from..want.len().min(from + step)];
            let mut buf = vec![0xaa; part.len()];
            index.read_exact_at(from as u64, &mut buf).unwrap();
            assert!(buf == part, "{step} bytes at {from}");
            assert!(reader.view(from as u64, part.len()).unwrap() == part, "{step} bytes at {from}");
        }
    }
    index.read_exact_at(want.len() as u64, &mut []).unwrap();
    for (offset, len) in [(want.len() as u64, 1), (0, want.len() + 1), (u64::MAX, 1), (u64::MAX - 1, 2)] {
        assert!(index.read_exact_at(offset, &mut vec![0; len]).is_err(), "{len} bytes at {offset}");
        assert!(reader.view(offset, len).is_err());
    }
}

#[test]
fn a_dump_like_those_there_are() {
    // Headers, bitmaps, then data and its index by turns; the header again at the end.
    let mut writes = vec![(0, noise(1, 464)), (4096, noise(2, 104)), (4200, noise(3, 5000)), (12288, vec![0; 4096])];
    for i in 0..20u64 {
        writes.push((40_000 + i * 16384, noise(10 + i, 16384)));
        writes.push((20_000 + i * 96, noise(50 + i, 96)));
    }
    writes.push((40_000 + 20 * 16384, noise(90, 777)));
    writes.push((0, noise(99, 464)));
    check(&writes, 0);
    check(&writes, 400_000);
}

#[test]
fn nothing_and_little() {
    check(&[], 0);
    check(&[], 1);
    check(&[(0, vec![1])], 0);
    check(&[(70_000, noise(1, 3))], 0);
    check(&[(0, Vec::new()), (5, noise(1, 3))], 4);
}

#[test]
fn data_longer_than_any_buffer() {
    let writes = [(100, noise(1, 3 << 20)), (1 << 20, noise(2, (1 << 20) + 1)), (0, noise(3, 1 << 20))];
    check(&writes, 5 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_writes_in_any_order(
        runs in prop::collection::vec((0u64..6000, 0usize..700, 1u64..5), 0..24),
        len in 0u64..9000,
    ) {
        // Runs of writes of one size, one after the other, are what becomes one entry of the index.
        let mut writes = Vec::new();
        for (i, (start, size, count)) in runs.into_iter().enumerate() {
            for k in 0..count {
                writes.push((start + k * size as u64, noise(i as u64 * 8 + k, size)));
            }
        }
        check(&writes, len);
    }
}

#[test]
fn several_readers_share_an_index() {
    let writes: Vec<Write> = (0..64u64).rev().map(|i| (i * 1000, noise(i, 1000))).collect();
    let (want, index) = (model(&writes), FlatIndex::read(stream(&writes, true)).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (want, index) = (&want, &index);
            scope.spawn(move || {
                let mut buf = vec![0; 1500];
                for i in 0..400 {
                    let at = (thread * 7919 + i * 149) % (want.len() - buf.len());
                    index.read_exact_at(at as u64, &mut buf).unwrap();
                    assert!(buf == want[at..at + 1500]);
                }
            });
        }
    });
}
