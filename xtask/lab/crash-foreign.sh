#!/bin/bash
# crash-foreign.sh SUITE ARCH ROOT VMLINUX DUMP [COMMANDS]
# Opens a dump with the crash of another architecture, Debian's, under qemu-user (qemu-user-static); it is unpacked with its
# libraries into ROOT unless it is there. COMMANDS are crash's, one a line.
#   crash-foreign.sh forky s390x r vmlinux dump $'sys\nps | wc -l\nlog | tail -n 3\nbt -a\nkmem -i'
# Emulation is slow: minutes until the first command.
set -euo pipefail
suite=$1 arch=$2 root=$3 vmlinux=$4 dump=$5 commands=${6:-sys}
case $arch in arm64) cpu=aarch64 ;; ppc64el) cpu=ppc64le ;; armhf) cpu=arm ;; *) cpu=$arch ;; esac
if [ ! -x "$root/usr/bin/crash" ]; then
  uri=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | head -1)
  state=$(realpath -m "$root").apt; mkdir -p "$state/lists/partial" "$state/cache/archives/partial"; : >"$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" >"$state/sources.list"
  apt=(-oDir::Etc::SourceList="$state/sources.list" -oDir::Etc::SourceParts=/dev/null -oDir::State::Lists="$state/lists"
    -oDir::State::status="$state/status" -oDir::Cache="$state/cache" -oAPT::Architecture="$arch"
    -oAPT::Architectures="$arch" -oAPT::Install-Recommends=false -oDebug::NoLocking=1)
  apt-get "${apt[@]}" update >/dev/null
  apt-get "${apt[@]}" -y --download-only install crash >/dev/null
  mkdir -p "$root"
  for package in "$state"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  [ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
  rm -rf "$state"
fi
printf '%s\nquit\n' "$commands" | "qemu-$cpu-static" -L "$root" "$root/usr/bin/crash" -s "$vmlinux" "$dump"
