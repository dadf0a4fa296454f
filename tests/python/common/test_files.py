"""Real files, cut, filled up and locked as crashes and neighbours do it."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.common import files
from hack.common.files import JsonLines


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process grows past `size`: writing more fails like on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_now_is_utc_with_milliseconds() -> None:
    now = files.utc_now()
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', now)
    assert now[:15] in {time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() - ago))[:15] for ago in (0, 1)}


def test_boot_id_is_the_kernels() -> None:
    assert files.boot_id() == Path('/proc/sys/kernel/random/boot_id').read_text().strip()


# -- whole files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('data', 'raw'),
    [(b'\x00\xff', b'\x00\xff'), ('é', b'\xc3\xa9'), ('"\ud800"', b'"\\ud800"'), ('', b'')],
)
def test_write_atomic(tmp_path: Path, data: str | bytes, raw: bytes) -> None:
    path = tmp_path / 'file'
    path.write_text('before, and longer')
    old = path.open('rb')
    files.write_atomic(path, data)
    with old:
        assert old.read() == b'before, and longer'  # who reads the old one goes on reading the old one
    assert path.read_bytes() == raw
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_takes_a_name_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_atomic('file', 'text')
    assert (tmp_path / 'file').read_text() == 'text'


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_text('before')
    with file_limit(10), pytest.raises(OSError, match='File too large'):
        files.write_atomic(path, 'x' * 100)
    assert path.read_text() == 'before'
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_written_for_people_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    files.write_json(path, {'é': [1]})
    assert path.read_text() == '{\n "é": [\n  1\n ]\n}\n'
    assert files.read_json(path) == {'é': [1]}
    assert files.compact({'é': [1, 'a b']}) == '{"é":[1,"a b"]}\n'


@pytest.mark.parametrize(('data', 'error'), [(None, FileNotFoundError), (b'{', ValueError), (b'\xff', ValueError)])
def test_json_that_cannot_be_read(tmp_path: Path, data: bytes | None, error: type[Exception]) -> None:
    if data is not None:
        (tmp_path / 'file').write_bytes(data)
    with pytest.raises(error):
        files.read_json(tmp_path / 'file')


def test_sha256() -> None:
    assert files.sha256(b'') == 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'


# -- lines -----------------------------------------------------------------------------------------

LINES: list[dict[str, Any]] = [{'n': 1}, {'t': 'é"\n\ud800}'}, {'nested': {'a': [{}, None]}}, {}]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    log = JsonLines(path)
    log.append(*lines)
    log.close()


def test_lines_are_appended_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / 'log'
    write_lines(path, LINES[:1])
    write_lines(path, LINES[1:])
    assert path.read_bytes().count(b'\n') == len(LINES)
    assert path.read_text().startswith('{"n":1}\n{"t":"é\\"\\n\\ud800}"}\n')
    assert files.read_jsonl(path) == (LINES, ())
    assert path.stat().st_mode & 0o777 == 0o644


def test_lines_survive_truncation_at_every_byte(tmp_path: Path) -> None:
    """Every whole line is kept, the torn one is not, and what is appended later is whole again."""
    path = tmp_path / 'log'
    write_lines(path, LINES)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = whole[:size].count(b'\n')
        if whole[size : size + 1] == b'\n':
            kept += 1  # all but its end is there
        assert files.read_jsonl(path) == (LINES[:kept], ())
        write_lines(path, [{'next': size}])
        assert files.read_jsonl(path) == ([*LINES[:kept], {'next': size}], ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_what_a_crash_leaves_at_the_end_never_swallows_a_later_line(
    tmp_path: Path, garbage: bytes, more: bytes
) -> None:
    path = tmp_path / 'log'
    path.unlink(missing_ok=True)
    write_lines(path, LINES[:2])
    with path.open('ab') as file:
        file.write(garbage + b'\n' + more)
    before, _ = files.read_jsonl(path)
    assert before[:2] == LINES[:2]
    write_lines(path, LINES[2:])
    after, broken = files.read_jsonl(path)
    assert after == before + LINES[2:]
    assert len(after) + len(broken) == path.read_bytes().count(b'\n')


@pytest.mark.parametrize(
    ('data', 'values', 'broken'),
    [
        (b'', [], ()),
        (b'{}\n', [{}], ()),
        (b'{"a":1}\n{"b"', [{'a': 1}], ()),
        (b'{"a":1}\n{"b":2}', [{'a': 1}, {'b': 2}], ()),
        (b'{"a":1}\nnonsense\n[]\n7\n\n{"b":2}\n', [{'a': 1}, {'b': 2}], (2, 3, 4, 5)),
        (b'\0\0\0\n{"b":2}\n', [{'b': 2}], (1,)),
        (b'\xff\n{"b":2}\n', [{'b': 2}], (1,)),
        (b'[' * 100_000 + b'\n{"b":2}\n', [{'b': 2}], (1,)),
    ],
)
def test_read_jsonl(tmp_path: Path, data: bytes, values: list[dict[str, Any]], broken: tuple[int, ...]) -> None:
    (tmp_path / 'log').write_bytes(data)
    assert files.read_jsonl(tmp_path / 'log') == (values, broken)


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        (b'{}\n', b'{}\n'),
        (b'{}', b'{}\n'),
        (b'{}\n{"a"', b'{}\n'),
        (b'{"a"', b''),
        (b'{}\n\0\0\n\0\0', b'{}\n'),
        (b'{}\n\0\0\n', b'{}\n'),
        (b'\0\0\n{}\n', b'\0\0\n{}\n'),  # not at the end: to be seen
        (b'\0\0\n{}\n\0', b'\0\0\n{}\n'),
    ],
)
def test_a_file_that_is_opened_again_is_healed_at_its_end(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / 'log'
    path.write_bytes(before)
    JsonLines(path).close()
    assert path.read_bytes() == after


def test_a_line_that_does_not_fit_is_taken_back_and_later_ones_are_whole(tmp_path: Path) -> None:
    path = tmp_path / 'log'
    log = JsonLines(path)
    log.append({'a': 1})
    with file_limit(100), pytest.raises(OSError, match='File too large') as caught:
        log.append({'long': 'x' * 200})
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == b'{"a":1}\n'
    log.append({'b': 2})
    log.close()
    assert files.read_jsonl(path) == ([{'a': 1}, {'b': 2}], ())


def test_lines_are_synced_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, synced = [100.0], []
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    monkeypatch.setattr(os, 'fdatasync', lambda _: synced.append(now[0]))
    log = JsonLines(tmp_path / 'log')
    for seconds in (0.0, 0.5, 0.99, 1.0, 1.5, 1.99, 2.0, 7.0, 7.5):
        now[0] = 100.0 + seconds
        log.append({})
    log.sync()
    log.close()
    assert synced == [101.0, 102.0, 107.0, 107.5]


def test_what_was_synced_survives_kill(tmp_path: Path) -> None:
    script = (
        'import os, signal, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common.files import JsonLines\n'
        'log = JsonLines(sys.argv[2])\n'
        'log.append({"a": 1}); log.append({"b": 2})\n'
        'os.kill(os.getpid(), signal.SIGKILL)'
    )
    ended = subprocess.run([sys.executable, '-c', script, os.getcwd(), str(tmp_path / 'log')], check=False)
    assert ended.returncode == -9
    assert files.read_jsonl(tmp_path / 'log') == ([{'a': 1}, {'b': 2}], ())


# -- locks -----------------------------------------------------------------------------------------


def test_a_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / 'lock'
    assert not files.lock_is_held(path)
    assert not path.exists()  # to ask writes nothing
    first = files.try_lock(path)
    assert first is not None
    assert files.lock_is_held(path)
    assert files.try_lock(path) is None
    os.close(first)
    assert not files.lock_is_held(path)
    second = files.try_lock(path)
    assert second is not None
    os.close(second)


def test_whoever_asks_for_a_lock_does_not_keep_another_from_taking_it(tmp_path: Path) -> None:
    """Shards look at each other's locks while these are being taken."""
    path = tmp_path / 'lock'
    path.touch()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            files.lock_is_held(path)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    try:
        for _ in range(200):
            lock = files.try_lock(path)
            assert lock is not None
            os.close(lock)
    finally:
        stop.set()
        for thread in looking:
            thread.join()


def test_a_lock_that_is_being_made_is_never_seen_free(tmp_path: Path) -> None:
    """Who waits for a shard takes one whose lock is free for gone."""
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common import files\n'
        'print("looking", flush=True); free = 0\n'
        'for number in range(200):\n'
        '    path = f"{sys.argv[2]}/{number}"\n'
        '    while not os.path.exists(path): pass\n'
        '    free += not files.lock_is_held(path)\n'
        'print(free)'
    )
    with subprocess.Popen(
        [sys.executable, '-c', script, os.getcwd(), str(tmp_path)], stdout=subprocess.PIPE
    ) as observer:
        assert observer.stdout
        assert observer.stdout.readline() == b'looking\n'
        locks = []
        for number in range(200):
            locks.append(files.try_lock(tmp_path / str(number)))
            time.sleep(0.0005)  # for the observer to come to the next one
        assert observer.stdout.read() == b'0\n'
    for lock in locks:
        assert lock is not None
        os.close(lock)
    assert len(list(tmp_path.iterdir())) == 200


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / 'lock'
    script = (
        'import sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common import files\n'
        'files.try_lock(sys.argv[2]); print("locked", flush=True); sys.stdin.read()'
    )
    with subprocess.Popen(
        [sys.executable, '-c', script, os.getcwd(), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b'locked\n'
        assert files.lock_is_held(path)
        holder.kill()
    assert not files.lock_is_held(path)


# -- whether a folder can be written -----------------------------------------------------------------


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    assert files.cannot_write(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert files.cannot_write(tmp_path / 'gone') == f'{tmp_path}/gone: No such file or directory'


@pytest.mark.parametrize('size', [0, 100, 60_000])
def test_a_folder_without_enough_room(tmp_path: Path, size: int) -> None:
    with file_limit(size):
        why = files.cannot_write(tmp_path)
    assert why in (f'{tmp_path}: File too large', f'{tmp_path}: No space left on device')
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path: Path) -> None:
    """On a file system of its own, filled to the last page and to the last but one."""
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common import files\n'
        'print(files.cannot_write(sys.argv[2]))\n'
        'os.truncate(sys.argv[2] + "/full", os.path.getsize(sys.argv[2] + "/full") - 4096)\n'
        'print(files.cannot_write(sys.argv[2]))\n'
        'os.unlink(sys.argv[2] + "/full")\n'
        'print(files.cannot_write(sys.argv[2]))\n'
    )
    command = (
        'mount -t tmpfs -o size=256k none "$3" && { cat /dev/zero >"$3/full" 2>/dev/null; "$0" -c "$1" "$2" "$3"; }'
    )
    ran = subprocess.run(
        ['unshare', '--mount', '--map-root-user', 'bash', '-c', command, sys.executable, script, os.getcwd(), tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        pytest.skip(f'no file systems can be mounted here: {ran.stderr.strip()}')
    full = f'{tmp_path}: No space left on device'
    assert ran.stdout.splitlines() == [full, full, 'None']


def test_lines_hold_what_json_holds(tmp_path: Path) -> None:
    """No value is told apart from what the standard reader makes of it."""
    value = {'float': 0.1, 'large': 2**70, 'none': None, 'quote': '"\\/\b\x00\u2028'}
    write_lines(tmp_path / 'log', [value])
    assert files.read_jsonl(tmp_path / 'log')[0] == [json.loads(json.dumps(value))]


def test_damaged_lines_are_taken_out_and_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / 'results.jsonl'
    assert files.heal_jsonl(path) == ([], 0)
    path.write_bytes(b'{"a":1}\n\0\0\n{"b":2}\n{"c')
    before = path.read_bytes()
    assert files.heal_jsonl(path) == ([{'a': 1}, {'b': 2}], 1)
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'
    assert (tmp_path / 'results.jsonl.damaged').read_bytes() == before
    assert files.heal_jsonl(path) == ([{'a': 1}, {'b': 2}], 0)


def test_a_torn_end_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / 'results.jsonl'
    path.write_bytes(b'{"a":1}\n{"b":2}')
    assert files.heal_jsonl(path) == ([{'a': 1}, {'b': 2}], 0)
    assert path.read_bytes() == b'{"a":1}\n{"b":2}'
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_lock_of_a_removed_file_keeps_nobody_out(tmp_path: Path) -> None:
    """Whoever opened it before it was removed gets the lock of the one that is there now."""
    path = tmp_path / 'lock'
    first = files.try_lock(path)
    assert first is not None
    path.unlink()
    second = files.try_lock(path)
    assert second is not None
    assert files.try_lock(path) is None
    os.close(first)
    assert files.lock_is_held(path)
    os.close(second)
    assert not files.lock_is_held(path)


def test_a_growing_file_is_followed_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / 'log'
    followed = files.Followed(path)
    assert followed.lines() == ([], False)  # not there yet
    path.write_bytes(b'one\ntw')
    assert followed.lines() == ([b'one'], False)
    assert followed.lines() == ([], False)
    with path.open('ab') as file:
        file.write(b'o\n\nthree')
    assert followed.lines() == ([b'two', b''], False)
    with path.open('ab') as file:
        file.write(b'\n')
    assert followed.lines() == ([b'three'], False)


def test_a_followed_file_that_begins_anew_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / 'log'
    path.write_bytes(b'{"a":1}\n\0\n{"b":2}\n')
    followed = files.Followed(path)
    assert followed.objects() == ([{'a': 1}, {'b': 2}], False)
    files.heal_jsonl(path)  # replaced as a whole, though it may be as long again by the time one looks
    with path.open('a') as file:
        file.write('{"c":3}\n')
    assert followed.objects() == ([{'a': 1}, {'b': 2}, {'c': 3}], True)
    os.truncate(path, 8)  # lines that were taken back
    assert followed.objects() == ([{'a': 1}], True)
    path.write_text('{"a":1}\n[1]\n{"b":2},{"c":3}\n{"d":4}\n')
    assert files.Followed(path).objects() == ([{'a': 1}, {'d': 4}], False)


def test_following_a_file_writes_nothing_and_reads_what_is_torn_only_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / 'log'
    path.write_bytes(b'{"a":')
    path.chmod(0o444)
    before = path.stat()
    followed = files.Followed(path)
    assert [followed.objects() for _ in range(3)] == [([], False)] * 3
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    with open(path, 'ab') if os.geteuid() == 0 else open(os.devnull, 'ab') as file:
        file.write(b'1}\n')
    assert followed.objects()[0] == ([{'a': 1}] if os.geteuid() == 0 else [])


def test_of_two_that_change_a_file_one_waits_for_the_other(tmp_path: Path) -> None:
    path = tmp_path / 'counted'
    path.write_text('0')

    def add_one() -> None:
        for _ in range(50):
            with files.locked(path):
                path.write_text(str(int(path.read_text()) + 1))

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == '200'


def test_the_repository_of_a_folder(tmp_path: Path) -> None:
    inside = tmp_path / 'a' / 'b'
    inside.mkdir(parents=True)
    subprocess.run(['git', 'init', '--quiet', str(tmp_path / 'a')], check=True)
    assert files.repository_of(inside) == tmp_path / 'a'
    (inside / '.git').mkdir()  # as a sandbox leaves it
    assert files.repository_of(inside) == tmp_path / 'a'
    (inside / '.git').rmdir()
    (inside / '.git').write_text('gitdir: elsewhere')
    assert files.repository_of(inside) == inside


def test_the_last_object_is_that_of_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / 'a.jsonl'
    path.write_text('{"a": 1}\n' + '{"b": "' + 'x' * 3000 + '"}\n{"c": 3}\n')
    assert files.last_object(path) == {'c': 3}


@pytest.mark.parametrize('text', ['', '{"a": 1}\n{"b"', '{"a": 1}\n[2]\n', '{"a": 1}\n\n'])
def test_a_last_line_without_an_object_has_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'a.jsonl'
    path.write_text(text)
    assert files.last_object(path) is None


@pytest.mark.parametrize(
    ('lines', 'told'),
    [
        (['{"a": 1}', '{"b": 2}'], ([{'a': 1}, {'b': 2}], ())),
        (['{"a": 1', '"b": 2}', '{"c": 3},{"d": 4}'], ([], (1, 2, 3))),  # as many objects as lines, of other lines
        (['{"a": 1}', '[2]', '{"c": 3}'], ([{'a': 1}, {'c': 3}], (2,))),
    ],
)
def test_each_line_is_taken_for_itself(
    tmp_path: Path, lines: list[str], told: tuple[list[dict[str, int]], tuple[int, ...]]
) -> None:
    path = tmp_path / 'a.jsonl'
    path.write_text(''.join(f'{line}\n' for line in lines))
    assert files.read_jsonl(path) == told
