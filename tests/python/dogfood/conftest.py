"""What the tests of whole runs are given."""

from collections.abc import Iterator

import pytest

from tests.python.runs import Place, a_place


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made
