#!/bin/sh
# Filters one huge dump on several nodes, then joins what they wrote:
#
#   one-dump.sh VMCORE DUMPFILE PARTS [OPTION...]
#   one-dump.sh /scratch/vmcore /scratch/dump 8 -l -d 31
#
# Run it where sbatch is; it ends when DUMPFILE is there.
set -eu
vmcore=$1 dump=$2 parts=$3
shift 3
here=$(dirname "$(realpath "$0")")
gdump=${GDUMP:-gdump}

dir=$dump.parts
mkdir -p "$dir"
"$gdump" batch --split-one "$vmcore" --parts "$parts" --output-dir "$dir" -- "$@" >"$dir/manifest.ndjson"
array=$(sbatch --parsable --array="1-$parts" --output="$dir/task-%a.log" "$here/batch.sbatch" "$dir/manifest.ndjson")
sbatch --wait --dependency="afterok:$array" --kill-on-invalid-dep=yes --output="$dir/join.log" \
    "$here/join.sbatch" "$dir/$(basename "$vmcore")" "$parts" "$dump"
rm -r "$dir"
