import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hack.common.console import Console, console
from hack.common.errors import UserError
from hack.dogfood.reporting import bundle, junit, outcome, report, summary
from tests.python import runs
from tests.python.dogfood.samples import (
    FINDING,
    HOSTILE,
    PLAN,
    RUN,
    judged,
    made,
    mixed,
    plan,
    record,
    result,
    shard_end,
    shard_start,
    write_run,
)

REPOSITORY = Path(report.__file__).resolve().parents[3]
NEUTRAL = r'it said \x1b[31m"red"\x07\n| `tick` <script>alert(1)</script> @all [x](y) \u202e ü'


def crowd(count: int, *odd: dict[str, Any], **said: Any) -> dict[str, Any]:
    """A bundle of `count` passed journeys and some that are not so plain."""
    names = [f'journey-{number}' for number in range(count)]
    passed = [event for name in names for event in judged(name, **said)]
    told = [shard_start(), *passed, *map(result, odd), shard_end()]
    return bundle.merge(RUN, plan([*names, *(one['id'] for one in odd)]), [told])


def shown(said: Mapping[str, Any], run_dir: str | Path = '.dogfood/runs/x') -> str:
    pipe = io.StringIO()
    report.show(said, Path(run_dir), Console(pipe))
    return pipe.getvalue()


def on_terminal(said: Mapping[str, Any], columns: int, environment: Mapping[str, str]) -> str:
    """What a real terminal of that width is sent, live lines first."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    chunks: list[bytes] = []

    def read() -> None:
        try:
            while chunk := os.read(ours, 4096):
                chunks.append(chunk)
        except OSError:  # how a terminal ends
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, 'w', encoding='utf-8') as file:
        terminal = console(file, environment)
        terminal.say(*(report.line(journey, 32, terminal) for journey in said['journeys']))
        report.show(said, Path('.dogfood/runs/x'), terminal)
    reader.join()
    os.close(ours)
    return b''.join(chunks).decode().replace('\r\n', '\n')


# -- for people


@pytest.mark.parametrize(
    ('said', 'line'),
    [
        (record('run-built-local-tag'), 'passed    run-built-local-tag               core      0.42s'),
        (
            record('a', tier='smoke', strength='exit-only', flaky=True, attempts=3, duration_seconds=123.456),
            'passed    a                                 smoke   123.46s  flaky (3 attempts); exit-only',
        ),
        (record('a', flaky=True), 'passed    a                                 core      0.42s  flaky'),
        (
            record('a', 'deferred', tier='deep', cause='the gate is shut'),
            'deferred  a                                 deep          -  the gate is shut',
        ),
        (
            record('a', 'failed', cause=HOSTILE, strength='exit-only'),
            'failed    a                                 core      0.42s  ' + NEUTRAL,
        ),
    ],
)
def test_a_line_per_finished_journey(said: dict[str, Any], line: str) -> None:
    assert report.line(said) == line


def test_the_table_in_a_pipe_is_whole_and_the_worst_is_last() -> None:
    assert shown(made()).split('\n') == [
        'verdict   journey    tier    time  cause',
        'passed    build      smoke  0.42s  flaky (2 attempts); exit-only',
        'passed    use-again  core   0.42s',
        'skipped   daemon     smoke      -  needs redis-server, which is not installed',
        'deferred  late       deep       -  the smoke gate build did not pass',
        'blocked   query      core       -  daemon is skipped',
        'infra     lost       core       -  shard 1 ended while it ran',
        f'failed    use        core   0.42s  {NEUTRAL}',
        '',
        'note: chain build left redis-server (pid 4711) running; it was ended',
        '',
        '7 journeys: 2 passed, 1 failed, 1 blocked, 1 deferred, 1 skipped, 1 infra (1 flaky, 1 exit-only); '
        '2 shards; exit 1',
        '',
        'to run one alone:',
        '  make dogfood ONLY=use',
        '  make dogfood ONLY=lost',
        '  make dogfood ONLY=query',
        '  make dogfood ONLY=late',
        'to measure what was not measured:',
        '  make dogfood RESUME=.dogfood/runs/x',
        '',
        'The product failed 1 of 7 journeys; the harness could not measure 1 journey; 2 blocked or deferred.',
        'bundle: .dogfood/runs/x/bundle.json',
        'report: .dogfood/runs/x/report.html',
        '',
    ]


@pytest.mark.parametrize('columns', [40, 80, 200])
def test_on_a_terminal_nothing_is_wider_than_it_and_nothing_is_lost(columns: int) -> None:
    written = on_terminal(made(), columns, {'TERM': 'xterm'})
    plain = re.sub('\x1b\\[[0-9;]*m', '', written)
    assert max(map(len, plain.split('\n'))) <= columns
    assert '\x1b[1;31mfailed' in written
    assert '\x1b[31m"red"' not in written
    assert '\x07' not in written
    squeezed = re.sub(r'\s', '', plain)
    for text in (NEUTRAL, 'flaky (2 attempts); exit-only', 'the harness could not measure 1 journey'):
        assert re.sub(r'\s', '', text) in squeezed or columns == 40


@pytest.mark.parametrize('environment', [{'TERM': 'xterm', 'NO_COLOR': '1'}, {'TERM': 'dumb'}])
def test_a_terminal_that_wants_no_colours_gets_none(environment: Mapping[str, str]) -> None:
    assert '\x1b' not in on_terminal(made(), 80, environment)


def test_a_long_run_lists_what_did_not_pass_and_counts_the_rest() -> None:
    odd = record('odd', 'failed', cause='no'), record('wavers', flaky=True)
    text = shown(crowd(100, *odd))
    assert 'failed   odd' in text
    assert 'passed   wavers' in text
    assert 'journey-7' not in text
    assert 'tier  passed  failed  blocked  deferred  skipped  infra\ncore     101       1' in text
    assert '100 passed journeys are not listed; all are in .dogfood/runs/x/bundle.json' in text
    assert 'journey-99' in shown(crowd(100))
    assert 'journey-99' not in shown(crowd(101))


def test_a_long_list_of_commands_is_cut_and_says_so() -> None:
    text = shown(crowd(0, *(record(f'bad-{number}', 'failed') for number in range(30))))
    assert text.count('make dogfood ONLY=bad-') == 20
    assert '(and 10 more likewise; what failed: make dogfood ONLY=@failed)' in text


def test_the_commands_are_for_the_folder_they_are_read_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a submodule the toolkit has no Makefile where its caller stands."""
    monkeypatch.chdir(runs.HOUSE.parent)
    text = shown(made())
    assert f'\n  make -C {runs.HOUSE.name} dogfood ONLY=use\n' in text
    assert f'\n  make -C {runs.HOUSE.name} dogfood RESUME=' in text


def test_where_the_chains_folders_are_is_said_where_some_were_kept(tmp_path: Path) -> None:
    (tmp_path / 'chains').mkdir()
    assert 'left behind' not in shown(made(), tmp_path)
    (tmp_path / 'chains/build').symlink_to(tmp_path)
    assert f'what their chains left behind:\n  {tmp_path}/chains\n' in shown(made(), tmp_path)


@pytest.mark.parametrize(
    ('paths', 'command'),
    [
        (['journeys/git.yaml', 'journeys/redis.yaml'], 'make dogfood ONLY=use'),
        (['my corpus/a.yaml', 'my corpus/b.yaml'], "make dogfood JOURNEYS='my corpus' ONLY=use"),
        (['/opt/corpus/a.yaml'], 'make dogfood JOURNEYS=/opt/corpus/a.yaml ONLY=use'),
        (['a.yaml'], 'make dogfood JOURNEYS=a.yaml ONLY=use'),
        (['one/a.yaml', 'two/b.yaml'], 'hack/dogfood/dogfood.sh one two --only use'),
        (['one/a.yaml', '/t w o/b.yaml', 'c.yaml'], "hack/dogfood/dogfood.sh '/t w o' c.yaml one --only use"),
        ([], 'make dogfood ONLY=use'),
    ],
)
def test_the_command_names_the_corpus_where_it_is_not_the_default(paths: list[str], command: str) -> None:
    corpus = [{'path': path, 'sha256': '0' * 64} for path in paths]
    assert f'\n  {command}\n' in shown(made(run={**RUN, 'corpus': corpus}))


@pytest.mark.parametrize(
    ('verdicts', 'sentence'),
    [
        ('passed passed', 'The product kept what was checked: 2 passed.'),
        ('passed skipped', 'The product kept what was checked: 1 passed, 1 skipped.'),
        ('passed failed', 'The product failed 1 of 2 journeys; nothing of it is the fault of the harness.'),
        (
            'failed blocked infra',
            'The product failed 1 of 3 journeys; the harness could not measure 1 journey; 1 blocked or deferred.',
        ),
        ('passed infra infra', 'The product failed nothing, but the harness could not measure 2 journeys.'),
        (
            'infra deferred',
            'The product failed nothing, but the harness could not measure 1 journey; 1 blocked or deferred.',
        ),
        ('skipped blocked', 'Nothing passed, so nothing is verified: 1 blocked, 1 skipped.'),
    ],
)
def test_one_sentence_parts_the_product_from_the_harness(verdicts: str, sentence: str) -> None:
    records = [record(f'j-{number}', verdict) for number, verdict in enumerate(verdicts.split())]
    assert report.sentence(crowd(0, *records)) == sentence


def test_the_sentence_tells_of_problems_and_of_an_interrupt() -> None:
    stray = bundle.merge(RUN, plan(['a']), [[shard_start(), *judged('a'), result(record('b')), shard_end()]])
    assert report.sentence(stray) == 'The product failed nothing, but the harness left 1 problem in its own records.'
    assert 'harness: shards/1/results.jsonl: a record of b, which is not planned (expected: ' in shown(stray)
    cut = bundle.merge(RUN, plan(['a']), [[shard_start(), shard_end('interrupted')]])
    assert (
        report.sentence(cut) == 'Interrupted. The product failed nothing, but the harness could not measure 1 journey.'
    )


# -- for continuous integration


def test_the_files_of_a_run(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, PLAN, mixed())
    said = bundle.of_run(run_dir.path)
    outcome.write(run_dir.path, said, 'graph TD\n  build --> use')
    assert bundle.read(run_dir.bundle) == said
    assert run_dir.exit.read_text() == '1\n'
    assert run_dir.summary.read_text() == summary.markdown(said, 'graph TD\n  build --> use')
    assert run_dir.junit.read_bytes() == junit.xml(said).encode()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith('.')]
    journeys = [line for line in run_dir.bundle.read_text().splitlines() if line.startswith('{"id":')]
    assert len(journeys) == 7


def test_a_bundle_holds_any_text(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, plan(['a']), [[shard_start(), *judged('a', 'failed', cause='\ud800\x00 ü 漢')]])
    outcome.write(run_dir.path, bundle.of_run(run_dir.path))
    assert bundle.read(run_dir.bundle)['journeys'][0]['cause'] == '\ud800\x00 ü 漢'
    assert '&#92;ud800&#92;x00 ü 漢' in run_dir.summary.read_text()


def test_a_run_directory_that_cannot_be_written_is_broken_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / 'bundle.json').mkdir()
    with pytest.raises(UserError, match='cannot be written: Is a directory') as raised:
        outcome.write(tmp_path, made())
    assert raised.value.exit_status == 3
    assert os.listdir(tmp_path) == ['bundle.json']


def test_causes_far_fewer_than_what_they_broke_are_worth_a_note() -> None:
    alike = [record(f'a-{number}', 'failed', findings=[dict(FINDING)]) for number in range(7)]
    assert 'note: 1 cause behind what did not pass (make triage)\n' in shown(crowd(1, *alike))
    assert 'make triage' not in shown(crowd(1, *alike[:3]))
    assert '<details><summary>1 cause</summary>' in summary.markdown(crowd(1, *alike))


def test_junit_counts_as_the_bundle_does() -> None:
    root = ElementTree.fromstring(junit.xml(made()).encode())
    assert [suite.get('name') for suite in root] == ['images', 'images & more']
    assert {name: root.get(name) for name in ('tests', 'failures', 'errors', 'skipped')} == {
        'tests': '7',
        'failures': '1',
        'errors': '1',
        'skipped': '3',
    }
    cases = {str(case.get('name')): case for case in root.iter('testcase')}
    told = {
        name: [(child.tag, child.get('type'), child.get('message')) for child in case][1:]
        for name, case in cases.items()
    }
    assert told == {
        'build': [('system-out', None, None)],
        'use': [('failure', 'stdout', HOSTILE.replace('\x1b', r'\x1b').replace('\x07', r'\x07'))],
        'use-again': [],
        'lost': [('error', 'infra', 'shard 1 ended while it ran')],
        'daemon': [('skipped', 'skipped', 'needs redis-server, which is not installed')],
        'query': [('skipped', 'blocked', 'daemon is skipped')],
        'late': [('skipped', 'deferred', 'the smoke gate build did not pass')],
    }
    properties = {item.get('name'): item.get('value') for item in cases['build'].iter('property')}
    assert str(properties.pop('fingerprint')).startswith('stdout-')
    assert properties == {'tier': 'smoke', 'chain': 'build', 'shard': '1', 'flaky': 'true', 'strength': 'exit-only'}
    assert (cases['use'].get('file'), cases['use'].get('line'), cases['use'].get('time')) == (
        'journeys/images.yaml',
        '3',
        '0.420',
    )
    assert cases['build'].findtext('system-out') == (
        'attempt 1: step 1: stdout\n  expected: it contains COMMIT\n  observed: nothing\n'
        '  evidence: evidence/a/1.1-step-1.stdout'
    )


def test_the_summary_folds_what_passed_and_draws_the_chains() -> None:
    text = summary.markdown(made(), 'graph TD\n  build --> use\n')
    head, folded = text.split('<details>', 1)
    assert head.startswith('## The product failed 1 of 7 journeys; ')
    assert '| smoke | 1 | 0 | 0 | 0 | 1 | 0 |' in head
    assert head.index('| failed | use |') < head.index('| infra | lost |') < head.index('| skipped | daemon |')
    assert '- note: chain build left redis-server (pid 4711) running; it was ended' in head
    assert '```mermaid\ngraph TD\n  build --&gt; use\n```' not in folded
    assert '```mermaid\ngraph TD\n  build --> use\n```' in folded
    assert '<summary>2 passed</summary>' in folded
    assert '| passed | build | smoke | 0.42s | flaky (2 attempts); exit-only |' in folded


def test_nothing_in_the_summary_is_markup_but_our_own() -> None:
    row = next(line for line in summary.markdown(made()).split('\n') if line.startswith('| failed'))
    assert row.count('|') == 6
    assert not set('<>`[@') & set(row)
    assert '&#60;script&#62;' in row


@pytest.mark.parametrize('graph', ['graph TD\n' + 'a --> b\n' * 501, 'x' * 50_001])
def test_a_graph_that_github_would_not_draw_is_left_out(graph: str) -> None:
    text = summary.markdown(made(), graph)
    assert 'mermaid' not in text
    assert '`run_journeys.py graph` writes it' in text


def test_the_summary_never_outgrows_github() -> None:
    long = [record(f'bad-{number}', 'failed', cause='<' * 5000) for number in range(400)]
    text = summary.markdown(crowd(20_000, *long), 'graph TD\n a --> b')
    assert len(text.encode()) <= 1 << 20
    assert '| failed | bad-0 |' in text
    assert '| failed | bad-399 |' not in text
    listed = len(re.findall(r'^\| failed \|', text, re.MULTILINE))
    assert f'\n{400 - listed} more are in bundle.json.' in text
    few = summary.markdown(crowd(30_000))
    assert len(few.encode()) <= 1 << 20
    assert f'\n{30_000 - few.count("| passed | journey")} more are in bundle.json.' in few


WITHOUT_HEAVY_IMPORTS = """
import sys
from pathlib import Path
from hack.common.console import console
from hack.dogfood.reporting import bundle, outcome, report

run_dir = Path(sys.argv[1])
said = bundle.of_run(run_dir)
outcome.write(run_dir, said)
report.show(said, run_dir, console(sys.stdout, {'TERM': 'xterm'}))
heavy = {'rich', 'jsonschema', 'yaml', 'fastjsonschema', 'xml', 'argparse'} & set(sys.modules)
print('heavy:', sorted(heavy))
"""


def test_reporting_into_a_pipe_imports_nothing_heavy(tmp_path: Path) -> None:
    write_run(tmp_path, PLAN, mixed())
    command = [sys.executable, '-c', WITHOUT_HEAVY_IMPORTS, str(tmp_path)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.endswith('heavy: []\n')
    assert ran.stderr == ''
