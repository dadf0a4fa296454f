"""Which phase a project is in, and what that says: pure."""

from hack.orchestrator.model import Agent, Config, Phase, Standing


def current(config: Config, standing: Standing | None) -> Phase | None:
    """The phase in force; None where the project has none, or nobody knows."""
    return config.loop.phases[standing.at] if config.loop.phases and standing else None


def after(config: Config, standing: Standing) -> Standing:
    """Where the project is once the phase in force is done."""
    last = len(config.loop.phases) - 1
    return Standing(standing.at + 1) if standing.at < last else Standing(standing.at, complete=True)


def model(agent: Agent, phase: Phase | None) -> str:
    """The model in force, as written in the file; '' for a service."""
    return phase.models.get(agent.role, agent.model) if phase and agent.role else agent.model


def title(config: Config, standing: Standing | None) -> str:
    """The line that opens the status."""
    phase = current(config, standing)
    if phase is None or standing is None:
        return 'phase: -' if standing else 'phase: unknown'
    progress = 'complete' if standing.complete else 'in progress'
    plan = phase.plan.rpartition('/')[2]
    return f'phase: {phase.id} [{standing.at + 1}/{len(config.loop.phases)}] plan={plan} ({progress})'
