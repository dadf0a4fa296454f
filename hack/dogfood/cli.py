"""The command line of the journeys: arguments in, exit status out."""

from argparse import Namespace
from collections.abc import Callable

from hack.dogfood.arguments import parse


def main(arguments: list[str]) -> int:
    """Run one verb; raises UserError for what the caller can mend."""
    asked = parse(arguments)
    return does(asked.verb)(asked)


def does(verb: str) -> Callable[[Namespace], int]:
    """What the verb does. No module but its own is imported: each shard of a run is a program of its own."""
    match verb:
        case 'check' | 'needs' | 'new':
            from hack.dogfood.verbs import corpus

            return corpus.VERBS[verb]
        case 'plan' | 'start' | 'graph' | 'explain':
            from hack.dogfood.verbs import planning

            return planning.VERBS[verb]
        case 'shard' | 'wait' | 'watch':
            from hack.dogfood.verbs import running

            return running.VERBS[verb]
        case 'report' | 'page':
            from hack.dogfood.verbs import reporting

            return reporting.VERBS[verb]
        case _:
            from hack.dogfood.verbs import looking_back

            return looking_back.VERBS[verb]
