"""The command lines of the shipped backends, and which loops a commit wakes."""

from pathlib import Path

import pytest

from hack.orchestrator.config import agents
from hack.orchestrator.config.backends import BACKENDS
from hack.orchestrator.model import Agent, Backend
from hack.orchestrator.policy import launch
from hack.orchestrator.policy.launch import Conversation
from hack.orchestrator.runtime import handoffs, logs
from tests.python.orchestrator.projects import project

KICKOFF = Path('/k.md')
SHELL = ['sh', '-c', 'exec "$@" "$(cat "$0")"', '/k.md']


@pytest.mark.parametrize(
    ('backend', 'conversation', 'words'),
    [
        ('demo', Conversation(), ['sleep', 'infinity']),
        (
            'claude',
            Conversation('u'),
            [*SHELL, 'claude', '--dangerously-skip-permissions', '--model', 'm', '--session-id', 'u'],
        ),
        (
            'claude',
            Conversation('u', resumed=True),
            [*SHELL, 'claude', '--dangerously-skip-permissions', '--model', 'm', '--resume', 'u'],
        ),
        (
            'codex',
            Conversation('u', resumed=True),
            [*SHELL, 'codex', *BACKENDS['codex'].flags, '--model', 'm', 'resume', 'u'],
        ),
        ('opencode', Conversation('s', resumed=True), ['opencode', '--model', 'm', '--session', 's']),
    ],
)
def test_a_backend_is_its_command_line(backend: str, conversation: Conversation, words: list[str]) -> None:
    agent = Agent('a', 'loop', BACKENDS[backend])
    assert (
        launch.command(agent, 'm', KICKOFF if BACKENDS[backend].prompt_delivery == 'arg' else None, conversation)
        == words
    )


def test_no_model_is_no_flag_and_no_kickoff_no_argument() -> None:
    agent = Agent('a', 'loop', Backend('b', 'prog', ('-x',), model_flag='-m', prompt_delivery='arg'))
    assert launch.command(agent, 'none', None) == launch.command(agent, '', None) == ['prog', '-x']


def test_codex_tells_its_conversation_in_a_line_of_its_own() -> None:
    own, other = '01a1fe88-a5e5-7293-886e-3f51cc160e44', '00000000-a5e5-7293-886e-3f51cc160e44'
    screen = f'• It is {other}\n  {other} is not it\n\n› Write tests\n\n  {own}   \n  ? for shortcuts\n'
    assert handoffs.groups(BACKENDS['codex'].id_pattern, screen) == [own]


def test_a_service_is_a_command_of_bash() -> None:
    assert launch.command(Agent('s', 'service', command='a | b'), '', None) == ['bash', '-c', 'a | b']


def test_a_hand_off_wakes_the_other_loop(tmp_path: Path) -> None:
    config = agents.load(project(tmp_path), {})
    assert handoffs.woken(config, 'claim(one): it works') == ['adversary']
    assert handoffs.woken(config, 'review(one): it does not') == ['builder']
    assert handoffs.woken(config, 'no claim(one)') == []


@pytest.mark.parametrize(
    ('before', 'now', 'new'),
    [
        (['a'], ['a', 'b'], ['b']),
        (['a', 'b', 'c'], ['b', 'c', 'd'], ['d']),
        (['a'], ['a'], []),
        (['a'], ['x', 'y'], ['x', 'y']),
        ([], ['a'], ['a']),
    ],
)
def test_following_a_log_tells_what_is_new(before: list[str], now: list[str], new: list[str]) -> None:
    assert logs.added(before, now) == new
