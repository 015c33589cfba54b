//! What one run of a program took, and the middle of several.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What one run took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Processor seconds of it and of its children.
    pub cpu_s: f64,
    /// Peak resident memory; where it forked (makedumpfile `--split`), of the largest process, not of their sum.
    pub rss_mib: f64,
    /// Size of what it wrote, all files together.
    pub out_mib: f64,
}

impl Sample {
    /// How time(1) is asked for what [`Sample::new`] reads.
    ///
    /// Through time(1), because asking the kernel ourselves takes unsafe code. Its %M is right for small programs too: a
    /// child's peak starts from the memory of the process that forked it, which is `time` (1.1 MiB as `time true` says,
    /// whatever the memory of who called `time`).
    pub const TIME_FORMAT: &str = "%U %S %M";

    /// From the time measured here, the words that time(1) wrote, and the bytes that were written.
    pub fn new(wall_s: f64, usage: &str, out: u64) -> Result<Self> {
        let (cpu_s, rss_mib) = read_usage(usage)?;
        Ok(Self { wall_s, cpu_s, rss_mib, out_mib: mib(out) })
    }

    /// The median of each column by itself.
    pub fn median(samples: &[Self]) -> Result<Self> {
        let column = |of: fn(&Self) -> f64| median(samples.iter().map(of).collect());
        Ok(Self {
            wall_s: column(|sample| sample.wall_s)?,
            cpu_s: column(|sample| sample.cpu_s)?,
            rss_mib: column(|sample| sample.rss_mib)?,
            out_mib: column(|sample| sample.out_mib)?,
        })
    }
}

/// The middle one of `values`, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.get(values.len() / 2), values.get(values.len().saturating_sub(1) / 2));
    Ok((upper.context("no sample")? + lower.context("no sample")?) / 2.0)
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Processor seconds and peak memory (MiB) of "USER SYSTEM KIB".
fn read_usage(text: &str) -> Result<(f64, f64)> {
    let words: Vec<f64> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().with_context(|| text.to_string())?;
    let [user, system, kib] = words.as_slice() else { bail!("time printed {text:?}") };
    Ok((user + system, kib / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).unwrap(), 2.5);
        assert!(median(Vec::new()).is_err());
    }

    #[test]
    fn each_column_has_its_own_median() {
        let sample = |wall_s, rss_mib| Sample { wall_s, cpu_s: 1.0, rss_mib, out_mib: 1.0 };
        let median = Sample::median(&[sample(1.0, 9.0), sample(3.0, 7.0), sample(2.0, 8.0)]).unwrap();
        assert_eq!((median.wall_s, median.rss_mib), (2.0, 8.0));
    }

    #[test]
    fn usage() {
        assert_eq!(read_usage("1.50 0.25 2048\n").unwrap(), (1.75, 2.0));
        assert!(read_usage("1.50 0.25").is_err());
        assert!(read_usage("Command exited with non-zero status 1").is_err());
    }
}
