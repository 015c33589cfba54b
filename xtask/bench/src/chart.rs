//! The outcome as a picture: a bar for each row, as long as gdump is times faster, with marks for what it must reach,
//! what it aims at, and what the limit allows.
//!
//! SVG by hand: no fonts but the reader's, no script. One set of colours that can be read on white and on black: GitHub
//! shows the pictures of a README on either, and its theme is not always the one that the reader's browser would tell
//! the picture. The same outcome gives the same bytes.

use super::outcome::{Line, Outcome, Peer};

/// Width of the picture.
const WIDTH: f64 = 760.0;
/// Where bars begin, and where the longest one ends.
const LEFT: f64 = 172.0;
const RIGHT: f64 = 684.0;
/// Height of a row, and of the bar in it.
const ROW: f64 = 28.0;
const BAR: f64 = 14.0;
/// Where rows begin: title and legend are above.
const TOP: f64 = 84.0;
/// Bars and marks that go further are cut there: one row that is very fast must not squeeze the others.
const LONGEST: f64 = 10.0;

const STYLE: &str = "<style>
text{font:12px ui-sans-serif,system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#6e7781}
.title{font-size:14px;font-weight:600}
.row{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.value{font-weight:600}
.grid{stroke:#8c959f;stroke-opacity:.35}
.good{fill:#2f81f7}.missed{fill:#d9822b}
.least,.aim{fill:#fff;stroke:#24292f}.limit{fill:#1a9e5c;stroke:#fff;stroke-width:.75}
</style>
";

/// Draws the rows that makedumpfile was measured in.
pub fn svg(outcome: &Outcome) -> String {
    let rows: Vec<(&Line, &Peer)> = outcome.rows.iter().filter_map(|line| Some((line, line.peer.as_ref()?))).collect();
    let scale = Scale::of(&rows);
    let height = TOP + ROW * rows.len() as f64 + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"How many times faster gdump is than makedumpfile\">\n{STYLE}"
    );
    text += &header(outcome);
    text += &grid(&scale, rows.len());
    for (number, (line, peer)) in rows.iter().enumerate() {
        text += &row(&scale, TOP + ROW * number as f64, line, peer);
    }
    text + "</svg>\n"
}

/// Turns ratios into places.
struct Scale {
    max: f64,
}

impl Scale {
    /// Up to the whole number above the longest bar and the farthest aim. Limits far beyond are cut.
    fn of(rows: &[(&Line, &Peer)]) -> Self {
        let aims = rows.iter().filter_map(|(line, _)| line.goal.map(|goal| goal.aim.unwrap_or(goal.at_least)));
        let ratios = rows.iter().map(|(line, peer)| peer.ratio(&line.gdump));
        let max = aims.chain(ratios).filter(|ratio| ratio.is_finite()).fold(1.0, f64::max);
        Self { max: (max + 0.3).ceil().min(LONGEST) }
    }

    fn x(&self, ratio: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (ratio / self.max).clamp(0.0, 1.0)
    }
}

fn header(outcome: &Outcome) -> String {
    let mut text = format!(
        "<text class=\"title\" x=\"12\" y=\"22\">Times faster than makedumpfile</text>\n\
         <text x=\"12\" y=\"41\">{}</text>\n",
        escaped(&outcome.setting())
    );
    let y = 62.0;
    let key = |x: f64, mark: String, word: &str| format!("{mark}<text x=\"{}\" y=\"{y}\">{word}</text>\n", x + 14.0);
    let bar = format!("<rect class=\"good\" x=\"12\" y=\"{}\" width=\"10\" height=\"10\"/>", y - 9.0);
    text += &key(12.0, bar, "gdump");
    let missed = format!("<rect class=\"missed\" x=\"84\" y=\"{}\" width=\"10\" height=\"10\"/>", y - 9.0);
    text += &key(84.0, missed, "slower than it must be");
    text += &key(240.0, least(246.0, y - 4.0), "at least");
    text += &key(320.0, aim(326.0, y - 4.0), "aim");
    text += &key(380.0, limit(386.0, y - 4.0), "what codec and copy alone allow (at the edge: beyond)");
    text
}

fn grid(scale: &Scale, rows: usize) -> String {
    let bottom = TOP + ROW * rows as f64;
    let mut text = String::new();
    for number in 0..=scale.max as u32 {
        let x = scale.x(number.into());
        text += &format!(
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{number}</text>\n",
            bottom + 18.0
        );
    }
    text
}

fn row(scale: &Scale, top: f64, line: &Line, peer: &Peer) -> String {
    let (middle, ratio) = (top + ROW / 2.0, peer.ratio(&line.gdump));
    let class = if line.is_fast() { "good" } else { "missed" };
    let end = scale.x(ratio);
    let mut text = format!(
        "<text class=\"row\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        LEFT - 10.0,
        middle + 4.0,
        escaped(&line.row)
    );
    text += &format!(
        "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>",
        middle - BAR / 2.0,
        end - LEFT
    );
    if let Some(goal) = line.goal {
        text += &least(scale.x(goal.at_least), middle);
        text += &goal.aim.map_or_else(String::new, |at| aim(scale.x(at), middle));
    }
    text +=
        &peer.limit.map_or_else(String::new, |found| limit(scale.x(peer.runs.median.wall_s / found.seconds()), middle));
    // In a column of their own, where no mark runs through them.
    text += &format!(
        "<text class=\"value\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{ratio:.2}×</text>\n",
        WIDTH - 12.0,
        middle + 4.0
    );
    text
}

/// A stroke across the bar.
fn least(x: f64, y: f64) -> String {
    let (left, top, height) = (x - 1.5, y - BAR / 2.0 - 3.0, BAR + 6.0);
    format!("<rect class=\"least\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"3\" height=\"{height}\"/>")
}

/// A ring.
fn aim(x: f64, y: f64) -> String {
    format!("<circle class=\"aim\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>")
}

/// A diamond.
fn limit(x: f64, y: f64) -> String {
    format!("<path class=\"limit\" d=\"M{x:.1} {:.1}l5 6l-5 6l-5 -6z\"/>", y - 6.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::example;

    #[test]
    fn a_bar_and_its_marks() {
        let text = svg(&example());
        assert_eq!(text, svg(&example()));
        assert!(text.contains("2 CPUs (CPU &lt;1&gt; &amp; more)"), "{text}");
        // The longest is an aim of 5.5, so the scale ends at 6.
        let x = |ratio: f64| LEFT + (RIGHT - LEFT) * ratio / 6.0;
        assert!(text.contains(&format!("width=\"{:.1}\"", x(5.0) - LEFT)), "{text}");
        assert!(text.contains(&format!("class=\"least\" x=\"{:.1}\"", x(4.0) - 1.5)), "{text}");
        assert!(text.contains(&format!("cx=\"{:.1}\"", x(5.5))), "{text}");
        assert!(text.contains(&format!("class=\"limit\" d=\"M{:.1} ", x(10.0 / 1.75))), "{text}");
        // Each once in the legend: rows without what they mark have none.
        assert_eq!(text.matches("class=\"missed\"").count(), 2);
        assert_eq!(text.matches("class=\"limit\"").count(), 3);
    }

    #[test]
    fn what_is_too_fast_is_cut() {
        let mut outcome = example();
        outcome.rows[0].gdump.median.wall_s = 0.01;
        let text = svg(&outcome);
        assert!(text.contains(&format!("width=\"{:.1}\"", RIGHT - LEFT)) && text.contains("1000.00×"), "{text}");
    }
}
