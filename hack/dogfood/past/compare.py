"""What changed from one run to another: verdicts, flakiness and time, the latter by more than its noise. Pure.

The noise of a journey's duration is taken from its own past: the median absolute deviation from the median (MAD) of
the runs it passed in, which a few strange runs do not move (F. R. Hampel, "The influence curve and its role in robust
estimation", 1974). Times 1.4826 it estimates the standard deviation of normal data; more than 3.5 of these from the
median is an outlier (B. Iglewicz and D. Hoaglin, "How to detect and handle outliers", 1993). A past that is short, or
happens to agree too well, is not believed: the deviation is never taken to be less than a floor.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

from hack.common.console import Column, Console, Row, counted
from hack.common.errors import Exit
from hack.dogfood.model import VERDICTS, Json
from hack.dogfood.past import history

_TO_DEVIATION: Final = 1.4826  # of a MAD, where the data are normal
_OUTLIER: Final = 3.5  # deviations
_LEAST_SECONDS: Final = 0.02  # no deviation is below this,
_LEAST_SHARE: Final = 0.05  # nor below this share of the median,
_UNSURE_SHARE: Final = 0.15  # or this one, where fewer than `_SURE` runs are known
_SURE: Final = 5
_MEASURED: Final = ('passed', 'failed')


class Change(NamedTuple):
    """A journey in both runs, or in one: what is not there has the verdict ''."""

    journey: str
    before: str
    after: str
    cause: str = ''


class Slower(NamedTuple):
    """Seconds; `usual` is the median of the past, `noise` what may be added to it without a word."""

    journey: str
    before: float
    after: float
    usual: float
    noise: float
    runs: int  # in the past that is known


class Comparison(NamedTuple):
    before: str  # the runs' ids
    after: str
    newly_failed: tuple[Change, ...]  # failed, and did not before; new ones too
    unmeasured: tuple[Change, ...]  # passed or failed before, and was not measured again
    newly_flaky: tuple[Change, ...]  # passed after a failure; or failed and passed, and nothing had changed
    slower: tuple[Slower, ...]
    newly_passed: tuple[Change, ...]
    new: tuple[Change, ...]
    gone: tuple[Change, ...]
    common: int  # measured in both
    complaints: tuple[str, ...] = ()

    @property
    def exit(self) -> Exit:
        """1: something newly failed. 3: nothing could be compared, or not all that could be. Else 0."""
        if self.newly_failed:
            return Exit.RED
        return Exit.BROKEN if self.unmeasured or not self.common else Exit.GREEN


def of(before: Json, after: Json, known: history.History) -> Comparison:
    """Two bundles, with the past of each journey before the later run, as far as the history knows it."""
    runs = {side['run']['id']: side for side in (before, after)}
    past = [entry for entry in known.entries if entry.run not in runs and entry.started < after['run']['started']]
    seconds: dict[str, Sequence[float]] = dict(history.durations(past))
    for journey in before['journeys']:
        if journey['verdict'] == 'passed':
            seconds[journey['id']] = [*seconds.get(journey['id'], ()), journey['duration_seconds']]
    revisions = [history.revision_of(side) for side in (before, after)]
    same = None not in revisions and len(set(revisions)) == 1 and len(runs) == 2
    found = compare(before, after, seconds, is_same_revision=same)
    return found._replace(complaints=(*known.complaints, *found.complaints))


def compare(
    before: Json, after: Json, past: Mapping[str, Sequence[float]], *, is_same_revision: bool = False
) -> Comparison:
    """Two bundles. `past`: seconds of each journey in the runs it passed in, that of `after` not among them."""
    unknown = {name for side in (before, after) for name in _unknown(side)}
    old, new = _journeys(before, unknown), _journeys(after, unknown)
    changes = [_change(name, old, new) for name in dict.fromkeys((*new, *old))]

    def where(holds: Callable[[Change], bool]) -> tuple[Change, ...]:
        return tuple(filter(holds, changes))

    flaky = _newly_flaky(old, new)
    timed = [one.journey for one in changes if one.before == one.after == 'passed']
    return Comparison(
        before=before['run']['id'],
        after=after['run']['id'],
        newly_failed=where(lambda one: one.after == 'failed' != one.before),
        unmeasured=where(lambda one: one.before in _MEASURED and one.after not in (*_MEASURED, '')),
        newly_flaky=where(lambda one: one.journey in flaky or (is_same_revision and _contradicts(one))),
        slower=tuple(_slower(old, new, past, timed)),
        newly_passed=where(lambda one: one.after == 'passed' and one.before not in ('passed', '')),
        new=where(lambda one: not one.before and not _is_part(before)),
        gone=where(lambda one: not one.after and not _is_part(after)),
        common=len(where(lambda one: one.before in _MEASURED and one.after in _MEASURED)),
        complaints=(*_complaints(before, 'new'), *_complaints(after, 'gone')),
    )


def noise(past: Sequence[float]) -> float:
    """Seconds by which a duration may differ from the median of these without being worth a word; they are not none."""
    usual = median(past)
    deviation = _TO_DEVIATION * median(abs(seconds - usual) for seconds in past)
    share = _LEAST_SHARE if len(past) >= _SURE else _UNSURE_SHARE
    return _OUTLIER * max(deviation, share * usual, _LEAST_SECONDS)


def _slower(
    old: Mapping[str, Json], new: Mapping[str, Json], past: Mapping[str, Sequence[float]], names: Iterable[str]
) -> Iterable[Slower]:
    """What took longer than before, and than it ever takes: neither a quick run before nor a slow past is enough."""
    for name in names:
        before, after = old[name]['duration_seconds'], new[name]['duration_seconds']
        known = past.get(name) or (before,)
        usual, margin = median(known), noise(known)
        if after > max(before, usual) + margin:
            yield Slower(name, before, after, usual, round(margin, 4), len(known))


def _newly_flaky(old: Mapping[str, Json], new: Mapping[str, Json]) -> set[str]:
    return {name for name, journey in new.items() if journey['flaky'] and name in old and not old[name]['flaky']}


def _contradicts(change: Change) -> bool:
    return {change.before, change.after} == set(_MEASURED)


def _change(name: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> Change:
    before, after = old.get(name), new.get(name)
    return Change(name, before['verdict'] if before else '', after['verdict'] if after else '', _cause(after))


def _cause(journey: Json | None) -> str:
    return journey['cause'] if journey else ''


def _journeys(bundle: Json, unknown: Collection[str]) -> dict[str, Json]:
    return {journey['id']: journey for journey in bundle['journeys'] if journey['id'] not in unknown}


def _unknown(bundle: Json) -> dict[str, str]:
    return {one['id']: str(one['verdict']) for one in bundle['journeys'] if one['verdict'] not in VERDICTS}


def _is_part(bundle: Json) -> bool:
    """Whether the run was asked for a part of its corpus: a journey it does not have may be there all the same."""
    return bool((bundle['run'].get('options') or {}).get('in_part'))


def _complaints(bundle: Json, absent: str) -> list[str]:
    run = bundle['run']['id']
    part = [f'{run}: ran a part of its corpus (ONLY, TIERS), so nothing is told to be {absent}']
    return [
        *(part if _is_part(bundle) else ()),
        *(
            f'{run}: {journey} has the unknown verdict {verdict[:40]!r} (left out)'
            for journey, verdict in _unknown(bundle).items()
        ),
    ]


# -- to be read ----------------------------------------------------------------------------

_TITLES: Final = {
    'newly_failed': 'newly failed',
    'unmeasured': 'not measured any more',
    'newly_flaky': 'newly flaky',
    'slower': 'slower by more than the noise',
    'newly_passed': 'newly passed',
    'new': 'new',
    'gone': 'gone',
}
_STYLES: Final = {'newly_failed': 'bold red', 'unmeasured': 'magenta', 'newly_passed': 'green'}
_CHANGES: Final = ('journey', 'before', 'after', 'cause')
_TIMES: Final = ('journey', 'before', 'after', 'usual', 'noise', 'runs')


def as_json(found: Comparison) -> dict[str, Any]:
    lists = {name: [one._asdict() for one in getattr(found, name)] for name in _TITLES}
    sides = {'before': found.before, 'after': found.after, 'common': found.common, 'exit': int(found.exit)}
    return {**sides, **lists, 'complaints': list(found.complaints)}


def sections(found: Comparison) -> dict[str, list[Sequence[str]]]:
    """What is to be told: by key of `Comparison`, rows of cells, the first one the header."""
    told = {}
    for name in _TITLES:
        if entries := getattr(found, name):
            header = _TIMES if name == 'slower' else _CHANGES
            told[name] = [header, *(_cells(one) for one in entries)]
    return told


def _cells(one: Change | Slower) -> Sequence[str]:
    if isinstance(one, Change):
        return one.journey, one.before or '-', one.after or '-', one.cause
    seconds = (one.before, one.after, one.usual, one.noise)
    return one.journey, *(f'{value:.2f}s' for value in seconds), str(one.runs)


def show(found: Comparison, console: Console) -> None:
    """A table for each kind of change, then a sentence."""
    for name, (header, *rows) in sections(found).items():
        console.say(console.paint(f'{_TITLES[name]} ({len(rows)})', 'bold'))
        columns = [Column(title, right=name == 'slower' and title != 'journey') for title in header]
        console.table(columns, [Row(cells, _STYLES.get(name, '')) for cells in rows])
        console.say('')
    console.say(console.fold(sentence(found)))


def markdown(found: Comparison, table: Callable[[Sequence[Sequence[str]]], str]) -> str:
    """For a comment in a review; `table` makes one that holds no markup but its own."""
    parts = [f'## {sentence(found)}']
    for name, rows in sections(found).items():
        parts += [f'### {_TITLES[name].capitalize()} ({len(rows) - 1})', table(rows)]
    return '\n\n'.join(parts) + '\n'


def sentence(found: Comparison) -> str:
    """What it came to, for who reads nothing else."""
    runs = f'{found.before} → {found.after}'
    if not found.common and not found.newly_failed:
        return f'{runs}: no journey was measured in both, so nothing can be compared.'
    counts = [f'{len(getattr(found, name))} {title}' for name, title in _TITLES.items() if getattr(found, name)]
    said = ', '.join(counts) or 'nothing changed'
    return f'{runs}: {said}; {counted(found.common, "journey")} measured in both.'
