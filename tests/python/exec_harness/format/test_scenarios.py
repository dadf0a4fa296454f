"""Scenario files: what they say, and everything that is wrong with them, at its place."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from hack.common.errors import UserError
from hack.exec_harness.format import rules, scenarios
from hack.exec_harness.model import (
    Api,
    Chunk,
    CommandExpect,
    Copy,
    Event,
    Expect,
    Fault,
    FileExpect,
    Gh,
    GhMatch,
    GhReply,
    OutputExpect,
    Reply,
    RequestExpect,
    Scenario,
    StatusExpect,
    Turn,
    When,
)

HERE = Path(__file__).parents[1]
SCHEMA = json.loads((HERE.parents[2] / 'hack/exec_harness/schema/scenario.schema.json').read_text())


def problems_of(*paths: str) -> list[str]:
    with pytest.raises(UserError) as error:
        scenarios.load(paths)
    assert error.value.exit_status == 2
    return list(error.value.problems)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- what they say -------------------------------------------------------------------------


def test_a_scenario_with_every_key_says_all_of_it(here: Path) -> None:
    shutil.copy(HERE / 'every-key.yaml', here)
    (here / 'skills/one').mkdir(parents=True)
    (here / 'skills/one/SKILL.md').touch()
    [scenario] = scenarios.load(['every-key.yaml'])
    assert scenario == Scenario(
        name='every key',
        path='every-key.yaml',
        line=2,
        turns=(Turn('first'), Turn('second')),
        claim='Everything that can be said is understood.',
        files={'a/b.txt': 'ababab'},
        copy=(Copy(here / 'every-key.yaml', 'docs/copy.yaml'),),
        git_init=True,
        skill_roots=(here / 'skills',),
        config_toml='a = "{{base_url}}"',
        config_overrides=('x=1',),
        env={'WHERE': '{{workspace}}/{{home}}'},
        model='gpt-5',
        sandbox='read-only',
        max_seconds=20,
        include_plan_tool=True,
        auto_review=True,
        timeout_seconds=7.5,
        responses_api=Api(websocket=404, models=('gpt-5', {'id': 'own'}), responses=REPLIES),
        gh=GH,
        expect=EXPECT,
    )


ITEM = {
    'type': 'function_call',
    'call_id': 'c1',
    'name': '{{tool.shell}}',
    'arguments': '{"{{tool.shell.argument}}": "ls"}',
}
REPLIES = (
    Reply(
        name='call',
        when=When('POST', '/v1/responses', {'session-id': 'a'}, {'input[-1].role': 'user'}, ('first',), False),
        times=2,
        headers={'x-mine': '1'},
        events=(
            Event('response.output_item.done', {'type': 'response.output_item.done', 'item': ITEM}),
            Event('response.other', {'type': 'response.other', 'n': 1}),
            Event('response.third', {'type': 'response.third'}),
            Event('response.failed', {'type': 'response.failed', 'response': {}}),
        ),
        completed=False,
        response_id='own',
        usage={
            'input_tokens': 1,
            'cached_input_tokens': 2,
            'output_tokens': 3,
            'reasoning_output_tokens': 4,
            'total_tokens': 5,
        },
        delay=0.5,
        chunk=Chunk(10, 0.01),
        fault=Fault('reset'),
    ),
    Reply(
        name='responses[1]',
        when=When(text=('a', 'b'), tool_output='c1'),
        times=None,
        response_id='resp-2',
        chunk=Chunk(5, 0.2),
        fault=Fault('stall', 0),
        sse='raw',
    ),
    Reply(name='responses[2]', response_id='resp-3', body={'a': None}, has_body=True),
)
GH = Gh(
    repo='o/r',
    default_branch='trunk',
    next_issue=7,
    issues=({'number': 1, 'title': 'one'},),
    responses=(GhReply(GhMatch('auth status', 'auth', 'status', '^auth'), 'yes', 'no', 3),),
    default_response=GhReply(stderr='unknown', exit_code=1),
)
EXPECT = Expect(
    returncode=1,
    assistant_contains=('a',),
    command_contains=('b',),
    gh_contains=('c',),
    error_contains=('e',),
    stderr_contains=('d',),
    session_count=1,
    responses_request_count=2,
    workspace_files=(FileExpect('a/b.txt', True, 'ababab', ('aba', 'a', 'b'), ('c',)),),
    workspace_git_status=(StatusExpect('', ('x',), ('y',)),),
    command_events=(CommandExpect(('ls',), ('x',), ('completed', 'failed'), 0),),
    events=({'type': 'turn.completed'},),
    event_count={'turn.completed': (1,), 'item.agent_message': (1, 2), 'item.new_kind': (0,)},
    event_count_any=({'msg.a': (1,)}, {'msg.b': (2,)}),
    responses=(RequestExpect(-1, 'input', ('a', 'b'), ('c',), {'d': 2}, 0, ('e', 'f')),),
    function_call_outputs=(OutputExpect(1, 'c1', ('a',), ('b', 'c'), ('d',)),),
    requests_match='golden/every-key.json',
    egress=('a.example', '1.1.1.1:443'),
)


def keys_of(schema: Any) -> Iterator[str]:
    """Every key of the format, however deep, but for those of free JSON."""
    for key, inner in schema.get('properties', {}).items():
        yield key
        yield from keys_of(inner)
    if isinstance(schema.get('items'), dict):
        yield from keys_of(schema['items'])


def test_no_key_of_the_format_is_left_out_of_that() -> None:
    text = (HERE / 'every-key.yaml').read_text()
    keys = set(keys_of(SCHEMA)).union(*map(keys_of, SCHEMA['definitions'].values()))
    others = {'prompt', 'kind', 'cache_write_input_tokens'}  # the other spelling of something that is in it
    assert [key for key in sorted(keys - others) if f'{key}:' not in text] == []


def test_the_schema_is_one_and_explains_every_key() -> None:
    Draft7Validator.check_schema(SCHEMA)
    nameless = [key for key, said in SCHEMA['properties'].items() if not said.get('description')]
    assert nameless == []


def test_json_and_yaml_say_the_same(here: Path) -> None:
    said = {
        'name': 'x',
        'prompt': 'é\U0001f600',
        'responses_api': {'responses': [{}]},
        'expect': {'events': [{'a': 1}]},
    }
    (here / 'x.json').write_text(json.dumps(said))
    [scenario] = scenarios.load(['x.json'])
    assert scenario.turns == (Turn('é\U0001f600'),)
    assert scenario.responses_api == Api((Reply('responses[0]', response_id='resp-1'),))
    assert scenario.expect == Expect(events=({'a': 1},))


def test_a_name_is_that_of_the_file_where_none_is_given(here: Path) -> None:
    (here / 'basic.yaml').write_text('prompt: hi\n')
    [scenario] = scenarios.load(['basic.yaml'])
    assert (scenario.name, scenario.line) == ('basic', 1)


def test_of_a_folder_the_files_directly_in_it_are_read_each_once(here: Path) -> None:
    (here / 'golden').mkdir()
    for name in ('b.yaml', 'a.json', '.hidden.yaml', 'README.md', 'golden/a.json'):
        (here / name).write_text('prompt: hi\n' if name.endswith('.yaml') else '{"prompt": "hi"}')
    assert [scenario.path for scenario in scenarios.load(['.', './a.json'])] == ['./a.json', './b.yaml']


def test_what_a_scenario_names_is_looked_for_beside_it_then_where_we_are(here: Path) -> None:
    (here / 'deep').mkdir()
    (here / 'deep/a.txt').touch()
    (here / 'a.txt').touch()
    (here / 'b.txt').touch()
    (here / 'deep/x.yaml').write_text('prompt: hi\ncopy: [{source: a.txt, target: a}, {source: b.txt, target: b}]\n')
    [scenario] = scenarios.load(['deep/x.yaml'])
    assert [copy.source for copy in scenario.copy] == [here / 'deep/a.txt', here / 'b.txt']


# -- what is wrong with them ---------------------------------------------------------------

API = 'responses_api: {responses: []}\n'

FAULTS = [
    ('', '1:1: is empty (write at least what is required, or remove the file)'),
    ('{}', '1:1: the scenario asks the agent nothing (give it a prompt, or turns)'),
    ('name: x', '1:1: the scenario asks the agent nothing (give it a prompt, or turns)'),
    ('[1]', '1:1: the file wants a mapping, not a list (check the indentation and the punctuation)'),
    ('prompt: [', '2:1: not YAML: did not find expected node content while parsing a flow node'),
    ('prompt: hi\nturns: [a]', '1:1: a prompt and turns (keep one of the two)'),
    ('prompt: hi\nexpct: {}', "2:1: unknown key 'expct' (did you mean 'expect'?)"),
    ('prompt: 1', "1:9: 'prompt' wants text, not the number 1 (put it in quotes: '1')"),
    ('prompt: ""', "1:9: 'prompt' is empty (say something, or remove it)"),
    ('turns: []', "1:8: 'turns' is empty (say something, or remove it)"),
    ('turns: [{}]', "1:9: the key 'prompt' is missing in an entry of 'turns' (add it)"),
    ('prompt: hi\nprompt: ho', "2:1: duplicate key 'prompt', first at 1:1 (keep one of the two)"),
    ('prompt: hi\ngit_init: "yes"', "2:11: 'git_init' wants true or false, not 'yes' (write it without quotes)"),
    ('prompt: hi\nenv: {A: 1}', "2:10: 'A' wants text, not the number 1 (put it in quotes: '1')"),
    ('prompt: hi\nenv: {1A: x}', "2:7: '1A' is no name of a variable (letters, digits and _)"),
    ('prompt: hi\nconfig_overrides: [x]', "2:20: 'x' is no override (write it as key=value)"),
    ('prompt: hi\nsandbox: readonly', "2:10: 'sandbox' cannot be 'readonly' (did you mean 'read-only'?)"),
    ('prompt: hi\ntimeout_seconds: 0', "2:18: 'timeout_seconds' is 0 (give more than 0)"),
    ('prompt: hi\nmax_seconds: 1.5', "2:14: 'max_seconds' wants a whole number, not 1.5 (mend the value)"),
    ('prompt: "{{worksapce}}"', "1:9: unknown name {{worksapce}} (did you mean 'workspace'?)"),
    ('prompt: {$repeat: x}', '1:9: a repetition is {$repeat: text, count: n}, nothing else (mend it)'),
    # paths
    ('prompt: hi\nfiles: {../../x: a}', "2:9: '../../x' leaves the folder (stay below it)"),
    ('prompt: hi\nfiles: {a/../../x: a}', "2:9: 'a/../../x' leaves the folder (stay below it)"),
    ('prompt: hi\nfiles: {/etc/x: a}', "2:9: '/etc/x' is absolute (write it from the folder on)"),
    ('prompt: hi\nfiles: {a/..: a}', "2:9: 'a/..' names no file (give it a name)"),
    ('prompt: "a\\0"', '1:9: holds a NUL, which no program can be given (take it out)'),
    ('turns: [hi, {prompt: "a\\0"}]', '1:13: holds a NUL, which no program can be given (take it out)'),
    ('prompt: hi\nmodel: "a\\0"', '2:8: holds a NUL, which no program can be given (take it out)'),
    ('prompt: hi\nenv: {A: "a\\0"}', '2:10: holds a NUL, which no program can be given (take it out)'),
    ('prompt: hi\nconfig_overrides: ["a=\\0"]', '2:20: holds a NUL, which no program can be given (take it out)'),
    ('prompt: hi\nfiles: {"a\\0": a}', "2:9: 'a\\x00' holds a NUL (take it out)"),
    ('prompt: hi\nfiles: {a: x, a/b: y}', "2:15: 'a' is a file, so nothing can be below it (rename one of the two)"),
    ('prompt: hi\ncopy: [{source: s.yaml, target: ../x}]', "2:33: '../x' leaves the folder (stay below it)"),
    (
        'prompt: hi\ncopy: [{source: none, target: x}]',
        "2:17: 'none' is not there (it is looked for beside this file, then where you are)",
    ),
    (
        'prompt: hi\nskill_roots: [none]',
        "2:15: the skill root 'none' is no folder (it is looked for beside this file, then where you are)",
    ),
    (
        'prompt: hi\nskill_roots: [empty]',
        "2:15: the skill root 'empty' holds no SKILL.md, nor does a folder in it (add one)",
    ),
    ('prompt: hi\nskill_roots: skills', "2:14: 'skill_roots' wants a list, not text"),
    # the fake API
    ('prompt: hi\nresponses_api: {responses: [x]}', "2:29: an entry of 'responses' wants a mapping, not text"),
    ('prompt: hi\nresponses_api: {responses: [{evnts: []}]}', "2:30: unknown key 'evnts' (did you mean 'events'?)"),
    ('prompt: hi\nresponses_api: {responses: [{status: 99}]}', "2:38: 'status' is 99 (give at least 200)"),
    ('prompt: hi\nresponses_api: {websocket: 101}', "2:28: 'websocket' is 101 (give at least 400)"),
    ('prompt: hi\nresponses_api: {responses: [{times: 0}]}', "2:37: 'times' is 0 (give at least 1)"),
    (
        'prompt: hi\nresponses_api: {responses: [{times: never}]}',
        "2:37: 'never' is no number of times (write a number, or any)",
    ),
    ('prompt: hi\nresponses_api: {responses: [{when: {}}]}', "2:36: 'when' is empty (say something, or remove it)"),
    (
        'prompt: hi\nresponses_api: {responses: [{when: {json: {"a[": 1}}}]}',
        "2:44: 'a[' is no path into JSON (write it as a.b[0])",
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{fault: crash}]}',
        "2:37: 'crash' is no fault (known: reset, stall, malformed, truncate)",
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{fault: {kind: reset, after: 1}}]}',
        '2:58: it comes after 1 events, but there are 0 (lower it)',
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{name: a}, {name: a}]}',
        "2:47: a second reply is called 'a' (rename one)",
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{events: [{}]}]}',
        '2:39: an event is an item or has a payload (give it one of the two)',
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{events: [{item: {a: 1}, payload: {}}]}]}',
        '2:39: an event is an item or has a payload (give it one of the two)',
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{events: [{payload: {}}]}]}',
        '2:39: nothing says what event this is (give it a type)',
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{events: [{item: {a: 1}, type: x}]}]}',
        '2:39: an item always comes as response.output_item.done (use payload for another event)',
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{headers: {"a b": x}}]}',
        "2:40: 'a b' is no name of a header (use letters, digits and -)",
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{headers: {x-a: "b\\r\\nc: d"}}]}',
        '2:45: a header holds no line break and no NUL (take it out)',
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{headers: {Content-Length: "3"}}]}',
        "2:40: 'Content-Length' is what the API itself says of a body (",
    ),
    (
        'prompt: hi\nresponses_api: {responses: [{when: {header: {"x:": a}}}]}',
        "2:46: 'x:' is no name of a header (use letters, digits and -)",
    ),
    ('prompt: hi\ngh: {repo: x}', "2:12: 'x' is no repository (write it as owner/name)"),
    (
        'prompt: hi\ngh: {responses: [{stdout: x}]}',
        "2:18: the key 'match' is missing in an entry of 'responses' (add it)",
    ),
    ('prompt: hi\ngh: {responses: [{match: {}}]}', "2:26: 'match' is empty (say something, or remove it)"),
    ('prompt: hi\ngh: {responses: [{match: {regex: "("}}]}', "2:34: '(' is no regular expression: "),
    # what is expected
    (
        'prompt: hi\nexpect: {asistant_contains: [x]}',
        "2:10: unknown key 'asistant_contains' (did you mean 'assistant_contains'?)",
    ),
    ('prompt: hi\nexpect: {assistant_contains: abc}', "2:30: 'assistant_contains' wants a list, not text"),
    (
        'prompt: hi\nexpect: {assistant_contains: []}',
        "2:30: 'assistant_contains' is empty (say something, or remove it)",
    ),
    (
        'prompt: hi\nexpect: {assistant_contains: [""]}',
        "2:31: an entry of 'assistant_contains' is empty (say something, or remove it)",
    ),
    ('prompt: hi\nexpect: {stderr_contains: x}', "2:27: 'stderr_contains' wants a list, not text"),
    (
        'prompt: hi\nexpect: {returncode: "1"}',
        "2:22: 'returncode' wants a whole number, not '1' (write it without quotes)",
    ),
    ('prompt: hi\nexpect: {event_count: {a: -1}}', "2:27: 'a' is -1 (give at least 0)"),
    ('prompt: hi\nexpect: {event_count: {a: []}}', "2:27: 'a' is empty (say something, or remove it)"),
    ('prompt: hi\nexpect: {event_count: {a: "1"}}', "2:27: 'a' wants a whole number or a list, not text"),
    (
        'prompt: hi\nexpect: {event_count: {turn.complete: 0}}',
        "2:24: unknown kind of event 'turn.complete' (did you mean 'turn.completed'?) (",
    ),
    (
        'prompt: hi\nexpect: {event_count: {item.comand_execution: 2}}',
        "2:24: unknown kind of event 'item.comand_execution' (did you mean 'item.command_execution'?) (",
    ),
    (
        'prompt: hi\nexpect: {event_count_any: [{turn.failed: 1}, {quux: [0, 1]}]}',
        "2:47: unknown kind of event 'quux' (one that is new is named in new_kinds)",
    ),
    ('prompt: hi\nexpect: {event_count_any: {}}', "2:27: 'event_count_any' is empty (say something, or remove it)"),
    ('prompt: hi\nexpect: {events: [{}]}', "2:19: an entry of 'events' is empty (say something, or remove it)"),
    ('prompt: hi\nexpect: {events: {a: 1}}', "2:18: 'events' wants a list, not a mapping"),
    ('prompt: hi\nexpect: {command_events: [{}]}', "2:27: an entry of 'command_events' is empty"),
    ('prompt: hi\nexpect: {workspace_git_status: [{}]}', "2:33: an entry of 'workspace_git_status' is empty"),
    ('prompt: hi\nexpect: {workspace_files: [{path: ../x}]}', "2:35: '../x' leaves the folder (stay below it)"),
    ('prompt: hi\nexpect: {workspace_files: [{path: x, contains: [a]}]}', "2:48: 'contains' wants text, not a list"),
    (
        'prompt: hi\nexpect: {workspace_files: [{path: x, contains_all: a}]}',
        "2:52: 'contains_all' wants a list, not text",
    ),
    (
        'prompt: hi\nexpect: {workspace_files: [{path: x, not_contains: []}]}',
        "2:52: 'not_contains' is empty (say something, or remove it)",
    ),
    (
        'prompt: hi\nexpect: {workspace_files: [{path: x, exists: false, equals: a}]}',
        '2:28: a file that does not exist has no text (remove one of the two)',
    ),
    (
        'prompt: hi\nexpect: {workspace_files: [{path: x, contains: abc, not_contains: b}]}',
        "2:28: 'b' is both expected and refused (remove one of the two)",
    ),
    (
        API + 'prompt: hi\nexpect: {responses: [{request: 0}]}',
        '3:22: nothing is expected of it (say what, as contains_all)',
    ),
    (
        API + 'prompt: hi\nexpect: {function_call_outputs: [{request: 0}]}',
        '3:34: nothing is expected of it (say what, as contains_all)',
    ),
    (API + 'prompt: hi\nexpect: {responses: [{scope: tools, contains: x}]}', "3:30: 'scope' cannot be 'tools'"),
    (API + 'prompt: hi\nexpect: {responses: [{count: {a: x}}]}', "3:34: 'a' wants a whole number, not 'x'"),
    (API + 'prompt: hi\nexpect: {requests_match: ../g.json}', "3:26: '../g.json' leaves the folder (stay below it)"),
    (
        'prompt: hi\nexpect: {responses_request_count: 1}',
        "2:10: without responses_api no request is seen, so 'responses_request_count' cannot be checked",
    ),
    (
        'prompt: hi\nexpect: {gh_contains: [x]}',
        "2:10: without gh no call of it is seen, so 'gh_contains' cannot be checked",
    ),
]


@pytest.mark.parametrize(('text', 'said'), FAULTS)
def test_each_fault_is_one_line_at_its_place(here: Path, text: str, said: str) -> None:
    (here / 'empty').mkdir()
    (here / 's.yaml').write_text(f'{text}\n' if text else '')
    [problem] = problems_of('s.yaml')
    assert problem.startswith(f's.yaml:{said}')
    assert problem.endswith(')')
    assert '\n' not in problem


def test_all_faults_of_all_files_are_told_at_once(here: Path) -> None:
    (here / 'a.yaml').write_text(
        'prompt: 1\nfiles: {../x: a, ok: 2}\nresponses_api: {websocket: 1, responses: [{events: [{}]}]}\n'
        'expect: {asistant_contains: [x], workspace_files: [{path: a, contains: b, not_contains: b}]}\n'
    )
    (here / 'b.json').write_text('{"prompt": ')
    (here / 'c.yaml').write_text('prompt: hi\n')
    places = [':'.join(problem.split(':')[:3]) for problem in problems_of('.')]
    assert places == [
        './a.yaml:1:9',
        './a.yaml:2:9',
        './a.yaml:2:22',
        './a.yaml:3:28',
        './a.yaml:3:53',
        './a.yaml:4:10',
        './a.yaml:4:52',
        './b.json:2:1',
    ]


def test_two_scenarios_of_one_name_are_told(here: Path) -> None:
    for name in ('a', 'b'):
        (here / f'{name}.yaml').write_text('prompt: hi\nname: same\n')
    assert problems_of('.') == ["./b.yaml:2:7: the name 'same' is taken by ./a.yaml:2 (rename one of the two)"]


def test_paths_that_lead_nowhere(here: Path) -> None:
    (here / 'none').mkdir()
    assert problems_of('none', 'gone.yaml') == [
        'gone.yaml: cannot be read: No such file or directory (check the path and its permissions)',
        'none: no scenarios in it (name a file or a folder that holds some, in YAML)',
    ]
    assert problems_of() == ['the scenarios: no path to them (name a file or a folder)']


@pytest.mark.parametrize('path', ['a', 'a/b', './a', 'a/../b', '..a', 'a b/"c"', '~/x'])
def test_paths_that_stay_below(path: str) -> None:
    assert rules.path_fault(path) is None
    assert not os.path.relpath(os.path.join('/ws', path), '/ws').startswith('../')
