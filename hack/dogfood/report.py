"""What a bundle says: a line per journey, the closing table, summary.md, junit.xml; nothing is run or judged here."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Literal

from hack.common import results
from hack.common.console import Column, Console, Row, counted, cut, visible
from hack.common.errors import Exit, UserError
from hack.common.files import write_atomic
from hack.dogfood import triage
from hack.dogfood.model import TIERS, Json
from hack.dogfood.rundir import RunDir

_STYLES: Final = {
    'passed': 'green',
    'skipped': 'cyan',
    'deferred': 'yellow',
    'blocked': 'yellow',
    'infra': 'magenta',
    'failed': 'bold red',
}
_WORST_LAST: Final = tuple(_STYLES)  # nearest to the closing sentence, where one looks first
_COLUMNS: Final = (Column('verdict'), Column('journey'), Column('tier'), Column('time', right=True), Column('cause'))
_LONG: Final = 100  # journeys; a longer run does not list what passed
_CAUSES: Final = 60  # in a summary
_SHARED: Final = 5  # so many journeys more than causes are worth a word
_COMMANDS: Final = 20  # a longer list of commands helps nobody
_OUTCOMES: Final[Mapping[str, Literal['passed', 'failure', 'error', 'skipped']]] = {
    'passed': 'passed',
    'failed': 'failure',
    'infra': 'error',
    'blocked': 'skipped',
    'deferred': 'skipped',
    'skipped': 'skipped',
}
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_SUMMARY_BYTES: Final = 1_000_000  # GitHub takes 1 MiB a step
_GRAPH_CHARACTERS: Final = 50_000  # what its Mermaid draws at most,
_GRAPH_EDGES: Final = 500  # and how many arrows
_SUMMARY_FRAME_BYTES: Final = 1_000  # for what stands around its tables
_SUMMARY_NOTES: Final = 60
_CELL_CHARACTERS: Final = 1000
_MARKUP: Final = re.compile(r'[&<>|`*_~$@#!\[\]\\]')

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode


def write(path: Path, bundle: Json, graph: str = '') -> None:
    """Replace a run's bundle.json, junit.xml, summary.md and, when they stand, exit.

    `graph`: its chains as Mermaid. Raises UserError where the directory cannot be written.
    """
    run_dir = RunDir(path)
    try:
        write_atomic(run_dir.bundle, as_json(bundle))
        write_atomic(run_dir.junit, junit(bundle))
        write_atomic(run_dir.summary, summary(bundle, graph))
        write_atomic(run_dir.exit, f'{bundle["exit"]}\n')
    except OSError as error:
        raise UserError(f'{path}: cannot be written: {error.strerror} (report again)', Exit.BROKEN) from error


def as_json(bundle: Json) -> str:
    """The bundle with one journey to a line, for `grep` and `diff`."""
    return '{\n' + ',\n'.join(f'{_ENCODE(key)}:{_lines(value)}' for key, value in bundle.items()) + '\n}\n'


def _lines(value: Any) -> str:
    return '[\n' + ',\n'.join(map(_ENCODE, value)) + '\n]' if value and isinstance(value, list) else _ENCODE(value)


# -- for a terminal or a pipe --------------------------------------------------------------


def line(record: Json, width: int = 32, console: Console | None = None) -> str:
    """One finished journey in fixed columns; `width` is that of the longest id."""
    verdict, name, tier, time, remark = _cells(record)
    text = f'{verdict:8}  {visible(name):{width}}  {tier:5}  {time:>8}  {visible(remark)}'.rstrip()
    if console is None:
        return text
    text = console.fold(text, ' ' * 10)
    return console.paint(text[:8], _STYLES[verdict]) + text[8:]


def style(verdict: str) -> str:
    """The name of its style, one of `console.STYLES`."""
    return _STYLES[verdict]


def details(journey: Json, bundle: Json) -> list[str]:
    """What was found in one journey and how to run it alone, each line unable to steer a terminal."""
    told = [journey['cause'], *map(_finding, journey['findings'])]
    lines = [visible(line) for text in filter(None, told) for line in text.splitlines()]
    return [*lines, f'to run it alone: make dogfood{_corpus(bundle)} ONLY={visible(journey["id"])}']


def show(bundle: Json, path: Path, console: Console) -> None:
    """The table, what else is to be known, and one sentence that says whose fault it is."""
    journeys = bundle['journeys']
    is_long = len(journeys) > _LONG
    shown = [journey for journey in journeys if not is_long or journey['verdict'] != 'passed' or journey['flaky']]
    if shown:
        said = triage.decided(bundle)
        rows = [Row(_cells(journey, said), _STYLES[journey['verdict']]) for journey in _ranked(shown)]
        console.table(_COLUMNS, rows)
        console.say('')
    if is_long:
        header, *counts = _per_tier(journeys)
        console.table([Column(title, right=title != 'tier') for title in header], [Row(row) for row in counts])
        if left_out := len(journeys) - len(shown):
            text = f'{left_out} passed journeys are not listed; all are in {path}/bundle.json'
            console.say('', console.fold(text))
        console.say('')
    if notes := _notes(bundle):
        console.say(*(console.fold(visible(note)) for note in notes), '')
    console.say(console.fold(_totals(bundle)), '')
    if hints := [*_commands(bundle), *_further(bundle, path)]:
        console.say(*hints, '')
    console.say(*closing(bundle, path, console))


def closing(bundle: Json, path: Path, console: Console) -> list[str]:
    """The sentence that says whose fault it is, and where all the rest stands."""
    fails = bundle['totals']['failed'] > len(_review(bundle)['allowed'])
    worst = 'failed' if fails else 'infra' if bundle['exit'] else 'passed'
    return [
        console.paint(console.fold(sentence(bundle)), _STYLES[worst]),
        f'bundle: {path}/bundle.json',
        f'report: {path}/report.html',
    ]


def sentence(bundle: Json) -> str:
    """What the run came to, the product's fault apart from the harness's."""
    totals, count = bundle['totals'], len(bundle['journeys'])
    harness = _harness(totals['infra'], len(bundle['problems']))
    if totals['failed']:
        text = f'The product failed {totals["failed"]} of {counted(count, "journey")}{_allowed(bundle)}; '
        text += harness or 'nothing of it is the fault of the harness'
    elif harness:
        text = f'The product failed nothing, but {harness}'
    elif not totals['passed']:
        text = f'Nothing passed, so nothing is verified: {_words(totals)}'
    else:
        text = f'The product kept what was checked: {_words(totals)}'
    waiting = totals['blocked'] + totals['deferred']
    if waiting and (totals['failed'] or harness):
        text += f'; {waiting} blocked or deferred'
    return ('Interrupted. ' if bundle['exit'] == 130 else '') + text + '.'


def _review(bundle: Json) -> Json:
    """What triage says in the bundle; nothing in one from before it."""
    return bundle.get('triage') or {'causes': [], 'stale': [], 'allowed': [], 'faults': []}


def _allowed(bundle: Json) -> str:
    """That known failures do not count, where some do not: the reader must not take it for a plain green."""
    allowed, failed = len(_review(bundle)['allowed']), bundle['totals']['failed']
    of_them = 'all' if allowed == failed else f'{allowed} of them'
    return f', {of_them} known and let pass (KNOWN=allow)' if allowed else ''


def _harness(unmeasured: int, problems: int) -> str:
    faults = [f'could not measure {counted(unmeasured, "journey")}'] if unmeasured else []
    faults += [f'left {counted(problems, "problem")} in its own records'] if problems else []
    return f'the harness {" and ".join(faults)}' if faults else ''


def _words(totals: Mapping[str, int]) -> str:
    return ', '.join(f'{number} {verdict}' for verdict, number in totals.items() if number)


def _cells(record: Json, decided: Mapping[str, str] | None = None) -> tuple[str, str, str, str, str]:
    time = f'{record["duration_seconds"]:.2f}s' if record['duration_seconds'] else '-'
    return record['verdict'], record['id'], record['tier'], time, _remark(record, (decided or {}).get(record['id'], ''))


def _remark(record: Json, decided: str) -> str:
    notes = [record['cause']] if record['cause'] else []
    if decided:
        notes.append(f'decided: {decided}')
    if record['flaky']:
        notes.append(f'flaky ({record["attempts"]} attempts)' if record['attempts'] > 1 else 'flaky')
    if record['strength'] == 'exit-only' and record['verdict'] == 'passed':
        notes.append('exit-only')
    return '; '.join(notes)


def _ranked(journeys: Iterable[Json], *, worst_first: bool = False) -> list[Json]:
    """By severity, then by tier, then as they come."""
    sign = -1 if worst_first else 1
    return sorted(
        journeys,
        key=lambda journey: (sign * _WORST_LAST.index(journey['verdict']), TIERS.index(journey['tier'])),
    )


def _per_tier(journeys: Iterable[Json]) -> list[list[str]]:
    """Counts by verdict, a row for each tier that has any, below a header."""
    by_tier: dict[str, list[str]] = {tier: [] for tier in TIERS}
    for journey in journeys:
        by_tier[journey['tier']].append(journey['verdict'])
    rows = [[tier, *map(str, results.totals(verdicts).values())] for tier, verdicts in by_tier.items() if verdicts]
    return [['tier', *results.VERDICTS], *rows]


def _notes(bundle: Json) -> list[str]:
    leaks = [
        f'note: chain {chain["name"]} left {finding["observed"]} running; it was ended'
        for chain in bundle['chains']
        for finding in chain['findings']
    ]
    problems = [
        f'harness: {found["evidence"]}: {found["observed"]} (expected: {found["expected"]})'
        for found in bundle['problems']
    ]
    return [*leaks, *_review_notes(_review(bundle)), *problems]


def _review_notes(review: Json) -> list[str]:
    stale = [
        f'note: {old["path"]}:{old["line"]}: {old["fingerprint"]} ({old["decision"]}) did not occur '
        '(remove it once it is mended)'
        for old in review['stale']
    ]
    named = sum(len(cause['journeys']) + len(cause['waiting']) for cause in review['causes'])
    shared = named - len(review['causes']) >= _SHARED
    return [
        *(f'note: decisions are not heeded: {fault}' for fault in review['faults']),
        *stale,
        *(
            [f'note: {counted(len(review["causes"]), "cause")} behind what did not pass (make triage)']
            if shared
            else []
        ),
    ]


def _totals(bundle: Json) -> str:
    journeys = bundle['journeys']
    flaky = sum(journey['flaky'] for journey in journeys)
    weak = sum(journey['strength'] == 'exit-only' and journey['verdict'] == 'passed' for journey in journeys)
    remarks = [f'{flaky} flaky'] * bool(flaky) + [f'{weak} exit-only'] * bool(weak)
    also = f' ({", ".join(remarks)})' if remarks else ''
    shards = counted(len(bundle['shards']), 'shard')
    return f'{counted(len(journeys), "journey")}: {_words(bundle["totals"])}{also}; {shards}; exit {bundle["exit"]}'


def _commands(bundle: Json) -> list[str]:
    """How to run each one alone that did not pass, the worst first; a skipped one would be skipped again."""
    judged = [journey for journey in bundle['journeys'] if journey['verdict'] not in ('passed', 'skipped')]
    if not judged:
        return []
    alone = command(bundle)
    lines = ['to run one alone:']
    lines += [f'  {alone}{visible(journey["id"])}' for journey in _ranked(judged, worst_first=True)[:_COMMANDS]]
    if len(judged) > _COMMANDS:
        lines.append(f'  (and {len(judged) - _COMMANDS} more likewise; what failed: {alone}@failed)')
    return lines


def _make() -> str:
    """make as it is called from here: this toolkit may be a folder of another repository."""
    from shlex import quote

    here = os.path.relpath(_REPOSITORY)
    return 'make' if here == '.' else f'make -C {quote(here)}'


def _further(bundle: Json, path: Path) -> list[str]:
    """Where to look, and how to go on."""
    lines = []
    if RunDir(path).chains.is_dir() and any(RunDir(path).chains.iterdir()):
        lines += ['what their chains left behind:', f'  {path}/chains']
    if bundle['exit'] == Exit.INTERRUPTED or bundle['totals']['infra']:
        lines += ['to measure what was not measured:', f'  {_make()} dogfood RESUME={path}']
    return lines


def command(bundle: Json) -> str:
    """What runs a journey of the bundle alone, once its id is appended."""
    return f'{_make()} dogfood{_corpus(bundle)} ONLY='


def _corpus(bundle: Json) -> str:
    """The JOURNEYS of the command, where it is not the default."""
    from shlex import quote

    try:
        folder = os.path.commonpath([file['path'] for file in bundle['run'].get('corpus') or ()])
    except ValueError:  # none, or relative ones and absolute ones
        return ''
    is_default = not os.path.isabs(folder) and folder.split(os.sep)[0] in ('', 'journeys')
    return '' if is_default else f' JOURNEYS={quote(folder)}'


# -- for continuous integration ------------------------------------------------------------


def junit(bundle: Json) -> str:
    review = _review(bundle)
    prints: dict[str, list[str]] = {}
    for cause in review['causes']:
        for name in cause['journeys']:
            prints.setdefault(name, []).append(cause['fingerprint'])
    decided, allowed = triage.decided(bundle), set(review['allowed'])
    return results.junit(
        'dogfood',
        [
            _case(journey, prints.get(journey['id'], ()), decided.get(journey['id'], ''), journey['id'] in allowed)
            for journey in bundle['journeys']
        ],
    )


def _case(journey: Json, fingerprints: Sequence[str], decided: str, is_allowed: bool) -> results.Case:
    verdict, findings = journey['verdict'], journey['findings']
    properties = {'tier': journey['tier'], 'chain': journey['chain'], 'shard': str(journey['shard'])}
    if journey['flaky']:
        properties['flaky'] = 'true'
    if journey['strength'] == 'exit-only':
        properties['strength'] = journey['strength']
    if fingerprints:
        properties['fingerprint'] = ' '.join(fingerprints)
    if decided:
        properties['decision'] = decided
    return results.Case(
        suite=journey['feature'],
        name=journey['id'],
        seconds=journey['duration_seconds'],
        outcome='skipped' if is_allowed else _OUTCOMES[verdict],
        message=f'known, KNOWN=allow: {decided}: {journey["cause"]}' if is_allowed else journey['cause'],
        kind=findings[0]['kind'] if verdict == 'failed' and findings else '' if verdict == 'passed' else verdict,
        text='\n'.join(map(_finding, findings)),
        file=journey['path'],
        line=journey['line'],
        properties=properties,
    )


def _finding(finding: Json) -> str:
    where = [f'{key} {finding[key]}' for key in ('attempt', 'step') if finding.get(key)]
    evidence = f'\n  evidence: {finding["evidence"]}' if finding['evidence'] else ''
    head = ': '.join((*where, finding['kind']))
    return f'{head}\n  expected: {finding["expected"]}\n  observed: {finding["observed"]}{evidence}'


def summary(bundle: Json, graph: str = '') -> str:
    """A GitHub job summary: what did not pass in full, the rest folded, and never more than GitHub takes."""
    good = [journey for journey in bundle['journeys'] if journey['verdict'] == 'passed']
    bad = _ranked((journey for journey in bundle['journeys'] if journey['verdict'] != 'passed'), worst_first=True)
    counts = markdown_table(_per_tier(bundle['journeys']))
    notes = '\n'.join(f'- {_markdown(note)}' for note in _notes(bundle)[:_SUMMARY_NOTES])
    parts = [f'## {_markdown(sentence(bundle))}', counts, notes, _causes(_review(bundle)['causes']), _drawing(graph)]
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
    lines = markdown_table([[column.title for column in _COLUMNS], *(_cells(one, decided) for one in journeys)]).split(
        '\n'
    )
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
