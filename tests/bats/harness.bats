#!/usr/bin/env bats

load test_helper

setup() {
  away_from_home
  for name in $(compgen -e | grep '^AGENT_'); do unset "$name"; done
  stub=$repository/tests/python/exec_harness/stub-agent
  house="$BATS_TEST_TMPDIR/the house"
  make_house "$house"
  cp -r "$repository"/hack/{__init__.py,common,exec_harness} "$house/hack"
  caller="$BATS_TEST_TMPDIR/a caller"
  mkdir -p "$caller"
  cd "$caller"
  export TMPDIR=$BATS_TEST_TMPDIR
}

# A scenario in which the stub agent does what the prompt says.
scenario() {
  local name=$1 prompt=$2 returncode=${3:-0}
  printf 'name: %s\nprompt: %s\nexpect: {returncode: %d}\n' "$name" "$prompt" "$returncode" >"$name.yaml"
}

smoke() {
  make --no-print-directory -C "$house" harness-smoke SCENARIOS=. "$@"
}

@test "a binary that is missing, a folder, or not executable: one line that names it, and nothing is run" {
  local binary problem
  scenario one 'say hello'
  mkdir folder
  touch file
  for binary in nowhere:'does not exist' folder:'is a directory' file:'is not executable'; do
    problem=${binary#*:} binary=$PWD/${binary%%:*}
    run -2 --separate-stderr smoke AGENT_BIN="$binary"
    assert_contains "$binary: $problem (" "$stderr"
    assert_contains 'AGENT_BIN=' "$stderr"
    assert_contains 'make harness-smoke: exit status 2' "$stderr"
    assert_equal '' "$output"
  done
  [[ ! -e .dogfood ]]
}

@test "an agent nobody knows is told by what it says of itself" {
  scenario one 'say hello'
  stub "$PWD/hammer" <<<$'#!/bin/sh\necho hammer 3.1'
  run -2 --separate-stderr smoke AGENT_BIN="$PWD/hammer"
  assert_contains "is no agent we know: \`--version\` says 'hammer 3.1'" "$stderr"
  [[ ! -e .dogfood ]]
}

@test "a caller with code-rs/ and no build of it is told, and gets no substitute" {
  scenario one 'say hello'
  git init --quiet .
  mkdir code-rs
  run -2 --separate-stderr smoke
  assert_contains "$PWD/code-rs/target/dev-fast/code: does not exist" "$stderr"
  [[ ! -e .dogfood ]]
}

@test "a caller's own build is the agent" {
  scenario one 'say hello'
  git init --quiet .
  mkdir -p code-rs/target/dev-fast
  cp "$stub" code-rs/target/dev-fast/code
  run -0 --separate-stderr smoke
  assert_contains 'Green: codex-cli 0.99.0-stub keeps its contract: 1 passed.' "$output"
}

@test "without npm the pinned Codex cannot be had: one line, and nothing is run" {
  local name
  scenario one 'say hello'
  mkdir only
  for name in bash env dirname uname awk sed grep cat python3 readlink cut sha256sum make pwd mkdir; do
    ln -s "$(command -v "$name")" "only/$name"
  done
  run -2 --separate-stderr env PATH="$PWD/only" make --no-print-directory -C "$house" harness-smoke SCENARIOS=.
  assert_contains 'npm: is not installed' "$stderr"
  assert_contains 'AGENT_BIN=' "$stderr"
  [[ ! -e .dogfood ]]
}

@test "green is 0, red is 1, and what could not be measured is 3" {
  scenario one 'say hello'
  run -0 --separate-stderr smoke AGENT_BIN="$stub"
  assert_contains 'Green: ' "$output"
  scenario two 'exit 7'
  run -2 --separate-stderr smoke AGENT_BIN="$stub"
  assert_contains 'make harness-smoke: exit status 1' "$stderr"
  assert_equal 'Red: two: ' "$(tail -n 1 <<<"$output" | cut -c 1-10)"
  printf 'name: two\nprompt: x\nexpect: {egress: [nowhere.example]}\ninherit_auth: true\n' >two.yaml
  run -2 --separate-stderr smoke AGENT_BIN="$stub"
  assert_contains 'make harness-smoke: exit status 3' "$stderr"
  assert_equal 'Not measured: two: ' "$(tail -n 1 <<<"$output" | cut -c 1-19)"
}

@test "an expected exit status that is not 0 is green" {
  scenario one 'exit 7' 7
  run -0 smoke AGENT_BIN="$stub"
}

@test "each run has a folder of its own below the caller's" {
  scenario one 'say hello'
  run -0 smoke AGENT_BIN="$stub"
  run -0 smoke AGENT_BIN="$stub"
  assert_equal 2 "$(find .dogfood/harness -name exit | wc -l)"
}

@test "a bad scenario is told by its line, with all others' faults, before anything starts" {
  scenario one 'say hello'
  printf 'name: two\nprompt: x\nexpct: {}\n' >two.yaml
  printf 'name: three\nprompt: x\nexpect: {asistant_contains: [x]}\n' >three.yaml
  run -2 --separate-stderr smoke AGENT_BIN="$stub"
  assert_contains "two.yaml:3:1: unknown key 'expct' (did you mean 'expect'?)" "$stderr"
  assert_contains "three.yaml:3:10: unknown key 'asistant_contains' (did you mean 'assistant_contains'?)" "$stderr"
  [[ ! -e .dogfood ]]
}

@test "one JSON line a scenario" {
  scenario one 'say hello'
  scenario two 'exit 7'
  run -2 --separate-stderr smoke AGENT_BIN="$stub" FORMAT=jsonl
  assert_equal 'one passed 0, two failed 7' "$("$repository/.venv/bin/python" -c '
import json, sys
lines = sorted((json.loads(line) for line in sys.stdin), key=lambda line: line["scenario"])
print(*(f"{line['"'scenario'"']} {line['"'verdict'"']} {line['"'returncode'"']}" for line in lines), sep=", ")' <<<"$output")"
}

@test "each variable reaches the script, and the agent's go by the environment" {
  stub "$house/hack/exec_harness/run_scenarios.py" <<'END'
import os
import sys

with open(os.environ['calls'], 'w') as calls:
    print(f'in {os.getcwd()}', *(f'[{argument}]' for argument in sys.argv[1:]), sep='\n', file=calls)
    print(os.environ['AGENT_BIN'], os.environ['AGENT_VERSION'], file=calls)
END
  run -0 smoke AGENT_BIN='an agent' AGENT_VERSION=0.142.3 JOBS=3 SHARD=1/2 TWICE=1 UPDATE=1 KEEP=1 OUT='to here' FORMAT=junit
  assert_called "in $caller" '[run]' '[--out=to here]' '[--jobs=3]' '[--shard=1/2]' '[--format=junit]' '[--twice]' \
    '[--update]' '[--keep]' '[.]' 'an agent 0.142.3'
}
