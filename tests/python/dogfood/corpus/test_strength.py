"""Tables: what a journey expects → whether a pass says more of the product than exit statuses do."""

from typing import Any

import pytest

from hack.dogfood.corpus import strength
from hack.dogfood.model import Expect, FileCheck, Journey, Step, TextCheck


def text(**check: Any) -> Expect:
    return Expect(stdout=TextCheck(**check))


def file(exists: bool | None = None, **check: Any) -> Expect:
    return Expect(files=(FileCheck('it', exists, TextCheck(**check)),))


@pytest.mark.parametrize(
    ('expect', 'checked'),
    [
        (Expect(), False),
        (Expect(exit='nonzero', latency=1), False),
        (text(equals=''), False),
        (text(equals='a'), True),
        (text(matches='^$'), False),
        (text(matches='a|$'), False),
        (text(contains=('a',)), True),
        (text(matches='a'), True),
        (text(json=(('a', 1),)), True),
        (text(), False),
        (text(not_contains=('error',)), False),
        (text(not_contains=('error',), contains=('a',)), True),
        (Expect(stderr=TextCheck(equals='')), False),
        (Expect(stderr=TextCheck(contains=('a',))), True),
        (Expect(stderr=TextCheck(contains=('X',))), True),  # however short
        (file(), True),
        (file(True), True),
        (file(False), False),
        (file(False)._replace(exit='nonzero'), True),
        (file(not_contains=('error',)), True),
    ],
)
def test_a_pass_that_rests_on_more_than_exit_statuses(expect: Expect, checked: bool) -> None:
    journey = Journey('a', 'it works', 'f', 'f.yaml', 1, (Step('one'), Step('two', expect=expect)))
    assert strength.is_checked(journey) is checked
    if expect == file(False):  # what it stands on may have made the file
        assert strength.is_checked(journey._replace(requires=('made',)))


@pytest.mark.parametrize(
    ('expect', 'checked'),
    [
        (file(), False),
        (file(True), False),
        (file(False), True),
        (file(equals='old'), False),
        (file(equals='new'), True),
        (file(contains=('ol',)), False),
        (file(contains=('ol', 'ne')), True),
        (file(not_contains=('new',)), False),
        (file(not_contains=('old',)), True),
        (file(matches='o'), True),
        (file(json=(('a', 1),)), True),
    ],
)
def test_a_file_that_the_journey_wrote_itself_tells_only_what_has_changed(expect: Expect, checked: bool) -> None:
    own = Journey('a', 'it works', 'f', 'f.yaml', 1, (Step('one', expect=expect),), files={'it': 'old'})
    assert strength.is_checked(own) is checked
    step = Step('one', expect=expect, files={'it': 'old'})
    assert strength.is_checked(own._replace(files={}, steps=(step,))) is checked


@pytest.mark.parametrize(
    ('run', 'expect', 'tells'),
    [
        ('product; echo done', text(equals='done'), False),
        ('product\necho done', text(contains=('done',)), False),
        ('product || true; echo it is "done"  # now', text(contains=('is done', 'it')), False),
        ('product || true; echo done', text(equals='done', contains=('more',)), True),
        ('product || true; echo done', text(json=(('a', 1),)), True),
        ('product || true; echo done', Expect(stderr=TextCheck(contains=('done',))), True),
        ('product && echo done', text(equals='done'), True),
        ('product || echo refused', text(equals='refused'), True),
        ('echo "$(product)"', text(contains=('product',)), True),
        ('echo done >log; product', text(contains=('done',)), True),
        ('echo done | product', text(contains=('done',)), True),
        ('if product; then echo done; fi', text(contains=('done',)), True),
        ('product', text(contains=('done',)), True),
    ],
)
def test_what_the_step_says_itself_tells_nothing(run: str, expect: Expect, tells: bool) -> None:
    assert strength.output_tells(Step(run, expect=expect)) is tells
