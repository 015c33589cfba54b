//! `-x` and `-i`: files that say what the dump's vmcoreinfo lacks. A kernel's own vmlinux is too large to be shipped: where
//! `GDUMP_CORPUS` has it, `crates/dump/tests/symbols.rs` reads it.

use crate::support::{gdump, gdump_ok, gdump_refuses, root, scratch, text, tiny};
use std::fs;

#[test]
fn a_text_of_the_kernel_changes_nothing_and_fills_what_is_lacking() {
    let dir = scratch();
    let [right, got, vmcore] = ["right", "got", "vmcore"].map(|name| dir.path().join(name));
    let own = root().join("crates/dump/tests/tiny.vmcoreinfo");
    gdump_ok(&["-l", "-d", "31", text(&tiny().vmcore), text(&right)]);
    gdump_ok(&["-l", "-d", "31", "-i", text(&own), text(&tiny().vmcore), text(&got)]);
    assert!(fs::read(&right).unwrap() == fs::read(&got).unwrap());
    let mut bytes = fs::read(&tiny().vmcore).unwrap();
    let key = bytes.windows(15).position(|key| key == b"NUMBER(PG_lru)=").unwrap();
    bytes[key] = b'x';
    fs::write(&vmcore, bytes).unwrap();
    let said = gdump(&["-f", "-l", "-d", "31", text(&vmcore), text(&got)]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("vmcoreinfo lacks NUMBER(PG_lru)"));
    let said = gdump(&["-D", "-f", "-l", "-d", "31", "-i", text(&own), text(&vmcore), text(&got)]);
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && !err.contains("lacks"), "{err}");
    assert!(out.contains("NUMBER(PG_lru)=4 (the file of vmcoreinfo)"), "{out}");
    assert_eq!(fs::metadata(&got).unwrap().len(), fs::metadata(&right).unwrap().len());
}

#[test]
fn another_kernels_file_ends_with_status_2() {
    let dir = scratch();
    let [other, out] = ["other", "out"].map(|name| dir.path().join(name));
    fs::write(&other, "OSRELEASE=6.1.191-gdump\nPAGESIZE=4096\n").unwrap();
    let done = gdump(&["-l", "-d", "31", "-i", text(&other), text(&tiny().vmcore), text(&out)]);
    let err = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{err}");
    assert!(err.contains("other is of another kernel: its release 6.1.191-gdump and the dump's"), "{err}");
    assert!(!out.exists());
    for option in ["-x", "-i"] {
        let done = gdump(&["-l", "-d", "31", option, text(&tiny().vmcore), text(&tiny().vmcore), text(&out)]);
        assert_eq!(done.status.code(), Some(1), "{option}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn a_text_is_made_of_a_vmlinux_alone() {
    let dir = scratch();
    let out = dir.path().join("text");
    for (args, said) in [
        (&["-g", text(&out)][..], "-g needs a VMLINUX"),
        (&["-g", text(&out), "-x", text(&tiny().vmcore), "-l"], "cannot be combined"),
        (&["-g", text(&out), "-x", text(&tiny().vmcore), "more"], "expected no other file names, found 1"),
        (&["-g", text(&out), "-x", text(&tiny().vmcore)], "an ELF file without section headers"),
    ] {
        let e = gdump_refuses(args);
        assert!(e.contains(said), "{e}");
        assert!(!out.exists());
    }
}

/// A text that was on a system with other ends of lines is the same text.
#[test]
fn a_text_may_have_cr_lf() {
    let dir = scratch();
    let [right, got, crlf] = ["right", "got", "crlf"].map(|name| dir.path().join(name));
    let own = fs::read_to_string(root().join("crates/dump/tests/tiny.vmcoreinfo")).unwrap();
    fs::write(&crlf, own.replace('\n', "\r\n")).unwrap();
    gdump_ok(&["-l", "-d", "31", text(&tiny().vmcore), text(&right)]);
    gdump_ok(&["-l", "-d", "31", "-i", text(&crlf), text(&tiny().vmcore), text(&got)]);
    assert!(fs::read(&right).unwrap() == fs::read(&got).unwrap());
}
