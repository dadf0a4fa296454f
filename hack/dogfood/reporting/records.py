"""What one shard's events come to: the record of each of its journeys, or what is known where there is none.

Pure. A turn is the time from one `shard-start` to the next; a run that is resumed has several.
The first final verdict of a journey stands; one that is not final gives way to what comes later.
What does not belong where it was found is a problem of the harness: said, and never counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from hack.dogfood.model import FINAL_VERDICTS, VERDICTS, Json

Ending = Literal['done', 'interrupted', 'deadline', 'lost', 'running', 'absent', 'missing']

_SAID: Final[Mapping[str, Ending]] = {'done': 'done', 'interrupted': 'interrupted', 'deadline': 'deadline'}

# Of a journey without a result: why, if its shard ended so while it ran, and if before.
_CAUSES: Final[Mapping[Ending, tuple[str, str]]] = {
    'done': ('shard {shard} left no result of it', 'shard {shard} ended without running it'),
    'interrupted': ('the run was interrupted while it ran', 'the run was interrupted before it started'),
    'deadline': ('the deadline was reached while it ran', 'the deadline was reached before it started'),
    'lost': ('shard {shard} ended while it ran', 'shard {shard} ended before it started{meanwhile}'),
    'running': ('shard {shard} is still running it', 'shard {shard} has not come to it yet'),
    'absent': ('shard {shard} never started', 'shard {shard} never started'),
    'missing': ('no part holds results of shard {shard}', 'no part holds results of shard {shard}'),
}

_Shape = Mapping[str, type | tuple[type, ...]]
_TEXT_OR_NONE: Final = (str, type(None))
_NUMBER_OR_NONE: Final = (int, type(None))
_SECONDS: Final = (int, float)
_RECORD: Final[_Shape] = {
    'cause': str,
    'root': _TEXT_OR_NONE,
    'flaky': bool,
    'attempts': int,
    'started': _TEXT_OR_NONE,
    'duration_seconds': _SECONDS,
    'strength': _TEXT_OR_NONE,
    'steps': list,
    'findings': list,
}
_STEP: Final[_Shape] = {
    'intent': str,
    'run': str,
    'exit': _NUMBER_OR_NONE,
    'duration_seconds': _SECONDS,
    'stdout': str,
    'stderr': str,
}
_FINDING: Final[_Shape] = {
    'kind': str,
    'step': _NUMBER_OR_NONE,
    'expected': str,
    'observed': str,
    'evidence': _TEXT_OR_NONE,
}


class Place(NamedTuple):
    """Where the plan puts a journey."""

    shard: int
    chain: str


class Outcome(NamedTuple):
    """What stands for a journey. `record` has no place yet: the plan knows it better."""

    chain_attempt: int
    record: Json


class _Start(NamedTuple):
    turn: int
    chain_attempt: int
    time: str | None


def problem(observed: str, expected: str, where: str) -> dict[str, Any]:
    """A finding about the harness itself: it makes no journey red."""
    return {'kind': 'harness', 'step': None, 'expected': expected, 'observed': observed, 'evidence': where}


class ShardHistory:
    """One shard's events, taken in their order."""

    def __init__(
        self, shard: int, places: Mapping[str, Place], events: Iterable[Json], is_running: bool, came: bool = True
    ) -> None:
        """`came`: since the run was begun, or gone on with for the last time."""
        self.shard = shard
        self.problems: list[dict[str, Any]] = []
        self.chain_attempts: dict[str, int] = {}
        self.leaks: dict[str, list[str]] = {}
        self.versions: dict[str, str] = {}  # what each feature's product says it is
        self.endings: list[Ending] = []  # of each turn
        self.first_time: str | None = None
        self.last_time: str | None = None
        self._places = places
        self._standing: dict[str, Outcome] = {}
        self._open: dict[str, _Start] = {}  # started, and no result since
        self._judged_in: dict[str, int] = {}  # the turn of a journey's latest result
        for event in events:
            try:
                self._take(event)
            except (KeyError, TypeError, AttributeError):
                self._problem(f'an event that says too little: {str(event)[:200]}', 'an event as shards write it')
        if self.endings and not came:
            self.endings.append('absent')
        if is_running and self.ending in ('lost', 'absent'):
            self.endings[-1:] = ['running']

    @property
    def ending(self) -> Ending:
        """How the shard's last turn ended."""
        return self.endings[-1] if self.endings else 'absent'

    def outcome(self, journey: str, if_absent: Ending) -> Outcome:
        """What stands for the journey; `if_absent` says what a shard without any event means."""
        stands = self._standing.get(journey)
        has_gone = len(self.endings) > 1 and self.ending == 'absent'  # what it said last is not what stands now
        if stands and not (has_gone and stands.record['verdict'] not in FINAL_VERDICTS):
            return stands
        start = None if has_gone else self._open.get(journey)
        if has_gone:
            cause = 'shard {shard} did not start again'
        elif start:
            cause = _CAUSES[self.endings[start.turn - 1]][0]
        else:
            cause = _CAUSES[self.ending if self.endings else if_absent][1]
        busy_with = [name for name, begun in self._open.items() if begun.turn == len(self.endings)]
        meanwhile = f', while {busy_with[-1]} ran' if busy_with else ''
        record = _unmeasured(cause.format(shard=self.shard, meanwhile=meanwhile))
        if not start:
            return Outcome(0, record)
        return Outcome(start.chain_attempt, {**record, 'started': start.time, 'attempts': 1})

    def _take(self, event: Json) -> None:
        kind = event['event']
        if not self.endings or kind == 'shard-start':
            self.endings.append('lost')  # until it says how it ended
        time = event.get('time')
        if isinstance(time, str):
            self.first_time = self.first_time or time
            self.last_time = time
        if kind == 'result':
            self._take_result(event['chain_attempt'], event['record'])
        elif kind == 'start':
            self._take_start(event)
        elif kind == 'chain':
            self.chain_attempts[event['chain']] = event['chain_attempt']
        elif kind == 'chain-end':
            self.leaks.setdefault(event['chain'], []).extend(event['leaks'])
        elif kind == 'product':
            self.versions[event['feature']] = event['version']
        elif kind == 'shard-end':
            self.endings[-1] = _SAID.get(event['reason'], 'lost')

    def _take_start(self, event: Json) -> None:
        journey = event['journey']
        self._open[journey] = _Start(len(self.endings), event['chain_attempt'], event.get('time'))
        stands = self._standing.get(journey)
        if stands and stands.record['verdict'] not in FINAL_VERDICTS:
            del self._standing[journey]  # it is judged again: should nothing come of that, this is what is known

    def _take_result(self, chain_attempt: int, record: Json) -> None:
        fault = _misplaced(record, self.shard, self._places)
        if fault:
            self._problem(*fault)
            return
        journey, turn = record['id'], len(self.endings)
        start = self._open.pop(journey, None)
        stands = self._standing.get(journey)
        is_final = stands is not None and stands.record['verdict'] in FINAL_VERDICTS
        ran_twice = stands is not None and is_final and start is not None and stands.chain_attempt == chain_attempt
        if ran_twice or self._judged_in.get(journey) == turn:
            self._problem(f'a second result of {journey} in attempt {chain_attempt} of its chain', 'one result')
        self._judged_in[journey] = turn
        if stands is None or not is_final:
            self._standing[journey] = Outcome(chain_attempt, _usable(record, self.shard))
        elif _did_not_pass_again(stands, chain_attempt, record):
            self._standing[journey] = stands._replace(record={**stands.record, 'flaky': True})

    def _problem(self, observed: str, expected: str) -> None:
        self.problems.append(problem(observed, expected, f'shards/{self.shard}/results.jsonl'))


def _did_not_pass_again(stands: Outcome, chain_attempt: int, record: Json) -> bool:
    """Whether the product failed when a passed journey was run again to rebuild the state of its chain.

    A rebuild that could not be measured says nothing about the product.
    """
    return (
        stands.record['verdict'] == 'passed'
        and chain_attempt != stands.chain_attempt
        and record.get('verdict') == 'failed'
    )


def _misplaced(record: Json, shard: int, places: Mapping[str, Place]) -> tuple[str, str] | None:
    """What is wrong with finding this record here, and what was expected."""
    journey = record['id']
    planned = places.get(journey)
    if planned is None:
        return f'a record of {journey}, which is not planned', 'records of planned journeys'
    if planned.shard != shard:
        return f'a record of {journey}, which the plan puts in shard {planned.shard}', f'records of shard {shard}'
    said = record.get('shard', shard), record.get('chain', planned.chain)
    if said != planned:
        return (
            f'a record of {journey} that speaks of shard {said[0]} and chain {said[1]}',
            f'shard {planned.shard} and chain {planned.chain}',
        )
    return None


def _usable(record: Json, shard: int) -> Json:
    """The record, or an `infra` in its place that says why nothing can be concluded from it."""
    verdict = record.get('verdict')
    if verdict not in VERDICTS:
        said = f'the unknown verdict {str(verdict)[:50]!r}' if verdict is not None else 'no verdict'
        return _unmeasured(f'shard {shard} recorded {said}')
    fault = _misfit(record, _RECORD)
    if not fault:
        misfits = [_misfit(step, _STEP) for step in record['steps']]
        misfits += [_misfit(finding, _FINDING) for finding in record['findings']]
        fault = next(filter(None, misfits), None)
    return _unmeasured(f'shard {shard} left a record that is not whole: {fault}') if fault else record


def _misfit(value: Any, shape: _Shape) -> str | None:
    if not isinstance(value, dict):
        return f'{str(value)[:50]!r} in place of a mapping'
    for key, kind in shape.items():
        if key not in value:
            return f'no `{key}`'
        if not isinstance(value[key], kind):
            return f'`{key}` is {str(value[key])[:50]!r}'
    return None


def _unmeasured(cause: str) -> dict[str, Any]:
    return {
        'verdict': 'infra',
        'cause': cause,
        'root': None,
        'flaky': False,
        'attempts': 0,
        'started': None,
        'duration_seconds': 0.0,
        'strength': None,
        'steps': [],
        'findings': [],
    }
