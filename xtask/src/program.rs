//! Programs that others wrote: is it installed, which package has it, run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Program name and the Debian package that has it.
const PACKAGES: &[(&str, &str)] = &[
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"),
    ("apt-get", "apt"),
    ("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf and libc6-dev-armhf-cross"),
    ("bash", "bash"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("crash", "crash"),
    ("debootstrap", "debootstrap"),
    ("debugfs", "e2fsprogs"),
    ("df", "coreutils"),
    ("dpkg-deb", "dpkg"),
    ("gcc", "gcc and libc6-dev"),
    ("i686-linux-gnu-gcc", "gcc-i686-linux-gnu and libc6-dev-i386-cross"),
    ("kexec", "kexec-tools"),
    ("kill", "procps"),
    ("ldd", "libc-bin"),
    ("loongarch64-linux-gnu-gcc", "gcc-loongarch64-linux-gnu and libc6-dev-loong64-cross"),
    ("makedumpfile", "makedumpfile"),
    ("mips64el-linux-gnuabi64-gcc", "gcc-mips64el-linux-gnuabi64 and libc6-dev-mips64el-cross"),
    ("mkfs.ext4", "e2fsprogs"),
    ("powerpc64le-linux-gnu-gcc", "gcc-powerpc64le-linux-gnu and libc6-dev-ppc64el-cross"),
    ("prlimit", "util-linux"),
    ("python3", "python3"),
    ("qemu-i386-static", "qemu-user-static"),
    ("qemu-s390x-static", "qemu-user-static"),
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-i386", "qemu-system-x86"),
    ("qemu-system-loongarch64", "qemu-system-misc (QEMU 10 or later)"),
    ("qemu-system-mips64el", "qemu-system-mips"),
    ("qemu-system-ppc64", "qemu-system-ppc"),
    ("qemu-system-riscv64", "qemu-system-misc"),
    ("qemu-system-s390x", "qemu-system-misc, qemu-system-s390x since trixie"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu and libc6-dev-riscv64-cross"),
    ("s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu and libc6-dev-s390x-cross"),
    ("setpriv", "util-linux"),
    ("strace", "strace"),
    ("time", "time"),
    ("timeout", "coreutils"),
    ("unshare", "util-linux"),
    ("zstd", "zstd"),
];

/// Fails with all the programs of `names` that are not installed and the packages that have them.
pub fn need(names: &[&str]) -> Result<()> {
    let missing: Vec<String> =
        names.iter().filter(|name| find(name).is_none()).map(|name| format!("  {name}: {}", advice(name))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("programs are missing:\n{}", missing.join("\n"))
}

/// How to get the program `name`.
fn advice(name: &str) -> String {
    PACKAGES.iter().find(|(program, _)| *program == name).map_or_else(
        || "no such file, or not executable".to_string(),
        |(_, package)| format!("apt-get install {package}"),
    )
}

/// Where `name` (a path, or a word looked up in PATH) is.
pub fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps mkfs and kexec in sbin, which an ordinary user's PATH leaves out.
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Runs `command` with our terminal; an unsuccessful end is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` in silence and returns what it said, however it ended.
pub fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))
}

/// Runs `command` in silence; an unsuccessful end is an error that quotes the last of what it said.
pub fn quiet(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    checked(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fails where `output` is of a `command` that ended without success; quotes the last of what it said.
pub fn checked(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    bail!("{} ended with {}:\n{}", shown(command), output.status, tail(&said))
}

/// The last lines of `text`, enough to see why a program gave up.
fn tail(text: &str) -> String {
    // Progress lines end in a carriage return; only their last state is worth a line.
    let lines: Vec<&str> = text.lines().filter_map(|line| line.rsplit('\r').next()).collect();
    let from = lines.len().saturating_sub(12);
    lines.iter().skip(from).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// `word` in quotes if it needs them.
fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) { format!("'{word}'") } else { word.to_string() }
}

/// The name of a file without its folder, for messages.
pub fn base(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_come_with_advice() {
        assert!(need(&["bash"]).is_ok());
        let text = need(&["/no/such/program"]).unwrap_err().to_string();
        assert!(text.contains("/no/such/program: no such file"), "{text}");
        assert_eq!(advice("mkfs.ext4"), "apt-get install e2fsprogs");
    }

    #[test]
    fn tail_keeps_the_last_state_of_a_progress_line() {
        assert_eq!(tail("10 %\r50 %\r100 %\nbroken\n"), "    100 %\n    broken");
    }
}
