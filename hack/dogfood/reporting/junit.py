"""junit.xml: what a bundle says, as continuous-integration servers read it."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from hack.common import results
from hack.dogfood.model import Json
from hack.dogfood.reporting import triage
from hack.dogfood.reporting.report import finding_in_words, review_of

_OUTCOMES: Final[Mapping[str, Literal['passed', 'failure', 'error', 'skipped']]] = {
    'passed': 'passed',
    'failed': 'failure',
    'infra': 'error',
    'blocked': 'skipped',
    'deferred': 'skipped',
    'skipped': 'skipped',
}


def xml(bundle: Json) -> str:
    review = review_of(bundle)
    prints: dict[str, list[str]] = {}
    for cause in review['causes']:
        for name in cause['journeys']:
            prints.setdefault(name, []).append(cause['fingerprint'])
    decided, allowed = triage.decided(bundle), set(review['allowed'])
    return results.junit(
        'dogfood',
        [
            _case(journey, prints.get(journey['id'], ()), decided.get(journey['id'], ''), journey['id'] in allowed)
            for journey in bundle['journeys']
        ],
    )


def _case(journey: Json, fingerprints: Sequence[str], decided: str, is_allowed: bool) -> results.Case:
    verdict, findings = journey['verdict'], journey['findings']
    properties = {'tier': journey['tier'], 'chain': journey['chain'], 'shard': str(journey['shard'])}
    if journey['flaky']:
        properties['flaky'] = 'true'
    if journey['strength'] == 'exit-only':
        properties['strength'] = journey['strength']
    if fingerprints:
        properties['fingerprint'] = ' '.join(fingerprints)
    if decided:
        properties['decision'] = decided
    return results.Case(
        suite=journey['feature'],
        name=journey['id'],
        seconds=journey['duration_seconds'],
        outcome='skipped' if is_allowed else _OUTCOMES[verdict],
        message=f'known, KNOWN=allow: {decided}: {journey["cause"]}' if is_allowed else journey['cause'],
        kind=findings[0]['kind'] if verdict == 'failed' and findings else '' if verdict == 'passed' else verdict,
        text='\n'.join(map(finding_in_words, findings)),
        file=journey['path'],
        line=journey['line'],
        properties=properties,
    )
