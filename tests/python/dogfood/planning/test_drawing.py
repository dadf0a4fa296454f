"""A plan is drawn whole where it can be; where it cannot, what is worth a look is, and the rest is counted."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from hack.dogfood.model import VERDICTS, Journey
from hack.dogfood.planning import chains, drawing
from tests.python.dogfood.corpora import by_id, journey

IMAGES = (
    journey('build', 'tag id', tier='smoke', gating=True),
    journey('end', '', 'ran tag', tier='deep'),
    journey('run', 'ran', 'tag id'),
    journey('graph'),
)


def planned(journeys: Iterable[Journey], shards: int = 2) -> Mapping[str, Any]:
    found = by_id(journeys)
    return chains.as_json(chains.plan(found, shards), found)


def test_mermaid() -> None:
    drawn = drawing.mermaid(planned(IMAGES), {'build': 'passed', 'run': 'failed', 'end': 'blocked'})
    lines = drawn.splitlines()
    assert lines[:13] == [
        'flowchart LR',
        '  subgraph c1["build, shard 1, 0.3 s"]',
        '    direction LR',
        '    n1{{"build<br/>smoke, gating, passed"}}:::passed',
        '    n4("run<br/>core, failed"):::failed',
        '    n2("end<br/>deep, blocked"):::blocked',
        '    n1 -->|"tag, id"| n4',
        '    n4 -->|"ran"| n2',
        '    n1 -->|"tag"| n2',
        '  end',
        '  subgraph c3["graph, shard 2, 0.1 s"]',
        '    direction LR',
        '    n3("graph<br/>core"):::planned',
    ]
    assert lines[13] == '  end'
    assert lines[14] == '  classDef passed fill:#d7f0dd,stroke:#2e7d4f,color:#1b1b1b'
    assert [line.split()[1] for line in lines[14:]] == [*drawing.COLOURS]


def test_dot() -> None:
    drawn = drawing.dot(planned(IMAGES), {'build': 'infra'})
    assert drawn.splitlines() == [
        'digraph chains {',
        '  rankdir=LR;',
        '  node [style=filled, shape=box, fontname="sans-serif"];',
        '  edge [fontname="sans-serif"];',
        '  subgraph cluster_c1 {',
        '    label="build, shard 1, 0.3 s";',
        '    n1 [label="build\\nsmoke, gating, infra", fillcolor="#e2d6f5", color="#6a3fb5", shape=hexagon];',
        '    n4 [label="run\\ncore", fillcolor="#ffffff", color="#555555"];',
        '    n2 [label="end\\ndeep", fillcolor="#ffffff", color="#555555"];',
        '    n1 -> n4 [label="tag, id"];',
        '    n4 -> n2 [label="ran"];',
        '    n1 -> n2 [label="tag"];',
        '  }',
        '  subgraph cluster_c3 {',
        '    label="graph, shard 2, 0.1 s";',
        '    n3 [label="graph\\ncore", fillcolor="#ffffff", color="#555555"];',
        '  }',
        '}',
    ]


def test_every_verdict_has_a_colour_and_an_unknown_one_the_plain_one() -> None:
    assert {*VERDICTS} < {*drawing.COLOURS}
    assert len(set(drawing.COLOURS.values())) == len(drawing.COLOURS)
    assert '("graph<br/>core, odd"):::planned' in drawing.mermaid(planned(IMAGES), {'graph': 'odd'})


def test_every_establisher_leads_to_every_dependent() -> None:
    drawn = drawing.mermaid(
        planned([journey('a', 't'), journey('b', 't'), journey('c', '', 't'), journey('d', '', 't')])
    )
    assert re.findall(r'n\d -->\|"t"\| n\d', drawn) == [
        'n1 -->|"t"| n3',
        'n2 -->|"t"| n3',
        'n1 -->|"t"| n4',
        'n2 -->|"t"| n4',
    ]


ODD = 'a "b" \\ #1; <i> & [x]|{y}'


def test_names_are_escaped() -> None:
    plan = planned([journey(ODD)])
    assert 'n1("a #34;b#34; #92; #35;1#59; #60;i#62; #38; #91;x#93;#124;#123;y#125;<br/>core")' in drawing.mermaid(plan)
    assert r'n1 [label="a \"b\" \\ #1; <i> & [x]|{y}\ncore", ' in drawing.dot(plan)


@pytest.mark.skipif(shutil.which('dot') is None, reason='needs Graphviz (apt-get install graphviz)')
def test_graphviz_reads_what_is_written_for_it() -> None:
    plan = planned([*IMAGES, journey(ODD, '', 'tag')])
    read = subprocess.run(['dot', '-Tplain'], input=drawing.dot(plan), capture_output=True, text=True, check=True)
    assert (read.stderr, read.stdout.count('\nnode '), read.stdout.count('\nedge ')) == ('', 5, 4)


# -- more than Mermaid draws -------------------------------------------------------------------


def drawn_chains(text: str) -> list[str]:
    return re.findall(r'subgraph c\d+\["([^,]+),', text)


def star(name: str, dependents: int) -> list[Journey]:
    return [journey(f'{name}-a', name), *(journey(f'{name}-b{at}', '', name) for at in range(dependents))]


def test_five_hundred_journeys_are_drawn_whole_and_one_more_is_not() -> None:
    journeys = [journey for at in range(100) for journey in star(f'c{at:02}', 4)]
    whole = drawing.mermaid(planned(journeys))
    assert (whole.count(':::planned'), 'left_out' in whole) == (500, False)
    partly = drawing.mermaid(planned([*journeys, journey('lone')], 1))
    assert (partly.count(':::planned'), 'lone' in partly) == (500, False)
    assert '  left_out>"1 chain not drawn, 1 journey: 1 planned"]' in partly.splitlines()


def test_of_too_many_those_worth_a_look_are_drawn_and_the_rest_is_counted() -> None:
    journeys = [journey(f'j{at:03}') for at in range(600)] + [journey('pair-a', 'pair'), journey('pair-b', '', 'pair')]
    verdicts = dict.fromkeys((journey.id for journey in journeys), 'passed')
    verdicts |= {'j000': 'skipped', 'j007': 'failed', 'j100': 'infra', 'j300': 'deferred', 'pair-b': 'blocked'}
    text = drawing.mermaid(planned(journeys, 1), verdicts)
    assert drawn_chains(text) == ['pair-a', 'j007', 'j100', 'j300']
    assert '  left_out>"597 chains not drawn, 597 journeys: 596 passed, 1 skipped"]' in text.splitlines()


def test_many_arrows_are_too_many_though_the_journeys_are_few() -> None:
    def ladder(name: str, rungs: int) -> list[Journey]:
        owners = [journey(f'{name}-own-{at:02}', name) for at in range(rungs)]
        return owners + [journey(f'{name}-use-{at:02}', '', name) for at in range(rungs)]

    assert drawn_chains(drawing.mermaid(planned(ladder('a', 21)))) == ['a-own-00']  # 441 arrows
    assert drawn_chains(drawing.mermaid(planned(ladder('a', 22)))) == []  # 484 arrows
    # A chain that has no room does not keep a smaller one out.
    assert drawn_chains(drawing.mermaid(planned([*ladder('a', 22), *ladder('b', 2)]))) == ['b-own-00']


def test_long_names_are_too_many_characters_though_the_journeys_are_few() -> None:
    journeys = [journey(f'{"long-" * 40}{at:03}') for at in range(300)]
    text = drawing.mermaid(planned(journeys))
    assert 44_000 < len(text) < 46_000
    assert f'{300 - len(drawn_chains(text))} chains not drawn' in text
