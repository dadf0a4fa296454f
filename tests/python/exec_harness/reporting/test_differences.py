"""What `diff` says of two runs."""

from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.exec_harness.reporting import differences, evidence
from hack.exec_harness.reporting.evidence import Normalised
from tests.python.exec_harness.samples import observed, result

SAME = Normalised([{'type': 'turn.completed'}], [{'model': 'm', 'input': ['a', 'b']}])


def write(run: Path, name: str = 'one', normalised: Normalised = SAME, verdict: str = 'passed') -> Path:
    evidence.write(run / name, {}, observed(run), normalised)
    evidence.write_result(run / name, result(name, verdict, folder=str(run / name)))
    return run


def test_runs_that_agree_do_not_differ(tmp_path: Path) -> None:
    assert differences.between(write(tmp_path / 'a'), write(tmp_path / 'b')) == []


def test_the_first_difference_is_named_and_shown(tmp_path: Path) -> None:
    changed = SAME._replace(requests=[{'model': 'm', 'input': ['a', 'c']}])
    [found] = differences.between(write(tmp_path / 'a'), write(tmp_path / 'b', normalised=changed))
    assert (found.scenario, found.what) == ('one', 'requests')
    assert found.text == '[0].input[1] was "b", then "c"'
    assert '-   "b"' in found.lines
    assert '+   "c"' in found.lines


def test_a_changed_verdict_and_a_missing_scenario_are_differences(tmp_path: Path) -> None:
    before, after = write(tmp_path / 'a'), write(tmp_path / 'b', verdict='failed')
    write(before, 'only')
    found = differences.between(before, after)
    assert [(each.scenario, each.what) for each in found] == [('one', 'verdict'), ('only', 'presence')]
    assert found[0].text == 'was passed; is failed'


def test_two_scenarios_can_be_compared_alone_whatever_they_are_called(tmp_path: Path) -> None:
    write(tmp_path, 'one')
    write(tmp_path, 'one~2')
    assert differences.between(tmp_path / 'one', tmp_path / 'one~2') == []


def test_a_run_that_did_each_twice_is_compared_by_its_first_attempts(tmp_path: Path) -> None:
    twice = write(write(tmp_path / 'b'), 'one~2')
    assert differences.between(write(tmp_path / 'a'), twice) == []


def test_a_folder_without_results_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='holds no results'):
        differences.between(tmp_path, tmp_path)
    (tmp_path / 'one').mkdir()
    (tmp_path / 'one/result.json').write_text('{"torn')
    with pytest.raises(UserError, match=r'result\.json: cannot be read'):
        differences.between(tmp_path, tmp_path)
