"""Whole runs, and what is said of them afterwards: trend, compare, triage, decisions."""

import contextlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hack.dogfood.reporting import bundle
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import runs as kept_runs
from tests.python import runs
from tests.python.runs import Done, Place, journey

SCHEMA = json.loads((Path(bundle.__file__).parents[1] / 'schema/bundle.schema.json').read_text())
HELLO = {'stdout': {'contains': 'hello'}}


def corpus(place: Place, *more: dict[str, Any]) -> None:
    """`root` and `twin` print what stands in a file beside the corpus; `user` waits for the first."""
    step = f'cat {place.path}/word'
    place.corpus(
        journey('root', step, expect=HELLO, establishes='word'),
        journey('twin', step, expect=HELLO),
        journey('user', 'echo hello', expect=HELLO, requires='word'),
        journey('other', 'echo hello', expect=HELLO),
        *more,
    )


def say(place: Place, word: str) -> None:
    (place.path / 'word').write_text(f'{word}\n')


def run(place: Place, *options: str) -> Done:
    """A run below .dogfood, as `make dogfood` has it."""
    script = [str(runs.HOUSE / runs.DOGFOOD), '--shards', '2', *options, 'corpus.yaml']
    done = subprocess.run(script, cwd=place.path, env=place.environment(), capture_output=True, text=True, timeout=60)
    latest = RunDir((place.path / '.dogfood' / 'latest').resolve())
    told = bundle.read(latest.bundle) if latest.bundle.exists() else {}
    if told:
        jsonschema.Draft202012Validator(SCHEMA).validate(told)
    return Done(done.returncode, done.stdout, done.stderr, latest, told, None)


def lines(place: Place) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place.path / '.dogfood/history.jsonl').read_text().splitlines()]


def fingerprint(place: Place) -> str:
    said = json.loads(place.verb('triage', '--format', 'json').out)
    return str(said['causes'][0]['fingerprint'])


def commit(place: Place) -> None:
    (place.path / '.gitignore').write_text('word\ntmp\n')
    for arguments in (
        ['init', '-q'],
        ['add', '.'],
        ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'all'],
    ):
        subprocess.run(['git', *arguments], cwd=place.path, env=place.environment(), check=True)


def test_two_runs_are_remembered_compared_and_drawn(place: Place) -> None:
    corpus(place)
    commit(place)
    say(place, 'hello')
    first = run(place)
    say(place, 'goodbye')
    second = run(place)
    assert (first.exit, second.exit) == (0, 1)
    assert [(line['exit'], line['failed'], line['signal'], line['noise']) for line in lines(place)] == [
        (0, [], 0, 0),
        (1, ['root', 'twin'], 1, 0),
    ]
    compared = place.verb('compare', '--format', 'json')
    said = json.loads(compared.out)
    assert (compared.exit, said['before'], said['after']) == (1, first.run_dir.path.name, second.run_dir.path.name)
    assert [one['journey'] for one in said['newly_failed']] == ['root', 'twin']
    assert [one['journey'] for one in said['newly_flaky']] == ['root', 'twin']
    assert [one['journey'] for one in said['unmeasured']] == ['user']
    assert place.verb('compare', 'latest', 'previous').exit == 0
    trend = place.verb('trend')
    assert (trend.exit, trend.err) == (0, '')
    assert re.search(rf'^{second.run_dir.path.name} +1 +4 +33.3% +66.7% +0.0% ', trend.out, re.M)
    assert f'root: failed in {second.run_dir.path.name}; passed in {first.run_dir.path.name}' in trend.out
    assert '\x1b' not in trend.out
    page = second.run_dir.page.read_text()
    assert 'id="trend"' in page
    assert f'root: failed in {second.run_dir.path.name}' in page


def test_a_broken_thing_is_one_entry_with_what_waits_for_it(place: Place) -> None:
    corpus(place)
    say(place, 'goodbye')
    run(place)
    shown = place.verb('triage')
    assert shown.exit == 0
    assert re.search(r'^stdout-[0-9a-f]{12}  product +root, twin +user +', shown.out, re.M)
    assert ': 1 cause, felt by 3 journeys, 1 not decided' in shown.out


def test_a_decision_is_shown_everywhere_and_makes_nothing_green(place: Place) -> None:
    corpus(place)
    say(place, 'goodbye')
    run(place)
    decided = place.verb('triage', 'decide', fingerprint(place), 'intended', '--note', 'it says <goodbye> now')
    assert (decided.exit, decided.err) == (0, '')
    again = run(place)
    assert again.exit == 1
    assert 'decided: intended (it says <goodbye> now)' in again.out
    assert 'decided: intended (it says &#60;goodbye&#62; now)' in again.run_dir.summary.read_text()
    assert 'name="decision" value="intended (it says &lt;goodbye&gt; now)"' in again.run_dir.junit.read_text()
    assert 'reviewed: intended, it says &lt;goodbye&gt; now' in again.run_dir.page.read_text()
    assert [line['noise'] for line in lines(place)] == [0, 1]  # it is no signal any more


def test_known_ones_are_let_pass_where_that_is_asked_for_and_it_says_so(place: Place) -> None:
    corpus(place)
    say(place, 'goodbye')
    run(place)
    place.verb('triage', 'decide', fingerprint(place), 'self-inflicted')
    let = run(place, '--known', 'allow')
    assert (let.exit, let.bundle['exit'], let.bundle['triage']['allowed']) == (0, 0, ['root', 'twin'])
    assert (let.bundle['totals']['failed'], let.verdicts['root']) == (2, 'failed')
    assert 'The product failed 2 of 4 journeys, all known and let pass (KNOWN=allow)' in let.out
    assert '<skipped message="known, KNOWN=allow: self-inflicted: ' in let.run_dir.junit.read_text()
    corpus(place, journey('bad', 'echo bye', expect=HELLO))
    not_all = run(place, '--known', 'allow')
    assert not_all.exit == 1
    assert 'The product failed 3 of 5 journeys, 2 of them known and let pass (KNOWN=allow)' in not_all.out
    nothing_else = run(place, '--known', 'allow', '--only', 'twin')
    assert nothing_else.exit == 3  # nothing passed, so nothing is verified


def test_who_goes_on_with_a_run_may_ask_for_it_too(place: Place) -> None:
    (place.path / '.dogfood').mkdir()
    corpus(place)
    say(place, 'goodbye')
    failed = place.run()
    assert failed.exit == 1
    cause = failed.bundle['triage']['causes'][0]['fingerprint']
    assert place.verb('triage', 'decide', cause, 'intended', '--of', 'run').exit == 0
    assert (place.resume().exit, place.resume('--known', 'allow').exit) == (1, 0)


@pytest.mark.parametrize('word', ['real', 'discoverability'])
def test_what_is_to_be_mended_fails_the_run_all_the_same(place: Place, word: str) -> None:
    corpus(place)
    say(place, 'goodbye')
    run(place)
    place.verb('triage', 'decide', fingerprint(place), word)
    assert run(place, '--known', 'allow').exit == 1


def test_a_decision_whose_cause_is_gone_is_stale(place: Place) -> None:
    corpus(place)
    say(place, 'goodbye')
    run(place)
    cause = fingerprint(place)
    place.verb('triage', 'decide', cause, 'real')
    say(place, 'hello')
    mended = run(place)
    assert f'triage.yaml:4: {cause} (real) did not occur (remove it once it is mended)' in mended.out
    assert f'stale: triage.yaml:4: {cause} (real) did not occur' in place.verb('triage').out
    assert 'did not occur' not in run(place, '--only', 'other').out  # of a part nothing can be told


def test_decisions_that_cannot_be_read_stop_a_run_before_it_begins_and_spoil_none(place: Place) -> None:
    corpus(place)
    say(place, 'hello')
    run(place)
    (place.path / 'triage.yaml').write_text('decisions: {stdout-0123456789ab: {decision: reel}}\n')
    for refused in (run(place), place.verb('check', 'corpus.yaml')):
        assert refused.exit == 2
        assert "triage.yaml:1:45: 'decision' cannot be 'reel' (did you mean 'real'?)" in refused.err
    reported = place.verb('report')
    assert reported.exit == 0
    assert 'note: decisions are not heeded: ' in reported.out


def test_nobody_decides_about_what_did_not_occur(place: Place) -> None:
    corpus(place)
    say(place, 'hello')
    run(place)
    refused = place.verb('triage', 'decide', 'stdout-0123456789ab', 'real')
    assert refused.exit == 2
    assert 'stdout-0123456789ab: no cause in ' in refused.err
    assert not (place.path / 'triage.yaml').exists()
    assert place.verb('triage', 'decide', 'stdout-0123456789ab', 'wrong').exit == 2


def test_a_history_that_cannot_be_written_changes_no_verdict_and_says_so(place: Place) -> None:
    corpus(place)
    say(place, 'hello')
    (place.path / '.dogfood/history.jsonl').mkdir(parents=True)
    done = run(place)
    assert done.exit == 0
    assert '.dogfood/history.jsonl: does not tell of this run: ' in done.err


def fill(path: Path) -> None:
    """Until the disk is full."""
    with path.open('wb', buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))


def test_on_a_full_disk_the_history_keeps_what_it_had(place: Place) -> None:
    state = place.path / '.dogfood'
    state.mkdir()
    corpus(place)
    say(place, 'hello')
    done = place.run()
    with runs.mounted(state, '-t', 'tmpfs', '-o', 'size=64k', 'none'):
        assert place.verb('report', str(done.run_dir.path)).exit == 0
        line = (state / 'history.jsonl').read_bytes().rstrip()
        before = line.ljust(4095) + b'\n'  # the next one needs a page of its own
        (state / 'history.jsonl').write_bytes(before)
        fill(state / 'filler')
        place.corpus(journey('new', 'echo hello', expect=HELLO))
        second = place.run(run_dir=place.path / 'second')
        assert (second.exit, second.verdicts) == (0, {'new': 'passed'})
        assert 'history.jsonl: does not tell of this run: ' in second.err
        assert (state / 'history.jsonl').read_bytes() == before


def test_a_run_that_is_gone_on_with_stays_one_line_in_the_end(place: Place) -> None:
    (place.path / '.dogfood').mkdir()
    place.corpus(
        journey('a', 'echo hello', expect=HELLO), journey('b', f'test -e {place.path}/there || dogfood-infra no')
    )
    assert place.run().exit == 3
    (place.path / 'there').touch()
    assert place.resume().exit == 0
    assert [(line['infra'], line['duration_seconds'] is None) for line in lines(place)] == [(['b'], False), ([], True)]
    told = json.loads(place.verb('trend', '--format', 'json').out)
    assert [(one['exit'], one['infra_rate']) for one in told['runs']] == [(0, 0.0)]


def test_the_previous_of_two_runs_in_one_second_is_the_one_that_began_before(tmp_path: Path) -> None:
    """The rest of a name is random: it tells no order."""
    for number, name in enumerate(('20261121T101112Z-bbbbbb', '20261121T101113Z-cccccc', '20261121T101113Z-aaaaaa')):
        run_dir = RunDir(tmp_path / 'runs' / name)
        run_dir.path.mkdir(parents=True)
        run_dir.bundle.touch()
        run_dir.plan.touch()
        os.utime(run_dir.plan, ns=(number, number))
        kept_runs.point_latest(tmp_path, name)
    assert kept_runs.bundle(tmp_path, 'latest').parent.name == '20261121T101113Z-aaaaaa'
    assert kept_runs.bundle(tmp_path, 'previous').parent.name == '20261121T101113Z-cccccc'


def test_what_cannot_be_compared_is_said_plainly(place: Place) -> None:
    nothing = place.verb('compare')
    assert (nothing.exit, nothing.err) == (
        3,
        '.dogfood: there is no previous run with a bundle (make dogfood makes one)\n',
    )
    assert place.verb('compare', 'nowhere', 'latest').exit == 2
    corpus(place)
    say(place, 'hello')
    good = str(run(place).run_dir.bundle)
    text = Path(good).read_text()
    cut, foreign, strange = (place.path / name for name in ('cut.json', 'foreign.json', 'strange.json'))
    cut.write_text(text[: len(text) // 2])
    foreign.write_text(text.replace('"format":1', '"format":7', 1))
    strange.write_text(text.replace('"verdict":"passed"', '"verdict":"exploded"', 1))
    for path, why in ((cut, 'cannot be read: '), (foreign, 'format 7 is unknown, only 1 is read here')):
        for verb in (['compare', good, str(path)], ['triage', str(path)]):
            refused = place.verb(*verb)
            assert refused.exit == 3
            assert f'{path}: {why}' in refused.err
    told = place.verb('compare', good, str(strange))
    assert told.exit == 0
    assert "has the unknown verdict 'exploded' (left out)" in told.err
    assert '3 journeys measured in both' in told.out


def test_those_that_read_write_nothing(place: Place) -> None:
    corpus(place)
    say(place, 'goodbye')
    run(place)

    def all_files() -> dict[Path, int]:
        return {path: path.lstat().st_mtime_ns for path in sorted(place.path.rglob('*'))}

    before = all_files()
    for verb in (['trend'], ['compare', 'latest', 'latest'], ['triage'], ['trend', '--format', 'json']):
        place.verb(*verb)
    assert all_files() == before
