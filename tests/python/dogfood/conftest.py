"""What the tests of whole runs are given."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.python.runs import Place


@pytest.fixture
def place() -> Iterator[Place]:
    """A place for runs, short of path (Unix sockets); whatever still runs there is ended, and it is removed."""
    made = Place(Path(tempfile.mkdtemp(prefix='df-', dir='/tmp')))
    made.tmp.mkdir()
    yield made
    made.clean()
