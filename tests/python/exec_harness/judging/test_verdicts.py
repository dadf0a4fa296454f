"""What each kind of ending and finding comes to."""

import pytest

from hack.common.process import End
from hack.exec_harness.judging.verdicts import judge, most_telling
from hack.exec_harness.model import FindingKind
from tests.python.exec_harness.samples import finding, turn


def test_nothing_found_is_passed() -> None:
    assert judge([turn()], [], '') == ('passed', '')


def test_an_unexpected_exit_status_is_the_agents_failure() -> None:
    assert judge([turn(returncode=1)], [finding()], '') == ('failed', 'expect.returncode: expected 0, observed 1')


def test_an_expected_exit_status_that_is_not_zero_can_be_green() -> None:
    assert judge([turn(returncode=1)], [], '').verdict == 'passed'


@pytest.mark.parametrize(
    ('end', 'why'),
    [(End.NOT_STARTED, 'turn 2 could not be started: no such file'), (End.INTERRUPTED, 'turn 2 was interrupted')],
)
def test_an_ending_that_says_nothing_about_the_agent_is_not_its_failure(end: End, why: str) -> None:
    ended = turn(end, None, stderr=b'no such file\n')
    assert judge([turn(), ended], [finding()], '') == ('infra', why)


def test_more_output_than_is_kept_is_not_the_agents_failure_unless_it_was_ended() -> None:
    flood = turn()._replace(dropped=7)
    assert judge([flood], [finding()], '') == (
        'infra',
        'turn 1 printed more than the harness keeps: 7 bytes of it could not be judged',
    )
    assert judge([flood._replace(end=End.TIMED_OUT)], [finding()], '').verdict == 'failed'


def test_a_crash_of_the_fake_api_is_never_the_agents_failure() -> None:
    assert judge([turn(returncode=1)], [finding()], 'ValueError: x') == ('infra', 'the fake API crashed: ValueError: x')


def test_trouble_with_the_machine_excuses_what_was_found_and_nothing_else() -> None:
    assert judge([turn(returncode=1)], [finding()], '', 'the disk is full') == ('infra', 'the disk is full')
    assert judge([turn()], [], '', 'the disk is full').verdict == 'passed'


def test_no_turn_at_all_is_not_passed() -> None:
    assert judge([], [], '').verdict == 'infra'


@pytest.mark.parametrize('telling', ['timeout', 'crash', 'egress', 'replies'])
def test_the_cause_is_what_explains_the_rest(telling: FindingKind) -> None:
    found = [finding('requests', 'a'), finding('exit', 'b'), finding(telling, 'the reason')]
    assert most_telling(found).claim == 'the reason'


def test_the_cause_is_one_line_however_long_the_values_are() -> None:
    long = finding()._replace(observed='many\nlines ' * 1000)
    cause = judge([turn()], [long], '').cause
    assert '\n' not in cause
    assert len(cause) < 400
