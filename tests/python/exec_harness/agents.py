"""The agents that the tests of the exec gate drive."""

import os
from pathlib import Path

import pytest

STUB = Path(__file__).parent / 'stub-agent'
_REPOSITORY = Path(__file__).resolve().parents[3]


def _real(version: str) -> Path:
    """Where a pinned Codex is: below DOGFOOD_TEST_AGENTS, or where the gate installs it."""
    given = os.environ.get('DOGFOOD_TEST_AGENTS')
    return Path(given, version, 'codex') if given else _REPOSITORY / '.tools' / f'codex-{version}' / 'codex'


REAL = {version: _real(version) for version in ('0.99.0', '0.142.3', '0.169.0')}
CODEX = REAL['0.99.0']
needs_codex = pytest.mark.skipif(not CODEX.exists(), reason='Codex 0.99.0 is not installed (install_agent.sh)')
