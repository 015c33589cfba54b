//! The guests that there are: kernels of Debian, and the machines that QEMU makes for them.

/// A kernel, and the machine that it is booted on.
pub struct Kind {
    /// What it is called here, and its dump.
    pub name: &'static str,
    /// Debian's name of the architecture.
    pub arch: &'static str,
    /// Debian's suite.
    pub suite: &'static str,
    /// Names of the package, for `grep -E`.
    pub package: &'static str,
    /// Memory in MiB.
    pub mem: u32,
    /// More words for `lab.py`.
    pub options: &'static [&'static str],
}

impl Kind {
    /// The pfn that page frame 0 of its kdump files stands for: those of 32-bit arm count from where RAM begins, which
    /// is at 1 GiB on this machine.
    pub fn first(&self) -> u64 {
        if self.arch == "armhf" { 0x4_0000 } else { 0 }
    }
}

/// What an architecture needs: Debian's name, the emulator, the compiler for what runs in the guest.
pub const MACHINES: &[(&str, &str, &str)] = &[
    ("amd64", "qemu-system-x86_64", "gcc"),
    ("arm64", "qemu-system-aarch64", "aarch64-linux-gnu-gcc"),
    ("armhf", "qemu-system-arm", "arm-linux-gnueabihf-gcc"),
    ("i386", "qemu-system-i386", "i686-linux-gnu-gcc"),
    ("loong64", "qemu-system-loongarch64", "loongarch64-linux-gnu-gcc"),
    ("mips64el", "qemu-system-mips64el", "mips64el-linux-gnuabi64-gcc"),
    ("ppc64el", "qemu-system-ppc64", "powerpc64le-linux-gnu-gcc"),
    ("riscv64", "qemu-system-riscv64", "riscv64-linux-gnu-gcc"),
    ("s390x", "qemu-system-s390x", "s390x-linux-gnu-gcc"),
];

/// The guests.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "amd64-6.12-la57",
        arch: "amd64",
        suite: "trixie",
        package: r"^linux-image-6\.12\.[0-9]+\+deb13-cloud-amd64$",
        mem: 256,
        options: &["--cpu", "max,pku=off"],
    },
    Kind {
        name: "arm64-5.10",
        arch: "arm64",
        suite: "bullseye",
        package: r"^linux-image-5\.10\.0-[0-9]+-arm64-unsigned$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "arm64-6.1",
        arch: "arm64",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-arm64-unsigned$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "arm64-6.12-16k",
        arch: "arm64",
        suite: "trixie",
        package: r"^linux-image-6\.12\.[0-9]+\+deb13-arm64-16k-unsigned$",
        mem: 384,
        // the usual model has no such pages
        options: &["--cpu", "cortex-a76"],
    },
    Kind {
        name: "arm64-7.2-lpa2",
        arch: "arm64",
        suite: "sid",
        package: r"^linux-image-7\.[0-9.]+\+deb14-arm64(-unsigned)?$",
        mem: 256,
        options: &["--cpu", "max,pauth-impdef=on"],
    },
    Kind {
        name: "armhf-6.1-lpae",
        arch: "armhf",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-armmp-lpae$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "armhf-6.1",
        arch: "armhf",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-armmp$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "i386-6.1-pae",
        arch: "i386",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-686-pae-unsigned$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "i386-6.1",
        arch: "i386",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-686-unsigned$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "loong64-7.2",
        arch: "loong64",
        suite: "sid",
        package: r"^linux-image-7\.[0-9.]+\+deb14-loong64(-unsigned)?$",
        mem: 512,
        // the keyboard's driver waits for a controller that the machine does not have
        options: &["--append", "WORKLOAD_MB=4 FILES=1 initcall_blacklist=i8042_init"],
    },
    // QEMU does not dump this one, and its second CPU would start beside the first, at the firmware
    Kind {
        name: "mips64el-6.1",
        arch: "mips64el",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-5kc-malta$",
        mem: 256,
        options: &["--smp", "1", "--formats", "", "--pmemsave", "0:0x10000000"],
    },
    Kind {
        name: "ppc64el-6.1-radix",
        arch: "ppc64el",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-powerpc64le$",
        mem: 512,
        options: &[],
    },
    Kind {
        name: "ppc64el-6.1-hash",
        arch: "ppc64el",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-powerpc64le$",
        mem: 512,
        options: &["--cpu", "power8"],
    },
    Kind {
        name: "riscv64-6.12",
        arch: "riscv64",
        suite: "trixie",
        package: r"^linux-image-6\.12\.[0-9]+\+deb13-riscv64$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "riscv64-7.2",
        arch: "riscv64",
        suite: "sid",
        package: r"^linux-image-7\.[0-9.]+\+deb14-riscv64$",
        mem: 256,
        options: &[],
    },
    Kind {
        name: "s390x-6.1",
        arch: "s390x",
        suite: "bookworm",
        package: r"^linux-image-6\.1\.0-[0-9]+-s390x$",
        mem: 256,
        options: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_machine_and_a_name_of_its_own() {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert!(names.is_sorted_by(|one, other| one != other));
        assert!(names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)));
        assert!(KINDS.iter().all(|kind| MACHINES.iter().any(|machine| machine.0 == kind.arch)));
    }
}
