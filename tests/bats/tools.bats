#!/usr/bin/env bats

load test_helper

setup() {
  away_from_home
  make_house "$BATS_TEST_TMPDIR/the house"
  cd "$house"
  mkdir -p tests .ci .github/workflows
  cp "$repository/.shellcheckrc" .
  cp "$repository/.ci/run" .ci
  rm -r hack/dogfood
}

good_tree() {
  printf '"""A module."""\n\nNAME = %s\n' "'name'" | tee hack/module.py >tests/test_module.py
  printf '@test "it works" {\n  true\n}\n' >tests/sample.bats
  cp "$repository/.github/workflows/ci.yml" .github/workflows
}

@test "lint passes a good tree, and says what it checked" {
  good_tree
  run -0 hack/lint.sh
  assert_equal "ok      ruff
ok      ruff format
ok      mypy
ok      shellcheck
ok      shellcheck of tests
ok      shfmt
ok      workflows
ok      zizmor" "$output"
}

@test "lint shows each fault, and goes on after the first" {
  good_tree
  printf 'import os\nNAME: int = "name"\n' >hack/module.py
  printf '#!/usr/bin/env bash\n    echo $1\n' >hack/bad.sh
  printf '@test "it works" {\n  [ $1 = 1 ]\n}\n' >tests/sample.bats
  sed -i -e 's/runs-on/run-on/' -e 's/@[0-9a-f]\{40\}/@main/' .github/workflows/ci.yml
  run -1 hack/lint.sh
  local name
  for name in ruff 'ruff format' mypy shellcheck 'shellcheck of tests' shfmt workflows zizmor; do
    assert_contains "FAILED  $name"$'\n' "$output"
  done
  assert_contains 'F401' "$output"
  assert_contains 'SC2086' "$output"
}

@test "lint holds corpora against the schema" {
  good_tree
  mkdir -p journeys/local hack/dogfood/schema
  echo '{"required": ["feature"]}' >hack/dogfood/schema/journeys.schema.json
  echo 'feature: one' >journeys/local/one.yaml
  run -0 hack/lint.sh
  assert_contains 'ok      corpora' "$output"
  echo 'nothing: two' >journeys/two.yml
  run -1 hack/lint.sh
  assert_contains 'FAILED  corpora' "$output"
  assert_contains "'feature' is a required property" "$output"
}

@test "format writes the house style, which lint then passes" {
  good_tree
  printf '"""A module."""\nimport sys, os\nNAME = ["a",  os, sys]\n' >hack/module.py
  printf '#!/usr/bin/env bash\nif true; then\n      echo 1\nfi\n' >hack/bad.sh
  run -0 hack/format.sh
  assert_equal "NAME = ['a', os, sys]" "$(tail -n 1 hack/module.py)"
  assert_equal '  echo 1' "$(sed -n 3p hack/bad.sh)"
  run -0 hack/lint.sh
}

@test "the bats tests end with a line that counts them" {
  cat >tests/sample.bats <<'END'
@test "good" { true; }
@test "bad" { false; }
@test "left out" { skip 'no reason'; }
@test "good, with a # in its name" { true; }
END
  run -1 env -i PATH="$PATH" hack/bats.sh tests/sample.bats
  assert_equal '2 passed, 1 failed, 1 skipped' "${lines[-1]}"
  sed -i /bad/d tests/sample.bats
  run -0 env -i PATH="$PATH" hack/bats.sh tests/sample.bats
  assert_equal '2 passed, 0 failed, 1 skipped' "${lines[-1]}"
}

# What .ci/run calls beside make, each telling when it is called.
ci_tools() {
  recorder make
  recorder npm
  recorder hack/axe.sh
  recorder hack/products.sh
  mkdir -p hack/orchestrator
  cat >hack/orchestrator/run_agents.py <<'END'
import os
import sys

with open(os.environ['calls'], 'a') as calls:
    print(f'in {os.getcwd()}', *(f'[{argument}]' for argument in sys.argv[1:]), sep='\n', file=calls)
END
}

@test "CI tries all instruments, then runs all tests, and fails where one of them did" {
  ci_tools
  run -0 .ci/run
  assert_called "in $house" '[bubblewrap]' '[strace]' '[tmux]' \
    "in $house" '[chromium]' '[graphviz]' \
    "in $house" \
    "in $house" '[harness-smoke]' \
    "in $house" '[fault-campaign]' '[200]' \
    "in $house" '[dogfood]' '[SHARDS=4]' '[REQUIRE_ALL=1]' \
    "in $house" '[--keep-going]' '[test]'
  local verb
  for verb in harness-smoke dogfood --keep-going; do
    stub make <<<"echo \"\$*\" >>\"\$calls\"; [[ \$1 != $verb ]]"
    rm "$calls"
    run -1 .ci/run
    assert_equal '--keep-going test' "$(tail -n 1 "$calls")"
  done
}

@test "CI goes on without apt, and says so" {
  ci_tools
  stub hack/products.sh <<<'echo "products: missing: strace" >&2; exit 2'
  run -0 .ci/run
  assert_contains 'ci: going on without them' "$output"
  assert_contains '[test]' "$(cat "$calls")"
}
