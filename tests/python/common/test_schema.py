"""Schemas: what is wrong with a document in words for people, and the two validators at one."""

import json
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hack.common.schema import Schema
from hack.common.source import Problem, parse_yaml

SCHEMA = r"""
{
  "type": "object",
  "additionalProperties": false,
  "required": ["name", "kind"],
  "properties": {
    "name": {"type": "string", "pattern": "^[a-z]+$", "patternErrorMessage": "is no name (letters)", "maxLength": 8},
    "kind": {"enum": ["fast", "slow"]},
    "on": {"type": "boolean"},
    "size": {"type": "integer", "minimum": 1, "maximum": 9},
    "share": {"type": "number", "exclusiveMinimum": 0},
    "tags": {
      "type": ["string", "array"], "minItems": 1, "minLength": 1, "uniqueItems": true, "items": {"type": "string"}
    },
    "price": {"type": ["integer", "string"], "pattern": "^\\$?[0-9]+$", "patternErrorMessage": "is no price ($9)"},
    "word": {"type": "string", "format": "known-word"},
    "env": {
      "type": "object",
      "minProperties": 1,
      "propertyNames": {"pattern": "^[A-Z]+$", "patternErrorMessage": "is no variable (capitals)"},
      "additionalProperties": {"type": "string"}
    }
  }
}
"""


def known_word(word: str) -> str | None:
    return None if word in ('yes', 'no') else 'is no word I know (say yes)'


def problems(text: str) -> list[str]:
    found: list[Problem] = []
    document = parse_yaml('f', text.encode(), found)
    assert document is not None
    assert not found
    return [str(violation.problem) for violation in Schema(SCHEMA, {'known-word': known_word}).violations(document)]


GOOD = 'name: a\nkind: fast\n'
NO_TEXT = 'but yes, no, on, off, true and false are no text in YAML'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', []),
        ('size: 9\non: yes\nshare: 0.1\ntags: [a, b]\nprice: $5\nword: "no"\nenv: {A: b}', []),
        ('size: 9.0\ntags: a\nprice: 5', []),
        ('nmae: b', ["f:3:1: unknown key 'nmae' (did you mean 'name'?)"]),
        ('other: b', ["f:3:1: unknown key 'other' (known here: name, kind, on, size, share, tags, price, word, env)"]),
        ('on: "yes"', ["f:3:5: 'on' wants true or false, not 'yes' (write it without quotes)"]),
        ('on: 1', ["f:3:5: 'on' wants true or false, not 1 (mend the value)"]),
        ('on: [1]', ["f:3:5: 'on' wants true or false, not a list (check the indentation and the punctuation)"]),
        ('on:', ["f:3:4: 'on' is empty (give true or false, or remove it)"]),
        ('size: 0', ["f:3:7: 'size' is 0 (give at least 1)"]),
        ('size: 10', ["f:3:7: 'size' is 10 (give at most 9)"]),
        ('size: 1.5', ["f:3:7: 'size' wants a whole number, not 1.5 (mend the value)"]),
        ('size: true', ["f:3:7: 'size' wants a whole number, not true (mend the value)"]),
        ('share: 0', ["f:3:8: 'share' is 0 (give more than 0)"]),
        ('tags: no', [f"f:3:7: 'tags' wants text or a list, {NO_TEXT} (put it in quotes, as in 'no')"]),
        ('tags: [a, 1]', ["f:3:11: an entry of 'tags' wants text, not the number 1 (put it in quotes: '1')"]),
        ('tags: [a, b, a]', ["f:3:14: 'a' stands twice in 'tags' (keep one of the two)"]),
        ('tags: []', ["f:3:7: 'tags' is empty (say something, or remove it)"]),
        ("tags: ''", ["f:3:7: 'tags' is empty (say something, or remove it)"]),
        ('price: x', ["f:3:8: 'x' is no price ($9)"]),
        ('price: 1.5', ["f:3:8: 'price' wants a whole number or text, not the number 1.5 "
                        "(round it, or put it in quotes: '1.5')"]),
        ('word: maybe', ["f:3:7: 'maybe' is no word I know (say yes)"]),
        ('env: {a: b, C: 1}', ["f:3:7: 'a' is no variable (capitals)",
                               "f:3:16: 'C' wants text, not the number 1 (put it in quotes: '1')"]),
        ('env: {}', ["f:3:6: 'env' is empty (say something, or remove it)"]),
        ('env: text', ["f:3:6: 'env' wants a mapping, not text (check the indentation and the punctuation)"]),
    ],
)  # fmt: skip
def test_words(text: str, expected: list[str]) -> None:
    assert problems(GOOD + text) == expected


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('[a]', ['f:1:1: the file wants a mapping, not a list (check the indentation and the punctuation)']),
        ('a', ['f:1:1: the file wants a mapping, not text (check the indentation and the punctuation)']),
        ('{}', ["f:1:1: the key 'kind' is missing (add it)", "f:1:1: the key 'name' is missing (add it)"]),
        ('{name: "a\\n", kind: quick}', ["f:1:8: 'a\\n' is no name (letters)",
                                         "f:1:21: 'kind' cannot be 'quick' (known: fast, slow)"]),
        ('{name: abcdefghi, kind: fsat}', ["f:1:8: 'name' has 9 characters, more than 8 (shorten it)",
                                           "f:1:25: 'kind' cannot be 'fsat' (did you mean 'fast'?)"]),
        ('{name: ' + 'A' * 90 + ', kind: 1}', [f"f:1:8: '{'A' * 59}… is no name (letters)",
                                             "f:1:8: 'name' has 90 characters, more than 8 (shorten it)",
                                             "f:1:106: 'kind' cannot be 1 (known: fast, slow)"]),
    ],
)  # fmt: skip
def test_words_about_the_whole(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


words = st.sampled_from(['a', 'B', 'a\n', '', '$5', '5', 'fast', 'yes', 'x' * 20, '\n'])
scalars = st.none() | st.booleans() | st.integers(-2, 12) | st.sampled_from([0.5, 1.0]) | words
anything = scalars | st.lists(scalars, max_size=3) | st.dictionaries(words, scalars, max_size=2)
keys = st.sampled_from(['name', 'kind', 'on', 'size', 'share', 'tags', 'price', 'word', 'env', 'other'])


@settings(max_examples=300)
@given(st.dictionaries(keys, anything) | anything.filter(lambda value: value is not None and value != ''))
def test_what_is_not_valid_is_never_without_a_word(value: Any) -> None:
    """One validator decides, the other one explains."""
    found: list[Problem] = []
    document = parse_yaml('f', json.dumps(value).encode(), found)
    assert document is not None
    formats = {'known-word': lambda word: known_word(word) is None}
    try:
        fastjsonschema.validate(json.loads(SCHEMA), value, formats=formats)
        is_valid = True
    except fastjsonschema.JsonSchemaException:
        is_valid = False
    assert is_valid == (not Schema(SCHEMA, {'known-word': known_word}).violations(document))
