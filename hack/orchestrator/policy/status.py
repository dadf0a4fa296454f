"""What status prints: pure, and the same bytes for the same values."""

from collections.abc import Mapping
from typing import Any

from hack.orchestrator.config import phases
from hack.orchestrator.model import SERVICE, Agent, Config, Sighting, Standing, State

STOPPED = Sighting(State.STOPPED)


def lines(
    config: Config, sightings: Mapping[str, Sighting], standing: Standing | None, with_state: bool = True
) -> list[str]:
    """The phase, then one row an agent in the order of the file; who is not among the sightings is stopped."""
    rows = [_cells(config, agent, standing) for agent in config.agents]
    if with_state:
        rows = [(*row, state(sightings.get(row[0], STOPPED))) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ('  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [phases.title(config, standing), *(row.rstrip() for row in padded)]


def style(sighting: Sighting) -> str:
    """How a state is painted on a terminal that has colours: what is as it should be is quiet."""
    if sighting.state is State.UNKNOWN or set(sighting.notes) & {'dead', 'crash-loop', 'state unreadable'}:
        return 'bold red'
    if sighting.state is State.RUNNING:
        return 'yellow' if sighting.notes else 'green'
    return 'dim' if sighting.notes in ((), ('disabled',)) else 'yellow'


def state(sighting: Sighting) -> str:
    notes = ', '.join(sighting.notes)
    return f'{sighting.state.value} ({notes})' if notes else sighting.state.value


def as_json(
    config: Config, sightings: Mapping[str, Sighting], standing: Standing | None, with_state: bool = True
) -> dict[str, Any]:
    """The same for programs: `phase` is null where there is none."""
    phase = phases.current(config, standing)
    keys = ('name', 'kind', 'backend', 'model', 'watch')
    agents = [dict(zip(keys, _cells(config, agent, standing), strict=True)) for agent in config.agents]
    if with_state:
        agents = [{**row, 'state': state(sightings.get(row['name'], STOPPED))} for row in agents]
    told = (
        phase
        and standing
        and {
            'id': phase.id,
            'number': standing.at + 1,
            'of': len(config.loop.phases),
            'plan': phase.plan,
            'status': phase.status,
            'complete': standing.complete,
        }
    )
    return {'phase': told, 'agents': agents}


def _cells(config: Config, agent: Agent, standing: Standing | None) -> tuple[str, ...]:
    if agent.kind == SERVICE or agent.backend is None:
        return agent.name, agent.kind, '-', '-', '-'
    model = phases.model(agent, phases.current(config, standing))
    return agent.name, agent.kind, agent.backend.name, model or '-', agent.watch
