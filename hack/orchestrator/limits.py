"""What an agent's screen says: whether it changes, until when it waits, and that a usage limit was hit. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from hack.orchestrator.model import Backend

NUDGE: Final = 'Nothing has happened here for long: go on, or say WAITING-UNTIL.'
_TAIL: Final = 20  # a banner further up is one of the past
_WAITING: Final = re.compile(r'^\W*WAITING-UNTIL:\s*(\S+)\s*$')
_CLOCK: Final = re.compile(r'(?i)\b(\d{1,2})(?::(\d{2}))?\s*(am|pm)\b|\b(\d{1,2}):(\d{2})\b')
_EPOCH: Final = re.compile(r'\b\d{10}\b')
_ISO: Final = re.compile(r'\d{4}-\d{2}-\d{2}T\S+')
_SPAN: Final = re.compile(r'(?i)(\d+)\s*(d|h|m|s)(?:ays?|ours?|in(?:ute)?s?|ec(?:ond)?s?|rs?)?\b')
_SECONDS: Final = {'d': 86400, 'h': 3600, 'm': 60, 's': 1}


class Screen(NamedTuple):
    """What there is to know of a screen; times in seconds since the epoch."""

    text: str  # what means work when it changes
    waiting_until: float | None = None
    limited: bool = False
    resets_at: float | None = None  # of a limit that says so


def read(text: str, backend: Backend, now: float) -> Screen:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    masks = [re.compile(pattern) for pattern in backend.activity_mask]
    # The nudge stands on the screen that it is to change.
    shown = [line for line in lines if NUDGE not in line and not any(mask.search(line) for mask in masks)]
    limited, resets_at = _limit(lines[-_TAIL:], backend.limit_patterns, now)
    return Screen('\n'.join(shown), _waiting(shown), limited, resets_at)


def _waiting(lines: Sequence[str]) -> float | None:
    said = _WAITING.match(lines[-1]) if lines else None
    return said and _iso(said[1])


def _iso(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _limit(lines: Sequence[str], patterns: Sequence[str], now: float) -> tuple[bool, float | None]:
    for line in reversed(lines):
        for pattern in patterns:
            if banner := re.search(pattern, line):
                said = banner.groupdict().get('reset')
                return True, resets_at(said, now) if said else None
    return False, None


def resets_at(text: str, now: float) -> float | None:
    """When a limit ends, by a time, an hour of the day (of this machine, or UTC) or a span from now; None: not said."""
    if epoch := _EPOCH.search(text):
        return float(epoch[0])
    if (iso := _ISO.search(text)) and (at := _iso(iso[0].rstrip(').,'))):
        return at
    if clock := _CLOCK.search(text):
        return _next(clock, now, utc='UTC' in text)
    spans = _SPAN.findall(text)
    return now + sum(int(number) * _SECONDS[unit.lower()] for number, unit in spans) if spans else None


def _next(clock: re.Match[str], now: float, utc: bool) -> float | None:
    """The next time it is so late."""
    hour, minute = int(clock[1] or clock[4]), int(clock[2] or clock[5] or 0)
    if clock[3]:
        hour = hour % 12 + 12 * (clock[3].lower() == 'pm')
    if hour > 23 or minute > 59:
        return None
    today = datetime.fromtimestamp(now, UTC) if utc else datetime.fromtimestamp(now).astimezone()
    at = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (at if at > today else at + timedelta(days=1)).timestamp()
