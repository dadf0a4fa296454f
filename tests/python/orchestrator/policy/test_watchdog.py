"""What the watchdog decides, by tables of histories on a clock of their own."""

from typing import Any

import pytest

from hack.orchestrator.model import Agent, Cadence
from hack.orchestrator.policy import watchdog
from hack.orchestrator.policy.limits import Screen
from hack.orchestrator.policy.watchdog import Act, Past, Presence, Seen, delay, judge

CADENCE = Cadence()  # as documented: idle 300 s, grace 180 s, probes every 300 s, slack 45 s
START = 1_000_000.0
Step = tuple[float, dict[str, Any], Act | None]  # seconds since the start, what is seen, what is done


def play(steps: list[Step], cadence: Cadence = CADENCE, **agent: Any) -> Past:
    """A history: at each time, what is seen leads to just this; the last memory."""
    past = Past(changed_at=START)
    for at, given, wanted in steps:
        known = {'presence': Presence.RUNNING, 'lived_seconds': at, **given}
        seen = Seen(Agent('a', **{'kind': 'persistent', 'watch': 'heal+stall', **agent}), **known)
        verdict = judge(START + at, seen, past, cadence, jitter=0.999999)
        assert verdict.act is wanted, f'at {at} s: {verdict}'
        past = verdict.past
    return past


def screen(text: str = 'same', **known: Any) -> dict[str, Any]:
    return {'screen': Screen(text, **known)}


DEAD = {'presence': Presence.DEAD, 'lived_seconds': 5.0}
KILLED_LATE = {'presence': Presence.DEAD, 'lived_seconds': 100.0}
ENDED = {'presence': Presence.DEAD, 'exit_status': 0}
ABSENT = {'presence': Presence.ABSENT}


# -- crashes ---------------------------------------------------------------------------------


def test_the_first_crash_is_healed_at_once_and_the_next_ones_later_and_later() -> None:
    past = play(
        [
            (0, {}, None),
            (5, DEAD, Act.START),
            (10, DEAD, None),  # 5 s of back-off
            (14.9, DEAD, None),
            (15, DEAD, Act.START),
            (20, DEAD, None),  # 10 s
            (29, DEAD, None),
            (30, DEAD, Act.START),
        ]
    )
    assert past.crashes == 3


def test_a_death_that_is_looked_at_twice_is_one_crash() -> None:
    assert play([(5, DEAD, Act.START), (10, DEAD, None), (11, DEAD, None), (12, DEAD, None)]).crashes == 2


def test_who_lived_long_did_not_crash_in_a_row() -> None:
    steps: list[Step] = [(5, DEAD, Act.START), (10, DEAD, None), (15, DEAD, Act.START), (200, KILLED_LATE, Act.START)]
    assert play(steps).crashes == 1
    assert play([*steps[:3], (200, {}, None)]).crashes == 0


def test_after_too_many_crashes_it_is_left_down() -> None:
    cadence = Cadence(crash_loop_after=2, backoff_base=1)
    past = play(
        [(1, DEAD, Act.START), (2, DEAD, None), (9, DEAD, Act.START), (10, DEAD, None), (9999, DEAD, None)], cadence
    )
    assert watchdog.in_crash_loop(past.crashes, cadence)
    assert judge(START, Seen(Agent('a', 'loop'), Presence.DEAD), Past(), cadence, 0).act is Act.START  # when cleared


def test_a_clean_exit_is_no_crash() -> None:
    past = play([(5, {**ENDED, 'lived_seconds': 5.0}, None), (10, {**ENDED, 'lived_seconds': 5.0}, Act.START)])
    assert past.crashes == 0


def test_a_task_that_ended_cleanly_is_done_and_one_that_failed_is_tried_again() -> None:
    play([(5, ENDED, Act.FINISH)], kind='task')
    play([(5, {**DEAD, 'exit_status': 1}, Act.START)], kind='task')


def test_a_lost_session_is_started_without_counting_a_crash() -> None:
    assert play([(0, {}, None), (5, ABSENT, Act.START)]).crashes == 0


def test_a_lost_session_still_waits_for_the_end_of_its_back_off() -> None:
    play([(5, DEAD, Act.START), (10, DEAD, None), (11, ABSENT, None), (15, ABSENT, Act.START)])


def test_who_is_not_watched_is_left_alone() -> None:
    play([(5, DEAD, None), (6, ABSENT, None), (9999, screen(), None)], watch='none')


@pytest.mark.parametrize(
    ('crashes', 'least', 'most'), [(1, 0, 0), (2, 2.5, 5), (3, 5, 10), (8, 150, 300), (9, 150, 300), (5000, 150, 300)]
)
def test_back_off_doubles_is_capped_and_jittered(crashes: int, least: float, most: float) -> None:
    assert delay(crashes, CADENCE, 0) == least
    assert delay(crashes, CADENCE, 1) == most


# -- stalls ----------------------------------------------------------------------------------


def test_who_does_nothing_is_nudged_once_and_then_rebooted() -> None:
    play(
        [
            (0, screen(), None),
            (299, screen(), None),
            (300, screen(), Act.NUDGE),
            (479, screen(), None),
            (480, screen(), Act.REBOOT),
            (510, screen(), None),
            (809, screen(), None),
            (810, screen(), Act.NUDGE),
        ]
    )


def test_whatever_changes_is_work() -> None:
    play([(0, screen(), None), (300, screen('new'), None), (599, screen('new'), None), (600, screen('new'), Act.NUDGE)])
    past = play([(0, screen(), None), (300, screen(), Act.NUDGE), (400, screen('ok'), None), (480, screen('ok'), None)])
    assert past.nudged_at is None


def test_who_waits_until_a_time_is_left_alone_until_then_and_a_grace() -> None:
    waiting = screen(waiting_until=START + 1000)
    play(
        [
            (0, waiting, None),
            (999, waiting, None),
            (1179, waiting, None),
            (1180, waiting, Act.NUDGE),
            (1359, waiting, None),
            (1360, waiting, Act.REBOOT),
        ]
    )


def test_only_heal_and_stall_looks_for_stalls() -> None:
    play([(0, screen(), None), (9999, screen(), None)], watch='heal')


def test_a_look_without_the_screen_says_nothing_of_a_stall() -> None:
    play([(0, screen(), None), (400, {}, None), (401, screen(), Act.NUDGE)])


def test_a_failing_liveness_command_is_a_reboot() -> None:
    play([(0, {'hangs': True}, Act.REBOOT)], watch='heal')


# -- usage limits ----------------------------------------------------------------------------


def test_a_limit_is_quiet_until_it_ends_then_one_probe_then_flat_ones() -> None:
    banner = screen('banner', limited=True, resets_at=START + 1000)
    play(
        [
            (0, banner, None),
            (600, banner, None),  # no nudge, though nothing changes
            (700, DEAD, None),  # no heal
            (1044, banner, None),
            (1045, banner, Act.PROBE),
            (1344, banner, None),
            (1345, banner, Act.PROBE),
            (1645, banner, Act.PROBE),
            (1700, screen('at work'), None),
            (1701, DEAD, Act.START),
        ]
    )


def test_a_limit_that_does_not_say_when_is_probed_at_the_fallback() -> None:
    banner = screen('banner', limited=True)
    past = play([(0, banner, None), (299, banner, None), (300, banner, Act.PROBE)])
    assert (past.limited_until, past.probed) == (START + 600, True)


def test_a_limit_of_one_that_died_of_it_is_a_limit() -> None:
    dead = {**DEAD, **screen('banner', limited=True)}
    play([(0, dead, None), (299, dead, None), (300, dead, Act.PROBE)])


# -- phases ----------------------------------------------------------------------------------


def test_a_loop_of_another_phase_is_rebooted_and_one_that_is_limited_is_not() -> None:
    play([(0, {'outdated': True}, Act.REBOOT)], kind='loop')
    banner = screen('banner', limited=True)
    play([(0, banner, None), (9, {**banner, 'outdated': True}, None)], kind='loop')


def test_when_the_sequence_is_complete_no_loop_is_brought_back() -> None:
    play([(0, {'over': True}, None), (5, {**DEAD, 'over': True}, Act.FINISH)], kind='loop')
