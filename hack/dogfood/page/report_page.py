"""report.html: one file that shows a whole run, made from its bundle alone, which asks nobody for anything.

What is shown is plain values, made here; how it looks is in `templates/`: Jinja2 templates with autoescape, a style
sheet and a script, all written into the page. The page needs no script to be read.

What is known beside the bundle is handed in as `Beside`: the decisions of reviewers, one or None for each finding of
a journey in the findings' order, and a section about earlier runs as finished markup (`history` in the templates
and `trend` in the style sheet are its names). A page that is handed neither does not speak of them.
"""

import base64
import functools
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, repeat
from pathlib import Path
from shlex import quote as shell_quoted
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache, FileSystemLoader
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from hack.common.files import write_atomic
from hack.dogfood.model import TIERS
from hack.dogfood.page import ansi, difference, layout, timeline
from hack.dogfood.report import command, sentence

Json = Mapping[str, Any]

_FOLDER: Final = Path(__file__).with_name('templates')
WORST_FIRST: Final = ('failed', 'infra', 'unknown', 'blocked', 'deferred', 'skipped', 'passed')
_BLAME: Final[Mapping[str, str]] = {
    'failed': 'The product did not do what was promised.',
    'infra': 'The harness could not measure; the product is not charged with it.',
    'unknown': 'A verdict that this version does not know.',
    'blocked': 'A capability it stands on was not established; the journey at the root is named.',
    'deferred': 'A gating journey of an earlier tier did not pass.',
    'skipped': 'A declared need is absent, or the journey said so.',
    'passed': 'Every expectation held.',
}
_SIGNS: Final = {
    'failed': '✕',
    'infra': '?',
    'unknown': '?',
    'blocked': '⊘',
    'deferred': '‖',
    'skipped': '–',
    'passed': '✓',
}
_SIDES: Final = {'-': 'expected', '+': 'observed', ' ': 'same', '…': 'cut'}  # of a difference
_EXITS: Final[Mapping[int, str]] = {
    0: 'nothing failed, and something passed',
    1: 'the product failed',
    3: 'something could not be measured, or nothing passed',
    130: 'interrupted',
}
_ID: Final = re.compile(r'[a-z0-9-]{1,200}')
_LONG: Final = 100  # journeys; of a longer run the passed ones are folded away
_OUTPUT_LINES: Final = 40  # shown of an output's head, and of its tail,
_OUTPUT_CHARACTERS: Final = 4_000  # and never more than this of either
_DRAWN_JOURNEYS: Final = 600  # in all drawings; the other chains are told in words
_DRAWN_CHAIN: Final = 300  # in one
_OPEN_CHAINS: Final = 12  # of more chains, those that passed are folded away, and the others from here on
_DRAWING_SECONDS: Final = 1.0
_LABEL: Final = 36  # characters of an id or a token in a drawing


class Decision(NamedTuple):
    """What a reviewer has said of a finding: `real`, `intended`, `self-inflicted`, `discoverability`, and why."""

    word: str
    note: str = ''


class Beside(NamedTuple):
    """What is shown with a bundle that it does not hold itself."""

    decisions: Mapping[str, Sequence[Decision | None]] = {}  # by journey, as long as its findings
    trend: Markup = Markup()  # the inside of a section
    troubles: Sequence[str] = ()  # with the bundle itself, a sentence each


NOTHING: Final = Beside()


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
    notes: tuple[str, ...]  # flaky, exit-only, gating
    time: str
    kinds: str
    claims: tuple[Claim, ...]  # that belong to no step of the record
    steps: tuple[Step, ...]
    facts: tuple[Fact, ...]
    command: str


class Group(NamedTuple):
    """Journeys of one verdict."""

    look: str
    blame: str
    journeys: tuple[Shown, ...]
    is_folded: bool


class Drawn(NamedTuple):
    """A chain of several journeys."""

    name: str
    anchor: str
    shard: int
    seconds: str
    look: str  # the worst of its journeys'
    journeys: tuple[Shown, ...]
    drawing: layout.Drawing | None
    notes: Mapping[str, str]  # below each journey's id
    needs: Mapping[str, str]  # by journey: what it requires, in words
    is_open: bool = True


class _Run(NamedTuple):
    """What the views of one bundle have in common."""

    bundle: Json
    beside: Beside
    folder: Path | None  # of the run: where evidence is looked for
    to_folder: str  # from where the page lies
    anchors: Mapping[str, str]
    features: Mapping[str, int]
    establishers: Mapping[str, Sequence[str]]
    chains: Mapping[str, str]  # the address of each that is told, by name
    alone: str


def write(path: Path, bundle: Json, run_dir: Path, beside: Beside = NOTHING) -> None:
    """Make the page at `path`, with links to the evidence in `run_dir`; raises OSError."""
    write_atomic(path, render(bundle, run_dir, beside, os.path.relpath(run_dir, path.parent)))


def render(bundle: Json, run_dir: Path | None = None, beside: Beside = NOTHING, to_run_dir: str = '.') -> str:
    """The page. `run_dir`: where evidence is looked for; `to_run_dir`: the way there from the page."""
    run = _run(bundle, beside, run_dir, to_run_dir)
    journeys = [_shown(journey, run) for journey in bundle['journeys']]
    page = (
        _templates()
        .get_template('page.html.j2')
        .render(
            **_looks_and_works(),
            **_choices(journeys, run),
            sentence=sentence(bundle),
            look=_overall(bundle),
            counts=_counts(journeys),
            groups=_groups(journeys),
            chains=_chains(bundle, journeys),
            timeline=timeline.of(bundle),
            about=_about(bundle),
            bundle=bundle,
            beside=beside,
            gone=_gone(journeys),
            anchors=run.anchors,
            shown={journey.id: journey for journey in journeys},
            looks={journey.id: journey.look for journey in journeys},
        )
    )
    return ansi.plain(page)  # whatever text is not output has its unseen characters spelled out here


def _looks_and_works() -> dict[str, str]:
    """Style sheet and script, and how a Content-Security-Policy names them."""
    made: dict[str, str] = {}
    for name, file in (('style', 'page.css'), ('script', 'page.js')):
        text = (_FOLDER / file).read_text()
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        made |= {name: Markup(text), f'{name}_digest': f'sha256-{digest}'}
    return made


def _choices(journeys: Sequence[Shown], run: _Run) -> dict[str, Any]:
    """What the filters offer."""
    tiers = {journey.tier for journey in journeys}
    return {
        'tiers': [*filter(tiers.__contains__, TIERS), *sorted(tiers - {*TIERS})],
        'features': sorted(run.features, key=lambda name: name.casefold()),
        'feature_numbers': run.features,
        'kinds': sorted({kind for journey in journeys for kind in journey.kinds.split()}),
    }


class _Compiled(FileSystemBytecodeCache):
    """Templates as set-up compiled them: read where they still fit their source, never written while a page is made."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        pass


def compile_templates() -> None:
    """Keep the templates compiled, as Python keeps its modules: a tenth of a second less for each page."""
    kept = _FOLDER / '__pycache__'
    kept.mkdir(exist_ok=True)
    templates = _environment(FileSystemBytecodeCache(str(kept)))
    for name in templates.list_templates(['j2']):
        templates.get_template(name)


def fragment(template: str, **values: Any) -> Markup:
    """Markup for `Beside`, made of a template of the page's own folder."""
    return Markup(_templates().get_template(template).render(values))


@functools.cache
def _templates() -> Environment:
    return _environment(_Compiled(str(_FOLDER / '__pycache__')))


def _environment(cache: BytecodeCache) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        bytecode_cache=cache,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(duration=duration, percent=_percent, short=_short)
    templates.globals.update(worst_first=WORST_FIRST, signs=_SIGNS, sides=_SIDES, page_width=layout.PAGE_WIDTH)
    return templates


def duration(seconds: float) -> str:
    if seconds < 1:
        return f'{seconds * 1000:.0f} ms'
    if seconds < 60:
        return f'{seconds:.2f} s'
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes:02} min' if hours else f'{minutes} min {seconds:02} s'


def _percent(part: float) -> str:
    return f'{100 * part:.3f}'.rstrip('0').rstrip('.') + '%'


def _short(text: str) -> str:
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + '…'


def _look(verdict: str) -> str:
    return verdict if verdict in WORST_FIRST else 'unknown'


# -- the whole ---------------------------------------------------------------------------------


def _run(bundle: Json, beside: Beside, folder: Path | None, to_folder: str) -> _Run:
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
    chains = {said['name']: f'chain-{number}' for number, said in _told_chains(bundle)}
    return _Run(bundle, beside, folder, to_folder, anchors, features, establishers, chains, command(bundle))


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


# -- a journey ---------------------------------------------------------------------------------


def _shown(journey: Json, run: _Run) -> Shown:
    claims = _claims(journey, run)
    root = journey['root'] or ''
    return Shown(
        id=journey['id'],
        anchor=run.anchors[journey['id']],
        verdict=journey['verdict'],
        look=_look(journey['verdict']),
        tier=journey['tier'],
        feature=journey['feature'],
        feature_number=run.features[journey['feature']],
        promise=journey['promise'],
        cause=journey['cause'],
        root=root,
        root_anchor=run.anchors.get(root, ''),
        notes=tuple(_notes(journey)),
        time=duration(journey['duration_seconds']) if journey['duration_seconds'] else '',
        kinds=' '.join(dict.fromkeys(claim.kind for found in claims.values() for claim in found)),
        claims=tuple(claims[0]),
        steps=tuple(_step(step, tuple(claims[number]), run) for number, step in enumerate(journey['steps'], 1)),
        facts=tuple(_facts(journey, run)),
        command=run.alone + shell_quoted(journey['id']),
    )


def _claims(journey: Json, run: _Run) -> defaultdict[int, list[Claim]]:
    """Its findings by the number of their step; 0: they belong to none that is recorded."""
    claims = defaultdict(list)
    decisions = run.beside.decisions.get(journey['id']) or repeat(None)
    for finding, decision in zip(journey['findings'], decisions, strict=False):
        step = finding['step'] or 0
        claims[step if step <= len(journey['steps']) else 0].append(_claim(finding, decision, run))
    return claims


def _notes(journey: Json) -> Iterator[str]:
    if journey['flaky']:
        yield f'flaky, {journey["attempts"]} attempts' if journey['attempts'] > 1 else 'flaky'
    elif journey['attempts'] > 1:
        yield f'{journey["attempts"]} attempts'
    if journey['strength'] == 'exit-only' and journey['verdict'] == 'passed':
        yield 'exit-only'
    if journey['gating']:
        yield 'gating'


def _claim(finding: Json, decision: Decision | None, run: _Run) -> Claim:
    evidence = _evidence(finding['evidence'], run) if finding['evidence'] else None
    compared = difference.of(finding['expected'], finding['observed'])
    return Claim(finding['kind'], finding.get('attempt'), compared, evidence, decision)


def _step(step: Json, claims: tuple[Claim, ...], run: _Run) -> Step:
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
        tuple(_evidence(path, run) for path in step.get('evidence') or ()),
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


def _evidence(path: str, run: _Run) -> Evidence:
    """A link that leads nowhere but below the run's folder, whatever the path says."""
    inside = '/'.join(part for part in path.split('/') if part not in ('', '.', '..'))
    is_there = run.folder is None or os.path.exists(run.folder / inside)
    return Evidence(path, quote(f'{run.to_folder}/{inside}', errors='replace') if is_there else '')


def _facts(journey: Json, run: _Run) -> Iterator[Fact]:
    yield Fact('Written in', f'{journey["path"]}:{journey["line"]}')
    if source := journey['source']:
        yield Fact('Source', _source(source))
    chain = run.chains.get(journey['chain'])
    name = Markup('<a href="#{}">{}</a>').format(chain, journey['chain']) if chain else escape(journey['chain'])
    yield Fact('Chain', Markup('{}, shard {}').format(name, journey['shard']))
    if requires := journey['requires']:
        link = functools.partial(_link, run=run)
        by = [
            Markup('{} ← {}').format(token, _joined(map(link, run.establishers.get(token, ())))) for token in requires
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


def _link(id: str, run: _Run) -> Markup:
    return Markup('<a href="#{}">{}</a>').format(run.anchors[id], id)


def _joined(pieces: Iterable[Any]) -> Markup:
    return Markup(', ').join(pieces)


# -- the chains --------------------------------------------------------------------------------


def _chains(bundle: Json, journeys: Sequence[Shown]) -> list[Drawn]:
    """Chains of several journeys, the worst first; as many drawn as can be looked at."""
    shown = {journey.id: journey for journey in journeys}
    recorded = {journey['id']: journey for journey in bundle['journeys']}
    told = []
    for number, said in _told_chains(bundle):
        if members := tuple(shown[id] for id in said['journeys'] if id in shown):
            told.append(_told(said, number, members, recorded))
    told.sort(key=lambda one: (WORST_FIRST.index(one.look), -len(one.journeys)))
    room, sketched = _DRAWN_JOURNEYS, []
    for one in told:
        if len(one.journeys) <= min(room, _DRAWN_CHAIN):
            room -= len(one.journeys)
            sketched.append(one)
    drawings = layout.draw([_sketch(one, recorded) for one in sketched], _DRAWING_SECONDS)
    drawn = {one.name: drawing for one, drawing in zip(sketched, drawings, strict=True)}
    is_long = len(told) > _OPEN_CHAINS
    return [
        one._replace(
            drawing=drawn.get(one.name), is_open=not is_long or (one.look != 'passed' and number < _OPEN_CHAINS)
        )
        for number, one in enumerate(told)
    ]


def _told_chains(bundle: Json) -> Iterator[tuple[int, Json]]:
    return ((number, said) for number, said in enumerate(bundle['chains'], 1) if len(said['journeys']) > 1)


def _told(said: Json, number: int, members: tuple[Shown, ...], recorded: Mapping[str, Json]) -> Drawn:
    worst = min((journey.look for journey in members), key=WORST_FIRST.index)
    seconds = sum(recorded[journey.id]['duration_seconds'] for journey in members)
    notes = {
        journey.id: f'{journey.verdict} ← {journey.root}' if journey.root else f'{journey.verdict}, {journey.tier}'
        for journey in members
    }
    needs = {journey.id: ', '.join(recorded[journey.id]['requires']) for journey in members}
    return Drawn(said['name'], f'chain-{number}', said['shard'], duration(seconds), worst, members, None, notes, needs)


def _sketch(told: Drawn, recorded: Mapping[str, Json]) -> layout.Sketch:
    establishers = defaultdict(list)
    for journey in told.journeys:
        for token in recorded[journey.id]['establishes']:
            establishers[token].append(journey.id)
    edges = defaultdict(list)
    for journey in told.journeys:
        for token in recorded[journey.id]['requires']:
            for before in establishers[token]:
                edges[before, journey.id].append(token)
    return layout.Sketch(
        {journey.id: (_short(journey.id), _short(told.notes[journey.id])) for journey in told.journeys},
        {ends: _short(', '.join(tokens)) for ends, tokens in edges.items()},
    )
