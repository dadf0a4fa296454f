import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.errors import UserError
from hack.dogfood.reporting import decisions
from hack.dogfood.reporting.decisions import Decision

ONE, TWO, THREE = 'exit-0123456789ab', 'capability-lost-ba9876543210', 'stdout-aaaaaaaaaaaa'
TEXT = f"""\
# our own words

decisions:
  # about exits
  {ONE}:  # the oldest
    # why it is so
    decision: real  # for sure
    note: "a # b"   # a tail
    cause: >-
      long
      text

  # next
  {TWO}:
    decision: intended
# the end
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'triage.yaml'


def said(path: Path) -> dict[str, tuple[str, str]]:
    return {name: (one.decision, one.note) for name, one in decisions.load([str(path)]).items()}


def test_decisions_know_where_they_stand(path: Path) -> None:
    path.write_text(TEXT)
    known = decisions.load([str(path), str(path.with_name('absent.yaml'))])
    assert known[ONE] == Decision('real', 'a # b', '', 'long text', str(path), 5)
    assert (known[TWO].decision, known[TWO].line) == ('intended', 14)


@pytest.mark.parametrize('text', ['', '# nothing yet\n', 'decisions:\n', 'decisions: {}\n', 'decisions: null\n# end\n'])
def test_a_file_may_hold_none_and_takes_the_first(path: Path, text: str) -> None:
    path.write_text(text)
    assert said(path) == {}
    decisions.keep(str(path), ONE, Decision('intended', 'so it is'))
    assert said(path) == {ONE: ('intended', 'so it is')}
    assert all(line in path.read_text() for line in text.splitlines() if line.startswith('#'))


def test_a_file_is_made_where_there_is_none(path: Path) -> None:
    decisions.keep(str(path), ONE, Decision('real'))
    assert said(path) == {ONE: ('real', '')}


def test_no_folder_is_made_for_a_corpus_that_is_not_here(path: Path) -> None:
    with pytest.raises(UserError, match='its corpus is not here'):
        decisions.keep(str(path.parent / 'deep' / 'triage.yaml'), ONE, Decision('real'))
    assert not (path.parent / 'deep').exists()


def test_those_of_a_run_are_looked_for_where_it_was_started_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there').mkdir()
    run = {'cwd': str(tmp_path / 'there'), 'decisions': ['journeys/triage.yaml']}
    assert decisions.of_run(run) == ['there/journeys/triage.yaml']
    assert decisions.of_run({**run, 'cwd': str(tmp_path / 'elsewhere')}) == ['journeys/triage.yaml']
    assert decisions.of_run({'corpus': [{'path': 'journeys/a.yaml', 'sha256': ''}]}) == ['journeys/triage.yaml']
    assert decisions.of_run({}) == []


def test_a_decision_is_replaced_where_it_stands_and_all_else_stays(path: Path) -> None:
    path.write_text(TEXT)
    decisions.keep(str(path), ONE, Decision('intended', 'new: "x"', '2026-11-21'))
    expected = TEXT.replace('decision: real  #', 'decision: intended  #').replace('"a # b"', r'"new: \"x\""')
    expected = expected.replace('    cause: >-\n      long\n      text\n', '    decided: "2026-11-21"\n')
    assert path.read_text() == expected


def test_a_new_decision_comes_last_indented_as_the_others(path: Path) -> None:
    path.write_text(TEXT.replace('\n  ', '\n    '))
    decisions.keep(str(path), THREE, Decision('discoverability', 'nobody finds it'))
    assert path.read_text().startswith(TEXT.replace('\n  ', '\n    '))
    assert said(path)[THREE] == ('discoverability', 'nobody finds it')


@given(
    note=st.text(st.characters(exclude_categories=['Cs']), max_size=60), again=st.text(st.sampled_from('a #:"\'\n-{'))
)
def test_any_note_comes_back_and_the_rest_is_not_touched(
    tmp_path_factory: pytest.TempPathFactory, note: str, again: str
) -> None:
    path = tmp_path_factory.mktemp('corpus') / 'triage.yaml'
    path.write_text(TEXT)
    for words in (note, again):
        decisions.keep(str(path), TWO, Decision('real', words))
        assert said(path) == {ONE: ('real', 'a # b'), TWO: ('real', words)}
        assert path.read_text().startswith(TEXT.partition(TWO)[0])


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        (
            'decisions: [a]\n',
            ":1:12: 'decisions' wants a mapping, not a list (check the indentation and the punctuation)",
        ),
        (f'decision: {{{ONE}: {{decision: real}}}}\n', ":1:1: unknown key 'decision' (did you mean 'decisions'?)"),
        (f'decisions:\n  {ONE}: {{decision: reel}}\n', ":2:33: 'decision' cannot be 'reel' (did you mean 'real'?)"),
        (f'decisions:\n  {ONE}: {{note: x}}\n', f":2:22: the key 'decision' is missing in '{ONE}' (add it)"),
        (
            'decisions:\n  nonsense: {decision: real}\n',
            ":2:3: 'nonsense' is no fingerprint (copy it from `run_journeys.py triage`, as in stdout-0123456789ab)",
        ),
        (
            f'decisions:\n  {ONE}: {{decision: real}}\n  {ONE}: {{decision: real}}\n',
            f":3:3: duplicate key '{ONE}', first at 2:3 (keep one of the two)",
        ),
        ('decisions: [\n', ':2:1: not YAML: '),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_file_is_left_alone(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    with pytest.raises(UserError) as error:
        decisions.load([str(path)])
    assert error.value.problems[0].startswith(f'{path}{problem}')
    with pytest.raises(UserError):
        decisions.keep(str(path), ONE, Decision('real'))
    assert path.read_text() == text


def test_two_files_may_not_decide_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / 'a.yaml', tmp_path / 'b.yaml']
    for path in paths:
        path.write_text(f'decisions:\n  {ONE}: {{decision: real}}\n')
    with pytest.raises(UserError, match=rf'b.yaml:2:3: {ONE} is decided in .*a.yaml:2 already'):
        decisions.load(map(str, paths))


def test_what_cannot_be_edited_by_lines_is_left_alone(path: Path) -> None:
    path.write_text(f'decisions: {{{ONE}: {{decision: real}}}}\n')
    with pytest.raises(UserError, match='cannot be edited line by line'):
        decisions.keep(str(path), TWO, Decision('real'))
    assert said(path) == {ONE: ('real', '')}


def test_they_are_kept_beside_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.makedirs('journeys/deep')
    assert decisions.places(['journeys', 'journeys/a.yaml', 'other.yaml']) == ['journeys/triage.yaml', 'triage.yaml']
