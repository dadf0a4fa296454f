#!/usr/bin/env bash
# Remove what tests and linters leave behind, and nothing a user made.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis mutants
find hack tests -type d -name __pycache__ -prune -exec rm -rf {} +
