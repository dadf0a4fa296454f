#!/usr/bin/env bash
# Run a verb of the Makefile where make was called, its variables as options.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

die() {
  printf 'make %s\n' "$1" >&2
  exit 2
}

# Where make's own -C options lead from a folder.
follow() {
  local folder=$1 target
  shift
  while (($#)); do
    if [[ $1 =~ ^(-[bBdeiknpqrRsSvw]*C|--directory=?)(.*)$ ]]; then
      target=${BASH_REMATCH[2]}
      [[ -n $target ]] || { target=$2 && shift; }
      [[ $target == /* ]] || target=$folder/$target
      folder=$target
    fi
    shift
  done
  printf '%s' "$folder"
}

# The folder make was called from. Where it was told to go elsewhere, that is its environment's PWD, if its -C options
# lead here from there: PWD is stale where a program changed folder without saying so, or where a make calls this one
# without a shell between them; then it is the folder of make's parent, if they lead here from that.
caller_folder() {
  local arguments folder parent
  mapfile -d '' arguments <"/proc/$MAKE_PID/cmdline"
  if [[ -z $(follow '' "${arguments[@]}") ]]; then
    printf '%s' "$PWD"
    return
  fi
  parent=$(awk '/^PPid:/ { print $2 }' "/proc/$MAKE_PID/status")
  for folder in "$CALLER_PWD" "$(readlink "/proc/$parent/cwd")"; do
    if [[ "$(follow "$folder" "${arguments[@]}")" -ef . ]]; then
      printf '%s' "$folder"
      return
    fi
  done
  die "cannot tell which folder it was called from: PWD=$CALLER_PWD is stale (set PWD, or call hack/dogfood/dogfood.sh)"
}

is_on() {
  [[ ${!1} =~ ^[01]?$ ]] || die "$verb: $1=${!1} is neither 0 nor 1 (say $1=1, or leave it out)"
  [[ ${!1} == 1 ]]
}

journeys() {
  "$root/.venv/bin/python" "$root/hack/dogfood/run_journeys.py" "$@"
}

# Run a program to its end and tell its exit status. It runs in the background, for a shell keeps a TERM to itself until
# its foreground child ends. Ctrl-C is for the program alone; this script stays to tell how it ended. (Ignored, not
# trapped: bash 5.2 loses the status then.)
to_its_end() {
  local child status=0
  trap '' INT
  env --default-signal=INT "$@" &
  child=$!
  trap 'kill -TERM "$child"' TERM
  while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
  wait "$child" || status=$?
  ((status == 0)) || echo "make $verb: exit status $status (make itself can only say 2)" >&2
  return "$status"
}

dogfood() {
  local options=(${SHARDS:+--shards="$SHARDS"} ${ONLY:+--only="$ONLY"} ${TIERS:+--tiers="$TIERS"}
    ${RESUME:+--resume="$RESUME"} ${RETRIES:+--retries="$RETRIES"} ${DEADLINE:+--deadline="$DEADLINE"}
    ${PRODUCT_PATH:+--product-path="$PRODUCT_PATH"} ${RUN_DIR:+--run-dir="$RUN_DIR"} ${KEEP:+--keep="$KEEP"}
    ${SANDBOX:+--sandbox="$SANDBOX"} ${KNOWN:+--known="$KNOWN"})
  ! is_on REPORT_ONLY || options+=(--report-only)
  ! is_on REQUIRE_ALL || options+=(--require-all)
  to_its_end "$root/hack/dogfood/dogfood.sh" "${options[@]}" ${JOURNEYS:+"$JOURNEYS"}
}

# As the next `make dogfood` would have it, by the durations it would know.
plan() {
  journeys plan --timings=.dogfood/timings.json ${SHARDS:+--shards="$SHARDS"} ${ONLY:+--only="$ONLY"} \
    ${TIERS:+--tiers="$TIERS"} ${FORMAT:+--format="$FORMAT"} "$corpus"
}

explain() {
  [[ -n $ID ]] || die 'explain: which journey? (make explain ID=…)'
  journeys explain --timings=.dogfood/timings.json ${SHARDS:+--shards="$SHARDS"} "$ID" "$corpus"
}

trend() {
  journeys trend ${LAST:+--last="$LAST"} ${FORMAT:+--format="$FORMAT"}
}

compare() {
  local status=0
  journeys compare ${FORMAT:+--format="$FORMAT"} -- "${A:-previous}" "${B:-latest}" || status=$?
  ((status == 0)) || echo "make compare: exit status $status (make itself can only say 2)" >&2
  return "$status"
}

triage() {
  journeys triage ${FORMAT:+--format="$FORMAT"} -- "${BUNDLE:-latest}"
}

new-journeys() {
  [[ -n $FEATURE ]] || die 'new-journeys: about what? (make new-journeys FEATURE=…)'
  journeys new "$FEATURE" --corpus="$corpus"
}

# Which agent it is, AGENT_BIN and AGENT_VERSION tell by the environment.
harness-smoke() {
  local options=(${OUT:+--out="$OUT"} ${JOBS:+--jobs="$JOBS"} ${SHARD:+--shard="$SHARD"} ${FORMAT:+--format="$FORMAT"})
  ! is_on TWICE || options+=(--twice)
  ! is_on UPDATE || options+=(--update)
  ! is_on KEEP || options+=(--keep)
  to_its_end "$root/.venv/bin/python" "$root/hack/exec_harness/run_scenarios.py" run "${options[@]}" \
    ${SCENARIOS:+"$SCENARIOS"}
}

main() {
  local verb=$1 corpus=${JOURNEYS:-journeys} folder
  folder=$(caller_folder)
  if [[ $verb == agents-* ]]; then # these need nothing installed
    cd "$folder"
    exec python3 "$root/hack/orchestrator/run_agents.py" --config "${CONFIG:-agents.toml}" "${verb#agents-}"
  fi
  "$root/hack/setup.sh" run
  cd "$folder"
  case $verb in
    dogfood | plan | explain | trend | compare | triage | new-journeys | harness-smoke) "$verb" ;;
    check) journeys check "$corpus" ;;
    watch) journeys watch ${FORMAT:+--format="$FORMAT"} ${RUN_DIR:+"$RUN_DIR"} ;;
    graph) journeys graph ${FORMAT:+--format="$FORMAT"} "$corpus" ;;
    products) "$root/hack/products.sh" --corpus "$corpus" ;;
  esac
}

main "$@"
