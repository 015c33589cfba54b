#!/bin/bash
# initramfs.sh ROOT GDUMP PACKAGING VMCORE
# In the Debian root ROOT: a kdump initramfs by kdump-tools' own script, and one by dracut with what Red Hat's kdumpbase
# does, each with the hooks of PACKAGING. In both, makedumpfile must be GDUMP, and must dump VMCORE in a chroot.
# Run in a mount namespace of its own: what is mounted here is left to it.
set -euo pipefail
root=$1 gdump=$2 packaging=$3 vmcore=$4
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
install -m 755 "$gdump" "$root/usr/bin/gdump"
rm -rf "$root/usr/lib/dracut/modules.d/99gdump"
cp -r "$packaging/dracut/99gdump" "$root/usr/lib/dracut/modules.d/"
cp "$packaging/initramfs-tools/hooks/gdump" "$root/usr/share/initramfs-tools/hooks/"
kernel=$(ls "$root/lib/modules" | sort -V | tail -1)
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
if [ -e "$root/usr/bin/makedumpfile.distrib" ]; then # crash-root.sh left it so
  rm -f "$root/usr/bin/makedumpfile"
  in_root dpkg-divert --local --rename --remove /usr/bin/makedumpfile >/dev/null
fi

# What is in an unpacked initramfs: TREE NAME.
check() {
  local tree=$1 what=$2 name
  for name in /usr/bin/makedumpfile /usr/sbin/makedumpfile; do
    cmp -s "$gdump" <(chroot "$tree" /bin/cat "$name") || { echo "$what: $name is not gdump"; exit 1; }
  done
  if find "$tree" -name 'libdw*' -o -name 'liblzo2*' -o -name 'libsnappy*' | grep -q .; then
    echo "$what: makedumpfile's libraries are in it"; exit 1
  fi
  cp "$vmcore" "$tree/vmcore"
  chroot "$tree" /usr/sbin/makedumpfile --message-level 4 -c -d 31 /vmcore /dump
  echo "$what: makedumpfile is gdump, and writes a dump of $(stat -c %s "$tree/dump") bytes"
  rm -rf "$tree"
}

# The bytes of a tree's files.
size() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }'; }

rm -rf "$root/tmp/tree"
# A list of modules, because what a chroot's root directory lies on cannot be found out.
sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
printf '%s\n' virtio_pci virtio_blk ext4 >"$root/etc/initramfs-tools/modules"
in_root /etc/kernel/postinst.d/kdump-tools "$kernel" "/boot/vmlinuz-$kernel" >/dev/null
in_root unmkinitramfs "/var/lib/kdump/initrd.img-$kernel" /tmp/tree
tree=$root/tmp/tree
[ ! -d "$tree/main" ] || tree=$tree/main
check "$tree" "kdump-tools"
in_root mkinitramfs -o /tmp/plain.img "$kernel" >/dev/null
! in_root lsinitramfs /tmp/plain.img | grep -q gdump || { echo "an initramfs that is not kdump's has gdump"; exit 1; }

# kdump-utils' module, as far as makedumpfile is concerned.
base=$root/usr/lib/dracut/modules.d/99kdumpbase
mkdir -p "$base"
cat >"$base/module-setup.sh" <<'EOF'
check() { return 255; }
depends() { echo base; }
install() { inst "/usr/bin/makedumpfile" "/sbin/makedumpfile"; inst_multiple makedumpfile; }
EOF
for omit in "" gdump; do
  rm -rf "$root/tmp/tree$omit"; mkdir "$root/tmp/tree$omit"
  in_root dracut --force --no-hostonly --no-kernel --modules "base kdumpbase$([ "$omit" ] || echo " gdump")" --omit "$omit" /tmp/dracut.img \
    "$kernel" >"$root/tmp/dracut.log" 2>&1 || { tail -n 5 "$root/tmp/dracut.log"; exit 1; }
  in_root sh -c "cd /tmp/tree$omit && gzip -dc /tmp/dracut.img | cpio -idm --quiet"
done
echo "dracut: $(size "$root/tmp/tree") bytes with gdump, $(size "$root/tmp/treegdump") with this Debian's makedumpfile"
rm -rf "$root/tmp/treegdump"
check "$root/tmp/tree" "dracut"
