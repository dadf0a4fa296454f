"""How far an earlier attempt of a shard came: what is final, and which chain was at rest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hack.dogfood.model import FINAL_VERDICTS, Journey, Record


class ChainProgress(NamedTuple):
    """One chain as its records tell it. `at_rest`: it may go on in its folder, as far as the records know."""

    attempt: int  # the latest; 0: judged without ever needing a folder
    folder: str  # empty where it is not known
    at_rest: bool
    finals: Mapping[str, Record]  # the first final one of any attempt
    entered: Mapping[str, int] = {}  # journeys whose steps began in the latest attempt, and how often they were tried


_UNKNOWN: Final = ChainProgress(0, '', False, {})


def read(events: Iterable[Mapping[str, Any]], boot: str, whole: bool = True) -> dict[str, ChainProgress]:
    """What the events of a shard's results.jsonl say, by chain. `whole`: no event among them was lost.

    A chain is not at rest when a journey was started and did not come to a verdict (killed,
    interrupted, not measurable), when something of it still ran, when its teardown was done, when
    the machine has started anew since, or when an event is missing that may be about it.
    """
    chains: dict[str, ChainProgress] = {}
    running: tuple[str, str] | None = None  # chain and journey
    same_boot = False
    for event in events:
        match event:
            case {'event': 'shard-start'}:
                _stopped(chains, running)
                running, same_boot = None, event.get('boot') == boot
            case {'event': 'chain', 'chain': name, 'chain_attempt': attempt, 'folder': folder}:
                before = chains.get(name, _UNKNOWN)
                entered = before.entered if before.attempt == attempt else {}
                chains[name] = ChainProgress(attempt, folder, same_boot and whole, before.finals, entered)
            case {'event': 'start', 'chain': name, 'journey': journey}:
                _stopped(chains, running)
                running = (name, journey)
            case {'event': 'result', 'chain_attempt': attempt, 'record': record}:
                name, started = record['chain'], running == (record['chain'], record['id'])
                chain = chains.get(name, _UNKNOWN)
                if chain.attempt != attempt:
                    chain = ChainProgress(attempt, '', False, chain.finals)
                unrest = event.get('alive') or (started and record['verdict'] == 'infra')
                chain = chain._replace(at_rest=chain.at_rest and not unrest)
                if started:
                    chain = chain._replace(entered={**chain.entered, record['id']: record['attempts']})
                chains[name] = _with(chain, record)
                running = None if started else running
            case {'event': 'chain-end', 'chain': name}:
                _stopped(chains, (name, ''))
    _stopped(chains, running)
    return chains


def _stopped(chains: dict[str, ChainProgress], running: tuple[str, str] | None) -> None:
    if running:
        chains[running[0]] = chains.get(running[0], _UNKNOWN)._replace(at_rest=False)


def _with(chain: ChainProgress, record: Record) -> ChainProgress:
    if record['verdict'] not in FINAL_VERDICTS or record['id'] in chain.finals:
        return chain
    return chain._replace(finals={**chain.finals, record['id']: record})


def to_build_again(order: Sequence[str], journeys: Mapping[str, Journey], finals: Mapping[str, Record]) -> set[str]:
    """Journeys that passed and must run once more because a chain starts afresh and others stand on them.

    `order`: the chain's. A journey that cannot run anyhow (what it requires has finally failed) asks for nothing.
    """
    passed = {name for name in order if name in finals and finals[name]['verdict'] == 'passed'}
    doomed = set(finals) - passed
    for name in order:
        if name not in finals and _missing(journeys, order, journeys[name], doomed):
            doomed.add(name)
    wanted: set[str] = set()
    for name in reversed(order):
        if name in wanted or name not in passed | doomed:
            needed = set(journeys[name].requires)
            wanted |= {other for other in passed if needed & set(journeys[other].establishes)}
    return wanted


def _missing(journeys: Mapping[str, Journey], order: Sequence[str], journey: Journey, doomed: set[str]) -> bool:
    """Whether all that could establish some token the journey requires are doomed."""
    return any(
        all(name in doomed for name in order if token in journeys[name].establishes) for token in journey.requires
    )
