"""What the results of every instrument share: the verdict words, their totals, the exit status, and JUnit."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

from hack.common.errors import Exit

VERDICTS: Final = ('passed', 'failed', 'blocked', 'deferred', 'skipped', 'infra')


def totals(verdicts: Iterable[str]) -> dict[str, int]:
    """How often each verdict was given; all six are always there."""
    counted = Counter(verdicts)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def exit_status(
    totals: Mapping[str, int],
    *,
    problems: bool = False,
    report_only: bool = False,
    interrupted: bool = False,
    allowed: int = 0,
) -> Exit:
    """What a set of verdicts comes to.

    `problems`: the harness's own records cannot be trusted in full. `allowed`: how many of the failed are known, and
    do not fail the whole; no green comes of them: something else must have passed.
    """
    if interrupted:
        return Exit.INTERRUPTED
    if totals['failed'] > allowed:
        return Exit.GREEN if report_only else Exit.RED
    if totals['infra'] or problems or not totals['passed']:
        return Exit.BROKEN
    return Exit.GREEN


class Case(NamedTuple):
    """One `<testcase>`: an outcome other than passed has a message; `text` is what was found."""

    suite: str
    name: str
    seconds: float
    outcome: Literal['passed', 'failure', 'error', 'skipped'] = 'passed'
    message: str = ''
    kind: str = ''
    text: str = ''
    file: str = ''
    line: int = 0
    properties: Mapping[str, str] = {}


def junit(name: str, cases: Sequence[Case]) -> str:
    """A JUnit report as continuous-integration servers read it: a suite for each `Case.suite`, times in seconds."""
    by_suite = groupby(sorted(cases, key=lambda case: case.suite), key=lambda case: case.suite)
    suites = [_suite(suite, list(members)) for suite, members in by_suite]
    return '\n'.join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites {_attributes(name, cases)}>',
            *suites,
            '</testsuites>\n',
        ]
    )


def _suite(name: str, cases: Sequence[Case]) -> str:
    return '\n'.join([f'<testsuite {_attributes(name, cases)}>', *map(_case, cases), '</testsuite>'])


def _attributes(name: str, cases: Sequence[Case]) -> str:
    count = Counter(case.outcome for case in cases)
    seconds = sum(case.seconds for case in cases)
    return (
        f'name="{_attribute(name)}" tests="{len(cases)}" failures="{count["failure"]}" '
        f'errors="{count["error"]}" skipped="{count["skipped"]}" time="{seconds:.3f}"'
    )


def _case(case: Case) -> str:
    opening = f'  <testcase name="{_attribute(case.name)}" classname="{_attribute(case.suite)}" '
    if case.file:
        opening += f'file="{_attribute(case.file)}" line="{case.line}" '
    opening += f'time="{case.seconds:.3f}"'
    inside = _properties(case.properties) + _outcome(case)
    return f'{opening}>\n{inside}  </testcase>' if inside else f'{opening}/>'


def _properties(properties: Mapping[str, str]) -> str:
    if not properties:
        return ''
    lines = (f'<property name="{_attribute(key)}" value="{_attribute(value)}"/>' for key, value in properties.items())
    return f'    <properties>{"".join(lines)}</properties>\n'


def _outcome(case: Case) -> str:
    if case.outcome == 'passed':
        return f'    <system-out>{_text(case.text)}</system-out>\n' if case.text else ''
    kind = f' type="{_attribute(case.kind)}"' if case.kind else ''
    opening = f'    <{case.outcome} message="{_attribute(case.message)}"{kind}'
    return f'{opening}>{_text(case.text)}</{case.outcome}>\n' if case.text else f'{opening}/>\n'


# Markup, and what XML 1.0 cannot hold at all: that is written out, as `\x1b`, so that it can still be read.
_SPECIAL: Final = re.compile('[&<>"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]')
_ENTITIES: Final = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;'}


def _text(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0]) or ascii(found[0])[1:-1], text)


def _attribute(text: str) -> str:
    # A parser turns bare white space of an attribute into spaces.
    return _text(text).replace('\n', '&#10;').replace('\t', '&#9;')
