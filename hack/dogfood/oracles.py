"""What was expected against what was seen: findings, decided from plain values alone."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from signal import Signals
from typing import Any, Final, NamedTuple

from hack.dogfood.model import Expect, Feature, FileCheck, Finding, FindingKind, TextCheck

# Unambiguous ones only: words like ERROR and FATAL stand in honest refusals too.
CRASH_MARKERS: Final = (
    r'Traceback \(most recent call last\)',
    r'\bpanicked at\b',
    r'\bpanic:',
    r'\bSegmentation fault\b',
    r'ERROR: (?:Address|HWAddress|Leak|Memory|Thread|UndefinedBehavior)Sanitizer',
    r'WARNING: (?:Memory|Thread)Sanitizer',
)
_SHOWN: Final = 2000  # characters of a text that a finding quotes
_NO_REFUSAL: Final = (126, 127)


class Text(NamedTuple):
    """A stream or a file as it was kept: `tail` and `dropped` only where it was too long to keep whole."""

    head: bytes
    tail: bytes = b''
    dropped: int = 0

    def join(self) -> str:
        text = _decode(self.head)
        return text + f'\n[… {self.dropped} bytes were cut here …]\n' + _decode(self.tail) if self.dropped else text


class FileSeen(NamedTuple):
    """A path after the step: `text` is None for what exists but is no readable file."""

    exists: bool
    text: Text | None = None
    why: str = ''


class Seen(NamedTuple):
    """What one run of a step showed. `status` is 128 + n after signal n, None where it did not end by itself."""

    status: int | None
    seconds: float
    out: Text = Text(b'')
    err: Text = Text(b'')
    files: Mapping[str, FileSeen] = {}
    crash_hits: tuple[str, ...] = ()  # crash markers in what was not kept


def crash_pattern(feature: Feature) -> re.Pattern[bytes]:
    """The built-in markers and the feature's own, over raw output."""
    return re.compile('|'.join(f'(?:{marker})' for marker in (*CRASH_MARKERS, *feature.crash_markers)).encode(), re.M)


def findings(
    expect: Expect,
    seen: Seen,
    crashes: re.Pattern[bytes],
    allowed: Sequence[str] = (),
    show: Callable[[str], str] = str,
) -> list[Finding]:
    """Every violation of one step, implicit oracles included; empty where everything held.

    A finding of kind `harness` says that the expectation could not be judged. Texts pass through
    `show` (which masks secrets) before they are shortened.
    """
    found: list[Finding] = []
    found += _exit(expect, seen)
    found += _crashes(expect, seen, crashes, allowed)
    if expect.stdout:
        found += check_text('stdout', 'standard output', expect.stdout, seen.out)
    if expect.stderr:
        found += check_text('stderr', 'standard error', expect.stderr, seen.err)
    for check in expect.files:
        found += _file(check, seen.files[check.path])
    if expect.latency is not None and seen.seconds > expect.latency:
        found.append(finding('latency', f'at most {expect.latency:g} s', f'{seen.seconds:.3f} s'))
    for entry in found:
        entry['expected'] = _shorten(show(entry['expected']))
        entry['observed'] = _shorten(show(entry['observed']))
    return found


def finding(kind: FindingKind, expected: str, observed: str, step: int | None = None) -> Finding:
    return Finding(kind=kind, step=step, expected=expected, observed=observed, evidence=None)


def signal_of(status: int | None) -> str | None:
    """The signal's name where the status says that one ended the program (bash passes it on as 128 + n)."""
    if status is None or status <= 128:
        return None
    try:
        return Signals(status - 128).name
    except ValueError:
        return None


def _exit(expect: Expect, seen: Seen) -> list[Finding]:
    status = seen.status
    if status == expect.exit or status is None:  # one that never ended is judged by its end, not by a number
        return []
    if name := signal_of(status):
        return [finding('crash', _exit_words(expect.exit), f'death by signal {name}')]
    if expect.exit == 'nonzero' and status not in (0, *_NO_REFUSAL):
        return []
    return [finding('exit', _exit_words(expect.exit), f'exit {status}')]


def _exit_words(wanted: int | str) -> str:
    return 'a refusal: an exit status from 1 to 125' if wanted == 'nonzero' else f'exit {wanted}'


def _crashes(expect: Expect, seen: Seen, crashes: re.Pattern[bytes], allowed: Sequence[str]) -> list[Finding]:
    for name, text, check in (('output', seen.out, expect.stdout), ('error', seen.err, expect.stderr)):
        for match in (match for part in (text.head, text.tail) for match in crashes.finditer(part)):
            line = _line_around(match)
            wanted = check and any(match.group().decode('utf-8', 'replace') in text for text in _wanted(check))
            if not wanted and not any(re.search(pattern, line) for pattern in allowed):
                return [finding('crash', 'no crash marker', f'on standard {name}: {line}')]
    for line in seen.crash_hits:
        if not any(re.search(pattern, line) for pattern in allowed):
            return [finding('crash', 'no crash marker', f'in the part of the output that was cut: {line}')]
    return []


def _line_around(match: re.Match[bytes]) -> str:
    start = match.string.rfind(b'\n', 0, match.start()) + 1
    end = match.string.find(b'\n', match.end())
    return _decode(match.string[start : end if end >= 0 else None])


def _wanted(check: TextCheck) -> Iterable[str]:
    """Texts the step says it wants to see: a marker inside them is no crash."""
    return (text for text in (check.equals, *check.contains, check.matches) if text)


def check_text(kind: FindingKind, where: str, check: TextCheck, text: Text) -> list[Finding]:
    """Violations of one text check. What was cut away is never held against the product."""
    whole = text.join()
    parts = [_decode(text.head), _decode(text.tail)]

    def violated(expected: str, sure: bool = True) -> Finding:
        if sure or not text.dropped:
            return finding(kind, f'{where} {expected}', whole)
        cut = f'{text.dropped} bytes of {where} were cut, what is left does not tell: {whole}'
        return finding('harness', f'{where} {expected}', cut)

    found: list[Finding] = []
    # A command ends its last line, a person who writes down what it says does not.
    same = whole == check.equals or (kind != 'files' and whole == f'{check.equals}\n')
    if check.equals is not None and (text.dropped or not same):
        found.append(violated(f'equals {check.equals}'))
    for part in check.contains:
        if not any(part in kept for kept in parts):
            found.append(violated(f'contains {part}', sure=False))
    for part in check.not_contains:
        if any(part in kept for kept in parts):
            found.append(violated(f'does not contain {part}'))
        elif text.dropped:
            found.append(violated(f'does not contain {part}', sure=False))
    if check.matches is not None and not any(re.search(check.matches, kept) for kept in parts):
        found.append(violated(f'matches {check.matches}', sure=False))
    if check.json:
        found += _json(check, whole, violated)
    return found


def _json(check: TextCheck, text: str, violated: Callable[..., Finding]) -> list[Finding]:
    try:
        document = json.loads(text)
    except ValueError as error:
        return [violated(f'is JSON ({error})', sure=False)]
    found = []
    for path, wanted in check.json:
        try:
            value = _at(document, path)
        except (KeyError, IndexError, TypeError):
            found.append(violated(f'has {path}: {_compact(wanted)} (there is no {path})'))
            continue
        # 1 == True in Python, but not in JSON.
        if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
            found.append(violated(f'has {path}: {_compact(wanted)} (it is {_compact(value)})'))
    return found


def json_path(path: str) -> list[str | int]:
    """`a.b[0]` as keys and indexes; raises ValueError. A path may start with an index: `[0].name`."""
    if not re.fullmatch(r'(?:[^.\[\]]+|\[-?\d+\])(?:\.[^.\[\]]+|\[-?\d+\])*', path):
        raise ValueError(f'not a path like a.b[0]: {path!r}')
    return [int(index) if index else key for key, index in re.findall(r'([^.\[\]]+)|\[(-?\d+)\]', path)]


def _at(document: Any, path: str) -> Any:
    for key in json_path(path):
        if isinstance(key, str) and not isinstance(document, dict):
            raise TypeError(path)
        document = document[key]
    return document


def _file(check: FileCheck, seen: FileSeen) -> list[Finding]:
    wants_text = check.text != TextCheck()
    if check.exists is False:
        return [finding('files', f'{check.path} does not exist', 'it exists')] if seen.exists else []
    if not seen.exists:
        return [finding('files', f'{check.path} exists', seen.why or 'it does not exist')]
    if not wants_text:
        return []
    if seen.text is None:
        return [finding('files', f'{check.path} is a readable file', seen.why)]
    return check_text('files', check.path, check.text, seen.text)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shorten(text: str) -> str:
    """The text as it is, its middle left out where it is long."""
    if len(text) <= _SHOWN:
        return text
    return f'{text[: _SHOWN // 2]}\n[… {len(text) - _SHOWN} characters …]\n{text[-_SHOWN // 2 :]}'


def _decode(data: bytes) -> str:
    return data.decode('utf-8', 'backslashreplace')
