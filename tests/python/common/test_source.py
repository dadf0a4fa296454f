"""Reading YAML and TOML: values, their places, and every way in which a file can be none."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.errors import UserError
from hack.common.source import LARGEST, Document, Problem, load_toml, parse_yaml, read, suggest

REPOSITORY = Path(__file__).resolve().parents[3]


def parse(text: str | bytes, path: str = 'f.yaml') -> tuple[Document | None, list[str]]:
    found: list[Problem] = []
    document = parse_yaml(path, text.encode() if isinstance(text, str) else text, found)
    return document, [str(problem) for problem in found]


def value_of(text: str | bytes, path: str = 'f.yaml') -> Any:
    document, problems = parse(text, path)
    assert problems == []
    assert document is not None
    return document.data


# -- values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a: b', {'a': 'b'}),
        ('a: [1, -2, 0, 1.5, -1e3]', {'a': [1, -2, 0, 1.5, -1000.0]}),
        ('a: [yes, Off, TRUE, n]', {'a': [True, False, True, 'n']}),
        ('a: [~, null, ]', {'a': [None, None]}),
        ('a:', {'a': None}),
        ("a: ['1', \"yes\", !!str 2, !!str no]", {'a': ['1', 'yes', '2', 'no']}),
        # What other readers of YAML disagree about is text.
        ('a: [0x1f, 0o7, 017, 1_000, 12:30, 2026-01-02, .5, 1., +1, .inf, 1e999]',
         {'a': ['0x1f', '0o7', '017', '1_000', '12:30', '2026-01-02', '.5', '1.', '+1', '.inf', '1e999']}),
        ('{1: a, yes: b, ~: c}', {'1': 'a', 'yes': 'b', '~': 'c'}),
        ('a: &x [1, {b: &y c}]\nd: *x\ne: *y', {'a': [1, {'b': 'c'}], 'd': [1, {'b': 'c'}], 'e': 'c'}),
        ('&k a: *k', {'a': 'a'}),
        ('{a: &k b, *k : c}', {'a': 'b', 'b': 'c'}),
        ('a: |\n  b\n  c\n', {'a': 'b\nc\n'}),
        ('\ufeffa: b', {'a': 'b'}),
        ("'<<': b", {'<<': 'b'}),
        ('9' * 5000, '9' * 5000),
    ],
)  # fmt: skip
def test_values(text: str, expected: Any) -> None:
    assert repr(value_of(text)) == repr(expected)


KEYS = st.text(max_size=40)  # YAML reads keys of up to 1,024 characters, and JSON may write twelve for one
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, json_values, max_size=4), st.sampled_from([None, 2, '\t']))
def test_what_json_writes_is_read_as_json_reads_it(value: dict[str, Any], indent: int | str | None) -> None:
    written = json.dumps(value, indent=indent)
    assert value_of(written, 'f.json') == json.loads(written)


def test_places_are_lines_and_columns_from_one() -> None:
    document, _ = parse('a: 1\n"ü": {b: [x,\n   y]}\n')
    assert document is not None
    table = document.data
    assert (table.place('a'), table.place('ü'), table.place('ü', of_key=True)) == ((1, 4), (2, 6), (2, 1))
    assert str(document.problem('wrong', ('ü', 'b', 1))) == 'f.yaml:3:4: wrong'
    assert str(document.problem('wrong', ('b',), of_key=True, within=table['ü'])) == 'f.yaml:2:7: wrong'
    assert str(document.problem('wrong')) == 'f.yaml:1:1: wrong'


def test_places_stay_right_where_a_key_is_dropped() -> None:
    document, _ = parse('a: 1\nb: 2\nc: 3\n')
    assert document is not None
    document.data.place('c')
    document.data.drop('b')
    document.data.drop('absent')
    assert document.data == {'a': 1, 'c': 3}
    assert (document.data.place('a'), document.data.place('c')) == ((1, 4), (3, 4))


# -- what is refused -----------------------------------------------------------------------


def bomb(levels: int) -> str:
    return 'l0: &l0 [ha, ha]\n' + ''.join(f'l{n}: &l{n} [{", ".join([f"*l{n - 1}"] * 10)}]\n' for n in range(1, levels))


TOO_DEEP = 'nested more than 100 levels deep (flatten it)'
NO_ANCHOR = 'the alias *x has no complete anchor before it (write it out)'
EMPTY = 'is empty (write at least what is required, or remove the file)'


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', f'1:1: {EMPTY}'),
        ('# only a comment\n', f'1:1: {EMPTY}'),
        ('---\n', f'1:1: {EMPTY}'),
        ('a: b: c', "1:5: not YAML: mapping values are not allowed in this context (put a text that holds ': ' in "
         'quotes, or check the indentation)'),
        ('a:\n\t- b', '2:1: not YAML: found character that cannot start any token while scanning for the next token '
         '(indent with spaces, not tabs; put a text that starts with @, `, % or & in quotes)'),
        ('a: [b', '2:1: not YAML: did not find expected \',\' or \']\' while parsing a flow sequence '
         '(check the indentation and the quotes)'),
        ('ä: b\nc: "\x01"', '2:5: not YAML: control characters are not allowed '
         "(write it as an escape in double quotes, as in '\\x1b')"),
        ('a: !!python/object/apply:os.system [true]',
         "1:4: the tag '!!python/object/apply:os.system' is not understood (write the value without it)"),
        ('a: ! no', "1:4: the tag '!' is not understood (write the value without it)"),
        ('a: !!int "3"', "1:4: the tag '!!int' is not understood (write the value without it)"),
        ('a: 1\n---\nb: 2', '2:1: a second document begins (put it in a file of its own)'),
        ('a: *x', f'1:4: {NO_ANCHOR}'),
        ('a: &x [*x]', f'1:8: {NO_ANCHOR}'),
        ('b: &x {c: d}\n<<: *x', "2:1: merge keys ('<<') are not understood (write the keys out, or alias all of it)"),
        ('[' * 100_000, f'1:101: {TOO_DEEP}'),
        ('{' * 100_000, f'1:101: {TOO_DEEP}'),
        ('- ' * 100_000, f'1:201: {TOO_DEEP}'),
        ('a: ' + '[' * 99 + ']' * 99 + '\nb: ' + '[' * 100, f'2:103: {TOO_DEEP}'),
        (bomb(12), '5:30: the aliases up to here make the file too large (write it out, or use fewer)'),
        ('a: &x ' + 'x' * 200_000 + '\nb: [' + '*x, ' * 50 + ']',
         '2:45: the aliases up to here make the file too large (write it out, or use fewer)'),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, problem: str) -> None:
    assert parse(text) == (None, [f'f.yaml:{problem}'])


def test_keys_are_unique_texts_and_the_first_one_stays() -> None:
    document, problems = parse('a: 1\nb: {c: 1, c: 2}\na: 3\n[x]: 4\n? {y: z}\n: 5\nd: 6\n')
    assert problems == [
        "f.yaml:2:11: duplicate key 'c', first at 2:5 (keep one of the two)",
        "f.yaml:3:1: duplicate key 'a', first at 1:1 (keep one of the two)",
        'f.yaml:4:1: a key is not a text (write it as a plain word)',
        'f.yaml:5:3: a key is not a text (write it as a plain word)',
    ]
    assert document is not None
    assert document.data == {'a': 1, 'b': {'c': 1}, 'd': 6}
    assert document.data.place('d', of_key=True) == (7, 1)


def test_aliases_may_make_a_short_file_longer() -> None:
    assert len(value_of('a: &x ' + 'x' * 900 + '\nb: [' + '*x, ' * 100 + ']')['b']) == 100


@given(st.text(alphabet='ab:-[]{}&*!|>\'"#%@`,? \n\t<~01.\\\x00\x07\ud7ffé') | st.text())
def test_any_text_is_read_or_refused_at_one_place(text: str) -> None:
    document, problems = parse(text)
    assert document is not None or len(problems) >= 1
    assert all(problem.startswith('f.yaml:') for problem in problems)


# -- files ---------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    found: list[Problem] = []
    assert read(str(path), found) is None
    (problem,) = found
    return str(problem).removeprefix(str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / 'absent')
        == ': cannot be read: No such file or directory (check the path and its permissions)'
    )
    assert refusal(tmp_path) == ': cannot be read: Is a directory (check the path and its permissions)'
    os.mkfifo(tmp_path / 'pipe')
    assert refusal(tmp_path / 'pipe') == ': is not a regular file (give a file or a folder)'
    latin = tmp_path / 'latin.yaml'
    latin.write_bytes('feature: é\npromise: né\n'.encode() + 'ça: é'.encode('latin-1'))
    assert refusal(latin) == ':3:1: byte 0xe7 at offset 25 is not UTF-8 (save the file as UTF-8)'


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    large = tmp_path / 'large.yaml'
    with large.open('wb') as file:
        file.truncate(LARGEST + 1)  # sparse: it takes no room
    assert refusal(large) == f': has {LARGEST + 1} bytes, more than {LARGEST} (split it)'


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_file_without_permission(tmp_path: Path) -> None:
    secret = tmp_path / 'secret.yaml'
    secret.touch(mode=0)
    assert refusal(secret) == ': cannot be read: Permission denied (check the path and its permissions)'


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('a = b', ':1:5: not TOML: Invalid value (see toml.io)'),
        ('[a]\nb = 1\nb = 2\n', ':3:6: not TOML: Cannot overwrite a value (see toml.io)'),
        ('a = "', ': not TOML: Unterminated string at the end of document (see toml.io)'),
        ('a = ' + '[' * 100_000, ': nested too deeply (flatten it)'),
    ],
)
def test_toml_that_is_none(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / 'agents.toml'
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_toml(str(path))
    assert caught.value.problems == (f'{path}{problem}',)


def test_toml(tmp_path: Path) -> None:
    path = tmp_path / 'agents.toml'
    path.write_text('[agent]\nname = "builder"\n')
    assert load_toml(str(path)) == {'agent': {'name': 'builder'}}
    with pytest.raises(UserError, match='No such file'):
        load_toml(str(tmp_path / 'absent.toml'))


def test_yaml_is_imported_by_those_who_read_it_only() -> None:
    script = "import sys; from hack.common import schema, source; print({'yaml', 'jsonschema'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, '-c', script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout == 'set()\n'


@pytest.mark.parametrize(
    ('word', 'expected'),
    [
        ('stpes', " (did you mean 'steps'?)"),
        ('Steps', " (did you mean 'steps'?)"),
        ('establish', " (did you mean 'establishes'?)"),
        ('rnu', " (did you mean 'run'?)"),
        ('colour', ''),
        ('', ''),
    ],
)
def test_suggestions(word: str, expected: str) -> None:
    assert suggest(word, ['steps', 'establishes', 'requires', 'run']) == expected
