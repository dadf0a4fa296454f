#!/usr/bin/env bash
# The whole run: plan, fan the shards out, merge and report, always.
#
# Usage: dogfood.sh [--shards N] [options] [CORPUS…]; see --help. Exit status: 0 nothing failed and something passed,
# 1 the product failed, 2 misuse (nothing was run), 3 something could not be measured, 130 interrupted.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common/python.bash"

fan_out= # the pid of the make that runs the shards
interrupted=

stop() {
  interrupted=1
  if [[ -n $fan_out ]]; then
    kill -TERM "$fan_out" 2>/dev/null || true # make hands it on to every shard
  fi
}

run_shards() {
  local run_dir=$1 lines=$2
  # In the background, because bash runs a trap only when its foreground child has ended. The flags and the job
  # server of a make above us are not for this one.
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL DOGFOOD_SHARD="$here/shard.sh" DOGFOOD_RUN_DIR="$run_dir" \
    make --no-print-directory -s -f "$here/shards.mk" -j "$lines" LINES="$lines" all &
  fan_out=$!
  [[ -z $interrupted ]] || stop # a signal that came before there was a make to tell
  while kill -0 "$fan_out" 2>/dev/null; do
    wait "$fan_out" || true # a trapped signal ends the wait, not the make
  done
  fan_out=
}

main() {
  local python run_dir status=0
  python=$(dogfood_python "$here/../..")
  trap stop INT TERM HUP
  run_dir=$("$python" "$here/run_journeys.py" start --owner "$$" "$@") || return $?
  if [[ -z $run_dir ]]; then # --help has been printed
    return 0
  fi
  if [[ -z $interrupted ]]; then
    run_shards "$run_dir" "$(wc -l <"$run_dir/plan.txt")"
  fi
  trap '' INT TERM HUP # what was measured is reported, whatever comes
  "$python" "$here/run_journeys.py" report "$run_dir" ${interrupted:+--interrupted} || status=$?
  return "$status"
}

main "$@"
