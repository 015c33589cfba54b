//! What one run of a program took, and the middle of several.

use anyhow::{Context, Result};

/// What one run took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Peak resident memory in MiB; where it forked (makedumpfile `--split`), of the largest process, not of their sum.
    pub rss_mib: f64,
}

impl Sample {
    /// How time(1) is asked for what [`Sample::new`] reads: the peak in KiB.
    ///
    /// Through time(1), because asking the kernel ourselves takes unsafe code. Its %M is right for small programs too:
    /// a child's peak starts from the memory of the process that forked it, which is `time` (1.1 MiB as `time true`
    /// says, whatever the memory of who called `time`).
    pub const TIME_FORMAT: &str = "%M";

    /// From the time measured here and the word that time(1) wrote.
    ///
    /// # Errors
    /// Where that is no number.
    pub fn new(wall_s: f64, usage: &str) -> Result<Self> {
        let kib: f64 = usage.trim().parse().with_context(|| format!("time printed {usage:?}"))?;
        Ok(Self { wall_s, rss_mib: kib / 1024.0 })
    }

    /// The median of each column by itself.
    ///
    /// # Errors
    /// Where there is no sample.
    pub fn median(samples: &[Self]) -> Result<Self> {
        let column = |of: fn(&Self) -> f64| median(samples.iter().map(of).collect());
        Ok(Self { wall_s: column(|sample| sample.wall_s)?, rss_mib: column(|sample| sample.rss_mib)? })
    }
}

/// The middle one of `values`, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.get(values.len() / 2), values.get(values.len().saturating_sub(1) / 2));
    Ok((upper.context("no sample")? + lower.context("no sample")?) / 2.0)
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
        let samples = [(1.0, "9216"), (3.0, "7168\n"), (2.0, "8192")];
        let samples = samples.map(|(wall_s, usage)| Sample::new(wall_s, usage).unwrap());
        assert_eq!(Sample::median(&samples).unwrap(), Sample { wall_s: 2.0, rss_mib: 8.0 });
        assert!(Sample::new(1.0, "Command exited with non-zero status 1").is_err());
    }
}
