#!/bin/bash
# get-kernel.sh SUITE ARCH PATTERN DEST [--debug|--symbols|--busybox]
# Unpacks the newest Debian kernel whose package name matches PATTERN (a grep -E over names) into DEST,
# and with --debug its vmlinux with DWARF into DEST-debug (200 to 600 MB, of a package of up to 1 GB), with --symbols that alone, with --busybox a static busybox of ARCH
# into DEST too.
#   get-kernel.sh trixie amd64 '^linux-image-6\.12\.[0-9]+\+deb13-cloud-amd64$' k/6.12
# Uses the Debian mirror that this machine's apt already uses; needs no configured foreign architecture.
set -euo pipefail
suite=$1 arch=$2 pattern=$3 dest=$4 more=${5:-}
uri=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | head -1) || true
[ -n "$uri" ] || { echo "this machine's apt names no Debian mirror" >&2; exit 1; }
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || { echo "$keys is missing: apt-get install debian-archive-keyring" >&2; exit 1; }
state=${TMPDIR:-/tmp}/gdump-lab-apt-$suite-$arch; mkdir -p "$state/lists/partial"
echo "deb [signed-by=$keys] $uri $suite main" >"$state/sources.list"
apt=(-oDir::Etc::SourceList="$state/sources.list" -oDir::Etc::SourceParts=/dev/null -oDir::State::Lists="$state/lists" -oAPT::Architecture="$arch" -oAPT::Architectures="$arch")
[ -n "$(ls "$state/lists" | grep Packages || true)" ] || apt-get "${apt[@]}" update >/dev/null
name=$(apt-cache "${apt[@]}" pkgnames linux-image- | grep -E "$pattern" | sort -V | tail -1) || true
[ -n "$name" ] || { echo "no package of $suite/$arch matches $pattern" >&2; exit 1; }
fetch() { mkdir -p "$2"; (cd "$state" && rm -f ./*.deb && apt-get "${apt[@]}" download "$1" 2>/dev/null) && dpkg-deb -x "$state"/*.deb "$2" && rm -f "$state"/*.deb; }
if [ "$more" = --debug ] || [ "$more" = --symbols ]; then # the modules' symbols are ten times the kernel's
  mkdir -p "$dest-debug"; (cd "$state" && rm -f ./*.deb && apt-get "${apt[@]}" download "${name%-unsigned}-dbg" 2>/dev/null)
  { dpkg-deb --fsys-tarfile "$state"/*.deb || true; } 2>/dev/null | tar -x -C "$dest-debug" --wildcards --occurrence=1 '*/vmlinux*'
  rm -f "$state"/*.deb
fi
[ "$more" != --symbols ] || exit 0
fetch "$name" "$dest"
# newer kernels keep the image and the modules in packages of their own
for part in binary modules; do p=${name/linux-image/linux-$part}; apt-cache "${apt[@]}" show "$p" >/dev/null 2>&1 && fetch "$p" "$dest"; done
if ! ls "$dest"/boot/vmlinu* >/dev/null 2>&1; then
  v=$(ls "$dest"/usr/lib/modules); mkdir -p "$dest/boot"; cp "$dest/usr/lib/modules/$v"/vmlinu* "$dest/boot/$(basename "$dest/usr/lib/modules/$v"/vmlinu*)-$v"
fi
[ "$more" != --busybox ] || fetch busybox-static "$dest"
echo "$name in $dest"
