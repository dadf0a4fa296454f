"""The verbs that tell what a run came to: merge and write its reports, or make the page of any bundle."""

import marshal
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from hack.common import collector, files
from hack.common.console import Console, console, though_unread
from hack.common.errors import Exit, UserError
from hack.dogfood import rundir
from hack.dogfood.rundir import RunDir


@collector.paused()
def report(asked: Namespace) -> int:
    from hack.dogfood.reporting import bundle, outcome

    with _page_maker(asked.state) as make_page:
        path, merged = _merged(asked)
        shown = console(sys.stdout, os.environ)
        _note_down(asked.state, merged)
        make_page(path, merged)
        with though_unread():
            if asked.format == 'json':
                shown.say(bundle.as_json(merged)[:-1])
            else:
                _show(merged, path, shown)
        outcome.write(path, merged, _drawn(RunDir(path), merged))
        if not asked.merge:
            _remember(asked.state, merged)
    return int(merged['exit'])


def _merged(asked: Namespace) -> tuple[Path, dict[str, Any]]:
    """The bundle, and the run directory it is of."""
    from hack.dogfood.reporting import bundle
    from hack.dogfood.running import runs, tenants

    if asked.merge:
        path = Path(asked.run_dir or 'merged').absolute()
        return path, bundle.merge_parts(path, [Path(part) for part in asked.merge])
    run_dir = runs.find(asked.state, asked.run_dir or 'latest')
    if not _all_ended(run_dir):
        tenants.end_survivors(run_dir)
    return run_dir.path, bundle.of_run(run_dir.path, interrupted=asked.interrupted)


def _all_ended(run_dir: RunDir) -> bool:
    for number in run_dir.shard_numbers():
        try:
            last = files.last_object(run_dir.results(number))
        except OSError:
            return False
        if last is None or last.get('event') != 'shard-end':
            return False
    return True


def _show(merged: Any, path: Path, shown: Console) -> None:
    """The report for people; in continuous integration also what its server puts at the journeys' places."""
    from hack.dogfood.reporting import annotations, report

    if not annotations.is_wanted(os.environ):
        report.show(merged, path, shown)
        return
    with annotations.guard(shown):
        report.show(merged, path, shown)
    annotations.say(merged, path, shown)


def _drawn(run_dir: RunDir, merged: Any) -> str:
    from hack.dogfood.planning import drawing

    verdicts = {journey['id']: journey['verdict'] for journey in merged['journeys']}
    return drawing.mermaid(rundir.read_part(run_dir.plan), verdicts)


# -- what later runs learn of it ---------------------------------------------------------------


def _remember(state: Path, merged: Any) -> None:
    """Record durations for the next plan and drop the oldest runs; a run is no worse where that cannot be done."""
    from hack.dogfood.past import timings
    from hack.dogfood.running import runs

    if (state / 'runs').is_dir():
        try:
            timings.write(state / 'timings.json', merged['journeys'])
            runs.prune(state)
        except OSError as error:
            print(f'{state}: durations are not recorded, old runs not removed: {error}', file=sys.stderr)


def _note_down(state: Path, merged: Any) -> None:
    """Add the run to the history; a run is no worse where that cannot be done."""
    from hack.dogfood.past import history

    if not state.is_dir() or not history.is_final(merged):
        return
    try:
        for complaint in history.append(state / history.FILE, merged):
            print(complaint, file=sys.stderr)
    except OSError as error:
        print(f'{state / history.FILE}: does not tell of this run: {error}', file=sys.stderr)


# -- the page ----------------------------------------------------------------------------------


@collector.paused()
def page(asked: Namespace) -> int:
    from hack.dogfood.reporting import salvage
    from hack.dogfood.running import runs

    source = runs.bundle(asked.state, asked.bundle)
    bundle, troubles = salvage.read(source)
    for trouble in troubles:
        print(f'{source}: {trouble}', file=sys.stderr)
    target = Path(asked.out or source.with_name('report.html'))
    try:
        _write_page(target, bundle, source.parent, asked.state, troubles)
    except OSError as error:
        raise UserError(f'{target}: cannot be written: {error.strerror} (give another --out)', Exit.BROKEN) from error
    print(target)
    return Exit.BROKEN if troubles else Exit.GREEN


def _write_page(path: Path, bundle: Any, run_dir: Path, state: Path, troubles: Sequence[str] = ()) -> None:
    from hack.dogfood.page import beside, report_page

    report_page.write(path, bundle, run_dir, beside.of(bundle, state, troubles))


@contextmanager
def _page_maker(state: Path) -> Iterator[Callable[[Path, Any], None]]:
    """What makes the page of a run directory's bundle, in a process of its own until the block ends.

    It takes no time from the rest, nor can it spoil it, and has loaded all it needs by when there is a bundle.
    """
    read, write = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        said = error.strerror
        yield lambda path, _: print(f'{path}/report.html: is not made: {said}', file=sys.stderr)
        return
    if child == 0:
        os.close(write)
        _make_page(read, state)
    os.close(read)
    try:
        with open(write, 'wb') as told:
            yield lambda path, bundle: _tell(told, (str(path), bundle))
    finally:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _tell(told: IO[bytes], value: Any) -> None:
    with suppress(BrokenPipeError), told:
        marshal.dump(value, told)


def _make_page(source: int, state: Path) -> NoReturn:
    page = Path('report.html')
    try:
        from hack.dogfood.page import beside, report_page  # noqa: F401 (while there is nothing to do yet)

        with open(source, 'rb') as told:
            text = told.read()
        if text:
            path, bundle = marshal.loads(text)
            page = RunDir(Path(path)).page
            _write_page(page, bundle, Path(path), state)
    except BaseException as error:
        print(f'{page}: is not made: {type(error).__name__}: {error}', file=sys.stderr, flush=True)
    finally:
        os._exit(0)


VERBS: Final = {'report': report, 'page': page}
