from pathlib import Path
from typing import Any

import pytest

from hack.dogfood.page import beside, report_page
from hack.dogfood.past import history
from hack.dogfood.reporting import bundle, triage
from hack.dogfood.reporting.bundle import Reviewed
from hack.dogfood.reporting.decisions import Decision
from tests.python.dogfood.samples import FINDING, RUN, STEP, plan, record, result, shard_end, shard_start

OTHER = {**FINDING, 'observed': 'something else'}
HOSTILE = '<script>alert(1)</script>'


def made(number: int, verdict: str = 'failed', reviewed: Reviewed | None = None) -> dict[str, Any]:
    findings = [dict(FINDING), dict(OTHER)] if verdict == 'failed' else []
    told = [shard_start(), result(record('a', verdict, findings=findings)), result(record('b')), shard_end()]
    run = {**RUN, 'id': f'run-{number}', 'started': f'2026-11-21T10:{number:02}:00.000Z'}
    return bundle.merge(run, plan(['a', 'b']), [told], reviewed=reviewed)


def test_a_decision_stands_at_its_own_finding() -> None:
    journey = record('a', 'failed', findings=[dict(FINDING), dict(OTHER)])
    known = {triage.of_finding(journey, OTHER): Decision('real', 'we saw it')}
    assert beside.decisions(made(1, reviewed=Reviewed(known))) == {'a': [None, beside.Decision('real', 'we saw it')]}
    assert beside.decisions(made(1)) == {}
    assert beside.decisions({'journeys': []}) == {}  # a bundle from before triage


def test_the_trend_is_that_up_to_the_run(tmp_path: Path) -> None:
    runs = [made(number, verdict) for number, verdict in enumerate(('passed', 'failed', 'infra'))]
    for one in runs:
        history.append(tmp_path / history.FILE, one)
    trend = beside.of(runs[1], tmp_path).trend
    assert '<tr aria-current="true"><th scope="row">run-1</th>' in trend
    assert 'run-0' in trend
    assert 'run-2' not in trend
    assert '<li>a: failed in run-1; passed in run-0 (revision ' in trend


def test_a_run_that_the_history_does_not_know_has_no_trend(tmp_path: Path) -> None:
    history.append(tmp_path / history.FILE, made(1))
    assert not beside.of(made(2), tmp_path).trend
    assert not beside.of(made(2), tmp_path / 'nowhere').trend


def test_what_a_history_says_is_no_markup(tmp_path: Path) -> None:
    run = {**made(1), 'run': {**made(1)['run'], 'id': HOSTILE}}
    history.append(tmp_path / history.FILE, run)
    trend = beside.of(run, tmp_path).trend
    assert '&lt;script&gt;' in trend
    assert '<script>' not in trend


def test_the_list_tells_what_is_let_pass_from_what_fails_the_run() -> None:
    known = {
        triage.of_finding(record('a', 'failed'), finding): Decision('intended') for finding in (dict(FINDING), OTHER)
    }
    mark = '<i class="note">known, let pass</i>'
    assert report_page.render(made(1, reviewed=Reviewed(known))).count(mark) == 0
    let = made(1, reviewed=Reviewed(known))
    assert report_page.render({**let, 'triage': {**let['triage'], 'allowed': ['a']}}).count(mark) == 1


def test_the_page_shows_each_cause_with_what_waits_and_what_was_decided() -> None:
    findings = [{**FINDING, 'observed': HOSTILE}]
    root = record('a', 'failed', findings=findings, steps=[{**STEP, 'run': HOSTILE}])
    told = [shard_start(), result(root), result(record('b', 'blocked', root='a')), shard_end()]
    known = {triage.of_finding(root, findings[0]): Decision('real', HOSTILE), 'exit-0123456789ab': Decision('intended')}
    said = bundle.merge(RUN, plan(['a', 'b']), [told], reviewed=Reviewed(known))
    page = report_page.render(said, None, beside.Beside(beside.decisions(said)))
    causes = page[page.index('<section id="causes"') :].partition('</section>')[0]
    assert 'in <a href="#journey-a">a</a>; waiting for it: <a href="#journey-b">b</a>' in causes
    assert 'reviewed: real, &lt;script&gt;' in causes
    assert '<script>' not in causes
    assert '<code>exit-0123456789ab</code> (intended, ' in causes
    assert 'id="causes"' not in report_page.render({**said, 'triage': {}})  # one from before triage


@pytest.mark.parametrize(
    ('name', 'values', 'lines'),
    [
        ('passed', [0.0, 0.5, 1.0], ('3.0,37.0 100.0,20.0 197.0,3.0',)),
        ('time', [2.0, None, 4.0], ('3.0,20.0', '197.0,3.0')),  # broken where nothing is known
        ('time', [0.5], ('3.0,3.0',)),
        ('infra', [0.0], ('3.0,37.0',)),
        ('infra', [None], ()),
    ],
)
def test_a_line_is_drawn_between_none_and_all(name: str, values: list[float | None], lines: tuple[str, ...]) -> None:
    assert beside.line(name, values, '').runs == lines
