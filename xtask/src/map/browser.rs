//! A browser without a window: Chromium.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::program;

/// What it is called, by distribution.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// How long the page may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser, and a folder for what it keeps.
pub struct Browser {
    program: PathBuf,
    profile: tempfile::TempDir,
}

impl Browser {
    /// The one that is installed; where none is and this is Debian's root, it is installed.
    pub fn find() -> Result<Browser> {
        let find = || NAMES.iter().find_map(|name| program::find(name));
        if find().is_none() && is_root()? && program::find("apt-get").is_some() {
            program::run(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", "chromium"]))?;
        }
        let program = find().context("no browser: apt-get install chromium")?;
        Ok(Browser { program, profile: tempfile::tempdir()? })
    }

    /// The page at `path` as it is when its scripts have run.
    pub fn dom(&self, path: &Path) -> Result<String> {
        let output = self.run(path, &["--dump-dom"])?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A picture of what is at `path`, in a window of `size`.
    pub fn screenshot(&self, path: &Path, size: (u32, u32), to: &Path) -> Result<()> {
        let (to, size) = (format!("--screenshot={}", to.display()), format!("--window-size={},{}", size.0, size.1));
        self.run(path, &[&to, &size, "--hide-scrollbars"]).map(drop)
    }

    /// Opens `path`; what its scripts print, errors first of all, is one.
    fn run(&self, path: &Path, options: &[&str]) -> Result<Output> {
        let mut browser = Command::new("timeout");
        browser.arg(PATIENCE.as_secs().to_string()).arg(&self.program);
        browser.args(["--headless", "--disable-gpu", "--disable-background-networking", "--no-first-run"]);
        browser.args(["--enable-logging=stderr", "--force-color-profile=srgb", "--force-prefers-color-scheme=light"]);
        browser.arg(format!("--user-data-dir={}", self.profile.path().display())).args(options);
        // the sandbox refuses root; the page is ours
        browser.args(is_root()?.then_some("--no-sandbox"));
        let output = program::output(browser.arg(format!("file://{}", path.canonicalize()?.display())))?;
        program::checked(&browser, &output)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let console: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
        ensure!(console.is_empty(), "{}: the console says\n{}", path.display(), console.join("\n"));
        Ok(output)
    }
}

/// Whether we are root.
fn is_root() -> Result<bool> {
    let id = program::quiet(Command::new("id").arg("-u"))?;
    match id.trim().parse::<u32>() {
        Ok(id) => Ok(id == 0),
        Err(_) => bail!("id -u says {id}"),
    }
}
