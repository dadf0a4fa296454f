"""Real workers on attempts made up: what the runner makes of each ending."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.exec_harness.model import Api, Fault, Reply, Result, Scenario
from hack.exec_harness.reporting import evidence
from hack.exec_harness.reporting.evidence import Normalised
from hack.exec_harness.running import runner
from hack.exec_harness.running.pool import Pool
from tests.python.exec_harness.samples import finding, observed, result, scenario

Attempt = Callable[[Scenario, Path], Result]


def passing(which: Scenario, folder: Path) -> Result:
    evidence.write(folder, {}, observed(folder), Normalised([{'type': 'a'}], [{'model': 'm'}]))
    return result(which.name, folder=str(folder))


def dying(which: Scenario, folder: Path) -> Result:
    if which.name == 'bad':
        os.kill(os.getpid(), signal.SIGKILL)
    return passing(which, folder)


def crashing(which: Scenario, folder: Path) -> Result:
    raise ValueError('a fault of the harness')


def run(attempt: Attempt, folder: Path, *names: str, twice: bool = False) -> dict[str, Result]:
    scenarios = [scenario(name) for name in names]
    return {each.name: each for each in runner.run(scenarios, attempt, Pool(2), folder, twice)}


def test_one_bad_scenario_loses_no_other_verdict(tmp_path: Path) -> None:
    found = run(dying, tmp_path, 'one', 'bad', 'three', 'four')
    assert {name: each.verdict for name, each in found.items()} == {
        'one': 'passed',
        'bad': 'infra',
        'three': 'passed',
        'four': 'passed',
    }
    assert found['bad'].cause == 'the worker was killed by signal 9'
    assert (tmp_path / 'bad' / 'result.json').exists()


def test_a_crash_of_the_harness_is_never_the_agents_failure(tmp_path: Path) -> None:
    found = run(crashing, tmp_path, 'one')['one']
    assert found.verdict == 'infra'
    assert found.cause == 'the worker crashed: ValueError: a fault of the harness'
    assert 'Traceback' in (tmp_path / 'one' / 'crash.txt').read_text()


def test_scenarios_run_side_by_side(tmp_path: Path) -> None:
    def meeting(which: Scenario, folder: Path) -> Result:
        (tmp_path / f'{which.name}.here').touch()
        until = time.monotonic() + 20
        while len(list(tmp_path.glob('*.here'))) < 2 and time.monotonic() < until:
            time.sleep(0.005)
        return result(which.name, 'passed' if time.monotonic() < until else 'failed')

    assert {each.verdict for each in run(meeting, tmp_path, 'one', 'two').values()} == {'passed'}


@pytest.mark.parametrize(
    'long',
    [
        scenario('long', turns=4),
        scenario('long')._replace(responses_api=Api((Reply('often', times=4),))),
        scenario('long')._replace(responses_api=Api((Reply('late', delay=2),))),
        scenario('long')._replace(responses_api=Api((Reply('silent', fault=Fault('stall')),))),
    ],
)
def test_what_takes_long_is_begun_first(long: Scenario, tmp_path: Path) -> None:
    brief = scenario('brief')._replace(responses_api=Api((Reply('one'), Reply('other'))))
    ended = runner.run([scenario('one'), long, brief], passing, Pool(1), tmp_path, twice=False)
    assert [each.name for each in ended] == ['long', 'brief', 'one']


def test_twice_and_the_same_is_passed(tmp_path: Path) -> None:
    found = run(passing, tmp_path, 'one', 'two', twice=True)
    assert {name: each.verdict for name, each in found.items()} == {'one': 'passed', 'two': 'passed'}
    assert (tmp_path / 'one~2' / 'manifest.json').exists()


@pytest.mark.parametrize('what', ['events', 'requests'])
def test_twice_and_different_is_failed_and_shows_the_first_difference(tmp_path: Path, what: str) -> None:
    def varying(which: Scenario, folder: Path) -> Result:
        normalised = Normalised([{'type': 'a'}], [{'model': 'm'}])._replace(**{what: [{'n': folder.name}]})
        evidence.write(folder, {}, observed(folder), normalised)
        return result(which.name, folder=str(folder))

    found = run(varying, tmp_path, 'one', twice=True)['one']
    assert found.verdict == 'failed'
    assert found.cause == f'{what} are the same in two runs, at [0].n: expected "one", observed "one~2"'
    assert found.findings[0].kind == 'determinism'


def test_twice_and_once_failed_is_failed(tmp_path: Path) -> None:
    def once(which: Scenario, folder: Path) -> Result:
        if folder.name.endswith('~2'):
            return result(which.name, 'failed', cause='why', findings=(finding(),))
        return passing(which, folder)

    assert run(once, tmp_path, 'one', twice=True)['one'].cause == 'why'


def test_twice_without_evidence_is_not_measured(tmp_path: Path) -> None:
    found = run(lambda which, folder: result(which.name, folder=str(folder)), tmp_path, 'one', twice=True)['one']
    assert found.verdict == 'infra'
    assert found.cause.startswith('the two runs cannot be compared: ')


def test_what_was_not_run_to_its_end_has_a_verdict_too(tmp_path: Path) -> None:
    pool = Pool(1)
    pool.stop()
    [found] = runner.run([scenario('one')], passing, pool, tmp_path, False)
    assert (found.verdict, found.cause) == ('infra', 'was not run to its end: interrupted')


@pytest.mark.parametrize('of', [1, 2, 3, 7])
def test_the_parts_are_disjoint_and_together_everything(of: int) -> None:
    names = ['d', 'a', 'c', 'b', 'e']
    parts = [runner.part([scenario(name) for name in names], (number, of)) for number in range(1, of + 1)]
    assert sorted(each.name for part in parts for each in part) == sorted(names)
    backwards = runner.part([scenario(name) for name in reversed(names)], (1, of))
    assert backwards == parts[0]


def test_names_that_are_no_names_of_files_get_folders_of_their_own(tmp_path: Path) -> None:
    found = run(passing, tmp_path, 'a/b', 'a b', '..', 'ä' * 200)
    assert len({each.folder for each in found.values()}) == 4
    assert all(Path(each.folder).parent == tmp_path for each in found.values())
