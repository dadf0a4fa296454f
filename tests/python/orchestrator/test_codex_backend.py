"""The shipped `codex` backend drives the real Codex, which asks the fake API on loopback: no login, nothing spent."""

import json
import os
import queue
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hack.common import process
from hack.exec_harness.api.responses_server import ResponsesServer
from hack.exec_harness.driving import adapters
from hack.exec_harness.model import Api, Event, Reply, Request
from hack.orchestrator.config.backends import BACKENDS
from hack.orchestrator.policy import launch
from hack.orchestrator.runtime import supervisor
from tests.python.exec_harness.agents import REAL
from tests.python.orchestrator.lives import QUICK, Life, eventually, kill, life
from tests.python.orchestrator.projects import PAIR_FILES

_SECONDS = 60.0
ANSWER = 'The marigolds are watered.'
CONFIG = """[defaults]
session_prefix = "t-"
log_dir = "s"
backend = "codex"
model = "gpt-loopback"  # of one that it knows, it may ask whether a newer one would not be better
[backend.codex]
bin = {bin}
flags = {flags}
[[agent]]
name = "builder"
kind = "loop"
role = "builder"
[loop]
kickoff_template = "kickoff.md"
[[loop.phases]]
id = "one"
plan = "plan-one.md"
status = "STATUS-one.md"
"""
KICKOFF = 'You are the builder of one: read plans/plan-one.md, write docs/STATUS-one.md.'


class Driven(NamedTuple):
    there: Life
    asked: 'queue.Queue[Request]'

    def has_heard(self, text: str) -> Request:
        """The next request that brings the model this text; raises queue.Empty where none does in time."""
        until = time.monotonic() + _SECONDS
        while True:
            request = self.asked.get(timeout=max(0.0, until - time.monotonic()))
            if request.asks_model and text in json.dumps(request.json):
                return request

    def codexes(self) -> list[process.Process]:
        """Every live Codex of the builder, of whatever incarnation, but for what one has started itself."""
        found = supervisor.processes(self.there.there.project, ['builder'])
        pids = {one.pid for one in found}
        return [one for one in found if one.name.startswith('codex') and one.parent not in pids]

    def answers(self, times: int) -> None:
        """Wait until its screen shows so many answers."""
        eventually(lambda: self.there.screen('builder').count(ANSWER) == times, _SECONDS)


def said(text: str) -> Event:
    item = {'type': 'message', 'role': 'assistant', 'id': 'm', 'content': [{'type': 'output_text', 'text': text}]}
    return Event('response.output_item.done', {'type': 'response.output_item.done', 'item': item})


def configured(binary: Path, base_url: str, home: Path) -> str:
    """The shipped backend, but for where its program and its model are."""
    # In a pane, Codex asks the tmux that it is in about the terminal: that is its own affair, and not for our shim.
    own = home / 'codex'
    own.write_text(f'#!/bin/sh\nPATH=${{PATH#*.bin:}} exec {shlex.quote(str(binary))} "$@"\n')
    own.chmod(0o755)
    flags = [*BACKENDS['codex'].flags, *adapters.ask(binary).pointed_at(base_url)]
    return QUICK + CONFIG.format(bin=json.dumps(str(own)), flags=json.dumps(flags))


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """No login, no key and no proxy of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(('OPENAI_', 'CODEX_')) or name.lower().endswith('_proxy'):
            patch.delenv(name)
    for name, folder in {'HOME': home, 'CODEX_HOME': home, 'CODEX_SQLITE_HOME': home, 'TMPDIR': home / 'tmp'}.items():
        patch.setenv(name, str(folder))


@pytest.fixture(params=REAL)
def driven(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Driven]:
    binary = REAL[request.param]
    if not binary.exists():
        pytest.skip(f'Codex {request.param} is not installed')
    folder, home = tmp_path_factory.mktemp('ao'), tmp_path_factory.mktemp('home')
    (home / 'tmp').mkdir()
    # What it asks about a folder before its first turn, and remembers.
    (home / 'config.toml').write_text(f'[projects.{json.dumps(str(folder))}]\ntrust_level = "trusted"\n')
    isolate(monkeypatch, home)
    asked: queue.Queue[Request] = queue.Queue()
    server = ResponsesServer()
    try:
        server.start(Api((Reply('any', times=None, events=(said(ANSWER),), response_id='r'),)), asked.put)
        with life(folder, configured(binary, server.base_url, home), PAIR_FILES) as there:
            yield Driven(there, asked)
    finally:
        server.stop()


def test_it_is_told_healed_in_its_conversation_and_ended(driven: Driven) -> None:
    there = driven.there
    there.up()
    assert KICKOFF in json.dumps(driven.has_heard(KICKOFF).json)
    assert there.there.states() == {'builder': 'RUNNING', 'watchdog': 'RUNNING'}
    driven.answers(1)

    known = there.folder / 's/state/builder.id'
    eventually(known.exists, _SECONDS)
    (first,) = driven.codexes()
    kill(first.pid)
    # The same conversation: both its kickoff and what a resumed one is told.
    assert KICKOFF in json.dumps(driven.has_heard(launch.GO_ON).json)
    (second,) = driven.codexes()
    assert second.pid != first.pid
    assert there.there.states() == {'builder': 'RUNNING', 'watchdog': 'RUNNING'}

    driven.answers(2)
    there.there.project.tmux.type(there.panes()['builder'].id, 'Are the roses, too?')
    driven.has_heard('Are the roses, too?')

    assert there.verb('down')[0] == 0
    assert there.there.states() == {'builder': 'stopped', 'watchdog': 'stopped'}
    assert there.alive('builder') == there.alive('watchdog') == []
    eventually(lambda: supervisor.servers(there.there.project) == [])
