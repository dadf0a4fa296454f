"""The gate as a program: real runs of the stub agent, and what befalls a run from outside."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hack.common import process
from tests.python.exec_harness.agents import STUB
from tests.python.runs import mounted

REPOSITORY = Path(__file__).resolve().parents[4]
RUN_SCENARIOS = REPOSITORY / 'hack/exec_harness/run_scenarios.py'


class Ran(NamedTuple):
    status: int
    results: dict[str, dict[str, Any]]  # by scenario: its line of JSON
    errors: str
    folder: Path  # of the run

    @property
    def verdicts(self) -> dict[str, str]:
        return {name: result['verdict'] for name, result in self.results.items()}


class Place:
    """A folder of scenarios for the stub agent, and where their runs go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / 'out'
        self.scenarios = root / 'scenarios'
        self.tmp = root / 'tmp'
        for folder in (self.scenarios, self.tmp):
            folder.mkdir()

    def scenario(self, name: str, prompt: str, **more: Any) -> None:
        """One in which the stub agent does what the prompt says."""
        (self.scenarios / f'{name}.json').write_text(json.dumps({'name': name, 'prompt': prompt, **more}))

    def command(self, *options: str) -> list[str]:
        given = [str(RUN_SCENARIOS), 'run', str(self.scenarios), f'--agent-bin={STUB}', f'--out={self.out}']
        return [sys.executable, *given, '--format=jsonl', *options]

    @contextmanager
    def started(self, *options: str) -> Iterator['subprocess.Popen[str]']:
        environment = {'PATH': os.environ['PATH'], 'HOME': '/nonexistent', 'TMPDIR': str(self.tmp)}
        pipe = subprocess.PIPE
        with subprocess.Popen(self.command(*options), env=environment, stdout=pipe, stderr=pipe, text=True) as running:
            try:
                yield running
            finally:
                running.kill()

    def run(self, *options: str) -> Ran:
        with self.started(*options) as running:
            return self.ended(running)

    def ended(self, running: 'subprocess.Popen[str]') -> Ran:
        output, errors = running.communicate(timeout=60)
        lines = [json.loads(line) for line in output.splitlines()]
        folders = sorted(self.out.iterdir(), key=lambda path: path.stat().st_mtime_ns) if self.out.is_dir() else []
        folder = folders[-1] if folders else self.out
        return Ran(running.returncode, {line['scenario']: line for line in lines}, errors, folder)

    def left_running(self) -> list[str]:
        """Processes of a run that live; a dying one has some seconds for it."""
        mark = os.fsencode(self.tmp)
        until = time.monotonic() + 10
        while found := [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc'))) if _is_of(pid, mark)]:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        return [f'{pid} {found}' for pid in found]


def _is_of(pid: int, mark: bytes) -> bool:
    found = process.look_up(pid)
    return mark in process.environment_of(pid) and found is not None and found.state not in 'ZX'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def eventually(path: Path, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f'{path} did not come to be'
        time.sleep(0.01)


# -- what the agent does ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ('prompt', 'verdict', 'cause'),
    [
        ('say hello', 'passed', '^$'),
        ('crash', 'failed', 'signal 11|SIGSEGV'),
        ('garbage', 'failed', 'JSON'),
        ('exit 7', 'failed', 'expect.returncode: expected exit status 0, observed 7'),
        ('daemon', 'passed', '^$'),
        ('holder', 'passed', '^$'),
        ('look-up mainland.example', 'failed', 'mainland.example'),
    ],
)
def test_what_befalls_an_agent_is_judged(place: Place, prompt: str, verdict: str, cause: str) -> None:
    place.scenario('one', prompt)
    ran = place.run()
    assert ran.verdicts == {'one': verdict}
    assert re.search(cause, ran.results['one']['cause'])
    assert ran.status == {'passed': 0, 'failed': 1}[verdict]
    assert place.left_running() == []


def test_a_time_limit_ends_the_whole_agent_and_is_named(place: Place) -> None:
    place.scenario('slow', 'hang', timeout_seconds=1)
    begun = time.monotonic()
    ran = place.run()
    assert ran.verdicts == {'slow': 'failed'}
    assert re.match(r'timeout_seconds: .* ended after \d\.\d s', ran.results['slow']['cause'])
    assert time.monotonic() - begun < 20  # not the 300 of the child that holds the pipe
    assert place.left_running() == []


def test_an_expected_exit_status_that_is_not_0_is_green(place: Place) -> None:
    place.scenario('refuses', 'exit 7', expect={'returncode': 7})
    assert place.run().status == 0


def test_an_agent_that_breaks_its_repository_has_failed_not_the_harness(place: Place) -> None:
    expect = {'workspace_git_status': [{'equals': ''}]}
    place.scenario('broken', 'run echo x >.git/HEAD', git_init=True, expect=expect)
    ran = place.run()
    assert ran.verdicts == {'broken': 'failed'}
    assert 'fatal: not a git repository' in ran.results['broken']['cause']


def test_a_state_of_gh_that_was_overwritten_is_told_in_a_line(place: Place) -> None:
    place.scenario('vandal', 'run echo x >"$TMPDIR/gh/state.json"', gh={})
    ran = place.run()
    assert ran.verdicts == {'vandal': 'infra'}
    assert ran.results['vandal']['cause'].startswith('what the fake gh keeps was overwritten: ')


def test_json_that_is_nested_too_deep_is_a_finding(place: Place) -> None:
    place.scenario('deep', """run printf '{"a":%s%s}\n' "$(printf '[%.0s' {1..900})" "$(printf ']%.0s' {1..900})" """)
    ran = place.run()
    assert ran.verdicts == {'deep': 'failed'}
    assert 'a JSON object on every line' in ran.results['deep']['cause']


def test_a_huge_output_is_judged_and_kept_within_bounds(place: Place) -> None:
    place.scenario('flood', 'flood 100')
    place.scenario('garbage', 'flood 5')
    ran = place.run()
    assert ran.verdicts == {'flood': 'infra', 'garbage': 'failed'}
    assert 'more than the harness keeps' in ran.results['flood']['cause']
    assert (ran.folder / 'flood/stdout.jsonl').stat().st_size < 40 * 2**20


def test_a_full_disk_is_not_the_agents_failure(place: Place) -> None:
    place.scenario('writes', 'run head -c 4M /dev/zero >"$HOME/big" || exit 1')
    with mounted(place.tmp, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'):
        ran = place.run()
    assert (ran.status, ran.verdicts) == (3, {'writes': 'infra'})
    assert 'No space left on device' in ran.results['writes']['cause']


def test_room_that_was_made_again_does_not_make_it_the_agents_failure(place: Place) -> None:
    place.scenario('cleans up', 'run echo "writing: No space left on device" >&2; exit 1')
    place.scenario('only says so', 'run echo "writing: No space left on device" >&2')
    assert place.run().verdicts == {'cleans up': 'infra', 'only says so': 'passed'}


def test_one_bad_agent_loses_no_other_verdict(place: Place) -> None:
    for name, prompt in (('a', 'crash'), ('b', 'say hello'), ('c', 'garbage'), ('d', 'exit 3'), ('e', 'say bye')):
        place.scenario(name, prompt)
    ran = place.run('--jobs=2')
    assert ran.verdicts == {'a': 'failed', 'b': 'passed', 'c': 'failed', 'd': 'failed', 'e': 'passed'}
    assert ran.status == 1
    assert 'Red: ' in ran.errors.splitlines()[-1]


def test_evidence_is_where_the_line_says(place: Place) -> None:
    place.scenario('one', 'say hello')
    ran = place.run()
    folder = Path(ran.results['one']['run_dir'])
    assert folder == ran.folder / 'one'
    assert json.loads((folder / 'summary.json').read_text())['final_answer'] == 'say hello'
    assert json.loads((folder / 'manifest.json').read_text())['agent']['version'] == 'codex-cli 0.99.0-stub'
    assert (ran.folder / 'exit').read_text() == '0\n'
    assert 'exec --json' in (folder / 'turn-1-command.txt').read_text()


def test_a_run_leaves_nothing_in_the_temporary_folder(place: Place) -> None:
    place.scenario('one', 'say hello')
    place.run()
    assert list(place.tmp.iterdir()) == []


def test_what_is_kept_is_named(place: Place) -> None:
    place.scenario('one', 'say hello', files={'a.txt': 'a'})
    ran = place.run('--keep')
    kept = Path(json.loads((ran.folder / 'one/manifest.json').read_text())['place'])
    assert (kept / 'workspace/a.txt').read_text() == 'a'


def test_twice_finds_what_differs_between_two_runs(place: Place) -> None:
    place.scenario('same', 'say hello')
    place.scenario('varies', 'run printf \'{"type":"x","n":"%s"}\n\' "$RANDOM$RANDOM"')
    ran = place.run('--twice')
    assert ran.verdicts == {'same': 'passed', 'varies': 'failed'}
    assert 'events are the same in two runs' in ran.results['varies']['cause']


def test_golden_requests_are_rewritten_only_where_all_else_holds(place: Place) -> None:
    golden = place.scenarios / 'golden/asked.json'
    golden.parent.mkdir()
    golden.write_text('["of a good day"]\n')
    expect = {'requests_match': 'golden/asked.json'}
    place.scenario('asked', 'exit 1', responses_api={}, expect=expect)
    assert place.run('--update').verdicts == {'asked': 'failed'}
    assert golden.read_text() == '["of a good day"]\n'
    place.scenario('asked', 'say hello', responses_api={}, expect=expect)
    assert place.run('--update').verdicts == {'asked': 'passed'}
    assert golden.read_text() == '[]\n'


def test_golden_requests_of_another_version_are_nobodys_failure(place: Place) -> None:
    golden = place.scenarios / 'golden/asked.codex-0.99.0.json'
    place.scenario('asked', 'say hello', responses_api={}, expect={'requests_match': 'golden/asked.{{agent}}.json'})
    ran = place.run()
    assert ran.verdicts == {'asked': 'skipped'}
    assert ran.results['asked']['cause'].startswith('asked.codex-0.99.0.json is not there (')
    assert place.run('--update').verdicts == {'asked': 'passed'}
    golden.write_text('["of a good day"]\n')
    assert place.run().verdicts == {'asked': 'failed'}


# -- what befalls the harness ----------------------------------------------------------------


def test_runs_in_the_same_instant_keep_out_of_each_others_way(place: Place) -> None:
    place.scenario('one', 'say hello')
    place.scenario('two', 'exit 7')
    with ThreadPoolExecutor(3) as threads:
        ran = list(threads.map(lambda _: place.run('--jobs=1'), range(3)))
    assert [each.status for each in ran] == [1, 1, 1]
    assert len(list(place.out.iterdir())) == 3
    assert all(len(list(run.glob('*/result.json'))) == 2 for run in place.out.iterdir())


def test_a_worker_that_is_killed_is_not_the_agents_failure_and_takes_its_agent_along(place: Place) -> None:
    ready = place.root / 'ready'
    place.scenario('victim', f'run touch {ready}; sleep 300')
    place.scenario('other', 'say hello')
    with place.started('--jobs=1') as running:
        eventually(ready)
        [worker] = [found for found in process.descendants(running.pid) if found.parent == running.pid]
        os.kill(worker.pid, signal.SIGKILL)
        ran = place.ended(running)
    assert ran.verdicts == {'victim': 'infra', 'other': 'passed'}
    assert ran.results['victim']['cause'] == 'the worker was killed by signal 9'
    assert ran.status == 3
    assert place.left_running() == []
    assert list(place.tmp.iterdir()) == []


def test_a_harness_that_is_killed_leaves_no_agent_behind(place: Place) -> None:
    ready = place.root / 'ready'
    place.scenario('one', f'run touch {ready}; sleep 300')
    with place.started() as running:
        eventually(ready)
        running.kill()
    assert place.left_running() == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_and_every_scenario_has_a_verdict(place: Place, number: signal.Signals) -> None:
    ready = place.root / 'ready'
    place.scenario('a-first', f'run touch {ready}; sleep 300')
    place.scenario('b-never', 'say hello')
    with place.started('--jobs=1') as running:
        eventually(ready)
        running.send_signal(number)
        ran = place.ended(running)
    assert ran.status == 130
    assert ran.verdicts == {'a-first': 'infra', 'b-never': 'infra'}
    assert (ran.folder / 'exit').read_text() == '130\n'
    assert place.left_running() == []


def test_a_folder_that_cannot_be_made_is_misuse_and_nothing_runs(place: Place) -> None:
    place.scenario('one', f'run touch {place.root}/ran')
    place.out.write_text('a file')
    ran = place.run()
    assert ran.status == 2
    assert re.fullmatch(r'.*/out: no folder can be made there: .* \(name another: --out DIR\)\n', ran.errors)
    assert not (place.root / 'ran').exists()


@pytest.mark.skipif(os.geteuid() != 0, reason='mounting a small disk takes root')
def test_a_full_disk_is_never_the_agents_failure(place: Place) -> None:
    place.scenario('one', 'say hello')
    place.scenario('two', 'exit 7')
    place.out.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', place.out], capture_output=True)
    if mounted.returncode:
        pytest.skip('no file system can be mounted here')
    try:
        (place.out / 'fill').write_bytes(bytes(8 << 10))
        ran = place.run()
    finally:
        subprocess.run(['umount', place.out], check=True)
    assert ran.status == 3
    assert set(ran.verdicts.values()) == {'infra'}
    assert 'No space left on device' in ran.results['one']['cause']


# -- arguments -------------------------------------------------------------------------------


def test_shards_run_disjoint_parts(place: Place) -> None:
    for name in 'abc':
        place.scenario(name, 'say hello')
    parts = [place.run(f'--shard={number}/2').verdicts.keys() for number in (1, 2)]
    assert sorted(name for part in parts for name in part) == ['a', 'b', 'c']


@pytest.mark.parametrize(
    'options', [('--jobs=0',), ('--shard=3/2',), ('--shard=x',), ('--format=xml',), ('--nonsense',)]
)
def test_misuse_is_one_line(place: Place, options: tuple[str, ...]) -> None:
    place.scenario('one', 'say hello')
    ran = place.run(*options)
    assert ran.status == 2
    assert len(ran.errors.splitlines()) == 1
    assert not place.out.exists()


def test_what_only_reads_writes_nothing(place: Place) -> None:
    place.scenario('one', 'say hello')
    for verb in ('list', 'check'):
        subprocess.run([sys.executable, RUN_SCENARIOS, verb, place.scenarios], cwd=place.root, check=True)
    assert sorted(path.name for path in place.root.iterdir()) == ['scenarios', 'tmp']


def test_a_port_that_cannot_be_is_misuse_in_one_line(place: Place) -> None:
    place.scenario('one', 'say hello', responses_api={})
    command = (RUN_SCENARIOS, 'serve', place.scenarios / 'one.json', '--port=65536')
    ran = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert ran.returncode == 2
    assert "'65536' is not a whole number from 0 to 65535" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_what_serves_in_the_background_can_be_ended_and_says_what_is_left_over(
    place: Place, number: signal.Signals
) -> None:
    place.scenario('one', 'say hello', responses_api={'responses': [{'name': 'greeting', 'body': {}}]})
    background = ('sh', '-c', 'trap "" INT; exec "$@"', 'sh')  # as a shell starts a job of a script
    command = (*background, sys.executable, str(RUN_SCENARIOS), 'serve', str(place.scenarios / 'one.json'))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert 'answers as one says' in running.stdout.readline()
        running.send_signal(number)
        try:
            left_over, _ = running.communicate(timeout=30)
        finally:
            running.kill()
    assert (running.returncode, left_over) == (0, 'not asked for: greeting (sent 0 of 1 times)\n')
