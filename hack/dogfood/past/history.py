"""What runs came to, one line each in .dogfood/history.jsonl: short enough to keep, whole enough to compare.

A later line about the same run stands in place of an earlier one: a run that was resumed, or reported again. The ids
of the planned journeys are written once, in the first line of a run that planned just these; the others name them by
their digest. So any run tells of each of its journeys: what is not listed under another verdict passed.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files
from hack.common.console import counted
from hack.common.results import VERDICTS
from hack.dogfood.model import Json
from hack.dogfood.reporting.triage import ALLOWED

FORMAT: Final = 1
FILE: Final = 'history.jsonl'  # in .dogfood

_OTHERS: Final = tuple(verdict for verdict in VERDICTS if verdict != 'passed')


class Entry(NamedTuple):
    """One run."""

    run: str  # its id
    started: str
    exit: int
    totals: Mapping[str, int]  # by verdict
    findings: Mapping[str, int]  # by kind
    problems: int  # of the harness's own records
    duration_seconds: float | None  # None: it was resumed, so the clock says nothing
    signal: int  # causes that are the product's,
    noise: int  # and those that are not: see `signal_and_noise`
    flaky: frozenset[str]  # passed after a failure, within the run
    others: Mapping[str, frozenset[str]]  # ids by verdict, of what did not pass
    revision: str | None  # of corpus, product and folder; None: not known, or not clean
    journeys: tuple[str, ...]  # planned
    milliseconds: tuple[int | None, ...]  # as long as `journeys`; None: it did not pass

    def verdict(self, journey: str) -> str:
        """Of a journey that it planned."""
        return next((verdict for verdict, names in self.others.items() if journey in names), 'passed')


class History(NamedTuple):
    entries: tuple[Entry, ...]  # oldest first, one a run
    complaints: tuple[str, ...] = ()  # about lines that tell of no run


class Flaky(NamedTuple):
    """A journey that failed and passed while nothing had changed."""

    journey: str
    revision: str  # empty where it was within a run alone, whose revision is not known
    failed: tuple[str, ...]  # runs, oldest first
    passed: tuple[str, ...]
    retried: tuple[str, ...]  # runs in which it passed after a failure

    @property
    def last_seen(self) -> str:
        return max((*self.failed, *self.passed, *self.retried))


# -- from a bundle -------------------------------------------------------------------------


def record(bundle: Json, defined: Collection[str] = ()) -> dict[str, Any]:
    """The line about a run. `defined`: digests of planned journeys that the history can resolve already."""
    journeys = sorted(bundle['journeys'], key=lambda journey: str(journey['id']))
    ids, run = [journey['id'] for journey in journeys], bundle['run']
    planned = _digest(ids)
    signal, noise = signal_and_noise(bundle)
    return {
        'format': FORMAT,
        'run': run['id'],
        'started': run['started'],
        'ended': run['ended'],
        'exit': bundle['exit'],
        'totals': bundle['totals'],
        'problems': len(bundle['problems']),
        'duration_seconds': _duration(bundle),
        'signal': signal,
        'noise': noise,
        **_outcomes(journeys),
        'git': run.get('git'),
        'versions': run.get('versions') or {},
        'product': _product(run),
        'corpus': _digest(run.get('corpus') or []),
        'planned': planned,
        **({} if planned in defined else {'journeys': ids}),
    }


def _outcomes(journeys: Sequence[Json]) -> dict[str, Any]:
    """What the journeys came to, in their order."""
    kinds = Counter(finding['kind'] for journey in journeys for finding in journey['findings'])
    return {
        'findings': dict(sorted(kinds.items())),
        'flaky': [journey['id'] for journey in journeys if journey['flaky']],
        **{verdict: [one['id'] for one in journeys if one['verdict'] == verdict] for verdict in _OTHERS},
        'milliseconds': [
            round(1000 * journey['duration_seconds']) if journey['verdict'] == 'passed' else None
            for journey in journeys
        ],
    }


def revision_of(bundle: Json) -> str | None:
    """What tells whether two runs tried the same thing; None where that cannot be told, or the tree was not clean."""
    run = bundle['run']
    return _revision(run.get('git'), _product(run), _digest(run.get('corpus') or []))


def signal_and_noise(bundle: Json) -> tuple[int, int]:
    """How many causes are the product's, and how many others the reader was troubled with.

    Signal: each cause of failures, unless a reviewer decided that it is no defect of the product's. Noise: those; each
    cause of what could not be measured; each that made a journey flaky; each problem of the harness's own records. What
    is blocked, deferred or skipped is neither: it stands under its root.
    """
    signal, noise = 0, len(bundle['problems'])
    for cause in bundle.get('triage', {}).get('causes', ()):
        excused = cause['decision'] is not None and cause['decision']['decision'] in ALLOWED
        signal += cause['blames'] == 'product' and not excused
        noise += cause['blames'] in ('harness', 'flaky') or (cause['blames'] == 'product' and excused)
    return signal, noise


def is_final(bundle: Json) -> bool:
    """Whether nothing of the run is under way any more."""
    return all(shard['ending'] != 'running' for shard in bundle['shards'])


def _duration(bundle: Json) -> float | None:
    began, ended = bundle['run']['started'], bundle['run']['ended']
    if not ended or any(shard['turns'] > 1 for shard in bundle['shards']):
        return None
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    return max(0.0, round(seconds, 3))


def _digest(value: Any) -> str:
    return files.sha256(json.dumps(value, sort_keys=True).encode())[:16]


# -- the file ------------------------------------------------------------------------------


def append(path: Path, bundle: Json) -> list[str]:
    """Add the run, under a lock; raises OSError. What is said: lines that were damaged, and are set aside.

    A run that is there already, and came to the same, is not written again.
    """
    with files.locked(path):
        known, damaged = files.heal_jsonl(path)
        new = record(bundle, {str(line.get('planned')) for line in known if 'journeys' in line})
        last: Json = next((line for line in reversed(known) if line.get('run') == new['run']), {})
        if {key: value for key, value in last.items() if key != 'journeys'} != new:
            lines = files.JsonLines(path)
            try:
                lines.append(new)
                lines.sync()
            finally:
                lines.close()
    said = f'{path}: {counted(damaged, "damaged line")} set aside in {path.name}.damaged'
    return [said] if damaged else []


def read(path: Path) -> History:
    """The runs; none where there is no file. What it cannot use it leaves out, and says where it stands."""
    try:
        lines, broken = files.read_jsonl(path)
    except FileNotFoundError:
        return History(())
    except OSError as error:
        return History((), (f'{path}: cannot be read: {error.strerror} (check its permissions)',))
    complaints = [f'{path}:{number}: is no line of JSON (left out; the next run sets it aside)' for number in broken]
    planned = {line['planned']: tuple(line['journeys']) for line in lines if _defines(line)}
    by_run: dict[str, Entry] = {}
    for number, line in zip(_numbers(len(lines), broken), lines, strict=True):
        try:
            entry = _entry(line, planned)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            complaints.append(f'{path}:{number}: {_complaint(line, error)}')
        else:
            by_run[entry.run] = entry
    return History(tuple(sorted(by_run.values(), key=lambda one: (one.started, one.run))), tuple(complaints))


def _numbers(count: int, broken: Collection[int]) -> Iterator[int]:
    """The numbers of the lines that are not broken."""
    skipped = set(broken)
    return (number for number in range(1, count + len(skipped) + 1) if number not in skipped)


def _defines(line: Json) -> bool:
    ids = line.get('journeys')
    return isinstance(ids, list) and all(isinstance(one, str) for one in ids) and _digest(ids) == line.get('planned')


def _complaint(line: Json, error: Exception) -> str:
    if line.get('format') != FORMAT:
        what = f'format {str(line.get("format"))[:20]!r} is unknown, only {FORMAT} is read here'
        return f'{what} (left out; use the version that wrote it)'
    lacks = f'no `{error.args[0]}`' if isinstance(error, KeyError) else str(error)
    return f'is no whole record of a run: {lacks} (left out)'


def _entry(line: Json, planned: Mapping[str, tuple[str, ...]]) -> Entry:
    """Raises KeyError, TypeError, AttributeError or ValueError where the line is no record of a run."""
    if line['format'] != FORMAT:
        raise ValueError('another format')
    if line['planned'] not in planned:
        raise ValueError('the line that names its journeys is gone')
    journeys, milliseconds = planned[line['planned']], tuple(line['milliseconds'])
    duration = line['duration_seconds']
    datetime.fromisoformat(line['started'])
    if len(milliseconds) != len(journeys):
        raise ValueError('its durations are not those of its journeys')
    return Entry(
        run=str(line['run']),
        started=line['started'],
        exit=int(line['exit']),
        totals={verdict: int(line['totals'][verdict]) for verdict in VERDICTS},
        findings={kind: int(count) for kind, count in line['findings'].items()},
        problems=int(line['problems']),
        duration_seconds=None if duration is None else float(duration),
        signal=int(line['signal']),
        noise=int(line['noise']),
        flaky=frozenset(line['flaky']),
        others={verdict: frozenset(line[verdict]) for verdict in _OTHERS},
        revision=_revision(line['git'], line['product'], line['corpus']),
        journeys=journeys,
        milliseconds=milliseconds,
    )


def _product(run: Json) -> dict[str, Any]:
    said = run.get('product') or {}
    digests = said.get('digests')
    return {'versions': said.get('versions') or {}, 'digest': _digest(digests) if digests else None}


def _revision(git: Json | None, product: Json, corpus: str) -> str | None:
    if (git and git['dirty']) or not (git or product['digest']):
        return None
    commit = git['revision'] if git else ''
    return f'{commit[:12]}-{_digest([commit, corpus, product])}'.lstrip('-')


# -- over runs -----------------------------------------------------------------------------


def flaky(entries: Sequence[Entry]) -> list[Flaky]:
    """Journeys that failed and passed on one revision, in two runs or within one; the latest seen first."""
    by_revision: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_revision[entry.revision or ''].append(entry)
    found = [one for revision, runs in by_revision.items() for one in _flaky(revision, runs)]
    return sorted(sorted(found, key=lambda one: one.journey), key=lambda one: one.last_seen, reverse=True)


def _flaky(revision: str, runs: Sequence[Entry]) -> Iterator[Flaky]:
    failed, retried = _runs_of(runs, lambda run: run.others['failed']), _runs_of(runs, lambda run: run.flaky)
    suspects = failed.keys() | retried.keys()
    passed = _runs_of(runs, lambda run: suspects.intersection(run.journeys).difference(*run.others.values()))
    for journey in suspects:
        contradicts = bool(revision) and journey in failed and journey in passed
        if contradicts or journey in retried:
            told = (failed[journey], passed[journey]) if revision else ([], [])
            yield Flaky(journey, revision, tuple(told[0]), tuple(told[1]), tuple(retried[journey]))


def _runs_of(runs: Iterable[Entry], names: Callable[[Entry], Iterable[str]]) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for run in runs:
        for name in names(run):
            found[name].append(run.run)
    return found


def durations(entries: Iterable[Entry]) -> dict[str, list[float]]:
    """Seconds that each journey took whenever it passed, oldest first."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for entry in entries:
        for journey, milliseconds in zip(entry.journeys, entry.milliseconds, strict=True):
            if milliseconds is not None:
                found[journey].append(milliseconds / 1000)
    return found
