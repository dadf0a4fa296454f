"""What GitHub's log is told of a run: a foldable group for each journey that went wrong, annotations at its place."""

import functools
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from hack.common.console import Console, cut, visible
from hack.common.files import repository_of
from hack.dogfood.model import Json
from hack.dogfood.reporting import report

SHOWN: Final = 10  # of each level GitHub shows as many for one step, and drops the rest without a word
_GROUPS: Final = 50
_MESSAGE_CHARACTERS: Final = 1000
_LEVELS: Final = {'failed': 'error', 'infra': 'warning'}


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the log is read by a continuous-integration server that knows workflow commands."""
    said = (environment.get(name, '') for name in ('CI', 'GITHUB_ACTIONS'))
    return any(value.lower() not in ('', '0', 'false') for value in said)


@contextmanager
def guard(console: Console) -> Iterator[None]:
    """Have the server take nothing for a command that is written meanwhile, whatever products had to say."""
    token = secrets.token_hex(16)
    console.say(f'::stop-commands::{token}')
    yield
    console.say(f'::{token}::')


def say(bundle: Json, folder: Path | str, console: Console) -> None:
    """All that is to be written after the table of the run in `folder`."""
    wrong = _wrong(bundle)
    for each in wrong[:_GROUPS]:
        console.say(f'::group::{_data(each.title)}')
        with guard(console):
            console.say(*report.details(each.journey, bundle))
        console.say('::endgroup::')
    if annotated := _annotations(bundle, wrong, folder):
        console.say(*annotated)


class _Wrong(NamedTuple):
    """A journey that is to be looked at, how badly, and how it is called."""

    level: str
    title: str
    journey: Json


def _wrong(bundle: Json) -> list[_Wrong]:
    """Errors come first. What a reviewer's decision lets pass is none."""
    allowed = set((bundle.get('triage') or {}).get('allowed', ()))
    found = []
    for journey in bundle['journeys']:
        known = journey['id'] in allowed
        level = 'warning' if known or journey['flaky'] else _LEVELS.get(journey['verdict'])
        word = 'known' if known else 'flaky' if journey['flaky'] else journey['verdict']
        found += [_Wrong(level, f'{word}: {journey["id"]}', journey)] if level else []
    return sorted(found, key=lambda each: each.level)


def _annotations(bundle: Json, wrong: Sequence[_Wrong], folder: Path | str) -> list[str]:
    cwd = bundle['run'].get('cwd') or ''
    said = {level: [_at(each, cwd) for each in wrong if each.level == level] for level in ('error', 'warning')}
    said['warning'] += [('', f'{found["evidence"]}: {found["observed"]}') for found in bundle['problems']]
    return [line for level, found in said.items() for line in _limited(level, found, folder)]


def _limited(level: str, found: Sequence[tuple[str, str]], folder: Path | str) -> list[str]:
    """As many as GitHub shows, the last one saying how many more there are."""
    shown = found if len(found) <= SHOWN else found[: SHOWN - 1]
    annotated = [f'::{level}{f" {place}" if place else ""}::{_data(message)}' for place, message in shown]
    if len(found) > len(shown):
        annotated.append(f'::{level}::{_data(f"and {len(found) - len(shown)} more: see {folder}/bundle.json")}')
    return annotated


def _at(each: _Wrong, cwd: str) -> tuple[str, str]:
    """Where an annotation belongs, and what it says."""
    cause = each.journey['cause'] or 'passed only when it was tried again'
    place = f'file={_property(_from_root(each.journey["path"], cwd))},line={each.journey["line"]}'
    return f'{place},title={_property(each.title)}', f'{cause}\n{each.journey["promise"]}'


def _from_root(path: str, cwd: str) -> str:
    """The path from the root of its repository, as GitHub knows it; as it was given where that is not found."""
    whole = os.path.normpath(os.path.join(cwd, path))
    root = _root(os.path.dirname(whole)) if os.path.isabs(whole) else None
    return os.path.relpath(whole, root) if root else path


@functools.cache
def _root(folder: str) -> Path | None:
    return repository_of(Path(folder))


def _data(text: str) -> str:
    """The text as a command's message: lines stay lines, nothing in it steers a terminal or ends the command."""
    told = cut('\n'.join(map(visible, text.splitlines())), _MESSAGE_CHARACTERS)
    return told.replace('%', '%25').replace('\r', '%0D').replace('\n', '%0A')


def _property(text: str) -> str:
    return _data(text).replace(':', '%3A').replace(',', '%2C')
