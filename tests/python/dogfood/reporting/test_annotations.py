"""What GitHub is told of a run: read back as its runner reads it."""

import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hack.common.console import Console
from hack.dogfood.reporting import annotations
from tests.python.dogfood import samples

HOSTILE = '100%\n::error::not from us\r##[error]nor this\x1b[31m, a:b'


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    message: str


def read(text: str) -> list[Command | str]:
    """The log as the runner takes it: commands, and lines; nothing is a command while it is told so."""
    found: list[Command | str] = []
    token = ''
    for line in text.splitlines():
        said = re.fullmatch(r'::([a-z-]+|[0-9a-f-]{32,36})(?: ([^:]*))?::(.*)', line)
        if token and line == f'::{token}::':
            token = ''
        elif said and not token and said[1] == 'stop-commands':
            token = said[3]
        elif said and not token:
            properties = dict(pair.split('=', 1) for pair in (said[2] or '').split(',') if pair)
            plain = {key: unescaped(value) for key, value in properties.items()}
            found.append(Command(said[1], plain, unescaped(said[3])))
        else:
            found.append(line)
    return found


def unescaped(text: str) -> str:
    for code, char in (('%0D', '\r'), ('%0A', '\n'), ('%3A', ':'), ('%2C', ','), ('%25', '%')):
        text = text.replace(code, char)
    return text


def entry(id: str, verdict: str = 'failed', **said: Any) -> dict[str, Any]:
    return {**samples.planned(), **samples.record(id, verdict, findings=[samples.FINDING]), **said}


def bundle(*journeys: dict[str, Any], cwd: str = '/nowhere', problems: tuple[Any, ...] = ()) -> dict[str, Any]:
    run = {**samples.RUN, 'cwd': cwd}
    return {'run': run, 'journeys': list(journeys), 'problems': list(problems)}


def said(made: dict[str, Any]) -> list[Command | str]:
    file = io.StringIO()
    annotations.say(made, '.dogfood/runs/x', Console(file))
    return read(file.getvalue())


def commands(made: dict[str, Any], *names: str) -> list[Command]:
    return [one for one in said(made) if isinstance(one, Command) and one.name in names]


def test_each_journey_that_went_wrong_is_told_at_its_place() -> None:
    made = bundle(
        entry('a', 'passed'),
        entry('b', 'failed', cause='it broke', path='journeys/git.yaml', line=12),
        entry('c', 'infra', cause='the disk is full', line=7),
        entry('d', 'passed', flaky=True),
        entry('e', 'blocked'),
        entry('f', 'skipped'),
    )
    place = {'file': 'journeys/images.yaml', 'line': '3'}
    assert commands(made, 'error', 'warning') == [
        Command(
            'error', {'file': 'journeys/git.yaml', 'line': '12', 'title': 'failed: b'}, 'it broke\nIt works.'
        ),
        Command('warning', {**place, 'line': '7', 'title': 'infra: c'}, 'the disk is full\nIt works.'),
        Command('warning', {**place, 'title': 'flaky: d'}, 'passed only when it was tried again\nIt works.'),
    ]  # fmt: skip


def test_what_is_known_and_let_pass_is_no_error() -> None:
    made = {**bundle(entry('a'), entry('b')), 'triage': {'allowed': ['a']}}
    told = [(one.name, one.properties['title']) for one in commands(made, 'error', 'warning')]
    assert told == [('error', 'failed: b'), ('warning', 'known: a')]


def test_a_group_tells_what_was_found_and_how_to_run_it_alone() -> None:
    log = said(bundle(entry('b', cause='it broke')))
    begin = log.index(Command('group', {}, 'failed: b'))
    lines = log[begin + 1 : log.index(Command('endgroup', {}, ''))]
    assert lines[0] == 'it broke'
    assert '  expected: it contains COMMIT' in lines
    assert str(lines[-1]).startswith('to run it alone: make')
    assert str(lines[-1]).endswith(' ONLY=b')


def test_nothing_that_a_product_said_is_a_command() -> None:
    finding = {**samples.FINDING, 'observed': HOSTILE}
    made = bundle(entry('b', cause=HOSTILE, promise=HOSTILE, path=f'journeys/{HOSTILE}.yaml', findings=[finding]))
    log = said(made)
    assert [one.name for one in log if isinstance(one, Command)] == ['group', 'endgroup', 'error']
    error = log[-1]
    assert isinstance(error, Command)
    assert error.properties['line'] == '3'
    assert error.message.startswith('100%\n::error::not from us')
    assert '\x1b' not in ''.join(map(str, log))


@pytest.mark.parametrize(
    ('count', 'shown', 'last'),
    [
        (10, 10, 'it is failed\nIt works.'),
        (11, 10, 'and 2 more: see .dogfood/runs/x/bundle.json'),
        (500, 10, 'and 491 more: see .dogfood/runs/x/bundle.json'),
    ],
)
def test_no_more_than_github_shows(count: int, shown: int, last: str) -> None:
    made = bundle(*(entry(f'j{number}') for number in range(count)), entry('other', 'infra'))
    errors = commands(made, 'error')
    assert (len(errors), errors[-1].message) == (shown, last)
    assert len(commands(made, 'warning')) == 1
    assert len(commands(made, 'group')) == min(count + 1, 50)


def test_a_message_of_a_megabyte_is_cut() -> None:
    (error,) = commands(bundle(entry('b', cause='x' * 1_000_000)), 'error')
    assert len(error.message) == 1000


def test_what_is_wrong_with_the_records_is_a_warning() -> None:
    problem = {**samples.FINDING, 'kind': 'harness', 'evidence': 'shards/1/results.jsonl', 'observed': 'damaged'}
    assert commands(bundle(problems=(problem,)), 'warning') == [
        Command('warning', {}, 'shards/1/results.jsonl: damaged')
    ]
    assert said(bundle(entry('a', 'passed'))) == []


@pytest.mark.parametrize(
    ('cwd', 'path', 'file'),
    [
        ('.', 'journeys/a.yaml', 'journeys/a.yaml'),
        ('part/deep', '../../journeys/a.yaml', 'journeys/a.yaml'),
        ('part', 'journeys/a.yaml', 'part/journeys/a.yaml'),
        ('elsewhere', '{root}/journeys/a.yaml', 'journeys/a.yaml'),
    ],
)
def test_paths_are_told_from_the_root_of_the_repository(tmp_path: Path, cwd: str, path: str, file: str) -> None:
    root = tmp_path / 'repository'
    (root / '.git').mkdir(parents=True)
    (root / '.git/HEAD').touch()
    where = str(root / cwd)
    (error,) = commands(bundle(entry('a', path=path.format(root=root)), cwd=where), 'error')
    assert error.properties['file'] == file


@pytest.mark.parametrize(
    ('environment', 'wanted'),
    [
        ({}, False),
        ({'CI': 'true'}, True),
        ({'CI': '1'}, True),
        ({'CI': 'false', 'GITHUB_ACTIONS': ''}, False),
        ({'CI': '0'}, False),
        ({'GITHUB_ACTIONS': 'true'}, True),
    ],
)
def test_when_they_are_wanted(environment: dict[str, str], wanted: bool) -> None:
    assert annotations.is_wanted(environment) is wanted
