"""What report.html shows that is not of the run alone: reviewers' decisions, and how runs went so far.

The templates and the style sheet call the latter `history` and `trend`. A page that is handed neither does not speak
of them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from markupsafe import Markup

from hack.dogfood.model import Json
from hack.dogfood.page import markup
from hack.dogfood.past import history, trend
from hack.dogfood.past.trend import Point
from hack.dogfood.reporting import triage

_RUNS: Final = 50  # drawn,
_ROWS: Final = 20  # and told in figures
_FLAKY: Final = 50
_WIDTH, _HEIGHT, _EDGE = 200, 40, 3  # of a drawing, in its own units


class Decision(NamedTuple):
    """What a reviewer has said of a finding: `real`, `intended`, `self-inflicted`, `discoverability`, and why."""

    word: str
    note: str = ''


class Beside(NamedTuple):
    """What is shown with a bundle that it does not hold itself."""

    decisions: Mapping[str, Sequence[Decision | None]] = {}  # by journey, one for each finding, in their order
    trend: Markup = Markup()  # the inside of a section
    troubles: Sequence[str] = ()  # with the bundle itself, a sentence each


NOTHING: Final = Beside()


class Line(NamedTuple):
    """A figure over runs."""

    name: str
    last: str
    runs: tuple[str, ...]  # points of each unbroken line
    dots: tuple[tuple[float, float], ...]


def of(bundle: Json, state: Path, troubles: Sequence[str] = ()) -> Beside:
    """`state`: the folder with the history; a run that it does not know is shown without."""
    known = history.read(state / history.FILE)
    until = [entry for entry in known.entries if entry.started <= (bundle['run'].get('started') or '')]
    told = trend.of(known._replace(entries=tuple(until)), _RUNS)
    this = bundle['run'].get('id')
    is_known = any(point.run == this for point in told.points)
    return Beside(decisions(bundle), drawn(told, str(this)) if is_known else Markup(), troubles)


def decisions(bundle: Json) -> dict[str, list[Decision | None]]:
    """By journey, for each of its findings in their order; journeys without any decision are left out."""
    causes = bundle.get('triage', {}).get('causes', ())
    words = {
        cause['fingerprint']: Decision(cause['decision']['decision'], cause['decision']['note'])
        for cause in causes
        if cause['decision']
    }
    touched = {name for cause in causes if cause['decision'] for name in cause['journeys']}
    return {
        journey['id']: [words.get(triage.of_finding(journey, finding)) for finding in journey['findings']]
        for journey in bundle['journeys']
        if journey['id'] in touched
    }


def drawn(told: trend.Trend, this: str) -> Markup:
    """The inside of the section: a line for each figure, the last runs in a table, and the journeys that are flaky."""
    figures: Sequence[tuple[str, Callable[[Point], float | None], Callable[[Point], str]]] = (
        ('passed', lambda point: point.pass_rate, lambda point: trend.percent(point.pass_rate)),
        ('flaky', lambda point: point.flake_rate, lambda point: trend.percent(point.flake_rate)),
        ('infra', lambda point: point.infra_rate, lambda point: trend.percent(point.infra_rate)),
        ('time', lambda point: point.duration_seconds, lambda point: trend.duration(point.duration_seconds)),
        ('signal', lambda point: point.signal_share, lambda point: trend.percent(point.signal_share)),
    )
    lines = [line(name, [value(one) for one in told.points], say(told.points[-1])) for name, value, say in figures]
    return markup.made_of(
        'trend.html.j2',
        lines=lines,
        rows=[(point.run, trend.cells(point)) for point in reversed(told.points[-_ROWS:])],
        this=this,
        flaky=[trend.in_words(one) for one in told.flaky[:_FLAKY]],
        more=max(0, len(told.flaky) - _FLAKY),
    )


def line(name: str, values: Sequence[float | None], last: str) -> Line:
    """Rates are drawn from 0 to 1, other figures from 0 to their greatest; a line breaks where there is no value."""
    top = max((value for value in values if value is not None), default=0.0)
    top = 1.0 if 0 <= top <= 1 and name != 'time' else top or 1.0
    step = (_WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            height = _HEIGHT - _EDGE - value / top * (_HEIGHT - 2 * _EDGE)
            runs[-1].append((round(_EDGE + number * step, 1), round(height, 1)))
    joined = tuple(' '.join(f'{x},{y}' for x, y in run) for run in runs if run)
    return Line(name, last, joined, tuple(dot for run in runs for dot in run))
