"""Names in double braces and repetitions, written out."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.source import Problem, parse_yaml
from hack.exec_harness.driving import adapters
from hack.exec_harness.format import templates
from hack.exec_harness.model import Api, Event, Expect, FileExpect, Reply, Scenario, Turn

VALUES = {
    'base_url': 'http://127.0.0.1:1/v1',
    'workspace': '/tmp/a "b"',
    'home': '/h',
    'tool.shell': 'exec_command',
    'tool.shell.command': 'cmd',
}


def test_every_text_of_a_scenario_is_expanded() -> None:
    item = {'{{tool.shell.command}}': ['{{ home }}', 1, None, {'deep': 'x{{home}}y{{home}}'}]}
    scenario = Scenario(
        name='s',
        path='s.yaml',
        line=1,
        turns=(Turn('say {{workspace}}'),),
        skill_roots=(Path('/{{home}}'),),
        config_toml='base_url = "{{base_url}}"',
        responses_api=Api((Reply('r', events=(Event('e', item),)),)),
        expect=Expect(workspace_files=(FileExpect('f', contains_all=('{{tool.shell}}',)),)),
    )
    expanded = templates.expand(scenario, VALUES)
    assert expanded.turns == (Turn('say /tmp/a "b"'),)
    assert expanded.config_toml == 'base_url = "http://127.0.0.1:1/v1"'
    assert expanded.expect.workspace_files[0].contains_all == ('exec_command',)
    assert expanded.responses_api is not None
    assert expanded.responses_api.responses[0].events[0].data == {'cmd': ['/h', 1, None, {'deep': 'x/hy/h'}]}
    assert expanded.skill_roots == (Path('/{{home}}'),)
    assert (expanded.name, expanded.path, expanded.line) == ('s', 's.yaml', 1)


@pytest.mark.parametrize('text', ['{{ user }}', '{{worksp}}', '{workspace}', '{{  home  }}', '{{tool}}', '{{Home}}'])
def test_other_braces_are_a_text_like_any_other(text: str) -> None:
    assert templates.expand(text, VALUES) == text
    assert list(templates.names(text)) == []


def test_a_tool_that_the_agent_lacks_is_named() -> None:
    with pytest.raises(templates.NoValueError, match=r'^tool\.plan$'):
        templates.expand(['{{tool.plan}}'], VALUES)


def test_arguments_stay_json_whatever_is_put_in() -> None:
    item = {'arguments': json.dumps({'{{tool.shell.command}}': 'cat "{{workspace}}/x"'})}
    assert json.loads(templates.expand(item, VALUES)['arguments']) == {'cmd': 'cat "/tmp/a "b"/x"'}
    assert templates.expand({'arguments': '{ {{home}}'}, VALUES) == {'arguments': '{ /h'}
    untouched = '{ "spaced" :  1 }'
    assert templates.expand({'arguments': untouched}, VALUES) == {'arguments': untouched}


def test_the_names_in_use_are_listed() -> None:
    assert list(templates.names({'{{home}}': ['{{tool.shell.command}} {{base_url}}', 3]})) == [
        'home',
        'tool.shell.command',
        'base_url',
    ]


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('"{{worksapce}}"', ["s.yaml:1:4: unknown name {{worksapce}} (did you mean 'workspace'?)"]),
        ('[x, "{{BASE_URL}} {{home}}"]', ["s.yaml:1:8: unknown name {{BASE_URL}} (did you mean 'base_url'?)"]),
        ('"{{tool.shel}}"', ["s.yaml:1:4: unknown name {{tool.shel}} (did you mean 'tool.shell'?)"]),
        (
            '"{{tool.x}}"',
            [
                's.yaml:1:4: unknown name {{tool.x}} (known: tool.shell, tool.shell.argument, tool.apply_patch, '
                'tool.apply_patch.argument, tool.view_image, tool.view_image.argument)'
            ],
        ),
        ('"{{user}} {{workspace}} {{tool.view_image.argument}}"', []),
    ],
)
def test_a_misspelt_name_is_told(text: str, said: list[str]) -> None:
    found: list[Problem] = []
    document = parse_yaml('s.yaml', f'a: {text}\n'.encode(), found)
    assert document is not None
    templates.check_names(document, found)
    assert [str(problem) for problem in found] == said


def test_what_adapters_know_can_be_named() -> None:
    assert {tool for row in adapters.ROWS for tool in row.tools} == set(templates.TOOLS)


def written_out(text: str) -> tuple[object, list[Problem]]:
    found: list[Problem] = []
    document = parse_yaml('s.yaml', text.encode(), found)
    assert document is not None
    templates.write_out_repeats(document, found)
    return document.data, found


def test_repetitions_are_written_out_anywhere() -> None:
    data, found = written_out('a: [{$repeat: xy, count: 3}, {b: {"$repeat": "-", "count": 0}}]\n')
    assert (data, found) == ({'a': ['xyxyxy', {'b': ''}]}, [])


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('{$repeat: x}', 's.yaml:1:4: a repetition is {$repeat: text, count: n}, nothing else (mend it)'),
        ('{$repeat: 1, count: 2}', 's.yaml:1:4: a repetition is {$repeat: text, count: n}, nothing else (mend it)'),
        ('{$repeat: x, count: true}', 's.yaml:1:4: a repetition is {$repeat: text, count: n}, nothing else (mend it)'),
        ('{$repeat: x, count: -1}', 's.yaml:1:4: a repetition is {$repeat: text, count: n}, nothing else (mend it)'),
        (
            '{$repeat: x, count: 1, c: 2}',
            's.yaml:1:4: a repetition is {$repeat: text, count: n}, nothing else (mend it)',
        ),
        (
            '{$repeat: xx, count: 100000000}',
            's.yaml:1:4: 200000000 characters are more than 67108864 (repeat it less often)',
        ),
    ],
)
def test_a_repetition_that_is_none_is_told(text: str, said: str) -> None:
    _, found = written_out(f'a: {text}\n')
    assert [str(problem) for problem in found] == [said]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_holds_no_name_stays_what_it_is(value: object) -> None:
    assert templates.expand(value, {}) == value or list(templates.names(value))
