"""Drawings, by dot itself."""

from itertools import pairwise
from pathlib import Path

import pytest

from hack.dogfood.page.layout import Sketch, draw
from tests.python.runs import need_commands

SKETCH = Sketch(
    {'make-it': ('make-it', 'passed'), 'use-it': ('use-it', 'failed'), 'see-it': ('see-it', 'blocked')},
    {('make-it', 'use-it'): 'made', ('make-it', 'see-it'): 'made "and" more'},
)


def test_nodes_stand_apart_and_arrows_lead_from_one_to_the_next() -> None:
    need_commands('dot')
    drawing, again = draw([SKETCH, SKETCH], 10)
    assert drawing is not None
    assert drawing == again
    nodes = {node.id: node for node in drawing.nodes}
    assert set(nodes) == set(SKETCH.nodes)
    assert all(node.left >= 0 and node.left + node.width <= drawing.width + 1 for node in drawing.nodes)
    assert all(node.top >= 0 and node.top + node.height <= drawing.height + 1 for node in drawing.nodes)
    assert nodes['make-it'].left + nodes['make-it'].width < nodes['use-it'].left
    assert abs(nodes['use-it'].top - nodes['see-it'].top) >= nodes['use-it'].height
    assert [(edge.source, edge.target, edge.label) for edge in drawing.edges] == [
        ('make-it', 'use-it', 'made'),
        ('make-it', 'see-it', 'made "and" more'),
    ]
    assert all(edge.path.startswith('M') for edge in drawing.edges)


def test_a_chain_too_wide_for_a_page_is_drawn_from_top_to_bottom() -> None:
    need_commands('dot')
    names = [f'journey-with-a-name-{number}' for number in range(8)]
    long = Sketch({name: (name, 'passed') for name in names}, dict.fromkeys(pairwise(names), 'made'))
    (drawing,) = draw([long], 10)
    assert drawing is not None
    assert drawing.width < drawing.height


def test_without_dot_there_is_no_drawing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    assert draw([SKETCH], 10) == [None]


def test_what_dot_did_not_come_to_in_its_time_has_no_drawing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need_commands('dot')
    slow = tmp_path / 'dot'
    graph = 'graph 1 1 1\\nnode 0 1 1 1 1\\nstop\\n'  # two for each sketch: lying and standing
    slow.write_text(f'#!/bin/sh\nprintf "{graph * 3}graph 1 1"\nexec sleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')
    one = Sketch({'a': ('a', 'b')}, {})
    first, second = draw([one, one], 0.5)
    assert first is not None
    assert second is None
