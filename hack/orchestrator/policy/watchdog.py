"""What to do about an agent, decided from what is seen of it and what is remembered: pure."""

from enum import Enum
from typing import NamedTuple

from hack.orchestrator.model import SERVICE, Agent, Cadence
from hack.orchestrator.policy.limits import Screen


class Presence(Enum):
    RUNNING = 'running'
    DEAD = 'dead'  # the session is there, its program is gone
    ABSENT = 'absent'  # no session: nobody knows how the program ended


class Act(Enum):
    START = 'start'
    REBOOT = 'reboot'  # end what is there, then start
    NUDGE = 'nudge'
    PROBE = 'probe'  # ask a limited one to go on, or start it
    FINISH = 'finish'  # it has done its work: close its session


class Seen(NamedTuple):
    """What one look tells of an agent that is to be up."""

    agent: Agent
    presence: Presence
    exit_status: int | None = None  # of a dead one; None after a signal
    lived_seconds: float = 0.0
    screen: Screen | None = None  # None: not looked at
    hangs: bool = False  # its liveness command failed
    outdated: bool = False  # it was started for another phase
    over: bool = False  # a loop, and the sequence is complete


class Past(NamedTuple):
    """What is remembered of an agent; times in seconds since the epoch."""

    crashes: int = 0  # in a row
    retry_at: float = 0.0
    judged: bool = False  # the death it is in has been counted
    screen: str | None = None
    changed_at: float = 0.0  # the screen
    nudged_at: float | None = None
    limited_until: float | None = None
    probed: bool = False

    @property
    def is_calm(self) -> bool:
        """Whether time alone changes nothing for one that runs."""
        return not self.crashes and not self.judged and self.limited_until is None


class Verdict(NamedTuple):
    past: Past
    act: Act | None = None
    why: str = ''


def judge(now: float, seen: Seen, past: Past, cadence: Cadence, jitter: float) -> Verdict:
    """The one thing to do now, if any; `jitter` in [0, 1) spreads what would otherwise happen to many at once."""
    if seen.presence is not Presence.RUNNING and (seen.over or _is_done(seen)):
        return Verdict(Past(), Act.FINISH, 'the sequence is complete' if seen.over else 'done')
    if seen.agent.watch == 'none' or seen.over:
        return Verdict(past)
    limited = _limit(now, seen, past, cadence)
    if limited.act or limited.past.limited_until is not None:
        return limited
    past = limited.past
    if seen.presence is not Presence.RUNNING:
        return _gone(now, seen, past, cadence, jitter)
    if seen.outdated:
        return Verdict(_fresh(now, past), Act.REBOOT, 'another phase')
    if seen.hangs:
        return Verdict(_fresh(now, past), Act.REBOOT, 'its liveness command fails')
    if past.crashes and seen.lived_seconds >= cadence.stable_after:
        past = past._replace(crashes=0, retry_at=0.0)
    past = past._replace(judged=False)
    return _stall(now, seen, past, cadence) if seen.agent.watch == 'heal+stall' else Verdict(past)


def in_crash_loop(crashes: int, cadence: Cadence) -> bool:
    return crashes > cadence.crash_loop_after


def news(now: float, old: Past, new: Past, cadence: Cadence) -> str:
    """What has come to be known of an agent that nothing is done about now: for the log; '' for nothing."""
    if old.limited_until is None and new.limited_until is not None:
        return f'usage limit: left alone for {max(0.0, new.limited_until - now):.0f} s'
    if old.limited_until is not None and new.limited_until is None:
        return 'the usage limit is over'
    if new.crashes <= old.crashes:
        return ''
    if in_crash_loop(new.crashes, cadence):
        return f'crashed {new.crashes} times in a row: left down until clear-backoff'
    return f'crashed {new.crashes} times in a row: back in {wait:.0f} s' if (wait := new.retry_at - now) > 0 else ''


def delay(crashes: int, cadence: Cadence, jitter: float) -> float:
    """Seconds to wait before the next start: none after the first crash, then doubling up to the cap, jittered."""
    if crashes <= 1:
        return 0.0
    # The exponent is capped as well: nobody waits for 2 to the thousandth.
    return float(min(cadence.backoff_cap, cadence.backoff_base * 2 ** min(crashes - 2, 30)) * (1 + jitter) / 2)


def _is_done(seen: Seen) -> bool:
    return seen.agent.kind == 'task' and seen.presence is Presence.DEAD and seen.exit_status == 0


def _fresh(now: float, past: Past) -> Past:
    """What is remembered of one that starts now."""
    return past._replace(judged=False, screen=None, changed_at=now, nudged_at=None)


def _gone(now: float, seen: Seen, past: Past, cadence: Cadence, jitter: float) -> Verdict:
    if seen.presence is Presence.DEAD and not past.judged:
        past = _counted(now, seen, past, cadence, jitter)
    if in_crash_loop(past.crashes, cadence) or now < past.retry_at:
        return Verdict(past)
    return Verdict(_fresh(now, past), Act.START, _how(seen))


def _counted(now: float, seen: Seen, past: Past, cadence: Cadence, jitter: float) -> Past:
    """Count a death, once. A clean exit is no crash, though one that comes back at once waits a little."""
    if seen.exit_status == 0 and seen.agent.kind != SERVICE:
        pause = cadence.backoff_base if seen.lived_seconds < cadence.stable_after else 0.0
        return past._replace(judged=True, crashes=0, retry_at=now + pause)
    crashes = 1 if seen.lived_seconds >= cadence.stable_after else past.crashes + 1
    return past._replace(judged=True, crashes=crashes, retry_at=now + delay(crashes, cadence, jitter))


def _how(seen: Seen) -> str:
    if seen.presence is Presence.ABSENT:
        return 'no session'
    return 'killed by a signal' if seen.exit_status is None else f'exited {seen.exit_status}'


def _limit(now: float, seen: Seen, past: Past, cadence: Cadence) -> Verdict:
    """Quiet until the limit ends, then one probe, then one probe an interval until the banner is gone."""
    banner = seen.screen is not None and seen.screen.limited
    if past.limited_until is None:
        if not banner or seen.screen is None:
            return Verdict(past)
        resets_at = seen.screen.resets_at
        until = resets_at + cadence.limit_reset_slack if resets_at else now + cadence.limit_probe_fallback
        return Verdict(past._replace(limited_until=until, probed=False))
    if past.probed and seen.screen is not None and not banner:
        return Verdict(_fresh(now, past)._replace(limited_until=None, probed=False))
    if now < past.limited_until:
        return Verdict(past)
    past = past._replace(limited_until=now + cadence.limit_probe_fallback, probed=True)
    return Verdict(past, Act.PROBE, 'the usage limit should be over')


def _stall(now: float, seen: Seen, past: Past, cadence: Cadence) -> Verdict:
    if seen.screen is None:
        return Verdict(past)
    if seen.screen.text != past.screen:
        return Verdict(past._replace(screen=seen.screen.text, changed_at=now, nudged_at=None))
    until = seen.screen.waiting_until
    due = past.changed_at + cadence.stall_idle if until is None else until + cadence.stall_grace
    if now < due:
        return Verdict(past._replace(nudged_at=None))
    if past.nudged_at is None:
        return Verdict(
            past._replace(nudged_at=now), Act.NUDGE, f'nothing has changed for {now - past.changed_at:.0f} s'
        )
    if now < past.nudged_at + cadence.stall_grace:
        return Verdict(past)
    return Verdict(_fresh(now, past), Act.REBOOT, 'stalled, and the nudge did not help')
