"""One scenario, said once, is the same to every pinned version of a real agent."""

import json
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.common.process import Supervisor
from hack.exec_harness.api.responses_server import ResponsesServer
from hack.exec_harness.driving import adapters, agent, enclosure, gh_shim, place
from hack.exec_harness.driving.place import Place
from hack.exec_harness.format import events, templates
from hack.exec_harness.model import Api, Event, Gh, Reply, Scenario, Turn
from tests.python.exec_harness.agents import REAL

OBSTACLE = enclosure.obstacle()
OUTSIDE = 'getent hosts mainland.example; (echo > /dev/tcp/198.51.100.7/80) 2>&1; echo tried'


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    above = tmp_path / 'it\'s a "path"'
    above.mkdir()
    made = place.make(above)
    yield made
    place.remove(made)


def done(item: dict[str, Any]) -> Event:
    return Event('response.output_item.done', {'type': 'response.output_item.done', 'item': item})


def shell(call_id: str, line: str) -> Event:
    arguments = json.dumps({'{{tool.shell.argument}}': line})
    return done({'type': 'function_call', 'name': '{{tool.shell}}', 'call_id': call_id, 'arguments': arguments})


def message(text: str) -> Event:
    content = [{'type': 'output_text', 'text': text}]
    return done({'type': 'message', 'role': 'assistant', 'id': 'm', 'content': content})


def replies(*scripted: Event) -> Api:
    return Api(
        tuple(Reply(f'responses[{n}]', events=(event,), response_id=f'r{n}') for n, event in enumerate(scripted))
    )


def measured(version: str, asked: Scenario, there: Place) -> dict[str, Any]:
    """What came of a scenario, measured in an enclosed worker."""
    if not REAL[version].exists():
        pytest.skip(f'Codex {version} is not installed')
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            told = json.dumps(_measure(adapters.ask(REAL[version]), asked, there))
        except BaseException:
            told = json.dumps({'crash': traceback.format_exc()})
        with open(write, 'w') as file:
            file.write(told)
        os._exit(0)
    os.close(write)
    with open(read) as file:
        value: dict[str, Any] = json.load(file)
    os.waitpid(pid, 0)
    assert 'crash' not in value, value['crash']
    return value


def _measure(known: adapters.Agent, asked: Scenario, there: Place) -> dict[str, Any]:
    network = enclosure.Enclosure()
    supervisor, server = Supervisor(), ResponsesServer()
    names = {**known.names(), 'workspace': str(there.workspace), 'home': str(there.home), 'base_url': server.base_url}
    scenario = templates.expand(asked, names)
    assert scenario.responses_api is not None
    server.start(scenario.responses_api)
    place.furnish(there, scenario, supervisor, os.environ)
    environment = place.environment(there, known.row, os.environ['PATH'], scenario.env)
    turns = agent.run(known, scenario, there, environment, server.base_url, supervisor)
    served = server.stop()
    inputs = [item for request in served.requests if request.json for item in request.json['input']]
    return {
        'exits': [turn.returncode for turn in turns],
        'said': events.messages(events.split(b''.join(turn.stdout for turn in turns))[0]),
        'requests': [f'{request.method} {request.path}' for request in served.requests],
        'outputs': {item['call_id']: str(item['output']) for item in inputs if 'output' in item},
        'unused': served.unused_replies,
        'gh': gh_shim.read(there.gh).calls if scenario.gh else (),
        'status': place.git_status(there, supervisor, os.environ)[0],
        'egress': network.stop(),
    }


pytestmark = [
    pytest.mark.skipif(OBSTACLE is not None, reason=f'no enclosure on this machine: {OBSTACLE}'),
    pytest.mark.parametrize('version', REAL),
]


def test_tools_and_a_resumed_session_are_the_same_on_every_version(there: Place, version: str) -> None:
    patch = '*** Begin Patch\n*** Add File: note.txt\n+linden\n*** End Patch\n'
    asked = Scenario(
        name='tools',
        path='tools.yaml',
        line=1,
        turns=(Turn('resume'), Turn('-v is no flag here')),
        git_init=True,
        gh=Gh(),
        sandbox='workspace-write',
        responses_api=replies(
            shell('c1', 'type gh; gh issue create --title "a b" --body "it\'s"'),
            message('one'),
            done({'type': 'custom_tool_call', 'name': '{{tool.apply_patch}}', 'call_id': 'c2', 'input': patch}),
            message('two'),
        ),
    )
    seen = measured(version, asked, there)
    assert (seen['exits'], seen['said']) == ([0, 0], ['one', 'two'])
    assert seen['requests'] == ['POST /v1/responses'] * 4
    assert f'gh is {there.bin}/gh' in seen['outputs']['c1']
    assert [call['argv'] for call in seen['gh']] == [['issue', 'create', '--title', 'a b', '--body', "it's"]]
    assert 'Success' in seen['outputs']['c2']
    assert (seen['status'], seen['unused'], seen['egress']) == ('?? note.txt\n', [], [])


def test_what_a_command_of_the_agents_reaches_for_is_seen(there: Place, version: str) -> None:
    asked = Scenario(
        name='egress',
        path='egress.yaml',
        line=1,
        turns=(Turn('look around'),),
        sandbox='danger-full-access',
        responses_api=replies(shell('c1', OUTSIDE), message('done')),
    )
    seen = measured(version, asked, there)
    assert 'tried' in seen['outputs']['c1']
    assert seen['egress'] == ['mainland.example', '198.51.100.7:80']
