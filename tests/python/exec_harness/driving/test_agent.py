"""A turn is one command, ended whole when its time is up; a later turn resumes the first one's session."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.common import process
from hack.common.process import End, Supervisor
from hack.exec_harness.driving import adapters, agent, enclosure, place
from hack.exec_harness.driving.adapters import Agent
from hack.exec_harness.driving.place import Place
from hack.exec_harness.format import events
from hack.exec_harness.model import Scenario, Turn, TurnRun
from tests.python.exec_harness.agents import CODEX, REAL, STUB, needs_codex

OBSTACLE = enclosure.obstacle()
needs_enclosure = pytest.mark.skipif(OBSTACLE is not None, reason=f'no enclosure on this machine: {OBSTACLE}')
NOBODY_LISTENS = 'http://127.0.0.1:9/v1'


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    above = tmp_path / 'it\'s a "path"'
    above.mkdir()
    made = place.make(above)
    before = {one.pid for one in process.descendants(os.getpid())}  # of other tests
    yield made
    place.remove(made)
    assert [one for one in process.descendants(os.getpid()) if one.pid not in before] == []


def scenario(*prompts: str, **more: object) -> Scenario:
    made = Scenario('a scenario', 'a.yaml', 1, tuple(map(Turn, prompts)), timeout_seconds=60.0)
    return made._replace(**more)  # type: ignore[arg-type]


def run(there: Place, asked: Scenario, binary: Path | Agent = STUB) -> tuple[TurnRun, ...]:
    known = binary if isinstance(binary, Agent) else adapters.ask(binary)
    environment = place.environment(there, known.row, os.environ['PATH'], asked.env)
    return agent.run(known, asked, there, environment, NOBODY_LISTENS, Supervisor())


def said(turns: tuple[TurnRun, ...]) -> list[str]:
    return events.messages(events.split(b''.join(turn.stdout for turn in turns))[0])


def test_a_command_says_only_what_the_build_knows(there: Place) -> None:
    asked = scenario('-go', model='m-1', sandbox='read-only', max_seconds=9, include_plan_tool=True, auto_review=True)
    asked = asked._replace(config_overrides=('a.b="c"',))
    known = adapters.ask(STUB)
    api = known.pointed_at(NOBODY_LISTENS)
    words = agent.command(known, asked, there, NOBODY_LISTENS, None, '-go')
    head = (str(STUB), 'exec', '--json', '--skip-git-repo-check', '--max-seconds', '9', '-C', str(there.workspace))
    assert words == (*head, '-m', 'm-1', '--sandbox', 'read-only', *api, '-c', 'a.b="c"', '--', '-go')
    resumed = agent.command(known._replace(flags=frozenset()), asked, there, None, 'T-1', 'go')
    assert resumed == (
        *(str(STUB), 'exec', '--json', '-C', str(there.workspace), '-m', 'm-1', '--sandbox', 'read-only'),
        *('-c', 'a.b="c"', 'resume', 'T-1', '--', 'go'),
    )


def test_later_turns_resume_the_session_of_the_first(there: Place) -> None:
    turns = run(there, scenario('say one', 'say two', 'say three'))
    assert [(turn.end, turn.returncode) for turn in turns] == [(End.EXITED, 0)] * 3
    assert said(turns) == ['say one', 'say two', 'say three']
    session = '5e55104e-0000-4000-8000-000000000001'
    assert [session in turn.command for turn in turns] == [False, True, True]


def test_they_stop_at_the_first_that_does_not_exit_0(there: Place) -> None:
    turns = run(there, scenario('say one', 'exit 7', 'say three'))
    assert [turn.returncode for turn in turns] == [0, 7]


def test_a_first_turn_without_a_session_cannot_be_resumed(there: Place, tmp_path: Path) -> None:
    binary = tmp_path / 'agent'
    binary.write_text(f'#!/bin/sh\n[ "$1" = exec ] && [ "$2" != --help ] && exit 0\nexec "{STUB}" "$@"\n')
    binary.chmod(0o755)
    turns = run(there, scenario('say one', 'say two', 'say three'), binary)
    assert [(turn.end, turn.returncode) for turn in turns] == [(End.EXITED, 0)]


def test_a_crash_is_a_death_by_its_signal(there: Place) -> None:
    (turn,) = run(there, scenario('crash'))
    assert (turn.end, turn.returncode) == (End.SIGNALLED, 128 + 11)


def test_garbage_is_told_apart_from_events(there: Place) -> None:
    (turn,) = run(there, scenario('garbage'))
    told, bad = events.split(turn.stdout)
    assert [event['type'] for event in told] == ['thread.started', 'turn.started', 'turn.completed']
    assert bad == ('no JSON', '{"torn":', '[1]')


def test_a_hang_is_ended_whole_in_time_whoever_holds_the_pipe(there: Place) -> None:
    """Defect 4: a limit of one second took sixteen, because a child held the pipe, and no failure was told."""
    before = time.monotonic()
    turns = run(there, scenario('hang', 'say more', timeout_seconds=1.0))
    assert [(turn.end, turn.returncode) for turn in turns] == [(End.TIMED_OUT, None)]
    assert events.kinds(events.split(turns[0].stdout)[0][0]) == {'thread.started'}
    assert time.monotonic() - before < 10


@pytest.mark.parametrize('left', ['holder', 'daemon'])
def test_what_a_turn_leaves_running_holds_nobody_up_and_is_ended(there: Place, left: str) -> None:
    before = time.monotonic()
    (turn,) = run(there, scenario(left))
    assert (turn.end, turn.returncode) == (End.EXITED, 0)
    assert time.monotonic() - before < 60


def test_a_flood_is_kept_within_bounds_and_its_gap_is_told(there: Place) -> None:
    (turn,) = run(there, scenario('flood 100'))
    assert turn.returncode == 0
    assert len(turn.stdout) < 2 * agent.KEEP_BYTES
    assert turn.dropped > 50_000_000
    told, bad = events.split(turn.stdout)
    assert [event['type'] for event in told] == ['thread.started', 'turn.started']
    assert any('bytes of output were not kept here' in line for line in bad)


def test_nothing_of_the_callers_reaches_the_agent(
    there: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Defect 7: the caller's environment and standard input leaked in."""
    monkeypatch.setenv('GH_TOKEN', 'secret')
    read, write = os.pipe()
    os.write(write, b'a prompt of the caller')
    held = os.dup(0)
    os.dup2(read, 0)
    try:
        turns = run(there, scenario('input', 'environment seen'))
    finally:
        os.dup2(held, 0)
        for descriptor in (held, read, write):
            os.close(descriptor)
    assert said(turns) == ['got []']
    seen = (there.workspace / 'seen').read_text()
    assert 'secret' not in seen
    assert f'HOME={there.home}\0' in seen


def test_what_is_no_program_did_not_start(there: Place, tmp_path: Path) -> None:
    gone = tmp_path / 'agent'
    gone.symlink_to(STUB)
    known = adapters.ask(gone)
    gone.unlink()
    (turn,) = agent.run(known, scenario('say one'), there, {'PATH': '/bin'}, None, Supervisor())
    assert (turn.end, turn.returncode) == (End.NOT_STARTED, None)
    assert b'No such file' in turn.stderr


def enclosed(there: Place, *prompts: str, binary: Path | Agent = STUB) -> tuple[list[int | None], list[str]]:
    """The exit statuses of the turns, and what was seen of their network."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        network = enclosure.Enclosure()
        statuses = [turn.returncode for turn in run(there, scenario(*prompts), binary)]
        os.write(write, json.dumps([statuses, network.stop()]).encode())
        os._exit(0)
    os.close(write)
    with open(read) as file:
        statuses, seen = json.load(file)
    os.waitpid(pid, 0)
    return statuses, seen


@needs_enclosure
def test_an_attempt_to_reach_the_world_is_seen(there: Place) -> None:
    """Defect 10: egress was not noticed."""
    assert enclosed(there, 'say nothing', 'look-up api.example.com', 'connect 198.51.100.7:443') == (
        [0, 0, 0],
        ['api.example.com', '198.51.100.7:443'],
    )


@needs_enclosure
def test_the_enclosure_is_the_workers_alone(there: Place) -> None:
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(1)
        enclosed(there, f'connect 127.0.0.1:{server.getsockname()[1]}')
        with pytest.raises(TimeoutError):
            server.accept()


@needs_codex
def test_the_real_agent_runs_below_a_path_with_spaces_and_leaves_the_home_alone(
    there: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / 'user'
    user.mkdir()
    monkeypatch.setenv('HOME', str(user))
    (turn,) = run(there, scenario('say hello', sandbox='workspace-write'), CODEX)
    kinds = [kind for event in events.split(turn.stdout)[0] for kind in sorted(events.kinds(event))]
    assert kinds[:2] == ['thread.started', 'turn.started']
    assert kinds[-1] == 'turn.failed'  # nobody listens there
    assert turn.returncode == 1
    assert list((there.config / 'sessions').rglob('*.jsonl'))
    assert list(user.iterdir()) == []


@needs_enclosure
@pytest.mark.parametrize('version', REAL)
def test_a_real_agent_reaches_for_nothing_but_its_api(there: Place, version: str) -> None:
    if not REAL[version].exists():
        pytest.skip(f'Codex {version} is not installed')
    assert enclosed(there, 'say hello', binary=REAL[version]) == ([1], [])


@needs_enclosure
@pytest.mark.parametrize('version', ['0.142.3', '0.169.0'])
def test_a_real_agent_that_is_not_told_to_be_quiet_is_seen(there: Place, version: str) -> None:
    if not REAL[version].exists():
        pytest.skip(f'Codex {version} is not installed')
    known = adapters.ask(REAL[version])
    loud = known._replace(features=known.features - {'plugins'})
    assert 'github.com' in enclosed(there, 'say hello', binary=loud)[1]
