//! The outcome as text: a wide table for the terminal, a narrow one in Markdown for README and CHANGELOG.

use super::outcome::{Line, Outcome, Scale};
use super::sample::Sample;

/// Head of the table on the terminal.
pub const HEAD: &str = concat!(
    "                            gdump                                makedumpfile, its fastest way                ",
    "        makedumpfile / gdump   size of  goals          limit    of\n",
    "row                threads    wall s   cpu s  RSS MiB  out MiB   threads    wall s   cpu s  RSS MiB  out MiB  ",
    "  wall   cpu   RSS     peer's  least  aim       s   limit",
);

/// A line of the table on the terminal.
pub fn line(line: &Line) -> String {
    let (us, them) = (line.gdump.median, line.makedumpfile.runs.median);
    let ratios = [them.wall_s / us.wall_s, them.cpu_s / us.cpu_s, them.rss_mib / us.rss_mib];
    let goals = line.goal.map_or_else(
        || format!("{:>7}{:>5}", "", ""),
        |goal| format!("{:>7.1}{:>5}", goal.at_least, goal.aim.map_or_else(String::new, |aim| format!("{aim:.1}"))),
    );
    let limit = match (line.limit, line.of_limit()) {
        (Some(limit), Some(share)) => format!("{:>8.3}{:>6.0} %", limit.seconds(), share * 100.0),
        _ => String::new(),
    };
    let text = format!(
        "{:<19}{:>7}{}{:>10}{}{:>8.2}{:>6.2}{:>6.2}{:>11.3}{goals}{limit}",
        line.row,
        threads(line.threads, "default"),
        columns(us),
        threads(line.makedumpfile.num_threads, "-"),
        columns(them),
        ratios[0],
        ratios[1],
        ratios[2],
        line.size(),
    );
    text.trim_end().to_string()
}

fn columns(sample: Sample) -> String {
    format!("{:>10.3}{:>8.2}{:>9.1}{:>9.1}", sample.wall_s, sample.cpu_s, sample.rss_mib, sample.out_mib)
}

fn threads(number: Option<u32>, none: &str) -> String {
    number.map_or_else(|| none.to_string(), |number| number.to_string())
}

/// The table in Markdown: what was reached beside what must be, misses marked, and the limit as seconds of the codec alone
/// and of the copy alone.
pub fn markdown(outcome: &Outcome) -> String {
    let mut text = String::from(
        "| run | makedumpfile, s | gdump, s | times faster | at least | aim | limit, s | output, times the peer's | peak, MiB |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (title, line) in outcome.shown() {
        let goal = |of: Option<f64>| of.map_or_else(String::new, |goal| format!("{goal:.1}"));
        text += &format!(
            "| `{}`{} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            line.row,
            title.strip_prefix(&line.row).unwrap_or_default(),
            seconds(line.makedumpfile.runs.median.wall_s),
            seconds(line.gdump.median.wall_s),
            judged(format!("{:.2}", line.ratio()), line.is_fast()),
            goal(line.goal.map(|goal| goal.at_least)),
            goal(line.goal.and_then(|goal| goal.aim)),
            limit(line),
            judged(format!("{:.3}", line.size()), line.is_small()),
            judged(format!("{:.0}", line.gdump.median.rss_mib), line.is_lean()),
        );
    }
    text += &format!("\n{}; limit: codec alone + copy alone, on all CPUs.\n", outcome.setting());
    text
}

fn judged(text: String, good: bool) -> String {
    if good { text } else { format!("{text} (missed)") }
}

fn limit(line: &Line) -> String {
    let Some(limit) = line.limit else { return String::new() };
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

/// Head of the table of dumps of several sizes.
pub const SCALE_HEAD: &str =
    "dump                                row            GiB  written GiB    wall s   s/GiB  s/GiB written   RSS MiB";

/// A line of the table of dumps of several sizes.
pub fn scale(scale: &Scale) -> String {
    let (size, written) = (scale.vmcore_mib / 1024.0, scale.written_mib / 1024.0);
    let Sample { wall_s, rss_mib, .. } = scale.gdump.median;
    format!(
        "{:<36}{:<11}{size:>7.2}{written:>13.3}{wall_s:>10.3}{:>8.3}{:>15.2}{rss_mib:>10.1}",
        scale.vmcore,
        scale.row,
        wall_s / size,
        wall_s / written
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::example;

    #[test]
    fn markdown_marks_misses() {
        let text = markdown(&example());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "| `-c -d 1` | 10.0 | 2.00 | 5.00 | 4.0 | 5.5 | 1.50 + 0.250 | 1.010 | 8 |");
        assert_eq!(lines[3], "| `-c -d 1`, one thread | 12.0 | 4.00 | 3.00 | 2.0 |  |  | 1.010 | 6 |");
        assert_eq!(
            lines[4],
            "| `-R` | 0.600 | 0.500 | 1.20 (missed) | 1.5 | 3.0 | 0.030 | 1.010 (missed) | 41 (missed) |"
        );
        assert_eq!(
            lines[6],
            "2 CPUs (CPU <1> & more), dump of 4.0 GiB, medians of 5, makedumpfile 1.7.9; limit: codec alone + copy alone, on all CPUs."
        );
    }

    #[test]
    fn columns_stand_under_their_heads() {
        let lines: Vec<String> = example().rows.iter().map(line).collect();
        let head = HEAD.lines().nth(1).unwrap();
        let end = |text: &str, word: &str| text.find(word).unwrap() + word.len();
        assert_eq!(end(&lines[0], "default"), end(head, "threads"));
        assert_eq!(end(&lines[0], "88 %"), end(head, "limit"));
        assert_eq!(end(&lines[0], "1.010"), end(head, "peer's"));
    }
}
