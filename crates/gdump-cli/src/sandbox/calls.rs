//! Which system calls the process may make: with seccomp, since Linux 3.17. The one module with unsafe code, the call
//! that installs the filter.
//!
//! What is refused is listed, not what is allowed: which calls the C library makes is its own affair, and changes. A
//! refused call fails with EPERM rather than end the process, so that nothing is lost if one is missed after all.
//!
//! The filter is put together here because of `SECCOMP_FILTER_FLAG_SPEC_ALLOW`, which no safe wrapper sets: before
//! Linux 5.16 a filter without it slows the process down (speculative stores are switched off on x86), for the sake of
//! programs that run foreign code.

use super::Contact;
use std::error::Error;
use std::io;

/// The machine's number in `seccomp_data.arch` (AUDIT_ARCH_* in linux/audit.h).
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCH: u32 = 0xc000_00f3;

/// Numbers from here on are those of x32, which programs for x86-64 do not use.
const X32: u32 = 0x4000_0000;

/// What gdump never calls: other programs and processes, the network, privileges, mounts, devices, the kernel itself,
/// and ways around a filter (io_uring).
const REFUSED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mknodat,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// What only x86-64 has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Calls that are refused with some values of an argument.
const REFUSED_WITH: &[(libc::c_long, u32, Value)] = &[
    // no memory becomes code
    (libc::SYS_mmap, 2, Value::HasBits(libc::PROT_EXEC as u32)),
    (libc::SYS_mprotect, 2, Value::HasBits(libc::PROT_EXEC as u32)),
    (libc::SYS_pkey_mprotect, 2, Value::HasBits(libc::PROT_EXEC as u32)),
    // nothing is typed into the terminal for the shell to run
    (libc::SYS_ioctl, 1, Value::Is(libc::TIOCSTI as u32)),
    (libc::SYS_ioctl, 1, Value::Is(libc::TIOCLINUX as u32)),
];

/// The lower half of an argument.
#[derive(Clone, Copy)]
enum Value {
    Is(u32),
    HasBits(u32),
}

/// Refuses what is not needed from now on.
///
/// # Errors
/// Why nothing is refused.
pub fn restrict(contact: Contact) -> Result<(), Box<dyn Error>> {
    rustix::thread::set_no_new_privs(true)?;
    install(&mut filter(contact))
}

/// What is not refused after all.
fn needed(contact: Contact) -> &'static [libc::c_long] {
    match contact {
        Contact::Nobody => &[],
        Contact::Server => &[libc::SYS_socket, libc::SYS_connect],
        Contact::Process(_) => &[libc::SYS_pidfd_send_signal],
        // name servers are asked from a port of ours
        Contact::Internet => &[libc::SYS_socket, libc::SYS_connect, libc::SYS_bind],
    }
}

/// Refuses sockets of other kinds than those of the internet: those to processes of this machine, which landlock would
/// let be connected to by their paths, and to the kernel.
fn internet_alone() -> [libc::sock_filter; 6] {
    let is = |family: libc::c_int, passed_over| jump(libc::BPF_JEQ, family as u32, passed_over, 0);
    // another call passes over the five that follow
    let of_other = jump(libc::BPF_JEQ, libc::SYS_socket as u32, 0, 5);
    [of_other, load(argument(0)), is(libc::AF_INET, 2), is(libc::AF_INET6, 1), refuse(), load(NUMBER)]
}

#[allow(unsafe_code)]
fn install(filter: &mut [libc::sock_filter]) -> Result<(), Box<dyn Error>> {
    let program = libc::sock_fprog { len: filter.len().try_into()?, filter: filter.as_mut_ptr() };
    let set = |flags: libc::c_ulong| {
        let (mode, program) = (libc::SECCOMP_SET_MODE_FILTER, &raw const program);
        // SAFETY: seccomp(2) in this mode takes the address of a sock_fprog, and copies it and the `len` instructions
        // that it leads to before it returns. Until then both are there: `program` and `filter` are borrowed here.
        match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // Linux knows the flag since 4.17
    set(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW).or_else(|_| set(0))?;
    Ok(())
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;

/// Of the lower half of argument `index`, on a little-endian machine.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The filter, a program for the kernel's packet filter.
fn filter(contact: Contact) -> Vec<libc::sock_filter> {
    let mut filter = vec![load(MACHINE), jump(libc::BPF_JEQ, ARCH, 1, 0), refuse(), load(NUMBER)];
    filter.extend(refuse_if(libc::BPF_JGE, X32));
    for number in REFUSED.iter().chain(REFUSED_HERE).filter(|number| !needed(contact).contains(number)) {
        filter.extend(refuse_if(libc::BPF_JEQ, *number as u32));
    }
    if contact == Contact::Internet {
        filter.extend(internet_alone());
    }
    for (number, index, value) in REFUSED_WITH {
        let [test, refuse] = match *value {
            Value::Is(value) => refuse_if(libc::BPF_JEQ, value),
            Value::HasBits(bits) => refuse_if(libc::BPF_JSET, bits),
        };
        // another call passes over the four that follow
        let of_other = jump(libc::BPF_JEQ, *number as u32, 0, 4);
        filter.extend([of_other, load(argument(*index)), test, refuse, load(NUMBER)]);
    }
    filter.push(end(libc::SECCOMP_RET_ALLOW));
    filter
}

/// Refuses the call if the condition holds for what was loaded.
fn refuse_if(condition: u32, value: u32) -> [libc::sock_filter; 2] {
    [jump(condition, value, 0, 1), refuse()]
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

/// Passes over as many instructions as are given for either case.
fn jump(condition: u32, value: u32, holds: u8, fails: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | condition | libc::BPF_K, holds, fails, value)
}

fn refuse() -> libc::sock_filter {
    end(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32)
}

fn end(verdict: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, verdict)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::process::Command;

    /// What the kernel would do with the filter.
    fn verdict(contact: Contact, arch: u32, number: libc::c_long, arguments: [u32; 3]) -> u32 {
        let filter = filter(contact);
        let (mut at, mut loaded) = (0, 0);
        loop {
            let libc::sock_filter { code, jt, jf, k } = filter[at];
            let condition = match u32::from(code) & 0xf0 {
                libc::BPF_JEQ => loaded == k,
                libc::BPF_JGE => loaded >= k,
                libc::BPF_JSET => loaded & k != 0,
                _ => false,
            };
            at += 1;
            match u32::from(code) & 0x07 {
                libc::BPF_RET => return k,
                libc::BPF_LD => {
                    loaded = match k {
                        NUMBER => number as u32,
                        MACHINE => arch,
                        argument => arguments[(argument as usize - 16) / 8],
                    }
                }
                _ => at += usize::from(if condition { jt } else { jf }),
            }
        }
    }

    fn is_allowed(number: libc::c_long, arguments: [u32; 3]) -> bool {
        verdict(Contact::Nobody, ARCH, number, arguments) == libc::SECCOMP_RET_ALLOW
    }

    #[test]
    fn what_is_listed_is_refused_and_nothing_else() {
        let all = || REFUSED.iter().chain(REFUSED_HERE);
        for number in (0..512).filter(|number| !REFUSED_WITH.iter().any(|(with, ..)| with == number)) {
            assert_eq!(is_allowed(number, [0; 3]), !all().any(|refused| *refused == number), "{number}");
        }
        assert!(!is_allowed(i64::from(X32) as libc::c_long, [0; 3]));
        assert_eq!(
            verdict(Contact::Nobody, ARCH + 1, libc::SYS_read, [0; 3]),
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32
        );
        for (contact, call) in
            [(Contact::Server, libc::SYS_connect), (Contact::Process(1), libc::SYS_pidfd_send_signal)]
        {
            assert!(!is_allowed(call, [0; 3]) && verdict(contact, ARCH, call, [0; 3]) == libc::SECCOMP_RET_ALLOW);
            assert_ne!(verdict(contact, ARCH, libc::SYS_execve, [0; 3]), libc::SECCOMP_RET_ALLOW);
        }
        for (family, allowed) in
            [(libc::AF_INET, true), (libc::AF_INET6, true), (libc::AF_UNIX, false), (libc::AF_NETLINK, false)]
        {
            let verdict = verdict(Contact::Internet, ARCH, libc::SYS_socket, [family as u32, 0, 0]);
            assert_eq!(verdict == libc::SECCOMP_RET_ALLOW, allowed, "{family}");
        }
        let (read, run) = (libc::PROT_READ as u32, libc::PROT_EXEC as u32);
        assert_ne!(verdict(Contact::Internet, ARCH, libc::SYS_mmap, [0, 0, run]), libc::SECCOMP_RET_ALLOW);
        assert_ne!(verdict(Contact::Internet, ARCH, libc::SYS_listen, [0; 3]), libc::SECCOMP_RET_ALLOW);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            assert!(is_allowed(call, [run, run, read]) && !is_allowed(call, [0, 0, read | run]), "{call}");
        }
        assert!(is_allowed(libc::SYS_ioctl, [0, libc::TIOCGWINSZ as u32, 0]));
        assert!(!is_allowed(libc::SYS_ioctl, [0, libc::TIOCSTI as u32, 0]));
    }

    /// In a thread of its own, which alone is restricted.
    #[test]
    fn no_program_can_be_run_and_no_socket_made() {
        let restricted = std::thread::spawn(|| {
            restrict(Contact::Nobody)
                .is_ok()
                .then(|| (Command::new("true").status().err(), TcpListener::bind("127.0.0.1:0").err()))
        });
        // a kernel without seccomp has nothing to show
        let Some(refusals) = restricted.join().unwrap() else { return };
        for e in [refusals.0, refusals.1] {
            assert_eq!(e.and_then(|e| e.raw_os_error()), Some(libc::EPERM));
        }
    }
}
