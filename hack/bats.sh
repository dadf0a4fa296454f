#!/usr/bin/env bash
# Run the bats tests (all, or the files named) and end with a closing line that counts them.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

# A test that bats planned and never reported is a failure here as well.
closing_line() {
  awk '
    /^1\.\.[0-9]+$/ { planned = substr($0, 4) }
    /^ok .* # skip/ { skipped++; next }
    /^ok / { passed++ }
    END { printf "%d passed, %d failed, %d skipped\n", passed, planned - passed - skipped, skipped }
  ' "$report/report.tap"
}

main() {
  local status=0
  (($#)) || set -- tests/bats
  .venv/bin/bats --recursive --report-formatter tap --output "$report" "$@" || status=$?
  closing_line
  return "$status"
}

main "$@"
