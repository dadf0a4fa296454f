"""A live project and the one that is staged to follow it, with what starts the first and a registry of the second."""

import shutil
from pathlib import Path
from typing import NamedTuple

from hack.orchestrator.config import agents
from hack.orchestrator.staging import rehearsal
from tests.python.orchestrator.projects import PAIR, project

SERVICE = """
[[service]]
name = "cleanlogs"
command = "touch {0}/must-not-run; exec sleep infinity"
"""
# In the second phase, its task done; the adversary was taken down by hand, the builder started with another model.
STATE = {
    'phase-idx': '1\n',
    'done-wrap-up.json': '{"version": 1, "at": "2030-01-31T12:00:00.000Z"}\n',
    'handoff.json': '{"version": 1, "commit": "c0ffee"}\n',
    'wanted-builder.json': '{"version": 1, "started": 1.0, "phase": "two"}\n',
    'wanted-cleanlogs.json': '{"version": 1, "started": 1.0, "phase": null}\n',
    'override-builder.json': '{"version": 1, "environment": {"AGENT_MODEL_builder": "haiku 4"}}\n',
}


class Migration(NamedTuple):
    folder: Path
    live: Path
    staged: Path
    boot: Path
    registry: Path

    def given(self) -> rehearsal.Given:
        return rehearsal.Given(agents.load(self.live, {}), agents.load(self.staged, {}), self.boot, self.registry)


def migration(folder: Path) -> Migration:
    """Live in `old/`, staged in `new/`; a unit and a script start the first; the second is disabled."""
    (folder / 'etc').mkdir()
    text = PAIR + SERVICE.format(folder)
    live, staged = project(folder / 'old', text), project(folder / 'new', text)
    state = live.parent / '.ao/state'
    state.mkdir(parents=True)
    for name, holds in STATE.items():
        (state / name).write_text(holds)
    script = folder / 'etc/start.sh'
    script.write_text(f'#!/bin/sh\ncd "{folder}"\nexec run --config {folder}/link/agents.toml up # & away | \\1\n')
    (folder / 'link').symlink_to('old')
    script.chmod(0o755)
    unit = folder / 'etc/agents.service'
    unit.write_text(f'[Service]\nExecStart={script}\n')
    registry = folder / 'fleet.toml'
    entry = '[[project]]\nname = "{0}"\nlocation = "{0}"\nenabled = false # until the cutover\n'
    registry.write_text(f'[fleet]\nversion = 1\n{entry.format("other")}{entry.format("new")}')
    return Migration(folder, live, staged, unit, registry)


def copy_of(made: Migration, folder: Path) -> Path:
    """All of it as it is now, to compare with later."""
    return Path(shutil.copytree(made.folder, folder, symlinks=True))
