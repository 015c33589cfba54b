//! The outcome as a table in Markdown: on the terminal, in README and in CHANGELOG.

use super::outcome::{Line, Outcome};

/// A column: its head and what stands in it.
type Column = (&'static str, fn(&Line) -> String);

const GDUMP: &[Column] = &[("gdump, s", |line| seconds(line.gdump.median.wall_s))];
const PEAK: &[Column] =
    &[("peak, MiB", |line| judged(format!("{:.0}", line.gdump.median.rss_mib), line.is_lean(), "missed"))];
/// What makedumpfile took, what was reached beside what must be, and the limit as seconds of the codec alone and of the
/// copy alone.
const PEER: &[Column] = &[("makedumpfile, s", |line| of(&line.peer, |peer| seconds(peer.runs.median.wall_s)))];
const GOALS: &[Column] = &[
    ("times faster", |line| {
        of(&line.peer, |peer| judged(format!("{:.2}", peer.ratio(&line.gdump)), line.is_fast(), "missed"))
    }),
    ("at least", |line| of(&line.goal, |goal| format!("{:.1}", goal.at_least))),
    ("aim", |line| of(&line.goal.and_then(|goal| goal.aim), |aim| format!("{aim:.1}"))),
    ("limit, s", limit),
    ("output, times the peer's", |line| {
        of(&line.peer, |peer| judged(format!("{:.3}", peer.size(&line.gdump)), line.is_small(), "missed"))
    }),
];
const BEFORE: &[Column] = &[
    ("before, s", |line| of(&line.before, |before| seconds(before.runs.median.wall_s))),
    ("time, times before", |line| {
        of(&line.before, |before| judged(format!("{:.3}", before.time), !line.is_slower(), "slower"))
    }),
    ("peak before, MiB", |line| of(&line.before, |before| format!("{:.1}", before.runs.median.rss_mib))),
    ("peak, times before", |line| of(&line.before, |before| format!("{:.3}", before.memory))),
];

/// The columns of what was measured.
fn columns(outcome: &Outcome) -> Vec<&'static Column> {
    let (peer, before) = (outcome.peer.is_some(), outcome.before);
    let shown = [(PEER, peer), (GDUMP, true), (GOALS, peer), (PEAK, true), (BEFORE, before)];
    shown.into_iter().filter(|(_, shown)| *shown).flat_map(|(columns, _)| columns).collect()
}

/// The head of the table.
pub fn head(outcome: &Outcome) -> String {
    let columns = columns(outcome);
    let heads: Vec<&str> = std::iter::once("run").chain(columns.iter().map(|(head, _)| *head)).collect();
    format!("| {} |\n|---|{}", heads.join(" | "), "--:|".repeat(columns.len()))
}

/// A line of the table.
pub fn line(outcome: &Outcome, line: &Line) -> String {
    let (name, rest) = line.row.split_at(line.row.find(", ").unwrap_or(line.row.len()));
    let cells = columns(outcome).into_iter().map(|(_, cell)| format!(" {} |", cell(line)));
    format!("| `{name}`{rest} |{}", cells.collect::<String>())
}

/// What stands below the table.
pub fn foot(outcome: &Outcome) -> String {
    let limit = if outcome.peer.is_some() { "; limit: codec alone + copy alone, on all CPUs" } else { "" };
    format!("\n{}{limit}.", outcome.setting())
}

/// The whole table.
pub fn markdown(outcome: &Outcome) -> String {
    let lines = outcome.rows.iter().map(|row| line(outcome, row));
    let all: Vec<String> = std::iter::once(head(outcome)).chain(lines).chain([foot(outcome)]).collect();
    all.join("\n") + "\n"
}

fn of<T>(value: &Option<T>, text: impl Fn(&T) -> String) -> String {
    value.as_ref().map_or_else(String::new, text)
}

fn judged(text: String, good: bool, bad: &str) -> String {
    if good { text } else { format!("{text} ({bad})") }
}

fn limit(line: &Line) -> String {
    let Some(limit) = line.peer.as_ref().and_then(|peer| peer.limit) else { return String::new() };
    let codec = limit.codec_s.map_or_else(String::new, |codec| format!("{} + ", seconds(codec)));
    codec + &seconds(limit.copy_s)
}

/// Three digits that count: 12.3, 1.23, 0.123, but no thousandths of milliseconds.
fn seconds(seconds: f64) -> String {
    match seconds {
        10.0.. => format!("{seconds:.1}"),
        1.0.. => format!("{seconds:.2}"),
        _ => format!("{seconds:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::example;

    #[test]
    fn beside_makedumpfile_misses_are_marked() {
        let text = markdown(&Outcome { before: false, ..example() });
        let lines: Vec<_> = text.lines().collect();
        let head = "| run | makedumpfile, s | gdump, s | times faster | at least | aim | \
                    limit, s | output, times the peer's | peak, MiB |";
        assert_eq!(lines[..2], [head, "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]);
        assert_eq!(lines[2], "| `-c -d 1` | 10.0 | 2.00 | 5.00 | 4.0 | 5.5 | 1.50 + 0.250 | 1.010 | 8 |");
        assert_eq!(lines[3], "| `-c -d 1`, one thread | 12.0 | 4.00 | 3.00 | 2.0 |  |  | 1.010 | 6 |");
        assert_eq!(
            lines[4],
            "| `-R` | 0.600 | 0.500 | 1.20 (missed) | 1.5 | 3.0 | 0.030 | 1.010 (missed) | 41 (missed) |"
        );
        assert_eq!(
            lines[6],
            "2 CPUs (CPU <1> & more), dump of 4.0 GiB, medians of 5, makedumpfile 1.7.9; \
             limit: codec alone + copy alone, on all CPUs."
        );
    }

    #[test]
    fn beside_the_one_before_what_is_slower_is_marked() {
        let text = markdown(&Outcome { peer: None, ..example() });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[3], "| `-c -d 1`, one thread | 4.00 | 6 | 4.00 | 1.030 | 6.0 | 0.500 |");
        assert_eq!(lines[4], "| `-R` | 0.500 | 41 (missed) | 0.500 | 1.040 (slower) | 41.0 | 0.500 |");
        assert_eq!(lines[6], "2 CPUs (CPU <1> & more), dump of 4.0 GiB, medians of 5.");
    }
}
