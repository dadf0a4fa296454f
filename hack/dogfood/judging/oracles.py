"""What was expected against what was seen: findings, decided from plain values alone."""

import functools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from signal import Signals, strsignal
from typing import Any, Final, NamedTuple

from hack.common import jsonpath
from hack.common.process import FAULTS, Scan, line_around
from hack.dogfood.model import Expect, FileCheck, Finding, FindingKind, TextCheck

# Unambiguous ones only: words like ERROR and FATAL stand in honest refusals too. Each with a text that is part of it.
CRASH_MARKERS: Final[Mapping[str, bytes]] = {
    r'Traceback \(most recent call last\)': b'Traceback (most recent call last)',
    r'\bpanicked at\b': b'panicked at',
    r'\bpanic:': b'panic:',
    r'\bSegmentation fault\b': b'Segmentation fault',
    # As bash tells of a program that died in the middle of a script, whatever the script made of its status.
    r': line \d+: +\d+ (?:Aborted|Bad system call|Bus error|Floating point exception|Illegal instruction'
    r'|Trace/breakpoint trap)\b': b': line ',
    r'\b(?:ERROR|WARNING|SUMMARY): (?:Address|HWAddress|Leak|Memory|Thread|UndefinedBehavior)Sanitizer\b': b'Sanitizer',
}
_FAULT: Final = re.compile(rf'\b(?:SIG)?({"|".join(number.name[3:] for number in FAULTS)})\b')
_META: Final = re.compile(r'[\\^$.|?*+()\[{]')  # what makes a marker more than the text that it is
_SHOWN: Final = 2000  # characters of a text that a finding quotes
_NO_REFUSAL: Final = (126, 127)
_SHELL_SAYS: Final = re.compile(r'\A\S*bash: line \d+: ')  # its path and the line of a step tell the reader nothing
_USAGE: Final = 129  # git's own for a wrong option, not a hangup: nothing in a run hangs up


class Text(NamedTuple):
    """A stream or a file as it was kept: more than `head` only where it was too long to keep whole."""

    head: bytes
    tail: bytes = b''
    dropped: int = 0
    hits: tuple[bytes, ...] = ()  # lines with a crash marker in what was dropped

    def parts(self) -> list[str]:
        return [_decode(self.head), _decode(self.tail)] if self.dropped else [_decode(self.head)]

    def join(self) -> str:
        return f'\n[… {self.dropped} bytes were cut here …]\n'.join(self.parts())


class FileSeen(NamedTuple):
    """A path after the step: `text` is None for what is no readable file, and `why` says what it is instead."""

    exists: bool
    text: Text | None = None
    why: str = ''  # of one that does not exist too: a link that leads nowhere


class Seen(NamedTuple):
    """What one run of a step showed. `status` is 128 + n after signal n, None where it did not end by itself."""

    status: int | None
    seconds: float
    out: Text = Text(b'')
    err: Text = Text(b'')
    files: Mapping[str, FileSeen] = {}
    signalled: bool = False  # the step's own shell died by the signal


@functools.cache
def crash_scan(own: tuple[str, ...]) -> Scan:
    """The built-in markers and a feature's own, over raw output."""
    pattern = re.compile('|'.join(f'(?:{marker})' for marker in (*CRASH_MARKERS, *own)).encode(), re.M)
    if any(_META.search(marker) for marker in own):
        return Scan(pattern)
    return Scan(pattern, (*CRASH_MARKERS.values(), *(marker.encode() for marker in own)))


def findings(
    expect: Expect,
    seen: Seen,
    crashes: Scan,
    allowed: Sequence[str] = (),
    show: Callable[[str], str] = str,
) -> list[Finding]:
    """Every violation of one step, implicit oracles included; empty where everything held.

    A finding of kind `harness` says that the expectation could not be judged. Texts pass through
    `show` (which masks secrets) before they are shortened.
    """
    found = [*_exit(expect, seen), *_crashes(expect, seen, crashes, allowed)]
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


def signal_of(status: int | None, signalled: bool) -> str | None:
    """The signal's name where the status says that one ended the program (bash passes it on as 128 + n)."""
    if status is None or (status == _USAGE and not signalled):
        return None
    try:
        return Signals(status - 128).name
    except ValueError:
        return None


def _exit(expect: Expect, seen: Seen) -> list[Finding]:
    status = seen.status
    if status == expect.exit or status is None:  # one that never ended is judged by its end, not by a number
        return []
    if name := signal_of(status, seen.signalled):
        return [finding('crash', _exit_words(expect.exit), f'death by signal {name}')]
    if expect.exit == 'nonzero' and status not in (0, *_NO_REFUSAL):
        return []
    return [finding('exit', _exit_words(expect.exit), f'exit {status}{_last_words(seen)}')]


def _last_words(seen: Seen) -> str:
    """What a reader wants to know next: the last line of standard error, where programs say why."""
    said = seen.err.parts()[-1].strip()
    return f': {_SHELL_SAYS.sub("", said.splitlines()[-1])}' if said else ''


def _exit_words(wanted: int | str) -> str:
    if wanted == 'nonzero':
        return 'a refusal: an exit status other than 0, 126 and 127, no death by a signal'
    return f'exit {wanted}'


def _crashes(expect: Expect, seen: Seen, crashes: Scan, allowed: Sequence[str]) -> list[Finding]:
    for where, text, check in (('output', seen.out, expect.stdout), ('error', seen.err, expect.stderr)):
        for match, line in _marked(text, crashes, allowed):
            if not _is_wanted(match, check):
                return [finding('crash', 'no crash marker', f'on standard {where}: {line}')]
    return []


def of_survivors(
    said: Sequence[Text],
    died: Sequence[tuple[str, Signals]],
    sent: Collection[Signals],
    crashes: Scan,
    allowed: Sequence[str] = (),
    show: Callable[[str], str] = str,
) -> list[Finding]:
    """What is wrong with what earlier steps left running. `sent`: signals that the chain's steps send themselves."""
    lines = [line for text in said for _, line in _marked(text, crashes, allowed)]
    wanted = 'no crash of what runs on from an earlier step'
    told = [f'{who}: death by signal {number.name}' for who, number in died if number in FAULTS and number not in sent]
    told += [f'it said: {line}' for line in lines[:1]]
    found = [text for text in told if not any(re.search(pattern, text) for pattern in allowed)]
    return [finding('crash', wanted, _shorten(show(text))) for text in found]


def signals_in(scripts: Iterable[str]) -> frozenset[Signals]:
    """The signals that these scripts name, as in `kill -ABRT`."""
    return frozenset(Signals[f'SIG{name}'] for script in scripts for name in _FAULT.findall(script))


def asked_for(expect: Expect, sent: Iterable[Signals]) -> list[str]:
    """What bash says of a death that the step expects by its exit status, or that the chain's steps bring about."""
    wanted = {number for number in FAULTS if number + 128 == expect.exit} | {*sent}
    return [rf': line \d+: +\d+ {strsignal(number)}' for number in sorted(wanted)]


def _marked(text: Text, crashes: Scan, allowed: Sequence[str]) -> Iterator[tuple[re.Match[bytes], str]]:
    """Crash markers that are not allowed, and the lines they stand in."""
    for part in (text.head, text.tail, *text.hits):
        for match in crashes.finditer(part):
            line = _decode(line_around(match))
            if not any(re.search(pattern, line) for pattern in allowed):
                yield match, line


def _is_wanted(match: re.Match[bytes], check: TextCheck | None) -> bool:
    """Whether the step says that it wants to see this: then it is no crash."""
    if check is None:
        return False
    marker = _decode(match.group())
    return any(marker in text for text in (check.equals, *check.contains, check.matches) if text)


def check_text(kind: FindingKind, where: str, check: TextCheck, text: Text) -> list[Finding]:
    """Violations of one text check. What was cut away is never held against the product, nor for it."""
    whole, parts = text.join(), text.parts()

    def violated(expected: str, sure: bool = False) -> Finding:
        if sure or not text.dropped:
            return finding(kind, f'{where} {expected}', whole)
        cut = f'{text.dropped} bytes of {where} were cut, what is left does not tell: {whole}'
        return finding('harness', f'{where} {expected}', cut)

    found: list[Finding] = []
    if check.equals is not None:
        # A command ends its last line, a person who writes down what it says does not.
        wanted = [check.equals] if kind == 'files' else [check.equals, f'{check.equals}\n']
        if text.dropped or whole not in wanted:
            found.append(violated(f'equals {check.equals}', sure=not any(_could_be(text, one) for one in wanted)))
    for part in check.contains:
        if not any(part in kept for kept in parts):
            found.append(violated(f'contains {part}'))
    for part in check.not_contains:
        is_there = any(part in kept for kept in parts)
        if is_there or text.dropped:
            found.append(violated(f'does not contain {part}', sure=is_there))
    if check.matches is not None and not _matches(check.matches, parts):
        found.append(violated(f'matches {check.matches}'))
    return [*found, *_json(check, whole, violated)] if check.json else found


def _could_be(text: Text, wanted: str) -> bool:
    """Whether the text may be the wanted one, as far as what was kept tells."""
    raw = wanted.encode(errors='surrogatepass')
    size = len(text.head) + text.dropped + len(text.tail)
    return len(raw) == size and raw.startswith(text.head) and raw.endswith(text.tail)


def _matches(pattern: str, parts: Sequence[str]) -> bool:
    """Whether the pattern is found, and not only because a part ends, or begins, where it was cut."""
    if len(parts) == 1:
        return re.search(pattern, parts[0]) is not None
    head, tail = parts
    before = any(match.end() < len(head) for match in re.finditer(pattern, head))
    return before or any(match.start() > 0 for match in re.finditer(pattern, tail))


def _json(check: TextCheck, text: str, violated: Callable[[str], Finding]) -> list[Finding]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [violated(f'is JSON ({error})')]
    found = []
    for path, wanted in check.json:
        try:
            value = jsonpath.value_at(document, path)
        except LookupError:
            found.append(violated(f'has {path}: {_compact(wanted)} (there is no {path})'))
            continue
        if not jsonpath.same(value, wanted):
            found.append(violated(f'has {path}: {_compact(wanted)} (it is {_compact(value)})'))
    return found


def _file(check: FileCheck, seen: FileSeen) -> list[Finding]:
    if check.exists is False:
        there = 'it exists' if seen.exists else seen.why
        return [finding('files', f'{check.path} does not exist', there)] if there else []
    if not seen.exists:
        return [finding('files', f'{check.path} exists', seen.why or 'it does not exist')]
    if check.text == TextCheck():
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
    return data.decode(errors='backslashreplace')
