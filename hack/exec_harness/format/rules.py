"""What must hold in a scenario beyond its schema: what can be checked at all, what no run could ever satisfy."""

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from hack.common.source import Document, Problem, Table, suggest
from hack.exec_harness.format import events, values

_OF_REQUESTS: Final = ('responses_request_count', 'responses', 'function_call_outputs', 'requests_match')
_LISTS_OF_PARTS: Final = ('workspace_files', 'workspace_git_status', 'responses', 'function_call_outputs')
_FRAMING: Final = ('connection', 'content-length', 'transfer-encoding')
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_NO_CLAIM: Final = frozenset({'request', 'scope'})

Say = Callable[..., Problem]


def path_fault(path: str) -> str | None:
    """What is wrong with a path that must stay below a folder."""
    if '\0' in path:
        return 'holds a NUL (take it out)'
    if path.startswith('/'):
        return 'is absolute (write it from the folder on)'
    below = posixpath.normpath(path)
    if below == '..' or below.startswith('../'):
        return 'leaves the folder (stay below it)'
    return 'names no file (give it a name)' if below == '.' else None


def problems(document: Document, asked: frozenset[str], find: Callable[[str], Path]) -> Iterator[Problem]:
    """What is wrong with what the schema has accepted; `asked`: the keys that the file had, refused ones too."""
    raw = document.data
    if not asked & {'prompt', 'turns'}:
        yield document.problem('the scenario asks the agent nothing (give it a prompt, or turns)')
    if {'prompt', 'turns'} <= asked:
        yield document.problem('a prompt and turns (keep one of the two)', ('prompt',), of_key=True, within=raw)
    yield from _words(document, raw)
    yield from _files(document, raw.get('files', {}))
    yield from _sources(document, raw, find)
    yield from _api(document, raw.get('responses_api', {}))
    if isinstance(expect := raw.get('expect'), Table):
        yield from _expect(document, expect, asked)


def _words(document: Document, raw: Table) -> Iterator[Problem]:
    """What becomes an argument of the agent, or a variable of its environment, can hold no NUL."""
    texts: dict[tuple[str | int, ...], str] = {(key,): raw[key] for key in ('prompt', 'model') if key in raw}
    texts |= {('config_overrides', number): text for number, text in enumerate(raw.get('config_overrides', ()))}
    texts |= {('env', name): text for name, text in raw.get('env', {}).items()}
    for number, turn in enumerate(raw.get('turns', ())):
        texts[('turns', number)] = turn if isinstance(turn, str) else turn['prompt']
    for path, text in texts.items():
        if '\0' in text:
            yield document.problem('holds a NUL, which no program can be given (take it out)', path, within=raw)


def _files(document: Document, files: Any) -> Iterator[Problem]:
    """No file may stand where another one needs a folder."""
    names = {posixpath.normpath(path): path for path in files}
    for path in files:
        above = posixpath.dirname(posixpath.normpath(path))
        while above:
            if above in names:
                what = f'{names[above]!r} is a file, so nothing can be below it (rename one of the two)'
                yield document.problem(what, (path,), of_key=True, within=files)
            above = posixpath.dirname(above)


def _sources(document: Document, raw: Table, find: Callable[[str], Path]) -> Iterator[Problem]:
    for number, entry in enumerate(raw.get('copy', ())):
        if not find(entry['source']).exists():
            what = f'{entry["source"]!r} is not there (it is looked for beside this file, then where you are)'
            yield document.problem(what, ('copy', number, 'source'), within=raw)
    for number, name in enumerate(raw.get('skill_roots', ())):
        if fault := _skill_fault(find(name)):
            yield document.problem(f'the skill root {name!r} {fault}', ('skill_roots', number), within=raw)


def _skill_fault(root: Path) -> str | None:
    if not root.is_dir():
        return 'is no folder (it is looked for beside this file, then where you are)'
    if (root / 'SKILL.md').is_file() or any((root / name / 'SKILL.md').is_file() for name in os.listdir(root)):
        return None
    return 'holds no SKILL.md, nor does a folder in it (add one)'


def _api(document: Document, api: Any) -> Iterator[Problem]:
    names: set[str] = set()
    for number, reply in enumerate(api.get('responses', ()) if isinstance(api, Table) else ()):
        name = reply.get('name', f'responses[{number}]')
        if name in names:
            yield document.problem(f'a second reply is called {name!r} (rename one)', ('name',), within=reply)
        names.add(name)
        for at, event in enumerate(reply.get('events', ())):
            if fault := _event_fault(event):
                yield document.problem(fault, ('events', at), within=reply)
        yield from _headers(document, reply)
        fault, events = reply.get('fault'), reply.get('events', ())
        if isinstance(fault, Table) and fault.get('after', 0) > len(events):
            what = f'it comes after {fault["after"]} events, but there are {len(events)} (lower it)'
            yield document.problem(what, ('after',), within=fault)


def _headers(document: Document, reply: Table) -> Iterator[Problem]:
    """What could not be sent, and what no request could ever have."""
    sent = reply.get('headers', {})
    for name, value in sent.items():
        fault = _header_fault(name)
        if name.lower() in _FRAMING:
            fault = f'{name!r} is what the API itself says of a body (for one that ends too early: fault: truncate)'
        if fault:
            yield document.problem(fault, (name,), of_key=True, within=sent)
        elif re.search(r'[\0\r\n]', value):
            yield document.problem('a header holds no line break and no NUL (take it out)', (name,), within=sent)
    wanted = reply.get('when', {}).get('header', {})
    for name in wanted:
        if fault := _header_fault(name):
            yield document.problem(fault, (name,), of_key=True, within=wanted)


def _header_fault(name: str) -> str | None:
    return None if _HEADER.fullmatch(name) else f'{name!r} is no name of a header (use letters, digits and -)'


def _event_fault(event: Table) -> str | None:
    if ('item' in event) == ('payload' in event):
        return 'an event is an item or has a payload (give it one of the two)'
    if 'item' in event and len(event) > 1:
        return 'an item always comes as response.output_item.done (use payload for another event)'
    if 'payload' in event and not values.event_name(event):
        return 'nothing says what event this is (give it a type)'
    return None


# -- what is expected ----------------------------------------------------------------------


def _expect(document: Document, expect: Table, asked: frozenset[str]) -> Iterator[Problem]:
    for key in _OF_REQUESTS if 'responses_api' not in asked else ():
        if key in expect:
            what = f'without responses_api no request is seen, so {key!r} cannot be checked (add it, or remove this)'
            yield document.problem(what, (key,), of_key=True, within=expect)
    if 'gh_contains' in expect and 'gh' not in asked:
        what = "without gh no call of it is seen, so 'gh_contains' cannot be checked (add it, or remove this)"
        yield document.problem(what, ('gh_contains',), of_key=True, within=expect)
    yield from _kinds(document, expect)
    for key in _LISTS_OF_PARTS:
        for number, entry in enumerate(expect.get(key, ())):
            if fault := _vacuous(key, entry) or _contradiction(entry):
                yield document.problem(fault, (key, number), within=expect)


def _kinds(document: Document, expect: Table) -> Iterator[Problem]:
    """A kind that is misspelt never comes: 0 of it are no claim, and any other number blames the agent."""
    either = expect.get('event_count_any', {})
    known = events.KINDS | frozenset(expect.get('new_kinds', ()))
    for counts in (expect.get('event_count', {}), *([either] if isinstance(either, Table) else either)):
        for kind in counts:
            if kind not in known and (fault := _kind_fault(kind, counts[kind])):
                yield document.problem(fault, (kind,), of_key=True, within=counts)


def _kind_fault(kind: str, wanted: Any) -> str | None:
    """Of messages there are more than we know; one of them is taken for a new one if it is like none that we do."""
    near = suggest(kind, events.KINDS)
    may_be_none = wanted == 0 or (isinstance(wanted, list) and 0 in wanted)
    if not near and (not may_be_none or kind.startswith('msg.')):
        return None
    return f'unknown kind of event {kind!r}{near} (one that is new is named in new_kinds)'


def _vacuous(key: str, entry: Table) -> str | None:
    """Why an entry would hold whatever happens, or whatever is there."""
    if key == 'workspace_files' and entry.get('exists') is False and len(entry) > 2:
        return 'a file that does not exist has no text (remove one of the two)'
    if key in ('responses', 'function_call_outputs') and not entry.keys() - _NO_CLAIM:
        return 'nothing is expected of it (say what, as contains_all)'
    return None


def _contradiction(entry: Table) -> str | None:
    wanted = [entry.get('equals'), entry.get('contains'), *entry.get('contains_all', ())]
    refused = _list(entry.get('not_contains'))
    for part in refused:
        if any(isinstance(text, str) and part in text for text in wanted):
            return f'{part!r} is both expected and refused (remove one of the two)'
    return None


def _list(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else value or []
