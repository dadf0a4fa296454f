"""summary.md: what a bundle says, as GitHub shows it with a job, and tables for wherever Markdown is read."""

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

from hack.common.console import counted, cut, visible
from hack.dogfood.model import Json
from hack.dogfood.reporting import triage
from hack.dogfood.reporting.report import COLUMNS, cells, notes, per_tier, ranked, review_of, sentence

_CAUSES: Final = 60  # in a summary
_SUMMARY_BYTES: Final = 1_000_000  # GitHub takes 1 MiB a step
_GRAPH_CHARACTERS: Final = 50_000  # what its Mermaid draws at most,
_GRAPH_EDGES: Final = 500  # and how many arrows
_SUMMARY_FRAME_BYTES: Final = 1_000  # for what stands around its tables
_SUMMARY_NOTES: Final = 60
_CELL_CHARACTERS: Final = 1000
_MARKUP: Final = re.compile(r'[&<>|`*_~$@#!\[\]\\]')


def markdown(bundle: Json, graph: str = '') -> str:
    """A GitHub job summary: what did not pass in full, the rest folded, and never more than GitHub takes."""
    good = [journey for journey in bundle['journeys'] if journey['verdict'] == 'passed']
    bad = ranked((journey for journey in bundle['journeys'] if journey['verdict'] != 'passed'), worst_first=True)
    counts = markdown_table(per_tier(bundle['journeys']))
    remarks = '\n'.join(f'- {_markdown(note)}' for note in notes(bundle)[:_SUMMARY_NOTES])
    parts = [
        f'## {_markdown(sentence(bundle))}',
        counts,
        remarks,
        _causes(review_of(bundle)['causes']),
        _drawing(graph),
    ]
    room = _SUMMARY_BYTES - sum(len(part.encode()) for part in parts) - _SUMMARY_FRAME_BYTES
    said = triage.decided(bundle)
    listed = _listed(bad, room, said)
    rest = _listed(good, room - len(listed.encode()), said)
    parts.insert(2, listed)
    parts.append(_folded(f'{len(good)} passed', rest) if good else '')
    return '\n\n'.join(filter(None, parts)) + '\n'


def _causes(causes: Sequence[Json]) -> str:
    if not causes:
        return ''
    rows = [
        [
            cause['fingerprint'],
            cause['blames'],
            str(len(cause['journeys'])),
            str(len(cause['waiting'])),
            triage.in_words(cause['decision']) if cause['decision'] else '-',
            cause['message'],
        ]
        for cause in causes[:_CAUSES]
    ]
    header = ['cause', 'blames', 'journeys', 'waiting', 'decided', 'message']
    more = f'\n\n{len(causes) - _CAUSES} more are in bundle.json.' if len(causes) > _CAUSES else ''
    return _folded(counted(len(causes), 'cause'), markdown_table([header, *rows]) + more)


def _drawing(graph: str) -> str:
    if not graph:
        return ''
    if len(graph) > _GRAPH_CHARACTERS or graph.count('--') > _GRAPH_EDGES:
        return 'The graph of the chains is too large to be drawn here; `run_journeys.py graph` writes it.'
    return _folded('Chains', f'```mermaid\n{graph.strip()}\n```')


def _folded(title: str, text: str) -> str:
    return f'<details><summary>{title}</summary>\n\n{text}\n\n</details>'


def _listed(journeys: Sequence[Json], room: int, decided: Mapping[str, str]) -> str:
    """A table of the journeys, as many as there is room for, in bytes."""
    if not journeys:
        return ''
    header = [column.title for column in COLUMNS]
    lines = markdown_table([header, *(cells(one, decided) for one in journeys)]).split('\n')
    sizes = accumulate(len(line.encode()) + 1 for line in lines)
    fitting = [line for line, size in zip(lines, sizes, strict=True) if size <= room]
    if len(fitting) < len(lines):
        fitting += ['', f'{len(lines) - len(fitting)} more are in bundle.json.']
    return '\n'.join(fitting)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first one the header; nothing in a cell is markup."""
    lines = ['| ' + ' | '.join(map(_markdown, row)) + ' |' for row in rows]
    return '\n'.join([lines[0], '|' + ' --- |' * len(rows[0]), *lines[1:]])


def _markdown(text: str) -> str:
    """The text as it stands, on one line: nothing in it is markup."""
    return _MARKUP.sub(lambda found: f'&#{ord(found[0])};', cut(visible(text), _CELL_CHARACTERS))
