#!/usr/bin/env python3
"""Boot a real Debian kernel under QEMU, fill its memory, and take real dumps of it.

lab.py ROOT OUT [--arch amd64] [--mem 512] [--smp 2] [--kdump] [--formats elf,kdump-zlib] [--append STR]
ROOT  folder holding an unpacked kernel package (get-kernel.sh makes one)
OUT   folder for the dumps: NAME.elf, NAME.kdump-zlib ... taken by QEMU from the running guest,
      and with --kdump NAME.vmcore, the /proc/vmcore of a real capture kernel after a real panic.
With --capture PROGRAM:/bin/PROGRAM --capture SCRIPT:/capture.sh the script runs in the capture kernel instead of the copy,
with 100 MB of memory, /proc/vmcore before it and /dev/vdb (raw, as big as the guest) to write to, which becomes
NAME.capture; the console is NAME.serial.

`cargo xtask lab` calls this for amd64 and checks for the programs it needs. Another architecture also needs its
qemu-system-*, gcc-*-linux-gnu with libc6-dev-*-cross, and its busybox-static unpacked somewhere (--busybox).
loong64 takes the emulator that QEMU_LOONGARCH64 names (10 or later, which dumps it) and the firmware that LOONGARCH64_EFI names
(qemu-efi-loongarch64): without one the kernel finds no PCI, no disks, and nowhere to write /proc/kpageflags to.
--kdump is for amd64: give the guest at least 384 MB, and run it again where the emulated capture kernel dies.
"""
import argparse, gzip, json, lzma, os, re, shlex, shutil, socket, struct, subprocess, sys, tempfile, threading, time, pathlib

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ["virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "virtio_blk", "virtio_balloon", "qemu_fw_cfg", "crc16", "crc32c_generic", "crc32c_cryptoapi", "libcrc32c", "mbcache", "jbd2", "ext4"]
ARCH = {
    "amd64": dict(cc="gcc", qemu="qemu-system-x86_64", args=["-machine", "q35", "-cpu", "max,pku=off,la57=off"], con="ttyS0", image="vmlinuz"),
    "arm64": dict(cc="aarch64-linux-gnu-gcc", qemu="qemu-system-aarch64", args=["-machine", "virt,gic-version=3", "-cpu", "cortex-a72"], con="ttyAMA0", image="vmlinuz"),
    "ppc64el": dict(cc="powerpc64le-linux-gnu-gcc", qemu="qemu-system-ppc64", args=["-machine", "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off", "-cpu", "power9"], con="hvc0", image="vmlinux"),
    "s390x": dict(cc="s390x-linux-gnu-gcc", qemu="qemu-system-s390x", args=["-machine", "s390-ccw-virtio", "-cpu", "max"], con="ttysclp0", image="vmlinuz"),
    "i386": dict(cc="i686-linux-gnu-gcc", qemu="qemu-system-i386", args=["-machine", "q35", "-cpu", "max"], con="ttyS0", image="vmlinuz"),
    "armhf": dict(cc="arm-linux-gnueabihf-gcc", qemu="qemu-system-arm", args=["-machine", "virt", "-cpu", "cortex-a15"], con="ttyAMA0", image="vmlinuz"),
    "mips64el": dict(cc="mips64el-linux-gnuabi64-gcc", qemu="qemu-system-mips64el", args=["-machine", "malta", "-cpu", "5KEc"], con="ttyS0", image="vmlinux", elf=8, little=True),
    "loong64": dict(cc="loongarch64-linux-gnu-gcc", qemu=os.environ.get("QEMU_LOONGARCH64", "qemu-system-loongarch64"), args=["-machine", "virt", "-cpu", "la464", "-nic", "none"], con="ttyS0", image="vmlinuz", firmware=os.environ.get("LOONGARCH64_EFI")),
    "riscv64": dict(cc="riscv64-linux-gnu-gcc", qemu="qemu-system-riscv64", args=["-machine", "virt", "-cpu", "rv64"], con="ttyS0", image="vmlinux"),
}

def initrd(root, arch, busybox, workload, capture=None, kexec=None):
    d = pathlib.Path(tempfile.mkdtemp())
    for s in "bin proc sys dev tmp mnt lib/modules".split(): (d / s).mkdir(parents=True)
    shutil.copy(busybox, d / "bin/busybox"); shutil.copy(workload, d / "workload"); shutil.copy(HERE / "init", d / "init")
    (d / "init").chmod(0o755)
    names = []
    found = {}
    for base in ("lib/modules", "usr/lib/modules"):
        for p in (pathlib.Path(root) / base).rglob("*.ko*"):
            found.setdefault(p.name.split(".ko")[0].replace("-", "_"), p)
    for m in MODULES:
        p = found.get(m)
        if p:
            data = p.read_bytes()
            if p.suffix == ".xz": data = lzma.decompress(data)
            if p.suffix == ".zst": data = subprocess.check_output(["zstd", "-dc", str(p)])
            (d / f"lib/modules/{m}.ko").write_bytes(data); names.append(m)
    (d / "modules.list").write_text(" ".join(names))
    if kexec:
        kernel, cmdline, extra = kexec
        shutil.copy(kernel, d / "vmlinuz")
        exe = shutil.which("kexec", path="/sbin:/usr/sbin:/bin:/usr/bin"); shutil.copy(exe, d / "bin/kexec-real")
        for line in subprocess.check_output(["ldd", exe], text=True).splitlines():
            m = re.search(r"(/\S+)", line)
            if m: t = d / m.group(1).lstrip("/"); t.parent.mkdir(parents=True, exist_ok=True); shutil.copy(m.group(1), t)
        # the capture kernel gets the same small initrd, without the kernel and kexec in it
        sub = initrd(root, arch, busybox, workload, capture=capture)
        shutil.copy(sub, d / "capture-initrd.gz")
        (d / "kexec.sh").write_text(f"#!/bin/busybox sh\n/bin/kexec-real -p -s /vmlinuz --initrd=/capture-initrd.gz --command-line='{cmdline}' || /bin/kexec-real -p /vmlinuz --initrd=/capture-initrd.gz --command-line='{cmdline}'\n")
        (d / "kexec.sh").chmod(0o755)
    if capture:
        for src, dst in capture:
            t = d / dst.lstrip("/"); t.parent.mkdir(parents=True, exist_ok=True); shutil.copy(src, t); t.chmod(0o755)
    out = tempfile.mktemp(suffix=".cpio.gz")
    subprocess.check_call(f"cd {d} && find . | cpio -o -H newc 2>/dev/null | gzip -1 > {out}", shell=True)
    shutil.rmtree(d)
    return out

def workload(arch):
    """The guest's workload, compiled for its architecture."""
    exe = pathlib.Path(tempfile.gettempdir()) / f"gdump-lab-workload-{arch}"
    subprocess.check_call([ARCH[arch]["cc"], "-O2", "-static", "-o", exe, HERE / "workload.c"])
    return exe

class QMP:
    def __init__(self, path):
        for _ in range(200):
            try: self.s = socket.socket(socket.AF_UNIX); self.s.connect(path); break
            except OSError: time.sleep(.1)
        self.f = self.s.makefile("rw"); self.f.readline(); self.cmd("qmp_capabilities")
    def cmd(self, name, **args):
        """Sends one command and returns its answer; events that come first are passed over."""
        self.f.write(json.dumps({"execute": name, "arguments": args}) + "\n"); self.f.flush()
        while True:
            r = json.loads(self.f.readline())
            if "return" in r or "error" in r:
                if "error" in r: print("QMP", name, r["error"]["desc"], file=sys.stderr)
                return r.get("return")

def pmemsave(q, arch, ranges, path, part):
    """An ELF core of the ranges (start, bytes) of physical memory, without notes."""
    head = 64 + 56 * len(ranges); order = "<" if arch["little"] else ">"
    with open(path, "wb") as w:
        w.write(b"\x7fELF" + bytes([2, 1 if arch["little"] else 2, 1]) + bytes(9)
                + struct.pack(order + "HHIQQQIHHHHHH", 4, arch["elf"], 1, 0, 64, 0, 0, 64, 56, len(ranges), 0, 0, 0))
        at = head
        for start, n in ranges:
            w.write(struct.pack(order + "IIQQQQQQ", 1, 7, at, start, start, n, n, 0)); at += n
        for start, n in ranges:
            q.cmd("pmemsave", val=start, size=n, filename=part)
            with open(part, "rb") as r: shutil.copyfileobj(r, w, 1 << 20)
            os.unlink(part)

def unpacked(kernel, to):
    """The kernel; of one that EFI unpacks (Linux, drivers/firmware/efi/libstub/zboot-header.S), which QEMU does not, its payload."""
    data = kernel.read_bytes()
    if data[4:8] != b"zimg": return kernel
    at, size = struct.unpack("<II", data[8:16]); kind = data[24:32].rstrip(b"\0"); data = data[at:at + size]
    if kind == b"gzip": data = gzip.decompress(data)
    elif kind.startswith(b"zstd"): data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    else: raise SystemExit(f"{kernel} is packed by {kind.decode()}")
    path = pathlib.Path(to) / "image"; path.write_bytes(data); return path

def main():
    a = argparse.ArgumentParser()
    a.add_argument("root"); a.add_argument("out"); a.add_argument("--arch", default="amd64"); a.add_argument("--mem", default="512")
    a.add_argument("--smp", default="2"); a.add_argument("--kdump", action="store_true"); a.add_argument("--formats", default="elf")
    a.add_argument("--append", default=""); a.add_argument("--name"); a.add_argument("--busybox", default="/bin/busybox")
    a.add_argument("--workload"); a.add_argument("--timeout", type=float, default=240)
    a.add_argument("--crashkernel", default="160M"); a.add_argument("--qemu", default="", help="more words for QEMU, in one"); a.add_argument("--balloon", type=int, default=0)
    a.add_argument("--capture-fs", action="store_true", help="an ext4 on /dev/vdb")
    a.add_argument("--cpu", help="CPU model in place of the architecture's usual one"); a.add_argument("--machine"); a.add_argument("--pmemsave", default="", help="START:SIZE,... physical memory that NAME.elf gets, where QEMU has no dump-guest-memory")
    a.add_argument("--run", help="COMMAND run for the running guest; {qmp} is a socket of its own, {pid} QEMU's process, {dir} OUT"); a.add_argument("--kept", action="store_true", help="no dumps but those of --run")
    a.add_argument("--accel", default="tcg,thread=multi")
    a.add_argument("--no-vmcoreinfo", action="store_true", help="without the vmcoreinfo device")
    a.add_argument("--capture", action="append", default=[], help="SRC:DST put into the capture initrd; /capture.sh there replaces dd")
    o = a.parse_args()
    o.workload = o.workload or workload(o.arch)
    c = ARCH[o.arch]; out = pathlib.Path(o.out); out.mkdir(parents=True, exist_ok=True)
    boot = pathlib.Path(o.root) / "boot"
    kernel = next(boot.glob(c["image"] + "-*"), None) or next(boot.glob("vmlinu[xz]-*"))
    name = o.name or f"{kernel.name.split('-', 1)[1]}-{o.mem}M"
    append = f"console={c['con']} panic=5 oops=panic {o.append}"
    cap = [tuple(x.split(":")) for x in o.capture] or None
    kx = None
    if o.kdump:
        append += f" crashkernel={o.crashkernel} kdumptest"
        kx = (kernel, f"console={c['con']} maxcpus=1 irqpoll nr_cpus=1 reset_devices novmcoredd panic=1", None)
    rd = initrd(o.root, o.arch, o.busybox, o.workload, capture=cap, kexec=kx)
    tmp = tempfile.mkdtemp()
    disk = f"{tmp}/fs.img"; subprocess.check_call(f"truncate -s 256M {disk} && mkfs.ext4 -q -O ^has_journal {disk} 2>/dev/null || mkfs.ext4 -q {disk}", shell=True)
    vmc = f"{tmp}/vmcore.raw"; subprocess.check_call(["truncate", "-s", f"{int(o.mem) + 256}M", vmc])
    if o.capture_fs: subprocess.check_call(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", vmc])
    serial = f"{tmp}/serial"
    blk = "virtio-blk-ccw" if o.arch == "s390x" else "virtio-blk-pci"
    margs = list(c["args"])
    if o.cpu: margs[3] = o.cpu
    if o.machine: margs[1] = o.machine
    if c.get("firmware"): margs += ["-bios", c["firmware"]]
    else: kernel = unpacked(kernel, tmp)
    cmd = [c["qemu"], *margs, "-accel", o.accel, "-smp", o.smp, "-m", o.mem, "-display", "none", "-no-reboot",
           "-kernel", str(kernel), "-initrd", rd, "-append", append, "-qmp", f"unix:{tmp}/qmp,server=on,wait=off", "-qmp", f"unix:{tmp}/qmp2,server=on,wait=off",
           "-chardev", f"socket,id=s0,path={tmp}/ser,server=on,wait=off,logfile={serial}", "-serial", "chardev:s0",
           "-drive", f"file={disk},if=none,id=d0,format=raw", "-device", f"{blk},drive=d0",
           "-drive", f"file={vmc},if=none,id=d1,format=raw", "-device", f"{blk},drive=d1"]
    if o.arch in ("amd64", "arm64", "i386", "armhf") and not o.no_vmcoreinfo: cmd += ["-device", "vmcoreinfo"]
    if o.balloon: cmd += ["-device", "virtio-balloon-pci"]
    cmd += shlex.split(o.qemu)
    p = subprocess.Popen(cmd)
    try:
        q = QMP(f"{tmp}/qmp")
        ser = socket.socket(socket.AF_UNIX); ser.connect(f"{tmp}/ser")
        threading.Thread(target=lambda: [None for _ in iter(lambda: ser.recv(65536), b"")], daemon=True).start()
        def wait(mark, limit=o.timeout):
            t0 = time.time()
            while time.time() - t0 < limit:
                if pathlib.Path(serial).exists() and mark in pathlib.Path(serial).read_bytes().decode(errors="replace"): return True
                if p.poll() is not None: break
                time.sleep(.3)
            print(f"no '{mark}' on the serial line; its end:", pathlib.Path(serial).read_bytes()[-1500:].decode(errors="replace"), file=sys.stderr); sys.exit(1)
        wait("READY")
        if o.balloon: q.cmd("balloon", value=o.balloon << 20); time.sleep(4)
        if o.run:
            done = subprocess.run(o.run.format(qmp=f"{tmp}/qmp2", pid=p.pid, dir=out), shell=True)
            if done.returncode: sys.exit(done.returncode)
            if o.kept: return
        q.cmd("stop")  # so that all formats show the same memory
        for f in filter(None, o.formats.split(",")):
            path = out / f"{name}.{f}"; t = time.time()
            args = dict(paging=False, protocol=f"file:{path}")
            if f == "elf-paging": args["paging"] = True
            else: args["format"] = f
            q.cmd("dump-guest-memory", **args); print(f"{path} {path.stat().st_size if path.exists() else 'none'} bytes in {time.time()-t:.1f}s")
        if o.pmemsave: pmemsave(q, c, [tuple(int(x, 0) for x in r.split(":")) for r in o.pmemsave.split(",")], out / f"{name}.elf", f"{tmp}/part")
        # what the guest said of its own pages
        if not o.kdump: data = open(vmc, "rb").read().rstrip(b"\0"); (out / f"{name}.kpageflags").write_bytes(data + bytes(-len(data) % 8))
        q.cmd("cont")
        if o.kdump:
            ser.send(b"go\n"); wait("CAPTURE DONE")
            try: p.wait(30)
            except subprocess.TimeoutExpired: p.terminate()
            text = pathlib.Path(serial).read_bytes().decode(errors="replace")
            m = re.search(r"VMCORE SIZE (\d+)", text)
            if m:
                dst = out / f"{name}.vmcore"; part = out / f"{name}.part"  # a copy cut short is never taken for a dump
                shutil.copy(vmc, part); os.truncate(part, int(m.group(1))); part.rename(dst); print(dst, m.group(1))
            elif cap: subprocess.check_call(["cp", "--sparse=always", vmc, out / f"{name}.capture"]); print(out / f"{name}.capture")
        shutil.copy(serial, out / f"{name}.serial")
    finally:
        if p.poll() is None: p.terminate(); p.wait()
        shutil.rmtree(tmp); os.unlink(rd)
main()
