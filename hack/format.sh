#!/usr/bin/env bash
# Write Python and shell in the house style.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/.venv/bin:$PATH
ruff check --fix --quiet || true # what it cannot mend is for `make lint` to tell
ruff format
mapfile -t scripts < <(shfmt --find .ci hack tests)
shfmt -i 2 -ci -w "${scripts[@]}"
