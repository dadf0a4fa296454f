#!/usr/bin/env bash
# make mutate: change what decides in every small way, and tell what the tests let live.
# Exit status: 0 each survivor has its reason in survivors.yaml, 1 some have none, 3 nothing could be told.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
venv=$repository/.venv-mutate
log=$repository/mutants/log.txt

install() {
  local wanted
  wanted=$(cat "$here/requirements.txt" "$repository"/{requirements-dev,requirements,constraints}.txt)
  if [[ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]]; then
    rm -rf "$venv"
    "$repository/.venv/bin/python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    printf '%s\n' "$wanted" >"$venv/installed"
  fi
}

main() {
  install
  cd "$repository"
  rm -rf mutants # what it remembers of an earlier run knows nothing of changed tests
  mkdir mutants
  echo "mutate: some 1,200 mutants, five minutes or so; progress in $log" >&2
  if ! "$venv/bin/mutmut" run >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    return 3
  fi
  "$venv/bin/python" "$here/tell.py" "$venv/bin/mutmut"
}

main "$@"
