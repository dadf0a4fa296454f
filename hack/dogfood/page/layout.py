"""Where the journeys of a chain and the arrows between them stand on a drawing, as Graphviz' `dot` lays them out.

`dot` is asked once for all chains. Where it is absent, or slow, a chain has no drawing: the page tells it in words.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from hack.common.process import filtered

_NODE_HEIGHT: Final = 46  # pixels: the id, and a line of notes below it
_LETTER: Final = 7.3  # pixels, of an id
_NOTE_LETTER: Final = 6.7  # of a note
_MARGIN: Final = 38  # what stands beside an id: the verdict's sign
PAGE_WIDTH: Final = 1500  # pixels: what is no wider is made to fit the page and can still be read
_PIXELS: Final = 72  # to an inch, in which dot counts

Point = tuple[float, float]


class Sketch(NamedTuple):
    """A chain to be drawn: labels by node, tokens by edge."""

    nodes: Mapping[str, Sequence[str]]  # id: the lines it shows
    edges: Mapping[tuple[str, str], str]  # (from, to): the label


class Node(NamedTuple):
    id: str
    left: float  # pixels, from the upper left corner; so are all below
    top: float
    width: float
    height: float


class Edge(NamedTuple):
    source: str
    target: str
    path: str  # of an SVG path
    label: str
    at: Point  # the middle of its label


class Drawing(NamedTuple):
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def draw(sketches: Sequence[Sketch], seconds: float) -> list[Drawing | None]:
    """A drawing for each, in at most `seconds`; None for those that dot did not come to, or that cannot be drawn."""
    text = '\n'.join(_dot(sketch, way) for sketch in sketches for way in ('LR', 'TB'))
    graphs = _graphs(filtered(('dot', '-y', '-Tplain'), text, seconds) or '') if sketches else iter(())
    ways = zip(graphs, graphs, strict=False)  # two at a time: from left to right, and from top to bottom
    drawn = [
        _better(_read(sketch, lying), _read(sketch, standing))
        for sketch, (lying, standing) in zip(sketches, ways, strict=False)
    ]
    return [*drawn, *[None] * (len(sketches) - len(drawn))]


def _better(lying: Drawing | None, standing: Drawing | None) -> Drawing | None:
    """As one reads, unless the page is too narrow for that."""
    if lying and standing and lying.width > PAGE_WIDTH and standing.width < lying.width:
        return standing
    return lying


def _dot(sketch: Sketch, way: str) -> str:
    """The graph in dot's language. Nodes go by numbers, labels by their lengths: nothing has to be quoted."""
    numbers = {id: number for number, id in enumerate(sketch.nodes)}
    nodes = (f'{numbers[id]} [width={_width(lines) / _PIXELS:.3f}]' for id, lines in sketch.nodes.items())
    edges = (
        f'{numbers[source]} -> {numbers[target]} [label={"x" * len(label)}]'
        for (source, target), label in sketch.edges.items()
    )
    styles = (
        f'rankdir={way} nodesep=0.25 ranksep=0.35',
        f'node [shape=box fixedsize=true label="" height={_NODE_HEIGHT / _PIXELS:.3f}]',
        'edge [arrowhead=none fontsize=11 fontname=Courier]',
    )
    return '\n'.join(('digraph {', *styles, *nodes, *edges, '}'))


def _width(lines: Sequence[str]) -> float:
    name, *notes = lines
    return _MARGIN + max([_LETTER * len(name), *(_NOTE_LETTER * len(note) for note in notes)])


def _graphs(said: str) -> Iterator[list[list[str]]]:
    """The words of each graph's lines. One that was cut off has no `stop`, and is none."""
    lines: list[list[str]] = []
    for line in said.splitlines():
        if line == 'stop':
            yield lines
            lines = []
        else:
            lines.append(line.split(' '))


def _read(sketch: Sketch, lines: Iterable[list[str]]) -> Drawing | None:
    ids = list(sketch.nodes)
    width = height = 0.0
    nodes, edges = [], []
    for kind, *words in lines:
        match kind:
            case 'graph':
                width, height = _pixels(words[1]), _pixels(words[2])
            case 'node':
                x, y, wide, high = map(_pixels, words[1:5])
                nodes.append(Node(ids[int(words[0])], round(x - wide / 2, 1), round(y - high / 2, 1), wide, high))
            case 'edge':
                edges.append(_edge(ids[int(words[0])], ids[int(words[1])], words[2:], sketch.edges))
    return Drawing(width, height, tuple(nodes), tuple(edges)) if len(nodes) == len(ids) else None


def _edge(source: str, target: str, words: Sequence[str], labels: Mapping[tuple[str, str], str]) -> Edge:
    """`words`: the number of points, the points, the label and its place, style and colour."""
    count = int(words[0])
    numbers = [_pixels(word) for word in words[1 : 1 + 2 * count]]
    first, *others = [f'{x} {y}' for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    at = (_pixels(words[2 + 2 * count]), _pixels(words[3 + 2 * count]))
    return Edge(source, target, f'M{first}C{" ".join(others)}', labels[source, target], at)


def _pixels(word: str) -> float:
    return round(float(word) * _PIXELS, 1)
