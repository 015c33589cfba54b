//! What the dump's vmcoreinfo lacks is taken from the kernel's own kallsyms and BTF, or from files: then nothing changes;
//! else it is said.
//!
//! The dump that ships with the repository is of a kernel without BTF; `GDUMP_CORPUS` names a folder of others.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

use dump::{
    Conversion, ConvertOptions, Dump, DumpLevel, ErrorKind, Image, KernelFiles, NoWatch, Result, Source, UtsName,
    WriteAt,
};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A dump in a file of its own, whose note VMCOREINFO can be changed.
struct Case {
    name: String,
    _dir: tempfile::TempDir,
    path: PathBuf,
    /// Where the note's text is in the file, and the text.
    at: u64,
    text: String,
}

impl Case {
    fn new(name: &str, packed: &Path) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vmcore");
        let mut unpacked = File::create(&path).unwrap();
        let mut decoder = zstd::Decoder::new(File::open(packed).unwrap()).unwrap();
        decoder.window_log_max(27).unwrap();
        std::io::copy(&mut decoder, &mut unpacked).unwrap();
        let mut head = vec![0; 1 << 16];
        File::open(&path).unwrap().read_exact(&mut head).unwrap();
        let at = head.windows(10).position(|text| text == b"OSRELEASE=").unwrap();
        let end = at + head[at..].iter().position(|byte| *byte == 0).unwrap();
        let text = String::from_utf8(head[at..end].to_vec()).unwrap();
        Case { name: name.to_owned(), _dir: dir, path, at: at as u64, text }
    }

    fn keys(&self) -> Vec<String> {
        self.text.lines().map(|line| line.split('=').next().unwrap().to_owned()).collect()
    }

    fn put(&self, at: u64, byte: u8) {
        let mut file = File::options().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[byte]).unwrap();
    }

    /// With lines of other names in the place of those of `keys`.
    fn without<T>(&self, keys: &[&str], then: impl FnOnce() -> T) -> T {
        let places: Vec<u64> = keys.iter().map(|key| self.at + self.place(key) as u64).collect();
        places.iter().for_each(|at| self.put(*at, b'x'));
        let done = then();
        keys.iter().zip(places).for_each(|(key, at)| self.put(at, key.as_bytes()[0]));
        done
    }

    fn place(&self, key: &str) -> usize {
        let line = format!("{key}=");
        if self.text.starts_with(&line) { 0 } else { self.text.find(&format!("\n{line}")).unwrap() + 1 }
    }

    fn image(&self, files: &KernelFiles) -> Result<Image> {
        Dump::open(&self.path)?.into_image_with(files, &NoWatch)
    }
}

/// What a conversion comes to.
#[derive(Debug, PartialEq)]
struct Kept {
    pages: Pages,
    uts: Option<UtsName>,
    said: BTreeSet<String>,
}

/// Page frames, as a raw image has them: whoever writes one says by the offset which page it is.
#[derive(Debug, Default, PartialEq)]
struct Pages(BTreeSet<u64>);

impl Pages {
    /// Those of `self` that `other` lacks.
    fn more_than(&self, other: &Pages) -> usize {
        self.0.difference(&other.0).count()
    }
}

/// Takes note of the pages that are written.
#[derive(Default)]
struct Noted(Mutex<Pages>);

impl WriteAt for Noted {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let pages = offset / 4096..offset / 4096 + bytes.len().div_ceil(4096) as u64;
        self.0.lock().unwrap().0.extend(pages);
        Ok(())
    }

    fn zeros(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}

fn kept(image: &Image) -> Result<Kept> {
    let options = ConvertOptions { level: DumpLevel::all(), ..ConvertOptions::new(dump::format("raw").unwrap()) };
    let (said, noted) = (Mutex::new(BTreeSet::new()), Noted::default());
    let (memory, view) = (image.memory(), image.kernel_view()?);
    let unknown = |what: dump::Unidentified<'_>| {
        said.lock().unwrap().insert(format!("{}: {}", what.class, what.why));
        Ok(())
    };
    let done = Conversion::new(image, &memory, Some(&view), &options, &unknown, &NoWatch)?.run(&[&noted])?;
    let pages = noted.0.into_inner().unwrap();
    assert_eq!(pages.0.len() as u64, done.outcome.counts.raw);
    Ok(Kept { pages, uts: image.meta().utsname, said: said.into_inner().unwrap() })
}

/// Keys that neither kallsyms nor BTF can have: numbers of macros and of what is computed.
fn check_each_key(case: &Case) {
    let none = KernelFiles::default();
    let image = case.image(&none).unwrap();
    let right = kept(&image).unwrap();
    assert!(image.answers().iter().all(|answer| answer.source == Source::Vmcoreinfo), "{}", case.name);
    assert!(image.own_symbol_failures().is_empty());
    let (mut answered, mut said, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for key in case.keys() {
        let image = case.without(&[&key], || case.image(&none)).unwrap();
        match kept(&image) {
            // what all levels leave out may have another reason
            Ok(kept) if (&kept.pages, &kept.uts) == (&right.pages, &right.uts) && kept.said.is_subset(&right.said) => {
                let by = image.answers().into_iter().find(|answer| answer.key == key).map(|answer| answer.source);
                answered.extend(by.map(|by| format!("{key} {by}")));
            }
            Ok(kept) => {
                let news: Vec<_> = kept.said.difference(&right.said).collect();
                let named = news.iter().any(|text| text.contains(&key));
                said.push(format!("{key}: {news:?}"));
                let (more, less) = (kept.pages.more_than(&right.pages), right.pages.more_than(&kept.pages));
                if !named || less != 0 {
                    faults.push(format!("without {key}: {more} pages more, {less} less, {news:?}"));
                }
            }
            Err(e) => {
                if !e.to_string().contains(&key) {
                    faults.push(format!("without {key}: {e}"));
                }
                said.push(format!("{key}: {e}"));
            }
        }
    }
    println!("{}: answered {answered:#?}\nsaid {said:#?}", case.name);
    assert!(faults.is_empty(), "{}: {faults:#?}", case.name);
}

/// That with `files` no key is lacking, and that nothing of them is asked with all keys.
fn check_each_key_with(case: &Case, files: &KernelFiles, from: Source) {
    let image = case.image(files).unwrap();
    let right = kept(&image).unwrap();
    assert!(image.answers().iter().all(|answer| answer.source == Source::Vmcoreinfo), "{}", case.name);
    let mut answered = BTreeSet::new();
    for key in case.keys().iter().filter(|key| key.contains('(')) {
        let image = case.without(&[key], || case.image(files)).unwrap();
        assert_eq!(kept(&image).unwrap(), right, "{} without {key}", case.name);
        answered.extend(image.answers().into_iter().filter(|answer| answer.source == from).map(|answer| answer.key));
    }
    println!("{}: {from} answered {answered:#?}", case.name);
    assert!(answered.contains("OFFSET(page.flags)") && answered.contains("NUMBER(PG_lru)"), "{answered:?}");
}

/// A kernel's own vmlinux, from the corpus.
fn unpacked_vmlinux(dir: &Path) -> Option<PathBuf> {
    let packed = PathBuf::from(std::env::var_os("GDUMP_CORPUS")?).join("tiny/vmlinux.zst");
    let path = dir.join("vmlinux");
    zstd::stream::copy_decode(File::open(packed).ok()?, File::create(&path).ok()?).ok()?;
    Some(path)
}

/// What makedumpfile 1.7.2 writes with -g, with the lines that 1.7.9 has more, and ours at the end.
const MADE_OF_TINY: &str = include_str!("tiny.vmcoreinfo");

#[test]
fn a_vmlinux_or_a_text_made_of_it_has_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let Some(vmlinux) = unpacked_vmlinux(dir.path()) else { return };
    let case = fixture();
    check_each_key_with(&case, &KernelFiles::open(Some(&vmlinux), None).unwrap(), Source::Vmlinux);
    let text = dir.path().join("vmcoreinfo");
    assert_eq!(dump::generate_vmcoreinfo(&vmlinux).unwrap(), MADE_OF_TINY);
    fs::write(&text, dump::generate_vmcoreinfo(&vmlinux).unwrap()).unwrap();
    check_each_key_with(&case, &KernelFiles::open(None, Some(&text)).unwrap(), Source::File);
}

/// The same dump, and a text of it, as `-g` makes it: no vmlinux is needed for what follows.
fn text_of_tiny(dir: &Path, change: impl Fn(&str) -> String) -> PathBuf {
    let path = dir.join("changed");
    fs::write(&path, change(MADE_OF_TINY)).unwrap();
    path
}

#[test]
fn a_text_has_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let text = text_of_tiny(dir.path(), str::to_owned);
    check_each_key_with(&fixture(), &KernelFiles::open(None, Some(&text)).unwrap(), Source::File);
}

#[test]
fn files_of_another_kernel_are_refused() {
    let (dir, case) = (tempfile::tempdir().unwrap(), fixture());
    for (from, to, what) in
        [("BUILD-ID=66", "BUILD-ID=67", "build ID"), ("OSRELEASE=6.1.192-gdump", "OSRELEASE=6.1.191-gdump", "release")]
    {
        let text = text_of_tiny(dir.path(), |text| text.replace(from, to));
        let e = case.image(&KernelFiles::open(None, Some(&text)).unwrap()).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::OtherKernel);
        assert!(e.to_string().contains("changed is of another kernel") && e.to_string().contains(what), "{e}");
    }
    let nonsense = text_of_tiny(dir.path(), |_| "nonsense".to_owned());
    let e = KernelFiles::open(None, Some(&nonsense)).err().unwrap();
    assert!(e.to_string().contains("no line OSRELEASE="), "{e}");
    let e = KernelFiles::open(Some(&nonsense), None).err().unwrap();
    assert!(e.to_string().contains("not an ELF file"), "{e}");
}

fn fixture() -> Case {
    Case::new("tiny", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny/vmcore.zst"))
}

fn corpus() -> Vec<Case> {
    let dir = std::env::var_os("GDUMP_CORPUS").map(PathBuf::from);
    let dirs = dir.iter().flat_map(|dir| fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
    let dirs = dirs.filter(|dir| dir.join("vmcore.zst").exists());
    dirs.map(|dir| Case::new(&dir.display().to_string(), &dir.join("vmcore.zst"))).collect()
}

#[test]
fn a_key_that_is_lacking_is_found_elsewhere_or_said() {
    check_each_key(&fixture());
}

#[test]
fn a_key_that_is_lacking_is_found_elsewhere_or_said_in_the_corpus() {
    corpus().iter().for_each(check_each_key);
}

/// A kernel without CONFIG_MEMORY_FAILURE has no broken pages, and nothing is said: by kallsyms, which lacks a function,
/// or by the names of BTF, which lack the flag.
#[test]
fn a_kernel_that_cannot_have_broken_pages_is_known_in_the_corpus() {
    let (flag, all, mut with_btf) = (b"\0PG_hwpoison\0", corpus(), 0);
    for case in &all {
        let bytes = fs::read(&case.path).unwrap();
        let places = bytes.windows(flag.len()).enumerate().filter(|(_, text)| text == flag);
        let places: Vec<u64> = places.map(|(at, _)| at as u64 + 2).collect();
        let said = |keys: &[&str]| {
            let image = case.without(keys, || case.image(&KernelFiles::default())).unwrap();
            let said = kept(&image).unwrap().said;
            said.iter().filter(|text| text.contains("NUMBER(PG_hwpoison)")).count()
        };
        let no_kallsyms = ["NUMBER(PG_hwpoison)", "SYMBOL(kallsyms_names)"];
        if said(&no_kallsyms) != 0 {
            continue; // it has no BTF
        }
        with_btf += 1;
        places.iter().for_each(|at| case.put(*at, b'x'));
        assert_eq!(said(&no_kallsyms), 0, "{}: BTF says that there is none", case.name);
        assert_eq!(said(&["NUMBER(PG_hwpoison)"]), 1, "{}: kallsyms says that there is one", case.name);
    }
    assert!(all.is_empty() || with_btf > 0);
}
