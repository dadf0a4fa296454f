"""What a run's records come to while they are being written: verdicts so far, what runs now, how long it may take."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from hack.common import results
from hack.dogfood.model import FINAL_VERDICTS, Json

_HEARD: Final = frozenset(('shard-start', 'start', 'result', 'shard-end'))
_TRUSTED_SECONDS: Final = 1.0  # of the prediction: so much must have run before the pace says otherwise


class ShardNow(NamedTuple):
    """One shard at one moment."""

    number: int
    planned: int  # journeys
    judged: int
    worst: str  # of its verdicts: failed, infra or passed
    journey: str  # that runs now; empty: none
    seconds: float  # since it began
    left_seconds: float  # predicted
    ending: str | None  # done, interrupted, deadline; None: not yet


class Glance(NamedTuple):
    """All of a run at one moment."""

    shards: tuple[ShardNow, ...]
    totals: Mapping[str, int]  # by verdict
    flaky: int
    elapsed_seconds: float
    left_seconds: float  # until the last shard is done, predicted

    @property
    def planned(self) -> int:
        return sum(shard.planned for shard in self.shards)

    @property
    def judged(self) -> int:
        return sum(shard.judged for shard in self.shards)


class ShardTally:
    """What one shard has told so far. `predicted`: seconds of each of its journeys."""

    def __init__(self, number: int, predicted: Mapping[str, float]) -> None:
        self.number = number
        self.predicted = predicted
        self.forget()

    def forget(self) -> None:
        """Have heard nothing."""
        self.verdicts: Counter[str] = Counter()
        self.flaky = 0
        self.took = self.foretold = 0.0  # seconds that what was run took, and that were predicted for it
        self.ending: str | None = None
        self._judged: dict[str, Json] = {}
        self._waiting_seconds = sum(self.predicted.values())  # of what is not judged
        self._running: tuple[str, float] | None = None  # journey, seconds since the epoch

    def hear(self, event: Json) -> Json | None:
        """Take one event in; returns the record that it judges a journey with. What it cannot read it passes over."""
        if event.get('event') not in _HEARD:
            return None
        match event:
            case {'event': 'shard-start'}:
                self._begin_turn()
            case {'event': 'start', 'journey': str(journey), 'time': str(time)} if journey in self.predicted:
                self._running = (journey, _instant(time))
            case {'event': 'result', 'record': {'id': str(), 'verdict': str(), 'duration_seconds': _} as record}:
                return self._judge(record)
            case {'event': 'shard-end', 'reason': str(reason)}:
                self._running, self.ending = None, reason
        return None

    def _begin_turn(self) -> None:
        """What is not final is judged again."""
        records = [record for record in self._judged.values() if record['verdict'] in FINAL_VERDICTS]
        self.forget()
        for record in records:
            self._judge(record)

    def _judge(self, record: Json) -> Json | None:
        journey, verdict = record['id'], record['verdict']
        if self._running and self._running[0] == journey:
            self._running = None
        if journey in self._judged or journey not in self.predicted or verdict not in results.VERDICTS:
            return None
        self._judged[journey] = record
        self.verdicts[verdict] += 1
        self.flaky += bool(record.get('flaky'))
        self._waiting_seconds -= self.predicted[journey]
        if record.get('started'):
            self.took += record['duration_seconds']
            self.foretold += self.predicted[journey]
        return record

    def now(self, clock: float, pace: float) -> ShardNow:
        """`clock`: seconds since the epoch; `pace`: how much longer things take than predicted, as a factor."""
        journey, since = self._running or ('', clock)
        taken = max(0.0, clock - since)
        current = self.predicted.get(journey, 0.0)
        left = (self._waiting_seconds - current) * pace + max(0.0, current * pace - taken)
        return ShardNow(
            number=self.number,
            planned=len(self.predicted),
            judged=len(self._judged),
            worst=next((verdict for verdict in ('failed', 'infra') if self.verdicts[verdict]), 'passed'),
            journey=journey,
            seconds=taken,
            left_seconds=max(0.0, left) if self.ending is None else 0.0,
            ending=self.ending,
        )


def tallies(plan: Json) -> list[ShardTally]:
    """One for each shard of plan.json, with nothing told yet."""
    seconds = {name: float(said['seconds']) for name, said in plan['journeys'].items()}
    return [
        ShardTally(number, {name: seconds[name] for chain in chains for name in chain['journeys']})
        for number, chains in enumerate(plan['shards'], 1)
    ]


def glance(shards: Sequence[ShardTally], clock: float, elapsed_seconds: float) -> Glance:
    """The run as it stands at `clock`, in seconds since the epoch."""
    took, foretold = sum(shard.took for shard in shards), sum(shard.foretold for shard in shards)
    pace = (took + _TRUSTED_SECONDS) / (foretold + _TRUSTED_SECONDS)
    now = tuple(shard.now(clock, pace) for shard in shards)
    return Glance(
        shards=now,
        totals={verdict: sum(shard.verdicts[verdict] for shard in shards) for verdict in results.VERDICTS},
        flaky=sum(shard.flaky for shard in shards),
        elapsed_seconds=elapsed_seconds,
        left_seconds=max((shard.left_seconds for shard in now), default=0.0),
    )


def is_news(record: Json) -> bool:
    """Whether somebody who watches would want to read it at once."""
    return record['verdict'] in ('failed', 'infra') or bool(record.get('flaky'))


def _instant(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
