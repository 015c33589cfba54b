//! The command lines of gdump that are disturbed, as typed in the folder of a stage: inputs in `in`, outputs in `out`.

use std::path::Path;

/// A command line; ` < FILE` and ` > FILE` at its end have the meaning of a shell.
#[derive(Debug)]
pub struct Command {
    /// What follows `gdump`.
    pub line: &'static str,
    /// Lines whose outputs count as whole too: those of a ladder of dump levels.
    pub ladder: &'static [&'static str],
}

const fn plain(line: &'static str) -> Command {
    Command { line, ladder: &[] }
}

pub static ZLIB: Command = plain("-c -d 31 in/vmcore out/o");
pub static ELF: Command = plain("-E -d 1 in/vmcore out/o");
pub static FLAT: Command = plain("-F -l -d 1 in/vmcore > out/o");
pub static SPLIT: Command = plain("--split -l -d 1 in/vmcore out/a out/b");
pub static JOIN: Command = plain("--reassemble in/a in/b out/o");
pub static REARRANGE: Command = plain("-R in/flat out/o");
pub static REARRANGE_STDIN: Command = plain("-R out/o < in/flat");
pub static LIME: Command = plain("--format lime -d 31 in/vmcore out/o");
pub static RAW: Command = plain("--format raw -d 31 in/vmcore out/o");
pub static REPAIR: Command = plain("repair in/zlib out/o");
pub static REPAIR_CUT: Command = plain("repair in/cut out/o");
pub static CHECKSUM: Command = plain("--checksum -l -d 1 in/vmcore out/o");
pub static ATOMIC: Command = plain("--atomic -c -d 31 in/vmcore out/o");
pub static PACKED: Command = plain("-c -d 31 in/vmcore.zst out/o");
pub static AGAIN: Command = plain("-z -d 31 in/lzo out/o");
pub static LADDER: Command =
    Command { line: "-d 11,31 in/vmcore out/o", ladder: &["-d 11 in/vmcore out/o", "-d 31 in/vmcore out/o"] };
pub static ZLIB_LADDER: Command =
    Command { line: "-c -d 11,31 in/vmcore out/o", ladder: &["-c -d 11 in/vmcore out/o", "-c -d 31 in/vmcore out/o"] };

/// Lines that make the inputs of others of `in/vmcore.zst` and `in/vmcore`.
pub const INPUTS: &[&str] = &[
    "-F -l -d 1 in/vmcore > in/flat",
    "--split -l -d 1 in/vmcore in/a in/b",
    "-c -d 31 in/vmcore in/zlib",
    "-l -d 1 in/vmcore in/lzo",
];

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Words<'a> {
    pub args: Vec<&'a str>,
    pub stdin: Option<&'a Path>,
    pub stdout: Option<&'a Path>,
}

/// Takes `line` apart.
pub fn words(line: &str) -> Words<'_> {
    let mut all: Vec<&str> = line.split_whitespace().collect();
    let mut taken = |sign: &str| {
        let at = all.iter().position(|word| *word == sign)?;
        all.remove(at);
        Some(Path::new(all.remove(at)))
    };
    let (stdin, stdout) = (taken("<"), taken(">"));
    Words { args: all, stdin, stdout }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_no_arguments() {
        let flat = words(FLAT.line);
        assert_eq!((flat.args.len(), flat.stdout), (5, Some(Path::new("out/o"))));
        let stdin = words(REARRANGE_STDIN.line);
        assert_eq!((stdin.args, stdin.stdin), (vec!["-R", "out/o"], Some(Path::new("in/flat"))));
    }
}
