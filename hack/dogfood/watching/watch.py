"""Shows a run while it goes on, from its directory alone: reads, writes nothing there, and is in nobody's way."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from hack.common import files
from hack.common.console import Console, visible
from hack.common.files import Followed
from hack.dogfood import rundir
from hack.dogfood.model import Json
from hack.dogfood.reporting import report
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import tenants
from hack.dogfood.watching import live
from hack.dogfood.watching.live import Glance

_LOOK_SECONDS: Final = 0.2
_CLOCK_SECONDS: Final = 1.0  # the clock moves on where nothing else does; then it is also seen whether the run is over
_SHARE: Final = 1 / 100  # of a core, at the most: a look that took long is followed by a long rest
_LONGEST_REST_SECONDS: Final = 2.0
_WAKING: Final = (signal.SIGTERM, signal.SIGWINCH)


class News(NamedTuple):
    """What came since last time."""

    records: Sequence[Json]  # of journeys that were judged
    said: Sequence[str]  # what the shards wrote to their standard error


class Watched:
    """A run that goes on, as far as it was read. Raises UserError where the directory holds no run."""

    def __init__(self, run_dir: RunDir) -> None:
        run = rundir.read_run(run_dir)
        self._run_dir = run_dir
        self._started = run.started_monotonic if run.boot == files.boot_id() else time.monotonic()
        self._shards = live.tallies(rundir.read_part(run_dir.plan))
        self._results = [Followed(run_dir.results(shard.number)) for shard in self._shards]
        self._said = Followed(run_dir.said)

    def look(self) -> News:
        """Read on in all that grows."""
        records: dict[str, Json] = {}
        for shard, followed in zip(self._shards, self._results, strict=True):
            events, anew = followed.objects()
            if anew:
                shard.forget()
            for event in events:
                if judged := shard.hear(event):
                    records[judged['id']] = judged
        lines, _ = self._said.lines()
        return News(list(records.values()), [line.decode(errors='replace') for line in lines])

    def glance(self) -> Glance:
        return live.glance(self._shards, time.time(), time.monotonic() - self._started)

    def is_over(self) -> bool:
        """Whether nobody is at work on it any more."""
        return not tenants.is_owned(self._run_dir) and not tenants.running(self._run_dir)


def follow(run_dir: RunDir, console: Console, form: str) -> bool:
    """Show the run until it is over, or until TERM; returns whether it is over.

    `form`: `lines`, one for each journey that is judged; `json`, likewise; `view`, bars on a terminal.
    """
    watched = Watched(run_dir)
    with _waking_signals() as rest:
        return _view(watched, console, rest) if form == 'view' else _list(watched, console, form, rest)


def _list(watched: Watched, console: Console, form: str, rest: Callable[[float], bool]) -> bool:
    told = False
    while True:
        over = watched.is_over()  # asked first, so that the last look misses nothing
        if lines := _lines(watched.look(), console, form):
            console.say(*lines)
        if over or told:
            return over
        told = rest(_LOOK_SECONDS)


def _lines(news: News, console: Console, form: str) -> list[str]:
    if form == 'json':
        return [json.dumps(record, ensure_ascii=False) for record in news.records]
    return [*(report.line(record, console=console) for record in news.records), *map(visible, news.said)]


def _view(watched: Watched, console: Console, rest: Callable[[float], bool]) -> bool:
    from hack.dogfood.watching.bars import Bars

    over = told = False
    asked = drawn = time.monotonic()  # when to do so again
    size = None
    with Bars(console.file, console.colour) as bars:
        while True:
            began = time.process_time()
            if time.monotonic() >= asked:
                over, asked = watched.is_over(), time.monotonic() + _CLOCK_SECONDS
            news = watched.look()
            to_tell = [record for record in news.records if live.is_news(record)]
            if news.records or news.said or size != bars.size or time.monotonic() >= drawn:
                bars.show(watched.glance(), to_tell, news.said)
                size, drawn = bars.size, time.monotonic() + _CLOCK_SECONDS
            if over or told:
                return over
            told = rest(_pause(time.process_time() - began))


def _pause(cost: float) -> float:
    """How long to rest after a look that took `cost` seconds of a processor."""
    return min(max(_LOOK_SECONDS, cost / _SHARE), _LONGEST_REST_SECONDS)


@contextmanager
def _waking_signals() -> Iterator[Callable[[float], bool]]:
    """A rest of so many seconds that TERM and a terminal of another size cut short; true after TERM."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAKING)

    def rest(seconds: float) -> bool:
        woken = signal.sigtimedwait(_WAKING, seconds)
        return woken is not None and woken.si_signo == signal.SIGTERM

    try:
        yield rest
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
