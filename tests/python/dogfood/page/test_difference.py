"""Expected against observed."""

import pytest

from hack.dogfood.page import difference


def told(expected: str, observed: str) -> list[str]:
    """The claim, then the lines, what differs inside them in brackets."""
    said = difference.of(expected, observed)
    lines = [
        line.sign + ''.join(f'[{part.text}]' if part.differs else part.text for part in line.parts)
        for line in said.lines
    ]
    return [said.claim, *lines]


@pytest.mark.parametrize(
    ('expected', 'observed', 'lines'),
    [
        ('exit 0', 'exit 2', ['', '-exit 0', '+exit 2']),
        ('standard output equals one pen', 'one pin\n', ['standard output equals', '-one p[e]n', '+one p[i]n']),
        ('standard output equals open', 'closed\n', ['standard output equals', '-[open]', '+[closed]']),
        ('order equals a\nb\nc', 'a\nc\n', ['order equals', ' a', '-[b]', ' c']),
        ('order equals a', 'a\nb', ['order equals', ' a', '+[b]']),
        ('standard error contains pen', '', ['', '-standard error contains pen', '+(nothing)']),
        (
            'standard output does not contain pen',
            'a pen, a pencil\nink',
            ['', '-standard output does not contain pen', '+a [pen], a [pen]cil', '+ink'],
        ),
    ],
)
def test_lines_are_set_against_each_other(expected: str, observed: str, lines: list[str]) -> None:
    assert told(expected, observed) == lines


def test_equal_lines_far_from_a_change_are_counted() -> None:
    before = [f'line {number}' for number in range(40)]
    after = [*before[:20], 'another', *before[21:]]
    said = told('x equals ' + '\n'.join(before), '\n'.join(after))
    assert said[1:6] == ['…17 equal lines', ' line 17', ' line 18', ' line 19', '-[line 20]']
    assert said[-1] == '…16 equal lines'


def test_long_texts_are_cut_and_take_no_time() -> None:
    said = difference.of('standard output equals ' + 'x' * 5_000_000, 'y\n' * 1_000_000)
    assert sum(len(part.text) for line in said.lines for part in line.parts) < 10_000
