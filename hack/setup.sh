#!/usr/bin/env bash
# Make .venv, or make it anew where its inputs changed: hack/setup.sh [run|dev].
#
# `run` holds what `make dogfood` needs, `dev` (the default) the tools of `make test` too. The stamp in .venv is taken
# away first and written last, so a half-made .venv is never taken for a good one. PYTHON=… names the interpreter.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONPATH PYTHONHOME # pip would take the packages it finds there for installed ones

stamp=.venv/set-up

die() {
  printf 'setup: %s\n' "$1" >&2
  exit 2
}

# One line for one kind of set-up: all that it was made from, and the place, for a copied .venv points at the old one.
inputs() {
  local kind=$1 files=(constraints.txt requirements.txt)
  [[ $kind == run ]] || files+=(requirements-dev.txt)
  echo "$kind $(.venv/bin/python -V) $(cat "${files[@]}" | sha256sum | cut -d ' ' -f 1) $(pwd -P)"
}

is_ready() {
  local kind=$1
  [[ -f $stamp && -x .venv/bin/python ]] || return 1
  [[ -z ${PYTHON:-} || $("$PYTHON" -V 2>&1) == "$(.venv/bin/python -V)" ]] || return 1
  grep -qxF "$(inputs "$kind")" "$stamp"
}

find_python() {
  local candidate found='' names=(python3 python3.14 python3.13 python3.12 python3.11)
  [[ -z ${PYTHON:-} ]] || names=("$PYTHON")
  for candidate in "${names[@]}"; do
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' &>/dev/null || continue
    found=$candidate
    "$candidate" -c 'if True:
      import sys
      from importlib.util import find_spec as has
      sys.exit(not (has("venv") and (has("pip") or has("ensurepip"))))' || continue
    echo "$candidate"
    return
  done
  [[ -z $found ]] || die "$found makes no virtual environments (apt-get install python3-venv, or name another: PYTHON=…)"
  die "no Python >= 3.11 as ${names[*]} (install one, or name it: make setup PYTHON=/path/to/python3)"
}

# The interpreter's own pip saves the seconds that a second copy of it takes to unpack.
install() {
  local kind=$1 python=$2 requirements=requirements.txt pip=("$2" -m pip --python .venv/bin/python)
  [[ $kind == run ]] || requirements='requirements-dev.txt'
  # On top of a good `run`, `dev` is only more; whoever runs from it now is not disturbed.
  if ! is_ready run || grep -q '^dev' "$stamp"; then
    rm -f "$stamp"
    "$python" -m venv --clear --without-pip .venv || return
  fi
  if ! "${pip[@]}" --version; then
    .venv/bin/python -m ensurepip || return
    pip=(.venv/bin/python -m pip)
  fi
  "${pip[@]}" install --disable-pip-version-check --no-input -r "$requirements" || return
  # What runs later writes nothing here, and starts faster so.
  .venv/bin/python -m compileall -q hack || true
  .venv/bin/python -c 'from hack.dogfood.page.markup import compile_templates; compile_templates()' || true
  { inputs run && { [[ $kind == run ]] || inputs dev; }; } >"$stamp"
}

main() {
  local kind=${1:-dev} python output
  [[ $kind == run || $kind == dev ]] || die "no such kind of set-up: $kind (say run or dev)"
  if [[ -L .venv ]]; then # somebody else's: used as it is, never made anew from here
    .venv/bin/python -c '' || die ".venv links to what holds no working Python (make it there, or remove the link)"
    return
  fi
  is_ready "$kind" && return
  python=$(find_python)
  [[ -w . ]] || die "$PWD cannot be written, and its .venv is not up to date (make it where it can)"
  exec 9<>requirements.txt # the lock of two set-ups at once; freed when this process ends, however it does
  "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
  is_ready "$kind" && return
  output=$(install "$kind" "$python" 2>&1 9<&-) || die "no .venv with $python (mend what stands below, then again)
$output"
  echo "setup: made .venv with $(.venv/bin/python -V) in $SECONDS s" >&2
}

main "$@"
