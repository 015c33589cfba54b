//! Kubernetes' and CI's files against the schemas that their makers publish, as two Python packages carry them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::report::Report;
use crate::{program, workspace};

const PACKAGES: [&str; 2] = ["check-jsonschema", "kubernetes-validate"];

/// The program of a package, its words, and the file.
const FILES: &[(&str, &[&str], &str)] = &[
    ("kubernetes-validate", &["--strict"], "kubernetes/job.yaml"),
    ("check-jsonschema", &["--builtin-schema", "vendor.gitlab-ci"], "gitlab-ci.yml"),
    ("check-jsonschema", &["--builtin-schema", "vendor.github-workflows"], "github-workflow.yml"),
];

/// Checks each file, and that the check sees a fault.
pub fn check(report: &mut Report) -> Result<()> {
    let bin = environment()?;
    let recipes = workspace::root()?.join("packaging/schedulers");
    let scratch = tempfile::tempdir()?;
    for (name, words, file) in FILES {
        let accepts = |path: PathBuf| -> Result<bool> {
            Ok(program::output(Command::new(bin.join(name)).args(*words).arg(path))?.status.success())
        };
        if !accepts(recipes.join(file))? {
            report.differs(format!("{file}: {name} refuses it"));
            continue;
        }
        let text = std::fs::read_to_string(recipes.join(file))?;
        let wrong = scratch.path().join(file.replace('/', "-"));
        std::fs::write(&wrong, spoilt(&text))?;
        if accepts(wrong)? {
            report.differs(format!("{file}: {name} takes it with a fault too"));
        } else {
            report.note(format!("  {file}: right by {name}"));
        }
    }
    Ok(())
}

/// The same with a number of machines that is none.
fn spoilt(text: &str) -> String {
    text.replace("parallelism: 4", "parallelism: [x]")
        .replace("parallel: 4", "parallel: [x]")
        .replace("runs-on:", "runs_on:")
}

/// Where the programs are, in a Python environment that is made.
fn environment() -> Result<PathBuf> {
    let directory = workspace::target()?.join("schedulers-schemas");
    if !directory.join("bin/python").is_file() {
        program::quiet(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    }
    let mut pip = Command::new(directory.join("bin/python"));
    program::quiet(pip.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    Ok(directory.join("bin"))
}
