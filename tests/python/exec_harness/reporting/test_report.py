"""What a run says, to people and to programs."""

import io
import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from hack.common.console import Console
from hack.exec_harness.model import Finding, Result
from hack.exec_harness.reporting import report
from hack.exec_harness.reporting.report import Run
from tests.python.exec_harness.samples import finding, result

FAILED = result('two', 'failed', cause='expect.returncode: expected 0, observed 1', findings=(finding(nearest='a\nb'),))
INFRA = result('three', 'infra', cause='the worker was killed by signal 9')
SKIPPED = result('four', 'skipped', cause='egress cannot be seen on this machine')


def run(*results: Result, **more: Any) -> Run:
    whole = Run('/out/run', 'codex-cli 0.99.0', '/bin/codex', 2, '', results, seconds=0.7)
    return whole._replace(**more)


def shown(which: Run) -> list[str]:
    file = io.StringIO()
    report.show(which, Console(file))
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ('which', 'status'),
    [
        (run(result()), 0),
        (run(result(), SKIPPED), 0),
        (run(result(), FAILED), 1),
        (run(result(), FAILED, INFRA), 1),
        (run(result(), INFRA), 3),
        (run(SKIPPED), 3),
        (run(), 3),
        (run(result(), problem='records cannot be written'), 3),
        (run(FAILED, interrupted=True), 130),
    ],
)
def test_the_exit_status_is_that_of_the_contract(which: Run, status: int) -> None:
    assert report.exit_status(which) == status


@pytest.mark.parametrize(
    ('which', 'says'),
    [
        (run(result()), 'Green: codex-cli 0.99.0 keeps its contract: 1 passed.'),
        (run(result(), FAILED), 'Red: two: expect.returncode: expected 0, observed 1'),
        (run(FAILED, INFRA, FAILED), 'Red: two: expect.returncode: expected 0, observed 1 (2 of 3 failed)'),
        (run(result(), INFRA), 'Not measured: three: the worker was killed by signal 9'),
        (run(SKIPPED), 'Nothing passed, so nothing is verified: 1 skipped.'),
        (run(result(), problem='/out: records cannot be written'), 'Not measured: /out: records cannot be written'),
        (run(result(), interrupted=True), 'Interrupted: 1 passed.'),
    ],
)
def test_one_line_at_the_end_says_why(which: Run, says: str) -> None:
    assert shown(which)[-1] == says


def test_what_was_found_is_shown_in_full() -> None:
    lines = shown(run(result(), FAILED))
    assert '  exit: expect.returncode' in lines
    assert '    nearest:  a' in lines
    assert any('two.yaml:3' in line for line in lines)


def test_what_a_scenario_claims_stands_above_what_did_not_hold() -> None:
    lines = shown(run(FAILED._replace(claim='One prompt is one request.', folder='/out/run/two')))
    at = lines.index('two (two.yaml:3)')
    assert lines[at + 1 : at + 3] == ['  One prompt is one request.', '  evidence: /out/run/two']


@pytest.mark.parametrize('findings', [(finding(),) * 4, (finding(nearest='line\n' * 100),)])
def test_where_not_all_is_shown_it_is_said_where_that_is(findings: tuple[Finding, ...]) -> None:
    assert '  … (all of it is in findings.txt)' in shown(run(FAILED._replace(findings=findings)))
    assert not any('…' in line for line in shown(run(FAILED)))


def test_many_failures_do_not_fill_the_screen() -> None:
    lines = shown(run(*[FAILED] * 20))
    assert '15 further scenarios with findings: each has its findings.txt' in lines
    assert len(lines) < 60


def test_unchecked_egress_is_said() -> None:
    assert 'egress: not checked (Operation not permitted)' in shown(run(result(), egress='Operation not permitted'))
    assert not any('egress' in line for line in shown(run(result())))


def test_a_line_of_a_scenario_cannot_steer_the_terminal() -> None:
    text = report.line(result(verdict='failed', cause='\x1b[2J'), 5, Console(io.StringIO()))
    assert text == 'failed    one      0.50s  \\x1b[2J'


def test_further_findings_are_counted_where_they_are_why_it_failed() -> None:
    two = result(verdict='failed', cause='why', findings=(finding(), finding()))
    assert report.line(two, 5, Console(io.StringIO())) == 'failed    one      0.50s  why (and 1 more)'
    excused = two._replace(verdict='infra', cause='the disk is full')
    assert report.line(excused, 5, Console(io.StringIO())) == 'infra     one      0.50s  the disk is full'


def test_a_json_line_holds_what_tools_for_the_format_read() -> None:
    told = json.loads(report.json_line(FAILED._replace(folder='/out/run/two')))
    assert told['scenario'] == 'two'
    assert told['run_dir'] == '/out/run/two'
    assert told['returncode'] == 0
    assert told['failures'] == ['expect.returncode: expected 0, observed 1']
    assert told['verdict'] == 'failed'
    assert '\n' not in report.json_line(FAILED)


def test_junit_names_every_scenario_and_its_outcome() -> None:
    root = ElementTree.fromstring(report.junit(run(result(), FAILED, INFRA, SKIPPED)))
    outcomes = {case.get('name'): [child.tag for child in case] for case in root.iter('testcase')}
    assert outcomes == {
        'one': ['properties'],
        'two': ['properties', 'failure'],
        'three': ['properties', 'error'],
        'four': ['properties', 'skipped'],
    }
