"""Cases from numbers: graphs of journeys with a product fault in one chain and a harness fault in another.

A case is a function of its seed and its number alone. Some cases in a row share a run, and so the kind of that run and
its number of shards.
"""

import hashlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from tests.trust import faults
from tests.trust.faults import Act, Spoiler
from tests.trust.model import TIERS, Fate, Node

CASES_PER_RUN: Final = 4
SHARDS: Final = (3, 1, 64, 2, 7)

# Kinds of runs. In the first ones all is known beforehand; the others are disturbed at a random moment, and resumed.
EXACT: Final = (
    'plain',
    'gates',
    'all required',
    'apart',
    'part lost',
    'nothing passes',
    'sandboxed',
    'shard paused',
    'write limit',
    'disk too small',
)
DISTURBED: Final = (
    'shard killed',
    'all killed',
    'TERM',
    'Ctrl-C',
    'deadline',
    'marker hit',
    'folder gone',
    'disk full',
    'inodes used up',
    'read-only',
    'run directory full',
)
BY_MOUNT: Final = ('disk too small', 'disk full', 'inodes used up', 'read-only', 'run directory full')
# Their order in a campaign: every kind is among each 24 runs.
KINDS: Final = (
    *('plain', 'shard killed', 'gates', 'TERM', 'sandboxed', 'write limit', 'disk full', 'plain', 'all killed'),
    *('apart', 'folder gone', 'deadline', 'gates', 'marker hit', 'all required', 'shard paused', 'read-only'),
    *('part lost', 'disk too small', 'Ctrl-C', 'run directory full', 'nothing passes', 'plain', 'inodes used up'),
)

# Graphs: a journey a word, what it requires before what it establishes, in an order in which they can run.
SHAPES: Final[Mapping[str, str]] = {
    'lonely': '>',
    'pair': '>t t>',
    'line': '>t t>u u>v v>',
    'fan': '>t t> t> t> t>',
    'diamond': '>s s>t s>u tu>',
    'join': '>t >u tu> tu>',
    'two establishers': '>t >t t>u u>',
    'three establishers': '>t >t >t t> t>',
    'establisher behind another': '>u >t u>t t>',
    'bundle': '>tuv t> uv>w w>',
    'ladder': '>t t>u tu>v uv>w w>',
}
# Those in which the first journey alone establishes what others require.
WITH_SOLE_ESTABLISHER: Final = ('pair', 'line', 'fan', 'diamond', 'bundle')

WRAPS: Final = ('{run}', '{run}', '( {run} )', '{ {run}; }', '{run} | cat', 'said=$({run}); printf "%s\\n" "$said"')


class Run(NamedTuple):
    """What the cases of one run share."""

    number: int
    kind: str
    shards: int
    product: bool  # whether its cases have product faults
    harness: bool  # whether they have harness faults
    report_only: bool


class Journey(NamedTuple):
    """A journey as it is written down, and as the model knows it."""

    node: Node
    document: Mapping[str, Any]


class Case(NamedTuple):
    number: int
    journeys: Sequence[Journey]
    document: Mapping[str, Any]  # a file of the corpus, without its journeys
    faults: Sequence[str]  # in words

    @property
    def name(self) -> str:
        return f'c{self.number:04d}'


class _Draft(NamedTuple):
    """A journey of a chain that is still being made up; its tokens have no prefix yet."""

    establishes: tuple[str, ...]
    requires: tuple[str, ...]
    tier: int = 0
    gating: bool = False
    act: Act = faults.PLAIN
    spoiler: Spoiler | None = None
    spoils: str = ''


def run_of(seed: int, number: int) -> Run:
    """What run the case is part of."""
    at = number // CASES_PER_RUN
    kind = KINDS[at % len(KINDS)]
    random = Random(f'run {seed}/{at}')
    product, harness = random.choice(((True, True), (True, True), (True, False), (False, True), (False, False)))
    shards = 1 if kind == 'disk too small' else SHARDS[at % len(SHARDS)]  # others would lack the room, too
    return Run(at, kind, shards, product, harness, random.random() < 0.1)


def case(seed: int, number: int) -> Case:
    """The case of that number. Chain `a` is for product faults, `b` for harness faults, `c` for neither."""
    random = Random(f'case {seed}/{number}')
    run = run_of(seed, number)
    words: list[str] = []
    together = random.random() < 0.2  # both faults in one chain
    chains = {'a': _chain(random), 'c': _chain(random)}
    if run.product:
        chains['a'] = _with_product_fault(random, chains['a'], number, words)
    if run.harness:
        target = 'a' if together else 'b'
        drafts = chains['a'] if together else _chain(random)
        chains[target] = _with_harness_fault(random, drafts, number, words, run.kind == 'sandboxed')
    chains['c'] = _with_variety(random, chains['c'])
    if run.kind in ('write limit', 'disk too small'):
        act = faults.TIDY if run.kind == 'disk too small' else random.choice(faults.BIG_ACTS)
        chains['w'] = _put_in(random, _chain(random), act)
    if run.kind == 'nothing passes':
        chains = {name: [draft._replace(act=faults.SAYS_SKIP) for draft in _chain(random)] for name in 'ac'}
        words = ['everything skips']
    elif random.random() < 0.25:
        name, act = random.choice(list(faults.ENVIRONMENT_ACTS.items()))
        chains['e'] = _put_in(random, _chain(random), act)
        words.append(name)
    gated = {name: _with_gates(random, run, name, drafts) for name, drafts in chains.items()}
    return _written(random, run, number, gated, words)


# -- graphs --------------------------------------------------------------------------------


def _chain(random: Random, shapes: Sequence[str] = ()) -> list[_Draft]:
    """Sound journeys in some shape, or in none that has a name."""
    name = random.choice(shapes or (*SHAPES, 'random', 'random', 'random'))
    if name == 'random':
        drafts = _random(random)
    else:
        words = [word.split('>') for word in SHAPES[name].split()]
        drafts = [_Draft(tuple(establishes), tuple(requires)) for requires, establishes in words]
    return _in_tiers(random, drafts)


def _random(random: Random) -> list[_Draft]:
    drafts: list[_Draft] = []
    tokens: list[str] = []
    for letter in 'mnopqrstuv'[: random.randint(3, 8)]:
        requires = tuple(sorted(random.sample(tokens, min(len(tokens), random.choice((0, 1, 1, 2, 3))))))
        closed = {token for draft in drafts for token in draft.requires}  # what comes before may not grow any more
        again = [token for token in tokens if token not in closed and token not in requires]
        establishes = random.choice(((), (letter,), (letter,), (letter, f'{letter}2')))
        if again and random.random() < 0.3:
            establishes = (*establishes, random.choice(again))
        drafts.append(_Draft(establishes, requires))
        tokens += [token for token in establishes if token not in tokens]
    return drafts


def _in_tiers(random: Random, drafts: Sequence[_Draft]) -> list[_Draft]:
    """The drafts in tiers: no token is established only after a journey that requires it."""
    climbs = random.choice((0.0, 0.25, 0.6))
    placed: list[_Draft] = []
    for draft in drafts:
        tier = max((min(_tiers(placed, token)) for token in draft.requires), default=0)
        while tier < len(TIERS) - 1 and random.random() < climbs:
            tier += 1
        placed.append(draft._replace(tier=tier))
    return placed


def _tiers(drafts: Sequence[_Draft], token: str) -> list[int]:
    return [draft.tier for draft in drafts if token in draft.establishes]


def _with_gates(random: Random, run: Run, name: str, drafts: Sequence[_Draft]) -> list[_Draft]:
    """Some journeys gating: any in a run that is about gates, else only where they pass."""
    sound = all(draft.act.fate.verdict == 'passed' and not draft.spoiler for draft in drafts)
    if run.kind != 'gates' and not (sound and name == 'c'):
        return list(drafts)
    return [draft._replace(gating=draft.tier < len(TIERS) - 1 and random.random() < 0.3) for draft in drafts]


# -- faults --------------------------------------------------------------------------------


def _with_product_fault(random: Random, drafts: list[_Draft], number: int, words: list[str]) -> list[_Draft]:
    names = [*faults.PRODUCT_ACTS, 'state forgotten']
    name = names[number % len(names)]
    words.append(f'product: {name}')
    if name == 'state forgotten':
        return _spoilt(_chain(random, WITH_SOLE_ESTABLISHER), faults.FORGETS)
    return _broken(random, drafts, faults.PRODUCT_ACTS[name])


def _with_harness_fault(
    random: Random, drafts: list[_Draft], number: int, words: list[str], sandboxed: bool
) -> list[_Draft]:
    names = [*faults.HARNESS_ACTS, *faults.SPOILERS]
    if sandboxed:  # from inside no marker can be reached
        names = [name for name in names if not name.startswith('marker')]
    name = names[number % len(names)]
    words.append(f'harness: {name}')
    if name in faults.HARNESS_ACTS:
        return _broken(random, drafts, faults.HARNESS_ACTS[name])
    if all(draft.act is faults.PLAIN for draft in drafts):
        drafts = _chain(random, WITH_SOLE_ESTABLISHER)
    return _spoilt(drafts, faults.SPOILERS[name])


def _broken(random: Random, drafts: list[_Draft], act: Act) -> list[_Draft]:
    if act.of_establisher:
        if not _sole(drafts):
            drafts = _chain(random, WITH_SOLE_ESTABLISHER)
        at = next(at for at, draft in enumerate(drafts) if _sole(drafts) in draft.establishes)
        return [*drafts[:at], drafts[at]._replace(act=act), *drafts[at + 1 :]]
    return _put_in(random, drafts, act)


def _put_in(random: Random, drafts: list[_Draft], act: Act) -> list[_Draft]:
    """The act in place of some plain one, rather of one that others stand on; beside them where none is plain."""
    plain = [at for at, draft in enumerate(drafts) if draft.act is faults.PLAIN and not draft.spoiler]
    if not plain:
        return [*drafts, _Draft((), drafts[0].establishes, drafts[-1].tier, act=act)]
    at = plain[0] if random.random() < 0.6 else random.choice(plain)
    return [*drafts[:at], drafts[at]._replace(act=act), *drafts[at + 1 :]]


def _sole(drafts: Sequence[_Draft]) -> str:
    """A token that one plain journey alone establishes and another one requires; empty where there is none."""
    for draft in drafts:
        for token in draft.establishes:
            required = any(token in other.requires for other in drafts)
            if draft.act is faults.PLAIN and required and len(_tiers(drafts, token)) == 1:
                return token
    return ''


def _spoilt(drafts: list[_Draft], spoiler: Spoiler) -> list[_Draft]:
    """A journey after an establisher, and before all that require its token, that spoils it."""
    token = _sole(drafts)
    if not token:
        last = _Draft((), ('y', *drafts[0].establishes), len(TIERS) - 1)
        drafts = [*drafts, _Draft(('y',), (), drafts[0].tier), last]
        token = 'y'
    at = next(at for at, draft in enumerate(drafts) if token in draft.establishes)
    spoiling = _Draft(('x',), (token,), drafts[at].tier, spoiler=spoiler, spoils=token)
    later = [
        draft._replace(requires=(*draft.requires, 'x')) if token in draft.requires else draft
        for draft in drafts[at + 1 :]
    ]
    return [*drafts[: at + 1], spoiling, *later]


def _with_variety(random: Random, drafts: Sequence[_Draft]) -> list[_Draft]:
    acts = list(faults.SOUND_ACTS.values())
    return [draft._replace(act=random.choice(acts)) if random.random() < 0.6 else draft for draft in drafts]


# -- in writing ----------------------------------------------------------------------------


def _written(random: Random, run: Run, number: int, chains: Mapping[str, list[_Draft]], words: Sequence[str]) -> Case:
    case_name = f'c{number:04d}'
    capabilities: dict[str, Any] = {}
    journeys: list[Journey] = []
    for chain, drafts in chains.items():
        prefix = f'{case_name}-{chain}'
        for at, draft in enumerate(drafts):
            node = _node(f'{prefix}{at}', prefix, draft, run)
            victims = [f'{prefix}{other}' for other, its in enumerate(drafts) if 'x' in its.requires]
            journeys.append(Journey(node, _document(random, node, draft, drafts, prefix, victims)))
            if probe := draft.act.probe or (draft.spoiler.probe if draft.spoiler else ''):
                token = node.spoils or f'{prefix}-{_alone(draft, drafts)}'
                capabilities[token] = {'says': 'a text is kept', 'probe': probe.replace('{token}', token)}
        _add_probes(random, prefix, drafts, capabilities)
    random.shuffle(journeys)
    document: dict[str, Any] = {
        'feature': f'case {number}: {"; ".join(words) or "nothing wrong"}',
        'product': {'needs': ['gadget']},
        'env': {'GADGET_STORE': '${DOGFOOD_DATA_DIR}/store'},
    }
    if capabilities:
        document['capabilities'] = capabilities
    if any(draft.act.fate.finding == 'invariant' for drafts in chains.values() for draft in drafts):
        document['invariants'] = [{'name': 'nothing is corrupt', 'run': 'gadget fsck'}]
    return Case(number, journeys, document, words)


def _node(id: str, prefix: str, draft: _Draft, run: Run) -> Node:
    fate = draft.act.fate
    if run.kind == 'all required' and fate.verdict == 'skipped':
        fate = fate._replace(verdict='infra')
    if draft.act in faults.BIG_ACTS:
        fate = faults.UNMEASURED
    return Node(
        id,
        TIERS[draft.tier],
        [f'{prefix}-{token}' for token in draft.establishes],
        [f'{prefix}-{token}' for token in draft.requires],
        draft.gating,
        fate,
        f'{prefix}-{draft.spoils}' if draft.spoils else '',
        draft.spoiler.fate if draft.spoiler else Fate(),
    )


def _alone(draft: _Draft, drafts: Sequence[_Draft]) -> str:
    """The token that this journey and no other one establishes."""
    return next(token for token in draft.establishes if len(_tiers(drafts, token)) == 1)


def _add_probes(random: Random, prefix: str, drafts: Sequence[_Draft], capabilities: dict[str, Any]) -> None:
    """Probes of some tokens that nobody tampers with: they hold."""
    spoilt = {draft.spoils for draft in drafts}
    for token in sorted({token for draft in drafts for token in draft.establishes} - spoilt):
        name = f'{prefix}-{token}'
        if name not in capabilities and random.random() < 0.3:
            capabilities[name] = {'probe': f'gadget has {name}'}


def _document(
    random: Random, node: Node, draft: _Draft, drafts: Sequence[_Draft], prefix: str, victims: Sequence[str]
) -> dict[str, Any]:
    steps = [_gets(token) for token in node.requires]
    deed = _deed(random, node, draft, victims)
    pretended = f'{prefix}-{_alone(draft, drafts)}' if draft.act.of_establisher else ''
    puts = [_puts(token, draft.act.put if token == pretended else 'put') for token in node.establishes]
    document: dict[str, Any] = {
        'id': node.id,
        'promise': 'What is kept can be had again.',
        'tier': node.tier,
        'steps': [*steps, *puts, deed] if random.random() < 0.5 else [*steps, deed, *puts],
        **draft.act.journey,
    }
    for key, tokens in (('establishes', node.establishes), ('requires', node.requires)):
        if tokens:
            document[key] = tokens[0] if len(tokens) == 1 else tokens
    return {**document, 'gating': True} if node.gating else document


def _gets(token: str) -> dict[str, Any]:
    return {'run': f'gadget get {token}', 'core': True, 'expect': {'stdout': {'equals': text_of(token)}}}


def _puts(token: str, put: str) -> dict[str, Any]:
    return {'run': f'gadget {put} {token} {text_of(token)}', 'expect': {'stdout': {'equals': f'{token} is kept'}}}


def text_of(token: str) -> str:
    """What is kept under the token: no other chain of any case has it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _deed(random: Random, node: Node, draft: _Draft, victims: Sequence[str]) -> dict[str, Any]:
    act = draft.act
    if draft.spoiler:
        act = Act(draft.spoiler.run, expect=faults.SAYS_DONE, plain=True)
    run = act.run if act.plain else random.choice(WRAPS).replace('{run}', act.run)
    filled = _filled(
        {'run': run, 'core': True, 'expect': act.expect, **act.step},
        {'{id}': node.id, '{token}': node.spoils, '{victims}': ' '.join(victims)},
    )
    assert isinstance(filled, dict)
    return filled


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    """The value with every placeholder in every text of it filled in."""
    if isinstance(value, str):
        for word, meaning in words.items():
            value = value.replace(word, meaning)
        return value
    if isinstance(value, Mapping):
        return {key: _filled(inner, words) for key, inner in value.items()}
    return [_filled(inner, words) for inner in value] if isinstance(value, list) else value
