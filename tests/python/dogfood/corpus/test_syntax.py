"""Scripts that bash cannot read, read by the real one."""

import shutil
import time
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.dogfood.corpus import journeys, syntax
from tests.python.runs import HOUSE, Place, journey

BASH = shutil.which('bash') or 'bash'
CORPUS = HOUSE / 'tests/corpora/unreadable/unreadable.yaml'


def test_each_is_told_at_its_place_and_none_that_can_be_read() -> None:
    with pytest.raises(UserError) as refused:
        journeys.load([str(CORPUS)], BASH)
    places = [problem.removeprefix(f'{CORPUS}:').split(': ')[:3] for problem in refused.value.problems]
    assert [(place, what) for place, what, _ in places] == [
        (place, 'bash cannot read this') for place in ('3:37', '5:27', '10:23', '12:14', '17:15')
    ]
    assert [line for _, _, line in places] == ['line 1', 'line 2', 'line 1', 'line 2', 'line 1']


def test_without_a_bash_nobody_looks() -> None:
    assert len(journeys.load([str(CORPUS)]).journeys) == 2
    assert len(journeys.load([str(CORPUS)], '/no/such/bash').journeys) == 2


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('echo "open', 'closed"'),
        ("echo 'open", "closed'"),
        ('if true; then echo', 'fi'),
        ('(echo', ')'),
        ('{ echo', '}'),
        ('}; {', 'echo }'),
        ('echo $(', ')'),
        ('echo `', '`'),
        ('case x in', 'esac'),
        ('while true; do', 'done'),
    ],
)
def test_what_one_leaves_open_another_does_not_close(first: str, second: str) -> None:
    found = syntax.unreadable(['echo fine', first, second, 'echo fine too'], BASH)
    assert 1 in found
    assert not {0, 3} & set(found)


@pytest.mark.parametrize(
    'script', ['# nothing', 'cat <<END\nopen', 'shopt -s extglob\nls !(a)', 'f() { :; }', 'x=(a b)']
)
def test_what_can_be_read_among_what_cannot(script: str) -> None:
    assert set(syntax.unreadable([script, 'echo )', script, script], BASH)) == {1}


def test_ten_thousand_are_read_in_no_time_and_a_hundred_are_told(tmp_path: Path) -> None:
    started = time.monotonic()
    assert syntax.unreadable([f'echo "{number}" | cat' for number in range(10_000)], BASH) == {}
    assert len(syntax.unreadable(['echo )'] * 150, BASH)) == 100
    assert time.monotonic() - started < 30


def test_nothing_is_run_neither_by_check_nor_where_it_is_refused(place: Place) -> None:
    place.corpus(journey('one', 'touch @LEDGER@', 'touch @LEDGER@; }; touch @LEDGER@; {'))
    checked, done = place.verb('check', 'corpus.yaml'), place.run()
    for refused in (checked, done):
        assert refused.exit == 2
        assert 'corpus.yaml:15:13: bash cannot read this: line 1: ' in refused.err
    assert not place.ledger.exists()


def test_what_nobody_looked_at_beforehand_is_not_held_against_the_product(place: Place) -> None:
    place.corpus(journey('one', 'echo "open'))
    place.verb('plan', 'corpus.yaml', '--shards', '1', '--run-dir', 'run')
    place.verb('shard', 'run', '1')
    done = place.verb('report', 'run')
    assert (done.exit, done.verdicts) == (3, {'one': 'infra'})
    assert 'bash cannot read the step' in done.causes['one']
