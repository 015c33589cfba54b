//! gdump called as makedumpfile: what its callers write, read and rely on, each in a shell as they do it.

use crate::support::{gdump_ok, scratch, skipped, text, tiny};
use dump_synth::elf::{ElfCore as Core, Load};
use dump_synth::{Endian, Notes};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

const GDUMP: &str = env!("CARGO_BIN_EXE_gdump");

/// A folder with gdump as `bin/makedumpfile`.
fn room() -> tempfile::TempDir {
    let dir = scratch();
    std::fs::create_dir(dir.path().join("bin")).unwrap();
    symlink(GDUMP, dir.path().join("bin/makedumpfile")).unwrap();
    dir
}

/// `script` by `shell` in a room, where `$D` is the dump that ships with the repository.
fn run_by(shell: &str, dir: &Path, script: &str) -> Output {
    let path = format!("{}:{}", text(&dir.join("bin")), std::env::var("PATH").unwrap());
    let vmcore = &tiny().vmcore;
    let envs = [("PATH", path.as_str()), ("D", text(vmcore)), ("G", GDUMP)];
    Command::new(shell).args(["-c", script]).envs(envs).current_dir(dir).output().unwrap()
}

fn run(dir: &Path, script: &str) -> Output {
    run_by("bash", dir, script)
}

fn stdout(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

fn stderr(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// The dump that `gdump OPTIONS` makes, for comparison.
fn wanted(dir: &Path, options: &[&str]) -> Vec<u8> {
    let out = dir.join("wanted");
    gdump_ok(&[&["-f"], options, &[text(&tiny().vmcore), text(&out)]].concat());
    std::fs::read(out).unwrap()
}

#[test]
fn by_any_link_or_copy_it_is_makedumpfile() {
    let dir = room();
    let want = wanted(dir.path(), &["-c", "-d", "31"]);
    for script in [
        "makedumpfile -c -d 31 $D out",
        "cp $G makedumpfile; ./makedumpfile -c -d 31 $D out",
        "ln -s bin/makedumpfile m2; mkdir -p libexec/gdump; ln -s ../../m2 libexec/gdump/makedumpfile; \
         libexec/gdump/makedumpfile -c -d 31 $D out",
        "$G makedumpfile $D -cd31 out",
        "cp -s $D info; makedumpfile info out -c -d 31", // a file, and no verb
        "PATH=$PATH env -i $G makedumpfile -c -d 31 $D out",
    ] {
        let run = run(dir.path(), &format!("rm -f out; {script}"));
        let said = stdout(&run);
        assert!(run.status.success(), "{script}: {}", stderr(&run));
        assert_eq!(said, "\nThe dumpfile is saved to out.\n\nmakedumpfile Completed.\n", "{script}");
        assert!(std::fs::read(dir.path().join("out")).unwrap() == want, "{script}");
    }
}

#[test]
fn numbers_are_what_atoi_makes_of_them_and_that_is_said() {
    let dir = room();
    for (options, level, remark) in [
        ("-c -d ' 31'", "31", "-d ' 31': understood as 31"),
        ("-c -d 3l", "3", "-d '3l': understood as 3"),
        ("-c -d abc", "0", "-d 'abc': understood as 0"),
        ("--num-threads 2x -c -d 31", "31", "--num-threads '2x': understood as 2"),
        ("--num-threads= -c -d 31", "31", "--num-threads '': understood as 0"),
        ("--cyclic-buffer 0 -c -d 31", "31", ""),
    ] {
        let want = wanted(dir.path(), &["-c", "-d", level]);
        let run = run(dir.path(), &format!("makedumpfile -f {options} $D out"));
        assert!(run.status.success() && stderr(&run).contains(remark), "{options}: {}", stderr(&run));
        assert!(std::fs::read(dir.path().join("out")).unwrap() == want, "{options}");
    }
    let run = run(dir.path(), "makedumpfile -f --message-level abc -c -d 31 $D out");
    assert!(run.status.success() && run.stdout.is_empty() && run.stderr.is_empty(), "level 0 says nothing");
}

#[test]
fn what_is_wrong_is_said_in_its_words_and_where_callers_read_it() {
    let dir = room();
    let invalid = "Commandline parameter is invalid.\nTry `makedumpfile --help' for more information.\n";
    for (options, said, why) in [
        ("", invalid, "expected file names VMCORE and DUMPFILE, found 0"),
        ("--nonsense $D out", invalid, "unrecognized option '--nonsense'"),
        ("--d 31 $D out", invalid, "ambiguous"),
        ("-c -d 32 $D out", "Dump_level(32) is invalid.\n", "expected a number from 0 to 31"),
        ("--message-level 32 $D out", "Message_level(32) is invalid.\n", ""),
        ("-c -E $D out", invalid, "no compressed pages"),
        ("--eppic x.c -c $D out", "--eppic", "eppic_makedumpfile.so"),
        ("--extension x.so -c $D out", "--extension", "shared objects"),
        ("-L 0 $D out", invalid, "-L 0"),
    ] {
        let run = run(dir.path(), &format!("makedumpfile {options}"));
        assert_eq!(run.status.code(), Some(1), "{options}");
        assert!(stdout(&run).starts_with(said), "{options}: {}", stdout(&run));
        assert!(stdout(&run).ends_with("\nmakedumpfile Failed.\n"), "{options}: {}", stdout(&run));
        let line = stderr(&run);
        assert!(line.starts_with("makedumpfile: ") && line.contains(why) && line.lines().count() == 1, "{line}");
        assert!(!dir.path().join("out").exists(), "{options}");
        // the same answer without a run, which says nothing of success or failure
        let checked = run_check(dir.path(), options);
        assert_eq!((checked.status.code(), stderr(&checked)), (Some(1), line), "{options}");
        assert!(!stdout(&checked).contains("Failed."), "{options}");
    }
    let xen = run(dir.path(), "makedumpfile -X -c $D out");
    assert!(xen.status.code() == Some(1) && stdout(&xen).ends_with("\nmakedumpfile Failed.\n"), "{}", stdout(&xen));
    assert!(stderr(&xen).contains("'-X' option is disabled: no dump of a Xen host"), "{}", stderr(&xen));
    let run = run(dir.path(), "makedumpfile -F -c $D out");
    assert!(run.status.code() == Some(1) && run.stdout.is_empty() && stderr(&run).contains(invalid));
}

fn run_check(dir: &Path, options: &str) -> Output {
    run(dir, &format!("makedumpfile --check-params {options}"))
}

#[test]
fn a_size_limit_is_a_full_disk() {
    let dir = room();
    let cut = run(dir.path(), "makedumpfile -L 2M -c -d 31 $D out");
    assert!(cut.status.code() == Some(1) && stdout(&cut).contains("Size limit(2097152) reached."), "{}", stdout(&cut));
    assert!(!stdout(&cut).contains("is saved to") && stderr(&cut).contains("flagged incomplete"));
    assert!(std::fs::metadata(dir.path().join("out")).unwrap().len() <= 2 << 20);
    assert!(gdump_ok(&["info", text(&dir.path().join("out"))]).contains("incomplete"));
    let next = run(dir.path(), "makedumpfile -f -L 6M -c -d 0,31 $D out");
    assert!(next.status.success(), "{}", stderr(&next));
    assert!(stdout(&next).contains("Retry to create a dumpfile by dump_level(31)."));
    assert!(std::fs::read(dir.path().join("out")).unwrap() == wanted(dir.path(), &["-c", "-d", "31"]));
    let parts = run(dir.path(), "makedumpfile --split -c -d 31 $D a b");
    assert!(stdout(&parts).contains("The dumpfiles are saved to a, and b."), "{}", stdout(&parts));
}

/// The table of what memory is used for has the numbers of the report.
#[test]
fn memory_is_counted_as_in_the_report() {
    let dir = room();
    let table = stdout(&run(dir.path(), "makedumpfile --mem-usage $D"));
    let row = |class: &str| -> u64 {
        let line = table.lines().find(|line| line.starts_with(class)).unwrap_or_else(|| panic!("{class}: {table}"));
        line[class.len()..].split_whitespace().next().unwrap().parse().unwrap()
    };
    let report =
        gdump_ok(&["-d", "31", "--dry-run", "--show-stats", text(&tiny().vmcore), text(&dir.path().join("o"))]);
    let stat = |label: &str| -> u64 {
        let line = report.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        u64::from_str_radix(line.rsplit("0x").next().unwrap(), 16).unwrap()
    };
    for (class, label) in [
        ("ZERO", "Pages filled with zero"),
        ("NON_PRI_CACHE", "Non-private cache pages"),
        ("PRI_CACHE", "Private cache pages"),
        ("USER", "User process data pages"),
        ("FREE", "Free pages"),
        ("KERN_DATA", "Remaining pages"),
        ("Total pages on system:", "Original pages"),
    ] {
        assert_eq!(row(class), stat(label), "{class}");
    }
    assert!(!table.contains("Completed"));
}

/// What a filtered dump lacks is not taken for the kernel's.
#[test]
fn memory_of_a_filtered_dump_is_not_counted_as_the_kernels() {
    let dir = room();
    let rows = |table: &str| -> Vec<u64> {
        let row = |line: &str| line.split('\t').find_map(|word| word.trim().parse().ok());
        table.lines().filter_map(row).collect()
    };
    let whole = run(dir.path(), "makedumpfile --mem-usage $D");
    let filtered = run(dir.path(), "makedumpfile -c -d 31 $D d31 >/dev/null 2>&1; makedumpfile --mem-usage d31");
    let (whole, table, said) = (rows(&stdout(&whole)), rows(&stdout(&filtered)), stderr(&filtered));
    assert!(filtered.status.success() && whole.len() == 8 && table.len() == 8, "{whole:?} {table:?}");
    // zero pages are there, as such; the kernel's are all there
    assert_eq!((table[0], &table[1..5]), (whole[0], &[0; 4][..]), "{said}");
    assert_eq!(table[5..], whole[5..], "{said}");
    let lacking = whole[1..5].iter().sum::<u64>();
    assert!(said.contains(&format!("d31: does not hold {lacking} of {} pages (dump level 31)", whole[7])), "{said}");
}

/// `--vtop` of kernel text is where its segment of the vmcore lies.
#[test]
fn a_virtual_address_is_translated_first() {
    let dir = room();
    let elf = crate::support::elf(&tiny().vmcore);
    let text_segment = elf.loads.iter().find(|load| load.vaddr >= 0xffff_ffff_8000_0000).unwrap();
    let (virt, phys) = (text_segment.vaddr + 0x1234, text_segment.paddr + 0x1234);
    let run = run(dir.path(), &format!("makedumpfile --vtop {virt:#x} -c -d 31 $D out"));
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(stdout(&run).contains(&format!("{virt:x}  {phys:x}\n")), "{}", stdout(&run));
}

/// A running kernel's memory has what it maps beside its RAM, and is counted all the same; a dump of it is none.
#[test]
fn memory_of_a_running_kernel_is_counted_and_not_dumped() {
    let (dir, elf) = (room(), crate::support::elf(&tiny().vmcore));
    let mut name = vec![0; 136];
    name[40..47].copy_from_slice(b"vmlinux");
    let notes = Notes::new(Endian::Little).note("CORE", 3, &name).vmcoreinfo(&elf.vmcoreinfo);
    let vmcore = std::fs::read(&tiny().vmcore).unwrap();
    let mut kcore = Core::x86_64().note(notes.into_bytes());
    // as vmalloc's, at no physical address
    kcore = kcore.load(Load::new(u64::MAX, 0xffff_c900_0000_0000, vec![1; 0x4000]));
    for load in &elf.loads {
        let data = vmcore[load.offset as usize..(load.offset + load.filesz) as usize].to_vec();
        kcore = kcore.load(Load::new(load.paddr, load.vaddr, data));
    }
    std::fs::write(dir.path().join("kcore"), kcore.to_bytes()).unwrap();
    let counted = |of: &str| {
        let run = run(dir.path(), &format!("makedumpfile --mem-usage {of}"));
        assert!(run.status.success(), "{}", stderr(&run));
        stdout(&run)
    };
    assert_eq!(counted("kcore"), counted("$D"));
    let run = run(dir.path(), "makedumpfile -c -d 31 kcore out");
    assert!(run.status.code() == Some(1) && stderr(&run).contains("/proc/kcore"), "{}", stderr(&run));
    assert!(!dir.path().join("out").exists());
}

/// A user address is one of the process that crashed: with what its kernel lacks, kallsyms and BTF, in a file. Physical
/// addresses by crash (`vtop -u`).
#[test]
fn a_user_address_is_that_of_the_process_that_crashed() {
    let dir = room();
    let own = std::fs::read_to_string(crate::support::root().join("crates/dump/tests/tiny.vmcoreinfo")).unwrap();
    let more = "SYMBOL(crashing_cpu)=ffffffff81a30960\nSYMBOL(__per_cpu_offset)=ffffffff8190d780\n\
                SYMBOL(current_task)=1ac00\nOFFSET(task_struct.mm)=768\nOFFSET(mm_struct.pgd)=56\n";
    std::fs::write(dir.path().join("more"), own + more).unwrap();
    for (options, virt, phys, said) in [
        ("-i more", 0x40_0000u64, 0x3dc000u64, ""),
        ("-i more", 0x1000, u64::MAX, "the process that crashed: virtual address 0x1000 is not mapped"),
        ("", 0x40_0000, u64::MAX, "does not say OFFSET(task_struct.mm)"),
    ] {
        let run = run(dir.path(), &format!("makedumpfile -f {options} --vtop {virt:#x} -c -d 31 $D out"));
        assert!(run.status.success() && stderr(&run).contains(said), "{virt:#x}: {}", stderr(&run));
        assert!(stdout(&run).contains(&format!("{virt:16x}  {phys:x}\n")), "{virt:#x}: {}", stdout(&run));
        assert!(std::fs::read(dir.path().join("out")).unwrap() == wanted(dir.path(), &["-c", "-d", "31"]), "{options}");
    }
}

/// Red Hat: kdump.sh saves to a file system, to a raw device and through ssh; mkdumprd checks the configured collector;
/// kdumpctl looks for a dump on the raw device at each boot.
#[test]
fn red_hats_scripts() {
    let dir = room();
    let kdump = wanted(dir.path(), &["-l", "-d", "31"]);
    let saved = run(
        dir.path(),
        r#"set -e; CC="makedumpfile -l --message-level 7 -d 31"
        case $CC in *makedumpfile*) CC=$(echo "$CC" | sed -e "s/-F//g"); case $CC in *-F*|*-E*) ;; *) CC="$CC --num-threads=$(nproc)";; esac;; esac
        d='127.0.0.1-2026-11-27-07:12:00'; mkdir $d
        $CC $D "$d/vmcore-incomplete" >console 2>&1
        mv "$d/vmcore-incomplete" vmcore"#,
    );
    assert!(saved.status.success(), "{}", stderr(&saved));
    assert!(std::fs::read(dir.path().join("vmcore")).unwrap() == kdump);
    let raw = run(
        dir.path(),
        r#"set -e -o pipefail; head -c 8000000 /dev/urandom >disk
        CC="makedumpfile -l --message-level 7 -d 31"; CC="$CC -F"
        $CC $D | dd of=disk bs=512 conv=notrunc
        makedumpfile -R raw <disk >/dev/null 2>&1
        dd if=/dev/zero of=disk bs=512 count=1 conv=notrunc
        if makedumpfile -R again <disk >/dev/null 2>&1; then exit 3; fi; test ! -e again
        $CC $D | sh -c "umask 0077 && dd bs=512 of=flat-incomplete"; mv flat-incomplete vmcore.flat
        makedumpfile -R ssh <vmcore.flat"#,
    );
    assert!(raw.status.success(), "{}", stderr(&raw));
    for name in ["raw", "ssh"] {
        assert!(std::fs::read(dir.path().join(name)).unwrap() == kdump, "{name}");
    }
    for (collector, files, status) in [
        ("makedumpfile -l --message-level 7 -d 31", "vmcore dumpfile", 0),
        ("makedumpfile -F -c --message-level 1 -d 31", "vmcore", 0),
        ("makedumpfile -z --num-threads 4 -d 31", "vmcore dumpfile", 0),
        ("makedumpfile -c -d 32", "vmcore dumpfile", 1),
        ("makedumpfile -c -d 31 --eppic x", "vmcore dumpfile", 1),
        ("makedumpfile -c -k", "vmcore dumpfile", 1),
    ] {
        let script = format!(
            r#"verify() {{ cmd="${{1%% *}}"; params="${{1#"$cmd"}}"; "$cmd" --check-params $params {files}; }}; verify "{collector}""#
        );
        let checked = run(dir.path(), &script);
        assert_eq!(checked.status.code(), Some(status), "{collector}");
        assert!(status != 0 || (checked.stdout.is_empty() && checked.stderr.is_empty()), "{collector}");
        assert!(!dir.path().join("dumpfile").exists());
    }
}

/// SUSE: always flattened, into a FIFO, in the background of a script; both ends must succeed.
#[test]
fn suses_scripts() {
    let dir = room();
    for (format, threads, level) in [("-c", "--num-threads 32", 6), ("-l", "--num-threads 1", 15), ("-E", "", 6)] {
        let want = wanted(dir.path(), &[format, "-d", "31"]);
        let saved = run(
            dir.path(),
            &format!(
                r#"rm -f fifo; mkfifo fifo; cat fifo >flat & reader=$!
                eval "makedumpfile -F {format} {threads} --message-level {level} -d 31  $D > fifo" & writer=$!
                wait $writer; w=$?; wait $reader; r=$?; test $w = 0 -a $r = 0 && makedumpfile -R -f vmcore <flat"#
            ),
        );
        assert!(saved.status.success(), "{format}: {}", stderr(&saved));
        assert!(std::fs::read(dir.path().join("vmcore")).unwrap() == want, "{format}");
    }
    let gone = run(
        dir.path(),
        "rm -f fifo; mkfifo fifo; head -c 100000 fifo >/dev/null & makedumpfile -F -d 0 $D >fifo 2>errors; test $? = 1 && cat errors",
    );
    assert!(gone.status.success() && !stdout(&gone).contains("is saved to"), "{}", stdout(&gone));
}

/// Debian: through a compressor by dash, whose status is the compressor's.
#[test]
fn debians_scripts() {
    let dir = room();
    if !Command::new("dash").args(["-c", "gzip -V"]).output().is_ok_and(|run| run.status.success()) {
        return skipped("gzip", "debians_scripts", "no dash or no gzip");
    }
    let want = wanted(dir.path(), &["-c", "-d", "31"]);
    let script = "MAKEDUMP_ARGS='-F -c -d 31'; makedumpfile $MAKEDUMP_ARGS $D | gzip -1 >dump-incomplete; ERROR=$?
        [ $ERROR -eq 0 ] && mv dump-incomplete dump.202611270712 && zcat <dump.202611270712 | makedumpfile -R vmcore";
    let saved = run_by("dash", dir.path(), script);
    assert!(saved.status.success(), "{}", stderr(&saved));
    assert!(std::fs::read(dir.path().join("vmcore")).unwrap() == want);
    let help = run(dir.path(), "makedumpfile -h | tr '\\n' '~'");
    for codec in ["LZO", "snappy", "zstd"] {
        assert!(stdout(&help).contains(&format!("{codec} support:~  enabled")), "{codec}");
    }
}

/// syzkaller reads stdout alone; retrace-server filters again what it has and keeps it if that saved enough.
#[test]
fn servers_that_call_it() {
    let dir = room();
    let want = wanted(dir.path(), &["-c", "-d", "0"]);
    let streamed = run(dir.path(), "set -o pipefail; makedumpfile -F -c -d 0 $D 2>/dev/null | makedumpfile -R vmcore");
    assert!(streamed.status.success() && std::fs::read(dir.path().join("vmcore")).unwrap() == want);
    let again = run(dir.path(), "makedumpfile -c -d 31 --message-level 0 vmcore smaller");
    assert!(again.status.success() && again.stdout.is_empty() && again.stderr.is_empty(), "{}", stderr(&again));
    assert!(std::fs::read(dir.path().join("smaller")).unwrap() == wanted(dir.path(), &["-c", "-d", "31"]));
    let perl = run(
        dir.path(),
        "makedumpfile -F -c -d 0 $D >flat; ln -s $G makedumpfile-R.pl; ./makedumpfile-R.pl again <flat",
    );
    assert!(perl.status.success() && std::fs::read(dir.path().join("again")).unwrap() == want, "{}", stderr(&perl));
}

/// The log of the fixture, whose lines name their callers as makedumpfile prints them.
fn log() -> Vec<u8> {
    std::fs::read(crate::support::root().join("fixtures/tiny/dmesg.txt")).unwrap()
}

/// Everybody takes the log first. SUSE reads the time of the crash and the kernel's version off the messages;
/// retrace-server reads the dump level.
#[test]
fn scripts_that_want_the_log() {
    let dir = room();
    let level =
        run(dir.path(), "makedumpfile -c -d 31 $D k >/dev/null 2>&1; makedumpfile -D --dump-dmesg k log 2>/dev/null");
    let said = stdout(&level);
    let line =
        said.lines().find(|line| line.trim_start().starts_with("dump_level")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(line.split(':').nth(1).map(str::trim), Some("31"));
    assert!(said.contains("\nThe dmesg log is saved to log.\n\nmakedumpfile Completed.\n"), "{said}");
    assert!(std::fs::read(dir.path().join("log")).unwrap() == log());
    let suse = run(
        dir.path(),
        r#"mkfifo fifo; cat fifo >streamed & makedumpfile -F --message-level 8 --dump-dmesg $D >fifo 2>errors; r=$?; wait
        while IFS=" =" read -r KEY VALUE; do
            case $KEY in CRASHTIME) C=$VALUE;; OSRELEASE) O=$VALUE;; esac
        done <errors; echo "$O $C $r""#,
    );
    assert_eq!(stdout(&suse).trim(), format!("{} 0", release_and_time()));
    assert!(std::fs::read(dir.path().join("streamed")).unwrap() == log());
    let kexec = run(dir.path(), "ln -s $G vmcore-dmesg; ./vmcore-dmesg $D");
    assert!(kexec.status.success() && stdout(&kexec).starts_with("["), "{}", stderr(&kexec));
}

fn release_and_time() -> String {
    let vmcoreinfo = crate::support::elf(&tiny().vmcore).vmcoreinfo;
    let value = |key: &str| {
        let line = vmcoreinfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key}")).to_owned()
    };
    format!("{} {}", value("OSRELEASE"), value("CRASHTIME"))
}

#[test]
fn unused_vmemmap_takes_a_work_dir() {
    let dir = room();
    let refused = run(dir.path(), "makedumpfile -e -c -d 31 $D out");
    assert!(refused.status.code() == Some(1) && stdout(&refused).contains("-e requires --work-dir\n"));
    assert!(!dir.path().join("out").exists());
    let made = run(dir.path(), "makedumpfile -e --work-dir . -c -d 31 $D out");
    assert!(made.status.success() && stdout(&made).contains("makedumpfile Completed."), "{}", stderr(&made));
    assert!(std::fs::read(dir.path().join("out")).unwrap() == wanted(dir.path(), &["-e", "-c", "-d", "31"]));
}

/// Messages begin with the name that the program was called by, and end in makedumpfile's words.
#[test]
fn messages_begin_with_the_name_that_was_called() {
    let dir = room();
    for (script, said, stdout_says) in [
        ("makedumpfile -h >/dev/full", "makedumpfile: stdout: No space left", ""),
        ("makedumpfile -v >/dev/full", "makedumpfile: stdout: No space left", ""),
        ("$G makedumpfile -v >/dev/full", "makedumpfile: stdout: No space left", ""),
        ("ln -s $G vmcore-dmesg; ./vmcore-dmesg nowhere", "vmcore-dmesg: nowhere: No such file", ""),
        ("./vmcore-dmesg --nonsense", "vmcore-dmesg: --nonsense: unknown option", ""),
        ("./vmcore-dmesg $D >/dev/full", "vmcore-dmesg: stdout: No space left", ""),
        ("ln -s $G makedumpfile-R.pl; ./makedumpfile-R.pl", "makedumpfile-R.pl: expected the file name", ""),
        ("./makedumpfile-R.pl out <$D", "makedumpfile-R.pl: stdin: not a flattened", "\nmakedumpfile Failed.\n"),
        (
            "(sleep 20 & echo $! >pid; wait) | (timeout --foreground -s INT 1 env --default-signal makedumpfile -c - out; \
             echo status $?; kill $(cat pid))",
            "makedumpfile: interrupted",
            "\nmakedumpfile Failed.\n",
        ),
    ] {
        let run = run(dir.path(), script);
        let lines: Vec<String> = stderr(&run).lines().filter(|line| !line.contains(" %]")).map(str::to_owned).collect();
        assert!(lines.len() == 1 && lines[0].starts_with(said), "{script}: {lines:?}");
        assert!(stdout(&run).contains(stdout_says), "{script}: {}", stdout(&run));
    }
}

/// `--vtop` of what `strtoul` makes of it.
#[test]
fn addresses_are_what_strtoul_makes_of_them() {
    let dir = room();
    let minus = run(dir.path(), "makedumpfile --vtop -1 -c -d 31 $D out");
    assert!(stderr(&minus).contains("--vtop '-1': understood as 0xffffffffffffffff"), "{}", stderr(&minus));
    let zero = run(dir.path(), "makedumpfile -f --vtop 0 -c -d 31 $D out");
    assert!(zero.status.success() && !stdout(&zero).contains("Translating"), "{}", stderr(&zero));
}

/// A limit on address space costs threads, or the dump; a run that was begun is not aborted.
#[test]
fn a_limit_on_address_space_is_planned_for() {
    let dir = room();
    let want = wanted(dir.path(), &["-l", "-d", "31"]);
    let (mut made, mut refused) = (0, 0);
    for kib in (8000..32000).step_by(1000) {
        let script = format!("(ulimit -v {kib}; exec makedumpfile -f -d31 -l --num-threads 2 $D out)");
        let run = run(dir.path(), &script);
        let said = stderr(&run);
        match run.status.code() {
            Some(0) => assert!(std::fs::read(dir.path().join("out")).unwrap() == want, "{kib}: {said}"),
            Some(1) => {
                assert!(said.contains("limit on address space leaves"), "{kib}: {said}");
                refused += 1;
            }
            // not even the program can be loaded, or begin
            _ if made + refused == 0 => {}
            other => panic!("{kib}: {other:?}: {said}"),
        }
        made += usize::from(run.status.success());
    }
    assert!(made > 8, "{made}");
}
