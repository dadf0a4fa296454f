"""Whatever can still be read of a bundle, in the shape that this version knows, and what is wrong with it in words."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.errors import UserError
from hack.common.results import totals
from hack.dogfood.model import TIERS, VERDICTS, Json
from hack.dogfood.reporting.bundle import FORMAT

Shape = Mapping[str, Any]  # by key: what stands where it is absent or of another type; None: a text or null

_STEP: Final[Shape] = {'intent': '', 'run': '', 'exit': 0, 'duration_seconds': 0.0, 'stdout': '', 'stderr': ''}
_FINDING: Final[Shape] = {'kind': '', 'step': 0, 'expected': '', 'observed': '', 'evidence': None}
_JOURNEY: Final[Shape] = {
    'id': '', 'feature': '', 'tier': 'core', 'chain': '', 'shard': 0, 'verdict': '', 'cause': '', 'root': None,
    'flaky': False, 'attempts': 0, 'started': None, 'duration_seconds': 0.0, 'strength': None, 'steps': [],
    'findings': [], 'predicted_seconds': 0.0, 'promise': '', 'source': {}, 'path': '', 'line': 0, 'gating': False,
    'establishes': [], 'requires': [],
}  # fmt: skip
_SHARD: Final[Shape] = {'shard': 0, 'started': None, 'ended': None, 'ending': '', 'turns': 0, 'predicted_seconds': 0.0}
_CHAIN: Final[Shape] = {'name': '', 'shard': 0, 'journeys': [], 'tokens': [], 'predicted_seconds': 0.0, 'findings': []}
_BUNDLE: Final[Shape] = {
    'format': 0, 'run': {}, 'plan': {}, 'shards': [], 'chains': [], 'capabilities': [], 'journeys': [], 'problems': [],
    'exit': 0,
}  # fmt: skip
_RUN: Final[Shape] = {
    'id': '', 'started': None, 'ended': None, 'corpus': [], 'command': [], 'versions': {}, 'product': {}, 'options': {},
}  # fmt: skip
_TRIAGE: Final[Shape] = {'causes': [], 'stale': [], 'allowed': [], 'faults': []}
_CAUSE: Final[Shape] = {
    'fingerprint': '', 'blames': '', 'kind': '', 'step': '', 'message': '', 'journeys': [], 'waiting': [],
}  # fmt: skip
_DECISION: Final[Shape] = {'decision': '', 'note': '', 'decided': '', 'cause': '', 'path': '', 'line': 0}
_NULLABLE: Final = frozenset(('exit', 'step'))
_SPACE: Final = re.compile(r'[\s,:]*')


class Salvaged(NamedTuple):
    bundle: dict[str, Any]
    troubles: tuple[str, ...]  # a sentence each; none where all is as it should be


def read(path: Path) -> Salvaged:
    """The bundle; raises UserError where nothing of one can be read."""
    try:
        text = path.read_bytes().decode('utf-8', 'replace')
    except OSError as error:
        raise UserError(f'{path}: cannot be read: {error.strerror} (give the bundle.json of a run)') from error
    troubles = []
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        said = _until_it_breaks(text)
        troubles.append(f'The bundle is cut off or damaged ({error}): what stands before that is shown.')
    if not isinstance(said, dict) or not said.keys() & {'journeys', 'run', 'format'}:
        raise UserError(f'{path}: is no bundle (give the bundle.json of a run)')
    return whole(said, troubles)


def _until_it_breaks(text: str) -> dict[str, Any]:
    """The keys and values of an object, and the last list's entries, up to the place where they cannot be read."""
    said: dict[str, Any] = {}
    decoder = json.JSONDecoder()

    def value(at: int) -> tuple[Any, int]:
        return decoder.raw_decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]  # it matches nothing too

    at = text.find('{') + 1
    while at:
        try:
            key, at = value(at)
            begin = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            if text[begin : begin + 1] == '[':
                said[str(key)] = []
                at = _entries(text, begin + 1, value, said[str(key)])
            else:
                said[str(key)], at = value(at)
        except (ValueError, RecursionError):
            break
    return said


def _entries(text: str, at: int, value: Callable[[int], tuple[Any, int]], into: list[Any]) -> int:
    """Reads a list into `into`; gives the place after it, or raises ValueError where it breaks off."""
    while True:
        begin = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if text[begin : begin + 1] == ']':
            return begin + 1
        entry, at = value(begin)
        into.append(entry)


def whole(said: Json, troubles: list[str]) -> Salvaged:
    """Every key that a page looks at, with a value of its type."""
    misfits: Counter[str] = Counter()
    if said.get('format') != FORMAT:
        troubles.append(
            f'The bundle has format {str(said.get("format"))[:40]}, and this version knows {FORMAT} alone: '
            'what it understands of it is shown.'
        )
    bundle = _fitted(said, _BUNDLE, 'the run', misfits)
    bundle['run'] = _fitted(bundle['run'], _RUN, 'the run', misfits)
    bundle['run']['corpus'] = [
        {'path': str(one.get('path')), 'sha256': str(one.get('sha256'))}
        for one in _mappings(bundle['run']['corpus'], 'the corpus', misfits)
    ]
    advice = bundle['plan'].get('advice')
    bundle['plan'] = {**bundle['plan'], 'advice': list(map(str, advice)) if isinstance(advice, list) else []}
    bundle['journeys'] = [_journey(one, misfits) for one in _mappings(bundle['journeys'], 'journeys', misfits)]
    bundle['shards'] = _each(bundle['shards'], _SHARD, 'shards', misfits)
    bundle['chains'] = [_chain(one, misfits) for one in _mappings(bundle['chains'], 'chains', misfits)]
    bundle['problems'] = _each(bundle['problems'], _FINDING, 'problems', misfits)
    if 'triage' in said:
        bundle['triage'] = _triage(said, misfits)
    bundle['totals'] = totals(journey['verdict'] for journey in bundle['journeys'])
    troubles += [f'{count} × {what}: left out, or shown as empty.' for what, count in misfits.items()]
    return Salvaged(bundle, (*troubles, *_contradictions(said, bundle)))


def _triage(said: Json, misfits: Counter[str]) -> dict[str, Any]:
    fitted = _fitted(said['triage'] if isinstance(said['triage'], dict) else {}, _TRIAGE, 'triage', misfits)
    for key, shape in (('causes', _CAUSE), ('stale', _DECISION)):
        fitted[key] = _each(fitted[key], shape, key, misfits)
    for cause in fitted['causes']:
        cause.update({key: [str(id) for id in cause[key]] for key in ('journeys', 'waiting')})
        decision = cause.get('decision')
        cause['decision'] = _fitted(decision, _DECISION, 'decisions', misfits) if isinstance(decision, dict) else None
    return fitted


def _journey(said: Json, misfits: Counter[str]) -> dict[str, Any]:
    fitted = _fitted(said, _JOURNEY, 'journeys', misfits)
    fitted['steps'] = [_step(one, misfits) for one in _mappings(fitted['steps'], 'steps', misfits)]
    fitted['findings'] = _each(fitted['findings'], _FINDING, 'findings', misfits)
    for key in ('establishes', 'requires'):
        fitted[key] = [str(token) for token in fitted[key]]
    fitted['source'] = {str(key): str(value) for key, value in fitted['source'].items()}
    if fitted['tier'] not in TIERS:
        misfits[f'a journey of the unknown tier {fitted["tier"][:40]}'] += 1
    return fitted


def _step(said: Json, misfits: Counter[str]) -> dict[str, Any]:
    fitted = _fitted(said, _STEP, 'steps', misfits)
    evidence = said.get('evidence')
    fitted['evidence'] = [str(path) for path in evidence] if isinstance(evidence, list) else []
    if isinstance(said.get('first'), dict):
        fitted['first'] = _fitted(said['first'], _STEP, 'steps', misfits)
    return fitted


def _chain(said: Json, misfits: Counter[str]) -> dict[str, Any]:
    fitted = _fitted(said, _CHAIN, 'chains', misfits)
    fitted['journeys'] = [str(id) for id in fitted['journeys']]
    fitted['findings'] = _each(fitted['findings'], _FINDING, 'findings', misfits)
    return fitted


def _each(said: list[Any], shape: Shape, where: str, misfits: Counter[str]) -> list[dict[str, Any]]:
    return [_fitted(one, shape, where, misfits) for one in _mappings(said, where, misfits)]


def _mappings(said: list[Any], where: str, misfits: Counter[str]) -> Iterator[Json]:
    for one in said:
        if isinstance(one, dict):
            yield one
        else:
            misfits[f'an entry of {where} that is no mapping'] += 1


def _fitted(said: Json, shape: Shape, where: str, misfits: Counter[str]) -> dict[str, Any]:
    fitted = dict(said)
    for key, default in shape.items():
        if key not in said or not _fits(key, said[key], default):
            misfits[f'no usable `{key}` in {where}'] += 1
            fitted[key] = default.copy() if isinstance(default, list | dict) else default
    return fitted


def _fits(key: str, value: Any, default: Any) -> bool:
    if default is None:
        return value is None or isinstance(value, str)
    if value is None:
        return key in _NULLABLE
    if isinstance(default, int | float) and not isinstance(default, bool):
        kind = int | float if isinstance(default, float) else int
        return isinstance(value, kind) and not isinstance(value, bool) and abs(value) < 1e12
    return isinstance(value, type(default))


def _contradictions(said: Json, bundle: Json) -> Iterator[str]:
    unknown = Counter(j['verdict'] for j in bundle['journeys'] if j['verdict'] not in VERDICTS)
    for verdict, count in unknown.items():
        yield f'{count} × the verdict “{verdict[:40]}”, which this version does not know: it is shown as it stands.'
    planned = bundle['plan'].get('shards')
    if isinstance(said.get('totals'), dict) and said['totals'] != bundle['totals'] and not unknown:
        yield 'The totals that the bundle states are not those of its journeys, which are counted here.'
    elif 'totals' not in said and planned:
        yield 'The bundle breaks off before its totals: the counts are of the journeys that could be read.'
