//! lab/exceptions.txt: pages where gdump and makedumpfile are known to differ, and why.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One line of the file.
#[derive(Debug)]
struct Exception {
    release: String,
    pfns: RangeInclusive<u64>,
    reason: String,
}

/// The lines that may hold for a dump.
#[derive(Debug)]
pub struct Exceptions(Vec<Exception>);

impl Exceptions {
    /// Reads the file at `path`, keeping what holds for kernel `release`.
    pub fn read(path: &Path, release: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text, release).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, release: &str) -> Result<Self> {
        let mut found = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let exception = parse_line(line).with_context(|| format!("line {number}"))?;
            if matches(&exception.release, release) {
                found.push(exception);
            }
        }
        Ok(Self(found))
    }

    /// Why `pfn` may differ.
    pub fn reason(&self, pfn: u64) -> Option<&str> {
        self.0.iter().find(|exception| exception.pfns.contains(&pfn)).map(|exception| exception.reason.as_str())
    }
}

fn parse_line(line: &str) -> Result<Exception> {
    let mut words = line.split_whitespace();
    let (Some(release), Some(pfns)) = (words.next(), words.next()) else { bail!("wanted: RELEASE PFNS REASON") };
    let reason = words.collect::<Vec<_>>().join(" ");
    if reason.is_empty() {
        bail!("no reason is given");
    }
    let (first, last) = pfns.split_once('-').unwrap_or((pfns, pfns));
    Ok(Exception { release: release.to_string(), pfns: pfn(first)?..=pfn(last)?, reason })
}

fn pfn(text: &str) -> Result<u64> {
    let digits = text.strip_prefix("0x").with_context(|| format!("pfn {text} does not start with 0x"))?;
    u64::from_str_radix(digits, 16).with_context(|| format!("pfn {text}"))
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.filter_map(|at| text.get(at..)).any(|tail| matches(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("6.1.0", "6.1.0", true),
            ("6.1.*", "6.1.0-50-cloud-amd64", true),
            ("*-cloud-*", "6.1.0-50-cloud-amd64", true),
            ("*-cloud", "6.1.0-50-cloud-amd64", false),
            ("5.*", "6.1.5.2", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn lines() {
        let text = "# comment\n\n6.1.* 0x10-0x12 poisoned while it was dumped\n5.10.* 0x20 other\n";
        let found = Exceptions::parse(text, "6.1.0-50-amd64").unwrap();
        assert_eq!(found.reason(0x12), Some("poisoned while it was dumped"));
        assert_eq!((found.reason(0x13), found.reason(0x20)), (None, None));
        for bad in ["6.1.*", "6.1.* 16 decimal", "6.1.* 0x10"] {
            assert!(Exceptions::parse(bad, "").is_err(), "{bad}");
        }
    }
}
