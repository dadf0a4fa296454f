"""The collector stops for as long as it is asked to, and no longer."""

import gc

import pytest

from hack.common import collector


@pytest.mark.parametrize('enabled', [True, False])
def test_it_is_left_as_it_was_found(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with collector.paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        with pytest.raises(ZeroDivisionError), collector.paused():
            raise ZeroDivisionError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
