"""Jobs survive the way to their file and back, whatever they hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood import codec
from hack.dogfood.model import (
    Capability,
    Chain,
    Expect,
    Feature,
    FileCheck,
    Gate,
    Invariant,
    Job,
    Journey,
    Step,
    TextCheck,
)

TEXT = st.text(max_size=5)
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
VARIABLES = st.dictionaries(TEXT, TEXT, max_size=2)
SECONDS = st.none() | st.floats(0, 1e6)
JSON = st.none() | st.booleans() | st.integers() | TEXT | st.lists(st.integers(), max_size=2) | VARIABLES
TEXT_CHECKS = st.builds(
    TextCheck, st.none() | TEXT, TEXTS, TEXTS, st.none() | TEXT, st.lists(st.tuples(TEXT, JSON), max_size=2).map(tuple)
)
FILE_CHECKS = st.builds(FileCheck, TEXT, st.none() | st.booleans(), TEXT_CHECKS)
EXPECTS = st.builds(
    Expect,
    st.integers(0, 255) | st.just('nonzero'),
    st.none() | TEXT_CHECKS,
    st.none() | TEXT_CHECKS,
    st.lists(FILE_CHECKS, max_size=2).map(tuple),
    SECONDS,
    SECONDS,
)
STEPS = st.builds(Step, TEXT, TEXT, EXPECTS, st.booleans(), SECONDS, VARIABLES)
FEATURES = st.builds(
    Feature,
    TEXT,
    TEXT,
    TEXTS,
    VARIABLES,
    st.none() | TEXT,
    VARIABLES,
    st.lists(st.builds(Invariant, TEXT, TEXT), max_size=2).map(tuple),
    TEXTS,
    TEXTS,
)
JOURNEYS = st.builds(
    Journey,
    id=TEXT,
    promise=TEXT,
    feature=TEXT,
    path=TEXT,
    line=st.integers(1),
    steps=st.lists(STEPS, min_size=1, max_size=2).map(tuple),
    tier=TEXT,
    gating=st.booleans(),
    establishes=TEXTS,
    requires=TEXTS,
    sandboxes=TEXTS,
    needs=TEXTS,
    env=VARIABLES,
    env_pass=TEXTS,
    files=VARIABLES,
    timeout=st.floats(0, 1e6),
    retries=st.none() | st.integers(0, 9),
    sandbox=st.none() | TEXT,
    teardown=TEXTS,
    source=VARIABLES,
)
CAPABILITIES = st.builds(Capability, TEXT, TEXT, st.none() | TEXT, TEXT)
JOBS = st.builds(
    Job,
    st.integers(1),
    st.lists(st.builds(Chain, TEXT, TEXTS, st.floats(0, 1e6), TEXTS), max_size=2).map(tuple),
    st.dictionaries(TEXT, st.integers(1), max_size=2),
    st.dictionaries(TEXT, JOURNEYS, max_size=2),
    st.dictionaries(TEXT, FEATURES, max_size=2),
    st.dictionaries(TEXT, CAPABILITIES, max_size=2),
    st.lists(st.builds(Gate, TEXT, TEXT, st.integers(1)), max_size=2).map(tuple),
)


@given(JOBS)
def test_a_job_is_read_back_as_it_was(job: Job) -> None:
    assert codec.job(json.loads(json.dumps(codec.encode(job)))) == job


JOURNEY = Journey('a', 'It works.', 'shop', 'shop.yaml', 7, (Step('true'),))


def test_what_has_its_default_is_left_out() -> None:
    assert codec.encode(JOURNEY) == {
        'id': 'a',
        'promise': 'It works.',
        'feature': 'shop',
        'path': 'shop.yaml',
        'line': 7,
        'steps': [{'run': 'true'}],
    }
    step = Step('x', expect=Expect(1, stdout=TextCheck(contains=('é',))), files={'a': 'b'})
    assert codec.encode(step) == {
        'run': 'x',
        'expect': {'exit': 1, 'stdout': {'contains': ['é']}},
        'files': {'a': 'b'},
    }


def test_what_the_model_does_not_know_is_refused() -> None:
    said = codec.encode(JOURNEY)
    with pytest.raises(TypeError, match='colour'):
        codec.journey({**said, 'colour': 'red'})
    with pytest.raises(TypeError, match='colour'):
        codec.journey({**said, 'steps': [{'run': 'true', 'colour': 'red'}]})
    with pytest.raises(KeyError, match='steps'):
        codec.journey({'id': 'a'})
    with pytest.raises(KeyError, match='gates'):
        codec.job({'shard': 1, 'chains': [], 'numbers': {}, 'journeys': {}, 'features': {}, 'capabilities': {}})
