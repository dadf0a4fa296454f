import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.errors import Exit
from hack.common.results import VERDICTS, Case, exit_status, junit, totals
from hack.dogfood import model


def test_the_words_are_those_of_the_model() -> None:
    assert VERDICTS == model.VERDICTS


def test_totals_name_every_verdict() -> None:
    assert totals(['passed', 'infra', 'passed']) == {
        'passed': 2,
        'failed': 0,
        'blocked': 0,
        'deferred': 0,
        'skipped': 0,
        'infra': 1,
    }


@pytest.mark.parametrize(
    ('verdicts', 'flags', 'status'),
    [
        ('passed skipped blocked deferred', {}, Exit.GREEN),
        ('passed failed infra', {}, Exit.RED),
        ('failed', {}, Exit.RED),
        ('failed passed', {'problems': True}, Exit.RED),
        ('passed infra', {}, Exit.BROKEN),
        ('passed', {'problems': True}, Exit.BROKEN),
        ('skipped', {}, Exit.BROKEN),
        ('', {}, Exit.BROKEN),
        ('failed passed', {'report_only': True}, Exit.GREEN),
        ('infra passed', {'report_only': True}, Exit.BROKEN),
        ('failed passed', {'allowed': 1}, Exit.GREEN),
        ('failed failed passed', {'allowed': 1}, Exit.RED),
        ('failed infra passed', {'allowed': 1}, Exit.BROKEN),
        ('failed', {'allowed': 1}, Exit.BROKEN),  # a green that verified nothing
        ('passed', {'interrupted': True}, Exit.INTERRUPTED),
        ('failed', {'interrupted': True, 'report_only': True}, Exit.INTERRUPTED),
    ],
)
def test_exit_status(verdicts: str, flags: dict[str, Any], status: Exit) -> None:
    assert exit_status(totals(verdicts.split()), **flags) == status


CASES = (
    Case('b', 'ran', 1.5, properties={'flaky': 'true'}, text='first attempt: no'),
    Case('a', 'broke', 0.25, 'failure', 'it said no', 'stdout', 'expected yes\nobserved no', 'j.yaml', 7),
    Case('b', 'lost', 0.0, 'error', 'shard 1 ended'),
    Case('b', 'waits', 0.0, 'skipped', 'needs git'),
)


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.encode())


def test_junit_reads_back_with_equal_counts() -> None:
    root = parse(junit('all', CASES))
    assert root.attrib == {
        'name': 'all',
        'tests': '4',
        'failures': '1',
        'errors': '1',
        'skipped': '1',
        'time': '1.750',
    }
    suites = {suite.get('name'): suite for suite in root}
    assert list(suites) == ['a', 'b']
    for suite in suites.values():
        assert int(suite.get('tests', '')) == len(suite.findall('testcase'))
        for count, tag in (('failures', 'failure'), ('errors', 'error'), ('skipped', 'skipped')):
            assert int(suite.get(count, '')) == len(suite.findall(f'testcase/{tag}'))
    assert [case.get('name') for case in suites['b']] == ['ran', 'lost', 'waits']


def test_junit_says_what_was_found_and_where() -> None:
    root = parse(junit('all', CASES))
    broke = root.find('.//testcase[@name="broke"]')
    assert broke is not None
    assert (broke.get('file'), broke.get('line'), broke.get('time')) == ('j.yaml', '7', '0.250')
    failure = broke.find('failure')
    assert failure is not None
    assert failure.attrib == {'message': 'it said no', 'type': 'stdout'}
    assert failure.text == 'expected yes\nobserved no'
    ran = root.find('.//testcase[@name="ran"]')
    assert ran is not None
    assert [(element.get('name'), element.get('value')) for element in ran.iter('property')] == [('flaky', 'true')]
    assert ran.findtext('system-out') == 'first attempt: no'


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_junit_holds_any_text(message: str, text: str) -> None:
    case = Case(suite=message, name=text, seconds=0.0, outcome='failure', message=message, kind=text, text=text + '.')
    failure = parse(junit(text, [case])).find('.//failure')
    assert failure is not None
    allowed = {ord(char): ascii(char)[1:-1] for char in message + text if not is_xml(char)}
    assert failure.get('message') == message.translate(allowed)
    assert failure.text == text.translate(allowed) + '.'


def is_xml(char: str) -> bool:
    """XML 1.0, section 2.2, without the control characters it merely discourages."""
    number = ord(char)
    return (
        char in '\t\n\r'
        or 0x20 <= number < 0x7F
        or 0xA0 <= number < 0xD800
        or 0xE000 <= number < 0xFFFE
        or number > 0xFFFF
    )


def test_junit_writes_control_characters_out() -> None:
    assert r'\x1b[31mred\x00\ud800' in junit('x', [Case('a', 'b', 0.0, 'error', '\x1b[31mred\x00\ud800')])
