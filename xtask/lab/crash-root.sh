#!/bin/bash
# crash-root.sh ROOT GDUMP IMAGE
# Makes of the Debian root ROOT, whose kdump initramfs initramfs.sh has built, a disk IMAGE that boots, loads its capture
# kernel by kdump-tools' own service, and crashes. GDUMP is in makedumpfile's place there.
set -euo pipefail
root=$1 gdump=$2 image=$3
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# As docs/static.md has it.
install -m 755 "$gdump" "$root/usr/bin/gdump"
in_root dpkg-divert --local --rename --add /usr/bin/makedumpfile >/dev/null
ln -sf gdump "$root/usr/bin/makedumpfile"

# The console shows what kdump-tools does; sysrq may crash the machine.
cat >"$root/etc/systemd/system/crash.service" <<'EOF'
[Unit]
After=kdump-tools.service
ConditionPathExists=!/proc/vmcore
[Service]
Type=oneshot
StandardOutput=journal+console
ExecStart=/bin/sh -c 'kdump-config show; echo "to be found in the log of the dump" >/dev/kmsg; sync; echo c >/proc/sysrq-trigger'
[Install]
WantedBy=multi-user.target
EOF
in_root systemctl enable crash.service kdump-tools.service kdump-tools-dump.service >/dev/null 2>&1
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
# Otherwise the machine makes the same initramfs once more, which takes an emulated CPU minutes.
for initrd in "$root"/var/lib/kdump/initrd.img-*; do
  cp "$root/etc/kdump/sysctl.conf" "$root/var/lib/kdump/latest_sysctls-${initrd##*/initrd.img-}"
done
rm -rf "$root"/var/crash/2* "$root"/tmp/*

used=$(du -sm "$root" | cut -f 1)
rm -f "$image"
mkfs.ext4 -q -d "$root" "$image" "$((used + used / 4 + 700))M"
