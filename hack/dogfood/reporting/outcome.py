"""The files in a run directory that say what the run came to."""

from pathlib import Path

from hack.common.errors import Exit, UserError
from hack.common.files import write_atomic
from hack.dogfood.model import Json
from hack.dogfood.reporting import junit, summary
from hack.dogfood.reporting.bundle import as_json
from hack.dogfood.rundir import RunDir


def write(path: Path, bundle: Json, graph: str = '') -> None:
    """Replace a run's bundle.json, junit.xml, summary.md and, when they stand, exit.

    `graph`: its chains as Mermaid. Raises UserError where the directory cannot be written.
    """
    run_dir = RunDir(path)
    try:
        write_atomic(run_dir.bundle, as_json(bundle))
        write_atomic(run_dir.junit, junit.xml(bundle))
        write_atomic(run_dir.summary, summary.markdown(bundle, graph))
        write_atomic(run_dir.exit, f'{bundle["exit"]}\n')
    except OSError as error:
        raise UserError(f'{path}: cannot be written: {error.strerror} (report again)', Exit.BROKEN) from error
