//! What a batch is asked to do: a manifest, the files of a directory, or names on stdin.

use super::job::{Job, Wish};
use crate::plan::{BatchPlan, JobSource};
use crate::target::Place;
use dump::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A line of a manifest is shorter (bytes).
const LONGEST: u64 = 1 << 20;

/// What a digest begins with, and how many hexadecimal digits follow.
const HASH: &str = "blake3:";
const DIGITS: usize = 64;

/// A line of a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<String>,
    #[serde(deserialize_with = "names")]
    input: Vec<String>,
    output: String,
    #[serde(default)]
    options: Vec<String>,
    digest: Option<String>,
}

/// A name, or a list of names.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a file name or a list of them")
        }

        fn visit_str<E>(self, name: &str) -> std::result::Result<Vec<String>, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Vec<String>, A::Error> {
            std::iter::from_fn(|| list.next_element().transpose()).collect()
        }
    }
    deserializer.deserialize_any(Names)
}

/// All jobs of `plan`, whatever its shard, in their order.
///
/// # Errors
/// One line, which names the line of the manifest: if a job makes no sense, or two write the same file, or one reads
/// what another writes.
pub fn jobs(plan: &BatchPlan) -> Result<Vec<Job>> {
    let (base, common) = (plan.source.base(), &plan.options);
    let wishes = match &plan.source {
        JobSource::Manifest(path) => of_manifest(path),
        JobSource::Directory { inputs, outputs } => of_directory(inputs, outputs),
        JobSource::Names { null, outputs } => of_names(&mut std::io::stdin().lock(), *null, outputs),
    }?;
    let whole = |(at, wish): (String, Wish)| {
        let wish = Wish { options: [&common[..], &wish.options].concat(), ..wish };
        Job::new(wish, base).map(|job| (at.clone(), job)).map_err(|why| Error::corrupt(why).within(at))
    };
    let jobs = wishes.into_iter().map(whole).collect::<Result<Vec<_>>>()?;
    distinct(&jobs)?;
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// A wish, and where it stands.
type Placed = (String, Wish);

fn of_manifest(path: &Path) -> Result<Vec<Placed>> {
    let within = |e: Error| e.within(path.display());
    let mut file = BufReader::new(File::open(path).map_err(|e| within(e.into()))?);
    let mut wishes = Vec::new();
    for number in 1.. {
        let at = || format!("{}:{number}", path.display());
        let Some(line) = line(&mut file, b'\n').map_err(|e| e.within(at()))? else { break };
        if !line.iter().all(u8::is_ascii_whitespace) {
            wishes.push((at(), wish(&line, number).map_err(|e| e.within(at()))?));
        }
    }
    Ok(wishes)
}

/// A line without its end; `None` after the last one.
fn line(file: &mut impl BufRead, end: u8) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    match file.by_ref().take(LONGEST).read_until(end, &mut line)? {
        0 => return Ok(None),
        read if read as u64 == LONGEST => {
            return Err(Error::corrupt(format!("a line of {LONGEST} bytes or more, expected a shorter one")));
        }
        _ => {}
    }
    if line.last() == Some(&end) {
        line.pop();
    }
    Ok(Some(line))
}

fn wish(line: &[u8], number: u64) -> Result<Wish> {
    let Line { id, input, output, options, digest } = serde_json::from_slice(line).map_err(|e| {
        // the line that is named is the manifest's
        let text = e.to_string();
        Error::corrupt(text.replace(" at line 1 column ", " at column "))
    })?;
    if let Some(digest) = digest.as_deref().filter(|digest| !is_digest(digest)) {
        return Err(Error::corrupt(format!("digest {digest:?}: expected {HASH} and {DIGITS} hexadecimal digits")));
    }
    if input.is_empty() {
        return Err(Error::corrupt("input: expected a file name, found an empty list"));
    }
    Ok(Wish { id: id.unwrap_or(number.to_string()), inputs: input, output, options, digest })
}

fn is_digest(text: &str) -> bool {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    text.strip_prefix(HASH).is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

/// The files in `inputs` by name, but for hidden ones and checksums of others.
fn of_directory(inputs: &Path, outputs: &Path) -> Result<Vec<Placed>> {
    let read = || -> std::io::Result<Vec<PathBuf>> { fs::read_dir(inputs)?.map(|e| e.map(|e| e.path())).collect() };
    let mut paths = read().map_err(|e| Error::from(e).within(inputs.display()))?;
    paths.retain(|path| path.is_file() && !is_hidden(path) && !is_checksum(path));
    paths.sort();
    paths.into_iter().map(|path| of_name(&path, outputs)).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_checksum(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sum") && path.with_extension("").is_file()
}

fn of_names(from: &mut impl BufRead, null: bool, outputs: &Path) -> Result<Vec<Placed>> {
    let mut wishes = Vec::new();
    while let Some(name) = line(from, if null { 0 } else { b'\n' }).map_err(|e| e.within("stdin"))? {
        if !name.is_empty() {
            let name = String::from_utf8(name).map_err(|e| not_utf8(&e.to_string()).within("stdin"))?;
            wishes.push(of_name(Path::new(&name), outputs)?);
        }
    }
    Ok(wishes)
}

fn not_utf8(name: &str) -> Error {
    Error::unsupported(format!("{name}: a file name that is not UTF-8, which results cannot have"))
        .hint("a link to it can have another")
}

/// A dump that gets its own name in another directory.
fn of_name(path: &Path, outputs: &Path) -> Result<Placed> {
    let Some(name) = path.file_name() else { return Err(Error::corrupt("no file name").within(path.display())) };
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| not_utf8(&path.display().to_string()));
    let (input, output) = (text(path)?, text(&outputs.join(name))?);
    let wish = Wish { id: input.clone(), inputs: vec![input.clone()], output, options: Vec::new(), digest: None };
    Ok((input, wish))
}

/// Refuses jobs that get in each other's way, in whatever order they are done.
fn distinct(jobs: &[(String, Job)]) -> Result<()> {
    let mut writers: HashMap<Place, &str> = HashMap::new();
    for (at, job) in jobs {
        let beside = job.checksum.then(|| crate::checksum::path_of(&job.output));
        for path in [job.output.clone(), job.until_whole()].into_iter().chain(beside) {
            if let Some(other) = writers.insert(Place::of(&path), at) {
                let text = format!("output {}: the job at {other} writes it, too", job.wish.output);
                return Err(Error::corrupt(text).within(at));
            }
        }
    }
    for (at, job) in jobs {
        for path in &job.reads {
            if let Some(other) = writers.get(&Place::of(path)) {
                let text =
                    format!("input {}: the job at {other} writes it; jobs are done in any order", path.display());
                return Err(Error::corrupt(text).within(at));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> std::result::Result<Wish, String> {
        wish(line.as_bytes(), 7).map_err(|e| e.to_string())
    }

    #[test]
    fn lines() {
        let wish = parsed(r#"{"input": "a", "output": "b", "options": ["-c"]}"#).unwrap();
        assert_eq!((wish.id.as_str(), wish.inputs.len(), wish.output.as_str()), ("7", 1, "b"));
        assert_eq!(parsed(r#"{"input": ["a", "b"], "output": "c", "id": "x"}"#).unwrap().inputs, ["a", "b"]);
        let digest = format!("blake3:{}", "0a".repeat(32));
        let line = format!(r#"{{"input": "a", "output": "b", "digest": "{digest}"}}"#);
        assert_eq!(parsed(&line).unwrap().digest, Some(digest));
        for (line, why) in [
            ("", "EOF"),
            ("a", "at column 1"),
            (r#"{"output": "b"}"#, "missing field `input`"),
            (r#"{"input": "a"}"#, "missing field `output`"),
            (r#"{"input": 1, "output": "b"}"#, "a file name or a list"),
            (r#"{"input": [], "output": "b"}"#, "an empty list"),
            (r#"{"input": "a", "output": "b", "option": []}"#, "unknown field `option`"),
            (r#"{"input": "a", "output": "b", "digest": "sha256:0a"}"#, "expected blake3: and 64"),
            (r#"{"input": "a", "output": "b"} {}"#, "trailing characters"),
        ] {
            let found = parsed(line).unwrap_err();
            assert!(found.contains(why), "{line}: {found}");
        }
    }

    #[test]
    fn names_on_stdin() {
        let names = |text: &str, null| -> Vec<String> {
            let wishes = of_names(&mut text.as_bytes(), null, Path::new("o")).unwrap();
            wishes.into_iter().map(|(_, wish)| wish.output).collect()
        };
        assert_eq!(names("a\nd/b\n\n", false), ["o/a", "o/b"]);
        assert_eq!(names("a\nb\0c\0", true), ["o/a\nb", "o/c"]);
        assert!(of_names(&mut &b"\xff\n"[..], false, Path::new("o")).is_err());
        assert!(of_names(&mut &b"..\n"[..], false, Path::new("o")).is_err());
    }

    #[test]
    fn jobs_do_not_get_in_each_others_way() {
        let dir = tempfile::tempdir().unwrap();
        let job = |input: &str, output: &str| {
            let (inputs, options) = (vec![input.to_owned()], Vec::new());
            let wish = Wish { id: "1".to_owned(), inputs, output: output.to_owned(), options, digest: None };
            (output.to_owned(), Job::new(wish, dir.path()).unwrap())
        };
        assert!(distinct(&[job("a", "x"), job("a", "y")]).is_ok());
        for other in ["./x", "x", "x.incomplete"] {
            assert!(distinct(&[job("a", "x"), job("a", other)]).is_err(), "{other}");
        }
        assert!(distinct(&[job("x", "y"), job("a", "./x")]).is_err());
    }
}
