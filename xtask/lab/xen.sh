#!/bin/bash
# xen.sh KERNEL OUT: boots Xen 4.17 with a Debian kernel as domain 0 under emulation, panics domain 0, and keeps Xen's
# /proc/vmcore as OUT/xen.vmcore (870 MB, sparse). KERNEL is what get-kernel.sh made of a full (not cloud) amd64 kernel; the
# package xen-hypervisor-4.17-amd64 is downloaded into OUT unless it is there. A minute on a quiet machine, a guest of 1 GiB,
# 1.4 GiB of disk until it is done. Needs: kexec-tools, busybox-static, cpio, qemu-system-x86, zstd.
set -euo pipefail
kernel=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"
version=$(ls "$kernel/boot" | sed -n 's/^vmlinuz-//p')
modules=$(find "$kernel" -path "*/modules/$version" -type d | head -1)
if [ ! -e xen.elf ]; then
  state=${TMPDIR:-/tmp}/gdump-lab-apt-bookworm-amd64
  apt=(-oDir::Etc::SourceList="$state/sources.list" -oDir::Etc::SourceParts=/dev/null -oDir::State::Lists="$state/lists"
    -oAPT::Architecture=amd64 -oAPT::Architectures=amd64)
  ls xen-hypervisor-4.17-amd64_*.deb >/dev/null 2>&1 || apt-get "${apt[@]}" download xen-hypervisor-4.17-amd64 2>/dev/null
  dpkg-deb -x xen-hypervisor-4.17-amd64_*.deb x
  gunzip -c x/boot/xen-4.17-amd64.gz >xen.elf
fi

# root DIR: a root file system with busybox and the modules that both kernels need
root() {
  rm -rf "$1"
  mkdir -p "$1"/{bin,proc,sys,dev,tmp,lib/modules}
  cp "$(command -v busybox)" "$1/bin/busybox"
  : >"$1/modules.list"
  for name in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk xen-privcmd xenfs xen-evtchn; do
    file=$(find "$modules" -name "$name.ko*" | head -1)
    case $file in
    '') continue ;;
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -dqc "$file" ;;
    *) cat "$file" ;;
    esac >"$1/lib/modules/$name.ko"
    echo "$name" >>"$1/modules.list"
  done
  printf '%s\n' '#!/bin/busybox sh' '/bin/busybox --install -s /bin' \
    'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev' \
    'for p in 1 2; do for m in $(cat /modules.list); do insmod /lib/modules/$m.ko 2>/dev/null; done; done' >"$1/init"
  chmod +x "$1/init"
}
pack() { (cd "$1" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >"../$1.gz"); }

root cap
echo 'dd if=/proc/vmcore of=/dev/vda bs=1M 2>&1; stat -c "VMCORE SIZE %s" /proc/vmcore; sync; echo CAPTURE DONE; poweroff -f' >>cap/init
pack cap
root d0
cp cap.gz d0/capture-initrd.gz
cp "$kernel/boot/vmlinuz-$version" d0/vmlinuz
cp "$(command -v kexec)" d0/bin/kexec
ldd "$(command -v kexec)" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "d0/$(dirname "$library")"
  cp -L "$library" "d0/$library"
done
printf '%s\n' 'mount -t xenfs xenfs /proc/xen' \
  "kexec -p /vmlinuz --initrd=/capture-initrd.gz --command-line='console=ttyS0 maxcpus=1 nr_cpus=1 irqpoll reset_devices novmcoredd panic=1'" \
  'echo "Tasks: $(ls -d /proc/[0-9]* | wc -l)"; kexec -S; sleep 2; echo c >/proc/sysrq-trigger; sleep 100' >>d0/init
pack d0
rm -f out.raw
truncate -s 1400M out.raw
# SMAP: QEMU's emulation faults in a PV guest's entry code
timeout "${TIMEOUT:-1500}" qemu-system-x86_64 -machine q35 -cpu max,pku=off,la57=off,smap=off,smep=off -accel tcg,thread=multi \
  -smp 2 -m 1024 -display none -no-reboot -nodefaults -kernel xen.elf \
  -append "crashkernel=192M console=com1 com1=115200,8n1 dom0_mem=512M,max:512M loglvl=all" \
  -initrd "$kernel/boot/vmlinuz-$version console=hvc0 earlyprintk=xen panic=5 oops=panic,d0.gz" -serial file:serial.log \
  -drive file=out.raw,if=none,id=d1,format=raw -device virtio-blk-pci,drive=d1 </dev/null
size=$(sed -n 's/.*VMCORE SIZE \([0-9]*\).*/\1/p' serial.log)
truncate -s "$size" out.raw
cp --sparse=always out.raw xen.vmcore.new
mv xen.vmcore.new xen.vmcore
rm -rf out.raw cap d0 cap.gz d0.gz
