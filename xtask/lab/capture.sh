#!/bin/busybox sh
# In the capture kernel: the same commands by each program in /capture, on the real /proc/vmcore, in turn.
# /capture.plan has: programs (folders of /capture), rounds of the two commands that kdump uses most, slow (yes: also a run
# of minutes).
# A row on the console: ROW|program|run|what `measure` wrote|bytes of output.
. /capture.plan
mkdir -p /out; mount -t ext4 /dev/vdb /out || exit
echo "FREE $(awk '/MemAvailable/ {print $2}' /proc/meminfo) kB, $(grep -c ^processor /proc/cpuinfo) CPU"

run() { # RUN OUTPUT... -- ARGUMENT...: @ in an argument is the start of an output's name
  run=$1 outputs= arguments=; shift
  while [ "$1" != -- ]; do outputs="$outputs $1"; shift; done; shift
  for program in $programs; do
    exe=/capture/$program/makedumpfile files=
    for name in $outputs; do files="$files /out/$program.$name"; done
    rm -f $files /measured; sync; echo 3 >/proc/sys/vm/drop_caches
    arguments=$(echo "$*" | sed "s|@|/out/$program.|g")
    case $run in
      *pipe*) measure /measured $exe $arguments 2>/said | cat >${files# } ;;
      *) measure /measured $exe $arguments >/said 2>&1 ;;
    esac
    sync
    echo "ROW|$program|$run|$(cat /measured)|$(cat $files 2>/dev/null | wc -c)"
    grep -q '^0 ' /measured || tail -n 4 /said
  done
}

round=0
while [ $round -lt $rounds ]; do
  round=$((round + 1))
  run "-l -d 31" l31 -- -l -d 31 /proc/vmcore @l31
  run "-c -d 31" c31 -- -c -d 31 /proc/vmcore @c31
done
run "-F -c -d 31, into a pipe" flat -- -F -c -d 31 /proc/vmcore
run "--split -c -d 31" split0 split1 -- --split -c -d 31 /proc/vmcore @split0 @split1
run "--dump-dmesg" dmesg -- --dump-dmesg /proc/vmcore @dmesg
[ "$slow" != yes ] || run "-c -d 1" c1 -- -c -d 1 /proc/vmcore @c1
umount /out
