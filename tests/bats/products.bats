#!/usr/bin/env bats

load test_helper

setup() {
  away_from_home
  make_house "$BATS_TEST_TMPDIR/the house"
  cd "$house"
  recorder apt-get
  stub id <<<'echo "${user:-0}"'
  # Installed is what $installed names.
  stub dpkg-query <<'END'
#!/usr/bin/env bash
[[ " ${installed:-} " == *" ${*: -1} "* ]] && printf installed
END
}

apt_calls() {
  sed -n '/^\[update\]/,$p' "$calls" | grep -v '^in ' | tr -d '\n'
}

@test "the corpus is asked what it lacks" {
  run -0 make products JOURNEYS='a corpus'
  assert_called "in $house" '[needs]' '[--missing]' '[--format]' '[packages]' '[a corpus]'
  assert_equal 'products: all that is needed is here' "$output"
}

@test "what is lacking is installed, after one update" {
  says=$'buildah\nredis-server' run -0 make products
  assert_equal '[update][-qq][install][-y][-qq][--no-install-recommends][buildah][redis-server]' "$(apt_calls)"
  assert_contains 'products: installed buildah redis-server' "$output"
}

@test "what is installed already is not installed again" {
  export installed='strace buildah'
  says=buildah run -0 hack/products.sh strace tmux
  assert_equal '[update][-qq][install][-y][-qq][--no-install-recommends][tmux]' "$(apt_calls)"
  rm "$calls"
  run -0 hack/products.sh strace
  assert_equal '' "$(apt_calls)"
}

@test "without root the line to run is printed" {
  user=1000 says=buildah run -2 hack/products.sh
  assert_equal 'products: missing: buildah (as root: apt-get install buildah)' "$output"
  assert_equal '' "$(apt_calls)"
}

@test "without apt the line to run is printed" {
  local name
  mkdir bare
  for name in bash dirname sed cat readlink; do ln -s "$(command -v "$name")" bare; done
  PATH=$PWD/bare says=buildah run -2 hack/products.sh
  assert_contains 'products: missing: buildah (as root: apt-get install buildah)' "$output"
}

@test "where the corpus cannot be read nothing is installed" {
  stub hack/dogfood/run_journeys.py <<<'raise SystemExit("journeys: not there")'
  run -1 hack/products.sh strace
  assert_contains 'journeys: not there' "$output"
  [[ ! -e $calls ]]
}

@test "where apt fails, so does the script" {
  ends=100 says=buildah run -100 hack/products.sh
}
