"""Whole runs for tests: a place of their own, dogfood.sh on a corpus there, and what it left.

    def test_it(place: Place) -> None:
        done = place.run(journey('greet', 'echo hello', expect={'stdout': {'contains': 'hello'}}))
        assert (done.exit, done.verdicts) == (0, {'greet': 'passed'})

`place` is a fixture of tests/python/dogfood/conftest.py; `a_place()` makes more of them. A run that a
test wants to disturb is begun with `start`; `wait` gives what `run` gives. Journeys that should prove
how often they ran append to the ledger, which lies outside of every chain's folder.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from hack.common import files, process
from hack.dogfood.reporting import bundle
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import workspace

HOUSE = Path(__file__).resolve().parents[2]
DOGFOOD = Path('hack/dogfood/dogfood.sh')  # in a house
JOURNEYS = Path('hack/dogfood/run_journeys.py')
PYTHON = HOUSE / '.venv/bin/python'
WAIT_SECONDS = 30.0

Json = Mapping[str, Any]
Found = TypeVar('Found')
Item = TypeVar('Item')


def journey(id: str, *steps: str | Json, expect: Json | None = None, **said: Any) -> dict[str, Any]:
    """One journey of a corpus; a step given as text expects exit 0, the last one `expect` where that is given."""
    made = [dict(step) if isinstance(step, Mapping) else {'run': step, 'expect': {'exit': 0}} for step in steps]
    if expect is not None:
        made[-1]['expect'] = expect
    return {'id': id, 'promise': f'{id} does what it should.', **said, 'steps': made}


class Done(NamedTuple):
    """What was there when a run had ended. `exit` is the script's own status: 128 + n after signal n."""

    exit: int
    out: str
    err: str
    run_dir: RunDir
    bundle: Json  # empty where there was none
    said_exit: str | None  # what RUN_DIR/exit held

    @property
    def journeys(self) -> dict[str, dict[str, Any]]:
        """What the bundle says of each journey, by id."""
        return {said['id']: said for said in self.bundle['journeys']}

    @property
    def verdicts(self) -> dict[str, str]:
        return {name: said['verdict'] for name, said in self.journeys.items()}

    @property
    def causes(self) -> dict[str, str]:
        return {name: said['cause'] for name, said in self.journeys.items() if said['cause']}

    def events(self, shard: int = 1) -> list[dict[str, Any]]:
        return files.read_jsonl(self.run_dir.results(shard))[0]


class Live(NamedTuple):
    """A run that goes on: `script` is dogfood.sh, the leader of its own process group."""

    script: subprocess.Popen[bytes]
    run_dir: RunDir
    out: Path
    err: Path

    def wait(self, seconds: float = WAIT_SECONDS) -> Done:
        try:
            status = self.script.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.script.pid, signal.SIGKILL)
            self.script.wait()
            raise AssertionError(f'still running after {seconds} s:\n{self._said()}') from None
        return _done(status, _text(self.out), _text(self.err), self.run_dir)

    def until(self, look: Callable[[], Found | None], seconds: float = WAIT_SECONDS) -> Found:
        """What `look` says as soon as it says something; fails where the run ends or the time is up before."""
        last = time.monotonic() + seconds
        while True:
            ended = self.script.poll() is not None or time.monotonic() > last
            if found := look():
                return found
            assert not ended, f'it did not come so far:\n{self._said()}'
            time.sleep(0.005)

    def shard(self, number: int = 1) -> process.Process:
        """The process of a shard, once it holds its lock and has said so."""

        def look() -> process.Process | None:
            try:
                return process.look_up(files.read_json(self.run_dir.shard_lock(number))['pid'])
            except (OSError, ValueError):
                return None

        return self.until(look)

    def until_started(self, journey: str, shard: int = 1) -> None:
        """Until the journey's steps begin."""
        self.until(
            lambda: any(
                event['event'] == 'start' and event['journey'] == journey for event in _events(self.run_dir, shard)
            )
        )

    def until_gone(self) -> None:
        """Until the shards and the scripts around them are gone too, where the script was not the last of them."""
        while files.lock_is_held(self.run_dir.lock) or any(
            files.lock_is_held(self.run_dir.shard_lock(number)) for number in self.run_dir.shard_numbers()
        ):
            time.sleep(0.01)

    def _said(self) -> str:
        return _text(self.out) + _text(self.err)


class Place(NamedTuple):
    """A folder to run in: corpus, state, temporary folder, ledger; short of path."""

    path: Path

    @property
    def tmp(self) -> Path:
        """TMPDIR: where the chains' folders are made."""
        return self.path / 'tmp'

    @property
    def ledger(self) -> Path:
        return self.path / 'ledger'

    def ran(self) -> list[str]:
        """The lines journeys have written to the ledger."""
        return _text(self.ledger).splitlines()

    def corpus(self, *journeys: Json, name: str = 'corpus.yaml', **said: Any) -> Path:
        """Write a feature. `@LEDGER@` in any text is the ledger's path."""
        text = json.dumps({'feature': 'trial', **said, 'journeys': journeys}, indent=1)
        path = self.path / name
        path.write_text(text.replace('@LEDGER@', str(self.ledger)))
        return path

    def environment(self, **changed: str | None) -> dict[str, str]:
        """The caller's environment of a run; None removes a variable."""
        merged: dict[str, str | None] = {**os.environ, 'TMPDIR': str(self.tmp), **changed}
        return {name: value for name, value in merged.items() if value is not None}

    def start(
        self,
        *asked: str | Json,
        run_dir: Path | None = None,
        before: Sequence[str] = (),
        environment: Mapping[str, str | None] | None = None,
        resume: bool = False,
        shards: int = 2,
        house: Path = HOUSE,
        **said: Any,
    ) -> Live:
        """Begin dogfood.sh. `asked`: options as text, journeys as mappings (none: the corpus written before).

        `before`: a program that is given the command line to run (strace, faketime, …). `said`: of the feature.
        """
        options = [one for one in asked if isinstance(one, str)]
        journeys = [one for one in asked if not isinstance(one, str)]
        if journeys:
            self.corpus(*journeys, **said)
        where = run_dir or self.path / 'run'
        target = ('--resume', str(where)) if resume else ('--run-dir', str(where), '--shards', str(shards))
        given = ('corpus.yaml',) if (self.path / 'corpus.yaml').exists() and not resume else ()
        number = len(list(self.path.glob('*.out')))
        out, err = self.path / f'{number}.out', self.path / f'{number}.err'
        with out.open('wb') as to_out, err.open('wb') as to_err:
            script = subprocess.Popen(
                [*before, str(house / DOGFOOD), *target, *options, *given],
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                cwd=self.path,
                env=self.environment(**(environment or {})),
                process_group=0,
            )
        return Live(script, RunDir(where), out, err)

    def run(self, *asked: str | Json, **more: Any) -> Done:
        """dogfood.sh from its beginning to its end; arguments as for `start`."""
        return self.start(*asked, **more).wait()

    def resume(self, *asked: str, **more: Any) -> Done:
        """Go on with the run of this place."""
        return self.run(*asked, resume=True, **more)

    def verb(self, *arguments: str, before: Sequence[str] = (), house: Path = HOUSE, **changed: str | None) -> Done:
        """run_journeys.py; `run_dir` of what it gives is that of this place."""
        done = subprocess.run(
            [*before, str(PYTHON), str(house / JOURNEYS), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.path,
            env=self.environment(**changed),
            timeout=WAIT_SECONDS,
        )
        return _done(done.returncode, done.stdout.decode(), done.stderr.decode(), RunDir(self.path / 'run'))

    def house(self) -> Path:
        """A house of its own: ours as it comes from a clone, with the same interpreter."""
        copy = self.path / 'house'
        shutil.copytree(HOUSE / 'hack', copy / 'hack', ignore=shutil.ignore_patterns('__pycache__'))
        (copy / '.venv').symlink_to(HOUSE / '.venv')
        return copy

    def processes(self) -> list[process.Process]:
        """All live processes whose environment or folder tells that they belong to this place."""
        return [found for found in map(process.look_up, self._pids()) if found and found.state not in 'ZX']

    def clean(self) -> None:
        last = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < last:
            for one in left:
                process.send(one, signal.SIGKILL)
            time.sleep(0.01)
        workspace.remove_tree(str(self.path))

    def _pids(self) -> list[int]:
        wanted = os.fsencode(self.path)
        own = os.getpid()
        return [
            pid
            for pid in (int(name) for name in os.listdir('/proc') if name.isdigit())
            if pid != own and (wanted in process.environment_of(pid) or _folder_of(pid).startswith(wanted))
        ]


@contextmanager
def a_place() -> Iterator[Place]:
    """A place for runs, short of path (Unix sockets); whatever still runs there is ended, and it is removed."""
    made = Place(Path(tempfile.mkdtemp(prefix='df-', dir='/tmp')))
    made.tmp.mkdir()
    try:
        yield made
    finally:
        made.clean()


def several(work: Callable[[Place, Item], Found], items: Iterable[Item]) -> list[Found]:
    """Do the work for each item in a place of its own, two at a time: most of a run is waiting."""

    def one(item: Item) -> Found:
        with a_place() as place:
            return work(place, item)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, items))


def need(what: str, usable: bool) -> None:
    """Skip, by name, where this machine lacks something; REQUIRE_ALL=1 makes that an error."""
    if not usable:
        (pytest.fail if os.environ.get('REQUIRE_ALL') == '1' else pytest.skip)(f'needs {what}')


def need_commands(*names: str) -> None:
    for name in names:
        need(name, shutil.which(name) is not None)


def need_root() -> None:
    need('root', os.geteuid() == 0)


@contextmanager
def mounted(path: Path, *how: str) -> Iterator[None]:
    """Something mounted at the folder, `how` being arguments of mount(8)."""
    need_root()
    need_commands('mount', 'umount')
    tried = subprocess.run(['mount', *how, str(path)], capture_output=True, text=True)
    need(f'mount {" ".join(how)}: {tried.stderr.strip()}', tried.returncode == 0)
    try:
        yield
    finally:
        subprocess.run(['umount', '--lazy', str(path)], check=True)


def _done(status: int, out: str, err: str, run_dir: RunDir) -> Done:
    said = bundle.read(run_dir.bundle) if run_dir.bundle.exists() else {}
    exit = _text(run_dir.exit).strip() if run_dir.exit.exists() else None
    return Done(status if status >= 0 else 128 - status, out, err, run_dir, said, exit)


def _folder_of(pid: int) -> bytes:
    try:
        return os.readlink(os.fsencode(f'/proc/{pid}/cwd'))
    except OSError:
        return b''


def _events(run_dir: RunDir, shard: int) -> list[dict[str, Any]]:
    path = run_dir.results(shard)
    return files.read_jsonl(path)[0] if path.exists() else []


def _text(path: Path) -> str:
    return path.read_text(errors='replace') if path.exists() else ''
