"""Makes a state folder readable again where files of it are torn, and loses no agent over it."""

from hack.common.errors import UserError
from hack.orchestrator.config import phases
from hack.orchestrator.model import Standing
from hack.orchestrator.runtime import state, supervisor
from hack.orchestrator.runtime.sightings import Project


def torn(here: Project) -> list[str]:
    """The names of the state files that cannot be read."""
    return [*_torn_standing(here), *(name for name in sorted(here.store.names()) if _is_torn(here, name))]


def mend(here: Project) -> list[str]:
    """Write those files anew, or forget what they held; returns what that took. Only while `acting`."""
    said = [_mend_standing(here, name) for name in _torn_standing(here)]
    return [*said, *(_mend(here, name) for name in torn(here))]


def _torn_standing(here: Project) -> list[str]:
    try:
        here.store.standing(here.config)
    except state.TornError:
        return [state.PHASE]
    except UserError:  # a phase that there is no more: not for us to say which it is now
        pass
    return []


def _is_torn(here: Project, name: str) -> bool:
    if not name.endswith('.json') or not (name.partition('-')[0] in state.SUBJECTS or name in state.RECORDS):
        return False
    try:
        here.store.read(name)
    except state.TornError:
        return True
    except UserError:  # from the future: another toolkit can read it
        pass
    return False


def _mend_standing(here: Project, name: str) -> str:
    """The phase is the one that the loops were started for, else the first."""
    ids = [phase.id for phase in here.config.loop.phases]
    started_for = (one.get('phase') for one in here.store.about(state.WANTED, unreadable={}).values())
    at = next((ids.index(phase) for phase in started_for if phase in ids), 0)
    here.store.stand(Standing(at, here.store.is_complete()))
    return f'{name}: could not be read: taken to be phase {at + 1}'


def _mend(here: Project, name: str) -> str:
    subject, _, of = name.removesuffix('.json').partition('-')
    agent = here.config.agent(of)
    if subject == state.WANTED and agent:
        phase = phases.current(here.config, here.store.standing(here.config))
        here.store.note(state.WANTED, of, supervisor.wanted(agent, phase))
        return f'{name}: could not be read: written anew, for {of} is to be up'
    here.store.remove(name)
    return f'{name}: could not be read: forgotten'
