#!/usr/bin/env bash
# make bench: every figure of the README's performance section, side by side with the peers, in one run.
# Usage: bench.sh [FOLDER]: the tables go to standard output, the JSON to FOLDER (default: .dogfood/bench).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
python=$repository/.venv/bin/python
peers=$repository/.venv-bench

install_peers() {
  if ! cmp -s "$here/requirements.txt" "$peers/installed"; then
    rm -rf "$peers"
    "$python" -m venv --without-pip "$peers"
    python3 -m pip --quiet --disable-pip-version-check --python "$peers/bin/python" install -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$peers/installed"
  fi
}

main() {
  local out=${1:-.dogfood/bench} agent
  mkdir -p "$out"
  install_peers
  "$python" "$here/bench_run.py" --peers "$peers/bin" --json "$out/run.json"
  "$python" "$here/bench_plan.py" --json "$out/plan.json"
  "$python" "$here/bench_live.py" --json "$out/live.json"
  "$python" "$here/bench_history.py" --json "$out/history.json"
  "$python" "$here/bench_page.py" --json "$out/page.json"
  agent=$("$repository/hack/exec_harness/install_agent.sh") || agent='' # without npm, only the stub is measured
  "$python" "$here/bench_gate.py" ${agent:+--agent-bin="$agent"} --json "$out/gate.json"
  "$python" "$here/bench_agents.py" --json "$out/agents.json"
}

main "$@"
