#!/usr/bin/env python3
"""What report.html costs: to make, beside a report without it, and to open and filter with 10,000 journeys.

Every figure is the median of the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from hack.dogfood.page import report_page  # noqa: E402
from tests.bench.bench_run import DOGFOOD, Figure, call, corpus  # noqa: E402
from tests.python.browser import chromium, open_page, until  # noqa: E402
from tests.python.dogfood.page.test_page import crowd  # noqa: E402

PYTHON = REPOSITORY / '.venv/bin/python'
REPORT = "from hack.dogfood import cli; cli.main(['report'])"
WITHOUT_PAGE = f'from hack.dogfood.verbs import reporting; reporting._write_page = lambda *_: None; {REPORT}'
SECONDS_TO_SHOW = """act => new Promise(shown => {
    const begun = performance.now();
    new Function(act)();
    requestAnimationFrame(() => setTimeout(() => shown((performance.now() - begun) / 1000)));
})"""
FIND = "const box = document.querySelector('#text'); box.value = '{}'; box.dispatchEvent(new Event('input'))"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json', type=Path)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        figures = [*making(Path(folder), asked.rounds), *opening(Path(folder), asked.rounds)]
    for figure in figures:
        print(f'{figure.what:64}  {figure.measured:9.3f} {figure.unit:7}  {figure.asked}')
    if asked.json:
        asked.json.write_text(json.dumps([figure._asdict() for figure in figures], indent=1) + '\n')
    return 0


def making(folder: Path, rounds: int) -> list[Figure]:
    """The report of 1,000 passed journeys with and without its page, in turns."""
    (folder / 'corpus.yaml').write_text(corpus('j', 1000, 'true'))
    call([DOGFOOD, '--shards=2', 'corpus.yaml'], folder)
    took = [(_seconds(REPORT, folder), _seconds(WITHOUT_PAGE, folder)) for _ in range(rounds + 1)][1:]
    beyond = statistics.median(with_it - without for with_it, without in took)
    return [
        Figure('report of 1,000 passed journeys', statistics.median(one for one, _ in took), '', 's'),
        Figure('report.html of 1,000 passed journeys, beyond the report', 1000 * beyond, '≤ 60', 'ms'),
    ]


def _seconds(code: str, folder: Path) -> float:
    begun = time.perf_counter()
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'PYTHONDONTWRITEBYTECODE': '1'}
    subprocess.run([PYTHON, '-c', code], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def opening(folder: Path, rounds: int) -> list[Figure]:
    page = folder / 'report.html'
    begun = time.perf_counter()
    report_page.write(page, crowd(10_000), folder)
    made = time.perf_counter() - begun
    opened, filtered = [], []
    for _ in range(rounds):
        with chromium() as browser:
            begun = time.perf_counter()
            with open_page(browser, page, bypass_csp=True) as shown:
                shown.page.evaluate('() => new Promise(drawn => requestAnimationFrame(() => setTimeout(drawn)))')
                opened.append(time.perf_counter() - begun)
                until(shown.page, "document.readyState === 'complete'")
                shown.page.wait_for_timeout(2000)
                for word in ('journey-99', 'journey-999', 'buildah', ''):
                    filtered.append(shown.page.evaluate(SECONDS_TO_SHOW, FIND.format(word)))
    return [
        Figure('10,000 journeys: make the page', made, '', 's'),
        Figure('10,000 journeys: open it', statistics.median(opened), '≤ 2', 's'),
        Figure('10,000 journeys: filter by a word', 1000 * statistics.median(filtered), '≤ 100', 'ms'),
        Figure('10,000 journeys: filter by a word, the slowest', 1000 * max(filtered), '', 'ms'),
    ]


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))
