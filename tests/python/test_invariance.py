"""Verdicts do not depend on the number of shards or on the order of files, and blame none but what is broken."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.python.runs import Place, journey
from tests.trust.model import TIERS, Fate, Node, Truth, truths

SHARDS: Final = (1, 2, 3, 7, 64)
BROKEN: Final = {'exit 1': 'exit 1', 'wrong output': 'echo something else', 'crash': 'kill -SEGV $$'}


class Drawn(NamedTuple):
    """A journey of a chain. Tokens are numbers: files of the same names stand in every chain, with texts of its own."""

    requires: tuple[int, ...]
    establishes: tuple[int, ...]
    tier: int
    broken: str  # how; empty: it is not


@st.composite
def chains(draw: st.DrawFn) -> list[Drawn]:
    """Journeys that may hang together by tokens, some with several establishers, some behind them in later tiers."""
    drawn: list[Drawn] = []
    for number in range(draw(st.integers(2, 6))):
        tokens = sorted({token for before in drawn for token in before.establishes})
        requires = tuple(draw(st.lists(st.sampled_from(tokens), max_size=2, unique=True))) if tokens else ()
        # One that was required already gets no other establisher: that could close a circle.
        open_to_all = sorted(set(tokens) - {token for before in drawn for token in (*before.requires, *requires)})
        also = draw(st.sampled_from([number, *open_to_all]))
        establishes = tuple(sorted({number, also})) if draw(st.integers(0, 3)) else ()
        earliest = max(
            (min(before.tier for before in drawn if token in before.establishes) for token in requires), default=0
        )
        tier = draw(st.sampled_from([*([earliest] * 3), *range(earliest, len(TIERS))]))
        broken = draw(st.sampled_from(['', '', '', '', *BROKEN]))
        drawn.append(Drawn(requires, establishes, tier, broken))
    return drawn


def node(chain: int, number: int, drawn: Drawn) -> Node:
    def named(tokens: Sequence[int]) -> list[str]:
        return [f'token-{chain}-{token}' for token in tokens]

    fate = Fate('failed' if drawn.broken else 'passed')
    return Node(f'j-{chain}-{number}', TIERS[drawn.tier], named(drawn.establishes), named(drawn.requires), False, fate)


def written(chain: int, its: Node, drawn: Drawn) -> dict[str, Any]:
    """The journey reads what it requires, writes what it establishes, and then is broken or not."""

    def text(token: int) -> str:
        return f'token {token} of chain {chain}'

    reads = [
        {'run': f'cat "$DOGFOOD_DATA_DIR/{token}"', 'expect': {'stdout': {'equals': text(token)}}}
        for token in drawn.requires
    ]
    writes = [f'echo "{text(token)}" >"$DOGFOOD_DATA_DIR/{token}"' for token in drawn.establishes]
    works = BROKEN.get(drawn.broken, 'echo done')
    tokens = {'establishes': list(its.establishes), 'requires': list(its.requires)}
    said = {key: value for key, value in tokens.items() if value}
    return journey(
        its.id, *reads, '\n'.join([*writes, works]), expect={'stdout': {'equals': 'done'}}, tier=its.tier, **said
    )


@pytest.fixture(scope='module')
def places() -> Iterator[Path]:
    """A folder for places, short of path."""
    with tempfile.TemporaryDirectory(prefix='df-', dir='/tmp') as folder:
        yield Path(folder)


@settings(
    max_examples=3,
    derandomize=bool(os.environ.get('CI')),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # one failing example says enough, and takes seconds
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(st.lists(chains(), min_size=8, max_size=12), st.randoms(use_true_random=False))
def test_verdicts_are_the_same_for_every_number_of_shards(places: Path, drawn: list[list[Drawn]], random: Any) -> None:
    place = Place(Path(tempfile.mkdtemp(dir=places)))
    place.tmp.mkdir()
    nodes: list[Node] = []
    names: list[str] = []
    for chain, its in enumerate(drawn):
        of_chain = [node(chain, number, one) for number, one in enumerate(its)]
        journeys = [written(chain, its_node, one) for its_node, one in zip(of_chain, its, strict=True)]
        random.shuffle(journeys)
        names.append(place.corpus(*journeys, name=f'{chain}.yaml').name)
        nodes += of_chain
    true = truths(nodes)
    try:
        for shards in SHARDS:
            random.shuffle(names)
            done = place.run(*names, run_dir=place.path / f'run-{shards}', shards=shards)
            assert_true(true, done.journeys)
            broken = any(truth.verdict == 'failed' for truth in true.values())
            assert done.exit == (1 if broken else 0), done.out
    finally:
        place.clean()


def assert_true(true: Mapping[str, Truth], said: Mapping[str, Mapping[str, Any]]) -> None:
    """The verdict of every journey, and a root that is at the root; nothing else is in the bundle."""
    assert {id: record['verdict'] for id, record in said.items()} == {id: its.verdict for id, its in true.items()}
    for id, record in said.items():
        assert record['root'] in (true[id].roots or {None}), record
