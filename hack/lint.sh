#!/usr/bin/env bash
# Check everything a machine can check; every check runs, the output of those that fail is shown.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
shopt -s nullglob globstar
PATH=$PWD/.venv/bin:$PATH
failed=0

check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    printf 'ok      %s\n' "$name"
  else
    printf 'FAILED  %s\n%s\n' "$name" "$output"
    failed=1
  fi
}

main() {
  local scripts tests=(tests/**/*.bats) workflows=(.github/workflows/*.yml) corpora
  local scenarios=(hack/exec_harness/scenarios/*) schema=hack/dogfood/schema/journeys.schema.json
  mapfile -t corpora < <(printf '%s\n' journeys/**/*.y*ml | grep -vE '^$|/triage\.yaml$')
  mapfile -t scripts < <(shfmt --find .ci hack tests | grep -v '\.bats$')
  check 'ruff' ruff check
  check 'ruff format' ruff format --check
  check 'mypy' mypy
  check 'shellcheck' shellcheck "${scripts[@]}"
  # What bats makes of a test is beyond shellcheck: errexit holds in it, `load` and `run` set variables, stubs stand in
  # single quotes.
  check 'shellcheck of tests' shellcheck --exclude=SC2016,SC2030,SC2031,SC2154,SC2164 "${tests[@]}"
  check 'shfmt' shfmt -i 2 -ci -d "${scripts[@]}" "${tests[@]}"
  check 'workflows' check-jsonschema --builtin-schema vendor.github-workflows "${workflows[@]}"
  check 'zizmor' zizmor --offline --quiet "${workflows[@]}"
  ((${#scenarios[@]} == 0)) || check 'scenarios' .venv/bin/python hack/exec_harness/run_scenarios.py check
  ((${#corpora[@]} == 0)) || check 'corpora' check-jsonschema --schemafile "$schema" "${corpora[@]}"
  return "$failed"
}

main "$@"
