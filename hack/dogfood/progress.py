"""How far an earlier attempt of a shard came: what is final, and which chain was at rest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hack.dogfood.model import FINAL_VERDICTS, Journey, Record


class ChainProgress(NamedTuple):
    """One chain as its records tell it. `at_rest`: it may go on in its folder, as far as the records know."""

    attempt: int
    folder: str
    at_rest: bool
    records: Mapping[str, Record]  # of the latest attempt
    finals: Mapping[str, Record]  # the first final one of any attempt


def read(events: Iterable[Mapping[str, Any]], boot: str) -> dict[str, ChainProgress]:
    """What the events of a shard's results.jsonl say, by chain.

    A chain is not at rest when a journey was started and did not come to a verdict (killed,
    interrupted, not measurable), when something of it still ran, when its teardown was done, or
    when the machine has started anew since.
    """
    chains: dict[str, ChainProgress] = {}
    running: tuple[str, str] | None = None  # chain and journey
    same_boot = False
    for event in events:
        match event.get('event'):
            case 'shard-start':
                same_boot = event['boot'] == boot
            case 'chain':
                before = chains.get(event['chain'])
                kept = before.finals if before else {}
                goes_on = before is not None and before.attempt == event['chain_attempt']
                records = before.records if before and goes_on else {}
                chains[event['chain']] = ChainProgress(
                    event['chain_attempt'], event['folder'], same_boot, records, kept
                )
            case 'start':
                running = (event['chain'], event['journey'])
            case 'result':
                record: Record = event['record']
                started, running = running == (record['chain'], record['id']), None
                chains[record['chain']] = _with(chains.get(record['chain']), record, started, bool(event.get('alive')))
            case 'chain-end':
                chains[event['chain']] = chains[event['chain']]._replace(at_rest=False)
    if running is not None:
        chains[running[0]] = chains[running[0]]._replace(at_rest=False)
    return chains


def _with(chain: ChainProgress | None, record: Record, started: bool, alive: bool) -> ChainProgress:
    chain = chain or ChainProgress(0, '', False, {}, {})  # judged without ever needing its folder
    finals = chain.finals
    if record['verdict'] in FINAL_VERDICTS and record['id'] not in finals:
        finals = {**finals, record['id']: record}
    unrest = alive or (started and record['verdict'] == 'infra')
    return chain._replace(
        records={**chain.records, record['id']: record}, finals=finals, at_rest=chain.at_rest and not unrest
    )


def to_build_again(order: Sequence[str], journeys: Mapping[str, Journey], finals: Mapping[str, Record]) -> set[str]:
    """Journeys that passed and must run once more because a chain starts afresh and others stand on them.

    `order`: the chain's. A journey that cannot run anyhow (what it requires has finally failed) asks for nothing.
    """
    wanted: set[str] = set()
    doomed = {name for name in order if name in finals and finals[name]['verdict'] != 'passed'}
    for name in order:
        if name not in finals and _missing(journeys, order, journeys[name], doomed):
            doomed.add(name)
    for name in reversed(order):
        if (name not in finals and name not in doomed) or name in wanted:
            wanted |= {
                other
                for other in order
                if other in finals
                and finals[other]['verdict'] == 'passed'
                and set(journeys[other].establishes) & set(journeys[name].requires)
            }
    return wanted


def _missing(journeys: Mapping[str, Journey], order: Sequence[str], journey: Journey, doomed: set[str]) -> bool:
    return any(
        all(name in doomed for name in order if token in journeys[name].establishes) for token in journey.requires
    )
