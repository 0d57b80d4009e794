#!/usr/bin/env bash
# Runs every fuzz target for a while, from its kept corpus. New inputs stay in the build folder; one that
# breaks something is printed with its path: fix the fault, then keep the input in fuzz/corpus/<name>/.
#
#   scripts/fuzz.sh BUILD_FOLDER SECONDS_EACH
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2
failed=()
shopt -s nullglob
targets=("$build"/fuzz/*_fuzz)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz.sh: no fuzz targets in $build/fuzz" >&2; exit 1; }
for target in "${targets[@]}"; do
  name=$(basename "$target" _fuzz)
  found="$build/fuzz/found/$name"
  mkdir -p "$found"
  echo "==== $name for $seconds s"
  "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$found/broke-" "$found" fuzz/corpus/"$name" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "Broken: ${failed[*]}; the inputs are in $build/fuzz/found/" >&2
  exit 1
fi
echo "${#targets[@]} targets, nothing broke"
