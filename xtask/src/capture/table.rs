//! All programs' commands side by side, as a table in Markdown.

use std::fmt::Write;

use super::measured::Measured;
use super::outputs::Outputs;
use super::player::Player;

const HEAD: &str = "\
| kernel | command | program | exit | pages | MiB | s | CPU, s | gdump is faster | peak, KiB | own, KiB | processes |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// The table of one kernel: a row for each command and program.
pub fn of(kernel: &str, measured: &[Measured], players: &[Player], outputs: &Outputs) -> String {
    let mut text = HEAD.to_owned();
    for player in measured.iter().filter(|row| row.folder == "gdump") {
        for row in players.iter().filter_map(|who| find(measured, &who.folder, &player.run).map(|row| (who, row))) {
            let (who, row) = row;
            let _ = write!(text, "\n{}", line(kernel, who, row, player, outputs.pages(&row.folder, &row.run)));
        }
    }
    text
}

fn find<'a>(measured: &'a [Measured], folder: &str, run: &str) -> Option<&'a Measured> {
    measured.iter().find(|row| row.folder == folder && row.run == run)
}

/// A row. A program that failed has no times worth comparing.
fn line(kernel: &str, who: &Player, row: &Measured, gdump: &Measured, pages: Option<u64>) -> String {
    let faster = match who.is_peer() && row.status == 0 && gdump.status == 0 {
        true => format!("{:.2} times", row.seconds / gdump.seconds.max(0.01)),
        false => String::new(),
    };
    format!(
        "| {kernel} | `{}` | {} | {} | {} | {:.2} | {:.2} | {:.2} | {faster} | {} | {} | {} |",
        row.run,
        who.name,
        row.status,
        pages.map_or_else(String::new, |pages| pages.to_string()),
        row.bytes as f64 / f64::from(1 << 20),
        row.seconds,
        row.cpu,
        row.peak,
        row.own,
        row.processes
    )
}
