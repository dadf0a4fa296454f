"""What an agent is told when it starts: pure."""

import re
from collections.abc import Mapping
from typing import Final

from hack.orchestrator.model import Agent, Config, Phase

SLOTS: Final = ('phase_id', 'plan', 'status', 'role')  # a template has each of them
TEXT_SLOT: Final = 'role_text'  # it may have this: the role's own document
_SLOT: Final = re.compile(r'\{([A-Za-z_]+)\}')
_AROUND: Final = '[^\\s`\'"()<>\\[\\],;]*'  # what belongs to a path in prose


def render(config: Config, phase: Phase | None, agent: Agent) -> str:
    """The kickoff: the template for a loop, else the agent's own prompt, else its role's document; '' without any."""
    if agent.kind == 'loop' and phase:
        return fill(config.loop.template, values(phase, agent.role, config.loop.roles.get(agent.role, '')))
    return agent.prompt or config.loop.roles.get(agent.role, '')


def values(phase: Phase, role: str, role_text: str = '') -> dict[str, str]:
    return {'phase_id': phase.id, 'plan': phase.plan, 'status': phase.status, 'role': role, TEXT_SLOT: role_text}


def fill(template: str, given: Mapping[str, str]) -> str:
    """The template with its slots filled, once: braces in what is filled in, or of no slot, stay as they are."""
    return _SLOT.sub(lambda slot: given.get(slot[1], slot[0]), template)


def slots(template: str) -> list[str]:
    """All words in braces, in order, each once."""
    return list(dict.fromkeys(_SLOT.findall(template)))


def places(template: str, slot: str, phase: Phase) -> list[str]:
    """The paths that a template gives to a phase's plan or status file, as it writes them, and the bare one."""
    words: list[str] = re.findall(f'{_AROUND}\\{{{slot}\\}}', template)
    given = values(phase, '')
    return list(dict.fromkeys(fill(word, given) for word in (*words, f'{{{slot}}}')))
