"""What reviewers decided about causes: kept in the corpus's triage.yaml, edited so that all else in it stays.

A decision is a person's word about a fingerprint (`triage`). It changes no verdict.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.errors import UserError
from hack.common.files import write_atomic
from hack.common.schema import Schema
from hack.common.source import Document, Problem, Table, parse_yaml, read

FILE: Final = 'triage.yaml'
_SCHEMA: Final = Path(__file__).resolve().parents[1] / 'schema' / 'triage.schema.json'
_SAYS_SOMETHING: Final = re.compile(rb'^\s*[^\s#]', re.M)
_HEAD: Final = """\
# What reviewers decided about the causes that `run_journeys.py triage` lists: real, intended, self-inflicted or
# discoverability. Yours to edit; `triage decide` leaves your comments and their order alone.
decisions:
"""


class Decision(NamedTuple):
    decision: str  # one of model.DECISIONS
    note: str = ''
    decided: str = ''  # the day, UTC
    cause: str = ''  # what was found, in words
    path: str = ''  # of the file that says so,
    line: int = 0  # and where, 1-based


def places(corpus: Iterable[str]) -> list[str]:
    """Where decisions about a corpus are kept: beside its files, given the folders and files it was named by."""
    folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in corpus]
    return sorted({os.path.join(folder, FILE) for folder in folders})


def of_run(run: Mapping[str, Any]) -> list[str]:
    """The same of a run that was recorded (`run` of its bundle), as seen from here.

    A run of another machine may have been started in a folder that is not on this one: then it is looked for here.
    """
    kept = run.get('decisions') or places(file['path'] for file in run.get('corpus') or ())
    cwd = run.get('cwd') or ''
    return [os.path.relpath(os.path.join(cwd if os.path.isdir(cwd) else '', path)) for path in kept]


def load(paths: Iterable[str]) -> dict[str, Decision]:
    """By fingerprint; a file that is not there holds none. Raises UserError with everything that is wrong."""
    found: list[Problem] = []
    known: dict[str, Decision] = {}
    for path in filter(os.path.exists, paths):
        text = read(path, found)
        document = parse_yaml(path, text, found) if text and _SAYS_SOMETHING.search(text) else None
        for fingerprint, decision in _decisions(document, found) if document else ():
            if fingerprint in known:
                first = known[fingerprint]
                what = f'{fingerprint} is decided in {first.path}:{first.line} already (keep one of the two)'
                found.append(document.problem(what, ('decisions', fingerprint), of_key=True))  # type: ignore[union-attr]
            known[fingerprint] = decision
    if found:
        raise UserError([str(problem) for problem in sorted(set(found))])
    return known


def _decisions(document: Document, found: list[Problem]) -> Iterable[tuple[str, Decision]]:
    violations = Schema(_SCHEMA.read_text(encoding='utf-8'), {}).violations(document)
    found.extend(violation.problem for violation in violations)
    if violations:
        return
    entries: Table = document.data.get('decisions') or Table()
    for fingerprint, said in entries.items():
        yield fingerprint, Decision(**said, path=document.path, line=entries.place(fingerprint, of_key=True).line)


# -- writing -------------------------------------------------------------------------------


def keep(path: str, fingerprint: str, decision: Decision) -> None:
    """Write the decision into the file, in the place of one about the same fingerprint; raises UserError.

    Only the lines that change are touched. Where the file is so written that this cannot be done, it stays as it is.
    """
    if not os.path.isdir(os.path.dirname(path) or '.'):
        raise UserError(f'{path}: its corpus is not here (decide where the corpus is)')
    known = load([path])
    old = Path(path).read_text(encoding='utf-8') if os.path.exists(path) else ''
    said = _said(decision)
    new = edited(old, fingerprint, said)
    if _plain(new) != {**{name: _said(one) for name, one in known.items()}, fingerprint: said}:
        raise UserError(f'{path}: cannot be edited line by line (write `decisions:` as an indented block, or edit it)')
    try:
        write_atomic(path, new, durable=True)
    except OSError as error:
        raise UserError(f'{path}: cannot be written: {error.strerror} (check its permissions)') from error


def edited(text: str, fingerprint: str, said: Mapping[str, str]) -> str:
    """The text of a triage.yaml with this entry set; what is no part of the entry is not touched. Pure."""
    lines = text.splitlines()
    if not any(re.match(r'decisions:\s*(#.*)?$', line) for line in lines):
        empty = [line for line in lines if not re.match(r'decisions:\s*(\{\s*\}|null|~)\s*$', line)]
        lines = [*empty, *_HEAD.splitlines()]
    start = next((n for n, line in enumerate(lines) if re.match(rf' +{fingerprint}:\s*(#.*)?$', line)), None)
    if start is None:
        indent = _indent(lines, lines.index(next(line for line in lines if line.startswith('decisions:'))))
        return '\n'.join([*lines, f'{" " * indent}{fingerprint}:', *_fields(said, 2 * indent)]) + '\n'
    end = _end(lines, start)
    inner = _indent(lines, start)
    body = _replaced(lines[start + 1 : end], said, inner)
    return '\n'.join([*lines[: start + 1], *body, *lines[end:]]) + '\n'


def _replaced(body: Sequence[str], said: Mapping[str, str], indent: int) -> list[str]:
    """The lines of an entry with new values; its comments stay where they stand."""
    kept: list[str] = []
    left = dict(said)
    number = 0
    while number < len(body):
        field = re.match(r' +(\w+):', body[number])
        end = _end(body, number) if field else number + 1
        if field is None:
            kept.append(body[number])
        elif field[1] in left:
            kept += [line + _remark(body[number:end]) for line in _fields({field[1]: left.pop(field[1])}, indent)]
        number = end
    while left and kept and not kept[-1].strip():
        kept.pop()
    return [*kept, *_fields(left, indent)]


def _remark(lines: Sequence[str]) -> str:
    """The comment that ends a field of one line."""
    for at in (match.start() for match in re.finditer(r'\s+#', lines[0])) if len(lines) == 1 else ():
        if _plain(lines[0].strip()) == _plain(lines[0][:at].strip()):
            return lines[0][at:]
    return ''


def _end(lines: Sequence[str], start: int) -> int:
    """One past the last line of the block that begins there; blank lines and comments after it are not its own."""
    depth = len(lines[start]) - len(lines[start].lstrip())
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= depth:
            break
        if line.strip():
            end = number + 1
    return end


def _indent(lines: Sequence[str], start: int) -> int:
    """How far what stands below this line is indented."""
    below = (line for line in lines[start + 1 :] if line.strip() and not line.lstrip().startswith('#'))
    first = next(below, '')
    depth = len(lines[start]) - len(lines[start].lstrip())
    indent = len(first) - len(first.lstrip())
    return indent if indent > depth else depth + 2


def _fields(said: Mapping[str, str], indent: int) -> list[str]:
    return [f'{" " * indent}{key}: {_scalar(value)}' for key, value in said.items()]


def _scalar(value: str) -> str:
    """Plain where YAML reads it as this very text, else in double quotes, with escapes for what cannot be seen."""
    is_plain = re.fullmatch(r"[A-Za-z][\w .,;()'/-]*[\w.)]", value) and _plain(f'a: {value}') == {'a': value}
    if is_plain:
        return value
    signs = (f'\\{sign}' if sign in '"\\' else sign if sign.isprintable() else f'\\U{ord(sign):08x}' for sign in value)
    return f'"{"".join(signs)}"'


def _said(decision: Decision) -> dict[str, str]:
    return {key: value for key, value in decision._asdict().items() if value and key not in ('path', 'line')}


def _plain(text: str) -> Any:
    """What the text says, without the places; of a whole triage.yaml, its decisions. None where it is no YAML."""
    document = parse_yaml('', text.encode('utf-8', 'surrogateescape'), [])
    data = document.data if document else None
    return data.get('decisions') if isinstance(data, dict) and 'decisions' in data else data
