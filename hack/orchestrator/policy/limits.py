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
_ISO: Final = re.compile(r'\d{4}-\d{2}-\d{2}[T ]\d\S+')
_MONTHS: Final = ('jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec')
_DATE: Final = re.compile(rf'(?i)\b({"|".join(_MONTHS)})[a-z]* (\d{{1,2}})\b')
_WEEKDAYS: Final = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
_WEEKDAY: Final = re.compile(r'(?i)\b(mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?\b')
_ZONE: Final = re.compile(r'\(([A-Za-z_]+(?:/[\w+-]+)*)\)')
_SPAN: Final = re.compile(r'(?i)(\d+)\s*(d|h|m|s)(?:ays?|ours?|in(?:ute)?s?|ec(?:ond)?s?|rs?)?\b')
_LONG_AGO: Final = timedelta(days=180)  # so far back, a date is one of next year
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
    """When a limit ends, by a time, a day or hour (here, or in the zone named), or a span from now; None: not said."""
    if epoch := _EPOCH.search(text):
        return float(epoch[0])
    if (iso := _ISO.search(text)) and (at := _iso(iso[0].rstrip(').,'))):
        return at
    clock, date, weekday = _CLOCK.search(text), _DATE.search(text), _WEEKDAY.search(text)
    if clock or date or weekday:
        return _next(clock, date, weekday, _there(text, now))
    spans = _SPAN.findall(text)
    return now + sum(int(number) * _SECONDS[unit.lower()] for number, unit in spans) if spans else None


def _there(text: str, now: float) -> datetime:
    """Now, by the clock of the zone that the text names; without one, of this machine."""
    from zoneinfo import ZoneInfo

    named = _ZONE.search(text)
    try:
        return datetime.fromtimestamp(now, ZoneInfo(named[1] if named else 'UTC' if 'UTC' in text else ''))
    except (OSError, ValueError, KeyError):  # no zone, or none that is known here
        return datetime.fromtimestamp(now).astimezone()


def _next(
    clock: re.Match[str] | None, date: re.Match[str] | None, weekday: re.Match[str] | None, today: datetime
) -> float | None:
    """The next time that it is so late, on such a day; None for what is no time."""
    hour, minute = _hour(clock) if clock else (0, 0)
    try:
        at = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if date:
            at = at.replace(month=_MONTHS.index(date[1].lower()) + 1, day=int(date[2]))
            return (at.replace(year=at.year + 1) if today - at > _LONG_AGO else at).timestamp()
    except ValueError:
        return None
    if weekday:
        at += timedelta(days=(_WEEKDAYS.index(weekday[1].lower()) - at.weekday()) % 7)
    return (at if at > today else at + timedelta(days=7 if weekday else 1)).timestamp()


def _hour(clock: re.Match[str]) -> tuple[int, int]:
    hour, minute = int(clock[1] or clock[4]), int(clock[2] or clock[5] or 0)
    return hour % 12 + 12 * (clock[3].lower() == 'pm') if clock[3] else hour, minute
