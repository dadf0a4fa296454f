"""report.html: one file that shows a whole run, made from its bundle alone, which asks nobody for anything.

What is shown is plain values, made here, in `journeys` and in `chains`; how it looks is in `templates/`. The page
needs no script to be read.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.files import write_atomic
from hack.dogfood.model import TIERS, Json
from hack.dogfood.page import ansi, markup, timeline
from hack.dogfood.page.beside import NOTHING, Beside
from hack.dogfood.page.chains import chains
from hack.dogfood.page.journeys import Fact, Shown, View, shown, view_of
from hack.dogfood.page.looks import WORST_FIRST
from hack.dogfood.reporting.report import sentence

_BLAME: Final[Mapping[str, str]] = {
    'failed': 'The product did not do what was promised.',
    'infra': 'The harness could not measure; the product is not charged with it.',
    'unknown': 'A verdict that this version does not know.',
    'blocked': 'A capability it stands on was not established; the journey at the root is named.',
    'deferred': 'A gating journey of an earlier tier did not pass.',
    'skipped': 'A declared need is absent, or the journey said so.',
    'passed': 'Every expectation held.',
}
_EXITS: Final[Mapping[int, str]] = {
    0: 'nothing failed, and something passed',
    1: 'the product failed',
    3: 'something could not be measured, or nothing passed',
    130: 'interrupted',
}
_LONG: Final = 100  # journeys; of a longer run the passed ones are folded away


class Group(NamedTuple):
    """Journeys of one verdict."""

    look: str
    blame: str
    journeys: tuple[Shown, ...]
    is_folded: bool


def write(path: Path, bundle: Json, run_dir: Path, beside: Beside = NOTHING) -> None:
    """Make the page at `path`, with links to the evidence in `run_dir`; raises OSError."""
    write_atomic(path, render(bundle, run_dir, beside, os.path.relpath(run_dir, path.parent)))


def render(bundle: Json, run_dir: Path | None = None, beside: Beside = NOTHING, to_run_dir: str = '.') -> str:
    """The page. `run_dir`: where evidence is looked for; `to_run_dir`: the way there from the page."""
    view = view_of(bundle, beside, run_dir, to_run_dir)
    journeys = [shown(journey, view) for journey in bundle['journeys']]
    page = markup.made_of(
        'page.html.j2',
        **markup.style_and_script(),
        **_choices(journeys, view),
        sentence=sentence(bundle),
        look=_overall(bundle),
        counts=_counts(journeys),
        groups=_groups(journeys),
        chains=chains(bundle, journeys),
        timeline=timeline.of(bundle),
        about=_about(bundle),
        bundle=bundle,
        beside=beside,
        gone=_gone(journeys),
        anchors=view.anchors,
        shown={journey.id: journey for journey in journeys},
        looks={journey.id: journey.look for journey in journeys},
    )
    return ansi.plain(str(page))  # whatever text is not output has its unseen characters spelled out here


def _choices(journeys: Sequence[Shown], view: View) -> dict[str, Any]:
    """What the filters offer."""
    tiers = {journey.tier for journey in journeys}
    return {
        'tiers': [*filter(tiers.__contains__, TIERS), *sorted(tiers - {*TIERS})],
        'features': sorted(view.features, key=lambda name: name.casefold()),
        'feature_numbers': view.features,
        'kinds': sorted({kind for journey in journeys for kind in journey.kinds.split()}),
    }


def _overall(bundle: Json) -> str:
    totals = bundle['totals']
    if totals['failed']:
        return 'failed'
    return 'infra' if totals['infra'] or bundle['exit'] else 'passed'


def _counts(journeys: Sequence[Shown]) -> list[tuple[str, Counter[str]]]:
    """By tier, then for all tiers, how many came to each verdict."""
    tiers: dict[str, Counter[str]] = {tier: Counter() for tier in TIERS}
    for journey in journeys:
        tiers.setdefault(journey.tier, Counter())[journey.look] += 1
    rows = [(tier, counted) for tier, counted in tiers.items() if counted]
    return [*rows, ('', sum((counted for _, counted in rows), Counter()))]


def _groups(journeys: Sequence[Shown]) -> list[Group]:
    by_look = defaultdict(list)
    for journey in journeys:
        by_look[journey.look].append(journey)
    is_long = len(journeys) > _LONG
    return [
        Group(look, _BLAME[look], tuple(by_look[look]), is_long and look == 'passed')
        for look in WORST_FIRST
        if by_look[look]
    ]


def _about(bundle: Json) -> list[Fact]:
    """What the run was: all that is recorded of it, in words."""
    run, options = bundle['run'], bundle['run'].get('options') or {}
    asked = ', '.join(f'{key}={value}' for key, value in options.items() if value not in (None, False, 0))
    corpus = [f'{file.get("path")}  {str(file.get("sha256"))[:12]}' for file in run.get('corpus') or [] if file]
    product = run.get('product') or {}
    facts = [
        Fact('Run', run['id']),
        Fact('Began, ended', ' – '.join(filter(None, (run['started'], run['ended'])))),
        Fact('Exit status', f'{bundle["exit"]}: {_EXITS.get(bundle["exit"], "unknown")}'),
        Fact('Command', ' '.join(map(str, run.get('command') or []))),
        Fact('Called from', run.get('cwd')),
        Fact('Asked for', asked),
        Fact('Versions', _pairs(run.get('versions'))),
        Fact('Product', _pairs(product.get('versions'))),
        Fact('Executables', _pairs(product.get('digests'))),
        Fact('Revision', _pairs(run.get('git'))),
        Fact('Corpus', '\n'.join(corpus)),
    ]
    return [fact for fact in facts if fact.value]


def _pairs(said: Any) -> str:
    return '\n'.join(f'{key}: {value}' for key, value in said.items()) if isinstance(said, dict) else ''


def _gone(journeys: Iterable[Shown]) -> int:
    """How many files of evidence are no longer there."""
    steps = [step for journey in journeys for step in journey.steps]
    claims = [claim for one in chain(journeys, steps) for claim in one.claims]  # type: ignore[attr-defined]
    links = chain((one for step in steps for one in step.evidence), (claim.evidence for claim in claims))
    return len({one.path for one in links if one and not one.href})
