//! Names with the time in them, as the QNX hypervisor has them: PREFIX-YYYYMMDD-hhmmss.gcore.

use crate::output_path::{OutputOptions, OutputPath, until_whole};
use crate::plan::Naming;
use dump::{Error, ErrorKind, Result};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tz::{DateTime, TimeZone, TimeZoneRef};

/// Says what time it is, for runs that are to give the same again (reproducible-builds.org).
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Numbers that are tried where the name is taken.
const LAST: u32 = 9;

/// Makes a new file in the directory: PREFIX-YYYYMMDD-hhmmss.ENDING, or the same with -1 to -9 before the ending where
/// files of the names before are there. It is there from now on, empty, so that the name is nobody else's.
///
/// # Errors
/// If it cannot be made, or all ten names are taken.
pub fn claim(naming: &Naming, ending: &str, options: OutputOptions) -> Result<OutputPath> {
    let stem = stem(&naming.prefix, &time()?);
    let options = OutputOptions { force: false, ..options };
    for path in candidates(naming, &stem, ending) {
        let is_taken =
            || [path.clone(), until_whole(&path, options)].iter().any(|name| name.symlink_metadata().is_ok());
        if is_taken() {
            continue;
        }
        match OutputPath::open(&path, options) {
            Ok(file) => return file.lock().map(|()| file),
            // somebody else was faster
            Err(_) if is_taken() => {}
            Err(e) => return Err(e),
        }
    }
    let mut first = stem;
    first.push(format!(".{ending}"));
    let text = format!("exists, and so do those with -1 to -{LAST}");
    Err(Error::new(ErrorKind::Io, text).within(naming.directory.join(first).display()))
}

fn stem(prefix: &OsStr, time: &str) -> OsString {
    let mut stem = prefix.to_owned();
    stem.push(format!("-{time}"));
    stem
}

fn candidates(naming: &Naming, stem: &OsStr, ending: &str) -> impl Iterator<Item = PathBuf> {
    let numbers = std::iter::once(String::new()).chain((1..=LAST).map(|n| format!("-{n}")));
    numbers.map(move |number| {
        let mut name = stem.to_owned();
        name.push(format!("{number}.{ending}"));
        naming.directory.join(name)
    })
}

/// The time, as YYYYMMDD-hhmmss: that of `SOURCE_DATE_EPOCH` in UTC, or now, where this machine is.
fn time() -> Result<String> {
    let given = std::env::var_os(EPOCH).filter(|given| !given.is_empty());
    let Some(given) = given else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        return format(now, local().as_ref());
    };
    let seconds = given.to_str().and_then(|text| text.parse::<u64>().ok()).and_then(|s| i64::try_from(s).ok());
    let seconds = seconds.ok_or_else(|| {
        Error::new(ErrorKind::Io, format!("{}: expected seconds since 1970", given.to_string_lossy())).within(EPOCH)
    })?;
    format(seconds, TimeZoneRef::utc())
}

/// The time zone of `TZ` or, without it, of this machine; UTC where nothing says which that is.
fn local() -> TimeZone {
    let named = std::env::var("TZ").ok().and_then(|name| TimeZone::from_posix_tz(&name).ok());
    named.or_else(|| TimeZone::local().ok()).unwrap_or_else(TimeZone::utc)
}

fn format(seconds: i64, zone: TimeZoneRef<'_>) -> Result<String> {
    let date = DateTime::from_timespec(seconds, 0, zone).ok().filter(|date| (1970..=9999).contains(&date.year()));
    let date = date.ok_or_else(|| Error::new(ErrorKind::Io, format!("{seconds} s since 1970 is no time to name")))?;
    let (day, time) = ((date.year(), date.month(), date.month_day()), (date.hour(), date.minute(), date.second()));
    Ok(format!("{:04}{:02}{:02}-{:02}{:02}{:02}", day.0, day.1, day.2, time.0, time.1, time.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_form_of_the_hypervisor() {
        let utc = TimeZoneRef::utc();
        assert_eq!(format(1_503_317_179, utc).unwrap(), "20170821-120619");
        assert_eq!(format(0, utc).unwrap(), "19700101-000000");
        let tokyo = TimeZone::from_posix_tz("JST-9").unwrap();
        assert_eq!(format(1_503_317_179, tokyo.as_ref()).unwrap(), "20170821-210619");
        assert!(format(i64::MAX, utc).is_err());
    }

    #[test]
    fn ten_names_are_tried() {
        let naming = Naming { directory: "d".into(), prefix: "linux1".into() };
        let names: Vec<PathBuf> = candidates(&naming, &stem(&naming.prefix, "T"), "gcore").collect();
        assert_eq!(names.len(), 10);
        assert_eq!(
            [&names[0], &names[1], &names[9]].map(|p| p.to_str().unwrap()),
            ["d/linux1-T.gcore", "d/linux1-T-1.gcore", "d/linux1-T-9.gcore"]
        );
    }
}
