"""Draw a plan's chains, their journeys and the tokens between them, as Mermaid or for Graphviz."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from hack.dogfood.model import Json
from hack.dogfood.planning.chains import counted

# Mermaid refuses more than 50,000 characters or 500 edges unless told otherwise; nobody sees more than 500 journeys.
MERMAID_CHARACTERS: Final = 45_000
MERMAID_EDGES: Final = 450
MERMAID_JOURNEYS: Final = 500

COLOURS: Final = {  # fill and border; each node names its verdict too, so that nothing hangs on seeing colours
    'passed': ('#d7f0dd', '#2e7d4f'),
    'failed': ('#f8c9c4', '#b3261e'),
    'blocked': ('#fde3c0', '#b26a00'),
    'deferred': ('#fff3c4', '#8d7500'),
    'skipped': ('#e6e6e6', '#757575'),
    'infra': ('#e2d6f5', '#6a3fb5'),
    'planned': ('#ffffff', '#555555'),  # not judged, or not yet
}
WORTH_A_LOOK: Final = frozenset(('failed', 'blocked', 'deferred', 'infra'))


class _Node(NamedTuple):
    name: str  # in the drawing's own language, which reserves words that are good ids
    lines: tuple[str, ...]
    is_gating: bool
    verdict: str


class _Edge(NamedTuple):
    source: str
    target: str
    tokens: str


class _Cluster(NamedTuple):
    """A chain as it is drawn."""

    name: str
    title: str
    nodes: tuple[_Node, ...]
    edges: tuple[_Edge, ...]


def mermaid(plan: Json, verdicts: Mapping[str, str] = {}) -> str:
    """A flowchart. Of a plan too large for one: the chains that are worth a look, and a note on the rest."""
    clusters = _clusters(plan, verdicts)
    shown = _fitting(clusters)
    if verdicts and len(shown) < len(clusters):
        shown = _fitting(
            [cluster for cluster in clusters if any(node.verdict in WORTH_A_LOOK for node in cluster.nodes)]
        )
    names = {cluster.name for cluster in shown}
    left_out = [cluster for cluster in clusters if cluster.name not in names]
    return '\n'.join(
        [
            'flowchart LR',
            *map(_mermaid_cluster, shown),
            *([f'  left_out>"{_mermaid_text([_note(left_out)])}"]'] if left_out else []),
            *(
                f'  classDef {verdict} fill:{fill},stroke:{line},color:#1b1b1b'
                for verdict, (fill, line) in COLOURS.items()
            ),
        ]
    )


def dot(plan: Json, verdicts: Mapping[str, str] = {}) -> str:
    """A directed graph for Graphviz, whole, whatever its size."""
    return '\n'.join(
        [
            'digraph chains {',
            '  rankdir=LR;',
            '  node [style=filled, shape=box, fontname="sans-serif"];',
            '  edge [fontname="sans-serif"];',
            *map(_dot_cluster, _clusters(plan, verdicts)),
            '}',
        ]
    )


def _clusters(plan: Json, verdicts: Mapping[str, str]) -> list[_Cluster]:
    numbers = {id: number for number, id in enumerate(plan['journeys'], start=1)}
    return [
        _cluster(f'c{numbers[chain["name"]]}', shard, chain, plan['journeys'], numbers, verdicts)
        for shard, chains in enumerate(plan['shards'], start=1)
        for chain in chains
    ]


def _cluster(
    name: str, shard: int, chain: Json, journeys: Json, numbers: Mapping[str, int], verdicts: Mapping[str, str]
) -> _Cluster:
    establishers = defaultdict(list)
    for id in chain['journeys']:
        for token in journeys[id]['establishes']:
            establishers[token].append(id)
    links = defaultdict(list)
    for id in chain['journeys']:
        for token in journeys[id]['requires']:
            for before in establishers[token]:
                links[f'n{numbers[before]}', f'n{numbers[id]}'].append(token)
    return _Cluster(
        name,
        f'{chain["name"]}, shard {shard}, {chain["seconds"]:.1f} s',
        tuple(_node(f'n{numbers[id]}', id, journeys[id], verdicts.get(id, '')) for id in chain['journeys']),
        tuple(_Edge(source, target, ', '.join(tokens)) for (source, target), tokens in links.items()),
    )


def _node(name: str, id: str, journey: Json, verdict: str) -> _Node:
    notes = [journey['tier'], *(['gating'] if journey['gating'] else []), *([verdict] if verdict else [])]
    return _Node(name, (id, ', '.join(notes)), journey['gating'], verdict if verdict in COLOURS else 'planned')


def _fitting(clusters: Iterable[_Cluster]) -> list[_Cluster]:
    """As many as Mermaid draws, each whole or not at all."""
    room = [MERMAID_CHARACTERS, MERMAID_EDGES, MERMAID_JOURNEYS]
    shown = []
    for cluster in clusters:
        sizes = (len(_mermaid_cluster(cluster)) + 1, len(cluster.edges), len(cluster.nodes))
        left = [free - size for free, size in zip(room, sizes, strict=True)]
        if min(left) >= 0:
            room = left
            shown.append(cluster)
    return shown


def _note(left_out: Collection[_Cluster]) -> str:
    """How much is not shown, and what came of it."""
    counts = Counter(node.verdict for cluster in left_out for node in cluster.nodes)
    verdicts = ', '.join(f'{counts[verdict]} {verdict}' for verdict in COLOURS if counts[verdict])
    return f'{counted(len(left_out), "chain")} not drawn, {counted(counts.total(), "journey")}: {verdicts}'


def _mermaid_cluster(cluster: _Cluster) -> str:
    return '\n'.join(
        [
            f'  subgraph {cluster.name}["{_mermaid_text([cluster.title])}"]',
            '    direction LR',
            *(_mermaid_node(node) for node in cluster.nodes),
            *(f'    {edge.source} -->|"{_mermaid_text([edge.tokens])}"| {edge.target}' for edge in cluster.edges),
            '  end',
        ]
    )


def _mermaid_node(node: _Node) -> str:
    opening, closing = ('{{', '}}') if node.is_gating else ('(', ')')
    return f'    {node.name}{opening}"{_mermaid_text(node.lines)}"{closing}:::{node.verdict}'


def _mermaid_text(lines: Iterable[str]) -> str:
    """Anything but plain characters as entities: Mermaid gives a meaning to most of the others."""
    return '<br/>'.join(re.sub(r'[^\w .,:/-]', lambda found: f'#{ord(found[0])};', line) for line in lines)


def _dot_cluster(cluster: _Cluster) -> str:
    return '\n'.join(
        [
            f'  subgraph cluster_{cluster.name} {{',
            f'    label={_dot_text([cluster.title])};',
            *(_dot_node(node) for node in cluster.nodes),
            *(f'    {edge.source} -> {edge.target} [label={_dot_text([edge.tokens])}];' for edge in cluster.edges),
            '  }',
        ]
    )


def _dot_node(node: _Node) -> str:
    fill, line = COLOURS[node.verdict]
    shape = ', shape=hexagon' if node.is_gating else ''
    return f'    {node.name} [label={_dot_text(node.lines)}, fillcolor="{fill}", color="{line}"{shape}];'


def _dot_text(lines: Iterable[str]) -> str:
    escaped = (line.replace('\\', '\\\\').replace('"', '\\"') for line in lines)
    return '"' + '\\n'.join(escaped) + '"'
