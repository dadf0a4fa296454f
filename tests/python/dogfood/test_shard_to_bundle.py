"""A real shard, real steps: what it leaves makes a bundle that keeps to its schema and tells the truth."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from hack.common import files
from hack.dogfood import codec
from hack.dogfood.model import Capability, Chain, Expect, Feature, Gate, Job, Journey, Step, TextCheck
from hack.dogfood.past import timings
from hack.dogfood.reporting import bundle, outcome
from hack.dogfood.rundir import RunDir
from tests.python.dogfood.samples import RUN, plan

REPOSITORY = Path(bundle.__file__).resolve().parents[3]
SCHEMA = json.loads((REPOSITORY / 'hack/dogfood/schema/bundle.schema.json').read_text())
FEATURE = Feature(name='shell', path='shell.yaml')

RUN_SHARD = """
import os, sys
from pathlib import Path
from typing import Any
from hack.common.process import Supervisor
from hack.dogfood.reporting import report
from hack.dogfood.running import shard
from hack.dogfood.rundir import RunDir

tell = lambda record: print(report.line(record))
sys.exit(shard.run(RunDir(Path(sys.argv[1])), 1, Supervisor(), dict(os.environ), tell))
"""


def journey(id: str, run: str, line: int, expect: Expect | None = None, **said: Any) -> Journey:
    step = Step(run=run, expect=expect or Expect(), core=True)
    return Journey(id, 'It works.', 'shell', 'shell.yaml', line, (step,))._replace(**said)


HELLO = Expect(stdout=TextCheck(contains=('hello',)))
JOURNEYS = {
    one.id: one
    for one in (
        journey(
            'make',
            'echo hello > "$DOGFOOD_DATA_DIR/made"; (sleep 300 >/dev/null 2>&1 &)',
            1,
            tier='smoke',
            gating=True,
            establishes=('made',),
        ),
        journey('read', 'cat "$DOGFOOD_DATA_DIR/made"', 2, HELLO, requires=('made',)),
        journey('misread', 'echo bye; head -c 20000 /dev/zero | tr "\\0" x >&2', 3, HELLO, requires=('made',)),
        journey('waver', 'echo x >> "$DOGFOOD_DATA_DIR/n"; test $(wc -l < "$DOGFOOD_DATA_DIR/n") = 2', 4, retries=1),
        journey('crash', 'kill -SEGV $$', 5, establishes=('never',)),
        journey('wait', 'true', 6, requires=('never',)),
        journey('absent', 'true', 7, needs=('no-such-product',)),
        journey('unsure', 'dogfood-infra "no clock"', 8),
    )
}
CHAINS = (('make', 'read', 'misread'), ('waver',), ('crash', 'wait'), ('absent',), ('unsure',))


def prepare(path: Path) -> RunDir:
    run_dir = RunDir(path)
    (path / 'shards/1').mkdir(parents=True)
    for folder in (run_dir.capabilities, run_dir.gates, run_dir.chains):
        folder.mkdir()
    told = plan(
        [','.join(chain) for chain in CHAINS],
        **{
            name: {
                'feature': one.feature,
                'tier': one.tier,
                'gating': one.gating,
                'establishes': list(one.establishes),
                'requires': list(one.requires),
                'path': one.path,
                'line': one.line,
            }
            for name, one in JOURNEYS.items()
        },
    )
    job = Job(
        shard=1,
        chains=tuple(Chain(chain[0], chain, 1.0) for chain in CHAINS),
        numbers={chain[0]: number for number, chain in enumerate(CHAINS, 1)},
        journeys=JOURNEYS,
        features={'shell.yaml': FEATURE},
        capabilities={token: Capability(token) for token in ('made', 'never')},
        gates=(Gate('make', 'smoke', 1),),
    )
    files.write_json(run_dir.plan, told)
    files.write_json(run_dir.job(1), codec.encode(job))
    files.write_json(run_dir.run, {**RUN, 'boot': files.boot_id()})
    return run_dir


def test_what_a_real_shard_leaves(tmp_path: Path) -> None:
    run_dir = prepare(tmp_path / 'run')
    ran = subprocess.run(
        [sys.executable, '-c', RUN_SHARD, str(run_dir.path)],
        cwd=REPOSITORY,
        env={**os.environ, 'TMPDIR': str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    made = bundle.of_run(run_dir.path)
    jsonschema.Draft202012Validator(SCHEMA).validate(made)
    assert made['problems'] == []
    assert {one['id']: (one['verdict'], one['root'], one['flaky']) for one in made['journeys']} == {
        'make': ('passed', None, False),
        'read': ('passed', None, False),
        'misread': ('failed', None, False),
        'waver': ('passed', None, True),
        'crash': ('failed', None, False),
        'wait': ('blocked', 'crash', False),
        'absent': ('skipped', None, False),
        'unsure': ('infra', None, False),
    }
    assert made['exit'] == 1
    assert [one['strength'] for one in made['journeys'][:2]] == ['exit-only', 'checked']
    assert made['capabilities'][0]['established']['journey'] == 'make'
    assert made['capabilities'][1]['established'] is None
    assert ['sleep' in leak['observed'] for chain in made['chains'] for leak in chain['findings']] == [True]
    evidence = [step['evidence'] for one in made['journeys'] for step in one['steps'] if 'evidence' in step]
    assert [len((run_dir.path / path).read_text()) for paths in evidence for path in paths] == [20000]

    assert sorted(line.split()[1] for line in ran.stdout.splitlines()) == sorted(JOURNEYS)
    outcome.write(run_dir.path, made)
    assert bundle.read(run_dir.bundle) == made
    timings.write(tmp_path / 'timings.json', made['journeys'])
    assert sorted(timings.read(tmp_path / 'timings.json').journeys) == ['make', 'read', 'waver']
