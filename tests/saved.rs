//! Bare memory with gaps, and guests that QEMU saved, from the command line.

use crate::support::{gdump, gdump_ok, gdump_refuses, scratch, text};
use dump_synth::{Era, FakeKernel, KernelBuilder, MigrationStream, libvirt_head};
use dump_synth::{sadump::SadumpFile, vmware::vmss};
use std::fs;
use std::path::Path;

/// A kernel in a machine with a gap of 1 MiB behind its first MiB.
fn kernel() -> FakeKernel {
    let recipe = "ram 0..0xa0\nram 0xc0..0x100\nram 0x200..0x400\nanon 0x210..0x218\nanon 0x218 zero\ncache 0x21a..0x220\n\
        kernel 0x220..0x224 noise";
    KernelBuilder::new(Era::V6_12).recipe(recipe).sections(24, 36).build()
}

/// The bytes of pages from `start` to `end`, zeros where there are none.
fn bytes(kernel: &FakeKernel, start: u64, end: u64) -> Vec<u8> {
    (start..end).flat_map(|pfn| kernel.memory().page(pfn).unwrap_or(vec![0; 4096])).collect()
}

fn same(vmcore: &Path, args: &[&str]) {
    let run = gdump(&[&["diff"], args, &[text(vmcore)]].concat());
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("are equal"), "{args:?}: {said}");
}

#[test]
fn bare_memory_with_gaps() {
    let (dir, kernel) = (scratch(), kernel());
    let path = |name: &str| dir.path().join(name);
    fs::write(path("vmcore"), kernel.vmcore()).unwrap();
    fs::write(path("both"), [bytes(&kernel, 0, 0x100), bytes(&kernel, 0x200, 0x400)].concat()).unwrap();
    fs::write(path("low"), bytes(&kernel, 0, 0x100)).unwrap();
    fs::write(path("high"), bytes(&kernel, 0x200, 0x400)).unwrap();
    let (vmcore, both, low, high) = (path("vmcore"), path("both"), path("low"), path("high"));
    same(&vmcore, &["--raw-map", "0-1M,2M-", text(&both)]);
    let crash = format!("{}@0,{}@200000", text(&low), text(&high));
    same(&vmcore, &[&crash]);
    let out = path("out");
    gdump_ok(&["-l", "-d", "1", "--raw-map", "0-0x100000", "--raw-map", "2M-", text(&low), text(&high), text(&out)]);
    let twin = path("twin");
    gdump_ok(&["-l", "-d", "1", text(&vmcore), text(&twin)]);
    same(&out, &[text(&twin)]);
    // one map, and one for each
    let run = gdump(&["diff", "--raw-map", "0-1M,2M-", "--raw-map", "2M-", text(&both), text(&high)]);
    assert!(String::from_utf8_lossy(&run.stdout).contains("512 pages are equal"), "{run:?}");
    let info = gdump_ok(&["info", &crash]);
    assert!(info.contains("memory map   0x200000-") && info.contains("container    raw"), "{info}");
    let long = gdump_ok(&["info", "--raw-map", "0-1M", text(&both)]);
    assert!(long.contains("0x200000 bytes behind what the map of memory has are left aside"), "{long}");
    let short = gdump(&["check", "--raw-map", "0-8M", text(&both)]);
    assert!(
        !short.status.success() && format!("{short:?}").contains("its map of memory has 0x800000 bytes"),
        "{short:?}"
    );
    assert!(gdump_refuses(&["info", "--raw-map", "0-1M,0-", text(&both)]).contains("overlap"));
    assert!(gdump_refuses(&["info", "--raw-map", "0-", text(&low), text(&high)]).contains("2 files"));
    assert!(gdump_refuses(&["info", "nowhere@80000000"]).contains("nowhere: No such file"));
}

#[test]
#[allow(clippy::single_range_in_vec_init)]
fn saved_guests() {
    let (dir, kernel) = (scratch(), kernel());
    let path = |name: &str| dir.path().join(name);
    let vmcore = path("vmcore");
    fs::write(&vmcore, kernel.vmcore()).unwrap();
    // a machine whose RAM has no gap, but for what the test's kernel does not know of
    let stream = MigrationStream::of(kernel.memory(), "s390-ccw-virtio-7.2", "s390.ram", &[0..0x40_0000]);
    let head = |format| libvirt_head("s390-ccw-virtio-7.2", format, true, 4096);
    let packed = zstd::encode_all(stream.to_bytes().as_slice(), 1).unwrap();
    let files = [
        ("stream", stream.to_bytes()),
        ("mapped", stream.to_mapped(0)),
        ("raw", [head(0), stream.to_bytes()].concat()),
        ("sparse", [head(6), stream.to_mapped(4096)].concat()),
        ("packed", [head(5), packed.clone()].concat()),
        ("stream.zst", packed),
    ];
    let (twin, out) = (path("twin"), path("out"));
    for (name, bytes) in files {
        fs::write(path(name), bytes).unwrap();
        same(&vmcore, &["--raw-map", "0-4M", text(&path(name))]);
        let info = gdump_ok(&["info", "--raw-map", "0-4M", text(&path(name))]);
        assert!(info.contains("machine type s390-ccw-virtio-7.2") && info.contains("version 3"), "{info}");
    }
    // a PC's
    let stream = MigrationStream::of(kernel.memory(), "pc-q35-9.0", "pc.ram", &[0..0x40_0000]);
    fs::write(path("pc"), stream.to_bytes()).unwrap();
    gdump_ok(&["-l", "-d", "1", text(&path("pc")), text(&out)]);
    gdump_ok(&["-l", "-d", "1", text(&vmcore), text(&twin)]);
    same(&out, &[text(&twin)]);
    let lzop = [head(4), b"\x89LZO\0\r\n\x1a\n".to_vec()].concat();
    fs::write(path("lzop"), lzop).unwrap();
    assert!(
        gdump_refuses(&["info", text(&path("lzop"))])
            .contains("compressed with lzop, which is not unpacked (tail -c +4097")
    );
}

#[test]
fn sadump_and_vmware() {
    let (dir, kernel) = (scratch(), kernel());
    let path = |name: &str| dir.path().join(name);
    let vmcore = path("vmcore");
    fs::write(&vmcore, kernel.vmcore()).unwrap();
    let file = SadumpFile::of(kernel.memory());
    fs::write(path("partition"), file.partition_bytes()).unwrap();
    fs::write(path("backup"), file.backup_bytes()).unwrap();
    same(&vmcore, &["--strict", text(&path("partition"))]);
    same(&vmcore, &["--strict", text(&path("backup"))]);
    let info = gdump_ok(&["info", text(&path("backup"))]);
    assert!(
        info.contains("container    sadump version 1, a media backup") && info.contains("cpus         2"),
        "{info}"
    );
    for (i, disk) in file.disks(&[4096 * 10, 4096 * 20 + 5]).iter().enumerate() {
        fs::write(path(&format!("d{i}")), disk).unwrap();
    }
    let (d0, d1, d2, out) = (path("d0"), path("d1"), path("d2"), path("out"));
    // as makedumpfile spells it, and in another order
    gdump_ok(&[
        "-l",
        "-d",
        "1",
        &format!("--diskset={}", text(&d0)),
        "--diskset",
        text(&d2),
        "--diskset",
        text(&d1),
        text(&out),
    ]);
    same(&vmcore, &[text(&out)]);
    let info = gdump_ok(&["info", text(&d2), text(&d0), text(&d1)]);
    assert!(info.contains("a disk set") && info.contains("disk set     3 disks"), "{info}");
    assert!(gdump_refuses(&["info", text(&d1)]).contains("disk 2 of a disk set where disk 1 is wanted"));
    assert!(
        gdump_refuses(&["-l", "--diskset", text(&d0), text(&d1), text(&out)]).contains("expected no VMCORE beside")
    );
    // a guest of VMware: 0 to 0x100 at the start of the file, 0x200 to 0x400 behind it
    let memory = [bytes(&kernel, 0, 0x100), bytes(&kernel, 0x200, 0x400)].concat();
    let regions = [(0, 0, 0x100), (0x200, 0x100, 0x200)];
    fs::write(path("guest.vmss"), vmss(&regions, None)).unwrap();
    assert!(gdump_refuses(&["info", text(&path("guest.vmss"))]).contains("NAME.vmem beside NAME.vmss"));
    fs::write(path("guest.vmem"), &memory).unwrap();
    fs::write(path("whole.vmsn"), vmss(&regions, Some(&memory))).unwrap();
    for name in ["guest.vmss", "guest.vmem", "whole.vmsn"] {
        same(&vmcore, &[text(&path(name))]);
    }
    same(&vmcore, &["--raw-map", "0-1M,2M-", text(&path("guest.vmem"))]);
    let info = gdump_ok(&["info", text(&path("guest.vmem"))]);
    assert!(
        info.contains("container    vmware") && info.contains("region       0x200000-0x400000 at offset 0x100000"),
        "{info}"
    );
}
