"""Files that others may read while they are written: replaced whole, appended by line, locked by the kernel."""

import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

SYNC_SECONDS: Final = 1.0
_PROBE_BYTES: Final = 1 << 16
_TAIL: Final = 1 << 12
_LOOKED_AT_SECONDS: Final = 0.1  # whoever asks whether a lock is held holds it for an instant
_DUMPS: Final = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode
_TAKE: Final = json.JSONDecoder().raw_decode


def utc_now() -> str:
    """Now, as UTC ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec='milliseconds').removesuffix('+00:00') + 'Z'


def boot_id() -> str:
    """What changes when the machine starts anew; empty where the kernel does not say."""
    try:
        return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    except OSError:
        return ''


def write_atomic(path: Path | str, data: str | bytes, durable: bool = False) -> None:
    """Replace `path` as a whole: a reader sees the old content or the new, never a part.

    `durable`: so does whoever comes after a power cut.
    """
    target = os.fspath(path)
    descriptor, beside = tempfile.mkstemp(prefix='.', suffix='.new', dir=os.path.dirname(target) or '.')
    try:
        with os.fdopen(descriptor, 'wb') as file:
            # A lone surrogate, as JSON may hold one, is written as the escape that JSON has for it.
            file.write(data.encode('utf-8', 'backslashreplace') if isinstance(data, str) else data)
            os.fchmod(file.fileno(), 0o644)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise


def write_json(path: Path | str, value: Any, durable: bool = False) -> None:
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1) + '\n', durable)


def compact(value: Any) -> str:
    """The value as one line of JSON."""
    return _DUMPS(value) + '\n'


def read_json(path: Path | str) -> Any:
    """The value; raises OSError or ValueError."""
    with open(path, 'rb') as file:
        return json.loads(file.read())


def repository_of(folder: Path) -> Path | None:
    """The nearest folder, this one or one above, that git takes for a repository.

    An empty `.git` makes none: sandboxes leave such behind where they kept programs from writing one.
    """
    return next((place for place in (folder, *folder.parents) if _is_repository(place / '.git')), None)


def _is_repository(git: Path) -> bool:
    return git.is_file() or (git / 'HEAD').is_file()  # a file is what a worktree or a submodule has


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class JsonLines:
    """An append-only file of JSON objects, one a line, synced at most once a second.

    A last line torn by a crash is cut off when the file is opened again; one that only lacks its end is ended.
    """

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._synced, self._unsynced = time.monotonic(), False
        _heal(self._file)

    def append(self, *values: Mapping[str, Any]) -> None:
        """Write all lines with one call; where not every byte arrives, take back those that did and raise OSError."""
        data = ''.join(_DUMPS(value) + '\n' for value in values).encode('utf-8', 'backslashreplace')
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise
        self._unsynced = True
        self.sync_if_due()

    def sync_if_due(self) -> None:
        """Sync what was appended, unless that was done less than a second ago; raises OSError."""
        if self._unsynced and time.monotonic() - self._synced >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        os.fdatasync(self._file)
        self._synced, self._unsynced = time.monotonic(), False

    def close(self) -> None:
        os.close(self._file)


def _heal(file: int) -> None:
    data = os.pread(file, os.fstat(file).st_size, 0)
    end = data.rfind(b'\n') + 1
    if _object(data[end:]) is not None:
        os.write(file, b'\n')
        return
    while end and _object(data[data.rfind(b'\n', 0, end - 1) + 1 : end]) is None:
        end = data.rfind(b'\n', 0, end - 1) + 1
    if end != len(data):
        os.ftruncate(file, end)


def read_jsonl(path: Path | str) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
    """The objects of the file, and the 1-based numbers of complete lines that hold none.

    A torn last line is what a crash leaves: it is left out and not counted. Raises OSError.
    """
    with open(path, 'rb') as file:
        *lines, last = file.read().split(b'\n')
    objects = [_object(line) for line in lines]
    broken = tuple(number for number, value in enumerate(objects, 1) if value is None)
    return [value for value in (*objects, _object(last)) if value is not None], broken


def last_object(path: Path | str) -> dict[str, Any] | None:
    """The object of the last line of a file of lines shorter than 4 KiB; None where it holds none. Raises OSError."""
    with open(path, 'rb') as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        lines = file.read().splitlines()
    return _object(lines[-1]) if lines else None


def heal_jsonl(path: Path | str) -> tuple[list[dict[str, Any]], int]:
    """The objects of a file that nobody else writes, and how many damaged lines were taken out of it; raises OSError.

    Where there were any, the file as it was is kept beside it, as `.damaged`. No objects where there is no file.
    """
    try:
        objects, broken = read_jsonl(path)
    except FileNotFoundError:
        return [], 0
    if broken:
        write_atomic(f'{os.fspath(path)}.damaged', Path(path).read_bytes())
        write_atomic(path, ''.join(map(compact, objects)), durable=True)
    return objects, len(broken)


class Followed:
    """A growing text file that another process writes, read line by line as its lines become whole; never written to.

    Costs one `stat` where there is nothing new.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._file = 0  # its inode
        self._offset = 0  # of what was read
        self._size = 0

    def lines(self) -> tuple[list[bytes], bool]:
        """The whole lines since last time, and whether the file has begun anew: what was read before is void then.

        None where the file is not there or cannot be read now.
        """
        try:
            seen = os.stat(self._path)
            if (seen.st_ino, seen.st_size) == (self._file, self._size):
                return [], False
            with open(self._path, 'rb') as file:
                anew = bool(self._file) and (seen.st_ino != self._file or seen.st_size < self._offset)
                file.seek(0 if anew else self._offset)
                *lines, rest = file.read().split(b'\n')
                self._offset = file.tell() - len(rest)
        except OSError:
            return [], False
        self._file, self._size = seen.st_ino, seen.st_size
        return lines, anew

    def objects(self) -> tuple[list[dict[str, Any]], bool]:
        """Likewise, of a file of JSON objects; lines that hold none are left out."""
        lines, anew = self.lines()
        return [value for value in map(_object, lines) if value is not None], anew


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        text = line.decode().strip()
        value, end = _TAKE(text)  # json.loads also finds out its encoding: half of the time for a short line
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        return None
    return value if isinstance(value, dict) and end == len(text) else None


def try_lock(path: Path | str) -> int | None:
    """A descriptor that holds the lock until it is closed or the process ends; None where another holds it.

    The file is not there before its lock is held: who finds it free knows that its holder is gone.
    """
    until = time.monotonic() + _LOOKED_AT_SECONDS
    while True:
        if not os.path.exists(path) and (born := _born_locked(path)) is not None:
            return born
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
            os.close(file)  # it was removed before the lock was ours: that lock would keep nobody out
        except BlockingIOError:
            os.close(file)
            if time.monotonic() >= until:
                return None
            time.sleep(0.005)


def _is_at(file: int, path: Path | str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _born_locked(path: Path | str) -> int | None:
    """A new file that comes to stand at `path` with its lock on; None where another is there, or links are not."""
    file, beside = tempfile.mkstemp(prefix='.', suffix='.lock', dir=os.path.dirname(path) or '.')
    try:
        os.fchmod(file, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.link(beside, path)
    except OSError:
        os.close(file)
        return None
    finally:
        os.unlink(beside)
    return file


@contextmanager
def locked(path: Path | str) -> Iterator[None]:
    """Alone with a file that others change likewise: waits for the lock, which stands beside it as `.lock`."""
    with open(f'{path}.lock', 'ab') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lock_is_held(path: Path | str) -> bool:
    """Whether some process holds the lock; writes nothing. False where there is no such file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def may_hold_programs(folder: str) -> bool:
    """Whether programs in it can be run: not where its file system is mounted noexec, as a hardened /tmp is."""
    try:
        return not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except OSError:
        return True  # nobody can tell


def cannot_write(folder: Path | str) -> str | None:
    """Why nothing can be written to `folder` now (disk full, read-only, gone); None where it can.

    Asked after something went wrong there: a few kilobytes are really written and removed.
    """
    try:
        descriptor, path = tempfile.mkstemp(prefix='.', suffix='.probe', dir=folder)
    except OSError as error:
        return f'{folder}: {error.strerror}'
    try:
        if os.write(descriptor, bytes(_PROBE_BYTES)) < _PROBE_BYTES:
            return f'{folder}: {os.strerror(errno.ENOSPC)}'
        os.fsync(descriptor)
    except OSError as error:
        return f'{folder}: {error.strerror}'
    finally:
        os.close(descriptor)
        os.unlink(path)
    return None
