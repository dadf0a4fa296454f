"""Tell what a run of mutmut came to: the score of each module, and each survivor with its reason.

mutmut changes what functions do; constants of modules and defaults of tuples it leaves alone.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

MUTANTS = Path('mutants')
REASONS = Path(__file__).parent / 'survivors.yaml'
KILLED = (1, 3, 24, 36, 152, 255, -24)  # by a test, or by running for ever


def main(mutmut: str) -> int:
    reasons: dict[str, str] = {one['change']: one['why'] for one in yaml.safe_load(REASONS.read_text())}
    told: set[str] = set()
    counts = []
    for meta in sorted(MUTANTS.rglob('*.meta')):
        codes: Mapping[str, int | None] = json.loads(meta.read_text())['exit_code_by_key']
        alive = [name for name, code in codes.items() if code not in KILLED]
        if not codes:
            continue
        module = str(meta.relative_to(MUTANTS).with_suffix(''))
        counts.append((len(codes) - len(alive), len(codes), module))
        for change in (changed(mutmut, name) for name in alive):
            told.add(change)
            print(f'{module}\n{change}\n  {reasons.get(change, "NO REASON: kill it, or say why it may live")}\n')
    counts.append((sum(killed for killed, _, _ in counts), sum(total for _, total, _ in counts), 'all'))
    for killed, total, name in counts:
        print(f'{100 * killed / max(total, 1):5.1f} %  {killed:4} of {total:4}  {name}')
    for change in reasons.keys() - told:
        print(f'\nsurvivors.yaml speaks of one that does not live:\n{change}')
    if counts[-1][1] == 0:
        return 3
    return 0 if told == reasons.keys() else 1


def changed(mutmut: str, name: str) -> str:
    """What a mutant changes, as `- was` and `+ is`."""
    shown = subprocess.run([mutmut, 'show', name], capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if line[:1] in '-+' and line[:3] not in ('---', '+++')]
    return '\n'.join(f'{line[0]} {line[1:].strip()}' for line in lines)


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1]))
