"""Corpora whose truth is known, really run: each verdict and each finding, word for word, and the exit status.

Beside each journey of tests/corpora/truth stands what is true of it (`source`); the whole outcome stands in
`*.expected.json`. After a change that is meant, `TRUTH=write` writes these anew, to be read before they are committed.
"""

import functools
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from hack.common import process

REPOSITORY = Path(__file__).resolve().parents[2]
CORPORA = REPOSITORY / 'tests/corpora/truth'
SCHEMA = json.loads((REPOSITORY / 'hack/dogfood/schema/bundle.schema.json').read_text())
SECRET = 'p4ss w"rd\\$x'


class Case(NamedTuple):
    corpus: str
    shards: int
    options: Sequence[str] = ()
    as_declared: bool = True  # the options change nothing of what the corpus says is true


CASES = {
    'oracles': Case('oracles', 4),
    'blame': Case('blame', 3, ['--keep', 'all', '--product-path', 'bin']),
    'gates': Case('gates', 3),
    'gate-skipped': Case('gate-skipped.yaml', 2),
    'nothing-passed': Case('nothing-passed.yaml', 1),
    'nothing-passed-all-required': Case('nothing-passed.yaml', 2, ['--require-all'], as_declared=False),
    'broken': Case('broken.yaml', 2, ['--retries', '1']),
    'broken-report-only': Case('broken.yaml', 1, ['--report-only'], as_declared=False),
    'deadline': Case('deadline.yaml', 1, ['--deadline', '3s']),
}

# What differs from run to run, in what is told of it.
DIFFERS = [
    (r'/tmp/dogfood-[^/ ]+/[\d.]+', '<chain>'),
    (r'within 0\.(?!5 s)\d{1,3} s', 'within <what is left>'),  # before the next: it may end in any digit
    (r'\d+\.\d{3} s\b', '<seconds>'),
    (r'\(pid \d+\)', '(pid <n>)'),
    (r'\S*bash: line 1: +\d+ (\w+ \w+).*', r'bash: line 1: <pid> \1 …'),
    (r'last of \d+ samples', 'last of <n> samples'),
    (r'knock\n\d+', 'knock\n<n>'),
    (r'knock↵\d+', 'knock↵<n>'),
]


class Ran(NamedTuple):
    status: int
    run_dir: Path
    bundle: Any
    output: str


def run(case: Case, folder: Path) -> Ran:
    """One run, the caller's folder being `folder`."""
    product = folder / 'bin/vanishing'
    product.parent.mkdir()
    product.write_text('#!/bin/sh\necho still here\n')
    product.chmod(0o755)
    run_dir = folder / 'run'
    command = [f'{REPOSITORY}/hack/dogfood/dogfood.sh', '--run-dir', str(run_dir), '--shards', str(case.shards)]
    ended = subprocess.run(
        [*command, *case.options, str(CORPORA / case.corpus)],
        cwd=folder,
        env={'PATH': os.environ['PATH'], 'TMPDIR': '/tmp', 'TRUTH_SECRET': SECRET, 'TRUTH_OTHER': 'not passed on'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (run_dir / 'bundle.json').exists(), ended.stdout
    return Ran(ended.returncode, run_dir, json.loads((run_dir / 'bundle.json').read_text()), ended.stdout)


def steady(text: str) -> str:
    for pattern, name in DIFFERS:
        text = re.sub(pattern, name, text)
    return text if len(text) < 300 else f'{text[:120]} … {text[-60:]}'


def told(bundle: Any) -> dict[str, Any]:
    """All of a bundle that must be the same in every run."""
    return {
        'exit': bundle['exit'],
        'totals': bundle['totals'],
        'problems': bundle['problems'],
        'leaks': {
            chain['name']: [steady(leak['observed']) for leak in chain['findings']]
            for chain in sorted(bundle['chains'], key=lambda chain: str(chain['name']))
            if chain['findings']
        },
        'established': {
            one['token']: one['established'] and one['established']['journey'] for one in bundle['capabilities']
        },
        'journeys': {
            journey['id']: outcome(journey) for journey in sorted(bundle['journeys'], key=lambda one: str(one['id']))
        },
    }


def outcome(journey: Mapping[str, Any]) -> dict[str, Any]:
    return {
        'verdict': journey['verdict'],
        'cause': steady(journey['cause']),
        **{key: journey[key] for key in ('root', 'flaky', 'attempts', 'strength', 'chain')},
        'steps': [ending(step) for step in journey['steps']],
        'findings': [
            [
                finding['kind'],
                finding['step'],
                finding.get('attempt'),
                steady(finding['expected']),
                steady(finding['observed']),
                finding['evidence'],
            ]
            for finding in journey['findings']
        ],
    }


def ending(step: Mapping[str, Any]) -> str:
    words = 'none' if step['exit'] is None else str(step['exit'])
    words += f' {step["signal"]}' if 'signal' in step else ''
    words += ' (cut)' if step.get('cut_bytes') else ''
    return words + (f' after {ending(step["first"])}' if 'first' in step else '')


def as_text(value: Mapping[str, Any]) -> str:
    """JSON with a journey a line."""
    journeys = ',\n'.join(
        f'  {json.dumps(key)}: {json.dumps(said, ensure_ascii=False)}' for key, said in value['journeys'].items()
    )
    rest = ',\n'.join(f' {json.dumps(key)}: {json.dumps(said)}' for key, said in value.items() if key != 'journeys')
    return f'{{\n{rest},\n "journeys": {{\n{journeys}\n }}\n}}\n'


def declared(journey: Mapping[str, Any]) -> str:
    """What is true of the journey, in the words that stand beside it in its corpus."""
    text: str = journey['verdict']
    text += f' by {journey["root"]}' if journey['root'] else ''
    text += ', flaky' if journey['flaky'] else ''
    text += ', exit-only' if journey['strength'] == 'exit-only' and 'exit-only' in journey['source']['ref'] else ''
    kinds = ' '.join(finding['kind'] for finding in journey['findings'])
    return text + (f': {kinds}' if kinds else '')


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Each case is run once, for the first test that asks for it."""
    return functools.cache(lambda name: run(CASES[name], tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize('name', CASES)
def test_the_whole_truth(runs: Callable[[str], Ran], name: str) -> None:
    ran = runs(name)
    jsonschema.Draft202012Validator(SCHEMA).validate(ran.bundle)
    found, expected = told(ran.bundle), CORPORA / f'{name}.expected.json'
    if os.environ.get('TRUTH') == 'write':
        expected.write_text(as_text(found))
    assert found == json.loads(expected.read_text())
    assert ran.status == ran.bundle['exit'] == int((ran.run_dir / 'exit').read_text())
    if CASES[name].as_declared:
        truth = {journey['id']: journey['source']['ref'] for journey in ran.bundle['journeys']}
        assert {journey['id']: declared(journey) for journey in ran.bundle['journeys']} == truth


@pytest.mark.parametrize('name', CASES)
def test_nothing_is_left_running_and_no_secret_is_written_down(runs: Callable[[str], Ran], name: str) -> None:
    ran = runs(name)
    assert process.marked(f'DOGFOOD_CAPABILITIES={ran.run_dir}/capabilities') == []
    texts = [path.read_text(errors='replace') for path in ran.run_dir.rglob('*') if path.is_file()]
    for shown in (SECRET, json.dumps(SECRET)[1:-1]):
        assert not any(shown in text for text in (*texts, ran.output))


@pytest.mark.parametrize('name', CASES)
def test_the_table_says_what_a_green_rests_on(runs: Callable[[str], Ran], name: str) -> None:
    ran = runs(name)
    *_, table = re.split(r'^verdict +journey ', ran.output, flags=re.M)
    for journey in ran.bundle['journeys']:
        if journey['verdict'] == 'passed':
            row = next(line for line in table.splitlines() if line.split()[:2] == ['passed', journey['id']])
            assert ('exit-only' in row) == (journey['strength'] == 'exit-only')
            assert ('flaky' in row) == journey['flaky']


def steps(ran: Ran, name: str) -> Any:
    return next(journey['steps'] for journey in ran.bundle['journeys'] if journey['id'] == name)


def test_both_samples_of_a_step_that_was_repeated_are_kept(runs: Callable[[str], Ran]) -> None:
    settled = steps(runs('oracles'), 'settles')[1]
    assert settled['samples'] >= 2
    assert (settled['first']['exit'], settled['first']['stdout'], settled['first']['run']) == (1, '', 'cat door')
    assert (settled['exit'], settled['stdout']) == (0, 'open\n')
    [unsettled] = steps(runs('oracles'), 'does-not-settle')
    assert unsettled['samples'] >= 2
    assert unsettled['first']['stdout'] == 'knock\n1\n'
    assert unsettled['stdout'] == f'knock\n{unsettled["samples"]}\n'
    [at_once] = steps(runs('oracles'), 'does-not-settle-after-a-crash')
    assert 'samples' not in at_once


def test_what_is_too_long_for_the_record_is_kept_head_and_tail(runs: Callable[[str], Ran]) -> None:
    ran = runs('oracles')
    [flooded] = steps(ran, 'flooded-as-promised')
    [path] = flooded['evidence']
    head, _, tail = (ran.run_dir / path).read_text().partition(f'\n[… {flooded["cut_bytes"]} bytes were cut here …]\n')
    assert head.startswith('first\nxxx')
    assert tail.endswith('xxx\nlast\n')
    assert len(head) + len(tail) == 2**19
    assert len(head) + len(tail) + flooded['cut_bytes'] == 1_600_000 + len('first\n\nin the middle: a drill\n\nlast\n')
    assert len(flooded['stdout']) < 9000
    assert path in flooded['stdout']


def test_a_secret_that_a_product_tells_as_its_version_is_masked(runs: Callable[[str], Ran]) -> None:
    assert '[masked: TRUTH_SECRET]' in json.dumps(runs('blame').bundle['run']['product'])


def test_teardown_runs_last_first_and_its_failures_are_noted(runs: Callable[[str], Ran]) -> None:
    ran = runs('blame')
    assert (ran.run_dir / 'chains/ending-first/data/teardown').read_text() == 'second\nfirst 1\nfirst 2\n'
    notes = [line for path in ran.run_dir.glob('shards/*/log.txt') for line in path.read_text().splitlines()]
    [note] = [line for line in notes if 'teardown' in line]
    assert note.endswith('teardown of ending-first: \'echo "not mine to mend" >&2; exit 4\': exit 4: not mine to mend')


def test_gates_hold_journeys_of_other_shards_too(runs: Callable[[str], Ran]) -> None:
    journeys = runs('gates').bundle['journeys']
    [gate] = [journey['shard'] for journey in journeys if journey['id'] == 'shop-opens']
    assert len({journey['shard'] for journey in journeys if journey['root'] == 'shop-opens'} - {gate}) == 2
