#!/usr/bin/env bash
# Make the README's pictures again: each script of tests/pictures writes its own into .github/pictures.
set -euo pipefail

main() {
  local script
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  mkdir -p .github/pictures
  for script in tests/pictures/*.py; do
    PYTHONPATH=. .venv/bin/python "$script" .github/pictures
  done
}

main "$@"
