"""One journey as the page shows it: its steps, what was found in them, and what is known about it."""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, repeat
from pathlib import Path
from shlex import quote as shell_quoted
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from markupsafe import Markup, escape

from hack.dogfood.model import Json
from hack.dogfood.page import ansi, difference
from hack.dogfood.page.beside import Beside, Decision
from hack.dogfood.page.looks import duration, look
from hack.dogfood.reporting.report import command

_ID: Final = re.compile(r'[a-z0-9-]{1,200}')
_OUTPUT_LINES: Final = 40  # shown of an output's head, and of its tail,
_OUTPUT_CHARACTERS: Final = 4_000  # and never more than this of either


class Output(NamedTuple):
    name: str
    head: Markup
    left_out: str = ''  # what is not shown between head and tail
    tail: Markup = Markup()


class Evidence(NamedTuple):
    path: str
    href: str  # empty: the file is gone


class Claim(NamedTuple):
    """A finding."""

    kind: str
    attempt: int | None
    difference: difference.Difference
    evidence: Evidence | None
    decision: Decision | None


class Step(NamedTuple):
    intent: str
    run: str
    ending: str  # 'exit 1'
    time: str
    outputs: tuple[Output, ...]
    evidence: tuple[Evidence, ...]
    claims: tuple[Claim, ...]
    samples: str  # how often it ran, if more than once


class Fact(NamedTuple):
    name: str
    value: Any  # text, or markup


class Shown(NamedTuple):
    """A journey."""

    id: str
    anchor: str
    verdict: str  # as recorded
    look: str  # one of WORST_FIRST
    tier: str
    feature: str
    feature_number: int
    promise: str
    cause: str
    root: str
    root_anchor: str
    notes: tuple[str, ...]  # known, flaky, exit-only, gating
    time: str
    kinds: str
    claims: tuple[Claim, ...]  # that belong to no step of the record
    steps: tuple[Step, ...]
    facts: tuple[Fact, ...]
    command: str


class View(NamedTuple):
    """What all journeys of a bundle are shown with."""

    beside: Beside
    folder: Path | None  # of the run: where evidence is looked for
    to_folder: str  # from where the page lies
    anchors: Mapping[str, str]
    features: Mapping[str, int]
    establishers: Mapping[str, Sequence[str]]
    chains: Mapping[str, str]  # the address of each that is told, by name
    alone: str
    allowed: Collection[str]  # journeys that KNOWN=allow let pass


def view_of(bundle: Json, beside: Beside, folder: Path | None, to_folder: str) -> View:
    numbers = count(1)
    anchors = {
        journey['id']: f'journey-{journey["id"] if _ID.fullmatch(journey["id"]) else next(numbers)}'
        for journey in bundle['journeys']
    }
    features = {name: number for number, name in enumerate(dict.fromkeys(j['feature'] for j in bundle['journeys']))}
    establishers = defaultdict(list)
    for journey in bundle['journeys']:
        for token in journey['establishes']:
            establishers[token].append(journey['id'])
    chains = {said['name']: f'chain-{number}' for number, said in several(bundle)}
    allowed = {name for name in (bundle.get('triage') or {}).get('allowed', ()) if isinstance(name, str)}
    return View(beside, folder, to_folder, anchors, features, establishers, chains, command(bundle), allowed)


def shown(journey: Json, view: View) -> Shown:
    claims = _claims(journey, view)
    root = journey['root'] or ''
    return Shown(
        id=journey['id'],
        anchor=view.anchors[journey['id']],
        verdict=journey['verdict'],
        look=look(journey['verdict']),
        tier=journey['tier'],
        feature=journey['feature'],
        feature_number=view.features[journey['feature']],
        promise=journey['promise'],
        cause=journey['cause'],
        root=root,
        root_anchor=view.anchors.get(root, ''),
        notes=tuple(_notes(journey, view)),
        time=duration(journey['duration_seconds']) if journey['duration_seconds'] else '',
        kinds=' '.join(dict.fromkeys(claim.kind for found in claims.values() for claim in found)),
        claims=tuple(claims[0]),
        steps=tuple(_step(step, tuple(claims[number]), view) for number, step in enumerate(journey['steps'], 1)),
        facts=tuple(_facts(journey, view)),
        command=view.alone + shell_quoted(journey['id']),
    )


def _claims(journey: Json, view: View) -> defaultdict[int, list[Claim]]:
    """Its findings by the number of their step; 0: they belong to none that is recorded."""
    claims = defaultdict(list)
    decisions = view.beside.decisions.get(journey['id']) or repeat(None)
    for finding, decision in zip(journey['findings'], decisions, strict=False):
        step = finding['step'] or 0
        claims[step if step <= len(journey['steps']) else 0].append(_claim(finding, decision, view))
    return claims


def _notes(journey: Json, view: View) -> Iterator[str]:
    if journey['id'] in view.allowed:
        yield 'known, let pass'
    if journey['flaky']:
        yield f'flaky, {journey["attempts"]} attempts' if journey['attempts'] > 1 else 'flaky'
    elif journey['attempts'] > 1:
        yield f'{journey["attempts"]} attempts'
    if journey['strength'] == 'exit-only' and journey['verdict'] == 'passed':
        yield 'exit-only'
    if journey['gating']:
        yield 'gating'


def _claim(finding: Json, decision: Decision | None, view: View) -> Claim:
    evidence = _evidence(finding['evidence'], view) if finding['evidence'] else None
    compared = difference.of(finding['expected'], finding['observed'])
    return Claim(finding['kind'], finding.get('attempt'), compared, evidence, decision)


def _step(step: Json, claims: tuple[Claim, ...], view: View) -> Step:
    ending = step.get('signal') or (f'exit {step["exit"]}' if step['exit'] is not None else 'ended from outside')
    outputs = [
        _output(name, step[key]) for key, name in (('stdout', 'output'), ('stderr', 'error output')) if step[key]
    ]
    first = step.get('first')
    if first:
        outputs += [
            _output(name, first[key])
            for key, name in (('stdout', 'output of the first time'), ('stderr', 'error output of the first time'))
            if first[key]
        ]
    return Step(
        step['intent'],
        step['run'],
        str(ending),
        duration(step['duration_seconds']),
        tuple(outputs),
        tuple(_evidence(path, view) for path in step.get('evidence') or ()),
        claims,
        f'ran {step["samples"]} times, the last is shown' if step.get('samples') else '',
    )


def _output(name: str, text: str) -> Output:
    """Head and tail of an output, by lines and by characters, whichever is less."""
    head = _lines_from_start(text)
    rest = text[len(head) :]
    tail = _lines_from_end(rest)
    left_out = len(rest) - len(tail)
    if not left_out:
        return Output(name, ansi.markup(text.removesuffix('\n')))
    return Output(name, ansi.markup(head), f'{left_out:,} characters are left out here', ansi.markup(tail))


def _lines_from_start(text: str) -> str:
    return ''.join(text[:_OUTPUT_CHARACTERS].splitlines(keepends=True)[:_OUTPUT_LINES])


def _lines_from_end(text: str) -> str:
    return ''.join(text[-_OUTPUT_CHARACTERS:].splitlines(keepends=True)[-_OUTPUT_LINES:])


def _evidence(path: str, view: View) -> Evidence:
    """A link that leads nowhere but below the run's folder, whatever the path says."""
    inside = '/'.join(part for part in path.split('/') if part not in ('', '.', '..'))
    is_there = view.folder is None or os.path.exists(view.folder / inside)
    return Evidence(path, quote(f'{view.to_folder}/{inside}', errors='replace') if is_there else '')


def _facts(journey: Json, view: View) -> Iterator[Fact]:
    yield Fact('Written in', f'{journey["path"]}:{journey["line"]}')
    if source := journey['source']:
        yield Fact('Source', _source(source))
    chain = view.chains.get(journey['chain'])
    name = Markup('<a href="#{}">{}</a>').format(chain, journey['chain']) if chain else escape(journey['chain'])
    yield Fact('Chain', Markup('{}, shard {}').format(name, journey['shard']))
    if requires := journey['requires']:
        link = partial(_link, view=view)
        by = [
            Markup('{} ← {}').format(token, _joined(map(link, view.establishers.get(token, ())))) for token in requires
        ]
        yield Fact('Requires', _joined(by))
    if journey['establishes']:
        yield Fact('Establishes', ', '.join(journey['establishes']))
    if journey['started']:
        predicted = duration(journey['predicted_seconds'])
        yield Fact('Began', f'{journey["started"]}, predicted to take {predicted}')


def _source(source: Mapping[str, str]) -> Markup:
    """Who promises it; a web address is a link, anything else is text."""
    ref, kind = source.get('ref', ''), source.get('kind', '')
    shown = escape(ref)
    if re.match(r'https?://', ref):
        shown = Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(ref)
    others = ', '.join(f'{key}: {value}' for key, value in source.items() if key not in ('kind', 'ref'))
    return Markup(', ').join(filter(None, (escape(kind), shown, escape(others))))


def _link(id: str, view: View) -> Markup:
    return Markup('<a href="#{}">{}</a>').format(view.anchors[id], id)


def _joined(pieces: Iterable[Any]) -> Markup:
    return Markup(', ').join(pieces)


def several(bundle: Json) -> Iterator[tuple[int, Json]]:
    """The chains that hold more than one journey, and the number of each."""
    return ((number, said) for number, said in enumerate(bundle['chains'], 1) if len(said['journeys']) > 1)
