#!/bin/busybox sh
# In the capture kernel: the same commands with makedumpfile and with gdump under its name, on the real /proc/vmcore.
# A row on the console: ROW, program, run, exit status, "seconds kilobytes" of GNU time, bytes written.
mkdir -p /out; mount -t ext4 /dev/vdb /out || exit
echo "FREE $(awk '/MemAvailable/ {print $2}' /proc/meminfo) kB, $(grep -c ^processor /proc/cpuinfo) CPU"

measured() { time-gnu -o /time -f "%e %M" "$exe" "$@"; echo $? >/status; }

row() { # RUN OUTPUT... -- ARGUMENT...
  run=$1 files=; shift
  while [ "$1" != -- ]; do files="$files $out.$1"; shift; done; shift
  sync; echo 3 >/proc/sys/vm/drop_caches
  case $run in
    *pipe*) measured "$@" 2>/said | cat >"$out.flat" ;;
    *) measured "$@" >/said 2>&1 ;;
  esac
  sync
  echo "ROW|$program|$run|$(cat /status)|$(tail -n 1 /time)|$(cat $files 2>/dev/null | wc -c)"
  [ "$(cat /status)" = 0 ] || tail -n 4 /said
}

for program in peer gdump; do
  exe=/capture/$program/makedumpfile out=/out/$program
  row "-l -d 31" l31 -- -l -d 31 /proc/vmcore $out.l31
  row "-c -d 31" c31 -- -c -d 31 /proc/vmcore $out.c31
  row "-c -d 1" c1 -- -c -d 1 /proc/vmcore $out.c1
  row "-F -c -d 31, into a pipe" flat -- -F -c -d 31 /proc/vmcore
  row "--split -c -d 31" split0 split1 -- --split -c -d 31 /proc/vmcore $out.split0 $out.split1
  row "--dump-dmesg" dmesg -- --dump-dmesg /proc/vmcore $out.dmesg
done
umount /out
