"""Every expectation, held and violated; what is told of a violation leads to what came closest."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.process import End
from hack.exec_harness.judging import checks
from hack.exec_harness.model import (
    CommandExpect,
    Expect,
    FileExpect,
    Finding,
    Observed,
    OutputExpect,
    Request,
    RequestExpect,
    StatusExpect,
    TurnRun,
)

EVENTS: tuple[Mapping[str, Any], ...] = (
    {'type': 'thread.started', 'thread_id': 't'},
    {'type': 'turn.started'},
    {'type': 'item.started', 'item': {'type': 'command_execution', 'command': 'ls /tmp', 'status': 'in_progress'}},
    {
        'type': 'item.completed',
        'item': {
            'type': 'command_execution',
            'command': 'ls /tmp',
            'aggregated_output': 'denied',
            'status': 'failed',
            'exit_code': 2,
        },
    },
    {'type': 'item.completed', 'item': {'type': 'agent_message', 'text': 'All is done.', 'parts': [1, {'a': 2}, 3]}},
    {'type': 'error', 'message': 'The jetty is full.'},
    {'type': 'turn.completed', 'usage': {'input_tokens': 1}},
)


def asked(number: int, body: Any, **said: Any) -> Request:
    raw = json.dumps(body).encode()
    facts = {'asks_model': True, 'status': 200, 'reply': f'responses[{number}]', **said}
    return Request(number, 'POST', '/v1/responses', '', (), raw, body, 0.1 * number, **facts)


IMAGE = 'data:image/png;base64,' + 'A' * 65536
FIRST = {'instructions': 'Follow RULE-7. RULE-7!', 'input': [{'role': 'user', 'content': 'say "hi"\nnow'}]}
SECOND = {
    'instructions': 'Follow.',
    'input': [
        {'type': 'function_call_output', 'call_id': 'c1', 'output': 'LANTERN lit\nexit 0'},
        {'role': 'user', 'content': [{'type': 'input_image', 'image_url': IMAGE}]},
    ],
}
MODELS = Request(9, 'GET', '/v1/models', '', (), b'', None, 0.0, asks_model=False, status=200)


def observed(tmp_path: Path = Path('/nowhere'), **said: Any) -> Observed:
    turn = TurnRun(('agent',), End.EXITED, 0, 0.5, b'', b'warning: slow\nlast words\n')
    return Observed((turn,), EVENTS, tmp_path, requests=(MODELS, asked(0, FIRST), asked(1, SECOND)))._replace(**said)


def one(expect: Expect, seen: Observed) -> Finding:
    [finding] = checks.check(expect, seen)
    return finding


def short(expect: Expect, seen: Observed) -> list[tuple[str, str, str, str]]:
    return [tuple(finding[:4]) for finding in checks.check(expect, seen)]  # type: ignore[misc]


def test_nothing_expected_nothing_found() -> None:
    assert checks.check(Expect(), observed()) == ()


# -- how it ended --------------------------------------------------------------------------


def ended(end: End, status: int | None, seconds: float = 1.0) -> Observed:
    return observed(turns=(TurnRun(('agent',), end, status, seconds, b'', b'a\nb\nc\nd\ne\nlast words\n'),))


def test_an_exit_status_is_told_with_the_last_words() -> None:
    finding = one(Expect(), ended(End.EXITED, 3))
    assert finding == Finding('exit', 'expect.returncode', 'exit status 0', '3, of turn 1', 'b\nc\nd\ne\nlast words')


def test_an_expected_exit_status_other_than_0_is_green() -> None:
    assert checks.check(Expect(returncode=3), ended(End.EXITED, 3)) == ()
    assert short(Expect(returncode=3), ended(End.EXITED, 0)) == [
        ('exit', 'expect.returncode', 'exit status 3', '0, of turn 1')
    ]


@pytest.mark.parametrize(
    ('seen', 'said'),
    [
        (
            ended(End.TIMED_OUT, None, 2.04),
            ('timeout', 'timeout_seconds', 'turn 1 ends by itself', 'ended after 2.0 s'),
        ),
        (ended(End.SIGNALLED, 139), ('crash', 'returncode', 'no death by a signal', 'signal 11')),
    ],
)
def test_other_ends_are_told_by_name(seen: Observed, said: tuple[str, ...]) -> None:
    assert short(Expect(), seen) == [said]


def test_what_json_promised_is_always_checked() -> None:
    assert short(Expect(), observed(bad_lines=('oops', 'again'))) == [
        ('stdout', 'exec --json', 'a JSON object on every line', '2 others, first "oops"')
    ]
    silent = observed(events=())
    assert short(Expect(), silent) == [('stdout', 'exec --json', 'events on standard output', 'none')]
    assert checks.check(Expect(returncode=1), silent._replace(turns=ended(End.EXITED, 1).turns)) == ()


# -- traffic -------------------------------------------------------------------------------


def test_a_request_to_the_model_that_is_no_json_is_never_green() -> None:
    torn = asked(0, None)._replace(body=b'{"input": [')
    assert short(Expect(), observed(requests=(MODELS, torn))) == [
        ('requests', 'responses_api', 'JSON in every request to the model', 'POST /v1/responses (request 0): none')
    ]


def test_refused_requests_and_unused_replies_are_failures() -> None:
    refused = asked(2, {'input': 'again'}, status=400, reply=None, problem='all 2 replies were used')
    seen = observed(requests=(refused,), unused_replies=('responses[1] (sent 0 of 1 times)',))
    unmatched, unused = checks.check(Expect(), seen)
    assert unmatched == Finding(
        'requests',
        'responses_api',
        'a reply for every request',
        'POST /v1/responses (request 2): all 2 replies were used',
        '400 refused: again',
    )
    assert unused[:4] == (
        'replies',
        'responses_api',
        'every reply is asked for',
        'unused: responses[1] (sent 0 of 1 times)',
    )


@pytest.mark.parametrize(
    ('expected', 'reached', 'said'),
    [
        ((), None, []),
        ((), (), []),
        ((), ('chatgpt.com', 'chatgpt.com', '1.1.1.1:443'), ['chatgpt.com', '1.1.1.1:443']),
        (('a.example',), ('a.example', 'b.example'), ['b.example']),
        (('a.example', 'c.example'), ('a.example',), ['reached for: a.example']),
        (('a.example',), (), ['reached for: nothing']),
        (('a.example',), None, []),
    ],
)
def test_egress_is_what_is_expected(
    expected: tuple[str, ...], reached: tuple[str, ...] | None, said: list[str]
) -> None:
    found = checks.check(Expect(egress=expected), observed(egress=reached))
    assert [finding.observed for finding in found] == said
    assert {finding.kind for finding in found} <= {'egress'}


def test_a_turn_that_could_not_follow_is_the_agents_failure() -> None:
    finding = one(Expect(), observed(turns_asked=2))
    assert (finding.kind, finding.claim, finding.observed) == ('events', 'turns', 'it names none')
    assert checks.check(Expect(returncode=1), ended(End.EXITED, 1)._replace(turns_asked=2)) == ()


# -- each expectation: what holds, what does not -------------------------------------------

GH = ({'argv': ['issue', 'list', '--limit', '3']}, {'argv': ['repo', 'view']})

TABLE: list[tuple[Expect, Expect, tuple[str, str, str, str]]] = [
    (
        Expect(assistant_contains=('All', 'done')),
        Expect(assistant_contains=('done', 'All was done.')),
        ('assistant', 'expect.assistant_contains[1]', '"All was done."', 'in none of 1'),
    ),
    (
        Expect(command_contains=('ls',)),
        Expect(command_contains=('rm',)),
        ('commands', 'expect.command_contains[0]', '"rm"', 'in none of 2'),
    ),
    (
        Expect(gh_contains=('issue list', '--limit 3')),
        Expect(gh_contains=('issue create',)),
        ('gh', 'expect.gh_contains[0]', '"issue create"', 'in none of 2'),
    ),
    (
        Expect(stderr_contains=('slow\nlast',)),
        Expect(stderr_contains=('quick',)),
        ('stderr', 'expect.stderr_contains[0]', '"quick"', 'in none of 2'),
    ),
    (
        Expect(error_contains=('full', 'The jetty')),
        Expect(error_contains=('jetty', 'empty')),
        ('events', 'expect.error_contains[1]', '"empty"', 'in none of 1'),
    ),
    (
        Expect(session_count=1),
        Expect(session_count=2),
        ('events', 'expect.session_count', '2', '1'),
    ),
    (
        Expect(responses_request_count=2),
        Expect(responses_request_count=3),
        ('requests', 'expect.responses_request_count', '3 requests to the model', '2'),
    ),
    (
        Expect(command_events=(CommandExpect(('ls',), ('denied',), ('failed',), 2), CommandExpect(('tmp',)))),
        Expect(command_events=(CommandExpect(('ls',), (), ('completed',), 2),)),
        (
            'commands',
            'expect.command_events[0]',
            'command_contains ["ls"], status_any ["completed"], exit_code 2',
            'no such one among 2 events about commands',
        ),
    ),
    (
        Expect(events=({'type': 'item.completed', 'item': {'parts': [1, {'a': 2}]}}, {'usage': {'input_tokens': 1}})),
        Expect(events=({'item': {'parts': [3, 1]}},)),
        ('events', 'expect.events[0]', '{"item": {"parts": [3, 1]}}', 'part of none of 7 events'),
    ),
    (
        Expect(event_count={'item.completed': (2,), 'item.command_execution': (1, 2), 'msg.x': (0,)}),
        Expect(event_count={'turn.completed': (2, 3)}),
        ('events', 'expect.event_count.turn.completed', '2 or 3', '1'),
    ),
    (
        Expect(event_count_any=({'msg.a': (1,)}, {'turn.started': (1,), 'turn.completed': (1,)})),
        Expect(event_count_any=({'msg.a': (1,)}, {'turn.started': (1,), 'turn.completed': (2, 3)})),
        (
            'events',
            'expect.event_count_any',
            'msg.a: 1 or turn.started: 1 and turn.completed: 2 or 3',
            'none of these',
        ),
    ),
    (
        Expect(responses=(RequestExpect(-1, 'input', ('LANTERN', 'lit\nexit 0'), ('RULE-7',)),)),
        Expect(responses=(RequestExpect(-2, 'body', ('say "ho"',)),)),
        ('requests', 'expect.responses[0] (body of request -2).contains_all[0]', '"say \\"ho\\""', 'absent'),
    ),
    (
        Expect(
            responses=(RequestExpect(0, 'body', ('say "hi"\nnow',)), RequestExpect(1, 'instructions', ('Follow.',)))
        ),
        Expect(responses=(RequestExpect(0, 'instructions', (), ('RULE-7',)),)),
        (
            'requests',
            'expect.responses[0] (instructions of request 0).not_contains[0]',
            'no "RULE-7"',
            'stands there 2 times',
        ),
    ),
    (
        Expect(responses=(RequestExpect(0, counts={'RULE-7': 2, 'RULE-8': 0}),)),
        Expect(responses=(RequestExpect(0, counts={'RULE-7': 1}),)),
        ('requests', 'expect.responses[0] (body of request 0).count', '"RULE-7" 1 times', '2 times'),
    ),
    (
        Expect(responses=(RequestExpect(0, in_order=('RULE-7', 'RULE-7', 'say "hi"\nnow')),)),
        Expect(responses=(RequestExpect(0, in_order=('say "hi"\nnow', 'RULE-7')),)),
        (
            'requests',
            'expect.responses[0] (body of request 0).in_order',
            '"say \\"hi\\"\\nnow", then "RULE-7"',
            '"RULE-7" is not there after what stands before it',
        ),
    ),
    (
        Expect(responses=(RequestExpect(1, image_payload_bytes=65536), RequestExpect(0, image_payload_bytes=0))),
        Expect(responses=(RequestExpect(1, image_payload_bytes=0),)),
        (
            'requests',
            'expect.responses[0] (body of request 1).image_payload_bytes',
            '0 bytes of images',
            '65536 bytes',
        ),
    ),
    (
        Expect(responses=(RequestExpect(-2, contains_all=('RULE-7',)),)),
        Expect(responses=(RequestExpect(-3, contains_all=('RULE-7',)),)),
        ('requests', 'expect.responses[0]', 'a request -3', 'there are 2'),
    ),
    (
        Expect(
            function_call_outputs=(OutputExpect(1, 'c1', ('LANTERN',), ('exit 0', 'exit 1'), ('RULE',)), OutputExpect())
        ),
        Expect(function_call_outputs=(OutputExpect(None, 'c1', (), ('exit 1', 'exit 2')),)),
        (
            'requests',
            'expect.function_call_outputs[0].contains_any',
            'one of "exit 1", "exit 2"',
            'none of them',
        ),
    ),
    (
        Expect(function_call_outputs=(OutputExpect(-1, 'c1', ('lit\nexit',)),)),
        Expect(function_call_outputs=(OutputExpect(0, 'c1', ('LANTERN',)),)),
        (
            'requests',
            'expect.function_call_outputs[0]',
            'request 0, call_id "c1", contains_all ["LANTERN"]',
            'no such output was sent',
        ),
    ),
    (
        Expect(workspace_git_status=(StatusExpect(' M a.txt\n?? b\n', ('a.txt',), ('c',)),)),
        Expect(workspace_git_status=(StatusExpect(None, (), ('a.txt',)),)),
        ('workspace', 'expect.workspace_git_status[0].not_contains[0]', 'no "a.txt"', 'stands there'),
    ),
    (
        Expect(workspace_git_status=(StatusExpect(' M a.txt\n?? b'),)),
        Expect(workspace_git_status=(StatusExpect(''),)),
        ('workspace', 'expect.workspace_git_status[0].equals', '""', '" M a.txt\\n?? b"'),
    ),
]


@pytest.mark.parametrize(('held', 'violated', 'said'), TABLE)
def test_expectations(held: Expect, violated: Expect, said: tuple[str, str, str, str]) -> None:
    seen = observed(gh_calls=GH, git_status=' M a.txt\n?? b\n')
    assert checks.check(held, seen) == ()
    assert short(violated, seen) == [said]


@pytest.mark.parametrize(
    ('wanted', 'said'),
    [
        (FileExpect('a/b.txt'), None),
        (FileExpect('a', True), None),
        (FileExpect('a/b.txt', True, 'one\ntwo\n', ('one', 'two\n'), ('three',)), None),
        (FileExpect('gone', False), None),
        (FileExpect('gone'), ('it exists', 'it does not exist')),
        (FileExpect('a/b.txt', False), ('it does not exist', 'it exists')),
        (FileExpect('link', False), ('it does not exist', 'it exists')),
        (FileExpect('a', contains_all=('x',)), ('it is a file that can be read', 'it is no file')),
        (FileExpect('pipe', contains_all=('x',)), ('it is a file that can be read', 'it is no file')),
        (FileExpect('a/b.txt', equals='one\n'), ('"one\\n"', '"one\\ntwo\\n"')),
        (FileExpect('a/b.txt', contains_all=('three',)), ('"three"', 'absent')),
        (FileExpect('a/b.txt', not_contains=('two',)), ('no "two"', 'stands there')),
    ],
)
def test_files_of_the_workspace(tmp_path: Path, wanted: FileExpect, said: tuple[str, str] | None) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/b.txt').write_text('one\ntwo\n')
    (tmp_path / 'link').symlink_to('gone')
    os.mkfifo(tmp_path / 'pipe')
    found = checks.check(Expect(workspace_files=(wanted,)), observed(tmp_path))
    assert [(finding.expected, finding.observed) for finding in found] == ([said] if said else [])
    assert all(finding.claim.startswith(f'expect.workspace_files[0] ({wanted.path})') for finding in found)


def test_without_a_repository_nothing_can_be_said_of_its_status() -> None:
    finding = one(Expect(workspace_git_status=(StatusExpect(''),)), observed())
    assert finding.observed == 'the workspace is no repository'


def test_golden_requests_are_compared_normalised(tmp_path: Path) -> None:
    path = tmp_path / 'golden.json'
    seen = observed(requests=(asked(0, {'cwd': '/t/1/ws', 'id': '019abf6e-13ee-7a42-8d14-f0c2a11d9a01'}),))
    seen = seen._replace(masks={'/t/1/ws': '<workspace>'})
    assert one(Expect(requests_match=str(path)), seen).kind == 'golden'
    path.write_text('[\n {\n  "cwd": "<workspace>",\n  "id": "<uuid-1>"\n }\n]\n')
    assert checks.check(Expect(requests_match=str(path)), seen) == ()
    path.write_text('[\n {\n  "cwd": "<home>",\n  "id": "<uuid-1>"\n }\n]\n')
    finding = one(Expect(requests_match=str(path)), seen)
    assert finding.observed == 'golden.json:3 is "cwd": "<home>", observed "cwd": "<workspace>"'
    assert '+  "cwd": "<workspace>"' in finding.nearest


# -- what came closest ---------------------------------------------------------------------


def test_the_nearest_candidate_is_shown() -> None:
    seen = observed(gh_calls=GH)
    assert one(Expect(assistant_contains=('All was done',)), seen).nearest == 'All is done.'
    assert one(Expect(gh_contains=('issue lost',)), seen).nearest == 'issue list --limit 3'
    assert one(Expect(assistant_contains=('§§§',)), seen).nearest == ''
    missed = one(Expect(command_events=(CommandExpect(('ls',), (), ('completed',), 2),)), seen).nearest
    assert missed.splitlines() == [
        'command "ls /tmp", output "denied", status "failed", exit_code 2',
        'it misses the status completed (it is failed)',
    ]
    near = one(
        Expect(events=({'type': 'item.completed', 'item': {'type': 'agent_message', 'text': 'x'}},)), seen
    ).nearest
    assert near.splitlines()[-1] == 'it misses item.text "x"'
    assert 'All is done.' in near
    lines = one(Expect(responses_request_count=1), seen).nearest.splitlines()
    assert [line.split()[3] for line in lines] == ['responses[0]:', 'responses[1]:']
    outputs = one(Expect(function_call_outputs=(OutputExpect(call_id='c9'),)), seen)
    assert outputs.nearest == 'there are: c1'


def test_what_a_link_out_of_the_workspace_leads_to_is_no_file_of_it(tmp_path: Path) -> None:
    (tmp_path / 'elsewhere').write_text('Dear log,\n')
    workspace = tmp_path / 'workspace'
    workspace.mkdir()
    (workspace / 'notes.txt').symlink_to(tmp_path / 'elsewhere')
    found = one(Expect(workspace_files=(FileExpect('notes.txt', contains_all=('Dear',)),)), observed(workspace))
    assert found.observed == f'a link leads out of the workspace, to {tmp_path}/elsewhere'


def test_the_file_with_the_nearest_name_is_shown(tmp_path: Path) -> None:
    (tmp_path / '.git').mkdir()
    (tmp_path / '.git/notes.txt').touch()
    (tmp_path / 'notes.text').touch()
    assert one(Expect(workspace_files=(FileExpect('notes.txt'),)), observed(tmp_path)).nearest == 'notes.text'


def test_long_texts_are_shortened() -> None:
    finding = one(Expect(assistant_contains=('x' * 100_000,)), observed())
    assert len(finding.expected) < 400


# -- parts of events -----------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3), st.data())
def test_a_part_of_an_event_is_found_and_nothing_else(event: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(event)))
    seen = observed(events=(event,))
    assert checks.check(Expect(events=({key: event[key]},)), seen) == ()
    assert checks.check(Expect(events=({key: 'no such text'},)), seen) != ()
    assert checks.check(Expect(events=({**event, 'more': None},)), seen) != () or event.get('more', 0) is None


@pytest.mark.parametrize(
    ('fragment', 'whole', 'is_part'),
    [
        ({'a': 1}, {'a': True}, False),
        ({'a': [2]}, {'a': [1, 2]}, True),
        ({'a': [2, 1]}, {'a': [1, 2]}, False),
        ({'a': []}, {'a': 'text'}, False),
        ({'a': {}}, {'a': {'b': 1}}, True),
        ({'a': {}}, {'a': None}, False),
    ],
)
def test_what_is_a_part(fragment: Any, whole: Any, is_part: bool) -> None:
    assert (checks.check(Expect(events=(fragment,)), observed(events=(whole,))) == ()) is is_part
