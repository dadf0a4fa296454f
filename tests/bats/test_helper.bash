# Defines what the bats tests share: a home out of reach, stubs, and a copy of the house to run them in.

bats_require_minimum_version 1.5.0

# The user's home is below a file, so that each use of it is an error; no make and no git above us is in the way.
away_from_home() {
  local name
  repository=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  for name in $(compgen -e | grep -E '^(XDG_|GIT_|DOGFOOD_|TMUX|MAKE|MFLAGS|PYTHON|GITHUB_|CI$)'); do unset "$name"; done
  touch "$BATS_TEST_TMPDIR/no-home-in-tests"
  export HOME=$BATS_TEST_TMPDIR/no-home-in-tests/home
  export XDG_CONFIG_HOME=$HOME XDG_CACHE_HOME=$HOME XDG_DATA_HOME=$HOME XDG_STATE_HOME=$HOME
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
  mkdir -p "$BATS_TEST_TMPDIR/bin"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH
  export calls=$BATS_TEST_TMPDIR/calls
}

# A program from standard input, first on PATH (NAME) or at a place of its own (a path).
stub() {
  local target=$1
  [[ $target == */* ]] || target=$BATS_TEST_TMPDIR/bin/$target
  mkdir -p "$(dirname "$target")"
  cat >"$target"
  chmod +x "$target"
}

# A program that writes its folder and its arguments to $calls, each in brackets on a line, and ends with $ends.
recorder() {
  stub "$1" <<'END'
#!/usr/bin/env bash
{ printf 'in %s\n' "$PWD" && (($# == 0)) || printf '[%s]\n' "$@"; } >>"$calls"
exit "${ends:-0}"
END
}

# The Makefile and its scripts in a folder of their own, with recorders where the instruments would be.
make_house() {
  house=$1
  mkdir -p "$house/hack/dogfood"
  cp "$repository"/{Makefile,justfile,pyproject.toml,constraints.txt,requirements.txt,requirements-dev.txt} "$house"
  cp "$repository"/hack/*.sh "$house/hack"
  ln -s "$repository/.venv" "$house/.venv"
  recorder "$house/hack/dogfood/dogfood.sh"
  stub "$house/hack/dogfood/run_journeys.py" <<'END'
import os
import sys

with open(os.environ['calls'], 'a') as calls:
    print(f'in {os.getcwd()}', *(f'[{argument}]' for argument in sys.argv[1:]), sep='\n', file=calls)
print(os.environ.get('says', ''))
END
}

assert_equal() {
  if [[ $1 != "$2" ]]; then
    printf 'wanted: %s\ngot:    %s\n' "$1" "$2" >&2
    return 1
  fi
}

assert_contains() {
  if [[ $2 != *"$1"* ]]; then
    printf 'wanted, somewhere in it: %s\ngot: %s\n' "$1" "$2" >&2
    return 1
  fi
}

# What was recorded: the folder first, then the arguments.
assert_called() {
  assert_equal "$(printf '%s\n' "$@")" "$(cat "$calls")"
}
