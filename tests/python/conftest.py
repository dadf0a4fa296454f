"""Every test runs away from home: what belongs to the user is out of reach, not merely elsewhere."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A slow machine is no bug in a property.
settings.register_profile('house', deadline=None)
settings.load_profile('house')


@pytest.fixture(scope='session', autouse=True)
def _no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """HOME and XDG_* lie below a file, so that each use of them is an error; a test that needs a home makes one."""
    nowhere = tmp_path_factory.mktemp('away') / 'no-home-in-tests'
    nowhere.touch()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(('XDG_', 'GIT_', 'DOGFOOD_', 'TMUX', 'MAKE', 'GITHUB_')) or name == 'CI':
                patch.delenv(name)
        patch.setenv('HOME', str(nowhere / 'home'))
        for name in ('CONFIG_HOME', 'CACHE_HOME', 'DATA_HOME', 'STATE_HOME', 'RUNTIME_DIR'):
            patch.setenv(f'XDG_{name}', str(nowhere / name))
        patch.setenv('GIT_CONFIG_GLOBAL', os.devnull)
        patch.setenv('GIT_CONFIG_NOSYSTEM', '1')
        yield
