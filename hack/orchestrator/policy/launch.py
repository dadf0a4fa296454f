"""The command line that an agent is started with: pure."""

from pathlib import Path
from typing import Final, NamedTuple

from hack.orchestrator.model import SERVICE, Agent

GO_ON: Final = 'You were restarted. Look at what you did last, and go on.'
NO_MODEL: Final = 'none'  # in the file: the program is to choose


class Conversation(NamedTuple):
    """The one an agent is in: begun under this id, or gone on with."""

    id: str = ''
    resumed: bool = False


NEW: Final = Conversation()  # of which we know no id


def command(agent: Agent, model: str, kickoff: Path | None, conversation: Conversation = NEW) -> list[str]:
    """The arguments; a kickoff on the command line is read from its file then, for tmux carries but 16 KiB."""
    if agent.kind == SERVICE or agent.backend is None:
        return ['bash', '-c', agent.command]
    backend = agent.backend
    words = [backend.bin, *backend.flags]
    if backend.model_flag and model not in ('', NO_MODEL):
        words += [backend.model_flag, model]
    if conversation.id:
        shape = backend.resume if conversation.resumed else backend.start_id
        words += [word.replace('{id}', conversation.id) for word in shape]
    if backend.prompt_delivery == 'arg' and kickoff is not None:
        return ['sh', '-c', 'exec "$@" "$(cat "$0")"', str(kickoff), *words]
    return words
