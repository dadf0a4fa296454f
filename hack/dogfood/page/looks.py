"""How verdicts look on the page, and how it writes times, shares and long names."""

from typing import Final

from hack.common.console import cut

WORST_FIRST: Final = ('failed', 'infra', 'unknown', 'blocked', 'deferred', 'skipped', 'passed')
_LABEL: Final = 36  # characters of an id or a token in a drawing


def look(verdict: str) -> str:
    return verdict if verdict in WORST_FIRST else 'unknown'


def duration(seconds: float) -> str:
    if seconds < 1:
        return f'{seconds * 1000:.0f} ms'
    if seconds < 60:
        return f'{seconds:.2f} s'
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes:02} min' if hours else f'{minutes} min {seconds:02} s'


def percent(part: float) -> str:
    return f'{100 * part:.3f}'.rstrip('0').rstrip('.') + '%'


def short(text: str) -> str:
    return cut(text, _LABEL)
