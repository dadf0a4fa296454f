"""Scenarios, observations and results to test with, whole and plain."""

import json
from pathlib import Path
from typing import Any

from hack.common.process import End
from hack.exec_harness.model import Finding, Observed, Request, Result, Scenario, Turn, TurnRun

EVENTS: tuple[dict[str, Any], ...] = (
    {'type': 'thread.started', 'thread_id': '019a2b3c-1111-7222-8333-444455556666'},
    {'type': 'item.completed', 'item': {'id': 'item_0', 'type': 'agent_message', 'text': 'Good morning.'}},
    {'type': 'turn.completed', 'usage': {'input_tokens': 3, 'output_tokens': 2}},
)


def scenario(name: str = 'one', turns: int = 1, timeout_seconds: float = 20) -> Scenario:
    prompts = tuple(Turn(f'prompt {number}') for number in range(turns))
    return Scenario(name, f'{name}.yaml', 3, prompts, timeout_seconds=timeout_seconds)


def turn(end: End = End.EXITED, returncode: int | None = 0, stdout: bytes = b'', stderr: bytes = b'') -> TurnRun:
    return TurnRun(('agent', 'exec', 'a prompt'), end, returncode, 0.25, stdout, stderr)


def request(body: Any, number: int = 0) -> Request:
    return Request(
        number=number,
        method='POST',
        path='/v1/responses',
        query='',
        headers=(('authorization', '(masked)'), ('content-type', 'application/json')),
        body=json.dumps(body).encode(),
        json=body,
        seconds=0.1,
        asks_model=True,
        status=200,
        reply='responses[0]',
    )


def observed(workspace: Path, **more: Any) -> Observed:
    stdout = b''.join(json.dumps(event).encode() + b'\n' for event in EVENTS)
    whole = Observed(
        turns=(turn(stdout=stdout, stderr=b'a warning\n'),),
        events=EVENTS,
        workspace=workspace,
        requests=(request({'model': 'm', 'input': [{'role': 'user', 'content': 'Say good morning.'}]}),),
        egress=(),
    )
    return whole._replace(**more)


def finding(kind: Any = 'exit', claim: str = 'expect.returncode', nearest: str = '') -> Finding:
    return Finding(kind, claim, '0', '1', nearest)


def result(name: str = 'one', verdict: Any = 'passed', **more: Any) -> Result:
    return Result(name, f'{name}.yaml', 3, verdict, seconds=0.5, agent_seconds=0.25, returncode=0)._replace(**more)
