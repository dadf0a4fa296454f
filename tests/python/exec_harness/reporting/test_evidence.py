"""Folders of runs, and what is in them."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.exec_harness.reporting import evidence
from hack.exec_harness.reporting.evidence import Normalised, Records
from tests.python.exec_harness.samples import EVENTS, finding, observed, request, result, turn

NORMALISED = Normalised([{'type': 'turn.completed'}], [{'model': 'm'}])


def test_runs_in_the_same_instant_never_share_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        folders = list(threads.map(lambda _: evidence.new_run(tmp_path / 'out'), range(64)))
    assert len(set(folders)) == 64
    assert all(folder.is_dir() for folder in folders)


def test_where_no_folder_can_be_made_the_reader_is_told(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=r'file: no folder can be made there: .* \(name another: --out DIR\)'):
        evidence.new_run(tmp_path / 'file')


def test_every_artifact_is_there(tmp_path: Path) -> None:
    seen = observed(tmp_path, turns=(turn(stdout=b'one\n'), turn(stdout=b'two\n', stderr=b'oh\n')))
    evidence.write(tmp_path, {'scenario': 'one'}, seen, NORMALISED)
    whole = result(verdict='failed', findings=(finding(nearest='a\nb'),))
    evidence.write_summary(tmp_path, seen, whole)
    evidence.write_result(tmp_path, whole)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*') if path.is_file()}
    assert found == {
        *('manifest.json', 'stdout.jsonl', 'stderr.log', 'summary.json', 'result.json', 'findings.txt'),
        *(f'turn-{number}-{what}' for number in (1, 2) for what in ('command.txt', 'stdout.jsonl', 'stderr.log')),
        *('responses-requests.json', 'gh-calls.json', 'gh-state.json'),
        *('normalised/events.jsonl', 'normalised/requests.json'),
    }
    assert (tmp_path / 'stdout.jsonl').read_bytes() == b'one\ntwo\n'
    assert (tmp_path / 'turn-2-command.txt').read_text() == "agent exec 'a prompt'\n"
    manifest = json.loads((tmp_path / 'manifest.json').read_text())
    assert manifest['scenario'] == 'one'
    assert manifest['turns'][0] == {
        'command': ['agent', 'exec', 'a prompt'],
        'end': 'exited',
        'returncode': 0,
        'seconds': 0.25,
    }


def test_requests_are_kept_with_their_headers_and_bodies(tmp_path: Path) -> None:
    garbage = request(None, 1)._replace(body=b'\xff garbage', json=None)
    seen = observed(tmp_path, requests=(request({'input': []}), garbage))
    evidence.write(tmp_path, {}, seen, NORMALISED)
    kept = json.loads((tmp_path / 'responses-requests.json').read_text())
    assert kept[0]['body'] == {'input': []}
    assert kept[0]['headers'][0] == ['authorization', '(masked)']
    assert kept[1]['body'] == '\\xff garbage'


def test_the_summary_says_what_the_agent_said_and_used(tmp_path: Path) -> None:
    seen = observed(tmp_path)
    evidence.write_summary(tmp_path, seen, result())
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['final_answer'] == 'Good morning.'
    assert summary['usage'] == {'input_tokens': 3, 'output_tokens': 2}
    assert summary['events'] == list(EVENTS)
    assert summary['failures'] == []


def test_a_finding_is_shown_with_what_came_nearest(tmp_path: Path) -> None:
    shown = evidence.in_full(finding(claim='expect.events[0]', nearest='-one\n+two'))
    assert shown.splitlines() == [
        'exit: expect.events[0]',
        '  expected: 0',
        '  observed: 1',
        '  nearest:  -one',
        '            +two',
    ]


def test_a_result_comes_back_as_it_was() -> None:
    whole = result(verdict='failed', cause='why', findings=(finding(), finding('events')))
    assert evidence.from_json(json.loads(json.dumps(evidence.as_json(whole)))) == whole


def test_what_is_normalised_comes_back_as_it_was(tmp_path: Path) -> None:
    evidence.write(tmp_path, {}, observed(tmp_path), NORMALISED)
    assert evidence.read_normalised(tmp_path) == NORMALISED


def test_records_are_written_as_they_come(tmp_path: Path) -> None:
    records = Records(tmp_path, {'command': ['x']})
    records.add(result())
    records.add(result('two', 'failed'))
    lines = [json.loads(line) for line in (tmp_path / 'results.jsonl').read_text().splitlines()]
    assert [line['verdict'] for line in lines] == ['passed', 'failed']
    records.close('<testsuites/>', 1)
    assert (tmp_path / 'exit').read_text() == '1\n'
    assert records.problem == ''


def test_records_that_cannot_be_written_are_told_and_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / 'gone'
    records = Records(folder, {})
    records.add(result())
    records.close('', 0)
    assert records.problem == f'{folder}: records cannot be written: {os.strerror(2)}'
