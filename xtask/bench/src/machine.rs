//! The machine and the programs that numbers are of, so that those of two machines are not mixed up.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// CPUs that a process may use.
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |number| number.get() as u32)
}

/// The processor's name.
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".to_string(), |(_, name)| name.to_string())
}

/// What `-v` prints.
pub fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("-v").output().with_context(|| program.display().to_string())?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Whether a makedumpfile with this version text was built with zstd.
pub fn has_zstd(version: &str) -> bool {
    version.lines().any(|line| line.starts_with("zstd") && line.ends_with("enabled"))
}

/// The first line that says anything.
pub fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.is_empty()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_text_tells() {
        let text =
            "makedumpfile: version 1.7.9 (released on 20 Apr 2026)\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n";
        assert!(has_zstd(text) && !has_zstd("zstd\tdisabled\n"));
        assert_eq!(first_line(text), "makedumpfile: version 1.7.9 (released on 20 Apr 2026)");
    }
}
