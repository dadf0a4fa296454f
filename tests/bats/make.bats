#!/usr/bin/env bats

load test_helper

setup() {
  away_from_home
  make_house "$BATS_TEST_TMPDIR/the house"
  caller="$BATS_TEST_TMPDIR/a caller"
  mkdir -p "$caller"
  cd "$house"
}

targets() {
  sed -n 's/^\.PHONY: //p' "$repository/Makefile" | sort
}

@test "make alone lists the verbs" {
  run -0 make
  assert_equal "$(make help)" "$output"
  assert_contains 'Usage: make VERB' "$output"
}

@test "help lists every target, with a text" {
  assert_equal "$(targets)" "$(make help | sed -nE 's/^  ([a-z-]+)  +[A-Z].*/\1/p' | sort)"
}

@test "every target is phony" {
  assert_equal "$(targets)" "$(sed -nE 's/^([a-z-]+):.*/\1/p' Makefile | sort)"
}

@test "help lists every variable that make hands on" {
  local names name
  mapfile -t names < <(sed -n '/^VARIABLES :=/,/[^\\]$/p' Makefile | grep -oE '\b[A-Z_]{2,}\b' | grep -vx VARIABLES)
  ((${#names[@]} > 10))
  for name in "${names[@]}"; do assert_contains "    $name=" "$(make help)"; done
}

@test "help is coloured on a terminal alone, and not with NO_COLOR" {
  local spawn='import pty, sys; pty.spawn(sys.argv[1:])'
  export TERM=xterm
  run -0 make help
  [[ $output != *$'\e['* ]]
  run -0 "$repository/.venv/bin/python" -c "$spawn" make help
  assert_contains $'\e[' "$output"
  NO_COLOR=1 run -0 "$repository/.venv/bin/python" -c "$spawn" make help
  [[ $output != *$'\e['* ]]
}

@test "just has the same verbs with the same texts" {
  run -0 "$repository/.venv/bin/just" --list --list-heading '' --color never
  assert_equal "$(make help | sed -nE 's/^  ([a-z-]+)  +([A-Z].*)/\1 \2/p' | sort)" \
    "$(sed -E 's/^ +([a-z-]+) \*variables +# /\1 /' <<<"$output" | sort)"
}

@test "just hands its variables to make, and runs where it was called" {
  cd "$caller"
  run -0 "$repository/.venv/bin/just" --justfile "$house/justfile" dogfood SHARDS=2 'ONLY=a "b" $(c) {{ d }}'
  assert_called "in $caller" '[--shards=2]' '[--only=a "b" $(c) {{ d }}]'
}

@test "make dogfood without variables leaves everything to dogfood.sh" {
  run -0 make dogfood
  assert_called "in $house"
}

@test "each variable of make dogfood reaches dogfood.sh" {
  run -0 make dogfood SHARDS=4 JOURNEYS=corpus ONLY=@failed TIERS=smoke,core RESUME=latest RETRIES=2 DEADLINE=20m \
    PRODUCT_PATH=build REPORT_ONLY=1 REQUIRE_ALL=1 RUN_DIR=run KEEP=all SANDBOX=bwrap KNOWN=allow
  assert_called "in $house" '[--shards=4]' '[--only=@failed]' '[--tiers=smoke,core]' '[--resume=latest]' \
    '[--retries=2]' '[--deadline=20m]' '[--product-path=build]' '[--run-dir=run]' '[--keep=all]' '[--sandbox=bwrap]' \
    '[--known=allow]' '[--report-only]' '[--require-all]' '[corpus]'
}

@test "variables may come from the environment" {
  SHARDS=3 REPORT_ONLY=1 run -0 make dogfood
  assert_called "in $house" '[--shards=3]' '[--report-only]'
}

@test "a switch that is 0 or empty is off" {
  run -0 make dogfood REPORT_ONLY=0 REQUIRE_ALL=
  assert_called "in $house"
}

@test "values arrive whole, and nothing in them is run" {
  local value
  for value in 'two  words ' "it's" 'say "hi"' '$(shell touch made)' '$(touch made)' '`touch made`' '$HOME' '$$' \
    '$(ONLY)' 'a;touch made' '#no comment' "back\\slash\\" '*' '~' '-x' '100%' 'a=b' 'ü€' $'two\nlines' '; :' '&& false'; do
    rm -f "$calls"
    run -0 make dogfood "ONLY=$value" "JOURNEYS=$value"
    assert_called "in $house" "[--only=$value]" "[$value]"
    rm -f "$calls"
    ONLY=$value run -0 make dogfood
    assert_called "in $house" "[--only=$value]"
  done
  [[ ! -e made ]]
}

@test "called from another folder, make dogfood runs there" {
  cd "$caller"
  local options
  for options in '-C' '-sC' '--directory' '-k -s --no-print-directory -C'; do
    rm -f "$calls"
    # shellcheck disable=SC2086  # several words
    run -0 make $options "../the house" dogfood JOURNEYS=journeys
    assert_called "in $caller" '[journeys]'
  done
  rm -f "$calls"
  run -0 make "-C$house" dogfood "JOURNEYS=$PWD/journeys"
  assert_called "in $caller" "[$caller/journeys]"
  rm -f "$calls"
  run -0 make --directory=.. -C 'the house' dogfood
  assert_called "in $caller"
}

@test "a make that calls this one directly, itself called from elsewhere, is the caller" {
  printf 'go:\n\t$(MAKE) -C "../the house" dogfood\n' >"$caller/Makefile"
  cd /
  run -0 make -C "$caller" go
  assert_called "in $caller"
}

@test "a stale PWD misplaces nothing where make was not told to go elsewhere" {
  PWD=/tmp run -0 make dogfood
  assert_called "in $house"
}

@test "where the folder of the caller cannot be told, nothing is run" {
  cd /
  run -2 env PWD=/tmp "$repository/.venv/bin/python" -c \
    'import subprocess, sys; sys.exit(subprocess.call(sys.argv[2:], cwd=sys.argv[1]))' \
    "$caller" make -C '../the house' dogfood
  assert_contains 'make cannot tell which folder it was called from: PWD=/tmp is stale' "$output"
  [[ ! -e $calls ]]
}

@test "the exit status of dogfood.sh is told in a line when it is not 0" {
  local ending # `status` is run's own
  for ending in 1 2 3 130; do
    ends=$ending run -2 make dogfood
    assert_contains "make dogfood: exit status $ending (make itself can only say 2)" "$output"
  done
  ends=0 run -0 make dogfood
  assert_equal '' "$output"
}

# Start make in a session of its own, send a signal to TARGET (make alone, or its group) once dogfood.sh runs.
signalled() {
  local signal=$1 target=$2
  stub "$house/hack/dogfood/dogfood.sh" <<'END'
#!/usr/bin/env bash
end() {
  kill "$sleeper"
  echo "dogfood.sh got $1" >>"$calls"
  exit 130
}
trap 'end INT' INT
trap 'end TERM' TERM
sleep 60 &
sleeper=$!
touch running
wait
END
  "$repository/.venv/bin/python" - "$signal" "$target" <<'END'
import os
import pathlib
import signal
import subprocess
import sys
import time

name, target = sys.argv[1:]
child = subprocess.Popen(['env', '--default-signal=INT', 'make', 'dogfood'], start_new_session=True)
until = time.monotonic() + 20
while not pathlib.Path('running').exists() and time.monotonic() < until:
    time.sleep(0.01)
(os.killpg if target == 'group' else os.kill)(child.pid, getattr(signal, f'SIG{name}'))
child.wait(20)
END
}

@test "TERM to make ends dogfood.sh, which still says how it ended" {
  run signalled TERM make
  assert_equal 'dogfood.sh got TERM' "$(cat "$calls")"
  assert_contains 'make dogfood: exit status 130' "$output"
}

@test "Ctrl-C ends dogfood.sh, which still says how it ended" {
  run signalled INT group
  assert_equal 'dogfood.sh got INT' "$(cat "$calls")"
  assert_contains 'make dogfood: exit status 130' "$output"
}

@test "the other verbs run where they were called, with their variables" {
  cd "$caller"
  local timings=.dogfood/timings.json
  check_verb() {
    rm -f "$calls"
    run -0 make -C "$house" "${@:2}"
    assert_equal "in $caller"$'\n'"$1" "$(cat "$calls")"
  }
  check_verb '[check]'$'\n''[journeys]' check
  check_verb '[check]'$'\n''[a b]' check 'JOURNEYS=a b'
  check_verb '[graph]'$'\n''[--format=dot]'$'\n''[journeys]' graph FORMAT=dot
  check_verb '[watch]' watch
  check_verb $'[watch]\n[--format=json]\n[a run]' watch FORMAT=json 'RUN_DIR=a run'
  check_verb "[plan]
[--timings=$timings]
[--shards=2]
[--only=x y]
[--tiers=smoke]
[--format=json]
[c]" plan SHARDS=2 'ONLY=x y' TIERS=smoke FORMAT=json JOURNEYS=c
  check_verb "[explain]
[--timings=$timings]
[a-journey]
[journeys]" explain ID=a-journey
  check_verb $'[trend]\n[--last=5]\n[--format=json]' trend LAST=5 FORMAT=json
  check_verb $'[compare]\n[--]\n[previous]\n[latest]' compare
  check_verb $'[compare]\n[--format=markdown]\n[--]\n[a run]\n[b]' compare 'A=a run' B=b FORMAT=markdown
  check_verb $'[triage]\n[--]\n[latest]' triage
  check_verb $'[triage]\n[--format=json]\n[--]\n[some]' triage BUNDLE=some FORMAT=json
  check_verb "[new]
[local images]
[--corpus=c]" new-journeys 'FEATURE=local images' JOURNEYS=c
}

@test "the verbs of agents run where they were called, with nothing set up" {
  mkdir "$house/hack/orchestrator"
  cp "$house/hack/dogfood/run_journeys.py" "$house/hack/orchestrator/run_agents.py"
  rm "$house/.venv"
  cd "$caller"
  local verb
  for verb in up down status; do
    rm -f "$calls"
    run -0 make -C "$house" "agents-$verb" 'CONFIG=some/agents of ours.toml'
    assert_called "in $caller" '[--config]' '[some/agents of ours.toml]' "[$verb]"
  done
  rm "$calls"
  run -0 make -C "$house" agents-status
  assert_called "in $caller" '[--config]' '[agents.toml]' '[status]'
  [[ ! -e $house/.venv ]]
}

@test "a verb that lacks its variable says which, and runs nothing" {
  run -2 make explain
  assert_contains 'make explain: which journey? (make explain ID=…)' "$output"
  run -2 make new-journeys
  assert_contains 'make new-journeys: about what? (make new-journeys FEATURE=…)' "$output"
  [[ ! -e $calls ]]
}

@test "clean removes caches and nothing else" {
  mkdir -p .mypy_cache hack/dogfood/__pycache__ tests .dogfood/runs/one journeys
  run -0 make clean
  [[ ! -e .mypy_cache && ! -e hack/dogfood/__pycache__ ]]
  [[ -e .venv && -e .dogfood/runs/one && -e journeys ]]
}
