//! What was found, by kind and command.

use std::fmt;

use super::verdict::Verdict;

/// Counts of what runs left.
#[derive(Default)]
pub struct Tally(Vec<Row>);

struct Row {
    kind: &'static str,
    command: &'static str,
    /// Whole, incomplete, absent, wrong.
    counts: [u32; 4],
}

impl Tally {
    /// Counts what a run of `command` left.
    pub fn add(&mut self, kind: &'static str, command: &'static str, verdict: &Verdict) {
        let column = match verdict {
            Verdict::Whole => 0,
            Verdict::Incomplete => 1,
            Verdict::Absent => 2,
            Verdict::Wrong(_) => 3,
        };
        let at = self.0.iter().position(|row| (row.kind, row.command) == (kind, command)).unwrap_or_else(|| {
            self.0.push(Row { kind, command, counts: [0; 4] });
            self.0.len() - 1
        });
        self.0[at].counts[column] += 1;
    }

    /// How many runs left what they must not.
    pub fn wrong(&self) -> u32 {
        self.0.iter().map(|row| row.counts[3]).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| kind | command | rounds | whole | incomplete | absent | wrong |")?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|")?;
        let mut sums = [0; 4];
        for Row { kind, command, counts } in &self.0 {
            line(f, kind, &format!("`{command}`"), counts)?;
            (0..4).for_each(|i| sums[i] += counts[i]);
        }
        line(f, "all", "", &sums)
    }
}

fn line(f: &mut fmt::Formatter<'_>, kind: &str, command: &str, counts: &[u32; 4]) -> fmt::Result {
    let [whole, incomplete, absent, wrong] = counts;
    let rounds: u32 = counts.iter().sum();
    writeln!(f, "| {kind} | {command} | {rounds} | {whole} | {incomplete} | {absent} | {wrong} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed() {
        let mut tally = Tally::default();
        tally.add("kill", "-c", &Verdict::Whole);
        tally.add("kill", "-c", &Verdict::Wrong(String::new()));
        tally.add("kill", "-E", &Verdict::Absent);
        assert_eq!(tally.wrong(), 1);
        let text = tally.to_string();
        assert!(text.contains("| kill | `-c` | 2 | 1 | 0 | 0 | 1 |\n"), "{text}");
        assert!(text.ends_with("| all |  | 3 | 1 | 0 | 1 | 1 |\n"), "{text}");
    }
}
