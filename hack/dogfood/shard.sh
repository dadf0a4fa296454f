#!/usr/bin/env bash
# One shard's job: shard.sh RUN_DIR INDEX. Becomes the one process that holds the shard's lock.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common/python.bash"

if (($# != 2)); then
  printf 'usage: shard.sh RUN_DIR INDEX (INDEX: a line of RUN_DIR/plan.txt, from 1)\n' >&2
  exit 2
fi
exec "$(dogfood_python "$here/../..")" "$here/run_journeys.py" shard "$1" "$2"
