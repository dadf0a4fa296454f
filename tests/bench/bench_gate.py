#!/usr/bin/env python3
"""What the exec gate costs beyond the agent, and what running its scenarios side by side saves, in turns, in one run.

The agent whose cost is taken off is a stub that asks the fake API once and ends: bare, and below the gate. Every
figure is the median of the rounds.
"""

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_SCENARIOS = REPOSITORY / 'hack/exec_harness/run_scenarios.py'
MANY = 20  # scenarios; the cost of one is what they cost more than one, divided

STUB = r"""#!/usr/bin/env bash
case $* in
  --version) echo 'codex-cli 0.99.0'; exit ;;
  'exec --help') echo '--json --skip-git-repo-check'; exit ;;
  'features list') exit ;;
esac
[[ $* =~ 127\.0\.0\.1:([0-9]+) ]]
exec 3<>"/dev/tcp/127.0.0.1/${BASH_REMATCH[1]}"
printf 'POST /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}' >&3
while read -r -u 3 line; do :; done
echo '{"type":"turn.completed"}'
"""

SCENARIO = """
name: at-once-{number}
prompt: Go.
responses_api: {{responses: [{{body: {{}}}}]}}
expect: {{returncode: 0, responses_request_count: 1, event_count: {{turn.completed: 1}}}}
"""


class Figure(NamedTuple):
    what: str
    measured: float
    asked: str
    unit: str


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--agent-bin', type=Path, help='Codex 0.99.0; without it, only the stub is measured')
    parser.add_argument('--json', type=Path)
    asked = parser.parse_args(arguments)
    compileall.compile_dir(REPOSITORY / 'hack', quiet=2)  # as set-up does
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        figures = overhead(Path(folder), asked.rounds)
        if asked.agent_bin:
            figures += side_by_side(Path(folder), asked.agent_bin, asked.rounds)
    for figure in figures:
        print(f'{figure.what:64}  {figure.measured:9.3f} {figure.unit:7}  {figure.asked}')
    if asked.json:
        asked.json.write_text(json.dumps([figure._asdict() for figure in figures], indent=1) + '\n')
    return 0


def overhead(folder: Path, rounds: int) -> list[Figure]:
    """Milliseconds a scenario takes beyond its agent, one at a time."""
    stub = folder / 'stub'
    stub.write_text(STUB)
    stub.chmod(0o755)
    for kind, count in (('one', 1), ('many', 1 + MANY)):
        (folder / kind).mkdir()
        for number in range(count):
            (folder / kind / f'{number}.yaml').write_text(SCENARIO.format(number=number))
    gated, bare = [], []
    for _ in range(rounds):
        one, many = (gate(folder / kind, stub, folder / 'out', jobs=1).seconds for kind in ('one', 'many'))
        gated.append((many - one) / MANY)
        bare.append(alone(stub))
    costs = [1000 * (one - other) for one, other in zip(gated, bare, strict=True)]
    return [
        Figure('a scenario with a stub agent', 1000 * statistics.median(gated), '', 'ms'),
        Figure('the bare stub agent', 1000 * statistics.median(bare), '', 'ms'),
        Figure('overhead of the gate, each scenario', statistics.median(costs), '< 60', 'ms'),
    ]


def side_by_side(folder: Path, agent: Path, rounds: int) -> list[Figure]:
    """The shipped scenarios on a real agent: all at once, against the sum of what each takes alone."""
    together, apart = [], []
    for _ in range(rounds):
        alone = gate(None, agent, folder / 'out', jobs=1)
        apart.append(sum(result['duration_seconds'] for result in alone.results))
        together.append(gate(None, agent, folder / 'out', jobs=os.cpu_count() or 1).seconds)
    ratio = statistics.median(one / other for one, other in zip(together, apart, strict=True))
    return [
        Figure('the shipped scenarios one by one', statistics.median(apart), '', 's'),
        Figure(f'the shipped scenarios, {os.cpu_count()} jobs, start to end', statistics.median(together), '', 's'),
        Figure('all at once / one by one', ratio, '≤ 0.6', ''),
    ]


class Ran(NamedTuple):
    seconds: float
    results: list[dict[str, Any]]


def gate(scenarios: Path | None, agent: Path, out: Path, jobs: int) -> Ran:
    command = [sys.executable, str(RUN_SCENARIOS), 'run', f'--agent-bin={agent}', f'--out={out}', f'--jobs={jobs}']
    begun = time.monotonic()
    ended = subprocess.run(
        [*command, '--format=jsonl', *([str(scenarios)] if scenarios else [])],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - begun
    if ended.returncode:
        raise SystemExit(f'the gate ended with {ended.returncode}:\n{ended.stderr}')
    return Ran(seconds, [json.loads(line) for line in ended.stdout.splitlines()])


def alone(stub: Path) -> float:
    """Seconds of the stub by itself, on an API of the same kind."""
    sys.path.insert(0, str(REPOSITORY))  # a script, run from anywhere
    from hack.exec_harness.api.responses_server import ResponsesServer
    from hack.exec_harness.model import Api, Reply

    server = ResponsesServer()
    server.start(Api((Reply('any', times=None, body={}, has_body=True),)))
    begun = time.monotonic()
    for _ in range(MANY):
        subprocess.run([stub, 'exec', server.base_url], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    seconds = time.monotonic() - begun
    server.stop()
    return seconds / MANY


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))
