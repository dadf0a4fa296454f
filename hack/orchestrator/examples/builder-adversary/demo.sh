#!/usr/bin/env bash
# A life in twenty seconds, in a scratch copy of this example: up, a claim and its verdict, the next phase, a heal, down.
# The agents are of the demo backend: this script writes what they would, and nothing is spent.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
engine=$(cd "$here/../.." && pwd -P)

agents() {
  env -u TMUX python3 "$engine/run_agents.py" --config "$project/agents.toml" "$@"
}

# Until the status matches, or ten seconds are over.
wait_for() {
  local until=$((SECONDS + 10))
  until status=$(agents status) && grep -qE "$1" <<<"$status"; do
    ((SECONDS < until)) || { printf 'demo: the status never had %s:\n%s\n' "$1" "$status" >&2 && exit 1; }
    sleep 0.1
  done
}

say() {
  printf '\n== %s\n' "$1"
}

commit() {
  git -C "$project" -c user.name=demo -c user.email=demo@localhost commit --quiet --all --no-verify --message "$1"
}

# The process of an agent, by the mark that it carries.
pid_of() {
  python3 -c '
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from pathlib import Path

from hack.orchestrator.runtime import sightings

here = sightings.load(Path(sys.argv[2]), {})
print(sightings.look(here)[sys.argv[3]].pid)
' "$engine/../.." "$project/agents.toml" "$1"
}

start() {
  say 'A project of its own, with the documents that init writes'
  agents init "$project" | sed "s|$project/|  |"
  # The same rules at a faster pace.
  sed -i -E 's/^(signal_interval|heavy_interval) = [0-9]+/\1 = 0.5/' "$project/agents.toml"
  git init --quiet "$project"
  echo '/.ao-state/' >"$project/.gitignore"
  git -C "$project" add .
  commit 'Start'
  say 'up'
  agents up
  wait_for '^watchdog .* RUNNING$'
  printf '%s\n' "$status"
}

work() {
  say 'The builder claims; the adversary verifies it cold and accepts; the builder ends the phase'
  # shellcheck disable=SC2016  # the backquotes are Markdown
  printf '\n- Point 1 holds: `./greet` prints `hello`.\n' >>"$project/STATUS-greet.md"
  commit 'claim(greet): ./greet prints hello'
  # shellcheck disable=SC2016
  printf '\n- greet, point 1: ACCEPTED. Fresh clone; `./greet` printed `hello`.\n' >>"$project/REVIEW.md"
  commit 'review(greet): point 1: ACCEPTED'
  printf '\n## DONE\n' >>"$project/STATUS-greet.md"
  commit 'greet is done'
  git -C "$project" log --format='  %s' --reverse
  wait_for '^phase: remember \[2/2\]'
  wait_for '^builder .* RUNNING$'
  printf '%s\n' "$status"
}

heal() {
  local pid healed until=$((SECONDS + 10))
  say 'The builder is killed; the watchdog heals it'
  pid=$(pid_of builder)
  kill -KILL "$pid"
  until healed=$(pid_of builder) && [[ $healed != "$pid" ]] && kill -0 "$healed"; do
    ((SECONDS < until)) || { echo 'demo: the builder was not healed' >&2 && exit 1; }
    sleep 0.1
  done 2>/dev/null
  wait_for '^builder .* RUNNING$'
  printf '%s\n' "$status"
}

end() {
  say 'down'
  agents down
  agents status
  ! agents status | grep -q RUNNING
}

clean() {
  [[ ! -e $project/agents.toml ]] || agents down >/dev/null || true
  rm -rf "$scratch"
}

main() {
  scratch=$(mktemp -d)
  project=$scratch/pair
  trap clean EXIT
  start
  work
  heal
  end
  printf '\nIt took %s seconds, and nothing is left of it.\n' "$SECONDS"
}

main "$@"
