"""Imports only go down, and this list, lowest first, is the map of hack/."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

LAYERS = {
    'common': (
        'collector',
        'entry',
        'errors',
        'arguments',
        'files',
        'jsonpath',
        'limits',
        'process',
        'machine',
        'regex',
        'source',
        'schema',
        'results',
        'console',
    ),
    'dogfood': (
        'model',
        'codec',
        'rundir',
        'corpus.graph',
        'corpus.values',
        'corpus.masks',
        'corpus.strength',
        'corpus.syntax',
        'corpus.coherence',
        'corpus.journeys',
        'planning.packing',
        'planning.ceiling',
        'planning.chains',
        'planning.drawing',
        'planning.explain',
        'judging.oracles',
        'judging.secrets',
        'judging.verdicts',
        'running.product',
        'running.tenants',
        'running.progress',
        'running.markers',
        'running.workspace',
        'running.lodging',
        'running.sandbox',
        'running.gates',
        'running.attempt',
        'running.shard',
        'running.runs',
        'running.start',
        'reporting.records',
        'reporting.decisions',
        'reporting.triage',
        'reporting.bundle',
        'reporting.report',
        'reporting.junit',
        'reporting.summary',
        'reporting.outcome',
        'reporting.salvage',
        'reporting.annotations',
        'past.timings',
        'past.history',
        'past.trend',
        'past.compare',
        'page.ansi',
        'page.difference',
        'page.layout',
        'page.timeline',
        'page.looks',
        'page.markup',
        'page.beside',
        'page.journeys',
        'page.chains',
        'page.report_page',
        'watching.live',
        'watching.bars',
        'watching.watch',
        'arguments',
        'verbs.corpus',
        'verbs.planning',
        'verbs.running',
        'verbs.reporting',
        'verbs.looking_back',
        'cli',
        'run_journeys',
    ),
    'exec_harness': (
        'model',
        'format.strict_json',
        'format.events',
        'format.templates',
        'format.values',
        'format.rules',
        'format.scenarios',
        'api.bodies',
        'api.replies',
        'api.sse',
        'api.dialects',
        'api.responses_server',
        'judging.normalise',
        'judging.golden',
        'judging.checks',
        'judging.verdicts',
        'driving.choice',
        'driving.adapters',
        'driving.gh',
        'driving.gh_shim',
        'driving.place',
        'driving.enclosure',
        'driving.agent',
        'reporting.evidence',
        'reporting.differences',
        'reporting.report',
        'running.attempt',
        'running.pool',
        'running.runner',
        'running.gate',
        'cli',
        'run_scenarios',
    ),
    'orchestrator': (
        'model',
        'config.tables',
        'config.backends',
        'config.phases',
        'config.kickoff',
        'config.agents',
        'config.scaffold',
        'config.fleet',
        'policy.status',
        'policy.limits',
        'policy.watchdog',
        'policy.launch',
        'runtime.boot',
        'runtime.state',
        'runtime.tmux',
        'runtime.sightings',
        'runtime.supervisor',
        'runtime.mending',
        'runtime.handoffs',
        'runtime.keeper',
        'runtime.logs',
        'runtime.doctor',
        'proof.scratch',
        'proof.selftest',
        'proof.campaign',
        'staging.baseline',
        'staging.parity',
        'staging.cutover',
        'staging.rehearsal',
        'staging.migration',
        'cli',
        'run_agents',
        'fleet_cli',
        'run_fleet',
    ),
}

# On the map and not yet written. The list only shrinks.
PLANNED: set[str] = set()

Layers = Mapping[str, tuple[str, ...]]


def ours(root: Path) -> dict[str, Path]:
    """Every module below hack/, by its dotted name."""
    paths = {path.relative_to(root).with_suffix(''): path for path in sorted((root / 'hack').rglob('*.py'))}
    return {'.'.join(name.parts): path for name, path in paths.items() if name.name != '__init__'}


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported anywhere in a module; names taken from a module are part of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = '.' * node.level + (node.module or '')
            yield from ((node.lineno, f'{above}.{alias.name}') for alias in node.names)


def may_import(importer: str, imported: str, layers: Layers) -> bool:
    """Whether both are dotted names of modules on the map, the second on lower ground than the first."""
    _, part, name = importer.split('.', 2)
    _, its_part, taken = [*imported.split('.', 2), '', ''][:3]
    its_name = next((known for known in layers.get(its_part, ()) if f'{taken}.'.startswith(f'{known}.')), None)
    if its_name is None:
        return False
    if its_part != part:
        return its_part == 'common'
    return layers[part].index(its_name) < layers[part].index(name)


def problems(root: Path, layers: Layers, planned: set[str]) -> list[str]:
    listed = {f'hack.{part}.{name}' for part, names in layers.items() for name in names}
    found = ours(root)
    wrong = [f'{name}: not on the map' for name in found if name not in listed]
    wrong += [f'{name}: on the map, not on disk' for name in sorted(listed - found.keys() - planned)]
    wrong += [f'{name}: no longer planned' for name in sorted(planned & found.keys())]
    wrong += [f'{name}: planned, not on the map' for name in sorted(planned - listed)]
    for name in listed & found.keys():
        for line, imported in imports(found[name].read_text()):
            if imported.startswith('.'):
                wrong.append(f'{name}:{line}: relative import')
            elif imported.split('.')[0] == 'hack' and not may_import(name, imported, layers):
                wrong.append(f'{name}:{line}: must not import {imported}')
    return sorted(wrong)


def test_imports_only_go_down() -> None:
    assert problems(REPOSITORY, LAYERS, PLANNED) == []


def test_packages_hold_nothing() -> None:
    assert [path for path in REPOSITORY.glob('hack/**/__init__.py') if path.read_text()] == []


LOW_TO_HIGH: Layers = {'common': ('errors', 'files'), 'dogfood': ('model', 'verbs.run', 'cli'), 'other': ('model',)}


@pytest.mark.parametrize(
    ('module', 'text', 'problem'),
    [
        ('dogfood/cli', 'from hack.dogfood import model\nfrom hack.common.files import anything', None),
        ('dogfood/cli', 'import hack.dogfood.model', None),
        ('dogfood/cli', 'import os.path\nfrom collections import abc', None),
        ('common/files', 'from hack.common.errors import UserError', None),
        ('dogfood/model', 'from hack.dogfood import cli', 'hack.dogfood.model:1: must not import hack.dogfood.cli'),
        ('dogfood/model', 'def f():\n    import hack.dogfood.cli', '2: must not import hack.dogfood.cli'),
        ('dogfood/model', 'from hack.dogfood.cli import main', '1: must not import hack.dogfood.cli.main'),
        ('dogfood/model', 'from hack.dogfood import model', '1: must not import hack.dogfood.model'),
        ('dogfood/cli', 'from hack.other import model', '1: must not import hack.other.model'),
        ('common/files', 'from hack.dogfood import model', '1: must not import hack.dogfood.model'),
        ('common/errors', 'from hack.common import files', '1: must not import hack.common.files'),
        ('dogfood/cli', 'from hack import dogfood', '1: must not import hack.dogfood'),
        ('dogfood/cli', 'import hack', '1: must not import hack'),
        ('dogfood/cli', 'from . import model', '1: relative import'),
        ('dogfood/cli', 'from hack.dogfood import nothing', '1: must not import hack.dogfood.nothing'),
        ('dogfood/cli', 'from hack.dogfood.verbs import run', None),
        ('dogfood/cli', 'from hack.dogfood.verbs.run import anything', None),
        ('dogfood/cli', 'from hack.dogfood import verbs', '1: must not import hack.dogfood.verbs'),
        ('dogfood/verbs/run', 'from hack.dogfood import cli', '1: must not import hack.dogfood.cli'),
    ],
)
def test_an_import_is_accepted_only_downwards(tmp_path: Path, module: str, text: str, problem: str | None) -> None:
    for part, names in LOW_TO_HIGH.items():
        for name in names:
            path = tmp_path / 'hack' / part / f'{name.replace(".", "/")}.py'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (tmp_path / 'hack' / f'{module}.py').write_text(text)
    found = problems(tmp_path, LOW_TO_HIGH, set())
    assert len(found) == (problem is not None)
    assert all(str(problem) in line for line in found)


def test_the_map_and_the_disk_agree(tmp_path: Path) -> None:
    (tmp_path / 'hack/common/deep').mkdir(parents=True)
    for name in ('errors', 'stray', 'deep/stray', 'early'):
        (tmp_path / f'hack/common/{name}.py').touch()
    found = problems(
        tmp_path,
        {'common': ('errors', 'files', 'early', 'late')},
        {'hack.common.early', 'hack.common.late', 'hack.common.lost'},
    )
    assert found == [
        'hack.common.deep.stray: not on the map',
        'hack.common.early: no longer planned',
        'hack.common.files: on the map, not on disk',
        'hack.common.lost: planned, not on the map',
        'hack.common.stray: not on the map',
    ]
