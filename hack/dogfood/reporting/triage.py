"""Findings that share a cause, as one entry: one broken thing is one thing to look at. Pure.

A cause is a kind, the text of a step and a message without what differs from run to run (`normalised`). What is
blocked or deferred stands under the cause of the journey at its root. The fingerprint is made of these three alone,
so that it is the same in every run, on every machine, for any number of shards.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from hack.dogfood.model import Json
from hack.dogfood.reporting.decisions import Decision

Blame = Literal['product', 'harness', 'flaky', 'need']

# Decided so, a cause is no defect of the product's: KNOWN=allow lets journeys pass by that fail of such causes alone.
# One that is `real`, or that users do not find their way around, is to be mended; it fails the run.
ALLOWED: Final = frozenset(('intended', 'self-inflicted'))
_BLAMES: Final[tuple[Blame, ...]] = ('product', 'harness', 'flaky', 'need')
_MESSAGE: Final = 500  # characters that are shown; the fingerprint is of all
_WAITING: Final = ('blocked', 'deferred')

# What differs between two runs of the same thing, and is never what a decision is about; each with what stands for it,
# in the order they are looked for.
_MASKS: Final = tuple(
    (re.compile(pattern), sign)
    for pattern, sign in (
        (r'\x1b\[[0-9;?]*[ -/]*[@-~]', ''),
        (r'\bdf-[0-9a-f]{6}-\d+(?:r\d+)?-', '<prefix>'),
        (r'\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b', '<uuid>'),
        (r'\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?', '<time>'),
        (r'\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b', '<time>'),
        (r'(?<![\w.<>-])/(?:[^\s/:;,\'"<>()]+/)+', '<dir>/'),
        (r'\b0x[0-9a-fA-F]+\b', '<hex>'),
        (r'\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,}\b', '<hex>'),
        (r'(?<![\w.])\d+(?:\.\d+)?(?= ?(?:[mnuµ]?s|min|seconds?|minutes?)\b)', '<n>'),
        (r'(?:(?<=\bpid )|(?<=\bshard ))\d+', '<n>'),
        (r'(?<![\w.])\d{4,}(?:\.\d+)*', '<n>'),  # ports and sizes; a small number may be what matters: `0 rows`
        (r'\s+', ' '),
    )
)


class Cause(NamedTuple):
    fingerprint: str  # `<kind>-<twelve hexadecimal digits>`
    blames: Blame  # product: some journey failed of it; harness: infra; flaky: all passed in the end; need: skipped
    kind: str  # of its findings, or `skipped` or `flaky`
    step: str  # the text of the step; empty where it was in none
    message: str  # normalised, no longer than is shown
    journeys: tuple[str, ...]  # where it was found
    waiting: tuple[str, ...]  # blocked or deferred because of them


class _Key(NamedTuple):
    kind: str
    step: str
    message: str


def normalised(text: str) -> str:
    """The text without what differs from run to run: times, numbers, identifiers, folders, colours, white space.

    An exit status is no such thing: `exit 2` and `exit 3` have different causes.
    """
    for pattern, sign in _MASKS:
        text = pattern.sub(sign, text)
    return text.strip()


def fingerprint(kind: str, step: str, message: str) -> str:
    digest = hashlib.sha256('\0'.join((kind, step, message)).encode('utf-8', 'backslashreplace')).hexdigest()
    return f'{kind}-{digest[:12]}'


def causes(journeys: Sequence[Json]) -> list[Cause]:
    """Of a bundle's journeys: those that blame the product first, and of these what holds most journeys."""
    waiting = _waiting(journeys)
    found: dict[_Key, list[Json]] = {}
    first_of: dict[_Key, list[str]] = {}  # what waits is under its root's first cause alone
    for journey in journeys:
        keys = _keys(journey, journey['id'] in waiting)
        for key in keys:
            found.setdefault(key, []).append(journey)
        if keys:
            first_of.setdefault(keys[0], []).extend(waiting.get(journey['id'], ()))
    made = [_cause(key, of, first_of.get(key, ())) for key, of in found.items()]
    return sorted(made, key=lambda one: (_BLAMES.index(one.blames), -len(one.journeys) - len(one.waiting), one))


def allowed(found: Iterable[Cause], journeys: Iterable[Json], decisions: Mapping[str, Decision]) -> list[str]:
    """The failed journeys that have no cause but those decided to be no defect of the product's."""
    failed = [journey['id'] for journey in journeys if journey['verdict'] == 'failed']
    is_known: dict[str, bool] = {}
    for cause in found:
        decision = decisions.get(cause.fingerprint)
        excused = decision is not None and decision.decision in ALLOWED
        for name in cause.journeys:
            is_known[name] = is_known.get(name, True) and excused
    return [name for name in failed if is_known.get(name)]


def as_json(found: Iterable[Cause], decisions: Mapping[str, Decision], *, in_part: bool = False) -> dict[str, Any]:
    """For the bundle. `in_part`: not all of the corpus ran, so nothing can be told of a decision without its cause."""
    told = [
        {
            **cause._asdict(),
            'journeys': list(cause.journeys),
            'waiting': list(cause.waiting),
            'decision': _told(decisions.get(cause.fingerprint)),
        }
        for cause in found
    ]
    seen = {cause['fingerprint'] for cause in told}
    gone = [] if in_part else [name for name in decisions if name not in seen]
    return {'causes': told, 'stale': [{'fingerprint': name, **decisions[name]._asdict()} for name in gone]}


def decided(bundle: Json) -> dict[str, str]:
    """What reviewers said of a bundle's journeys, in words, by journey. Empty where the bundle is older than triage."""
    said: dict[str, list[str]] = {}
    for cause in bundle.get('triage', {}).get('causes', ()):
        if decision := cause['decision']:
            for name in cause['journeys']:
                said.setdefault(name, []).append(in_words(decision))
    return {name: '; '.join(dict.fromkeys(words)) for name, words in said.items()}


def in_words(decision: Json) -> str:
    return f'{decision["decision"]} ({decision["note"]})' if decision['note'] else str(decision['decision'])


def _told(decision: Decision | None) -> dict[str, Any] | None:
    return decision._asdict() if decision else None


def _waiting(journeys: Sequence[Json]) -> dict[str, list[str]]:
    """What waits for each journey, over any number of hops."""
    roots = {journey['id']: journey['root'] for journey in journeys if journey['verdict'] in _WAITING}
    waiting: dict[str, list[str]] = {}
    for name, root in roots.items():
        passed = {name}
        while root in roots and root not in passed:  # a gate may itself have been blocked
            passed.add(root)
            root = roots[root]
        waiting.setdefault(root, []).append(name)
    return waiting


def _keys(journey: Json, is_root: bool) -> list[_Key]:
    """The causes of one journey, each once, in the order they were found."""
    match journey['verdict']:
        case 'failed' | 'infra':
            kind = 'harness' if journey['verdict'] == 'infra' else 'exit'
            keys = [_key(journey, finding) for finding in journey['findings']]
            return list(dict.fromkeys(keys)) or [_Key(kind, '', normalised(journey['cause']))]
        case 'skipped' if is_root:
            return [_Key('skipped', '', normalised(journey['cause']))]
        case 'passed' if journey['flaky']:
            keys = [_key(journey, finding) for finding in journey['findings']]
            return list(dict.fromkeys(keys)) or [_Key('flaky', '', journey['id'])]
        case _:
            return []


def of_finding(journey: Json, finding: Json) -> str:
    """The fingerprint of the cause that a journey's finding belongs to."""
    return fingerprint(*_key(journey, finding))


def _key(journey: Json, finding: Json) -> _Key:
    number, steps = finding['step'], journey['steps']
    step = steps[number - 1]['run'] if number and number <= len(steps) else ''
    message = normalised(f'expected {finding["expected"]}, observed {finding["observed"]}')
    return _Key(finding['kind'], step.strip(), message)


def _cause(key: _Key, journeys: Sequence[Json], waiting: Iterable[str]) -> Cause:
    verdicts = {journey['verdict'] for journey in journeys}
    named: tuple[tuple[str, Blame], ...] = (('failed', 'product'), ('infra', 'harness'), ('passed', 'flaky'))
    blames: Blame = next((blame for verdict, blame in named if verdict in verdicts), 'need')
    told = key._replace(message=key.message[:_MESSAGE])
    return Cause(fingerprint(*key), blames, *told, tuple(journey['id'] for journey in journeys), tuple(waiting))
