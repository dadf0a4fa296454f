#!/usr/bin/env bash
# The whole run: plan, fan the shards out, merge and report, always.
#
# Usage: dogfood.sh [--shards N] [options] [CORPUS…]; see --help. Exit status: 0 nothing failed and something passed,
# 1 the product failed, 2 misuse (nothing was run), 3 something could not be measured, 130 interrupted.
set -euo pipefail
unset CDPATH
trap '(($? != 1)) || exit 3' EXIT # 1 is kept for what the product failed; whatever else ends so was not measured

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common/python.bash"

attended=    # the pid of what we wait for
interrupts=0 # how often we were told to stop
impatient=   # the signal that hands on all but the first

stop() {
  interrupts=$((interrupts + 1))
  [[ -z $attended ]] || hand_on
}

hand_on() {
  local signal=TERM
  ((interrupts == 1)) || signal=$impatient
  kill "-$signal" "$attended" 2>/dev/null || true
}

# Run a program that hears when we are told to stop, more often than the given number of times. In the background,
# because bash runs a trap only when its foreground child has ended.
attend() {
  local known=$1 status=0
  shift
  "$@" &
  attended=$!
  ((interrupts == known)) || hand_on # a signal that came before there was anything to tell
  wait "$attended" || status=$?
  while kill -0 "$attended" 2>/dev/null; do # a trapped signal ends the wait, not the program
    status=0
    wait "$attended" || status=$?
  done
  attended=
  return "$status"
}

# The flags and the job server of a make above us are not for this one. It hands a first TERM on to every shard and is
# deaf to a second; where it ends before its shards do, they are waited for all the same.
run_shards() {
  local run_dir=$1 lines=$2 status told
  impatient=KILL
  attend 0 env -u MAKEFLAGS -u GNUMAKEFLAGS -u MAKEFILES -u MFLAGS -u MAKELEVEL \
    DOGFOOD_SHARD="$here/shard.sh" DOGFOOD_RUN_DIR="$run_dir" \
    make --no-print-directory -s -f "$here/shards.mk" -j "$lines" LINES="$lines" all && return
  impatient=TERM
  while
    status=0 told=$interrupts
    attend "$told" "$python" "$here/run_journeys.py" wait "$run_dir" --interrupts "$told" || status=$?
    ((status > 128)) # a signal before it could hear one
  do :; done
}

is_on() {
  [[ ${1,,} != @(|0|false) ]]
}

# Who looks on: a view of the run directory has the terminal, or a server folds the shards' lines and takes none of them
# for a command; anybody else reads them as they come.
watch_shards() {
  local run_dir=$1 token
  if is_on "${CI:-}" || is_on "${GITHUB_ACTIONS:-}"; then
    read -r token </proc/sys/kernel/random/uuid
    printf '::%s\n' 'group::Journeys, as they end' "stop-commands::$token" || true
    run_shards "$@"
    printf '::%s::\n' "$token" 'endgroup' || true
  elif [[ -t 1 && ${TERM:-dumb} != dumb ]] && : 2>/dev/null >>"$run_dir/stderr.txt"; then
    begin_view "$run_dir"
    run_shards "$@" >/dev/null 2>>"$run_dir/stderr.txt"
    end_view "$run_dir"
  else
    run_shards "$@"
  fi
}

# Not at once: a run that is over by then needs no view, and the shards start without one beside them.
begin_view() {
  (
    read -rt 0.4 <> <(:) || true # a sleep that leaves nobody behind when it is ended
    exec "$python" "$here/run_journeys.py" watch "$1"
  ) &
  view=$!
}

# It is told to go, and waited for two seconds: whatever has become of it, the run goes on. A view that did not end by
# itself has not said all that the shards said, and may have left the cursor hidden below its bars.
end_view() {
  local run_dir=$1 patience=200 status=0
  kill -TERM "$view" 2>/dev/null || true
  while kill -0 "$view" 2>/dev/null && ((patience-- > 0)); do sleep 0.01; done
  kill -KILL "$view" 2>/dev/null || true
  wait "$view" 2>/dev/null || status=$?
  ((status == 0 || status == 143)) || printf '\e[?25h\n' || true
  ((status == 0)) || cat "$run_dir/stderr.txt" >&2 || true
  [[ -s $run_dir/stderr.txt ]] || rm -f "$run_dir/stderr.txt"
}

main() {
  local view python run_dir interrupted='' status=0
  if ! command -v make >/dev/null; then
    echo 'dogfood.sh: make is not installed (apt-get install make)' >&2
    return 2
  fi
  python=$(dogfood_python "$here/../..")
  trap stop INT TERM HUP QUIT
  run_dir=$("$python" "$here/run_journeys.py" start --owner "$$" "$@") || return
  if [[ ! -d $run_dir ]]; then # what was asked for is --help
    printf '%s\n' "$run_dir"
    return 0
  fi
  if ((interrupts == 0)); then
    watch_shards "$run_dir" "$(wc -l <"$run_dir/plan.txt")"
  fi
  trap '' INT TERM HUP QUIT # what was measured is reported, whatever comes
  ((interrupts == 0)) || interrupted=--interrupted
  "$python" "$here/run_journeys.py" report "$run_dir" ${interrupted:+"$interrupted"} || status=$?
  ((status != 2)) || status=3 # something was run: a run directory that is gone by now is no misuse
  if [[ $status != 1 || $(cat "$run_dir/exit") == 1 ]]; then
    trap - EXIT
  fi
  return "$status"
}

main "$@"
