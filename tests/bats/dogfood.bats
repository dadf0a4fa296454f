#!/usr/bin/env bats

load test_helper

setup() {
  away_from_home
  dogfood=$repository/hack/dogfood/dogfood.sh
  place=$(mktemp -d /tmp/df-XXXXXX) # short of path, as a user's would be
  mkdir "$place/tmp"
  export TMPDIR=$place/tmp
  cd "$place"
  one 'true'
}

teardown() {
  cd /
  rm -rf "$place"
}

# A corpus of one journey in the current folder.
one() {
  cat >corpus.yaml <<END
feature: one
env: {LEDGER: $place/ledger}
journeys:
  - id: one
    promise: It runs.
    steps: [{run: '$1', expect: {exit: 0}}]
END
}

# A folder with links to these programs, to be the whole of PATH.
only() {
  local name
  mkdir "$place/only"
  for name in "$@"; do ln -s "$(command -v "$name")" "$place/only/$name"; done
}

# A house of its own, without an environment.
copy_house() {
  mkdir house
  cp -r "$repository/hack" house
}

stopped() {
  assert_equal 130 "$(cat "$place/run/exit")"
  assert_equal '' "$(pgrep --full "$place/tmp" || true)"
}

@test "a run says how it ended: 0, 1, 2 and 3" {
  one 'true'
  run -0 "$dogfood" corpus.yaml
  one 'false'
  run -1 "$dogfood" corpus.yaml
  run -0 "$dogfood" --report-only corpus.yaml
  one 'dogfood-infra "no idea"'
  run -3 "$dogfood" corpus.yaml
  run -2 "$dogfood" --shards 0 corpus.yaml
  run -2 "$dogfood" nowhere.yaml
  run -2 "$dogfood" --run-dir corpus.yaml corpus.yaml
  run -2 "$dogfood" --resume nowhere
  assert_equal 4 "$(find .dogfood/runs -name run.json | wc -l)"
}

@test "help is no run" {
  run -0 "$dogfood" --help
  assert_contains 'usage: dogfood.sh ' "$output"
  [[ ! -e .dogfood ]]
}

@test "paths may hold spaces, and the caller may be anywhere" {
  mkdir -p 'a b/c d'
  one 'true'
  mv corpus.yaml 'a b/the corpus.yaml'
  cd 'a b/c d'
  export CDPATH=/:/tmp
  run -0 "$dogfood" --run-dir '../the run' '../the corpus.yaml'
  [[ -s '../the run/bundle.json' && ! -e .dogfood ]]
  cd "$repository"
  run -2 hack/dogfood/dogfood.sh --run-dir "$place/a b/the run" "$place/a b/the corpus.yaml"
  assert_contains 'holds a run already' "$output"
}

@test "a run directory reached through a link is one and the same" {
  one 'true'
  mkdir real
  ln -s real link
  run -0 "$dogfood" --run-dir link/run corpus.yaml
  run -0 "$dogfood" --resume real/run
  run -0 "$dogfood" --resume link/run
  assert_contains "going on with $place/real/run" "$output"
}

@test "without make nothing is planned" {
  only bash dirname env
  run -2 env PATH="$place/only" "$dogfood" --run-dir run corpus.yaml
  assert_equal 'dogfood.sh: make is not installed (apt-get install make)' "$output"
  [[ ! -e run ]]
}

@test "without a Python, or with one that is too old, nothing is planned" {
  copy_house
  only bash dirname env make
  run -2 env PATH="$place/only" house/hack/dogfood/dogfood.sh corpus.yaml
  assert_equal 'python3: is not installed (apt-get install python3)' "$output"
  stub "$place/only/python3" <<END
#!$BASH
exec "$repository/.venv/bin/python" -c '
import runpy, sys
sys.version_info = (3, 9, 18, "final", 0)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "\$@"
END
  run -2 env PATH="$place/only" house/hack/dogfood/dogfood.sh corpus.yaml
  assert_contains 'needs Python 3.11 or newer, this is 3.9 (run `make setup` in ' "$output"
  [[ ! -e .dogfood ]]
}

@test "a Python that breaks down is never the product's failure" {
  copy_house
  only bash dirname env make cat
  stub "$place/only/python3" <<<"#!$BASH"$'\nexit 1'
  run -3 env PATH="$place/only" house/hack/dogfood/dogfood.sh corpus.yaml
  stub "$place/only/python3" <<END
#!$BASH
[[ \$2 != report ]] || exit 1
exec "$repository/.venv/bin/python" "\$@"
END
  one 'true'
  run -3 env PATH="$place/only:$PATH" house/hack/dogfood/dogfood.sh --run-dir run corpus.yaml
  [[ ! -e run/exit ]]
}

@test "a shard's script runs one line of a plan, once at a time" {
  one 'true'
  run -0 "$repository/.venv/bin/python" "$repository/hack/dogfood/run_journeys.py" plan --run-dir run corpus.yaml
  run -2 "$repository/hack/dogfood/shard.sh" run
  assert_contains 'usage: shard.sh RUN_DIR INDEX' "$output"
  run -2 "$repository/hack/dogfood/shard.sh" run 2
  assert_contains 'the plan has no shard 2 (it has 1)' "$output"
  run -2 "$repository/hack/dogfood/shard.sh" nowhere 1
  run -2 "$repository/hack/dogfood/shard.sh" run one
  exec 9>run/shards/1/lock
  flock 9
  run -2 "$repository/hack/dogfood/shard.sh" run 1
  assert_contains 'shard 1 is running already' "$output"
  exec 9>&-
  run -0 "$repository/hack/dogfood/shard.sh" run 1
  assert_contains 'passed' "$output"
}

@test "a plan whose lines are gone leaves its journeys unmeasured" {
  copy_house
  ln -s "$repository/.venv" house
  sed -i 's|^  if ((interrupts == 0)); then|  rm "$run_dir/plan.txt"\n&|' house/hack/dogfood/dogfood.sh
  run -3 house/hack/dogfood/dogfood.sh --run-dir run corpus.yaml
  assert_contains 'infra' "$output"
}

@test "TERM stops a run, its records are kept, and it can go on" {
  one 'echo ran >>$LEDGER; until test -e $LEDGER.go; do sleep 0.02; done'
  "$dogfood" --run-dir run corpus.yaml 3>&- >out 2>&1 &
  local script=$! status=0
  until [[ -s ledger ]]; do sleep 0.02; done
  kill -TERM "$script"
  wait "$script" || status=$?
  assert_equal 130 "$status"
  stopped
  touch ledger.go
  run -0 "$dogfood" --resume run
  assert_equal $'ran\nran' "$(cat ledger)"
  assert_equal 0 "$(cat run/exit)"
}

@test "a second run into a directory that is at work is refused" {
  one 'echo ran >>$LEDGER; until test -e $LEDGER.go; do sleep 0.02; done'
  "$dogfood" --run-dir run corpus.yaml 3>&- >out 2>&1 &
  local script=$!
  until [[ -s ledger ]]; do sleep 0.02; done
  run -2 "$dogfood" --run-dir run corpus.yaml
  assert_contains 'a run goes on there (wait for it, or name another folder)' "$output"
  run -2 "$dogfood" --resume run
  touch ledger.go
  wait "$script"
  assert_equal ran "$(cat ledger)"
}

@test "a make above is not asked, and its flags are its own" {
  one 'true'
  export MAKEFLAGS='n -j1 --jobserver-auth=97,98' GNUMAKEFLAGS=-n MAKEFILES=/nonexistent MAKELEVEL=2
  run -0 "$dogfood" corpus.yaml
  assert_contains '1 passed' "$output"
  [[ $output != *jobserver* ]]
}

@test "closed standard streams do no harm" {
  one 'true'
  run -0 bash -c "'$dogfood' --run-dir first corpus.yaml <&- >&-"
  run -0 bash -c "'$dogfood' --run-dir second corpus.yaml <&- >&- 2>&-"
  assert_equal $'0\n0' "$(cat first/exit second/exit)"
}

@test "a run directory that a step takes away is no misuse, nor the product's failure" {
  one 'rm -r "${DOGFOOD_CAPABILITIES%/*}"; sleep 0'
  run -3 "$dogfood" --run-dir run corpus.yaml
  assert_contains 'is not the folder of a run' "$output"
}
