#!/usr/bin/env bats

load test_helper

# The real Python makes the environment; what pip would fetch is only recorded, so no test needs the network.
setup() {
  away_from_home
  make_house "$BATS_TEST_TMPDIR/the house"
  rm "$house/.venv"
  cd "$house"
  real=$("$repository/.venv/bin/python" -c 'import sys; print(sys._base_executable)')
  python_stub python3
}

# A Python of which pip is `pip_stub`, and of which each -c runs after `$before`.
python_stub() {
  export real before=''
  pip_stub 'true'
  stub "$1" <<'END'
#!/usr/bin/env bash
case $1 in
  -m) if [[ $2 == pip ]]; then exec pip-stub "${@:3}"; fi ;;
  -c) exec "$real" -c "$before"$'\n'"$2" "${@:3}" ;;
esac
exec "$real" "$@"
END
}

pip_stub() {
  stub pip-stub <<END
#!/usr/bin/env bash
[[ \$* == *install* ]] || exit 0
echo "pip \${*: -1}" >>"\$calls"
$1
END
}

installs() {
  grep -c '^pip' "$calls" || true
}

@test "set-up is done once, and told in a line" {
  run -0 hack/setup.sh
  [[ $output =~ ^'setup: made .venv with Python 3.'[0-9.]+' in '[0-9]+' s'$ ]]
  assert_equal 'pip requirements-dev.txt' "$(cat "$calls")"
  run -0 hack/setup.sh
  assert_equal '' "$output"
  run -0 hack/setup.sh run
  assert_equal '' "$output"
  assert_equal 1 "$(installs)"
}

@test "make dogfood sets up no more than it needs, make setup adds the tools to it" {
  run -0 make dogfood
  assert_equal 'pip requirements.txt' "$(grep pip "$calls")"
  touch .venv/from-before
  run -0 make setup
  assert_equal $'pip requirements.txt\npip requirements-dev.txt' "$(grep pip "$calls")"
  [[ -e .venv/from-before ]]
}

@test "set-up is done anew when its inputs change" {
  local input
  run -0 hack/setup.sh
  for input in constraints.txt requirements.txt requirements-dev.txt; do
    rm -f "$calls"
    touch .venv/from-before
    echo '# changed' >>"$input"
    run -0 hack/setup.sh
    assert_equal 1 "$(installs)"
    [[ ! -e .venv/from-before ]]
    run -0 hack/setup.sh
    assert_equal 1 "$(installs)"
  done
}

@test "a change of the tools does not concern what make dogfood needs" {
  run -0 hack/setup.sh
  echo '# changed' >>requirements-dev.txt
  run -0 hack/setup.sh run
  assert_equal 1 "$(installs)"
}

@test "an environment of another Python is made anew" {
  run -0 hack/setup.sh
  stub other-python <<'END'
#!/usr/bin/env bash
[[ $1 == -V ]] && echo 'Python 3.99.1' && exit
exec python3 "$@"
END
  PYTHON=other-python run -0 hack/setup.sh
  assert_equal 2 "$(installs)"
}

@test "a checkout that was moved or copied gets an environment of its own" {
  run -0 hack/setup.sh
  cp -a "$house" "$BATS_TEST_TMPDIR/copied"
  cd "$BATS_TEST_TMPDIR/copied"
  run -0 hack/setup.sh
  assert_equal 2 "$(installs)"
}

@test "a set-up that was killed is done anew" {
  # The set-up and what it was doing.
  pip_stub 'kill -KILL "$(sed -n "s/^PPid:\s*//p" "/proc/$PPID/status")" "$PPID"'
  run -137 hack/setup.sh
  [[ -x .venv/bin/python ]]
  pip_stub 'true'
  run -0 hack/setup.sh
  assert_contains 'setup: made .venv' "$output"
  assert_equal 2 "$(installs)"
}

@test "when the tools cannot be added, what make dogfood needs is still good" {
  run -0 hack/setup.sh run
  pip_stub 'exit 1'
  run -2 hack/setup.sh
  run -0 hack/setup.sh run
  assert_equal '' "$output"
}

@test "two set-ups at once do the work once" {
  pip_stub 'until [[ -e go ]]; do sleep 0.01; done'
  hack/setup.sh 2>first &
  until [[ -s $calls ]]; do sleep 0.01; done
  hack/setup.sh 2>second &
  until grep -qs fcntl.flock /proc/[0-9]*/cmdline; do sleep 0.01; done # waits for the lock
  touch go
  wait
  assert_equal 1 "$(installs)"
  assert_contains 'made .venv' "$(cat first)"
  assert_equal '' "$(cat second)"
}

@test "where pip fails, its words are shown, and nothing is taken for good" {
  pip_stub 'echo "no such package" >&2; exit 1'
  run -2 hack/setup.sh
  assert_contains 'setup: no .venv with python3 (mend what stands below, then again)' "$output"
  assert_contains 'no such package' "$output"
  pip_stub 'true'
  run -0 hack/setup.sh
  assert_contains 'made .venv' "$output"
}

@test "a link is used as it is and never made anew" {
  ln -s "$repository/.venv" .venv
  run -0 hack/setup.sh
  assert_equal '' "$output"
  [[ -L .venv && ! -e $calls ]]
  ln -sfn /nowhere .venv
  run -2 hack/setup.sh
  assert_contains 'setup: .venv links to what holds no working Python (make it there, or remove the link)' "$output"
}

@test "a checkout that cannot be written works with the .venv it has" {
  unshare --mount --map-root-user true 2>/dev/null || skip 'needs a mount name space'
  run -0 hack/setup.sh
  frozen() { unshare --mount --map-root-user bash -c 'mount --bind -o ro . . && cd "$PWD" && "$@"' - "$@"; }
  run -0 frozen hack/setup.sh
  assert_equal '' "$output"
  PYTHON=/nowhere run -2 frozen hack/setup.sh
  PYTHON=$real run -0 frozen hack/setup.sh
  rm .venv/set-up
  run -2 frozen hack/setup.sh
  assert_contains 'cannot be written, and its .venv is not up to date (make it where it can)' "$output"
}

@test "without a Python that is new enough nothing is made" {
  before='import sys; sys.version_info = (3, 10, 9)'
  PYTHON=python3 run -2 hack/setup.sh
  assert_equal \
    'setup: no Python >= 3.11 as python3 (install one, or name it: make setup PYTHON=/path/to/python3)' "$output"
  run -2 make setup PYTHON=/no/such/python
  assert_contains 'setup: no Python >= 3.11 as /no/such/python' "$output"
  [[ ! -e .venv ]]
}

@test "a python3 that is too old gives way to a newer one" {
  stub python3 <<<'exit 1'
  python_stub python3.13
  run -0 hack/setup.sh
  assert_contains 'made .venv' "$output"
}

@test "a Python that makes no environments is told with what to install" {
  before='import sys; sys.modules["venv"] = None'
  PYTHON=python3 run -2 hack/setup.sh
  assert_equal \
    'setup: python3 makes no virtual environments (apt-get install python3-venv, or name another: PYTHON=…)' "$output"
}

@test "a Python without pip uses the one it brings" {
  "$real" -c 'import ensurepip' || skip 'this Python brings no pip'
  stub pip-stub <<<'exit 1' # not even --version
  : >constraints.txt
  : >requirements.txt
  run -0 hack/setup.sh run
  assert_contains 'made .venv' "$output"
  [[ -x .venv/bin/pip3 ]]
}

@test "an unknown kind of set-up is refused" {
  run -2 hack/setup.sh all
  assert_equal 'setup: no such kind of set-up: all (say run or dev)' "$output"
}
