"""Real workers that end in every way a process can."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from hack.common import process
from hack.exec_harness.running.pool import Ending, Pool, Task

REPOSITORY = Path(__file__).resolve().parents[4]


def endings(*work: Callable[[], bytes], jobs: int = 2, seconds: float = 20) -> list[Ending]:
    return sorted(Pool(jobs).run(Task(do, seconds) for do in work))


def saying(text: bytes) -> Callable[[], bytes]:
    return lambda: text


def killed() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def leaving() -> NoReturn:
    os._exit(7)


def hanging() -> bytes:
    for _ in range(600):  # a signal that comes just before a sleep is handled after it
        time.sleep(0.1)
    return b''


def with_a_child() -> bytes:
    subprocess.Popen(['sleep', '60'], start_new_session=True)
    return killed()


def test_what_workers_hand_over_comes_back_whole() -> None:
    large = bytes(range(256)) * 4096
    assert endings(saying(b''), saying(large), saying(b'x')) == [Ending(0, b''), Ending(1, large), Ending(2, b'x')]


def test_a_worker_that_dies_costs_no_other_its_result() -> None:
    found = endings(killed, saying(b'one'), leaving, saying(b'two'))
    assert found == [
        Ending(0, b'', 'was killed by signal 9'),
        Ending(1, b'one'),
        Ending(2, b'', 'ended with status 7 and said nothing'),
        Ending(3, b'two'),
    ]


def test_an_exception_is_told_as_it_was() -> None:
    def broken() -> bytes:
        raise ValueError('of mine')

    [ending] = endings(broken)
    assert ending.said == b''
    assert ending.death.endswith('ValueError: of mine')


def test_a_worker_without_an_end_is_ended() -> None:
    started = time.monotonic()
    assert endings(hanging, saying(b'one'), seconds=0.5) == [
        Ending(0, b'', 'had no end after 0.5 s'),
        Ending(1, b'one'),
    ]
    assert time.monotonic() - started < 20


def test_what_a_dead_worker_started_is_ended_and_nothing_else() -> None:
    with subprocess.Popen(['sleep', '60']) as mine:
        [ending] = endings(with_a_child)
        assert ending.death == 'was killed by signal 9'
        left = process.descendants(os.getpid())
        mine.kill()
    assert [found.name for found in left] == ['sleep']
    assert left[0].pid == mine.pid


def test_no_more_workers_at_once_than_asked_for(tmp_path: Path) -> None:
    def counted() -> bytes:
        mark = tmp_path / str(os.getpid())
        mark.touch()
        time.sleep(0.05)
        count = len(list(tmp_path.iterdir()))
        mark.unlink()
        return b'%d' % count

    assert max(int(ending.said) for ending in endings(*[counted] * 9, jobs=3)) <= 3


def test_after_stop_nothing_starts_and_those_at_work_are_told(tmp_path: Path) -> None:
    def told() -> bytes:
        def hear(*_: object) -> None:
            raise InterruptedError('told to stop')

        signal.signal(signal.SIGTERM, hear)
        (tmp_path / 'ready').touch()
        return hanging()

    def stop(*_: object) -> None:
        pool.stop()

    def alarm() -> bytes:
        while not (tmp_path / 'ready').exists():
            time.sleep(0.01)
        os.kill(os.getppid(), signal.SIGUSR1)
        return hanging()

    before = signal.signal(signal.SIGUSR1, stop)
    pool = Pool(2)
    try:
        found = sorted(pool.run([Task(told, 20), Task(alarm, 20), Task(saying(b'never'), 20)]))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert 'InterruptedError: told to stop' in found[0].death
    assert found[1:] == [Ending(1, b'', 'was killed by signal 15')]


def test_workers_do_not_outlive_their_caller() -> None:
    script = """
import os, time
from hack.exec_harness.running.pool import Pool, Task
def work():
    os.write(1, b'%d\\n' % os.getpid())
    time.sleep(60)
    return b''
list(Pool(2).run([Task(work, 60)] * 2))
"""
    with subprocess.Popen([sys.executable, '-c', script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout
        workers = [int(caller.stdout.readline()) for _ in range(2)]
        caller.kill()
    until = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    found = process.look_up(pid)
    return found is not None and found.state not in 'ZX'


@pytest.mark.parametrize('garbage', [b'', b'd', b'd\0\0\0\0\0\0\0\x05abc', b'x' * 20])
def test_half_a_message_is_none(garbage: bytes) -> None:
    before = set(os.listdir('/proc/self/fd'))

    def torn() -> NoReturn:
        new = set(map(int, set(os.listdir('/proc/self/fd')) - before))
        [pipe] = [number for number in new if is_written_to(number)]
        os.write(pipe, garbage)
        os._exit(0)

    assert endings(torn) == [Ending(0, b'', 'ended with status 0 and said nothing')]


def is_written_to(descriptor: int) -> bool:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except OSError:  # what listed the folder is closed again
        return False
