"""What a bundle says, for a terminal or a pipe: a line per journey, the table, the closing sentence."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.common import results
from hack.common.console import Column, Console, Row, counted, visible
from hack.common.errors import Exit
from hack.dogfood.model import TIERS, Json
from hack.dogfood.reporting import triage
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
COLUMNS: Final = (Column('verdict'), Column('journey'), Column('tier'), Column('time', right=True), Column('cause'))
_LONG: Final = 100  # journeys; a longer run does not list what passed
_SHARED: Final = 5  # so many journeys more than causes are worth a word
_COMMANDS: Final = 20  # a longer list of commands helps nobody

_REPOSITORY: Final = Path(__file__).resolve().parents[3]


def line(record: Json, width: int = 32, console: Console | None = None) -> str:
    """One finished journey in fixed columns; `width` is that of the longest id."""
    verdict, name, tier, time, remark = cells(record)
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
    told = [journey['cause'], *map(finding_in_words, journey['findings'])]
    lines = [visible(line) for text in filter(None, told) for line in text.splitlines()]
    return [*lines, f'to run it alone: {_alone(bundle, "make", "hack/dogfood/dogfood.sh")}{visible(journey["id"])}']


def show(bundle: Json, path: Path, console: Console) -> None:
    """The table, what else is to be known, and one sentence that says whose fault it is."""
    journeys = bundle['journeys']
    is_long = len(journeys) > _LONG
    shown = [journey for journey in journeys if not is_long or journey['verdict'] != 'passed' or journey['flaky']]
    if shown:
        said = triage.decided(bundle)
        rows = [Row(cells(journey, said), _STYLES[journey['verdict']]) for journey in ranked(shown)]
        console.table(COLUMNS, rows)
        console.say('')
    if is_long:
        header, *counts = per_tier(journeys)
        console.table([Column(title, right=title != 'tier') for title in header], [Row(row) for row in counts])
        if left_out := len(journeys) - len(shown):
            text = f'{left_out} passed journeys are not listed; all are in {path}/bundle.json'
            console.say('', console.fold(text))
        console.say('')
    if remarks := notes(bundle):
        console.say(*(console.fold(visible(note)) for note in remarks), '')
    console.say(console.fold(_totals(bundle)), '')
    if hints := [*_commands(bundle), *_further(bundle, path)]:
        console.say(*hints, '')
    console.say(*closing(bundle, path, console))


def closing(bundle: Json, path: Path, console: Console) -> list[str]:
    """The sentence that says whose fault it is, and where all the rest stands."""
    fails = bundle['totals']['failed'] > len(review_of(bundle)['allowed'])
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


def review_of(bundle: Json) -> Json:
    """What triage says in the bundle; nothing in one from before it."""
    return bundle.get('triage') or {'causes': [], 'stale': [], 'allowed': [], 'faults': []}


def _allowed(bundle: Json) -> str:
    """That known failures do not count, where some do not: the reader must not take it for a plain green."""
    allowed, failed = len(review_of(bundle)['allowed']), bundle['totals']['failed']
    of_them = 'all' if allowed == failed else f'{allowed} of them'
    return f', {of_them} known and let pass (KNOWN=allow)' if allowed else ''


def _harness(unmeasured: int, problems: int) -> str:
    faults = [f'could not measure {counted(unmeasured, "journey")}'] if unmeasured else []
    faults += [f'left {counted(problems, "problem")} in its own records'] if problems else []
    return f'the harness {" and ".join(faults)}' if faults else ''


def _words(totals: Mapping[str, int]) -> str:
    return ', '.join(f'{number} {verdict}' for verdict, number in totals.items() if number)


def cells(record: Json, decided: Mapping[str, str] | None = None) -> tuple[str, str, str, str, str]:
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


def ranked(journeys: Iterable[Json], *, worst_first: bool = False) -> list[Json]:
    """By severity, then by tier, then as they come."""
    sign = -1 if worst_first else 1
    return sorted(
        journeys,
        key=lambda journey: (sign * _WORST_LAST.index(journey['verdict']), TIERS.index(journey['tier'])),
    )


def per_tier(journeys: Iterable[Json]) -> list[list[str]]:
    """Counts by verdict, a row for each tier that has any, below a header."""
    by_tier: dict[str, list[str]] = {tier: [] for tier in TIERS}
    for journey in journeys:
        by_tier[journey['tier']].append(journey['verdict'])
    rows = [[tier, *map(str, results.totals(verdicts).values())] for tier, verdicts in by_tier.items() if verdicts]
    return [['tier', *results.VERDICTS], *rows]


def notes(bundle: Json) -> list[str]:
    leaks = [
        f'note: chain {chain["name"]} left {finding["observed"]} running; it was ended'
        for chain in bundle['chains']
        for finding in chain['findings']
    ]
    problems = [
        f'harness: {found["evidence"]}: {found["observed"]} (expected: {found["expected"]})'
        for found in bundle['problems']
    ]
    return [*leaks, *_review_notes(review_of(bundle)), *problems]


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
    lines += [f'  {alone}{visible(journey["id"])}' for journey in ranked(judged, worst_first=True)[:_COMMANDS]]
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
    return _alone(bundle, _make(), os.path.relpath(_REPOSITORY / 'hack/dogfood/dogfood.sh'))


def _alone(bundle: Json, make: str, script: str) -> str:
    """make takes one path; where a run is of several that are not all that one folder holds, the script takes them."""
    from shlex import join, quote

    match _corpus([file['path'] for file in bundle['run'].get('corpus') or ()]):
        case []:
            return f'{make} dogfood ONLY='
        case [path]:
            return f'{make} dogfood JOURNEYS={quote(path)} ONLY='
        case paths:
            return f'{join([script, *paths])} --only '


def _corpus(paths: Sequence[str]) -> list[str]:
    """What names these files, where it is not the default."""
    try:
        folder = os.path.commonpath(paths)
    except ValueError:  # none, or relative ones and absolute ones
        folder = ''
    if not folder:
        return sorted({os.path.dirname(path) or path for path in paths})
    return [] if folder.split(os.sep)[0] == 'journeys' else [folder]


def finding_in_words(finding: Json) -> str:
    where = [f'{key} {finding[key]}' for key in ('attempt', 'step') if finding.get(key)]
    evidence = f'\n  evidence: {finding["evidence"]}' if finding['evidence'] else ''
    head = ': '.join((*where, finding['kind']))
    return f'{head}\n  expected: {finding["expected"]}\n  observed: {finding["observed"] or "(nothing)"}{evidence}'
