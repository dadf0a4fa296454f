"""Whatever is killed, taken away or stopped: nothing is lost, nothing is there twice, and nothing is made up."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.common import files, process
from hack.orchestrator.runtime import supervisor
from tests.python.orchestrator.lives import STUBBORN, TWO, Life, eventually, kill, life


@pytest.fixture
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Two agents that outlive their server, up, with both watchdogs."""
    with life(tmp_path_factory.mktemp('ao'), TWO + STUBBORN) as there:
        there.up()
        eventually(lambda: len(there.alive('watchdog')) == 2)
        yield there


def whole(there: Life) -> bool:
    """Everything runs, once."""
    rows = there.there.verb('status').stdout.splitlines()[1:]
    once = [len(there.alive(name)) for name in ('one', 'one-more', 'watchdog')] == [1, 1, 2]
    return once and all(row.endswith('RUNNING') for row in rows) and len(supervisor.servers(there.there.project)) == 1


def holder(there: Life) -> int:
    return supervisor.watchdog_pid(there.there.project)


def test_a_killed_agent_is_back_and_the_other_has_not_moved(up: Life) -> None:
    first, other = up.pid('one'), up.pid('one-more')
    kill(first)
    eventually(lambda: up.is_back('one', first))
    assert up.pid('one-more') == other
    eventually(lambda: whole(up))


@pytest.mark.parametrize('which', ['the one that watches', 'the one that waits'])
def test_a_killed_watchdog_is_back_and_there_is_one(up: Life, which: str) -> None:
    agents = up.pid('one'), up.pid('one-more')
    victims = [pid for pid in up.alive('watchdog') if (pid == holder(up)) == (which == 'the one that watches')]
    kill(*victims)
    eventually(lambda: whole(up) and not set(victims) & set(up.alive('watchdog')))
    assert (up.pid('one'), up.pid('one-more')) == agents


def test_a_killed_server_is_back_and_no_agent_is_doubled(up: Life) -> None:
    server, agents = up.server(), {up.pid('one'), up.pid('one-more')}
    kill(server)
    eventually(lambda: whole(up))
    assert up.server() != server
    assert not agents & {up.pid('one'), up.pid('one-more')}


def test_the_server_and_the_watchdog_killed_at_once_are_back(up: Life) -> None:
    kill(up.server(), holder(up))
    eventually(lambda: whole(up))


def test_a_deleted_socket_is_made_again_by_its_server(up: Life) -> None:
    server, agents = up.server(), (up.pid('one'), up.pid('one-more'))
    up.there.project.tmux.socket.unlink()
    eventually(lambda: up.there.project.tmux.socket.exists() and whole(up))
    assert (up.server(), up.pid('one'), up.pid('one-more')) == (server, *agents)


def test_up_finds_a_server_whose_socket_is_gone(up: Life) -> None:
    server = up.server()
    kill(*up.alive('watchdog'))
    up.there.project.tmux.socket.unlink()
    status, out, _ = up.verb('status')
    assert (status, out.count('unknown')) == (3, 3)
    assert 'lost socket' in up.verb('doctor')[1]
    up.up()
    eventually(lambda: whole(up))
    assert up.server() == server


def test_a_hung_server_is_unknown_and_nothing_is_healed(up: Life) -> None:
    server, agents = up.server(), (up.pid('one'), up.pid('one-more'))
    os.kill(server, signal.SIGSTOP)
    try:
        status, out, _ = up.verb('status')
        assert status == 3
        assert [line.split()[-1] for line in out.splitlines()[1:]] == ['unknown'] * 3
        kill(agents[0])
        eventually(lambda: up.alive('one') == [])
        before = up.said().count('tmux did not answer in 5 s: nothing is healed')
        eventually(lambda: up.said().count('tmux did not answer in 5 s: nothing is healed') > before)
        assert up.alive('one') == []
    finally:
        os.kill(server, signal.SIGCONT)
    eventually(lambda: whole(up))
    assert (up.server(), up.pid('one-more')) == (server, agents[1])


def test_a_second_watchdog_is_refused(up: Life) -> None:
    watching = holder(up)
    status, _, err = up.verb('watchdog')
    assert status == 2
    assert f'a watchdog runs already, pid {watching} (see status)' in err
    assert holder(up) == watching


def test_of_watchdogs_that_start_at_once_one_watches(tmp_path_factory: pytest.TempPathFactory) -> None:
    with life(tmp_path_factory.mktemp('ao')) as there:
        command = [sys.executable, str(supervisor.ENTRY), '--config', str(there.there.config), 'watchdog']
        nowhere = subprocess.DEVNULL
        started = [
            subprocess.Popen(command, env=there.there.environment, stdout=nowhere, stderr=nowhere) for _ in range(4)
        ]
        try:
            eventually(lambda: sum(one.poll() is None for one in started) == 1)
            assert sorted(one.returncode for one in started if one.returncode is not None) == [2, 2, 2]
            (left,) = (one for one in started if one.returncode is None)
            eventually(lambda: holder(there) == left.pid)
            assert files.lock_is_held(there.folder / 's/state/watchdog.lock')
        finally:
            there.verb('down')
            for one in started:
                one.kill()
                one.wait()


def test_doctor_names_and_ends_an_orphan(up: Life) -> None:
    marker = up.there.project.marker('one').partition('=')
    stray = subprocess.Popen(['sleep', '60'], env={marker[0]: marker[2]})
    try:
        status, out, _ = up.verb('doctor')
        assert (status, out) == (1, f'orphan: one: {stray.pid} sleep: end them (doctor --fix)\n')
        assert up.verb('doctor', '--fix')[0] == 0
        assert stray.wait(10) != 0
    finally:
        stray.kill()
        stray.wait()
    assert up.verb('doctor')[:2] == (0, 'well\n')


def test_what_a_watchdog_outside_its_session_starts_is_no_orphan(up: Life) -> None:
    marker = up.there.project.marker('watchdog').partition('=')
    script = 'import subprocess; subprocess.run(["sleep", "60"])'
    watchdog = subprocess.Popen([sys.executable, '-c', script, '--standby'], env={**os.environ, marker[0]: marker[2]})
    try:
        eventually(lambda: any(one.name == 'sleep' for one in process.descendants(watchdog.pid)))
        assert up.verb('doctor')[:2] == (0, 'well\n')
    finally:
        kill(*(one.pid for one in process.descendants(watchdog.pid)), watchdog.pid)
        watchdog.wait()


def test_selftest_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, 'TMPDIR': str(tmp_path)}
    ended = subprocess.run([sys.executable, str(supervisor.ENTRY), 'selftest'], env=environment, capture_output=True)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count(b'ok  ') == 7
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_of_faults_loses_and_doubles_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(supervisor.ENTRY), 'fault-campaign', '30', '--seed', '5', '--agents', '4']
    ended = subprocess.run(command, env={**os.environ, 'TMPDIR': '/tmp'}, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == '0 lost, 0 doubled, 0 torn, 0 left'
    assert ended.returncode == 0
