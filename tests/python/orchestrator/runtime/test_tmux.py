"""What tmux prints is read for what it means, and what it cannot know yet is not made up."""

import os
import subprocess
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.orchestrator.runtime import tmux
from hack.orchestrator.runtime.tmux import HungError, RefusedError, Tmux


def printing(folder: Path, script: str) -> Tmux:
    """A server whose client is this script."""
    (folder / 'tmux').write_text(f'#!/bin/sh\n{script}\n')
    (folder / 'tmux').chmod(0o755)
    return Tmux(folder / 'socket', True, {**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}'})


def listing(pid: int, dead: str, status: str, signal: str) -> str:
    return f"echo '{pid}|%1|{dead}|{status}|{signal}|1700000000|7|t-one'"


@pytest.mark.parametrize(
    ('dead', 'status', 'signal', 'seen'),
    [
        ('0', '', '', (False, None)),
        ('1', '0', '', (True, 0)),
        ('1', '3', '0', (True, 3)),
        ('1', '', '9', (True, None)),
        ('1', '', '', (True, None)),  # as older ones tell a signal
    ],
)
def test_how_a_program_ended_is_read(
    tmp_path: Path, dead: str, status: str, signal: str, seen: tuple[bool, int | None]
) -> None:
    gone = subprocess.Popen(['true'])
    gone.wait()
    pane = printing(tmp_path, listing(gone.pid, dead, status, signal)).panes()['t-one']
    assert (pane.dead, pane.exit_status) == seen


@pytest.mark.parametrize(
    ('command', 'exit_status'), [('exit 0', 0), ('exit 3', 3), ('kill -KILL $$', None)], ids=['well', 'badly', 'killed']
)
def test_how_a_program_ended_is_known_before_tmux_hears_of_it(
    tmp_path: Path, command: str, exit_status: int | None
) -> None:
    ending = subprocess.Popen(['sh', '-c', command])
    os.waitid(os.P_PID, ending.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    try:
        pane = printing(tmp_path, listing(ending.pid, '1', '', '')).panes()['t-one']
    finally:
        ending.wait()
    assert (pane.dead, pane.exit_status) == (True, exit_status)


def test_a_program_that_is_just_ending_is_not_dead_yet(tmp_path: Path) -> None:
    assert not printing(tmp_path, listing(os.getpid(), '1', '', '')).panes()['t-one'].dead


def test_of_a_window_that_was_split_the_oldest_pane_is_ours(tmp_path: Path) -> None:
    second = listing(2, '0', '', '').replace('%1', '%12')
    assert printing(tmp_path, f'{second}; {listing(1, "0", "", "")}').panes()['t-one'].pid == 1


def test_output_of_any_length_and_input_arrive_whole(tmp_path: Path) -> None:
    there = printing(tmp_path, 'head -c 300000 /dev/zero | tr "\\0" x; cat')
    assert there.run('load-buffer', given='the end') == 'x' * 300000 + 'the end'


def test_what_tmux_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="^can't find it$"):
        printing(tmp_path, 'echo "can\'t find it" >&2; exit 1').run('kill-session')


def test_one_that_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tmux, 'SECONDS', 0.2)
    with pytest.raises(HungError):
        printing(tmp_path, f'echo $$ >{tmp_path}/pid; exec sleep 60').run('list-panes')
    assert not Path('/proc', (tmp_path / 'pid').read_text().strip()).exists()


def test_without_tmux_on_path_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / 'tmux').mkdir()
    with pytest.raises(UserError, match='tmux: not found on PATH'):
        Tmux(tmp_path / 'socket', True, {'PATH': f'{tmp_path}:/nowhere'}).panes()
