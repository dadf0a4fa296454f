"""How a command ends, seen from outside."""

import subprocess
import sys

import pytest

from tests.python.runs import HOUSE

MAIN = """
import sys
from hack.common.errors import Exit, UserError, run_main
sys.exit(run_main(lambda arguments: {}, []))
"""


def end(body: str, output: str = '/dev/null') -> tuple[int, str]:
    with open(output, 'wb') as file:
        done = subprocess.run(
            [sys.executable, '-c', MAIN.format(body)], cwd=HOUSE, stdout=file, stderr=subprocess.PIPE, text=True
        )
    return done.returncode, done.stderr


def test_an_output_that_takes_no_more_is_one_line_and_not_measured() -> None:
    """Also where only the interpreter's end would have noticed."""
    full = 'the output: cannot be written: No space left on device (make room, or write it elsewhere)\n'
    assert end('print("x") or Exit.GREEN', output='/dev/full') == (3, full)
    assert end('print("x" * 100_000) or Exit.GREEN', output='/dev/full') == (3, full)


@pytest.mark.parametrize(('body', 'status'), [('open("/no/such/file")', 3), ('1 / 0', 3), ('Exit.RED', 1)])
def test_a_fault_of_ours_shows_where_and_blames_nobody(body: str, status: int) -> None:
    ended, said = end(body)
    assert ended == status
    assert ('Traceback' in said) is (status == 3)
