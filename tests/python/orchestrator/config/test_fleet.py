"""The registry of projects: what is wrong with it is said at once, and what is disabled is never started."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.orchestrator.config import fleet

REPOSITORY = Path(__file__).resolve().parents[4]
RUN_FLEET = REPOSITORY / 'hack/orchestrator/run_fleet.py'

GOOD = """
[fleet]
version = 1

[[project]]
name = "cc-ci"
location = "../cc-ci"
harness = "agent-orchestrator"
ref = "v0.1.0"
enabled = false
secrets = ["CI_TOKEN"]
config = "agents.toml"

[[project]]
name = "far"
location = "https://git.example/far.git"
"""

# Stands in for a project's engine: records how it was called, and answers `status` as the real one does.
ENGINE = """
import json, os, pathlib, sys
with open(pathlib.Path(__file__).parents[3] / 'calls', 'a') as calls:
    print(*sys.argv[3:], os.environ.get('AGENT_FLEET', '-'), file=calls)
if sys.argv[3] == 'status':
    agents = [{'name': 'a', 'state': 'RUNNING (stalled)'}, {'name': 'watchdog', 'state': 'stopped'}]
    print(json.dumps({'phase': {'id': 'one'}, 'agents': agents}))
raise SystemExit(int(os.environ.get('ENDS', '0')))
"""


def run(
    registry: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    return subprocess.run(
        [sys.executable, RUN_FLEET, '--fleet', registry, *arguments],
        env={**inherited, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def project(folder: Path) -> Path:
    """A project whose engine is the stand-in."""
    engine = folder / fleet.HARNESSES['agent-orchestrator']
    engine.parent.mkdir(parents=True)
    engine.write_text(ENGINE)
    (folder / 'agents.toml').touch()
    return folder


def calls(folder: Path) -> list[str]:
    path = folder / 'calls'
    return path.read_text().splitlines() if path.exists() else []


def registry(folder: Path, **enabled: bool) -> Path:
    """A registry in a folder of its own, and beside that folder a project for each name."""
    path = folder / 'fleet' / 'fleet.toml'
    path.parent.mkdir()
    entries = []
    for name, is_enabled in enabled.items():
        project(folder / name)
        entries.append(f'[[project]]\nname = "{name}"\nlocation = "../{name}"\nenabled = {str(is_enabled).lower()}\n')
    path.write_text('\n'.join(entries))
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / 'fleet.toml'
    path.write_text(GOOD)
    return path


def test_a_registry_is_read_with_its_defaults(good: Path) -> None:
    near, far = fleet.load(good).projects
    assert near == fleet.Project(
        'cc-ci',
        '../cc-ci',
        good.parent / '../cc-ci',
        'agent-orchestrator',
        'v0.1.0',
        False,
        ('CI_TOKEN',),
        'agents.toml',
    )
    assert (far.folder, far.harness, far.ref, far.enabled, far.config) == (
        None,
        'agent-orchestrator',
        '',
        True,
        'agents.toml',
    )


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / 'fleet.toml'
    path.write_text("""
[flet]
[fleet]
version = 2
[[project]]
name = "one"
locaton = "../one"
enabled = "no"
[[project]]
name = "one"
location = "../two"
harness = "agent-orchestator"
secrets = ["password123!"]
config = "../../etc/agents.toml"
[[project]]
name = "a.b"
location = " "
version = true
""")
    with pytest.raises(UserError) as raised:
        fleet.load(path)
    assert raised.value.problems == tuple(
        f'{path}: {problem}'
        for problem in (
            "the top of the file: unknown key 'flet' (did you mean 'fleet'?)",
            '[fleet]: version 2 is not understood (write version = 1)',
            "[[project]] 'one': unknown key 'locaton' (did you mean 'location'?)",
            "[[project]] 'one': location is missing (write location = …)",
            "[[project]] 'one': enabled is a text (it must be true or false)",
            "[[project]] 'one': harness 'agent-orchestator' is not known (did you mean 'agent-orchestrator'?)",
            "[[project]] 'one': config '../../etc/agents.toml' leaves the project (write a path below its folder)",
            "[[project]] 'one': secrets has something that is no name of a variable (write names, never values)",
            "[[project]] 'a.b': unknown key 'version' (known: name, location, harness, ref, config, enabled, secrets)",
            "[[project]] 'a.b': name 'a.b' is not made of letters, digits, - and _ (rename it)",
            "[[project]] 'a.b': location is empty (write a path or a git URL)",
            "[[project]] 'one': is there 2 times (rename)",
        )
    )


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('project = 1', 'the top of the file: project is a number (it must be a list of tables)'),
        ('fleet = 1', 'the top of the file: fleet is a number (it must be a table)'),
        ('[[project]]\n', '[[project]] number 1: name is missing (write name = …)'),
        ('[fleet]\nversion = true', '[fleet]: version is true or false (it must be a number)'),
    ],
)
def test_what_is_no_registry_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / 'fleet.toml'
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        fleet.load(path)
    assert f'{path}: {problem}' in raised.value.problems


def test_two_names_of_one_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'here').mkdir()
    (tmp_path / 'there').symlink_to('here')
    path = tmp_path / 'fleet.toml'
    path.write_text("""
[[project]]
name = "asleep"
location = "here"
enabled = false
[[project]]
name = "awake"
location = "there"
""")
    with pytest.raises(UserError, match=r"'awake': location and config are those of 'asleep' \(keep one of them\)"):
        fleet.load(path)


def test_a_project_with_a_bad_config_says_what_is_wrong_and_can_be_stopped(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True, two=True)
    for name in ('one', 'two'):
        (tmp_path / name / fleet.HARNESSES['agent-orchestrator']).unlink()  # this toolkit's own runs them
    (tmp_path / 'one/agents.toml').write_text('[oops\n')
    (tmp_path / 'two/agents.toml').unlink()
    ended = run(path, 'status')
    assert ended.returncode == 3
    assert [line.split()[:4] for line in ended.stdout.splitlines()[1:]] == [
        ['one', 'yes', 'bad', 'config'],
        ['two', 'yes', 'not', 'here'],
    ]
    assert ended.stderr.startswith('one: ')
    assert 'one/agents.toml:1:6: not TOML' in ended.stderr
    assert 'two: down\n' in run(path, 'down').stdout, 'its agents may be at work'


def test_without_names_what_is_not_here_is_left_out(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True)
    path.write_text(path.read_text() + '[[project]]\nname = "far"\nlocation = "https://git.example/far.git"\n')
    for verb in ('up', 'down'):
        ended = run(path, verb)
        assert (ended.returncode, ended.stderr) == (0, '')
        assert 'far: not here, left out: https://git.example/far.git is a URL' in ended.stdout
    assert run(path, 'up', 'far').returncode == 2
    assert [call.split()[0] for call in calls(tmp_path / 'one')] == ['up', 'down']


def test_validate_says_how_many(good: Path) -> None:
    assert run(good, 'validate').stdout == 'OK: 2 projects, 1 disabled\n'
    assert json.loads(run(good, 'validate', '--format', 'json').stdout) == {'ok': True, 'projects': 2, 'disabled': 1}


def test_validate_lists_problems_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / 'fleet.toml'
    path.write_text('[[project]]\nnam = "x"\n')
    ended = run(path, 'validate')
    assert (ended.returncode, ended.stdout) == (2, '')
    assert len(ended.stderr.splitlines()) == 3
    path.unlink()
    assert run(path, 'validate').stderr.startswith(f'{path}: cannot be read: No such file')


def test_list_and_get_show_what_is_written(good: Path) -> None:
    header, near, far = run(good, 'list').stdout.splitlines()
    assert header.split() == ['NAME', 'ENABLED', 'HARNESS', 'REF', 'LOCATION', 'CONFIG']
    assert near.split() == ['cc-ci', 'no', 'agent-orchestrator', 'v0.1.0', '../cc-ci', 'agents.toml']
    assert far.split() == ['far', 'yes', 'agent-orchestrator', '-', 'https://git.example/far.git', 'agents.toml']
    shown = json.loads(run(good, 'get', 'cc-ci', '--format', 'json').stdout)
    assert shown == json.loads(run(good, 'list', '--format', 'json').stdout)[0]
    assert shown['secrets'] == ['CI_TOKEN']
    assert run(good, 'get', 'cc-cj').stderr == f"{good}: no project is called 'cc-cj' (did you mean 'cc-ci'?)\n"


def test_reading_verbs_write_nothing(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True)

    def everything() -> dict[Path, int]:
        entries = [*tmp_path.rglob('*'), *(REPOSITORY / 'hack').rglob('fleet*.pyc')]
        return {entry: entry.stat().st_mtime_ns for entry in entries}

    before = everything()
    for verb in (['validate'], ['list'], ['get', 'one']):
        assert run(path, *verb).returncode == 0
    assert everything() == before


def test_up_starts_what_is_enabled_by_its_own_engine(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True, two=False)
    ended = run(path, 'up')
    assert ended.returncode == 0
    assert 'two: disabled, left as it is' in ended.stdout
    assert calls(tmp_path / 'one') == [f'up {path}']
    assert calls(tmp_path / 'two') == []


def test_up_refuses_a_disabled_project_and_starts_none(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True, two=False)
    ended = run(path, 'up', 'one', 'two')
    assert (ended.returncode, ended.stderr) == (2, f'{path}: two is disabled (set enabled = true)\n')
    assert calls(tmp_path / 'one') == calls(tmp_path / 'two') == []


def test_down_stops_a_disabled_project_too(tmp_path: Path) -> None:
    path = registry(tmp_path, two=False)
    assert run(path, 'down', 'two').returncode == 0
    assert calls(tmp_path / 'two') == [f'down {path}']


def test_the_worst_ending_is_told(tmp_path: Path) -> None:
    assert run(registry(tmp_path, one=True), 'up', environment={'ENDS': '3'}).returncode == 3


def test_what_is_not_here_is_not_started(good: Path) -> None:
    ended = run(good, 'up', 'far')
    assert ended.returncode == 2
    assert ended.stderr.startswith(f'{good}: far is not here: https://git.example/far.git is a URL (clone it')
    good.write_text(GOOD.replace('enabled = false', ''))
    assert 'cc-ci is not here: there is no' in run(good, 'up', 'cc-ci').stderr


def test_status_asks_each_project(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True, two=False)
    ended = run(path, 'status')
    assert [line.split()[:5] for line in ended.stdout.splitlines()[1:]] == [
        ['one', 'yes', '1/2', 'running', 'one'],
        ['two', 'no', '1/2', 'running', 'one'],
    ]
    assert ended.returncode == 0


def test_status_is_broken_where_one_cannot_tell(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True, two=True)
    (tmp_path / 'one' / fleet.HARNESSES['agent-orchestrator']).write_text('raise SystemExit(1)')
    ended = run(path, 'status', '--format', 'json')
    assert ended.returncode == 3
    assert [one['agents'] for one in json.loads(ended.stdout)] == ['no answer', '1/2 running']


def test_register_appends_and_keeps_what_was_there(good: Path) -> None:
    good.write_text(GOOD + '# a remark\n')
    (good.parent / 'new').mkdir()
    ended = run(good, 'register', 'new', '--location', str(good.parent / 'new'), '--ref', 'v1', '--disabled')
    assert ended.stdout == f'{good}: new registered, 3 in all\n'
    assert good.read_text().startswith(GOOD + '# a remark\n')
    new = fleet.load(good).get('new')
    assert (new.location, new.ref, new.enabled) == ('new', 'v1', False)


def test_register_changes_nothing_where_it_would_not_be_valid(good: Path) -> None:
    ended = run(good, 'register', 'far', '--location', '../elsewhere')
    assert (ended.returncode, ended.stderr) == (2, f"{good}: [[project]] 'far': is there 2 times (rename)\n")
    assert good.read_text() == GOOD
    assert [path.name for path in good.parent.iterdir()] == ['fleet.toml']


@pytest.mark.parametrize('where', ['beside', 'above', 'named', 'linked'])
def test_a_disabled_project_is_refused_from_inside_too(tmp_path: Path, where: str) -> None:
    path = registry(tmp_path, two=False)
    config, environment = tmp_path / 'two/agents.toml', {}
    if where == 'above':
        path = path.rename(tmp_path / 'fleet.toml')
        path.write_text(path.read_text().replace('../two', 'two'))
    elif where == 'named':
        path = path.rename(path.with_name('elsewhere.toml'))
        environment = {'AGENT_FLEET': str(path)}
    elif where == 'linked':
        (tmp_path / 'link').symlink_to('two')
        config = tmp_path / 'link/agents.toml'
    said = f"{path}: the project 'two' is disabled (set enabled = true there first)"
    assert fleet.refusal(config, environment) == said


def test_an_enabled_or_unknown_project_is_not_refused(tmp_path: Path) -> None:
    path = registry(tmp_path, one=True, two=False)
    assert fleet.refusal(tmp_path / 'one/agents.toml', {'AGENT_FLEET': str(path)}) is None
    assert fleet.refusal(project(tmp_path / 'three') / 'agents.toml', {}) is None
    assert fleet.refusal(tmp_path / 'two/another.toml', {}) is None


def test_a_named_registry_that_cannot_be_read_refuses_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='cannot be read'):
        fleet.refusal(tmp_path / 'agents.toml', {'AGENT_FLEET': str(tmp_path / 'none.toml')})


def test_what_is_no_registry_of_ours_refuses_nothing(tmp_path: Path) -> None:
    for number, text in enumerate(('not = [toml', 'project = 1', '[[project]]\nlocation = 1\nenabled = false')):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / 'fleet.toml').write_text(text)
    assert fleet.refusal(project(tmp_path / 'mine') / 'agents.toml', {}) is None
