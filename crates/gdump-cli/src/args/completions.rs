//! The files in completions/ complete the options of the command line, for bash, zsh and fish, under both names of the
//! program. `clap_complete` writes them; `cargo xtask man` runs this test, `cargo xtask man --write` writes the files.

use super::documents;
use clap::Command;
use clap_complete::Shell;
use std::process::Stdio;

/// Each shell, and what its file for a program is called.
const SHELLS: &[(Shell, &str)] = &[(Shell::Bash, "{}.bash"), (Shell::Zsh, "_{}"), (Shell::Fish, "{}.fish")];

#[test]
fn the_completions_have_the_options_of_the_command_line() {
    for (name, command) in [("gdump", documents::gdump()), ("makedumpfile", documents::makedumpfile())] {
        for (shell, file) in SHELLS {
            let path = format!("completions/{}", file.replace("{}", name));
            documents::assert_is(&path, |_| completions(*shell, name, command.clone()));
        }
    }
}

fn completions(shell: Shell, name: &str, mut command: Command) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    let text = String::from_utf8(text).unwrap();
    // trailing blanks are not kept in this repository
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What bash offers for the last of `words`.
fn offered(name: &str, words: &[&str]) -> Vec<String> {
    let file = format!("{}/../../completions/{name}.bash", env!("CARGO_MANIFEST_DIR"));
    let script = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_$1" "$1" "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["--norc", "-c", script, "bash", &file, name]).args(words).stderr(Stdio::null()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn those_of_bash_complete() {
    assert_eq!(offered("gdump", &["--reass"]), ["--reassemble"]);
    assert_eq!(offered("gdump", &["check", "--js"]), ["--json"]);
    assert!(offered("gdump", &["--codec", ""]).contains(&"zstd".to_owned()));
    assert_eq!(offered("makedumpfile", &["--reass"]), ["--reassemble"]);
    assert_eq!(offered("makedumpfile", &["--strict"]), [""]);
    let all = offered("makedumpfile", &["-"]);
    assert!(
        ["-c", "-d", "--xen-syms", "--check-params"].iter().all(|option| all.iter().any(|o| o == option)),
        "{all:?}"
    );
}
