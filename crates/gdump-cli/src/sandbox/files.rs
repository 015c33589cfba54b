//! Which files the process may open: with landlock, since Linux 5.13. No signals to others, and no network but ports of
//! servers that have dumps.

use super::Contact;
use crate::checksum;
use crate::network::is_remote;
use crate::output_path::{destination, parent};
use crate::plan::{Plan, is_stdin};
use dump::Reach;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};
use rustix::process::{Resource, getrlimit};
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The newest landlock whose restrictions have been tried out; older kernels have fewer.
const TRIED: ABI = ABI::V7;

/// A directory can be an input by mistake, and is then refused in its own words.
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});
/// Files are made in a directory, renamed and removed, and it is synced, for which it is opened.
const MAKE: BitFlags<AccessFs> = make_bitflags!(
    AccessFs::{ReadFile | WriteFile | Truncate | ReadDir | MakeReg | RemoveFile}
);

/// What says how much memory and how many CPUs there are to use, to gdump and to the C library's malloc.
const SYSTEM: [&str; 4] = ["/proc/self", "/proc/meminfo", "/proc/sys/vm/overcommit_memory", "/sys/fs/cgroup"];

/// Where distributions put debug files.
const DEBUG_FILES: &str = "/usr/lib/debug";

/// Of as many descriptors, one may be kept for a rule.
const SHARE: u64 = 8;

/// The kernel's answer for a pipe or a socket: landlock does not restrict what has no place in a file system.
const EBADFD: i32 = libc::EBADFD;

/// The files that a run opens.
#[derive(Default)]
pub struct Needs {
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
    /// A process that is told to stop and go on.
    process: Option<i32>,
    /// Where a file is that has been named and made already.
    directory: Option<PathBuf>,
    /// Where an input may be copied to a temporary file, decompressed.
    unpacks_to: Option<PathBuf>,
    /// What dumps on servers take.
    reach: Reach,
}

impl Needs {
    /// Those of `plan`, and what its dumps on servers take.
    pub fn of(plan: &Plan, reach: Reach) -> Needs {
        let (mut inputs, mut outputs) = (plan.inputs(), plan.outputs());
        inputs.retain(|path| !is_stdin(path) && !is_remote(path));
        let beside: Vec<PathBuf> = inputs.iter().flat_map(|path| dump::companions(path)).collect();
        inputs.extend(beside);
        inputs.extend(plan.vmlinux().into_iter().flat_map(of_vmlinux));
        inputs.extend(plan.qvm_env_files());
        // beside each
        let checksums = |paths: &[PathBuf]| paths.iter().map(|path| checksum::path_of(path)).collect::<Vec<_>>();
        match plan {
            Plan::Check(_) => inputs.extend(checksums(&inputs)),
            _ if plan.conversion().is_some_and(|plan| plan.checksum) => outputs.extend(checksums(&outputs)),
            _ => {}
        }
        let process = match Contact::of(plan) {
            Contact::Process(pid) => Some(pid),
            _ => None,
        };
        // what its threads are doing
        inputs.extend(process.map(|pid| PathBuf::from(format!("/proc/{pid}"))));
        let directory = plan.output_directory().map(Path::to_owned);
        let unpacks_to = (!matches!(plan, Plan::Rearrange(_))).then(|| plan.unpack_directory());
        Needs { inputs, outputs, process, directory, unpacks_to, reach }
    }

    /// What is to be allowed, where.
    fn rules(&self) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
        let mut rules: Vec<_> = SYSTEM.iter().map(|path| (PathBuf::from(path), AccessFs::ReadFile.into())).collect();
        rules.extend(self.inputs.iter().chain(&self.reach.files).map(|path| (path.clone(), READ)));
        rules.extend(self.directory.iter().chain(&self.unpacks_to).map(|dir| (dir.clone(), MAKE)));
        for path in &self.outputs {
            match fs::metadata(path) {
                // of a device the node alone: nothing else in /dev is written
                Ok(meta) if !meta.is_file() => rules.push((path.clone(), WRITE)),
                _ => rules.extend([path, &destination(path)].map(|path| (parent(path).to_owned(), MAKE))),
            }
        }
        rules.sort_by(|(a, _), (b, _)| a.cmp(b));
        rules.dedup();
        rules
    }
}

/// A vmlinux, which may have its debug information in a file beside it or of the system's.
fn of_vmlinux(path: &Path) -> [PathBuf; 3] {
    [path.to_owned(), parent(&destination(path)).to_owned(), DEBUG_FILES.into()]
}

/// Allows what is needed and nothing else from now on.
///
/// A rule is tied to an inode, and some file systems (procfs, 9p) make a new one for a name that is looked up when
/// nobody uses it. So what the rules are for is returned, to be kept open; where descriptors are short, they are left to
/// the work.
///
/// # Errors
/// Why nothing is restricted.
pub fn restrict(needs: &Needs) -> Result<Vec<PathFd>, Box<dyn Error>> {
    let mut scope = Scope::from_all(TRIED);
    if needs.process.is_some() {
        scope.remove(Scope::Signal);
    }
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(TRIED))?
        .handle_access(AccessNet::from_all(TRIED))?
        .scope(scope)?
        .create()?;
    let rules = needs.rules();
    let can_keep = getrlimit(Resource::Nofile).current.is_none_or(|limit| limit / SHARE >= rules.len() as u64);
    let mut kept = Vec::new();
    for (path, access) in rules {
        kept.extend(allow(&mut ruleset, &path, access)?.filter(|_| can_keep));
    }
    for port in &needs.reach.ports {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    match ruleset.restrict_self()?.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel does not have it".into()),
        _ => Ok(kept),
    }
}

/// Allows `access` to what is at `path`; what is not there needs no rule.
fn allow(
    ruleset: &mut RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<Option<PathFd>, Box<dyn Error>> {
    let fd = match PathFd::new(path) {
        Ok(fd) => fd,
        Err(PathFdError::OpenCall { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(TRIED) };
    match ruleset.add_rule(PathBeneath::new(&fd, access)) {
        Ok(_) => Ok(Some(fd)),
        Err(e) if errno(&e) == Some(EBADFD) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The error number that `e` comes from.
fn errno(e: &(dyn Error + 'static)) -> Option<i32> {
    let own = e.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    own.or_else(|| errno(e.source()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;

    /// In a thread of its own, which alone is restricted; `None` where the kernel has no landlock.
    fn restricted<T: Send + 'static>(
        inputs: &[&Path],
        outputs: &[&Path],
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let inputs: Vec<PathBuf> = inputs.iter().map(|path| path.to_path_buf()).collect();
        let outputs: Vec<PathBuf> = outputs.iter().map(|path| path.to_path_buf()).collect();
        let run = move || {
            let kept = restrict(&Needs { inputs, outputs, ..Needs::default() }).ok()?;
            let done = work();
            drop(kept);
            Some(done)
        };
        std::thread::spawn(run).join().unwrap()
    }

    fn is_refused(done: io::Result<impl Sized>) -> bool {
        done.err().is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn inputs_are_read_and_nothing_else_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let [input, other] = ["input", "other"].map(|name| dir.path().join(name));
        fs::write(&input, "input").unwrap();
        fs::write(&other, "other").unwrap();
        let given = input.clone();
        restricted(&[&given], &[], move || {
            assert_eq!(fs::read(&input).unwrap(), b"input");
            assert!(fs::read_to_string("/proc/self/status").unwrap().contains("VmRSS:"));
            assert!(is_refused(File::options().write(true).open(&input)));
            assert!(is_refused(fs::read(&other)));
            assert!(is_refused(fs::remove_file(&other)));
            assert!(is_refused(File::create(other.with_extension("new"))));
        });
    }

    #[test]
    fn outputs_are_written_where_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
        let (link, target) = (here.join("link"), there.join("target"));
        fs::create_dir(&here).unwrap();
        fs::create_dir(&there).unwrap();
        symlink("../there/target", &link).unwrap();
        let outside = dir.path().join("outside");
        restricted(&[], &[&link.clone()], move || {
            fs::write(&link, "new").unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"new");
            fs::rename(&target, there.join("renamed")).unwrap();
            File::open(&there).unwrap().sync_all().unwrap();
            fs::remove_file(there.join("renamed")).unwrap();
            assert!(is_refused(fs::write(&outside, "no")));
            assert!(is_refused(fs::create_dir(here.join("folder"))));
        });
    }

    #[test]
    fn of_a_device_the_node_alone_is_written() {
        let needs = Needs { outputs: vec!["/dev/null".into()], ..Needs::default() };
        let rules: Vec<_> = needs.rules().into_iter().filter(|(path, _)| path.starts_with("/dev")).collect();
        assert_eq!(rules, [("/dev/null".into(), WRITE)]);
    }
}
