"""No secret is shown, however the text that holds it was cut."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood.judging.oracles import Text
from hack.dogfood.judging.secrets import SHORTEST, Mask

TWO_LINES = 'BEGIN KEY\nabcdefgh\nEND\n'


@pytest.mark.parametrize(
    ('values', 'text', 'shown'),
    [
        ({}, 'all of it', 'all of it'),
        ({'TOKEN': 'hunter2'}, 'a hunter2 hunter2b', 'a [masked: TOKEN] [masked: TOKEN]b'),
        ({'TOKEN': 'hunter2'}, 'hunter', 'hunter'),
        ({'TOKEN': 'a.b*'}, 'a.b* axb', '[masked: TOKEN] axb'),
        ({'FLAG': 'yes', 'FOUR': 'four'}, 'yes four', 'yes [masked: FOUR]'),
        ({'EMPTY': ''}, 'all of it', 'all of it'),
        ({'A': 'secret', 'B': 'secret-long'}, 'secret-long secret', '[masked: B] [masked: A]'),
        ({'B': 'secret-long', 'A': 'secret'}, 'secret-long secret', '[masked: B] [masked: A]'),
        ({'TOKEN': 'masked', 'B': 'TOKEN'}, 'masked TOKEN', '[masked: TOKEN] [masked: B]'),
        ({'KEY': TWO_LINES}, f'<{TWO_LINES}>', '<[masked: KEY]>'),
        ({'KEY': TWO_LINES}, 'x abcdefgh BEGIN KEY END', 'x [masked: KEY] [masked: KEY] END'),
        ({'RAW': os.fsdecode(b'\xffabc')}, '\\xffabc', '[masked: RAW]'),
        ({'É': 'ééé1'}, 'ééé1', '[masked: É]'),
    ],
)
def test_text(values: dict[str, str], text: str, shown: str) -> None:
    assert Mask(values).text(text) == shown


def test_value_masks_every_string_in_it_and_no_key() -> None:
    mask = Mask({'TOKEN': 'hunter2'})
    value = {'hunter2': ['hunter2', 1, None, {'a': 'x hunter2'}], 'b': 'hunter2', 'c': True}
    assert mask.value(value) == {
        'hunter2': ['[masked: TOKEN]', 1, None, {'a': 'x [masked: TOKEN]'}],
        'b': '[masked: TOKEN]',
        'c': True,
    }
    assert Mask({}).value(value) is value


def test_the_shortest_secret() -> None:
    assert SHORTEST == 4
    assert Mask({'A': 'abc', 'B': 'abcd'}).text('abc abcd') == 'abc [masked: B]'


@pytest.mark.parametrize(
    ('values', 'text', 'trimmed'),
    [
        ({'T': 'abcd'}, Text(b'xabc'), Text(b'xabc')),
        ({'T': 'abcd'}, Text(b'xabc', b'', 5), Text(b'x', b'', 8)),
        ({'T': 'abcd'}, Text(b'x', b'dy', 5), Text(b'x', b'y', 6)),
        ({'T': 'abcd'}, Text(b'xa', b'bcdy', 5), Text(b'x', b'y', 9)),
        ({'T': 'abcd'}, Text(b'abc', b'bcd', 5), Text(b'', b'', 11)),
        ({'T': 'abcd'}, Text(b'abcd', b'abcd', 5), Text(b'abcd', b'abcd', 5)),
        ({'T': 'abcd'}, Text(b'bc', b'bc', 5), Text(b'bc', b'bc', 5)),
        ({'T': 'abcd', 'U': 'cdef'}, Text(b'abcd', b'ef', 5), Text(b'', b'', 11)),
        ({'T': 'aaaa'}, Text(b'xaaaaa', b'aaaaay', 5), Text(b'x', b'y', 15)),
        ({}, Text(b'xa', b'y', 5, (b'hit',)), Text(b'xa', b'y', 5, (b'hit',))),
        (
            {'T': 'abcd'},
            Text(b'', b'', 5, (b'panic: ab', b'cd panic:', b'd panic: abcd a')),
            Text(b'', b'', 5, (b'panic: ', b' panic:', b' panic: abcd ')),
        ),
    ],
)
def test_trim(values: dict[str, str], text: Text, trimmed: Text) -> None:
    assert Mask(values).trim(text) == trimmed


# Secrets are made of other characters than all around them, so that a part of one is seen wherever it stays.
SECRETS = st.text('0123456789éß🂡', min_size=SHORTEST, max_size=12)
AROUND = st.text('xyz \n', max_size=20)
PIECES = st.lists(st.tuples(AROUND, st.booleans()), max_size=6)


@given(st.lists(SECRETS, min_size=1, max_size=3), PIECES, st.data())
def test_no_part_of_a_secret_is_shown_wherever_the_text_is_cut(
    secrets: list[str], pieces: list[tuple[str, bool]], data: st.DataObject
) -> None:
    mask = Mask({f'NAME{chr(65 + number)}': secret for number, secret in enumerate(secrets)})
    between = [f'{around}{"|" if is_secret else ""}' for around, is_secret in pieces]
    whole = ''.join(between)
    while '|' in whole:
        whole = whole.replace('|', f' {data.draw(st.sampled_from(secrets))} ', 1)
    raw = whole.encode()
    first = data.draw(st.integers(0, len(raw)))
    second = data.draw(st.integers(first, len(raw)))
    text = Text(raw[:first], raw[second:], second - first) if first < second else Text(raw)
    trimmed = mask.trim(text)
    shown = mask.text(''.join(trimmed.parts()))
    assert not set(shown) & set('0123456789éß🂡\\')
    assert trimmed.dropped + len(trimmed.head) + len(trimmed.tail) == len(raw)
